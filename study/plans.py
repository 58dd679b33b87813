"""Parts of a protocol: which cases are read, which are practised, and how it is analysed."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from study.record import FromList, Identifier, Record, Sentence


class CasePlan(Record):
    """Which cases are read.

    Parameters
    ----------
    findings
        Findings in the order of the report.
    per_finding
        Number of cases for each finding; in a review, number of films for each dimension.
    false_positive_share
        Share of the cases that are false positives (negative reference, probability over 0.5); the
        rest are true positives.
    minimum_margin
        Smallest |probability - 0.5| of a chosen case.
    """

    findings: Annotated[tuple[Sentence, ...], FromList, Field(min_length=1)]
    per_finding: Annotated[int, Field(ge=1, le=100_000)]
    false_positive_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    minimum_margin: Annotated[float, Field(ge=0, lt=0.5)] = 0.0

    @property
    def n_false_positives(self) -> int:
        """Number of false positives for each finding."""
        return round(self.per_finding * self.false_positive_share)

    @property
    def n_true_positives(self) -> int:
        """Number of true positives for each finding."""
        return self.per_finding - self.n_false_positives


class PracticeCase(Record):
    """A case that readers try before their first reading; its answer does not count.

    Parameters
    ----------
    finding
        What it is read for; one of the study's findings.
    condition
        Condition in which it is shown.
    feedback
        What the reader is told after the answer.
    case_id
        The case; ``None``: one is chosen at preparation by ``subset``, never a case of the study.
    subset
        Which kind of case is chosen where ``case_id`` is ``None``.
    """

    finding: Sentence
    condition: Identifier
    feedback: Sentence
    case_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    subset: Literal["true_positive", "false_positive"] = "true_positive"


Subset: TypeAlias = Literal["true_positive", "false_positive", "all"]
Outcome: TypeAlias = Literal["rating", "auc", "sensitivity", "specificity", "reading_time"]
PrimaryMethod: TypeAlias = Literal[
    "declared_default",
    "mean_difference_by_case",
    "clustered_signed_rank",
    "mean_over_readers_and_cases",
]
"""Only methods that kept their level when they were tried; see ``docs/calibration.md``."""


class SecondaryEndpoint(Record):
    """One endpoint that is tested after the primary one.

    Parameters
    ----------
    id
        What tables call it.
    outcome
        ``"rating"``: mean difference of the item's ratings. ``"auc"``: of the area under the ROC
        curve of the item's ratings for cases with and without the finding. ``"sensitivity"``,
        ``"specificity"``: of the shares of cases called, or not called, at ``threshold``.
        ``"reading_time"``: ratio of the geometric mean reading times.
    item
        Identifier of the item; absent for the primary item, and for reading times.
    contrast
        Pair of condition identifiers; absent for that of the primary endpoint.
    subset
        Cases of ratings and reading times; the other outcomes choose their own.
    threshold
        A rating of at least this calls the finding present (sensitivity and specificity).
    non_inferiority
        If given, the claim is not a difference but that the first condition loses less than this
        against the second: points, or a share of 1; for reading times the ratio, above 1, that it
        stays below.
    """

    id: Identifier
    outcome: Outcome = "rating"
    item: Identifier | None = None
    contrast: Annotated[tuple[Identifier, Identifier], FromList] | None = None
    subset: Subset = "all"
    threshold: Annotated[int, Field(ge=0, le=100)] | None = None
    non_inferiority: Annotated[float, Field(gt=0, le=100)] | None = None


class AnalysisPlan(Record):
    """The confirmatory analysis, declared before the first reading.

    Parameters
    ----------
    primary
        Identifier of the primary item.
    contrast
        Pair of condition identifiers; the effect is the first minus the second.
    subset
        Cases of the primary analysis.
    margin
        Difference on the item's scale that would matter; ``None`` if none is declared.
    alpha
        Two-sided level.
    population
        Readers that the conclusion is about.
    primary_method
        How the primary endpoint is tested; the default is the mean difference clustered by case for
        ``"these_readers"`` and the mean over random readers and cases for ``"readers_like_them"``.
    secondary
        Further endpoints in the order in which they are tested.
    gatekeeping
        How the level passes on once the primary endpoint is met: ``"fixed_sequence"`` from one
        endpoint to the next, or ``"holm"`` to all the others at once.
    pause_minutes
        Readings that took longer are pauses and are left out of the analysis of times; ``None``
        keeps all.
    """

    primary: Identifier
    contrast: Annotated[tuple[Identifier, Identifier], FromList]
    subset: Subset = "all"
    margin: Annotated[float, Field(ge=0)] | None = None
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    population: Literal["these_readers", "readers_like_them"] = "these_readers"
    primary_method: PrimaryMethod = "declared_default"
    secondary: Annotated[tuple[SecondaryEndpoint, ...], FromList, Field(max_length=40)] = ()
    gatekeeping: Literal["fixed_sequence", "holm"] = "fixed_sequence"
    pause_minutes: Annotated[float, Field(gt=0, le=24 * 60)] | None = None


NO_ANALYSIS: Final = AnalysisPlan(primary="none", contrast=("none", "none"))
"""Of a clinical review, which compares no conditions."""
