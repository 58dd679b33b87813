"""Signed-rank tests of differences that come in clusters: by case, or by reader.

Clustered by case a test speaks for the readers at hand; clustered by reader, for readers like them
on the cases at hand. Neither normal approximation is good with a handful of clusters, where the
exact test by flipping whole clusters says honestly how little a few readers can show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.groups import group_codes
from study.analysis.signed_rank import Alternative

Form = Literal["Rosner-Glynn-Lee", "Datta-Satten"]
_WIDEST = 8_000_000
_N_FLIPS = 100_000
_FEW = 10


@dataclass(frozen=True)
class ClusteredSignedRank:
    """A clustered signed-rank test.

    Parameters
    ----------
    form
        Whose test it is.
    weighting
        ``"balanced"``, ``"unbalanced (ICC-weighted)"``, or ``"cluster size 1/n"`` (Datta–Satten).
    statistic, variance, z
        The statistic, its variance under the null, and their ratio.
    n, n_zero, n_clusters
        Differences, those that are 0, and clusters (counted before zeros are dropped).
    """

    form: Form
    weighting: str
    statistic: float
    variance: float
    z: float
    n: int
    n_zero: int
    n_clusters: int

    def p_value(self, alternative: Alternative = "two-sided") -> float:
        """Return the p-value of the normal approximation."""
        if alternative == "two-sided":
            return min(1.0, 2 * float(stats.norm.sf(abs(self.z))))
        return float(stats.norm.sf(self.z if alternative == "greater" else -self.z))

    def to_estimate(self, scope: Scope, cluster: str) -> Estimate:
        """Return z and p; ``cluster`` names what was clustered by (``"case"``, ``"reader"``)."""
        note = ""
        if self.n_clusters < _FEW:
            note = f"{self.n_clusters} clusters: the normal approximation gives too small p."
        return scope.estimate(
            "clustered signed-rank z",
            self.z,
            p_value=self.p_value(),
            method=f"{self.form} signed-rank test clustered by {cluster}, {self.weighting}",
            note=note,
        )


def rosner_glynn_lee(differences: ArrayLike, clusters: ArrayLike) -> ClusteredSignedRank:
    """Return the test of Rosner, Glynn and Lee.

    Biometrics 2006, doi:10.1111/j.1541-0420.2005.00389.x. Zeros are dropped and all differences
    ranked together. With clusters of one size the statistic is the sum of the signed ranks and its
    variance Σ_g S_g², S_g being the cluster's sum. Otherwise each cluster's mean signed rank has
    the weight n_g / (s²(1 + (n_g − 1)ρ)), with the intraclass correlation ρ of the signed ranks by
    analysis of variance (not below 0), corrected by the factor 1 + (1 − ρ²)/(m − 2.5), m clusters.

    Parameters
    ----------
    differences, clusters
        Shape (n,).

    Raises
    ------
    AnalysisError
        If all differences are 0, or lie in one cluster.
    """
    d, codes, n_clusters = _prepared(differences, clusters)
    free = d != 0
    if not free.any():
        raise AnalysisError(f"All {len(d)} differences are 0: nothing to rank.")
    signed = np.sign(d[free]) * stats.rankdata(np.abs(d[free]))
    codes, m = group_codes(codes[free])
    _refuse_one(m)
    sizes = np.bincount(codes)
    sums = np.asarray(np.bincount(codes, signed), dtype=float)
    if (sizes == sizes[0]).all():
        weighting, parts = "balanced", sums
    else:
        weighting, parts = "unbalanced (ICC-weighted)", _weighted(signed, codes, sizes, sums)
    statistic, variance = float(parts.sum()), float(parts @ parts)
    return ClusteredSignedRank(
        form="Rosner-Glynn-Lee",
        weighting=weighting,
        statistic=statistic,
        variance=variance,
        z=statistic / math.sqrt(variance) if variance else 0.0,
        n=len(d),
        n_zero=int((~free).sum()),
        n_clusters=n_clusters,
    )


def datta_satten(differences: ArrayLike, clusters: ArrayLike) -> ClusteredSignedRank:
    """Return the test of Datta and Satten (Biometrics 2008, doi:10.1111/j.1541-0420.2007.00923.x).

    Valid when the size of a cluster carries information: one difference is drawn from each cluster
    in thought, and the statistic averages over the draws. Zeros stay and have the sign 0.

    Parameters
    ----------
    differences, clusters
        Shape (n,).

    Raises
    ------
    AnalysisError
        If all differences are 0, or lie in one cluster.
    """
    d, codes, m = _prepared(differences, clusters)
    _refuse_one(m)
    if not np.any(d):
        raise AnalysisError(f"All {len(d)} differences are 0: nothing to rank.")
    signs, sizes, heights = np.sign(d), np.bincount(codes), np.abs(d)
    over_clusters = _mid_distribution(heights, 1 / sizes[codes])  # Σ_i F_i(|d|)
    pooled = _mid_distribution(heights, np.full(len(d), 1 / len(d)))
    own = np.empty(len(d))
    for code in range(m):
        inside = codes == code
        own[inside] = _mid_distribution(heights[inside], np.full(sizes[code], 1 / sizes[code]))
    first = np.bincount(codes, signs) / sizes
    second = np.bincount(codes, signs * (over_clusters - own)) / sizes
    third = np.bincount(codes, signs * pooled) / sizes
    statistic = float((first + second).sum())
    variance = float(((first + (m - 1) * third) ** 2).sum())
    return ClusteredSignedRank(
        form="Datta-Satten",
        weighting="each cluster the same weight, zeros kept",
        statistic=statistic,
        variance=variance,
        z=statistic / math.sqrt(variance) if variance else 0.0,
        n=len(d),
        n_zero=int((d == 0).sum()),
        n_clusters=m,
    )


def cluster_sign_flip(
    differences: ArrayLike, clusters: ArrayLike, scope: Scope, *, cluster: str, seed: int = 0
) -> Estimate:
    """Return the sum of the signed ranks and its p-value when whole clusters change sign.

    Exact: under the null every cluster's differences may be multiplied by −1, all 2^m patterns
    being equally likely; p = P(|T*| ≥ |T|), by convolution. With m readers it cannot be smaller
    than 2^(1−m). Where the exact distribution would be too wide, 100,000 random patterns are drawn.

    Parameters
    ----------
    differences, clusters
        Shape (n,).
    scope
        Population, role and counts.
    cluster
        What was clustered by, in words.
    seed
        Of the random patterns.
    """
    d, codes, m = _prepared(differences, clusters)
    method = f"sign-flip test of the signed-rank sum, whole {cluster}s flipped"
    quantity = "sum of signed ranks"
    free = d != 0
    if not free.any():
        note = f"All {len(d)} differences are 0: nothing to rank."
        return scope.unavailable(quantity, method=method, note=note)
    signed = np.zeros(len(d))
    signed[free] = np.sign(d[free]) * stats.rankdata(np.abs(d[free]))
    total = float(signed.sum())
    sums = np.abs(np.rint(2 * np.bincount(codes, signed, m))).astype(np.int64)
    reached = abs(round(2 * total))
    if int(sums.sum()) <= _WIDEST:
        method, p_value = f"exact {method}", _flip_p(sums, reached)
    else:
        method = f"{method}, {_N_FLIPS} random patterns"
        p_value = _random_flip_p(sums, reached, np.random.default_rng(seed))
    smallest = 2.0 ** (1 - int((sums > 0).sum()))
    note = ""
    if smallest > 0.01:
        note = f"With {m} {cluster}s no p-value below {smallest:.3g} is possible."
    return scope.estimate(quantity, total, p_value=p_value, method=method, note=note)


def signed_rank_parts(
    differences: ArrayLike, clusters: ArrayLike
) -> tuple[float, NDArray[np.float64]]:
    """Return the sum of the signed ranks, zeros dropped, and each cluster's part of it."""
    d, codes, m = _prepared(differences, clusters)
    free = d != 0
    signed = np.sign(d[free]) * stats.rankdata(np.abs(d[free]))
    return float(signed.sum()), np.asarray(np.bincount(codes[free], signed, m), float)


