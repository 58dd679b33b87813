"""What is reported about one group of pairs, and about the ratings of one condition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from study.analysis.cells import CORRECTNESS, NOT_GIVEN
from study.analysis.columns import natural_order
from study.analysis.estimate import Estimate, Scope
from study.analysis.paired import (
    Pairs,
    case_means,
    mean_difference,
    mean_difference_over_readers,
    paired_t,
    standard_deviations,
    unpaired_rank_test,
)
from study.analysis.signed_rank import SignedRank, ZeroMethod, rank_biserial, signed_rank

POOLED_WARNING = "Pooled over readers: treats readings as independent."


@dataclass(frozen=True)
class Choices:
    """How differences are tested.

    Parameters
    ----------
    zero_method, correction
        Of the signed-rank test, see :func:`study.analysis.paired.signed_rank`.
    ci_level
        Confidence level of the intervals, in (0, 1).
    """

    zero_method: ZeroMethod = "wilcox"
    correction: bool = False
    ci_level: float = 0.95


@dataclass(frozen=True)
class PairedDifference:
    """Everything reported about the differences of one group of pairs.

    Parameters
    ----------
    item, contrast
        The item; the conditions, first minus second.
    correctness
        ``"true_positive"``, ``"false_positive"``, … or ``"all"``.
    finding, reader
        The finding and the reader of the group; ``None``: all of them together.
    n_pairs, n_readers, n_cases
        Pairs, readers and cases in the group.
    n_up, n_down, n_zero
        Pairs whose difference is positive, negative, zero.
    mean
        Mean difference, on the item's scale.
    sd_ddof0, sd_ddof1
        Standard deviations of the differences, divided by n (as published) and by n − 1; the
        second is ``None`` for a single pair.
    rank_test
        The signed-rank test over pairs, in full.
    signed_rank
        The same as an estimate; a warning where several readers are pooled.
    signed_rank_of_cases
        The signed-rank test over case means, with cases as the unit.
    rank_biserial
        Effect size over pairs.
    mean_difference
        Mean with an interval clustered by case: these readers.
    mean_over_readers
        Mean with an interval over readers: readers like them.
    paired_t, unpaired
        Comparisons only: paired t over pairs, Mann–Whitney without the pairing.
    """

    item: str
    contrast: tuple[str, str]
    correctness: str
    finding: str | None
    reader: str | None
    n_pairs: int
    n_readers: int
    n_cases: int
    n_up: int
    n_down: int
    n_zero: int
    mean: float
    sd_ddof0: float
    sd_ddof1: float | None
    rank_test: SignedRank
    signed_rank: Estimate
    signed_rank_of_cases: Estimate
    rank_biserial: Estimate
    mean_difference: Estimate
    mean_over_readers: Estimate
    paired_t: Estimate
    unpaired: Estimate


@dataclass(frozen=True)
class RatingSummary:
    """The ratings of one item under one condition.

    Parameters
    ----------
    item, condition, correctness
        Which ratings; ``correctness`` may be ``"all"``.
    n, n_readers, n_cases
        Ratings, readers and cases.
    mean
        Mean rating.
    sd_ddof1
        Standard deviation with ddof 1; ``None`` for a single rating.
    levels, counts
        Points of the scale and how often each was given.
    """

    item: str
    condition: str
    correctness: str
    n: int
    n_readers: int
    n_cases: int
    mean: float
    sd_ddof1: float | None
    levels: tuple[int, ...]
    counts: tuple[int, ...]


def difference_groups(pairs: Pairs, choices: Choices) -> tuple[PairedDifference, ...]:
    """Summarise the pairs pooled, by finding, by reader, and by reader and finding.

    Each is given for every correctness that occurs and for all of them together.
    """
    groups: list[PairedDifference] = []
    for correctness, frame in by_correctness(pairs.frame):
        findings = [f for f in natural_order(frame["finding"].unique()) if f != NOT_GIVEN]
        readers = natural_order(frame["reader"].unique())
        places: list[tuple[str | None, str | None]] = [(None, None)]
        places += [(finding, None) for finding in findings]
        places += [(None, reader) for reader in readers]
        places += [(finding, reader) for reader in readers for finding in findings]
        for finding, reader in places:
            part = frame
            if finding is not None:
                part = part[part["finding"] == finding]
            if reader is not None:
                part = part[part["reader"] == reader]
            if len(part):
                groups.append(
                    summarise(
                        part,
                        item=pairs.item,
                        contrast=pairs.contrast,
                        correctness=correctness,
                        finding=finding,
                        reader=reader,
                        choices=choices,
                    )
                )
    return tuple(groups)


def by_correctness(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each correctness that occurs with its rows, and ``"all"`` with all of them."""
    present = set(frame["correctness"].unique())
    for correctness in CORRECTNESS:
        if correctness in present:
            yield correctness, frame[frame["correctness"] == correctness]
    yield "all", frame


