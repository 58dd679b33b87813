"""Figures of the bench ``counterfactual``: bars with intervals, and errors along λ."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from explainers.evaluation.summary import POOLED

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8C8C00")
"""The palette of Okabe and Ito, which colour-blind readers can tell apart; yellow darkened."""

GREYS = {
    "do_nothing": "#9aa0a6",
    "autoencoder_ceiling": "#5f6368",
    "true_counterfactual": "#202124",
}
WANTED_REDUCTION = 0.25
"""Share of the error inside the mask that a useful counterfactual saves; a dotted line."""

_PANELS_PER_ROW = 3
_KEYS = ["finding", "method"]


def draw(table: pd.DataFrame, summary: pd.DataFrame) -> list[go.Figure]:
    """Draw every figure, for every classifier.

    Parameters
    ----------
    table
        Long rows of the bench.
    summary
        Their means with intervals: classifier, finding, method, quantity, x, mean, low, high,
        n_cases.
    """
    figures = []
    labels = list(dict.fromkeys(summary["classifier"]))
    for label in labels:
        part = summary[summary["classifier"] == label]
        prefix = f"{label}: " if len(labels) > 1 else ""
        for quantity, title, axis in (
            ("flip", "predictions flipped, residual frame", "share of positive films"),
            ("flip_oracle", "independent classifier flipped", "share of films it calls positive"),
            ("error_inside", "error inside the mask", "grey levels from the true counterfactual"),
            ("error_film", "error over the whole film", "grey levels from the true counterfactual"),
        ):
            rows = part[part["quantity"] == quantity]
            if len(rows):
                figures.append(bars(rows, f"{prefix}{title}", axis))
        saved = saved_share(part)
        if len(saved):
            title = f"{prefix}error inside the mask saved, of doing nothing"
            figure = bars(saved, title, "saved / mean error of doing nothing; higher is better")
            figure.add_hline(y=WANTED_REDUCTION, line={"dash": "dot", "color": "#9aa0a6"})
            figures.append(figure)
        if (part["quantity"] == "curve_error_inside").any():
            figures.append(curves(part, f"{prefix}error inside the mask on the way down"))
    return figures


def saved_share(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the error saved inside the mask over that of doing nothing, as a ratio of means.

    A mean of ratios would be ruled by the cases whose finding hardly shows. The interval is that
    of the error saved, divided by the mean error of doing nothing.

    Parameters
    ----------
    summary
        Of one classifier.

    Returns
    -------
    DataFrame
        As ``summary``, quantity ``saved_inside``; empty where there are no true counterfactuals.
    """
    trivial = summary["method"].isin(["do_nothing", "true_counterfactual"])
    saved = summary[(summary["quantity"] == "saved_inside") & ~trivial]
    chosen = (summary["quantity"] == "error_inside") & (summary["method"] == "do_nothing")
    nothing = summary[chosen].set_index("finding")["mean"]
    saved = saved[saved["finding"].isin(nothing.index)].copy()
    divisor = nothing.loc[saved["finding"]].to_numpy()
    for column in ("mean", "low", "high"):
        saved[column] = saved[column] / np.where(divisor > 0, divisor, np.nan)
    return saved[saved["mean"].notna()]


def bars(rows: pd.DataFrame, title: str, axis: str) -> go.Figure:
    """Draw one bar per finding and method, with its interval and the number of cases."""
    figure = go.Figure()
    findings = _findings(rows)
    for method, colour in _colours(rows["method"]).items():
        part = rows[rows["method"] == method].set_index("finding")
        names = [each for each in findings if each in part.index]
        mean, low, high = (part.loc[names, each] for each in ("mean", "low", "high"))
        figure.add_trace(
            go.Bar(
                x=[_label(each) for each in names],
                y=mean,
                name=method,
                marker_color=colour,
                error_y={
                    "type": "data",
                    "array": (high - mean).clip(lower=0).fillna(0),
                    "arrayminus": (mean - low).clip(lower=0).fillna(0),
                    "thickness": 1.2,
                    "width": 3,
                },
                customdata=part.loc[names, "n_cases"],
                hovertemplate="%{x}<br>%{y:.3g} (%{customdata} cases)<extra>" + method + "</extra>",
            )
        )
    figure.update_layout(
        title=title,
        barmode="group",
        template="plotly_white",
        height=420,
        legend={"orientation": "h", "y": -0.16},
        margin={"l": 64, "r": 24, "t": 56, "b": 48},
    )
    figure.update_yaxes(title_text=axis, rangemode="tozero")
    return figure


