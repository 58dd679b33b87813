"""AUC averaged over readers by U-statistics, for any design, crossed or not, with gaps.

A success s_rij is 1, ½ or 0 as reader r puts case j with the finding above, level with or below
case i without it; d_rij says whether r read both. The AUC is Σ d s / Σ d. Its variance is
Σ c_m M_m − M_8 over the eight moments of products of two successes that share or do not share the
reader, the negative and the positive case; c_m is the share of such pairs in the design.

======= ======== ======= ========
moment  reader   negative positive
======= ======== ======= ========
1       same     same     same
2       same     differ   same
3       same     same     differ
4       same     differ   differ
5–8     differ   as 1–4
======= ======== ======= ========

Unbiased moments give an unbiased variance, which can come out negative; moments over all pairs
(also of a case with itself: V-statistics, "MLE") give a non-negative, larger one. Sources: Gallas
2006, Acad Radiol 13:353; Gallas, Bandos, Samuelson & Wagner 2009, Commun Stat Theory 38:2586;
degrees of freedom: Obuchowski, Gallas & Hillis 2012, Acad Radiol 19:1508, as in FDA's iMRMC.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError
from study.analysis.mrmc.scores import ReaderScores

Array = NDArray[np.float64]

# Sums over all pairs → sums over pairs of the kind that the moment speaks of.
_EXCLUDE = np.array(
    [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [-1, 1, 0, 0, 0, 0, 0, 0],
        [-1, 0, 1, 0, 0, 0, 0, 0],
        [1, -1, -1, 1, 0, 0, 0, 0],
        [-1, 0, 0, 0, 1, 0, 0, 0],
        [1, -1, 0, 0, -1, 1, 0, 0],
        [1, 0, -1, 0, -1, 0, 1, 0],
        [-1, 1, 1, -1, 1, -1, -1, 1],
    ],
    dtype=float,
)
_NEGATIVES, _POSITIVES, _READERS = (0, 2, 4, 6), (0, 1, 4, 5), (0, 1, 2, 3)
_NORMAL_FROM_DF = 50.0


@dataclass(frozen=True, eq=False)
class Moments:
    """The moments of one pair of conditions.

    Parameters
    ----------
    unbiased, all_pairs
        M_1 … M_8, shape (8,), over distinct cases and readers, and over all pairs.
    coefficients
        Shares of the design's pairs, that of M_8 less 1, shape (8,).
    """

    unbiased: Array
    all_pairs: Array
    coefficients: Array

    @property
    def covariance(self) -> float:
        """Unbiased covariance of the two AUCs (variance, if they are the same)."""
        return float(self.coefficients @ self.unbiased)

    @property
    def covariance_all_pairs(self) -> float:
        """Covariance by V-statistics."""
        return float(self.coefficients @ self.all_pairs)


@dataclass(frozen=True)
class UStatistics:
    """Two conditions compared.

    Parameters
    ----------
    aucs
        Of the first and the second condition, pairs of cases weighted alike.
    variances
        Of the two.
    difference, variance
        First minus second, and its variance; below 0 only for unbiased moments.
    df
        Degrees of freedom, not yet rounded; ``None`` if the variance is not positive.
    ci, p_value
        By t with ``df`` rounded down, normal above 50 as in iMRMC; ``None`` without ``df``.
    p_normal
        By the normal distribution.
    biased
        Whether the moments are those over all pairs.
    """

    aucs: tuple[float, float]
    variances: tuple[float, float]
    difference: float
    variance: float
    df: float | None
    ci: tuple[float, float] | None
    p_value: float | None
    p_normal: float | None
    biased: bool


def u_statistics(
    scores: ReaderScores,
    pair: tuple[int, int] = (0, 1),
    *,
    biased: bool = False,
    ci_level: float = 0.95,
) -> UStatistics:
    """Compare the AUCs of two conditions, generalising to readers and cases.

    Parameters
    ----------
    scores
        Scores, gaps allowed; nobody is left out.
    pair
        Indices of the conditions; the first minus the second.
    biased
        Use the moments over all pairs (V-statistics) instead of the unbiased ones.
    ci_level
        Confidence level in (0, 1).

    Raises
    ------
    AnalysisError
        If under a condition nobody read cases of both kinds, or there are fewer than two readers
        or two cases of a class.
    """
    low, high = scores.negatives[list(pair)], scores.positives[list(pair)]
    _check(scores, low, high, pair)
    own = [moments((low[k], high[k]), (low[k], high[k])) for k in (0, 1)]
    cross = moments((low[0], high[0]), (low[1], high[1]))
    aucs = (_auc(low[0], high[0]), _auc(low[1], high[1]))
    found = [
        made.covariance_all_pairs if biased else made.covariance for made in (own[0], own[1], cross)
    ]
    variance = found[0] + found[1] - 2 * found[2]
    value = aucs[0] - aucs[1]
    if variance <= 0:
        return UStatistics(
            aucs, (found[0], found[1]), value, variance, None, None, None, None, biased
        )
    df = _degrees_of_freedom(variance, own[0], own[1], cross)
    error = float(np.sqrt(variance))
    distribution = stats.norm if df > _NORMAL_FROM_DF else stats.t(np.floor(df))
    reach = float(distribution.ppf(0.5 + ci_level / 2)) * error
    return UStatistics(
        aucs,
        (found[0], found[1]),
        value,
        variance,
        df,
        (value - reach, value + reach),
        float(2 * distribution.sf(abs(value) / error)),
        float(2 * stats.norm.sf(abs(value) / error)),
        biased,
    )


def moments(first: tuple[Array, Array], second: tuple[Array, Array]) -> Moments:
    """Return the moments of two conditions.

    Parameters
    ----------
    first, second
        Scores of cases without, shape (R, N), and with the finding, shape (R, P).
    """
    of_success, of_design = np.zeros(8), np.zeros(8)
    totals: list[Array] = []
    n_readers = len(first[0])
    for r in range(n_readers):
        sides = [_successes(low[r], high[r]) for low, high in (first, second)]
        for k, sums in ((0, of_success), (1, of_design)):
            sums[:4] += _same_reader(sides[0][k], sides[1][k])
        parts = [sides[a][k] for a in (0, 1) for k in (0, 1)]
        totals = (
            parts if not totals else [old + new for old, new in zip(totals, parts, strict=True)]
        )
    of_success[4:] = _same_reader(totals[0], totals[2])
    of_design[4:] = _same_reader(totals[1], totals[3])
    numerator, denominator = _EXCLUDE @ of_success, _EXCLUDE @ of_design
    present = denominator > 0.5
    unbiased = np.where(present, numerator / np.where(present, denominator, 1.0), 0.0)
    everywhere = of_design > 0.5
    all_pairs = np.where(everywhere, of_success / np.where(everywhere, of_design, 1.0), 0.0)
    coefficients = denominator / of_design[7]
    coefficients[7] -= 1
    return Moments(unbiased, all_pairs, coefficients)


def _successes(low: Array, high: Array) -> tuple[Array, Array]:
    """Return one reader's successes and design, each (N, P); 0 where a case was not read."""
    design = np.outer(~np.isnan(low), ~np.isnan(high)).astype(float)
    success = (high[None, :] > low[:, None]) + 0.5 * (high[None, :] == low[:, None])
    return success * design, design


