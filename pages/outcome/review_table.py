"""A review's results as HTML: the table of dimensions, images, descriptions and relevance."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from html import escape
from typing import Final

from pages.parts.answer_words import count_words, percent
from study.analysis.report.screen import screen_table
from study.analysis.report.sections import Line
from study.review.results import CardRow, Judgement, ReviewResults

TABLE_STYLE: Final = """
  .review-table { border-collapse: collapse; width: 100%; font-size: .92rem; color: #c9d0d8; }
  .review-table caption { text-align: left; color: #98a1ad; padding-bottom: .5rem; }
  .review-table th, .review-table td { padding: .45rem .6rem; text-align: left;
    vertical-align: top; border-bottom: 1px solid #2a3038; }
  .review-table thead th { color: #98a1ad; font-weight: 600; }
  .review-table tbody th { font-weight: 400; border-right: 1px solid #2a3038; min-width: 9rem; }
  .review-table .number { font-size: 1.1rem; font-weight: 600; color: #dfe3e8; }
  .review-table .name { color: #9cc7ee; }
  .review-table .quiet { color: #98a1ad; }
  .review-table .pair { display: flex; gap: 3px; }
  .review-table .pair img { width: 104px; height: auto; display: block; background: #0b0d10; }
  .review-table ul { margin: 0; padding: 0; list-style: none; }
  .review-table .panel { font-weight: 600; color: #dfe3e8; }
"""
Pictures = Mapping[str, tuple[bytes, bytes]]
"""Card identifier to its unperturbed and its perturbed picture, PNG."""

_RELEVANCE: Final = {
    "yes": "relevant",
    "possible": "possibly relevant",
    "no": "not relevant",
    "divided": "experts divided",
    "": "not judged yet",
}


def review_table(results: ReviewResults, pictures: Pictures) -> str:
    """Return the table: dimension, image, clinical description, relevance."""
    body = []
    for dimension in results.dimensions:
        rows = results.rows_of(dimension)
        for place, row in enumerate(rows):
            head = _dimension_cell(results, dimension, len(rows)) if place == 0 else ""
            body.append(f"<tr>{head}{_card_cells(row, pictures.get(row.card.card_id))}</tr>")
    return (
        '<table class="review-table"><caption>Each line is one dimension on one film: the '
        "generator's picture of it, unperturbed and perturbed, and what the experts said.</caption>"
        '<thead><tr><th scope="col">Dimension</th><th scope="col">Image</th>'
        '<th scope="col">Clinical description</th><th scope="col">Relevance</th></tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def headline(results: ReviewResults) -> str:
    """Return the result in one or two sentences."""
    experts = count_words(results.n_experts, "expert")
    if results.analysis is None:
        return f"None of {results.n_planned} judgements by {experts} is given yet."
    dimensions, images = results.analysis.shares[:2]
    said = []
    for estimate, one, what in (
        (dimensions, "dimensions", "semantically meaningful"),
        (images, "images", "relevant to the finding"),
    ):
        if estimate.value is None:
            continue
        n_yes = round(estimate.value * estimate.n_cases)
        words = ""
        if estimate.ci is not None:
            low, high = (f"{100 * limit:.0f}" for limit in estimate.ci)
            words = f" (95 % interval {low} to {high} %)"
        said.append(
            f"{n_yes} of {estimate.n_cases} {one} judged are {what}: "
            f"{100 * estimate.value:.0f} %{words}."
        )
    if results.n_done < results.n_planned:
        missing = results.n_planned - results.n_done
        said.append(f"{missing} of {results.n_planned} judgements are missing.")
    return " ".join(said)


def review_page(results: ReviewResults, pictures: Pictures, title: str) -> str:
    """Return the results as one self-contained page."""
    estimates = screen_table(lines_of(results)).to_html(index=False, border=0)
    tag = " (simulated)" if results.simulated else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        "<style>body { background: #0b0d10; color: #c9d0d8; font: 15px/1.4 system-ui, sans-serif; "
        "max-width: 76rem; margin: 2rem auto; padding: 0 1rem; } table { border-collapse: "
        "collapse; } td, th { padding: .3rem .6rem; text-align: left; vertical-align: top; "
        f"border-bottom: 1px solid #2a3038; }} {TABLE_STYLE}</style>"
        f"<h1>{escape(title)}{tag}</h1><p>{escape(headline(results))}</p>"
        f"{review_table(results, pictures)}<h2>Shares and agreement</h2>{estimates}</html>\n"
    )


def lines_of(results: ReviewResults) -> tuple[Line, ...]:
    """Return the estimates as lines of a table on screen."""
    estimates = results.analysis.estimates if results.analysis is not None else ()
    return tuple(Line("", "", "", estimate) for estimate in estimates)


def _dimension_cell(results: ReviewResults, dimension: int, n_rows: int) -> str:
    verdict = results.verdict(dimension)
    words = "not judged yet"
    if verdict is not None:
        kind = "meaningful" if verdict.meaningful else "not meaningful"
        if 2 * verdict.n_yes == verdict.n_experts:
            kind = "experts divided"
        words = f"{kind}: {verdict.n_yes} of {count_words(verdict.n_experts, 'expert')}"
    name = results.names.get(dimension, "")
    given = f'<div class="name">{escape(name)}</div>' if name else ""
    return (
        f'<th scope="rowgroup" rowspan="{n_rows}"><div class="number">{dimension}</div>{given}'
        f'<div class="quiet">{escape(words)}</div></th>'
    )


def _card_cells(row: CardRow, pictures: tuple[bytes, bytes] | None) -> str:
    card = row.card
    shown = '<div class="quiet">pictures not found</div>'
    if pictures is not None:
        words = ("unperturbed", "perturbed")
        images = "".join(
            f'<img alt="{word}" title="{word}" src="data:image/png;base64,'
            f'{base64.b64encode(picture).decode("ascii")}">'
            for word, picture in zip(words, pictures, strict=True)
        )
        shown = f'<div class="pair">{images}</div>'
    change = f"{percent(card.reconstruction)} → {percent(card.perturbed)}"
    return (
        f'<td>{shown}<div class="quiet">{escape(card.finding)} {change} · '
        f"{escape(card.film)}</div></td>"
        f"<td>{_said(row, _described)}</td>"
        f'<td><div class="panel">{_RELEVANCE[row.relevance]}</div>{_said(row, _relevance)}</td>'
    )


def _said(row: CardRow, words: Callable[[Judgement], str]) -> str:
    lines = [
        f'<li><span class="quiet">{escape(each.reader)}</span> {escape(words(each))}</li>'
        for each in row.judgements
    ]
    return f"<ul>{''.join(lines)}</ul>" if lines else '<span class="quiet">–</span>'


def _described(judged: Judgement) -> str:
    return judged.description or "not meaningful"


def _relevance(judged: Judgement) -> str:
    return f"{judged.relevance}: {judged.words}" if judged.words else judged.relevance
