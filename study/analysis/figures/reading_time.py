"""Time per case: how long each reader took under each condition."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from study.analysis.columns import natural_order
from study.analysis.figures.style import (
    condition_colour,
    dark_template,
    empty_figure,
    titled,
    transparent,
)
from study.analysis.rendering import short
from study.analysis.report.analysis import Analysis

_READING = ("reader", "case_id", "finding", "condition", "session")
_MOST_READERS = 24
_TICKS = (1.0, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)


def times_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per reading with a time over 0, from canonical ratings of any items."""
    if "reading_time_s" not in frame:
        return frame.iloc[:0].assign(reading_time_s=[])
    key = [name for name in _READING if name in frame]
    readings = frame.drop_duplicates(key)
    return readings[readings["reading_time_s"] > 0]


def time_per_case(analysis: Analysis, *, item: str | None = None) -> go.Figure:
    """Draw median, quartiles and whiskers (1.5 interquartile ranges) on a logarithmic axis.

    One box per reader and condition, and one for all readers; ``item`` does not matter, as a
    reading has one time whatever was asked.
    """
    title = titled(
        analysis,
        "Time per case",
        "first display to submission; box: quartiles; line: median; whiskers: 1.5 quartile ranges",
    )
    readings = times_of(analysis.ratings.frame)
    if readings.empty:
        return empty_figure(title, "The table has no reading times.")
    readers = natural_order(readings["reader"].unique())
    rows = ["all readers", *(readers if len(readers) <= _MOST_READERS else ())]
    figure = go.Figure()
    for condition in analysis.conditions:
        of_condition = readings[readings["condition"] == condition]
        figure.add_trace(
            _boxes(of_condition, rows, condition, condition_colour(analysis, condition))
        )
    top = float(readings["reading_time_s"].max())
    low = float(readings["reading_time_s"].min())
    ticks = [t for t in _TICKS if low / 2 <= t <= 2 * top] or [round(low, 2)]
    figure.update_layout(
        template=dark_template(),
        boxmode="group",
        height=430,
        title=title,
        legend={"title": {"text": "Condition "}},
    )
    figure.update_xaxes(title_text="Reader")
    figure.update_yaxes(
        title_text="Time per case (s, logarithmic)",
        type="log",
        tickmode="array",
        tickvals=ticks,
        ticktext=[f"{t:g}" for t in ticks],
    )
    return figure


def _boxes(readings: pd.DataFrame, rows: list[str], condition: str, colour: str) -> go.Box:
    """Return the boxes of one condition, summarised beforehand so that the figure stays small."""
    names, five, hover = [], [], []
    for row in rows:
        part = readings if row == "all readers" else readings[readings["reader"] == row]
        times = part["reading_time_s"].to_numpy(float)
        if not len(times):
            continue
        names.append(row)
        five.append(_five_numbers(times))
        hover.append(f"{len(times)} readings")
    low, q1, median, q3, high = np.array(five).T if five else np.empty((5, 0))
    return go.Box(
        x=names,
        lowerfence=low,
        q1=q1,
        median=median,
        q3=q3,
        upperfence=high,
        name=condition,
        marker={"color": colour},
        fillcolor=transparent(colour, 0.35),
        line={"color": colour},
        hovertext=[f"{n}: median {short(m)} s" for n, m in zip(hover, median, strict=True)],
    )


def _five_numbers(times: np.ndarray) -> tuple[float, float, float, float, float]:
    q1, median, q3 = (float(q) for q in np.quantile(times, (0.25, 0.5, 0.75)))
    reach = 1.5 * (q3 - q1)
    inside = times[(times >= q1 - reach) & (times <= q3 + reach)]
    return float(inside.min()), q1, median, q3, float(inside.max())
