"""Figures of an analysis (plotly), drawn for a near-black page.

Every condition keeps one colour of the Okabe–Ito palette, which colour-blind readers can tell
apart; correctness is told by the shape of the marker as well. Every function takes an
:class:`~study.analysis.report.Analysis` and an item (``None``: the primary item) and returns a
``plotly.graph_objects.Figure``; where there is nothing to draw the figure says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from study.analysis.columns import natural_order
from study.analysis.estimate import AnalysisError
from study.analysis.regression import IouRegression, iou_columns
from study.analysis.rendering import interval_of, label_of, readers_and_cases, short, short_p
from study.analysis.report import Analysis
from study.analysis.summary import PairedDifference, RatingSummary

PAGE = "#0b0d10"
PLOT = "#12151a"
GRID = "#2a3038"
INK = "#c9d0d8"
MUTED = "#8d96a1"

_OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2")
_MARKERS = {
    "true_positive": ("circle", "#e3e7ec"),
    "false_positive": ("diamond-open", "#aab3bd"),
    "true_negative": ("square", "#e3e7ec"),
    "false_negative": ("x", "#aab3bd"),
    "all": ("circle", "#e3e7ec"),
}
_JITTER = 0.3
_GOLDEN = (math.sqrt(5) - 1) / 2
_PANELS_PER_ROW = 3


@dataclass(frozen=True, eq=False)
class NamedFigure:
    """A figure with a name fit for a file and a title in words."""

    name: str
    title: str
    figure: go.Figure


def dark_template() -> go.layout.Template:
    """Return the template shared by all figures: near-black ground, no pure white."""
    axis = {
        "gridcolor": GRID,
        "zerolinecolor": MUTED,
        "linecolor": GRID,
        "tickcolor": GRID,
        "automargin": True,
        "title": {"standoff": 12, "font": {"size": 13}},
    }
    return go.layout.Template(
        layout={
            "paper_bgcolor": PAGE,
            "plot_bgcolor": PLOT,
            "font": {"color": INK, "size": 13},
            "title": {"font": {"size": 16}, "x": 0.01, "xanchor": "left"},
            "xaxis": axis,
            "yaxis": axis,
            "legend": {
                "bgcolor": "rgba(0,0,0,0)",
                "orientation": "h",
                "y": 1.0,
                "yanchor": "bottom",
            },
            "hoverlabel": {"bgcolor": PLOT, "bordercolor": GRID, "font": {"color": INK}},
            "margin": {"l": 60, "r": 24, "t": 96, "b": 56},
            "colorway": list(_OKABE_ITO),
        }
    )


def condition_colour(analysis: Analysis, condition: str) -> str:
    """Return the colour that ``condition`` has in every figure of ``analysis``."""
    return _OKABE_ITO[analysis.conditions.index(condition) % len(_OKABE_ITO)]


def differences_by_finding(analysis: Analysis, *, item: str | None = None) -> go.Figure:
    """Draw the mean difference of each finding with its interval, for each correctness."""
    return _forest(analysis, _item(analysis, item), by="finding")


def differences_by_reader(analysis: Analysis, *, item: str | None = None) -> go.Figure:
    """Draw the mean difference of each reader with its interval, for each correctness."""
    return _forest(analysis, _item(analysis, item), by="reader")


def likert_distribution(analysis: Analysis, *, item: str | None = None) -> go.Figure:
    """Draw the share of every rating per condition and correctness as diverging stacked bars.

    Ratings below the middle of the scale lie to the left of 0, above it to the right; the middle
    one is split. The stronger the condition's colour, the higher the rating.
    """
    name = _item(analysis, item)
    summaries = [s for s in analysis.rating_summaries if s.item == name]
    kinds = list(dict.fromkeys(s.correctness for s in summaries))
    if len(kinds) == 2:  # one correctness and "all" are the same ratings
        summaries = [s for s in summaries if s.correctness != "all"]
    figure = go.Figure()
    rows = [f"{label_of(s.correctness)} · {s.condition}" for s in summaries]
    for summary, row in zip(summaries, rows, strict=True):
        for bar in _likert_bars(summary, row, condition_colour(analysis, summary.condition)):
            figure.add_trace(bar)
    figure.update_layout(
        template=dark_template(),
        barmode="overlay",
        showlegend=False,
        height=170 + 38 * len(rows),
        title=_title(analysis, f"{name}: ratings by condition", "low ratings left, high right"),
    )
    figure.update_xaxes(title_text="Share of ratings (%), from the middle of the scale")
    figure.update_yaxes(
        title_text="Cases · condition", categoryorder="array", categoryarray=rows[::-1]
    )
    return figure


def rating_against_iou(analysis: Analysis, *, item: str | None = None) -> go.Figure:
    """Draw ratings against the IoU of every map shown, with the fitted line and its band.

    Ratings are moved a little up or down, always the same way, so that equal ones can be told
    apart.
    """
    name = _item(analysis, item)
    regressions = [r for r in analysis.regressions if r.item == name and r.finding is None]
    level = analysis.choices.ci_level
    title = _title(
        analysis,
        f"{name} against IoU",
        f"line: least squares; band: {100 * level:.3g} % interval of the line, clustered by case",
    )
    regressions = [r for r in regressions if r.n_readings]
    if not regressions:
        return _empty(title, "The table has no IoU for these ratings.")
    n_rows = math.ceil(len(regressions) / _PANELS_PER_ROW)
    n_columns = min(len(regressions), _PANELS_PER_ROW)
    figure = make_subplots(
        rows=n_rows,
        cols=n_columns,
        shared_yaxes="all",
        horizontal_spacing=0.04,
        vertical_spacing=0.30 / n_rows,
        subplot_titles=[_panel_title(r) for r in regressions],
    )
    for k, regression in enumerate(regressions):
        row, column = divmod(k, n_columns)
        for trace in _regression_traces(analysis, regression, level):
            figure.add_trace(trace, row=row + 1, col=column + 1)
        figure.update_xaxes(title_text="IoU with the reference mask", row=row + 1, col=column + 1)
        if column == 0:
            figure.update_yaxes(title_text=f"Rating of {name} (points)", row=row + 1, col=1)
    for k in range(len(regressions), n_rows * n_columns):
        row, column = divmod(k, n_columns)
        figure.update_xaxes(visible=False, row=row + 1, col=column + 1)
        figure.update_yaxes(visible=False, row=row + 1, col=column + 1)
    figure.update_layout(
        template=dark_template(), showlegend=False, title=title, height=120 + 340 * n_rows
    )
    figure.update_annotations(font={"color": INK, "size": 12})
    return figure


def all_figures(analysis: Analysis, *, item: str | None = None) -> tuple[NamedFigure, ...]:
    """Return every figure of one item, in the order in which they are read."""
    name = _item(analysis, item)
    drawn: tuple[tuple[str, str, Callable[..., go.Figure]], ...] = (
        ("differences_by_finding", "Differences by finding", differences_by_finding),
        ("differences_by_reader", "Differences by reader", differences_by_reader),
        ("ratings", "Ratings by condition", likert_distribution),
        ("rating_against_iou", "Ratings against IoU", rating_against_iou),
    )
    return tuple(
        NamedFigure(f"{name}-{short_name}", f"{title}: {name}", draw(analysis, item=name))
        for short_name, title, draw in drawn
    )


def _item(analysis: Analysis, item: str | None) -> str:
    if item is None:
        return analysis.primary.item
    if item not in analysis.items:
        raise AnalysisError(
            f"There is no figure of {item!r}; there are pairs of {', '.join(analysis.items)}."
        )
    return item


def _title(analysis: Analysis, main: str, explanation: str) -> str:
    simulated = f"{analysis.provenance.capitalize()} · " if analysis.provenance else ""
    return f"{simulated}{main}<br><sup>{explanation}</sup>"


def _empty(title: str, sentence: str) -> go.Figure:
    figure = go.Figure()
    figure.add_annotation(text=sentence, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    figure.update_layout(template=dark_template(), title=title, height=220)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def _forest(analysis: Analysis, item: str, *, by: str) -> go.Figure:
    """Draw mean differences with intervals, one row per finding or reader and one for all."""
    other = "reader" if by == "finding" else "finding"
    groups = [g for g in analysis.differences if g.item == item and getattr(g, other) is None]
    kinds = list(dict.fromkeys(g.correctness for g in groups))
    if len(kinds) > 1:
        kinds.remove("all")
    names = natural_order([getattr(g, by) for g in groups if getattr(g, by) is not None])
    together = f"all {by}s"
    rows = [*names, together]
    figure = go.Figure()
    for k, kind in enumerate(kinds):
        offset = (k - (len(kinds) - 1) / 2) * 0.22
        chosen = [g for g in groups if g.correctness == kind]
        at = [rows.index(getattr(g, by) or together) + offset for g in chosen]
        figure.add_trace(_forest_trace(chosen, at, kind, by=by, together=together))
    first, second = analysis.contrast
    level = f"{100 * analysis.choices.ci_level:.3g}"
    figure.add_vline(x=0, line={"color": MUTED, "width": 1, "dash": "dot"})
    figure.update_layout(
        template=dark_template(),
        height=190 + 52 * len(rows),
        title=_title(
            analysis,
            f"{item}: {first} − {second} by {by}",
            f"mean difference with {level} % interval clustered by case; speaks for these readers",
        ),
    )
    figure.update_xaxes(
        title_text=f"Mean difference {first} − {second} (points of the rating scale)"
    )
    figure.update_yaxes(
        title_text=by.capitalize(),
        tickmode="array",
        tickvals=list(range(len(rows))),
        ticktext=rows,
        range=[len(rows) - 0.5, -0.5],
        zeroline=False,
    )
    return figure


def _forest_trace(
    groups: Sequence[PairedDifference],
    at: Sequence[float],
    kind: str,
    *,
    by: str,
    together: str,
) -> go.Scatter:
    symbol, colour = _MARKERS.get(kind, _MARKERS["all"])
    limits = [g.mean_difference.ci or (g.mean, g.mean) for g in groups]
    hover = [
        f"{getattr(g, by) or together}, {label_of(kind)}<br>"
        f"mean {short(g.mean)}, interval {interval_of(g.mean_difference)}<br>"
        f"up {g.n_up}, down {g.n_down}, zero {g.n_zero}; "
        f"signed rank p {short_p(g.signed_rank.p_value)} ({g.signed_rank.population})<br>"
        f"{readers_and_cases(g.n_readers, g.n_cases, g.n_pairs)}"
        for g in groups
    ]
    return go.Scatter(
        x=[g.mean for g in groups],
        y=list(at),
        mode="markers",
        name=label_of(kind),
        marker={"symbol": symbol, "size": 10, "color": colour, "line": {"width": 1.5}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [high - g.mean for g, (_, high) in zip(groups, limits, strict=True)],
            "arrayminus": [g.mean - low for g, (low, _) in zip(groups, limits, strict=True)],
            "color": colour,
            "thickness": 1.5,
            "width": 4,
        },
        hovertext=hover,
        hoverinfo="text",
    )


def _likert_bars(summary: RatingSummary, row: str, colour: str) -> list[go.Bar]:
    """Return the segments of one diverging bar, from the lowest rating to the highest."""
    shares = 100 * np.array(summary.counts) / summary.n  # (levels,)
    n_levels = len(summary.levels)
    below = n_levels // 2
    start = -float(shares[:below].sum())
    if n_levels % 2:
        start -= float(shares[below]) / 2
    bars = []
    for k, (level, count, share) in enumerate(
        zip(summary.levels, summary.counts, shares, strict=True)
    ):
        strength = 0.22 + 0.78 * k / max(n_levels - 1, 1)
        bars.append(
            go.Bar(
                x=[float(share)],
                y=[row],
                base=[start],
                orientation="h",
                marker={"color": _mixed(colour, strength), "line": {"color": PAGE, "width": 1}},
                text=[str(level) if share >= 4 else ""],
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


def _mixed(colour: str, strength: float) -> str:
    """Return ``colour`` mixed into the plot's ground; ``strength`` in [0, 1]."""
    top = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    ground = [int(PLOT[i : i + 2], 16) for i in (1, 3, 5)]
    mixed = (round(strength * t + (1 - strength) * g) for t, g in zip(top, ground, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _panel_title(regression: IouRegression) -> str:
    slope = regression.slope
    shown = "no line" if regression.fit is None else f"slope {short(slope.value)}"
    interval = f" ({interval_of(slope)})" if slope.ci else ""
    return f"{regression.condition} · {regression.map_name}<br><sup>{shown}{interval}</sup>"


def _regression_traces(
    analysis: Analysis, regression: IouRegression, level: float
) -> list[go.Scatter]:
    """Return points, band and line of one panel."""
    colour = condition_colour(analysis, regression.condition)
    frame = analysis.ratings.frame
    iou = dict(iou_columns(analysis.ratings, regression.condition))[regression.map_name]
    chosen = (
        (frame["item"] == regression.item)
        & (frame["condition"] == regression.condition)
        & frame["value"].notna()
        & iou.notna()
    )
    points, x = frame[chosen], iou[chosen].to_numpy(float)
    traces = []
    grid = np.linspace(x.min(), x.max(), 60)
    band = regression.band(grid, level)
    if band is not None:
        fitted, low, high = band
        traces.append(
            go.Scatter(
                x=np.concatenate([grid, grid[::-1]]),
                y=np.concatenate([high, low[::-1]]),
                fill="toself",
                fillcolor=_transparent(colour, 0.22),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                name="band",
            )
        )
        traces.append(
            go.Scatter(
                x=grid,
                y=fitted,
                mode="lines",
                line={"color": colour, "width": 2},
                hoverinfo="skip",
                name="line",
            )
        )
    hover = [
        f"reader {reader}, case {case}, {finding}<br>rated {value:g}, IoU {short(at)}"
        for reader, case, finding, value, at in zip(
            points["reader"], points["case_id"], points["finding"], points["value"], x, strict=True
        )
    ]
    traces.append(
        go.Scatter(
            x=x,
            y=_jittered(points["value"]),
            mode="markers",
            marker={"color": colour, "size": 7, "opacity": 0.75},
            hovertext=hover,
            hoverinfo="text",
            name=f"{regression.condition} · {regression.map_name}",
        )
    )
    return traces


def _jittered(values: pd.Series) -> NDArray[np.float64]:
    """Move values by up to ±0.15 points, evenly and the same way every time."""
    steps = (np.arange(1, len(values) + 1) * _GOLDEN) % 1 - 0.5
    return values.to_numpy(float) + _JITTER * steps


def _transparent(colour: str, alpha: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
