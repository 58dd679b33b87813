"""The numbers beside the curve, and all of them as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from html import escape
from types import MappingProxyType
from typing import Final

from explainers.base import ExplainerError
from explainers.record import Counterfactual
from pages.exploring.explanations import Explained, map_title
from pages.exploring.films import Film
from pages.exploring.metrics import Truth, chance, measure_film, measure_map
from pages.exploring.request import is_shift, origin_word, step_word, variant_title

LARGE_MOVE = 0.15
"""Change of the probability by reconstruction alone beyond which the page says so."""

MEASURES: Final[Mapping[str, tuple[str, float]]] = MappingProxyType(
    {
        "steps_taken": ("Steps of the search", 1),
        "probability_reencoded": ("f after encoding the end again", 1),
        "norm_start": ("Length of the latent at the start, 1 is usual", 1),
        "norm_end": ("Length of the latent at the end, 1 is usual", 1),
        "reconstruction_error": ("Error of the reconstruction, grey levels", 255),
        "error": ("Error of the reconstruction, grey levels", 255),
        "spearman": ("Rank correlation of f with the frames", 1),
        "violations": ("Share of the steps on which f falls", 1),
        "stable image": ("f of the stable image", 1),
        "adversarial image": ("f of the adversarial image", 1),
        "change": ("Mean |s − a|, grey levels", 255),
        "kept_share": ("Pixels whose change is shown, %", 100),
    }
)
"""Measures of records that the page shows, in plain words, with what they are multiplied by."""


@dataclass(frozen=True)
class Row:
    """One number of the CSV.

    Parameters
    ----------
    film, finding, classifier, weights_digest
        What was looked at.
    method
        Registered name, or name of a map; empty for the classifier's own prediction.
    quantity
        What the number is.
    frame
        Number of the frame from 1, or ``None``.
    step
        λ of the frame, or ``None``.
    value
        The number, at full precision.
    """

    film: str
    finding: str
    classifier: str
    weights_digest: str
    method: str
    quantity: str
    frame: int | None
    step: float | None
    value: float


def rows_of(film: Film, explained: Explained, truth: Truth | None) -> list[Row]:
    """Return every number that there is of one classifier."""
    start = (film.name, explained.finding, explained.network.name, explained.network.digest)
    rows: list[Row] = []

    def add(
        method: str,
        quantity: str,
        value: float,
        frame: int | None = None,
        step: float | None = None,
    ) -> None:
        rows.append(Row(*start, method, quantity, frame, step, float(value)))

    if explained.probability is not None:
        add("", "probability_image", explained.probability)
    moving = explained.film
    if moving is not None:
        method = explained.method
        add(method, "probability_reconstruction", moving.probability_reconstruction)
        add(method, "reached_low", moving.reached_low)
        add(method, "reached_high", moving.reached_high)
        for number, (step, value) in enumerate(
            zip(moving.steps, moving.probabilities, strict=True), start=1
        ):
            add(method, "probability_frame", value, number, float(step))
        for name, value in moving.measures.items():
            add(method, f"measure_{name.replace(' ', '_')}", value)
        if explained.residual is not None:
            for number, (step, value) in enumerate(
                zip(moving.steps, explained.residual, strict=True), start=1
            ):
                add(method, "probability_residual_frame", value, number, float(step))
    for method, seconds in explained.seconds.items():
        add(method, "seconds", seconds)
    if truth is None:
        return rows
    if truth.mask is not None:
        add("", "iou_chance", chance(truth.mask))
        for name, values in explained.maps.items():
            try:
                measures = measure_map(values, truth.mask)
            except ExplainerError:
                continue
            add(name, "iou_matched_area", measures.iou)
            add(name, "pointing_hit", measures.hit)
            add(name, "ncc", measures.ncc)
    errors = measure_film(explained, film, truth)
    if errors is not None:
        for field in fields(errors):
            name = "" if field.name.startswith("nothing") else explained.method
            add(name, f"true_counterfactual_error_{field.name}", getattr(errors, field.name))
    return rows


def csv_bytes(rows: Iterable[Row]) -> bytes:
    """Write rows as CSV: full precision, empty for what does not apply, no cell a formula."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field.name for field in fields(Row)])
    for row in rows:
        writer.writerow([_cell(value) for value in astuple(row)])
    return stream.getvalue().encode("utf-8")


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return "'" + value if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
    return repr(value)


