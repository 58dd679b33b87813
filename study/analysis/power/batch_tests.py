"""The paired tests of this package over many studies at once, for simulation.

Each function takes differences of shape (S, R, C), study × reader × case, whole numbers, nan where
a pair is missing, and returns S two-sided p-values, equal to those of the function that a report
uses (named in each docstring; the tests compare them). Where nothing can be tested p is 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.crossed_mean import crossed_means
from study.analysis.estimate import AnalysisError

Array = NDArray[np.float64]
MOST_FLIPPED = 18
"""Readers up to which every pattern of signs is tried."""
_SAME = 1e-9


def pooled_signed_rank(differences: ArrayLike) -> Array:
    """Return p of :func:`study.analysis.signed_rank.signed_rank` over all pairs of a study."""
    ranks = _signed_ranks(_checked(differences))
    return _normal(ranks.sum(axis=(1, 2)), (ranks**2).sum(axis=(1, 2)))


def clustered_signed_rank(differences: ArrayLike, by: str) -> Array:
    """Return p of :func:`study.analysis.clustered_rank.rosner_glynn_lee`.

    Parameters
    ----------
    differences
        Shape (S, R, C).
    by
        ``case`` or ``reader``.
    """
    ranks = _signed_ranks(_checked(differences))
    axis = 1 if by == "case" else 2
    sizes = (ranks != 0).sum(axis=axis).astype(float)  # (S, clusters)
    sums = ranks.sum(axis=axis)
    used = sizes > 0
    m, n = used.sum(axis=1), sizes.sum(axis=1)
    largest = sizes.max(axis=1)
    even = np.where(used, sizes, largest[:, None]).min(axis=1) == largest
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(used, sums / np.maximum(sizes, 1), 0.0)
        overall = sums.sum(axis=1) / n
        between = (sizes * (means - overall[:, None]) ** 2).sum(axis=1) / (m - 1)
        within_sum = (ranks**2).sum(axis=(1, 2)) - (sizes * means**2).sum(axis=1)
        within = np.where(n > m, within_sum / np.maximum(n - m, 1), 0.0)
        typical = (n - (sizes**2).sum(axis=1) / n) / (m - 1)
        shared = np.maximum((between - within) / typical, 0.0)
        total = shared + within
        rho = np.where(total > 0, shared / np.where(total > 0, total, 1.0), 0.0)
        rho = np.where(m > 2, rho * (1 + (1 - rho**2) / (m - 2.5)), rho)
        weights = sizes / (1 + (sizes - 1) * rho[:, None])
        parts = np.where(even[:, None], sums, weights * means)
    parts = np.where((m > 1)[:, None], parts, 0.0)
    return _normal(parts.sum(axis=1), (parts**2).sum(axis=1))


def signed_rank_of_case_means(differences: ArrayLike) -> Array:
    """Return p of :func:`study.analysis.signed_rank.signed_rank` over the cases' means."""
    d = _checked(differences)
    count = np.isfinite(d).sum(axis=1)
    means = np.round(np.nansum(d, axis=1) / np.maximum(count, 1), 9)
    ranks = np.asarray(stats.rankdata(np.abs(means), axis=1), dtype=float)
    ranks -= (means == 0).sum(axis=1)[:, None]
    signed = np.sign(means) * ranks
    return _normal(signed.sum(axis=1), (signed**2).sum(axis=1))


