"""From a table of ratings to everything that is reported about it.

Public names, stable::

    analyse(table, *, contrast=("B", "A"), alpha=0.05, primary=None, subset=None,
            population="these_readers", columns=None, shown_maps=None,
            zero_method="wilcox", correction=False) -> Analysis

    Analysis   .sentence                 the primary endpoint in one sentence
               .primary                  Primary(item, subset, declared, difference, estimate)
               .differences              tuple of PairedDifference
               .regressions              tuple of IouRegression
               .rating_summaries         tuple of RatingSummary
               .notes, .simulated, .provenance, .items, .contrast, .n_readers, .n_cases, .n_ratings
               .difference(item, correctness, finding=None, reader=None) -> PairedDifference | None
               .differences_table() .regressions_table() .ratings_table()   pandas, full precision
               .to_json() -> str  .to_text() -> str

    study.analysis.figures.catalogue (plotly figures; item=None takes the primary item)
               all_figures(analysis, *, item=None) -> tuple of NamedFigure(name, title, figure)

``table`` is a DataFrame as :func:`study.table.long_table` makes it, or any long table whose columns
are recognised (:mod:`study.analysis.columns`). Every failure is an
:class:`~study.analysis.estimate.AnalysisError` with one sentence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import pandas as pd

from study.analysis import rendering
from study.analysis.cells import NOT_GIVEN
from study.analysis.columns import Ratings, canonicalise, natural_order
from study.analysis.estimate import AnalysisError, Estimate
from study.analysis.paired import NoPairs, Pairs, paired_differences
from study.analysis.regression import IouRegression, iou_columns, rating_on_iou
from study.analysis.signed_rank import ZeroMethod
from study.analysis.summary import (
    Choices,
    PairedDifference,
    RatingSummary,
    difference_groups,
    rating_summaries,
)

ReaderPopulation = Literal["these_readers", "readers_like_them"]


@dataclass(frozen=True)
class Primary:
    """The endpoint that is reported first.

    Parameters
    ----------
    item, subset
        Item and correctness (or ``"all"``).
    declared
        Whether it was declared; otherwise it is the first item and the estimate is descriptive.
    difference
        The pooled differences it rests on.
    estimate
        The mean difference for the chosen population, or what the declared method gives;
        confirmatory if declared.
    against_margin
        How its interval lies to the declared margin, in a sentence; empty without a margin.
    """

    item: str
    subset: str
    declared: bool
    difference: PairedDifference
    estimate: Estimate
    against_margin: str = ""


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything reported about a table of ratings; see the module for a guide.

    Parameters
    ----------
    ratings
        The checked table.
    contrast, alpha, choices
        Conditions compared (first minus second), two-sided level, and how they are tested.
    primary
        The endpoint that is reported first.
    pairs
        Paired ratings of each item that has any.
    differences, regressions, rating_summaries
        The results.
    notes
        One sentence for everything that a reader of the results must know.
    """

    ratings: Ratings
    contrast: tuple[str, str]
    alpha: float
    choices: Choices
    primary: Primary
    pairs: tuple[Pairs, ...]
    differences: tuple[PairedDifference, ...]
    regressions: tuple[IouRegression, ...]
    rating_summaries: tuple[RatingSummary, ...]
    notes: tuple[str, ...]

    @property
    def items(self) -> tuple[str, ...]:
        """Items with at least one pair."""
        return tuple(pairs.item for pairs in self.pairs)

    @property
    def conditions(self) -> tuple[str, ...]:
        """All conditions of the table, in natural order."""
        return natural_order(self.ratings.frame["condition"].unique())

    @property
    def simulated(self) -> bool:
        """Whether any rating comes from a simulated reader."""
        return self.ratings.simulated

    @property
    def provenance(self) -> str:
        """What is simulated, in words: ``"simulated readers and films"``, …, or ``""``."""
        parts = [
            name
            for name, simulated in (
                ("readers", self.ratings.simulated),
                ("films", self.ratings.simulated_cases),
            )
            if simulated
        ]
        return f"simulated {' and '.join(parts)}" if parts else ""

    @property
    def n_readers(self) -> int:
        """Readers in the table."""
        return int(self.ratings.frame["reader"].nunique())

    @property
    def n_cases(self) -> int:
        """Cases in the table."""
        return int(self.ratings.frame["case_id"].nunique())

    @property
    def n_ratings(self) -> int:
        """Numeric ratings in the table, missing ones not counted."""
        return int(self.ratings.frame["value"].notna().sum())

    @property
    def sentence(self) -> str:
        """The primary endpoint in one sentence with interval and population."""
        return rendering.primary_sentence(self)

    def with_primary(self, estimate: Estimate, against_margin: str = "") -> Analysis:
        """Return the analysis with the primary endpoint by the method that was declared."""
        primary = replace(self.primary, estimate=estimate, against_margin=against_margin)
        return replace(self, primary=primary)

    def difference(
        self, item: str, correctness: str, finding: str | None = None, reader: str | None = None
    ) -> PairedDifference | None:
        """Return the differences of one group, or ``None`` if it has no pairs."""
        wanted = (item, correctness, finding, reader)
        for group in self.differences:
            if (group.item, group.correctness, group.finding, group.reader) == wanted:
                return group
        return None

    def pairs_of(self, item: str) -> Pairs:
        """Return the pairs of ``item``.

        Raises
        ------
        AnalysisError
            If the item has no pairs.
        """
        for pairs in self.pairs:
            if pairs.item == item:
                return pairs
        raise AnalysisError(
            f"There are no pairs of {item!r}; there are of {', '.join(self.items)}."
        )

    def differences_table(self) -> pd.DataFrame:
        """Return one row per group of pairs, at full precision."""
        return rendering.differences_table(self)

    def regressions_table(self) -> pd.DataFrame:
        """Return one row per regression on IoU, at full precision."""
        return rendering.regressions_table(self)

    def ratings_table(self) -> pd.DataFrame:
        """Return one row per item, condition and correctness, at full precision."""
        return rendering.ratings_table(self)

    def to_json(self) -> str:
        """Return all results as JSON at full precision; what is not known is ``null``."""
        return rendering.to_json(self)

    def to_text(self) -> str:
        """Return the results for a terminal."""
        return rendering.to_text(self)


