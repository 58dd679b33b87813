"""Cohen's kappa of two raters, unweighted and weighted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from study.analysis.agreement.coefficient import Coefficient, coefficient_from_error, undefined
from study.analysis.agreement.ratings import RatingMatrix, Weights, weight_matrix
from study.analysis.estimate import AnalysisError

ArrayOrFloat = NDArray[np.float64] | float

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class CohenKappa:
    """Kappa of two raters.

    Parameters
    ----------
    coefficient
        Kappa with the large-sample standard error and normal interval.
    table
        Counts, shape (K, K): rows the first rater, columns the second.
    observed, expected
        Weighted agreement observed, and expected by chance, in [0, 1].
    z, p_value
        Test of kappa = 0 with its standard error under that hypothesis; ``None`` if undefined.
    bias
        Mean rating of the first rater minus that of the second, on the scale.
    """

    coefficient: Coefficient
    table: NDArray[np.float64]
    observed: float
    expected: float
    z: float | None
    p_value: float | None
    bias: float


def cohen_kappa(
    pair: RatingMatrix, weights: Weights = "quadratic", *, ci_level: float = 0.95
) -> CohenKappa:
    """Return Cohen's (weighted) kappa of two raters.

    κ = (p_o − p_e) / (1 − p_e) with p_o = Σ w_ij p_ij and p_e = Σ w_ij p_i. p_.j.

    Parameters
    ----------
    pair
        Two raters (see :meth:`RatingMatrix.pair`); units that one of them did not rate are left
        out. The scale decides the weights, so give the whole scale.
    weights
        See :func:`weight_matrix`.
    ci_level
        Confidence level in (0, 1).

    Raises
    ------
    AnalysisError
        If there are not exactly two raters, or no unit that both rated.

    Notes
    -----
    Standard error: Fleiss, Cohen & Everitt 1969, Psychol Bull 72:323, eqs 8 (large sample) and 9
    (under κ = 0).
    """
    if pair.n_raters != 2:
        raise AnalysisError(
            f"Cohen's kappa compares two raters; {pair.n_raters} were given. Use Fleiss' or "
            "Conger's kappa for more."
        )
    both = pair.complete
    if both.n_units == 0:
        raise AnalysisError(
            f"Raters {pair.raters[0]} and {pair.raters[1]} rated no unit in common; kappa cannot "
            "be computed."
        )
    table = contingency_table(both)
    weight = weight_matrix(weights, pair.scale)
    share = table / both.n_units
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    observed, expected = float((weight * share).sum()), float(rows @ weight @ columns)
    quantity, method = f"Cohen's kappa ({weights})", _method(weights, len(pair.scale))
    bias = float(both.values[:, 0].mean() - both.values[:, 1].mean())
    if 1 - expected < _ROUNDING:
        empty = undefined(
            quantity,
            method=method,
            n_units=both.n_units,
            ci_level=ci_level,
            note="Both raters gave one and the same rating throughout; agreement beyond chance "
            "is not defined.",
        )
        return CohenKappa(empty, table, observed, expected, None, None, bias)
    kappa = (observed - expected) / (1 - expected)
    variance, variance_null = _variances(share, weight, observed, expected)
    made = coefficient_from_error(
        quantity,
        kappa,
        float(np.sqrt(max(variance, 0.0) / both.n_units)),
        df=None,
        ci_level=ci_level,
        method=method,
        n_units=both.n_units,
        note=_note(table, both),
    )
    z = None if variance_null <= 0 else kappa / float(np.sqrt(variance_null / both.n_units))
    p_value = None if z is None else float(2 * stats.norm.sf(abs(z)))
    return CohenKappa(replace(made, p_value=p_value), table, observed, expected, z, p_value, bias)


def contingency_table(pair: RatingMatrix) -> NDArray[np.float64]:
    """Return the counts of two raters' categories, shape (K, K), units rated by both only."""
    codes = pair.complete.codes
    n = len(pair.scale)
    return np.bincount(codes[:, 0] * n + codes[:, 1], minlength=n * n).reshape(n, n).astype(float)


def pairwise_kappas(
    matrix: RatingMatrix, weights: Weights = "quadratic", *, ci_level: float = 0.95
) -> tuple[tuple[tuple[str, str], CohenKappa], ...]:
    """Return kappa of every pair of raters that share at least one unit."""
    found = []
    for i in range(matrix.n_raters):
        for j in range(i + 1, matrix.n_raters):
            pair = matrix.pair(i, j)
            if pair.n_units:
                found.append((pair.raters, cohen_kappa(pair, weights, ci_level=ci_level)))
    return tuple(((r[0], r[1]), kappa) for r, kappa in found)


