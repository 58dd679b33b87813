"""A report as one HTML file that needs nothing else: dark on a screen, light on paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from plotly.offline import get_plotlyjs

from study.analysis.figures.catalogue import FIGURES
from study.analysis.figures.style import INK, MUTED, PAGE, PLOT, NamedFigure
from study.analysis.report.assemble import Report
from study.analysis.report.screen import screen_table
from study.analysis.report.sections import Line, Section
from study.analysis.report.text import Passage, methods, results

_CSS = f"""
:root {{ color-scheme: dark; }}
body {{ margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: {PAGE}; color: {INK};
        font: 15px/1.55 system-ui, sans-serif; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.2rem; margin-top: 2.2rem; }}
h1, h2, h3, summary {{ color: #dfe3e8; }}
a {{ color: #8ab4de; }}
nav a {{ margin-right: 1rem; }}
.primary {{ padding: 1rem 1.3rem; background: {PLOT}; border: 1px solid #2a3038;
            border-left: 4px solid #5b9bd5; border-radius: 8px; font-size: 1.15rem; }}
.tag {{ display: inline-block; margin: 0 .5rem .5rem 0; padding: 0 .6rem; border: 1px solid #b08a4a;
        border-radius: 4px; color: #e0c088; }}
.interim {{ padding: .8rem 1.2rem; border: 2px dashed #e0c088; border-radius: 8px;
            color: #e0c088; }}
.quiet {{ color: {MUTED}; font-size: .9rem; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .82rem; margin: .6rem 0 1rem; }}
th, td {{ padding: .22rem .6rem; border-bottom: 1px solid #2a3038; text-align: left;
          vertical-align: top; }}
th {{ color: {MUTED}; font-weight: 600; position: sticky; top: 0; background: {PAGE}; }}
td {{ font-variant-numeric: tabular-nums; }}
tr.warning td {{ color: #e0c088; font-style: italic; }}
tr.confirmatory td {{ font-weight: 600; }}
figure {{ margin: 1rem 0; break-inside: avoid; overflow-x: auto; }}
@media print {{
  :root {{ color-scheme: light; }}
  body {{ background: #fff; color: #000; max-width: none; font-size: 10pt; }}
  h1, h2, h3, summary, th, .quiet, a, .tag, .interim, tr.warning td {{ color: #000; }}
  th {{ background: #fff; position: static; }}
  .primary {{ background: #fff; }}
  .scroll {{ overflow: visible; }}
  table {{ font-size: 7pt; }}
  tr {{ break-inside: avoid; }}
  figure .main-svg {{ filter: invert(1) hue-rotate(180deg); }}
  .modebar, nav {{ display: none; }}
}}
"""


@dataclass(frozen=True)
class Fact:
    """One line of the environment: what, and what it was."""

    name: str
    value: str


@dataclass(frozen=True)
class Extra:
    """A table beside the results, such as the checklist.

    Parameters
    ----------
    id, title, sentence
        Anchor, heading, and what it is.
    columns, rows
        Text.
    """

    id: str
    title: str
    sentence: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def to_html(
    report: Report,
    *,
    title: str,
    facts: Sequence[Fact] = (),
    extras: Sequence[Extra] = (),
    plotly_js: str | None = None,
) -> str:
    """Return a report as one HTML file.

    Parameters
    ----------
    report
        The report.
    title
        Of the study.
    facts
        The environment: versions, digests, times.
    extras
        Further tables.
    plotly_js
        Text of plotly's script; ``None`` takes the one that comes with plotly.
    """
    analysis = report.material.analysis
    figures = report_figures(report)
    drawn = groupby(sorted(figures, key=lambda f: f[0]), key=lambda f: f[0])
    by_section = {name: [figure for _, figure in pairs] for name, pairs in drawn}
    body = [
        f"<h1>{escape(title)}</h1>",
        *_tags(report),
        '<p class="quiet">'
        + ("As declared in the protocol." if analysis.primary.declared else "Nothing was declared.")
        + "</p>",
        f'<div class="primary">{escape(analysis.sentence)}</div>',
        _navigation(report, extras),
        *_passages("results-text", "Results in words", results(report)),
    ]
    for section in report.sections:
        body.append(_section(section, by_section.pop(section.id, [])))
    for name, left in by_section.items():
        body.append(f'<section id="{escape(name)}">{"".join(_figure(f) for f in left)}</section>')
    body += _passages("methods-text", "Methods in words", methods(report))
    body += [_extra(extra) for extra in extras]
    if facts:
        rows = tuple((fact.name, fact.value) for fact in facts)
        body.append(_extra(Extra("environment", "Environment", "", ("what", "value"), rows)))
    script = get_plotlyjs() if plotly_js is None else plotly_js
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_CSS}</style>"
        f"<script>{script}</script></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def report_figures(report: Report) -> tuple[tuple[str, NamedFigure], ...]:
    """Return every figure with the id of the section in which it stands; the primary item first."""
    analysis = report.material.analysis
    primary = analysis.primary.item
    items = [primary, *(item for item in analysis.items if item != primary)]
    return tuple(
        (maker.section, maker.of(analysis, item))
        for maker in FIGURES
        for item in (items if maker.per_item else items[:1])
    )


def _tags(report: Report) -> list[str]:
    analysis, counts = report.material.analysis, report.material.counts
    tags = []
    if analysis.provenance:
        tags.append(f'<span class="tag">{escape(analysis.provenance)}</span>')
    if report.material.interim and counts is not None:
        tags.append(
            f'<p class="interim"><strong>⚠ Interim.</strong> {counts.missing} of {counts.planned} '
            "readings are missing. The declared level holds for one look at complete data; a look "
            "before that raises the chance of a false positive.</p>"
        )
    return tags


def _navigation(report: Report, extras: Sequence[Extra]) -> str:
    ways = [("results-text", "Results in words")]
    ways += [(section.id, section.title) for section in report.sections]
    ways += [("methods-text", "Methods in words")]
    ways += [(extra.id, extra.title) for extra in extras]
    anchors = (f'<a href="#{escape(name)}">{escape(title)}</a>' for name, title in ways)
    return f"<nav>{' '.join(anchors)}</nav>"


def _passages(name: str, title: str, passages: Sequence[Passage]) -> list[str]:
    blocks = [f'<section id="{name}"><h2>{escape(title)}</h2>']
    for passage in passages:
        blocks.append(f"<h3>{escape(passage.heading)}</h3>")
        blocks += [f"<p>{escape(text)}</p>" for text in passage.paragraphs]
    return [*blocks, "</section>"]


def _section(section: Section, figures: Sequence[NamedFigure]) -> str:
    blocks = [
        f'<section id="{escape(section.id)}"><h2>{escape(section.title)}</h2>',
        f"<p>{escape(section.sentence)}</p>",
        *(_figure(figure) for figure in figures),
    ]
    main = [line for line in section.lines if line.main]
    rest = [line for line in section.lines if not line.main]
    if main:
        blocks.append(_lines(main))
    if rest:
        blocks.append(
            f"<details><summary>{len(rest)} more estimates</summary>{_lines(rest)}</details>"
        )
    if section.notes:
        notes = "".join(f"<li>{escape(note)}</li>" for note in section.notes)
        blocks.append(f'<ul class="quiet">{notes}</ul>')
    return "".join([*blocks, "</section>"])


def _figure(named: NamedFigure) -> str:
    body = named.figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=f"figure-{''.join(c if c.isalnum() else '-' for c in named.name)}",
        config={"displaylogo": False, "responsive": True},
    )
    return f'<figure role="img" aria-label="{escape(named.title)}">{body}</figure>'


def _lines(lines: Sequence[Line]) -> str:
    table = screen_table(lines)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.columns)
    rows = "".join(
        f'<tr class="{line.estimate.role}">'
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in row)
        + "</tr>"
        for line, row in zip(lines, table.itertuples(index=False), strict=True)
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>"
    )


def _extra(extra: Extra) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in extra.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in extra.rows
    )
    sentence = f"<p>{escape(extra.sentence)}</p>" if extra.sentence else ""
    return (
        f'<section id="{escape(extra.id)}"><h2>{escape(extra.title)}</h2>{sentence}'
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div></section>"
    )
