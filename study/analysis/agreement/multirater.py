"""Agreement of two or more raters in categories, missing ratings allowed.

All coefficients share the observed agreement p_a (the mean over units with at least two ratings of
the weighted share of agreeing pairs) and differ in the agreement p_e expected by chance:

=================== ====================================================================
Fleiss              Σ w_kl π_k π_l, π the mean share of category k over units
Conger              as Cohen's kappa, averaged over pairs of raters with their own margins
Gwet AC1, AC2       Σ w_kl · Σ π_k (1 − π_k) / (K (K − 1))
Brennan–Prediger    Σ w_kl / K²
=================== ====================================================================

Standard errors are Gwet's linearised ones: the variance over units of each unit's influence, with
t quantiles and U − 1 degrees of freedom. Source: Gwet 2014, Handbook of Inter-Rater Reliability,
4th ed., ch. 2–5; Gwet 2008, Br J Math Stat Psychol 61:29; Conger 1980, Psychol Bull 88:322;
Fleiss 1971, Psychol Bull 76:378; Brennan & Prediger 1981, Educ Psychol Meas 41:687.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from study.analysis.agreement.coefficient import (
    Coefficient,
    coefficient_from_error,
    undefined,
)
from study.analysis.agreement.ratings import RatingMatrix, Weights, weight_matrix
from study.analysis.estimate import AnalysisError

Array = NDArray[np.float64]
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class _Parts:
    """What every coefficient is made of; U units, K categories."""

    counts: Array  # (U, K)
    n_ratings: Array  # (U,)
    paired: NDArray[np.bool_]  # (U,), two ratings or more
    agreement: Array  # (U,), 0 where not paired
    shares: Array  # (K,), mean share of each category
    weight: Array  # (K, K)

    @property
    def observed(self) -> float:
        return float(self.agreement[self.paired].mean())


def percent_agreement(matrix: RatingMatrix, *, ci_level: float = 0.95) -> Coefficient:
    """Return the share of agreeing pairs of ratings, averaged over units, with a t interval."""

    def chance(parts: _Parts) -> tuple[float, Array | None]:
        return 0.0, None

    made = _coefficient("raw agreement", matrix, "unweighted", ci_level, chance)
    return replace(made, p_value=None)


def fleiss_kappa(
    matrix: RatingMatrix, weights: Weights = "unweighted", *, ci_level: float = 0.95
) -> Coefficient:
    """Return Fleiss' kappa: one common distribution of categories for all raters."""

    def chance(parts: _Parts) -> tuple[float, Array]:
        by_category = (parts.weight + parts.weight.T) @ parts.shares / 2
        return (
            float(parts.shares @ parts.weight @ parts.shares),
            parts.counts @ by_category / parts.n_ratings,
        )

    return _coefficient("Fleiss' kappa", matrix, weights, ci_level, chance)


def gwet_ac(
    matrix: RatingMatrix, weights: Weights = "unweighted", *, ci_level: float = 0.95
) -> Coefficient:
    """Return Gwet's AC1 (``unweighted``) or AC2 (any other weights)."""

    def chance(parts: _Parts) -> tuple[float, Array]:
        size = len(parts.shares)
        factor = parts.weight.sum() / (size * (size - 1))
        expected = factor * float((parts.shares * (1 - parts.shares)).sum())
        return expected, factor * (parts.counts @ (1 - parts.shares)) / parts.n_ratings

    name = "Gwet's AC1" if weights == "unweighted" else "Gwet's AC2"
    return _coefficient(name, matrix, weights, ci_level, chance)


def brennan_prediger(
    matrix: RatingMatrix, weights: Weights = "unweighted", *, ci_level: float = 0.95
) -> Coefficient:
    """Return Brennan and Prediger's coefficient: every category equally likely by chance."""

    def chance(parts: _Parts) -> tuple[float, None]:
        return float(parts.weight.mean()), None

    return _coefficient("Brennan–Prediger coefficient", matrix, weights, ci_level, chance)