def light_kappa(
    matrix: RatingMatrix, weights: Weights = "unweighted", *, ci_level: float = 0.95
) -> Coefficient:
    """Return the mean of the pairwise kappas (Light 1971, Psychol Bull 76:365).

    Each pair uses the units that both rated. The interval leaves out one unit at a time and takes
    t quantiles with U − 1 degrees of freedom.
    """
    method = f"mean pairwise Cohen kappa, {weights}, jackknife over units"
    quantity = f"mean pairwise kappa ({weights})"
    weight = weight_matrix(weights, matrix.scale) if matrix.scale else np.eye(1)
    codes = matrix.codes
    values, without = [], []
    for i in range(matrix.n_raters):
        for j in range(i + 1, matrix.n_raters):
            both = (codes[:, i] >= 0) & (codes[:, j] >= 0)
            if both.any():
                value, left_out = _kappa_and_leave_one_out(codes[:, [i, j]], both, weight)
                values.append(value)
                without.append(left_out)
    if not values or not np.isfinite(values).all():
        return undefined(
            quantity,
            method=method,
            n_units=matrix.n_units,
            ci_level=ci_level,
            note="No two raters rated a unit in common, or two of them gave one and the same "
            "rating throughout; the mean of the pairwise kappas is not defined.",
        )
    value, jack = float(np.mean(values)), np.mean(without, axis=0)
    n = matrix.n_units
    if n < 2 or not np.isfinite(jack).all():
        return Coefficient(
            quantity,
            value,
            None,
            None,
            None,
            ci_level,
            None,
            method,
            n,
            "Too few units for an interval by jackknife.",
        )
    error = float(np.sqrt((n - 1) / n * ((jack - jack.mean()) ** 2).sum()))
    return coefficient_from_error(
        quantity, value, error, df=n - 1, ci_level=ci_level, method=method, n_units=n
    )


def _kappa_and_leave_one_out(
    codes: NDArray[np.intp], both: NDArray[np.bool_], weight: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return kappa, and kappa without each unit in turn, shape (U,)."""
    size = len(weight)
    a, b = codes[both, 0], codes[both, 1]
    n = len(a)
    rows, columns = np.bincount(a, minlength=size), np.bincount(b, minlength=size)
    agreed = weight[a, b]
    chance = float(rows @ weight @ columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa = _kappa(agreed.sum() / n, np.asarray(chance / n**2))
        left = np.full(len(codes), kappa)
        if n > 1:
            less = chance - (weight @ columns)[a] - (rows @ weight)[b] + agreed
            left[both] = _kappa((agreed.sum() - agreed) / (n - 1), less / (n - 1) ** 2)
        else:
            left[both] = np.nan
    return float(kappa), left


def _kappa(observed: ArrayOrFloat, expected: NDArray[np.float64]) -> NDArray[np.float64]:
    kappa = (observed - expected) / (1 - expected)
    return np.where(1 - expected < _ROUNDING, np.nan, kappa)


def _variances(
    share: NDArray[np.float64], weight: NDArray[np.float64], observed: float, expected: float
) -> tuple[float, float]:
    """Return n times the variance of kappa: large sample, and under no agreement beyond chance."""
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    margin = (weight @ columns)[:, None] + (rows @ weight)[None, :]
    spread = (share * (weight * (1 - expected) - margin * (1 - observed)) ** 2).sum()
    variance = spread - (observed * expected - 2 * expected + observed) ** 2
    null = (np.outer(rows, columns) * (weight - margin) ** 2).sum() - expected**2
    return float(variance / (1 - expected) ** 4), float(null / (1 - expected) ** 2)


def _method(weights: Weights, size: int) -> str:
    return (
        f"Cohen's kappa, {weights} weights on {size} categories, Fleiss–Cohen–Everitt standard "
        "error, normal interval"
    )


def _note(table: NDArray[np.float64], pair: RatingMatrix) -> str:
    constant = [
        rater
        for rater, margin in zip(pair.raters, (table.sum(axis=1), table.sum(axis=0)), strict=True)
        if (margin > 0).sum() == 1
    ]
    if not constant:
        return ""
    return (
        f"Rater {constant[0]} gave one and the same rating throughout, so that kappa is 0 whatever "
        "the other did."
    )