def analyse(
    table: pd.DataFrame,
    *,
    contrast: tuple[str, str] = ("B", "A"),
    alpha: float = 0.05,
    primary: str | None = None,
    subset: str | None = None,
    population: ReaderPopulation = "these_readers",
    columns: Mapping[str, str] | None = None,
    shown_maps: Mapping[str, Collection[str]] | None = None,
    zero_method: ZeroMethod = "wilcox",
    correction: bool = False,
) -> Analysis:
    """Analyse a table of ratings.

    Parameters
    ----------
    table
        Long table of ratings, see :mod:`study.analysis.columns`.
    contrast
        Two conditions; differences are the first minus the second.
    alpha
        Two-sided level in (0, 1); intervals have the level 1 − alpha.
    primary, subset
        Declared primary item and correctness (``"true_positive"``, … or ``"all"``). Without a
        declared item the first one is reported first, as description; without a subset the true
        positives are, if there are any.
    population
        Readers that the primary estimate speaks for.
    columns, shown_maps
        See :func:`study.analysis.columns.canonicalise`.
    zero_method, correction
        See :func:`study.analysis.paired.signed_rank`.

    Returns
    -------
    Analysis

    Raises
    ------
    AnalysisError
        If the table or the request cannot be analysed.
    """
    _check_request(alpha, population, zero_method)
    contrast = (str(contrast[0]), str(contrast[1])) if len(contrast) == 2 else contrast
    ratings = canonicalise(table, columns, shown_maps=shown_maps)
    choices = Choices(zero_method, correction, 1 - alpha)
    notes = list(ratings.notes)
    pairs = _all_pairs(ratings, contrast, primary, notes)
    differences = tuple(group for p in pairs for group in difference_groups(p, choices))
    analysis_primary = _primary(pairs, differences, primary, subset, population)
    if ratings.simulated_cases:
        notes.insert(0, "The films are simulated.")
    if ratings.simulated:
        notes.insert(0, "The readers are simulated: these are not ratings by people.")
    return Analysis(
        ratings=ratings,
        contrast=contrast,
        alpha=alpha,
        choices=choices,
        primary=analysis_primary,
        pairs=pairs,
        differences=differences,
        regressions=_regressions(ratings, choices.ci_level),
        rating_summaries=tuple(
            summary for item in ratings.items for summary in rating_summaries(ratings.frame, item)
        ),
        notes=tuple(notes),
    )


