"""Ratings as diverging stacked bars, by correctness and by finding, for each condition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from study.analysis.cells import NOT_GIVEN
from study.analysis.columns import natural_order
from study.analysis.figures.style import (
    INK,
    PAGE,
    checked_item,
    condition_colour,
    dark_template,
    empty_figure,
    mixed,
    titled,
)
from study.analysis.rendering import label_of, readers_and_cases, short
from study.analysis.report.analysis import Analysis
from study.analysis.summary import RatingSummary, rating_summaries

_CLASSES = 10


def likert_distribution(analysis: Analysis, *, item: str | None = None) -> go.Figure:
    """Draw the share of every rating per condition and correctness as diverging stacked bars.

    Ratings below the middle of the scale lie to the left of 0, above it to the right; the middle
    one is split. The stronger the condition's colour, the higher the rating.
    """
    name = checked_item(analysis, item)
    summaries = [s for s in analysis.rating_summaries if s.item == name]
    kinds = list(dict.fromkeys(s.correctness for s in summaries))
    if len(kinds) == 2:  # one correctness and "all" are the same ratings
        summaries = [s for s in summaries if s.correctness != "all"]
    rows = [f"{label_of(s.correctness)} · {s.condition}" for s in summaries]
    title = titled(analysis, f"{name}: ratings by condition", "low ratings left, high right")
    return _bars(analysis, summaries, rows, title, "Cases · condition")


def likert_by_finding(analysis: Analysis, *, item: str | None = None) -> go.Figure:
    """Draw the same for each finding and condition, for the cases of the primary analysis."""
    name = checked_item(analysis, item)
    subset = analysis.primary.subset
    title = titled(
        analysis,
        f"{name}: ratings by finding and condition",
        f"{label_of(subset)}; low ratings left, high right",
    )
    frame = analysis.ratings.frame
    chosen: list[RatingSummary] = []
    rows: list[str] = []
    for finding in natural_order(frame["finding"].unique()):
        if finding == NOT_GIVEN:
            continue
        found = rating_summaries(frame[frame["finding"] == finding], name)
        for summary in found:
            if summary.correctness == subset:
                chosen.append(summary)
                rows.append(f"{finding} · {summary.condition}")
    if not chosen:
        return empty_figure(title, "The table names no findings.")
    return _bars(analysis, chosen, rows, title, "Finding · condition")


def _bars(
    analysis: Analysis,
    summaries: Sequence[RatingSummary],
    rows: Sequence[str],
    title: str,
    axis: str,
) -> go.Figure:
    figure = go.Figure()
    for summary, row in zip(summaries, rows, strict=True):
        for bar in _likert_bars(summary, row, condition_colour(analysis, summary.condition)):
            figure.add_trace(bar)
    figure.update_layout(
        template=dark_template(),
        barmode="overlay",
        showlegend=False,
        height=170 + 38 * len(rows),
        title=title,
    )
    figure.update_xaxes(title_text="Share of ratings (%), from the middle of the scale")
    figure.update_yaxes(title_text=axis, categoryorder="array", categoryarray=list(rows)[::-1])
    return figure


def _likert_bars(summary: RatingSummary, row: str, colour: str) -> list[go.Bar]:
    """Return the segments of one diverging bar, from the lowest rating to the highest."""
    names, counts = _segments(summary)
    shares = 100 * np.array(counts) / summary.n  # (levels,)
    n_levels = len(names)
    below = n_levels // 2
    start = -float(shares[:below].sum())
    if n_levels % 2:
        start -= float(shares[below]) / 2
    bars = []
    for k, (level, count, share) in enumerate(zip(names, counts, shares, strict=True)):
        strength = 0.22 + 0.78 * k / max(n_levels - 1, 1)
        bars.append(
            go.Bar(
                x=[float(share)],
                y=[row],
                base=[start],
                orientation="h",
                marker={"color": mixed(colour, strength), "line": {"color": PAGE, "width": 1}},
                text=[level if share >= 4 else ""],
                textposition="inside",
                insidetextanchor="middle",
                textfont={"color": PAGE if strength > 0.55 else INK},
                hovertext=[
                    f"{row}<br>rated {level}: {count} of {summary.n} ({short(share)} %)<br>"
                    f"mean {short(summary.mean)}; "
                    f"{readers_and_cases(summary.n_readers, summary.n_cases, summary.n)}"
                ],
                hoverinfo="text",
                showlegend=False,
            )
        )
        start += float(share)
    return bars


def _segments(summary: RatingSummary) -> tuple[list[str], list[int]]:
    """Return the points of the scale and their counts; a fine scale goes into ten classes."""
    levels, counts = summary.levels, summary.counts
    if len(levels) <= 2 * _CLASSES + 1 and max(levels) - min(levels) <= 2 * _CLASSES:
        return [str(level) for level in levels], list(counts)
    low, high = min(0, *levels), max(100, *levels)
    edges = np.linspace(low, high, _CLASSES + 1)
    place = np.clip(np.searchsorted(edges, levels, side="right") - 1, 0, _CLASSES - 1)
    totals = np.bincount(place, np.asarray(counts, dtype=float), _CLASSES).astype(int)
    names = [f"{edges[k]:g}–{edges[k + 1]:g}" for k in range(_CLASSES)]
    return names, [int(n) for n in totals]