def conger_kappa(
    matrix: RatingMatrix, weights: Weights = "unweighted", *, ci_level: float = 0.95
) -> Coefficient:
    """Return Conger's kappa: Cohen's for several raters, each with his or her own margins.

    With two raters and complete data it is Cohen's kappa; its linearised interval differs slightly
    from the large-sample one of :func:`~study.analysis.agreement.kappa.cohen_kappa`.
    """
    if (matrix.codes >= 0).any(axis=0).sum() < 2:
        return undefined(
            f"Conger's kappa ({weights})",
            method="Conger's kappa",
            n_units=matrix.n_units,
            ci_level=ci_level,
            note="Fewer than two raters rated anything; agreement cannot be estimated.",
        )

    def chance(parts: _Parts) -> tuple[float, Array]:
        return _conger_chance(matrix.codes, parts)

    return _coefficient("Conger's kappa", matrix, weights, ci_level, chance)


def linearised_alpha(
    matrix: RatingMatrix, weights: Weights = "unweighted", *, ci_level: float = 0.95
) -> Coefficient:
    """Return alpha for fixed agreement weights with Gwet's linearised standard error.

    With ``unweighted`` and ``quadratic`` weights it equals Krippendorff's nominal and interval
    alpha. With ``ordinal`` weights it does **not** equal Krippendorff's ordinal alpha, whose
    distances depend on how often categories were used
    (:func:`~study.analysis.agreement.alpha.krippendorff_alpha`).
    """
    quantity = f"alpha with {weights} weights"
    method = f"Krippendorff's alpha by agreement weights ({weights}), linearised standard error, t"
    weight = weight_matrix(weights, matrix.scale)
    counts = matrix.counts
    counts = counts[counts.sum(axis=1) >= 2]
    n = len(counts)
    if n == 0:
        return undefined(
            quantity, method=method, n_units=0, ci_level=ci_level, note=_NOTHING_PAIRED
        )
    ratings = counts.sum(axis=1)
    mean_ratings, epsilon = ratings.mean(), 1 / ratings.sum()
    agreement = (counts * (counts @ weight - 1)).sum(axis=1) / (mean_ratings * (ratings - 1))
    plain = float(agreement.mean())
    shares = counts.mean(axis=0) / mean_ratings
    expected = float(shares @ weight @ shares)
    if 1 - expected < _ROUNDING:
        return undefined(quantity, method=method, n_units=n, ci_level=ci_level, note=_ONE_CATEGORY)
    alpha = ((1 - epsilon) * plain + epsilon - expected) / (1 - expected)
    without = (plain - expected) / (1 - expected)
    excess = (ratings - mean_ratings) / mean_ratings
    of_unit = (agreement - plain * excess - expected) / (1 - expected)
    chance = counts @ (weight @ shares) / mean_ratings - expected * excess
    influence = of_unit - 2 * (1 - without) * (chance - expected) / (1 - expected)
    # As Gwet, of alpha without its small-sample term 1/n; centred at the alpha with it.
    influence = influence - without + alpha
    return _with_error(quantity, alpha, influence, method, ci_level)


@dataclass(frozen=True)
class FleissDetail:
    """Fleiss' kappa as in 1971: complete data, standard error under no agreement beyond chance.

    Parameters
    ----------
    kappa, z, p_value
        Kappa, its test statistic and two-sided p-value.
    categories, per_category
        Categories in use, and kappa of each against all others.
    n_units
        Units rated by every rater.
    """

    kappa: float
    z: float
    p_value: float
    categories: tuple[float, ...]
    per_category: tuple[float, ...]
    n_units: int


def fleiss_detail(matrix: RatingMatrix) -> FleissDetail:
    """Return Fleiss' kappa with its test and one kappa per category (Fleiss 1971, eqs 9–24).

    Only units rated by every rater enter.

    Raises
    ------
    AnalysisError
        If there is no complete unit, only one rater, or all ratings fall into one category.
    """
    complete = matrix.complete
    if complete.n_units == 0 or complete.n_raters < 2:
        raise AnalysisError(
            "Fleiss' kappa of 1971 needs units that at least two raters all rated; there are "
            f"{complete.n_units} such units and {complete.n_raters} raters."
        )
    counts = complete.counts
    used = counts.sum(axis=0) > 0
    counts, m, n = counts[:, used], complete.n_raters, complete.n_units
    share = counts.sum(axis=0) / (n * m)
    other = 1 - share
    if len(share) < 2:
        raise AnalysisError("All ratings fall into one category; kappa is not defined.")
    disagreed = (counts * (m - counts)).sum(axis=0)
    per_category = 1 - disagreed / (n * m * (m - 1) * share * other)
    mixed = float((share * other).sum())
    kappa = float((share * other) @ per_category / mixed)
    variance = 2 * (mixed**2 - float((share * other * (other - share)).sum()))
    variance /= n * m * (m - 1) * mixed**2
    z = kappa / float(np.sqrt(variance))
    names = tuple(c for c, use in zip(complete.scale, used, strict=True) if use)
    return FleissDetail(
        kappa,
        z,
        float(2 * stats.norm.sf(abs(z))),
        names,
        tuple(float(k) for k in per_category),
        n,
    )


