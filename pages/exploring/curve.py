"""The prediction along the moving film: f(x'_λ) against λ."""

from __future__ import annotations

import plotly.graph_objects as go

from explainers.record import Counterfactual

_PAGE, _PLOT, _GRID, _INK, _MUTED = "#0b0d10", "#12151a", "#2a3038", "#c9d0d8", "#8d96a1"
_LINE, _MARK = "#56b4e9", "#e69f00"


def prediction_curve(film: Counterfactual) -> go.Figure:
    """Draw the probability of every frame against its step.

    The operating point is marked at 0.5, f(x) of the film itself as a line, f(x'_0) of the
    reconstruction as a point, and the range of λ that the search chose by its two ends.
    """
    low, high = float(film.steps[0]), float(film.steps[-1])
    at_origin = film.probability_reconstruction
    figure = go.Figure()
    figure.add_vrect(x0=low, x1=high, fillcolor="#1a2027", line_width=0, layer="below")
    figure.add_hline(
        y=0.5,
        line={"color": _MUTED, "dash": "dash", "width": 1},
        annotation={"text": "operating point 0.5", "font": {"color": _MUTED, "size": 11}},
        annotation_position="bottom right",
    )
    figure.add_hline(
        y=film.probability_image,
        line={"color": _MARK, "dash": "dot", "width": 1.5},
        annotation={"text": "f(x), the film", "font": {"color": _MARK, "size": 11}},
        annotation_position="top left",
    )
    figure.add_scatter(
        x=film.steps,
        y=film.probabilities,
        mode="lines+markers",
        line={"color": _LINE, "width": 2},
        marker={"size": 5},
        name="f(x′λ)",
        hovertemplate="λ %{x:.3g}<br>f %{y:.3f}<extra></extra>",
    )
    figure.add_scatter(
        x=[0.0],
        y=[at_origin],
        mode="markers",
        marker={"size": 11, "color": _INK, "symbol": "diamond"},
        name="f(x′₀)",
        hovertemplate="reconstruction<br>f %{y:.3f}<extra></extra>",
    )
    for x, text, anchor in ((low, "lowest λ", "left"), (high, "highest λ", "right")):
        figure.add_annotation(
            x=x,
            y=0.02,
            yref="paper",
            text=text,
            showarrow=False,
            xanchor=anchor,
            font={"size": 11, "color": _MUTED},
        )
    axis = {"gridcolor": _GRID, "zerolinecolor": _GRID, "linecolor": _GRID}
    figure.update_xaxes(title="λ, step in latent space along the gradient of the logit", **axis)
    figure.update_yaxes(title="probability", range=[-0.02, 1.02], dtick=0.25, **axis)
    figure.update_layout(
        paper_bgcolor=_PAGE,
        plot_bgcolor=_PLOT,
        font={"color": _INK, "size": 12},
        margin={"l": 55, "r": 10, "t": 10, "b": 40},
        height=235,
        showlegend=False,
    )
    return figure