def numbers_html(
    explained: Explained, rows: Sequence[Row], truth: Truth | None, shown: Sequence[str] = ()
) -> str:
    """Return the numbers of one classifier as HTML; measures of the maps ``shown`` only."""
    film = explained.film
    parts = []
    if film is not None:
        seconds = explained.seconds.get(explained.method, 0.0)
        flips = (film.probability_image >= 0.5) != (film.probabilities[0] >= 0.5)
        rises = (film.probability_image >= 0.5) != (film.probabilities[-1] >= 0.5)
        word, first, last = step_word(explained.method), film.steps[0], film.steps[-1]
        end = word if is_shift(explained.method) else "frame"
        cells = [
            ("f(x), the film", f"{film.probability_image:.2f}"),
            (f"f(x′₀), {origin_word(explained.method)}", f"{film.probability_reconstruction:.2f}"),
            (f"f at the lowest {end}", f"{film.probabilities[0]:.2f}{_flipped(flips)}"),
            ("… of the residual frame", _lowest_residual(explained)),
            (f"f at the highest {end}", f"{film.probabilities[-1]:.2f}{_flipped(rises)}"),
            (f"{word} range", f"{first + 0.0:.3g} … {last + 0.0:.3g}".replace("-", "−")),
            (f"{variant_title(explained.method)}, seconds", f"{seconds:.2g}"),
            *_measures(film),
        ]
        parts.append(_table(cells))
    elif explained.probability is not None:
        parts.append(_table([("f(x), the film", f"{explained.probability:.2f}")]))
    if film is not None and film.note:
        parts.append(f'<div class="warned" role="alert">{escape(film.note)}</div>')
    parts += [f'<div class="reached" role="status">{escape(s)}</div>' for s in _remarks(explained)]
    parts.append(_truth_html(rows, truth, shown))
    return "".join(parts)


def _flipped(flips: bool) -> str:
    return " (flipped)" if flips else ""


def _measures(film: Counterfactual) -> list[tuple[str, str]]:
    """Return the measures of a record that people are shown, to three significant digits."""
    found = []
    for name, value in film.measures.items():
        if name in MEASURES:
            title, scale = MEASURES[name]
            found.append((title, f"{scale * value:.3g}".replace("-", "−")))
    return found


def _lowest_residual(explained: Explained) -> str:
    """Say what the classifier makes of the lowest residual frame."""
    film, residual = explained.film, explained.residual
    if film is None or residual is None:
        return "–"
    flips = (film.probability_image >= 0.5) != (residual[0] >= 0.5)
    return f"{residual[0]:.2f}{_flipped(flips)}"


def _remarks(explained: Explained) -> list[str]:
    film = explained.film
    said = list(explained.problems)
    if film is None:
        return said
    if not is_shift(explained.method):
        if film.reached:
            said.append("The prediction passed the goal.")
        elif not film.note:  # which says it otherwise
            said.append("The goal was not reached. The film shows the way that was found.")
    elif not film.reached:
        missed = [
            word
            for word, reached in (("fall", film.reached_low), ("rise", film.reached_high))
            if not reached
        ]
        said.append(
            f"The search did not reach its goal: the prediction did not {' and not '.join(missed)} "
            "as far as was asked for. The film shows the way that was found."
        )
    else:
        said.append("The prediction fell and rose as far as was asked for.")
    moved = film.probability_reconstruction - film.probability_image
    if abs(moved) > LARGE_MOVE:
        said.append(
            f"The {origin_word(explained.method)} alone moves the prediction by {moved:+.2f}: "
            "part of what the classifier saw is not in these frames."
        )
    return said


def _truth_html(rows: Sequence[Row], truth: Truth | None, shown: Sequence[str]) -> str:
    """Return the measures against the reference standard."""
    if truth is None:
        return ""
    found = {(row.method, row.quantity): row.value for row in rows}
    present = {True: "present", False: "absent", None: "unknown"}[truth.present]
    lines = [f'<div class="reached">Reference standard: {present}.</div>']
    maps = [name for name in shown if (name, "iou_matched_area") in found]
    if maps:
        body = "".join(
            f"<tr><th>{escape(map_title(name))}</th><td>{found[name, 'iou_matched_area']:.2f}</td>"
            f"<td>{'hit' if found[name, 'pointing_hit'] else 'miss'}</td>"
            f"<td>{_number(found[name, 'ncc'])}</td></tr>"
            for name in maps
        )
        by_chance = found["", "iou_chance"]
        lines.append(
            "<table class='measures'><tr><th>against the mask</th><th>IoU</th><th>peak</th>"
            f"<th>NCC</th></tr>{body}<tr><th>chance</th><td>{by_chance:.2f}</td><td></td>"
            "<td>0.00</td></tr></table>"
        )
    elif truth.present and truth.mask is None:
        lines.append('<div class="reached">This finding has no mask in this film.</div>')
    lines.append(_errors_html(found))
    return "".join(lines)


def _errors_html(found: Mapping[tuple[str, str], float]) -> str:
    """Return the errors against the film without the finding, where there is one."""
    start = "true_counterfactual_error_"
    errors = {what.removeprefix(start): v for (_, what), v in found.items() if start in what}
    if not errors:
        return ""
    rows = (("decoded", "frame"), ("residual", "residual"), ("doing nothing", "nothing"))
    body = "".join(
        f"<tr><th>{title}</th><td>{_number(errors[name + '_inside'], 1)}</td>"
        f"<td>{_number(errors[name + '_film'], 1)}</td></tr>"
        for title, name in rows
    )
    return (
        "<table class='measures'><tr><th>lowest frame against the film without the finding, "
        f"grey levels</th><th>in the mask</th><th>whole film</th></tr>{body}</table>"
    )


def _number(value: float, digits: int = 2) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _table(cells: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"<span>{escape(a)}</span><span>{escape(b)}</span>" for a, b in cells)
    return f'<div class="numbers">{body}</div>'