_NOTHING_PAIRED = "No unit was rated by two raters; agreement cannot be estimated."
_ONE_CATEGORY = (
    "All ratings fall into one category; agreement beyond chance is not defined (raw agreement is "
    "1)."
)


def _coefficient(
    name: str,
    matrix: RatingMatrix,
    weights: Weights,
    ci_level: float,
    chance: Callable[[_Parts], tuple[float, Array | None]],
) -> Coefficient:
    parts = _parts(matrix, weights)
    n, n_paired = len(parts.counts), int(parts.paired.sum())
    quantity = name if name == "raw agreement" else f"{name} ({weights})"
    method = f"{name}, {weights} weights on {len(matrix.scale)} categories, linearised standard "
    method += f"error, t with {n} − 1 df"
    if n_paired == 0:
        return undefined(
            quantity, method=method, n_units=n, ci_level=ci_level, note=_NOTHING_PAIRED
        )
    expected, chance_of_unit = chance(parts)
    if 1 - expected < _ROUNDING:
        return undefined(quantity, method=method, n_units=n, ci_level=ci_level, note=_ONE_CATEGORY)
    value = (parts.observed - expected) / (1 - expected)
    influence = n / n_paired * (parts.agreement - expected * parts.paired) / (1 - expected)
    if chance_of_unit is not None:
        influence = influence - 2 * (1 - value) * (chance_of_unit - expected) / (1 - expected)
    return _with_error(quantity, value, influence, method, ci_level)


def _with_error(
    quantity: str, value: float, influence: Array, method: str, ci_level: float
) -> Coefficient:
    n = len(influence)
    if n < 2:
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
            "One unit only; there is no interval.",
        )
    error = float(np.sqrt(((influence - value) ** 2).sum() / (n * (n - 1))))
    if error < _ROUNDING:
        error = 0.0
    return coefficient_from_error(
        quantity, value, error, df=n - 1, ci_level=ci_level, method=method, n_units=n
    )


def _parts(matrix: RatingMatrix, weights: Weights) -> _Parts:
    weight = weight_matrix(weights, matrix.scale)
    counts = matrix.counts
    ratings = counts.sum(axis=1)
    paired = ratings >= 2
    agreeing = (counts * (counts @ weight - 1)).sum(axis=1)
    pairs = np.where(paired, ratings * (ratings - 1), 1.0)
    return _Parts(
        counts=counts,
        n_ratings=ratings,
        paired=paired,
        agreement=np.where(paired, agreeing / pairs, 0.0),
        shares=(counts / ratings[:, None]).mean(axis=0) if len(counts) else counts.sum(axis=0),
        weight=weight,
    )


def _conger_chance(codes: NDArray[np.intp], parts: _Parts) -> tuple[float, Array]:
    """Return Conger's chance agreement and each unit's contribution, shape (U,)."""
    codes = codes[:, (codes >= 0).any(axis=0)]
    size, n = len(parts.shares), len(codes)
    raters = codes.shape[1]
    chosen = codes[:, :, None] == np.arange(size)  # (U, R, K)
    rated = (codes >= 0).astype(float)  # (U, R)
    n_rated = rated.sum(axis=0)  # (R,)
    margins = chosen.sum(axis=0) / n_rated[:, None]  # (R, K)
    mean = margins.mean(axis=0)
    spread = (margins.T @ margins - raters * np.outer(mean, mean)) / (raters - 1)
    expected = float((parts.weight * (np.outer(mean, mean) - spread / raters)).sum())
    # Influence of a unit on each rater's margin, then on Σ_{g≠h} w p_g p_h / (R (R − 1)).
    moved = chosen - (rated - n_rated / n)[:, :, None] * margins  # (U, R, K)
    moved = moved * (n / n_rated)[None, :, None]
    weighted_others = (raters * mean - margins) @ parts.weight  # (R, K)
    of_unit = np.einsum("urk,rk->u", moved, weighted_others) / (raters * (raters - 1))
    return expected, of_unit
