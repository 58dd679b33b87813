"""Paired differences, one bar for each size, for each correctness."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from study.analysis.cells import CORRECTNESS
from study.analysis.figures.style import (
    INK,
    MUTED,
    checked_item,
    condition_colour,
    dark_template,
    titled,
)
from study.analysis.rendering import label_of, readers_and_cases, short
from study.analysis.report.analysis import Analysis

_WIDEST = 12
_CLASSES = 21


def paired_differences(analysis: Analysis, *, item: str | None = None) -> go.Figure:
    """Draw how many pairs rated the first condition how much higher than the second.

    Differences of a fine scale are counted in classes. The bars to the right have the colour of
    the first condition, those to the left that of the second; equal ratings are grey.
    """
    name = checked_item(analysis, item)
    frame = analysis.pairs_of(name).frame
    kinds = [kind for kind in CORRECTNESS if (frame["correctness"] == kind).any()] or ["all"]
    first, second = analysis.contrast
    figure = make_subplots(
        rows=1,
        cols=len(kinds),
        shared_yaxes=True,
        horizontal_spacing=0.04,
        subplot_titles=[label_of(kind) for kind in kinds],
    )
    colours = (condition_colour(analysis, second), MUTED, condition_colour(analysis, first))
    for k, kind in enumerate(kinds):
        part = frame if kind == "all" else frame[frame["correctness"] == kind]
        bars = _bars(part, colours, analysis.contrast)
        figure.add_trace(bars, row=1, col=k + 1)
        reach = max(bars.x) + 0.6 * bars.width
        figure.update_xaxes(
            title_text=f"Difference {first} − {second} (points)",
            range=[-reach, reach],
            dtick=1 if reach < _WIDEST / 2 else None,
            row=1,
            col=k + 1,
        )
    figure.update_yaxes(title_text="Share of pairs (%)", row=1, col=1)
    figure.update_layout(
        template=dark_template(),
        showlegend=False,
        height=400,
        bargap=0.12,
        title=titled(
            analysis,
            f"{name}: paired differences {first} − {second}",
            f"right of 0: rated higher under {first}; left: under {second}; grey: the same",
        ),
    )
    figure.update_annotations(font={"color": INK, "size": 12})
    return figure


def _bars(part: pd.DataFrame, colours: tuple[str, str, str], contrast: tuple[str, str]) -> go.Bar:
    d = part["difference"].to_numpy(float)
    widest = float(np.abs(d).max())
    width = 1.0 if widest <= _WIDEST else float(np.ceil(2 * widest / _CLASSES))
    steps = np.sign(d) * np.floor(np.abs(d) / width + (0.5 if width == 1 else 1 - 1e-9))
    reach = int(np.abs(steps).max()) if len(steps) else 0
    at = np.arange(-reach, reach + 1)
    counts = [int((steps == step).sum()) for step in at]
    who = readers_and_cases(part["reader"].nunique(), part["case_id"].nunique(), len(part))
    words = {-1: f"rated higher under {contrast[1]}", 0: "rated the same",
             1: f"rated higher under {contrast[0]}"}  # fmt: skip
    return go.Bar(
        x=[float(step) * width for step in at],
        y=[100 * count / len(part) for count in counts],
        width=0.88 * width,
        marker={"color": [colours[int(np.sign(step)) + 1] for step in at]},
        text=[str(count) if count else "" for count in counts],
        textposition="outside",
        cliponaxis=False,
        hovertext=[
            f"{_size(int(step), width)}: {count} of {len(part)} pairs "
            f"({short(100 * count / len(part))} %), {words[int(np.sign(step))]}<br>{who}"
            for step, count in zip(at, counts, strict=True)
        ],
        hoverinfo="text",
    )


def _size(step: int, width: float) -> str:
    if width == 1 or step == 0:
        return f"{step:+d}" if step else "0"
    low, high = (abs(step) - 1) * width, abs(step) * width
    return f"{'+' if step > 0 else '−'}({low:g}–{high:g}]"