def _prepared(
    differences: ArrayLike, clusters: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.intp], int]:
    d = np.round(np.asarray(differences, dtype=float), 9) + 0.0
    codes, m = group_codes(clusters)
    return d, codes, m


def _refuse_one(m: int) -> None:
    if m < 2:
        raise AnalysisError(
            "All differences lie in one cluster; a clustered test needs at least two."
        )


def _weighted(
    signed: NDArray[np.float64],
    codes: NDArray[np.intp],
    sizes: NDArray[np.intp],
    sums: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return each cluster's weighted mean signed rank."""
    m, n = len(sizes), len(signed)
    means = sums / sizes
    between = float((sizes * (means - signed.mean()) ** 2).sum()) / (m - 1)
    within = float(((signed - means[codes]) ** 2).sum()) / (n - m) if n > m else 0.0
    typical = (n - float((sizes**2).sum()) / n) / (m - 1)
    shared = max(0.0, (between - within) / typical)
    rho = shared / (shared + within) if shared + within else 0.0
    if m > 2:
        rho *= 1 + (1 - rho**2) / (m - 2.5)
    spread = float(signed.var(ddof=1))
    return np.asarray(sizes / (spread * (1 + (sizes - 1) * rho)) * means)


def _mid_distribution(
    heights: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ½(P(H ≤ h) + P(H < h)) at each height, with the given weights."""
    levels, place = np.unique(heights, return_inverse=True)
    mass = np.bincount(place, weights, len(levels))
    return np.asarray((np.cumsum(mass) - mass / 2)[place])


def _flip_p(sums: NDArray[np.int64], reached: int) -> float:
    """Return P(|Σ ±sᵢ| ≥ reached) exactly; the sums are whole numbers."""
    chances = np.ones(1)  # of Σ over flipped sᵢ; T* = total − 2·that
    for step in np.sort(sums):
        grown = np.zeros(len(chances) + int(step))
        grown[: len(chances)] += chances / 2
        grown[int(step) :] += chances / 2
        chances = grown
    total = int(sums.sum())
    places = np.abs(total - 2 * np.arange(total + 1))
    return min(1.0, float(chances[places >= reached].sum()))


def _random_flip_p(sums: NDArray[np.int64], reached: int, dice: np.random.Generator) -> float:
    hits = 0
    for _ in range(_N_FLIPS // 1000):
        signs = dice.integers(0, 2, (1000, len(sums))) * 2 - 1
        hits += int((np.abs(signs @ sums) >= reached).sum())
    return (hits + 1) / (_N_FLIPS + 1)