def summarise(
    pairs: pd.DataFrame,
    *,
    item: str,
    contrast: tuple[str, str],
    correctness: str = "all",
    finding: str | None = None,
    reader: str | None = None,
    choices: Choices,
) -> PairedDifference:
    """Summarise one group of at least one pair (rows of :class:`study.analysis.paired.Pairs`)."""
    d = pairs["difference"].to_numpy(float)
    n_readers, n_cases = pairs["reader"].nunique(), pairs["case_id"].nunique()
    one = n_readers == 1
    scope = Scope("this reader" if one else "these readers", "descriptive", n_readers, n_cases)
    pooled = scope if one else scope.with_population("independent readings", "warning")
    zero, correction = choices.zero_method, choices.correction
    test = signed_rank(d, zero_method=zero, correction=correction)
    of_cases = signed_rank(case_means(pairs), zero_method=zero, correction=correction)
    sd_ddof0, sd_ddof1 = standard_deviations(d)
    return PairedDifference(
        item=item,
        contrast=contrast,
        correctness=correctness,
        finding=finding,
        reader=reader,
        n_pairs=len(d),
        n_readers=n_readers,
        n_cases=n_cases,
        n_up=int((d > 0).sum()),
        n_down=int((d < 0).sum()),
        n_zero=int((d == 0).sum()),
        mean=float(d.mean()),
        sd_ddof0=sd_ddof0,
        sd_ddof1=sd_ddof1,
        rank_test=test,
        signed_rank=_with_note(test.to_estimate(pooled), "" if one else POOLED_WARNING),
        signed_rank_of_cases=_over_cases(of_cases, scope),
        rank_biserial=rank_biserial(d, pooled),
        mean_difference=mean_difference(d, pairs["case_id"], scope, ci_level=choices.ci_level),
        mean_over_readers=mean_difference_over_readers(
            d,
            pairs["reader"],
            scope.with_population("readers like them", "descriptive"),
            ci_level=choices.ci_level,
        ),
        paired_t=_with_note(paired_t(d, pooled), "" if one else POOLED_WARNING),
        unpaired=unpaired_rank_test(
            pairs, scope.with_population("independent readings", "warning")
        ),
    )


def rating_summaries(frame: pd.DataFrame, item: str) -> tuple[RatingSummary, ...]:
    """Summarise the ratings of ``item`` by condition and correctness.

    Levels run from 1 to 5 or as far as the ratings go; a scale of more than 21 points lists only
    the ratings that occur.
    """
    rated = frame[(frame["item"] == item) & frame["value"].notna()]
    if rated.empty:
        return ()
    low, high = int(min(rated["value"].min(), 1)), int(max(rated["value"].max(), 5))
    if high - low > 20:
        levels = tuple(int(v) for v in np.unique(rated["value"]))
    else:
        levels = tuple(range(low, high + 1))
    summaries = []
    for correctness, rows in by_correctness(rated):
        for condition in natural_order(rows["condition"].unique()):
            part = rows[rows["condition"] == condition]
            values = part["value"].to_numpy(float)
            summaries.append(
                RatingSummary(
                    item=item,
                    condition=condition,
                    correctness=correctness,
                    n=len(values),
                    n_readers=part["reader"].nunique(),
                    n_cases=part["case_id"].nunique(),
                    mean=float(values.mean()),
                    sd_ddof1=standard_deviations(values)[1],
                    levels=levels,
                    counts=tuple(int((values == level).sum()) for level in levels),
                )
            )
    return tuple(summaries)


def _with_note(estimate: Estimate, note: str) -> Estimate:
    return replace(estimate, note=f"{estimate.note} {note}".strip()) if note else estimate


def _over_cases(test: SignedRank, scope: Scope) -> Estimate:
    estimate = test.to_estimate(scope)
    return replace(estimate, quantity="signed-rank W of case means")
