"""Paired differences between two conditions, and what can be said about them.

A pair is one reader's two ratings of one item for one case and finding; its difference is the
rating under the first condition of the contrast minus the rating under the second (B − A).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.groups import group_codes, group_means
from study.analysis.means import mean_by_case, mean_over_readers


class NoPairs(AnalysisError):
    """An item that nobody rated under both conditions for one case."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Paired ratings of one item.

    Parameters
    ----------
    item, contrast
        The item; the two conditions, the first minus the second.
    frame
        One row per pair: reader, case_id, finding, correctness, ``rating_1``, ``rating_2`` (under
        the first and second condition) and ``difference``.
    n_incomplete
        Readings with a rating under one of the two conditions only.
    """

    item: str
    contrast: tuple[str, str]
    frame: pd.DataFrame
    n_incomplete: int


def paired_differences(frame: pd.DataFrame, *, item: str, contrast: tuple[str, str]) -> Pairs:
    """Pair the ratings of ``item`` on reader, case and finding.

    Parameters
    ----------
    frame
        Canonical ratings (:class:`study.analysis.columns.Ratings`); missing values are left out.
    item
        The item.
    contrast
        Two conditions; differences are the first minus the second.

    Raises
    ------
    AnalysisError
        If the item or a condition does not occur, if a reader rated the same thing in two
        sessions under one condition.
    NoPairs
        If no reading has both conditions.
    """
    _check_contrast(frame, item, contrast)
    key = ["reader", "case_id", "finding"]
    rated = frame[(frame["item"] == item) & frame["value"].notna()]
    sides = [rated[rated["condition"] == condition] for condition in contrast]
    for condition, side in zip(contrast, sides, strict=True):
        repeated = side.duplicated(key)
        if repeated.any():
            first = side[repeated].iloc[0]
            raise AnalysisError(
                f"Reader {first['reader']} rated case {first['case_id']}, finding "
                f"{first['finding']}, more than once under condition {condition}; expected one "
                "rating to pair. Keep one session."
            )
    left, right = (side.set_index(key) for side in sides)
    both = left.index.intersection(right.index, sort=False)
    if len(both) == 0:
        raise NoPairs(
            f"No reader rated {item!r} for one case under both {contrast[0]} and {contrast[1]}; "
            "expected at least one pair. Wait until both sessions have readings."
        )
    pairs = pd.DataFrame(index=both)
    pairs["correctness"] = left.loc[both, "correctness"]
    pairs["rating_1"] = left.loc[both, "value"]
    pairs["rating_2"] = right.loc[both, "value"]
    pairs["difference"] = pairs["rating_1"] - pairs["rating_2"]
    n_incomplete = len(left) + len(right) - 2 * len(both)
    return Pairs(item, contrast, pairs.reset_index(), n_incomplete)


def mean_difference(
    differences: ArrayLike, cases: ArrayLike, scope: Scope, *, ci_level: float = 0.95
) -> Estimate:
    """Return the mean of the differences with an interval that treats cases as independent.

    The standard error is clustered by case (CR1) with t on cases − 1 degrees of freedom; where
    every reader read every case this is the paired t interval of the case means. It speaks for
    the readers at hand: the variation between readers does not enter.

    Parameters
    ----------
    differences, cases
        Shape (n,): differences and the case of each.
    scope
        Population, role and counts.
    ci_level
        In (0, 1).
    """
    return mean_by_case(
        differences,
        cases,
        scope,
        "mean difference",
        ci_level=ci_level,
        of="mean of the differences",
    )


def mean_difference_over_readers(
    differences: ArrayLike, readers: ArrayLike, scope: Scope, *, ci_level: float = 0.95
) -> Estimate:
    """Return the mean of the readers' mean differences with a t interval over readers.

    It speaks for readers like these on the cases of the study, and needs at least two readers; with
    two it is very wide, which is the truth about two readers.

    Parameters
    ----------
    differences, readers
        Shape (n,): differences and the reader of each.
    scope
        Counts and role; population "readers like them".
    ci_level
        In (0, 1).
    """
    return mean_over_readers(
        differences, readers, scope, "mean difference over readers", ci_level=ci_level
    )


def paired_t(differences: ArrayLike, scope: Scope) -> Estimate:
    """Return the paired t test over readings; with several readers only to be compared with."""
    d = np.asarray(differences, dtype=float)
    method = "paired t test over readings"
    error = float(d.std(ddof=1)) / float(np.sqrt(len(d))) if len(d) > 1 else 0.0
    if error < 1e-12:
        what = "One pair" if len(d) == 1 else "All differences are equal"
        return scope.unavailable("paired t", method=method, note=f"{what}: t is not defined.")
    t = float(d.mean()) / error
    p_value = float(2 * stats.t.sf(abs(t), len(d) - 1))
    return scope.estimate("paired t", t, p_value=p_value, df=len(d) - 1, method=method)


def unpaired_rank_test(pairs: pd.DataFrame, scope: Scope) -> Estimate:
    """Return the Mann–Whitney U test of the ratings, which ignores the pairing.

    Parameters
    ----------
    pairs
        Columns ``rating_1`` and ``rating_2``.
    scope
        Population and counts; its role should be ``warning``.
    """
    u, p_value = stats.mannwhitneyu(
        pairs["rating_1"], pairs["rating_2"], alternative="two-sided", method="asymptotic"
    )
    return scope.estimate(
        "Mann–Whitney U",
        u,
        p_value=p_value,
        method="Mann–Whitney test, ties corrected, continuity correction",
        note="Ignores that the same reader rated the same case twice.",
    )


def case_means(pairs: pd.DataFrame) -> NDArray[np.float64]:
    """Average the differences of each case and finding over readers.

    Returns
    -------
    ndarray
        Shape (cases × findings that occur,).
    """
    return group_means(pairs["difference"], *group_codes(pairs["case_id"], pairs["finding"]))


def standard_deviations(differences: ArrayLike) -> tuple[float, float | None]:
    """Return the standard deviations with ddof 0 and ddof 1; the second needs two differences."""
    d = np.asarray(differences, dtype=float)
    return float(d.std()), float(d.std(ddof=1)) if len(d) > 1 else None


def _check_contrast(frame: pd.DataFrame, item: str, contrast: Sequence[str]) -> None:
    items = frame["item"].unique()
    if item not in items:
        raise AnalysisError(
            f"There are no ratings of an item {item!r}; the table rates {', '.join(items)}."
        )
    conditions = sorted(frame["condition"].unique())
    if len(contrast) != 2 or contrast[0] == contrast[1]:
        raise AnalysisError(
            f"The contrast {', '.join(contrast)!r} is not a pair; expected two different "
            "conditions, the first minus the second, for example B,A."
        )
    for condition in contrast:
        if condition not in conditions:
            raise AnalysisError(
                f"There are no ratings under condition {condition!r}; the table has "
                f"{', '.join(conditions)}. Name two of them: --contrast B,A."
            )
