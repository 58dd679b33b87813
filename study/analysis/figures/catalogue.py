"""Every figure of an analysis, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go

from study.analysis.figures.differences import paired_differences
from study.analysis.figures.forest import (
    differences_by_finding,
    differences_by_population,
    differences_by_reader,
)
from study.analysis.figures.iou import iou_against_rating, rating_against_iou
from study.analysis.figures.likert import likert_by_finding, likert_distribution
from study.analysis.figures.reading_time import time_per_case
from study.analysis.figures.roc import roc_curves
from study.analysis.figures.style import NamedFigure, checked_item
from study.analysis.report.analysis import Analysis


@dataclass(frozen=True)
class FigureMaker:
    """A figure that can be drawn of any analysis.

    Parameters
    ----------
    name
        Short name, fit for a file.
    title
        In words.
    draw
        Takes an analysis and an item (``None``: the primary one).
    section
        The part of the report in which it stands.
    per_item
        Whether it differs between items.
    """

    name: str
    title: str
    draw: Callable[..., go.Figure]
    section: str
    per_item: bool = True

    def of(self, analysis: Analysis, item: str) -> NamedFigure:
        """Draw the figure of one item."""
        if not self.per_item:
            return NamedFigure(self.name, self.title, self.draw(analysis, item=item))
        return NamedFigure(
            f"{item}-{self.name}", f"{self.title}: {item}", self.draw(analysis, item=item)
        )


FIGURES = (
    FigureMaker(
        "differences_by_population",
        "Differences by whom they speak for",
        differences_by_population,
        "paired",
    ),
    FigureMaker("ratings", "Ratings by condition", likert_distribution, "ratings"),
    FigureMaker(
        "ratings_by_finding", "Ratings by finding and condition", likert_by_finding, "ratings"
    ),
    FigureMaker("paired_differences", "Paired differences", paired_differences, "paired"),
    FigureMaker(
        "differences_by_finding", "Differences by finding", differences_by_finding, "paired"
    ),
    FigureMaker("differences_by_reader", "Differences by reader", differences_by_reader, "paired"),
    FigureMaker("rating_against_iou", "Ratings against IoU", rating_against_iou, "localisation"),
    FigureMaker("iou_against_rating", "IoU against ratings", iou_against_rating, "localisation"),
    FigureMaker("roc", "ROC curves", roc_curves, "multireader"),
    FigureMaker("time_per_case", "Time per case", time_per_case, "timing", per_item=False),
)
"""Figures in the order in which they are read."""


def all_figures(analysis: Analysis, *, item: str | None = None) -> tuple[NamedFigure, ...]:
    """Return every figure of one item, in the order in which they are read."""
    name = checked_item(analysis, item)
    return tuple(maker.of(analysis, name) for maker in FIGURES)
