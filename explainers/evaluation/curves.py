"""Figures of curves: the mean of a quantity over x, a band for its interval, a line per method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from explainers.evaluation.summary import POOLED

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8C8C00")
"""The palette of Okabe and Ito, which colour-blind readers can tell apart; yellow darkened."""

DASHES = ("solid", "dash", "dot", "dashdot")
"""Where there are more methods than colours, the next dash starts."""

GREY = "#5f6368"
PANEL_HEIGHT_PX = 360
_COLUMNS = 3

Row: TypeAlias = tuple[str, str, str, str, str, float, float]
"""case_id, finding, classifier, method, quantity, x, value."""


@dataclass(frozen=True)
class Panel:
    """One panel of a figure.

    Parameters
    ----------
    quantity
        Which rows of the summary are drawn.
    title, y_title
        Above the panel, and at its axis, with the unit.
    finding
        Whose rows; pooled by default.
    y_range
        Of the axis, ``None`` for what the data need.
    """

    quantity: str
    title: str
    y_title: str
    finding: str = POOLED
    y_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Axis:
    """The x axis that the panels of a figure share.

    Parameters
    ----------
    title
        With the unit.
    ticks
        Positions and their labels; the axis' own where empty.
    """

    title: str
    ticks: Mapping[float, str] | None = None


def long_rows(
    pairs: Sequence[tuple[str, str]],
    classifier: str,
    method: str,
    quantity: str,
    x: float,
    values: Iterable[float],
) -> list[Row]:
    """Return one row per pair of case and finding."""
    return [
        (case_id, finding, classifier, method, quantity, float(x), float(value))
        for (case_id, finding), value in zip(pairs, values, strict=True)
    ]


def by_classifier(
    summary: pd.DataFrame, draw: Callable[[pd.DataFrame, str], list[go.Figure]]
) -> list[go.Figure]:
    """Draw the figures of every classifier; titles name it where there are several."""
    labels = list(dict.fromkeys(summary["classifier"]))
    figures = []
    for label in labels:
        part = summary[summary["classifier"] == label]
        figures += draw(part, f"{label}: " if len(labels) > 1 else "")
    return figures


def findings_of(summary: pd.DataFrame) -> list[str]:
    """Return the findings of a summary by name, without the pooled one."""
    return sorted(set(summary["finding"]) - {POOLED})


def pooled_name(summary: pd.DataFrame) -> str:
    """Return the name of the pooled rows: that of the only finding where there is but one."""
    names = findings_of(summary)
    return POOLED if POOLED in set(summary["finding"]) or not names else names[0]


def draw_curves(
    summary: pd.DataFrame,
    title: str,
    panels: Sequence[Panel],
    axis: Axis,
    references: Sequence[str] = (),
) -> go.Figure:
    """Draw panels side by side, three a row.

    Parameters
    ----------
    summary
        Of one classifier: finding, method, quantity, x, mean, low, high, n_cases.
    panels
        What to draw; a panel without rows says so.
    references
        Methods drawn in grey, such as a random order.
    """
    n_columns = min(_COLUMNS, len(panels))
    n_rows = -(-len(panels) // n_columns)
    figure = make_subplots(
        n_rows,
        n_columns,
        subplot_titles=[each.title for each in panels],
        horizontal_spacing=0.09,
        vertical_spacing=0.16 if n_rows < 3 else 0.1,
    )
    chosen = summary[summary["quantity"].isin({each.quantity for each in panels})]
    pooled = pooled_name(summary)
    styles = _styles(chosen["method"], references)
    named: set[str] = set()
    for number, panel in enumerate(panels):
        place = {"row": number // n_columns + 1, "col": number % n_columns + 1}
        finding = pooled if panel.finding == POOLED else panel.finding
        rows = chosen[(chosen["quantity"] == panel.quantity) & (chosen["finding"] == finding)]
        for method, part in rows.groupby("method", sort=False):
            _add_curve(figure, part.sort_values("x"), str(method), styles, named, place)
        if not len(rows):
            figure.add_annotation(text="nothing measured", showarrow=False, x=0.5, y=0.5, **place)
        figure.update_yaxes(title_text=panel.y_title, range=panel.y_range, **place)
        figure.update_xaxes(title_text=axis.title, **place)
        if axis.ticks:
            figure.update_xaxes(
                tickvals=list(axis.ticks), ticktext=list(axis.ticks.values()), **place
            )
    figure.update_layout(
        title=title,
        template="plotly_white",
        height=PANEL_HEIGHT_PX * n_rows + 140,
        legend={"orientation": "h", "y": -0.22 / n_rows, "yanchor": "top"},
        margin={"l": 64, "r": 24, "t": 88, "b": 96},
    )
    return figure


def _add_curve(
    figure: go.Figure,
    part: pd.DataFrame,
    method: str,
    styles: Mapping[str, tuple[str, str]],
    named: set[str],
    place: Mapping[str, int],
) -> None:
    colour, dash = styles[method]
    x = part["x"].to_numpy(float)
    low, high = part["low"].to_numpy(float), part["high"].to_numpy(float)
    known = np.isfinite(low) & np.isfinite(high)
    if known.any():
        figure.add_trace(
            go.Scatter(
                x=np.concatenate([x[known], x[known][::-1]]),
                y=np.concatenate([high[known], low[known][::-1]]),
                mode="lines",
                fill="toself",
                fillcolor=_faint(colour),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
                legendgroup=method,
            ),
            **place,
        )
    figure.add_trace(
        go.Scatter(
            x=x,
            y=part["mean"],
            mode="lines+markers",
            name=method,
            legendgroup=method,
            showlegend=method not in named,
            line={"color": colour, "dash": dash, "width": 2},
            marker={"size": 5},
            customdata=np.stack([low, high, part["n_cases"].to_numpy(float)], axis=1),
            hovertemplate="%{x:g}: %{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}], "
            "%{customdata[2]:.0f} cases<extra>" + method + "</extra>",
        ),
        **place,
    )
    named.add(method)


def _styles(methods: Iterable[str], references: Sequence[str]) -> dict[str, tuple[str, str]]:
    styles, number = {}, 0
    for method in dict.fromkeys(methods):
        if method in references:
            styles[method] = (GREY, "dot")
            continue
        colour = COLOURS[number % len(COLOURS)]
        styles[method] = (colour, DASHES[number // len(COLOURS) % len(DASHES)])
        number += 1
    return styles


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.14)"
