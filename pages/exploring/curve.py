"""The prediction along the moving film: f(x'_λ) against λ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explainers.record import Counterfactual
from pages.exploring.request import SHIFT_AXIS

_PAGE, _PLOT, _GRID, _INK, _MUTED = "#0b0d10", "#12151a", "#2a3038", "#c9d0d8", "#8d96a1"
_LINE, _MARK, _GOAL = "#56b4e9", "#e69f00", "#cc79a7"
_RESIDUAL = "#009e73"
_NEAR_TOP = 0.9
HEIGHT_PX = 222


def prediction_curve(
    film: Counterfactual,
    goals: Sequence[float] = (),
    residual: NDArray[np.float64] | None = None,
    *,
    axis: str = SHIFT_AXIS,
    word: str = "λ",
    origin: str = "reconstruction",
) -> go.Figure:
    """Draw the probability of every frame against its step.

    The operating point is marked at 0.5, f(x) of the film itself as a line, f(x'_0) of the
    reconstruction as a point, and the range of λ that the search chose by its two ends.

    Parameters
    ----------
    film
        The moving film.
    goals
        Probabilities that the search was to find, marked at the sides.
    residual
        (T,), f of the residual frames, drawn as a second line.
    axis, word
        What the steps count: for the axis, and in a word.
    origin
        What the unshifted frame is.

    Returns
    -------
    Figure
        Points that stand for a frame carry its number from 1 as ``customdata``.
    """
    low, high = float(film.steps[0]), float(film.steps[-1])
    figure = go.Figure()
    figure.add_vrect(x0=low, x1=high, fillcolor="#1a2027", line_width=0, layer="below")
    lines = [
        (0.5, _MUTED, "dash", "operating point 0.5", "bottom right"),
        (film.probability_image, _MARK, "dot", "f(x), the film", "top left"),
    ]
    for y, colour, dash, text, place in lines:
        figure.add_hline(
            y=y,
            line={"color": colour, "dash": dash, "width": 1.5 if dash == "dot" else 1},
            annotation={"text": text, "font": {"color": colour, "size": 11}},
            annotation_position=place,
        )
    figure.add_scatter(
        x=film.steps,
        y=film.probabilities,
        mode="lines+markers",
        line={"color": _LINE, "width": 2},
        marker={"size": 5},
        name="f(x′λ)",
        customdata=list(range(1, len(film.steps) + 1)),
        hovertemplate=f"frame %{{customdata}}<br>{word} %{{x:.3g}}<br>f %{{y:.3f}}<extra></extra>",
    )
    figure.add_scatter(
        x=[0.0],
        y=[film.probability_reconstruction],
        mode="markers+text",
        marker={"size": 11, "color": _INK, "symbol": "diamond"},
        text=["f(x′₀)"],
        customdata=[film.origin + 1],
        textposition="bottom right",
        textfont={"size": 11},
        name="f(x′₀)",
        hovertemplate=f"{origin}<br>f %{{y:.3f}}<extra></extra>",
    )
    _add_goals(figure, film, goals)
    if residual is not None:
        figure.add_scatter(
            x=film.steps,
            y=residual,
            mode="lines+markers",
            line={"color": _RESIDUAL, "width": 1.5, "dash": "dot"},
            marker={"size": 4},
            name="f of the residual frame",
            customdata=list(range(1, len(film.steps) + 1)),
            hovertemplate=f"residual frame %{{customdata}}<br>{word} "
            "%{x:.3g}<br>f %{y:.3f}<extra></extra>",
        )
        ends = residual[[0, -1]]
        end = int(ends.argmax())  # at the lower one stand the names of the frames
        figure.add_annotation(
            x=(low, high)[end],
            y=float(ends[end]),
            text="residual",
            showarrow=False,
            xanchor=("left", "right")[end],
            yanchor="bottom" if ends[end] < _NEAR_TOP else "top",
            font={"size": 11, "color": _RESIDUAL},
        )
    figure.update_traces(unselected={"marker": {"opacity": 1}, "textfont": {"color": _INK}})
    for x, text, anchor in ((low, "lowest frame", "left"), (high, "highest frame", "right")):
        figure.add_annotation(
            x=x,
            y=0.02,
            yref="paper",
            text=text,
            showarrow=False,
            xanchor=anchor,
            font={"size": 11, "color": _MUTED},
        )
    grid = {"gridcolor": _GRID, "zerolinecolor": _GRID, "linecolor": _GRID}
    figure.update_xaxes(title=axis, **grid)
    figure.update_yaxes(title="probability", range=[-0.04, 1.06], dtick=0.25, **grid)
    figure.update_layout(
        paper_bgcolor=_PAGE,
        plot_bgcolor=_PLOT,
        font={"color": _INK, "size": 12},
        margin={"l": 55, "r": 10, "t": 10, "b": 40},
        height=HEIGHT_PX,
        showlegend=False,
        dragmode=False,
    )
    return figure


def _add_goals(figure: go.Figure, film: Counterfactual, goals: Sequence[float]) -> None:
    """Mark what was searched for, at the end of the film that was to reach it."""
    start = film.probability_reconstruction
    ends = [float(film.steps[0] if goal < start else film.steps[-1]) for goal in goals]
    if goals:
        figure.add_scatter(
            x=ends,
            y=list(goals),
            mode="markers",
            marker={"size": 13, "color": _GOAL, "symbol": "line-ew-open", "line": {"width": 3}},
            name="goal",
            hovertemplate="searched for<br>f %{y:.3f}<extra></extra>",
        )
