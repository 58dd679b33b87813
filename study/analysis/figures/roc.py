"""ROC curves of the ratings against the reference standard, per reader and averaged."""

from __future__ import annotations

import plotly.graph_objects as go

from study.analysis.estimate import AnalysisError
from study.analysis.figures.style import (
    MUTED,
    checked_item,
    condition_colour,
    condition_dash,
    dark_template,
    empty_figure,
    titled,
    transparent,
)
from study.analysis.mrmc.curves import mean_curves, reader_curves
from study.analysis.mrmc.scores import scores_of_table
from study.analysis.rendering import short
from study.analysis.report.analysis import Analysis
from study.analysis.report.truth import with_truth

_MOST_READERS = 12


def roc_curves(analysis: Analysis, *, item: str | None = None) -> go.Figure:
    """Draw the curves of every reader (thin) and their average (thick) for each condition.

    A rating is taken as a score: does the item tell cases with the finding from cases without?
    """
    name = checked_item(analysis, item)
    title = titled(
        analysis,
        f"{name}: ROC, cases with against cases without the finding",
        "thick: average of the readers; thin: each reader; dashes and colours: conditions",
    )
    rated = with_truth(analysis.ratings.frame, name)
    try:
        scores = scores_of_table(rated, score="value", truth="truth", case="unit")
    except AnalysisError as problem:
        return empty_figure(title, str(problem))
    curves = reader_curves(scores)
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            x=[0, 1], y=[0, 1], mode="lines", line={"color": MUTED, "width": 1, "dash": "dot"},
            hoverinfo="skip", showlegend=False,
        )
    )  # fmt: skip
    if len(scores.readers) <= _MOST_READERS:
        for one in curves:
            colour = transparent(condition_colour(analysis, one.condition), 0.55)
            figure.add_trace(
                go.Scatter(
                    x=one.curve.false_positive_rate,
                    y=one.curve.true_positive_rate,
                    mode="lines",
                    line={
                        "color": colour,
                        "width": 1,
                        "dash": condition_dash(analysis, one.condition),
                    },
                    name=f"{one.condition}, reader {one.reader}",
                    hovertemplate=f"{one.condition}, reader {one.reader}<br>"
                    "false positives %{x:.3g}, true positives %{y:.3g}<extra></extra>",
                    showlegend=False,
                )
            )
    for mean in mean_curves(curves):
        area = sum(
            (b - a) * (p + q) / 2
            for a, b, p, q in zip(
                mean.false_positive_rate[:-1],
                mean.false_positive_rate[1:],
                mean.true_positive_rate[:-1],
                mean.true_positive_rate[1:],
                strict=True,
            )
        )
        figure.add_trace(
            go.Scatter(
                x=mean.false_positive_rate,
                y=mean.true_positive_rate,
                mode="lines",
                line={
                    "color": condition_colour(analysis, mean.condition),
                    "width": 3,
                    "dash": condition_dash(analysis, mean.condition),
                },
                name=f"{mean.condition}: mean AUC {short(float(area))}",
                hovertemplate="false positives %{x:.3g}, true positives %{y:.3g}<extra></extra>",
            )
        )
    figure.update_layout(template=dark_template(), title=title, height=560, width=640)
    figure.update_xaxes(
        title_text="False-positive rate (share of cases without the finding)",
        range=[-0.02, 1.02],
        constrain="domain",
    )
    figure.update_yaxes(
        title_text="True-positive rate (share of cases with the finding)",
        range=[-0.02, 1.02],
        scaleanchor="x",
        constrain="domain",
    )
    return figure