def _same_reader(a: Array, b: Array) -> Array:
    """Return Σ a b over same pairs, same positive, same negative, and all, shape (4,)."""
    return np.array(
        [
            (a * b).sum(),
            a.sum(axis=0) @ b.sum(axis=0),
            a.sum(axis=1) @ b.sum(axis=1),
            a.sum() * b.sum(),
        ]
    )


def _auc(low: Array, high: Array) -> float:
    won, counted = 0.0, 0.0
    for r in range(len(low)):
        success, design = _successes(low[r], high[r])
        won, counted = won + float(success.sum()), counted + float(design.sum())
    return won / counted


def _degrees_of_freedom(variance: float, first: Moments, second: Moments, both: Moments) -> float:
    """Return Satterthwaite's degrees of freedom, at least those of the scarcest factor.

    Each factor adds (mean square / df)² / df; factors that the conditions do not share add theirs
    separately.
    """
    below, counts = 0.0, []
    for shared, moment in ((_NEGATIVES, 6), (_POSITIVES, 5), (_READERS, 3)):
        dfs = [max(round(1 / _coefficient(made, shared) - 1), 1) for made in (first, second)]
        squares = [made.all_pairs[moment] - made.all_pairs[7] for made in (first, second, both)]
        counts.append(min(dfs))
        if _coefficient(both, shared) > 0:
            joint = squares[0] + squares[1] - 2 * squares[2]
            below += (joint / min(dfs)) ** 2 / min(dfs)
        else:
            below += sum((part / df) ** 2 / df for part, df in zip(squares[:2], dfs, strict=True))
    least = float(min(counts))
    return least if below <= 0 else max(float(variance**2 / below), least)


def _coefficient(made: Moments, shared: tuple[int, ...]) -> float:
    return float(made.coefficients[list(shared)].sum())


def _check(scores: ReaderScores, low: Array, high: Array, pair: tuple[int, int]) -> None:
    for k, index in enumerate(pair):
        both = (~np.isnan(low[k])).any(axis=1) & (~np.isnan(high[k])).any(axis=1)
        if both.sum() < 2:
            raise AnalysisError(
                f"Under condition {scores.conditions[index]} {int(both.sum())} readers read cases "
                "with and without the finding; generalising to readers needs at least two."
            )
        for part, kind in ((low[k], "without"), (high[k], "with")):
            n = int((~np.isnan(part)).any(axis=0).sum())
            if n < 2:
                raise AnalysisError(
                    f"Under condition {scores.conditions[index]} there is {n} case {kind} the "
                    "finding; a variance needs at least two."
                )
