"""What the sections of a report are made from: the analysis, and what the protocol declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from study.analysis.design.primary import Declaration, declaration_of
from study.analysis.estimate import Population
from study.analysis.report.analysis import Analysis
from study.protocol import StudyProtocol

_MOST_POINTS = 11


@dataclass(frozen=True)
class Counts:
    """How far the readings have come.

    Parameters
    ----------
    planned, done, skipped
        Readings that were assigned, answered, and left out by the reader with a reason. Those that
        are neither answered nor skipped are still missing.
    """

    planned: int
    done: int
    skipped: int

    @property
    def missing(self) -> int:
        """Readings that are still to come."""
        return self.planned - self.done - self.skipped

    @property
    def complete(self) -> bool:
        """Whether every planned reading was answered or skipped."""
        return self.missing <= 0


@dataclass(frozen=True, eq=False)
class Material:
    """What the sections of a report are made from.

    Parameters
    ----------
    analysis
        The analysis of the ratings.
    protocol
        The frozen protocol; ``None`` for a table from elsewhere.
    counts
        How far the readings have come; ``None`` where nobody knows.
    tables
        Further tables of the study by name (``"assignments"``, ``"missing"``, …), where there are.
    """

    analysis: Analysis
    protocol: StudyProtocol | None = None
    counts: Counts | None = None
    tables: Mapping[str, pd.DataFrame] | None = None

    @property
    def frame(self) -> pd.DataFrame:
        """The canonical ratings."""
        return self.analysis.ratings.frame

    @property
    def interim(self) -> bool:
        """Whether readings are still missing."""
        return self.counts is not None and not self.counts.complete

    @property
    def population(self) -> Population:
        """Readers that the declared conclusion is about."""
        return self.analysis.primary.estimate.population

    def scale(self, item: str) -> tuple[float, ...]:
        """Return the points of an item's scale; empty for a continuous one (0–100).

        Without a protocol: 1 to 5, or as far as the ratings go.
        """
        if self.protocol is not None and item in {one.id for one in self.protocol.items}:
            asked = self.protocol.item(item)
            low, high = asked.lowest, asked.highest
        else:
            values = self.frame.loc[self.frame["item"] == item, "value"].dropna()
            low, high = int(min(values.min(), 1)), int(max(values.max(), 5))
        if high - low >= _MOST_POINTS:
            return ()
        return tuple(float(point) for point in range(low, high + 1))

    @property
    def declaration(self) -> Declaration:
        """The primary endpoint as declared, or as it stands first where nothing was."""
        return declaration_of_analysis(self.analysis, self.protocol)

    def high_rating(self, item: str) -> float:
        """Return the lowest rating above the middle of an item's scale, e.g. 4 of 1–5."""
        points = self.scale(item)
        if points:
            return points[len(points) // 2 + len(points) % 2]
        values = self.frame.loc[self.frame["item"] == item, "value"]
        return float(values.max() // 2 + 1)

    @property
    def pause_minutes(self) -> float | None:
        """Minutes beyond which a reading was declared a pause; ``None``: none was."""
        return None if self.protocol is None else self.protocol.analysis.pause_minutes

    @property
    def unaided(self) -> str | None:
        """The condition that shows the film alone; ``None`` if there is none, or nobody knows."""
        if self.protocol is None:
            return None
        return next(
            (c.id for c in self.protocol.conditions if all(p.show == "film" for p in c.panels)),
            None,
        )

    @property
    def sham(self) -> str | None:
        """The condition that shows a sham; ``None`` if there is none."""
        if self.protocol is None:
            return None
        return next((c.id for c in self.protocol.conditions if c.sham), None)


def declaration_of_analysis(analysis: Analysis, protocol: StudyProtocol | None) -> Declaration:
    """Return the primary endpoint of a protocol, or that of an analysis without one."""
    if protocol is not None:
        return declaration_of(protocol.analysis)
    population = analysis.primary.estimate.population
    return Declaration(
        item=analysis.primary.item,
        contrast=analysis.contrast,
        subset=analysis.primary.subset,
        alpha=analysis.alpha,
        population="readers like them" if population == "readers like them" else "these readers",
    )
