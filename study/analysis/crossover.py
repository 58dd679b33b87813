"""A crossover's effects apart: condition, period and carry-over, by ranks.

Every case has two ratings by a reader, one in each period; the sequence says which condition came
first. The condition is judged by the difference between the periods compared over sequences, which
takes the period's own effect out (Koch, Biometrics 1972). Carry-over is confounded with the
sequence: it is shown and never used to choose the analysis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError, Estimate, Scope


def rank_sum(first: ArrayLike, second: ArrayLike, scope: Scope, quantity: str) -> Estimate:
    """Return Wilcoxon's rank-sum W of ``first`` (U, as R counts it), normal, ties corrected.

    Parameters
    ----------
    first, second
        Two independent samples, such as the cases of either sequence.
    scope
        Population, role and counts.
    quantity
        What is compared, in words.
    """
    x, y = _rounded(first), _rounded(second)
    method = "rank-sum test, ties corrected, no continuity correction"
    if len(x) == 0 or len(y) == 0:
        note = "One of the two sequences has no complete case."
        return scope.unavailable(quantity, method=method, note=note)
    if np.ptp(np.concatenate([x, y])) == 0:
        return scope.unavailable(quantity, method=method, note="All values are equal.")
    result = stats.mannwhitneyu(
        x, y, alternative="two-sided", method="asymptotic", use_continuity=False
    )
    return scope.estimate(quantity, result.statistic, p_value=result.pvalue, method=method)


def koch_tests(
    first_period: ArrayLike,
    second_period: ArrayLike,
    starts_with_first: ArrayLike,
    scope: Scope,
) -> tuple[Estimate, Estimate, Estimate]:
    """Return condition (adjusted for period), carry-over and period effect of one reader.

    Parameters
    ----------
    first_period, second_period
        Ratings of each case, shape (n,).
    starts_with_first
        Whether the case was read under the first condition of the contrast in the first period.
    scope
        Population, role and counts.
    """
    p1, p2 = np.asarray(first_period, float), np.asarray(second_period, float)
    ab = np.asarray(starts_with_first, dtype=bool)
    by_condition = np.where(ab, p1 - p2, p2 - p1)
    return (
        rank_sum((p1 - p2)[ab], (p1 - p2)[~ab], scope, "condition, adjusted for period"),
        rank_sum((p1 + p2)[ab], (p1 + p2)[~ab], scope, "carry-over (shown only)"),
        rank_sum(by_condition[ab], by_condition[~ab], scope, "period"),
    )


def stratified_rank_sum(
    values: Sequence[ArrayLike], in_first: Sequence[ArrayLike], scope: Scope, quantity: str
) -> Estimate:
    """Return the rank-sum z over strata (readers), each ranked by itself (van Elteren 1960).

    Parameters
    ----------
    values
        One array for each stratum.
    in_first
        Whether each value belongs to the first group.
    scope, quantity
        As above.
    """
    distance = variance = 0.0
    for stratum, group in zip(values, in_first, strict=True):
        x, first = _rounded(stratum), np.asarray(group, dtype=bool)
        n, m = len(x), int(first.sum())
        if not 0 < m < n:
            raise AnalysisError("A stratum has one group only; leave it out or merge strata.")
        ranks = stats.rankdata(x)
        distance += float(ranks[first].sum()) - m * (n + 1) / 2
        variance += m * (n - m) / (n * (n - 1)) * float(((ranks - ranks.mean()) ** 2).sum())
    z = distance / math.sqrt(variance)
    return scope.estimate(
        quantity,
        z,
        p_value=float(2 * stats.norm.sf(abs(z))),
        method="rank-sum test stratified by reader (van Elteren), normal approximation",
    )


def _rounded(values: ArrayLike) -> NDArray[np.float64]:
    return np.round(np.asarray(values, dtype=float), 9)
