"""Rank and product-moment correlations with intervals, for pairs that are independent.

Readings of one case by several readers are not: give case means, or say what is done wrong.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.estimate import Estimate, Scope

SpearmanError = Literal["Fisher", "Fieller", "Bonett-Wright"]
_KENDALL_FIELLER = 0.437


def spearman(
    x: ArrayLike,
    y: ArrayLike,
    scope: Scope,
    *,
    error: SpearmanError = "Bonett-Wright",
    ci_level: float = 0.95,
) -> Estimate:
    """Return Spearman's rho; p by t on n − 2, interval on Fisher's z.

    Standard error on the z scale: 1/√(n−3) (Fisher), √(1.06/(n−3)) (Fieller, Hartley and Pearson
    1957), √((1 + ρ²/2)/(n−3)) (Bonett and Wright, Psychometrika 2000).
    """
    x, y = _pair(x, y)
    method = f"Spearman's rho, t on n − 2; interval by {error} on Fisher's z"
    if problem := _problem(x, y):
        return scope.unavailable("Spearman's rho", method=method, note=problem)
    rho, p_value = map(float, stats.spearmanr(x, y))
    n = len(x)
    spread = {
        "Fisher": 1 / math.sqrt(n - 3),
        "Fieller": math.sqrt(1.06 / (n - 3)),
        "Bonett-Wright": math.sqrt((1 + rho**2 / 2) / (n - 3)),
    }[error]
    return scope.estimate(
        "Spearman's rho",
        rho,
        ci=_on_z(rho, spread, ci_level),
        ci_level=ci_level,
        p_value=p_value,
        df=n - 2,
        method=method,
    )


def kendall(x: ArrayLike, y: ArrayLike, scope: Scope, *, ci_level: float = 0.95) -> Estimate:
    """Return Kendall's tau-b; p by the tie-corrected normal approximation.

    Interval tanh(atanh τ ± z √(0.437/(n − 4))) (Fieller, Hartley and Pearson 1957).
    """
    x, y = _pair(x, y)
    method = "Kendall's tau-b, normal approximation with ties; interval by Fieller on Fisher's z"
    if problem := _problem(x, y):
        return scope.unavailable("Kendall's tau-b", method=method, note=problem)
    result = stats.kendalltau(x, y, method="asymptotic")
    tau, spread = float(result.statistic), math.sqrt(_KENDALL_FIELLER / (len(x) - 4))
    return scope.estimate(
        "Kendall's tau-b",
        tau,
        ci=_on_z(tau, spread, ci_level),
        ci_level=ci_level,
        p_value=float(result.pvalue),
        method=method,
    )


def pearson(x: ArrayLike, y: ArrayLike, scope: Scope, *, ci_level: float = 0.95) -> Estimate:
    """Return the product-moment correlation with its interval on Fisher's z."""
    x, y = _pair(x, y)
    method = "Pearson's r, t on n − 2; interval on Fisher's z"
    if problem := _problem(x, y):
        return scope.unavailable("Pearson's r", method=method, note=problem)
    r, p_value = map(float, stats.pearsonr(x, y))
    return scope.estimate(
        "Pearson's r",
        r,
        ci=_on_z(r, 1 / math.sqrt(len(x) - 3), ci_level),
        ci_level=ci_level,
        p_value=p_value,
        df=len(x) - 2,
        method=method,
    )


def kendall_z(x: ArrayLike, y: ArrayLike) -> float:
    """Return the standardised S = concordant − discordant pairs, tie-corrected."""
    x, y = _pair(x, y)
    n = len(x)
    tau = float(stats.kendalltau(x, y).statistic)

    def sizes(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.unique(values, return_counts=True)[1].astype(float)

    tx, ty = sizes(x), sizes(y)
    pairs = n * (n - 1) / 2
    untied = [pairs - (t * (t - 1)).sum() / 2 for t in (tx, ty)]
    s = tau * math.sqrt(untied[0] * untied[1])
    v0 = n * (n - 1) * (2 * n + 5)
    vt, vu = ((t * (t - 1) * (2 * t + 5)).sum() for t in (tx, ty))
    v1 = (tx * (tx - 1)).sum() * (ty * (ty - 1)).sum() / (2 * n * (n - 1))
    v2 = (tx * (tx - 1) * (tx - 2)).sum() * (ty * (ty - 1) * (ty - 2)).sum()
    v2 /= 9 * n * (n - 1) * (n - 2)
    return float(s / math.sqrt((v0 - vt - vu) / 18 + v1 + v2))


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    both = np.isfinite(a) & np.isfinite(b)
    # Means over readers tie only after rounding.
    return np.round(a[both], 9), np.round(b[both], 9)


def _problem(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    if len(x) < 5:
        return f"{len(x)} complete pairs: a correlation with its interval needs at least five."
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return "One of the two does not vary: there is no correlation."
    return ""


def _on_z(value: float, spread: float, level: float) -> tuple[float, float] | None:
    if abs(value) >= 1:
        return None
    reach = float(stats.norm.ppf(0.5 + level / 2)) * spread
    return math.tanh(math.atanh(value) - reach), math.tanh(math.atanh(value) + reach)