def curves(summary: pd.DataFrame, title: str) -> go.Figure:
    """Draw the error inside the mask against the probability, both means over cases, along λ.

    A perfect explainer walks to the lower left: the prediction falls and the error vanishes.
    """
    wide = _curve_points(summary)
    nothing = summary[(summary["method"] == "do_nothing") & (summary["quantity"] == "error_inside")]
    findings = _findings(wide)
    n_columns = min(len(findings), _PANELS_PER_ROW)
    n_rows = math.ceil(len(findings) / n_columns)
    figure = make_subplots(
        n_rows,
        n_columns,
        subplot_titles=[_label(each) for each in findings],
        horizontal_spacing=0.07,
        vertical_spacing=0.16 if n_rows > 1 else 0.1,
    )
    colours = _colours(wide["method"])
    for number, finding in enumerate(findings):
        place = {"row": number // n_columns + 1, "col": number % n_columns + 1}
        for method, colour in colours.items():
            part = wide[(wide["finding"] == finding) & (wide["method"] == method)].sort_values("x")
            figure.add_trace(
                go.Scatter(
                    x=part["probability"],
                    y=part["error"],
                    mode="lines+markers",
                    marker={"size": 5},
                    line={"color": colour},
                    name=method,
                    legendgroup=method,
                    showlegend=number == 0,
                    hovertemplate="p %{x:.2f}, error %{y:.2f}<extra>" + method + "</extra>",
                ),
                **place,
            )
        for level in nothing.loc[nothing["finding"] == finding, "mean"]:
            figure.add_hline(y=level, line={"dash": "dot", "color": "#9aa0a6"}, **place)
        _mark_ideal(figure, place)
    figure.update_xaxes(range=[0, 1], title_text="f of the residual frame")
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title_text="error (grey levels)", col=1)
    figure.update_layout(
        title=f"{title} (dotted: doing nothing; arrow: the ideal way)",
        template="plotly_white",
        height=90 + 300 * n_rows,
        legend={"orientation": "h", "y": -0.14 if n_rows > 1 else -0.3},
        margin={"l": 64, "r": 24, "t": 84, "b": 64},
    )
    return figure


def _curve_points(summary: pd.DataFrame) -> pd.DataFrame:
    """Join probability and error of every point of the way: finding, method, x, both means."""
    keys = [*_KEYS, "x"]
    sides = [
        summary.loc[summary["quantity"] == quantity, [*keys, "mean"]].rename(columns={"mean": name})
        for quantity, name in (
            ("curve_probability", "probability"),
            ("curve_error_inside", "error"),
        )
    ]
    return sides[0].merge(sides[1], on=keys)


def _mark_ideal(figure: go.Figure, place: dict[str, int]) -> None:
    """Draw an arrow to where the prediction and the error are 0."""
    figure.add_annotation(
        x=0,
        y=0,
        ax=46,
        ay=-46,
        text="ideal",
        font={"size": 11, "color": "#5f6368"},
        showarrow=True,
        arrowhead=2,
        arrowcolor="#5f6368",
        **place,
    )


def _findings(rows: pd.DataFrame) -> list[str]:
    """Return the findings in order of appearance, the pooled one last."""
    names = [each for each in dict.fromkeys(rows["finding"]) if each != POOLED]
    return names + [POOLED] * bool((rows["finding"] == POOLED).any())


def _label(finding: str) -> str:
    return "all findings" if finding == POOLED else finding


def _colours(methods: Sequence[str] | pd.Series) -> dict[str, str]:
    """Give every method its colour: references are grey and come last."""
    names = list(dict.fromkeys(methods))
    real = [each for each in names if each not in GREYS]
    chosen = {each: COLOURS[number % len(COLOURS)] for number, each in enumerate(real)}
    return chosen | {each: GREYS[each] for each in GREYS if each in names}
