"""What all figures share: colours, template, titles, and what to draw where there is nothing.

Every condition keeps one colour of the Okabe–Ito palette, which colour-blind readers can tell
apart; correctness is told by the shape of a marker and conditions by their dash or their name as
well, never by colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from study.analysis.estimate import AnalysisError
from study.analysis.report.analysis import Analysis

PAGE = "#0b0d10"
PLOT = "#12151a"
GRID = "#2a3038"
INK = "#c9d0d8"
MUTED = "#8d96a1"

OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MARKERS = {
    "true_positive": ("circle", "#e3e7ec"),
    "false_positive": ("diamond-open", "#aab3bd"),
    "true_negative": ("square", "#e3e7ec"),
    "false_negative": ("x", "#aab3bd"),
    "all": ("circle", "#e3e7ec"),
}


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
            "colorway": list(OKABE_ITO),
        }
    )


def condition_colour(analysis: Analysis, condition: str) -> str:
    """Return the colour that ``condition`` has in every figure of ``analysis``."""
    return OKABE_ITO[analysis.conditions.index(condition) % len(OKABE_ITO)]


def condition_dash(analysis: Analysis, condition: str) -> str:
    """Return the dash that the lines of ``condition`` have, beside their colour."""
    return _DASHES[analysis.conditions.index(condition) % len(_DASHES)]


def checked_item(analysis: Analysis, item: str | None) -> str:
    """Return ``item``, or the primary one for ``None``.

    Raises
    ------
    AnalysisError
        If there are no pairs of the item.
    """
    if item is None:
        return analysis.primary.item
    if item not in analysis.items:
        raise AnalysisError(
            f"There is no figure of {item!r}; there are pairs of {', '.join(analysis.items)}."
        )
    return item


def titled(analysis: Analysis, main: str, explanation: str) -> str:
    """Return a title of two lines that says first whether anything is simulated."""
    simulated = f"{analysis.provenance.capitalize()} · " if analysis.provenance else ""
    return f"{simulated}{main}<br><sup>{explanation}</sup>"


def empty_figure(title: str, sentence: str) -> go.Figure:
    """Return a figure that says in one sentence why there is nothing to draw."""
    figure = go.Figure()
    figure.add_annotation(text=sentence, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    figure.update_layout(template=dark_template(), title=title, height=220)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def mixed(colour: str, strength: float) -> str:
    """Return ``colour`` mixed into the plot's ground; ``strength`` in [0, 1]."""
    top = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    ground = [int(PLOT[i : i + 2], 16) for i in (1, 3, 5)]
    blend = (round(strength * t + (1 - strength) * g) for t, g in zip(top, ground, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in blend)


def transparent(colour: str, alpha: float) -> str:
    """Return ``colour`` with an opacity in [0, 1]."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