def reader_sign_flip(differences: ArrayLike) -> Array:
    """Return p of :func:`study.analysis.clustered_rank.cluster_sign_flip` by reader, exact.

    Raises
    ------
    AnalysisError
        If there are more readers than :data:`MOST_FLIPPED`.
    """
    ranks = _signed_ranks(_checked(differences))
    sums = np.rint(2 * ranks.sum(axis=2))  # (S, R)
    R = sums.shape[1]
    if R > MOST_FLIPPED:
        raise AnalysisError(
            f"{R} readers have too many patterns of signs to try in every simulated study; "
            f"expected up to {MOST_FLIPPED}."
        )
    codes = np.arange(2 ** (R - 1))[:, None] >> np.arange(R)
    patterns = 1.0 - 2.0 * (codes & 1)  # (patterns, R); the last sign stays: |Σ| is symmetric
    reached = np.abs(sums.sum(axis=1))
    p = np.empty(len(sums))
    step = max(1, 4_000_000 // len(patterns))
    for first in range(0, len(sums), step):
        part = slice(first, first + step)
        p[part] = (np.abs(patterns @ sums[part].T) >= reached[part] - 0.5).mean(axis=0)
    return p


def mean_by_case(differences: ArrayLike) -> Array:
    """Return p of :func:`study.analysis.paired.mean_difference` (CR1 by case, t)."""
    d = _checked(differences)
    there = np.isfinite(d)
    n = there.sum(axis=(1, 2))
    clusters = there.any(axis=1).sum(axis=1)
    mean = np.nansum(d, axis=(1, 2)) / np.maximum(n, 1)
    scores = np.where(there, d - mean[:, None, None], 0.0).sum(axis=1)  # (S, C)
    factor = clusters / np.maximum(clusters - 1, 1)
    error = np.sqrt(factor * (scores**2).sum(axis=1)) / np.maximum(n, 1)
    return _student(mean, error, clusters - 1)


def mean_over_readers(differences: ArrayLike) -> Array:
    """Return p of :func:`study.analysis.paired.mean_difference_over_readers` (t over readers)."""
    d = _checked(differences)
    count = np.isfinite(d).sum(axis=2)
    read = count > 0
    means = np.where(read, np.nansum(d, axis=2) / np.maximum(count, 1), 0.0)  # (S, R)
    n = read.sum(axis=1)
    mean = means.sum(axis=1) / np.maximum(n, 1)
    spread = np.where(read, means - mean[:, None], 0.0)
    variance = (spread**2).sum(axis=1) / np.maximum(n - 1, 1)
    return _student(mean, np.sqrt(variance / np.maximum(n, 1)), n - 1)


def mean_over_readers_and_cases(differences: ArrayLike) -> Array:
    """Return p of :func:`study.analysis.crossed_mean.crossed_mean_difference`."""
    p = crossed_means(_checked(differences)).p_values
    return np.where(np.isfinite(p), p, 1.0)


def _checked(differences: ArrayLike) -> Array:
    d = np.asarray(differences, dtype=float)
    if d.ndim != 3:
        raise AnalysisError(
            f"Differences have the shape {d.shape}; expected studies × readers × cases."
        )
    if np.any(np.mod(d[np.isfinite(d)], 1)):
        raise AnalysisError("Differences of simulated ratings are whole numbers; these are not.")
    return d


def _signed_ranks(d: Array) -> Array:
    """Return the signed mid-ranks of the non-zero differences of each study, else 0."""
    size = np.abs(np.nan_to_num(d)).astype(np.intp)
    ranks = np.zeros((len(d), int(size.max()) + 1))  # by study and size
    before = np.zeros(len(d))
    for level in range(1, ranks.shape[1]):
        count = (size == level).sum(axis=(1, 2))
        ranks[:, level] = before + (count + 1) / 2
        before += count
    chosen = np.take_along_axis(ranks, size.reshape(len(d), -1), axis=1).reshape(d.shape)
    return np.asarray(np.sign(np.nan_to_num(d)) * chosen)


def _normal(statistic: Array, variance: Array) -> Array:
    z = np.divide(
        statistic, np.sqrt(variance), out=np.zeros(len(statistic)), where=variance > _SAME
    )
    return np.asarray(np.minimum(2 * stats.norm.sf(np.abs(z)), 1.0), dtype=float)


def _student(value: Array, error: Array, df: NDArray[np.int_]) -> Array:
    testable = (error > _SAME) & (df > 0)
    t = np.divide(value, error, out=np.zeros(len(value)), where=testable)
    p = 2 * stats.t.sf(np.abs(t), np.maximum(df, 1))
    return np.where(testable, p, 1.0)
