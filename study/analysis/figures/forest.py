"""Forest plots: mean differences with intervals over findings, readers and populations."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from study.analysis.columns import natural_order
from study.analysis.estimate import Estimate
from study.analysis.figures.style import (
    MARKERS,
    MUTED,
    checked_item,
    condition_colour,
    dark_template,
    empty_figure,
    titled,
)
from study.analysis.rendering import interval_of, label_of, readers_and_cases, short, short_p
from study.analysis.report.analysis import Analysis
from study.analysis.summary import PairedDifference

_MOST_ROWS = 60


def differences_by_finding(analysis: Analysis, *, item: str | None = None) -> go.Figure:
    """Draw the mean difference of each finding with its interval, for each correctness."""
    return _forest(analysis, checked_item(analysis, item), by="finding")


def differences_by_reader(analysis: Analysis, *, item: str | None = None) -> go.Figure:
    """Draw the mean difference of each reader with its interval, for each correctness."""
    return _forest(analysis, checked_item(analysis, item), by="reader")


def differences_by_population(analysis: Analysis, *, item: str | None = None) -> go.Figure:
    """Draw the same mean difference with its interval for these readers and for readers like them.

    One row per correctness and population; the p-value stands beside the interval.
    """
    name = checked_item(analysis, item)
    first, second = analysis.contrast
    pooled = [
        g for g in analysis.differences if g.item == name and g.finding is None and g.reader is None
    ]
    level = f"{100 * analysis.choices.ci_level:.3g}"
    title = titled(
        analysis,
        f"{name}: {first} − {second}, by whom it speaks for",
        f"the same pairs; {level} % intervals; with few readers the second of each pair is wide",
    )
    estimates = [e for g in pooled for e in (g.mean_difference, g.mean_over_readers)]
    kinds = [g.correctness for g in pooled for _ in range(2)]
    known = [(k, e) for k, e in zip(kinds, estimates, strict=True) if e.value is not None]
    if not known:
        return empty_figure(title, "There is no difference to draw.")
    return _rows_of_estimates(
        known, title, condition_colour(analysis, first), f"{first} − {second}"
    )


def _rows_of_estimates(
    known: Sequence[tuple[str, Estimate]], title: str, colour: str, contrast: str
) -> go.Figure:
    rows = [f"{label_of(kind)} · {e.population}" for kind, e in known]
    values = [e.value or 0.0 for _, e in known]
    limits = [e.ci or (value, value) for (_, e), value in zip(known, values, strict=True)]
    figure = go.Figure(
        go.Scatter(
            x=values,
            y=list(range(len(rows))),
            mode="markers",
            marker={
                "size": 10,
                "color": colour,
                "symbol": ["circle" if "these" in row else "square" for row in rows],
            },
            error_x=_error_bars(values, limits, colour),
            hovertext=[
                f"{row}<br>mean {short(e.value)}, interval {interval_of(e)}, p "
                f"{short_p(e.p_value)}<br>{readers_and_cases(e.n_readers, e.n_cases)}<br>{e.method}"
                for row, (_, e) in zip(rows, known, strict=True)
            ],
            hoverinfo="text",
            showlegend=False,
        )
    )
    for k, ((_, e), (_, high)) in enumerate(zip(known, limits, strict=True)):
        figure.add_annotation(
            x=high, y=k, text=f"p {short_p(e.p_value)}", showarrow=False, xanchor="left", xshift=8,
            font={"color": MUTED, "size": 12},
        )  # fmt: skip
    figure.add_vline(x=0, line={"color": MUTED, "width": 1, "dash": "dot"})
    figure.update_layout(template=dark_template(), title=title, height=170 + 44 * len(rows))
    figure.update_xaxes(title_text=f"Mean difference {contrast} (points of the rating scale)")
    figure.update_yaxes(
        title_text="Cases · population",
        tickmode="array",
        tickvals=list(range(len(rows))),
        ticktext=rows,
        range=[len(rows) - 0.5, -0.5],
        zeroline=False,
    )
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
    left_out = f"; the first {_MOST_ROWS} of {len(names)}" if len(names) > _MOST_ROWS else ""
    rows = [*names[:_MOST_ROWS], together]
    figure = go.Figure()
    for k, kind in enumerate(kinds):
        offset = (k - (len(kinds) - 1) / 2) * 0.22
        chosen = [
            g for g in groups if g.correctness == kind and (getattr(g, by) or together) in rows
        ]
        at = [rows.index(getattr(g, by) or together) + offset for g in chosen]
        figure.add_trace(_forest_trace(chosen, at, kind, by=by, together=together))
    first, second = analysis.contrast
    level = f"{100 * analysis.choices.ci_level:.3g}"
    figure.add_vline(x=0, line={"color": MUTED, "width": 1, "dash": "dot"})
    figure.update_layout(
        template=dark_template(),
        height=190 + 52 * len(rows),
        title=titled(
            analysis,
            f"{item}: {first} − {second} by {by}",
            f"mean difference with {level} % interval clustered by case; speaks for these "
            f"readers{left_out}",
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
    symbol, colour = MARKERS.get(kind, MARKERS["all"])
    means = [g.mean for g in groups]
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
        x=means,
        y=list(at),
        mode="markers",
        name=label_of(kind),
        marker={"symbol": symbol, "size": 10, "color": colour, "line": {"width": 1.5}},
        error_x=_error_bars(means, limits, colour),
        hovertext=hover,
        hoverinfo="text",
    )


def _error_bars(
    values: Sequence[float], limits: Sequence[tuple[float, float]], colour: str
) -> dict[str, object]:
    """Return plotly's description of unsymmetric horizontal error bars."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, (_, high) in zip(values, limits, strict=True)],
        "arrayminus": [value - low for value, (low, _) in zip(values, limits, strict=True)],
        "color": colour,
        "thickness": 1.5,
        "width": 4,
    }