def _check_request(alpha: float, population: str, zero_method: str) -> None:
    if not 0 < alpha < 1:
        raise AnalysisError(f"The level alpha is {alpha}; expected a number between 0 and 1.")
    for given, choices in ((population, ReaderPopulation), (zero_method, ZeroMethod)):
        if given not in get_args(choices):
            raise AnalysisError(f"{given!r} is not known; choose one of {get_args(choices)}.")


def _all_pairs(
    ratings: Ratings, contrast: tuple[str, str], primary: str | None, notes: list[str]
) -> tuple[Pairs, ...]:
    """Pair every item; an item without pairs is noted, unless no item or the primary has any."""
    found: list[Pairs] = []
    failures: list[AnalysisError] = []
    if primary is not None and primary not in ratings.items:
        raise AnalysisError(
            f"The primary item {primary!r} is not rated in the table; it rates "
            f"{', '.join(ratings.items)}."
        )
    for item in ratings.items:
        try:
            pairs = paired_differences(ratings.frame, item=item, contrast=contrast)
        except NoPairs as error:
            if item == primary:
                raise
            failures.append(error)
            continue
        found.append(pairs)
        if pairs.n_incomplete:
            total = pairs.n_incomplete + len(pairs.frame)
            notes.append(
                f"{pairs.n_incomplete} of {total} readings of {item!r} have a rating under only "
                f"one of {contrast[0]} and {contrast[1]} and are left out of the differences."
            )
    if not found:
        raise failures[0]
    notes.extend(str(error) for error in failures)
    return tuple(found)


def _primary(
    pairs: tuple[Pairs, ...],
    differences: tuple[PairedDifference, ...],
    item: str | None,
    subset: str | None,
    population: ReaderPopulation,
) -> Primary:
    chosen = item if item is not None else pairs[0].item
    pooled = {
        group.correctness: group
        for group in differences
        if group.item == chosen and group.finding is None and group.reader is None
    }
    if subset is None:
        subset = "true_positive" if "true_positive" in pooled else "all"
    if subset not in pooled:
        raise AnalysisError(
            f"There are no pairs of {chosen!r} in the subset {subset!r}; there are in "
            f"{', '.join(pooled)}."
        )
    group = pooled[subset]
    these = population == "these_readers"
    estimate = group.mean_difference if these else group.mean_over_readers
    declared = item is not None
    return Primary(
        item=chosen,
        subset=subset,
        declared=declared,
        difference=group,
        estimate=replace(estimate, role="confirmatory") if declared else estimate,
    )


def _regressions(ratings: Ratings, ci_level: float) -> tuple[IouRegression, ...]:
    """Regress every item on every map of every condition, over all findings and for each."""
    if not ratings.maps:
        return ()
    frame = ratings.frame
    findings = [f for f in natural_order(frame["finding"].unique()) if f != NOT_GIVEN]
    results = []
    conditions = natural_order(frame["condition"].unique())
    columns = [(c, name, iou) for c in conditions for name, iou in iou_columns(ratings, c)]
    for item in ratings.items:
        for condition, map_name, iou in columns:
            for finding in (None, *findings):
                results.append(
                    rating_on_iou(
                        frame,
                        iou,
                        item=item,
                        condition=condition,
                        map_name=map_name,
                        finding=finding,
                        ci_level=ci_level,
                    )
                )
    return tuple(results)
