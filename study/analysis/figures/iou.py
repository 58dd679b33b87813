"""Ratings and localisation, either against the other, with the fitted line and its band."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from study.analysis.cells import NOT_GIVEN
from study.analysis.columns import natural_order
from study.analysis.estimate import AnalysisError
from study.analysis.figures.style import (
    INK,
    checked_item,
    condition_colour,
    dark_template,
    empty_figure,
    titled,
    transparent,
)
from study.analysis.regression import BEST_MAP, IouRegression, iou_columns
from study.analysis.rendering import interval_of, short
from study.analysis.report.analysis import Analysis
from study.analysis.robust import ClusteredFit, fit_clustered

_JITTER = 0.3
_GOLDEN = (math.sqrt(5) - 1) / 2
_PANELS_PER_ROW = 3
_MOST_TICKS = 11
_MOST_POINTS = 1500
"""Points drawn in a panel; the line and its band always use all of them."""


def rating_against_iou(analysis: Analysis, *, item: str | None = None) -> go.Figure:
    """Draw ratings against the IoU of every map shown, with the fitted line and its band.

    Ratings are moved a little up or down, always the same way, so that equal ones can be told
    apart; of very many points an even selection is drawn.
    """
    name = checked_item(analysis, item)
    regressions = [r for r in analysis.regressions if r.item == name and r.finding is None]
    level = analysis.choices.ci_level
    title = titled(
        analysis,
        f"{name} against IoU",
        f"line: least squares; band: {100 * level:.3g} % interval of the line, clustered by case",
    )
    regressions = [r for r in regressions if r.n_readings]
    if not regressions:
        return empty_figure(title, "The table has no IoU for these ratings.")
    figure, places = _panels([_panel_title(r) for r in regressions])
    for regression, (row, column) in zip(regressions, places, strict=True):
        data = _data(analysis, regression)
        colour = condition_colour(analysis, regression.condition)
        band = None
        if regression.fit is not None:
            band = (regression.fit, level)
        label = f"{regression.condition} · {regression.map_name}"
        for trace in _traces(data, "iou", "value", colour, band, label):
            figure.add_trace(trace, row=row, col=column)
        figure.update_xaxes(title_text="IoU with the reference mask", row=row, col=column)
        if column == 1:
            figure.update_yaxes(title_text=f"Rating of {name} (points)", row=row, col=1)
    return _laid_out(figure, title, places[-1][0])


def iou_against_rating(analysis: Analysis, *, item: str | None = None) -> go.Figure:
    """Draw IoU against the rating for each finding under the first condition, as published.

    Figure 6B of Cohen et al. 2021: what localisation goes with a rating. The map is the one shown,
    or the best of several.
    """
    name = checked_item(analysis, item)
    condition = analysis.contrast[0]
    level = analysis.choices.ci_level
    columns = dict(iou_columns(analysis.ratings, condition))
    title = titled(
        analysis,
        f"IoU against {name}, condition {condition}",
        f"line: least squares of IoU on the rating; band: {100 * level:.3g} % interval of the "
        "line, clustered by case",
    )
    frame = analysis.ratings.frame
    asked = (frame["item"] == name) & (frame["condition"] == condition) & frame["value"].notna()
    if not columns:
        return empty_figure(title, "The table has no IoU for these ratings.")
    map_name = BEST_MAP if BEST_MAP in columns else next(iter(columns))
    data = frame.loc[asked].assign(iou=columns[map_name][asked])
    data = data[data["iou"].notna()]
    findings = [f for f in natural_order(data["finding"].unique()) if f != NOT_GIVEN]
    parts = [(f, data[data["finding"] == f]) for f in findings] or [("all cases", data)]
    if data.empty:
        return empty_figure(title, "The table has no IoU for these ratings.")
    fits = [_fit(part) for _, part in parts]
    titles = [
        f"{label} · {map_name}<br><sup>{_slope_words(fit, level)}</sup>"
        for (label, _), fit in zip(parts, fits, strict=True)
    ]
    figure, places = _panels(titles)
    colour = condition_colour(analysis, condition)
    for (label, part), fit, (row, column) in zip(parts, fits, places, strict=True):
        band = None if fit is None else (fit, level)
        for trace in _traces(part, "value", "iou", colour, band, label):
            figure.add_trace(trace, row=row, col=column)
        figure.update_xaxes(
            title_text=f"Rating of {name} (points)",
            dtick=1 if part["value"].max() <= _MOST_TICKS else None,
            row=row,
            col=column,
        )
        if column == 1:
            figure.update_yaxes(title_text="IoU with the reference mask", row=row, col=1)
    return _laid_out(figure, title, places[-1][0])


def _panels(titles: list[str]) -> tuple[go.Figure, list[tuple[int, int]]]:
    """Return panels that share their vertical axis, and the row and column of each."""
    n_rows = math.ceil(len(titles) / _PANELS_PER_ROW)
    n_columns = min(len(titles), _PANELS_PER_ROW)
    figure = make_subplots(
        rows=n_rows,
        cols=n_columns,
        shared_yaxes="all",
        horizontal_spacing=0.04,
        vertical_spacing=0.30 / n_rows,
        subplot_titles=titles,
    )
    for k in range(len(titles), n_rows * n_columns):
        row, column = divmod(k, n_columns)
        figure.update_xaxes(visible=False, row=row + 1, col=column + 1)
        figure.update_yaxes(visible=False, row=row + 1, col=column + 1)
    return figure, [(k // n_columns + 1, k % n_columns + 1) for k in range(len(titles))]


def _laid_out(figure: go.Figure, title: str, n_rows: int) -> go.Figure:
    figure.update_layout(
        template=dark_template(), showlegend=False, title=title, height=120 + 340 * n_rows
    )
    figure.update_annotations(font={"color": INK, "size": 12})
    return figure


def _data(analysis: Analysis, regression: IouRegression) -> pd.DataFrame:
    """Return the readings of one regression with their IoU."""
    frame = analysis.ratings.frame
    iou = dict(iou_columns(analysis.ratings, regression.condition))[regression.map_name]
    chosen = (
        (frame["item"] == regression.item)
        & (frame["condition"] == regression.condition)
        & frame["value"].notna()
        & iou.notna()
    )
    return frame[chosen].assign(iou=iou[chosen])


def _fit(part: pd.DataFrame) -> ClusteredFit | None:
    """Return the line of IoU on the rating, or ``None`` where there is none."""
    if part["value"].nunique() < 2 or part["case_id"].nunique() < 3:
        return None
    x = part["value"].to_numpy(float)
    try:
        return fit_clustered(np.column_stack([np.ones_like(x), x]), part["iou"], part["case_id"])
    except AnalysisError:
        return None


def _slope_words(fit: ClusteredFit | None, level: float) -> str:
    if fit is None:
        return "too few different ratings for a line"
    value, low, high = fit.interval((0.0, 1.0), level)
    return f"slope {short(value)} per point ({short(low)} to {short(high)})"


def _panel_title(regression: IouRegression) -> str:
    slope = regression.slope
    shown = "no line" if regression.fit is None else f"slope {short(slope.value)}"
    interval = f" ({interval_of(slope)})" if slope.ci else ""
    return f"{regression.condition} · {regression.map_name}<br><sup>{shown}{interval}</sup>"


def _traces(
    data: pd.DataFrame,
    x: str,
    y: str,
    colour: str,
    band: tuple[ClusteredFit, float] | None,
    name: str,
) -> list[go.Scatter]:
    """Return band, line and points of one panel; the rating is spread a little."""
    traces = []
    if band is not None:
        traces += _band(data[x].to_numpy(float), colour, *band)
    step = max(1, math.ceil(len(data) / _MOST_POINTS))
    drawn = data.iloc[::step]
    hover = [
        f"reader {reader}, case {case}, {finding}<br>rated {value:g}, IoU {short(iou)}"
        for reader, case, finding, value, iou in zip(
            drawn["reader"], drawn["case_id"], drawn["finding"], drawn["value"], drawn["iou"],
            strict=True,
        )
    ]  # fmt: skip
    spread = {"value": _jittered(drawn["value"]), "iou": drawn["iou"].to_numpy(float)}
    traces.append(
        go.Scatter(
            x=spread[x],
            y=spread[y],
            mode="markers",
            marker={"color": colour, "size": 7, "opacity": 0.75},
            hovertext=hover,
            hoverinfo="text",
            name=name,
        )
    )
    return traces


def _band(x: NDArray[np.float64], colour: str, fit: ClusteredFit, level: float) -> list[go.Scatter]:
    grid = np.linspace(x.min(), x.max(), 60)
    rows = np.array([fit.interval((1.0, at), level) for at in grid])  # (60, 3)
    fitted, low, high = rows.T
    return [
        go.Scatter(
            x=np.concatenate([grid, grid[::-1]]),
            y=np.concatenate([high, low[::-1]]),
            fill="toself",
            fillcolor=transparent(colour, 0.22),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            name="band",
        ),
        go.Scatter(
            x=grid,
            y=fitted,
            mode="lines",
            line={"color": colour, "width": 2},
            hoverinfo="skip",
            name="line",
        ),
    ]


def _jittered(values: pd.Series) -> NDArray[np.float64]:
    """Move values by up to ±0.15 points, evenly and the same way every time."""
    steps = (np.arange(1, len(values) + 1) * _GOLDEN) % 1 - 0.5
    return values.to_numpy(float) + _JITTER * steps
