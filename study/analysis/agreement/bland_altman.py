"""Bland–Altman: bias and limits of agreement of two raters or two readings, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError, Estimate, Scope


@dataclass(frozen=True, eq=False)
class BlandAltman:
    """Agreement of two measurements of the same units.

    Parameters
    ----------
    means, differences
        Of each pair, shape (N,), first minus second, on the scale of the measurement.
    bias
        Mean difference, with its t interval and the paired t test.
    sd
        Standard deviation of the differences (N − 1).
    lower, upper
        Limits of agreement, bias ∓ 1.96 SD at a coverage of 0.95, each with its interval.
    slope
        Of the differences on the means: whether disagreement grows with the value (proportional
        bias).
    """

    means: NDArray[np.float64]
    differences: NDArray[np.float64]
    bias: Estimate
    sd: float
    lower: Estimate
    upper: Estimate
    slope: Estimate


def bland_altman(
    first: ArrayLike,
    second: ArrayLike,
    scope: Scope,
    *,
    coverage: float = 0.95,
    ci_level: float = 0.95,
    exact: bool = True,
) -> BlandAltman:
    """Return bias and limits of agreement.

    Parameters
    ----------
    first, second
        Paired measurements, shape (N,); pairs with a missing one are left out.
    scope
        Whom the numbers speak for.
    coverage
        Share of differences that the limits are to hold, in (0, 1).
    ci_level
        Confidence level of the intervals.
    exact
        Intervals of the limits by the noncentral t distribution (Carkeet 2015, Optom Vis Sci
        92:e71); otherwise by the standard error √((1/N + z²/(2(N − 1))) SD²) (Bland & Altman 1999,
        Stat Methods Med Res 8:135).

    Raises
    ------
    AnalysisError
        If the lengths differ or fewer than three pairs are left.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        raise AnalysisError(
            f"The measurements have the shapes {a.shape} and {b.shape}; expected two of one length."
        )
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    n = len(a)
    if n < 3:
        raise AnalysisError(
            f"Limits of agreement need at least three pairs of measurements; there are {n}."
        )
    difference, mean = a - b, (a + b) / 2
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    left_out = int((~both).sum())
    note = f"{left_out} pairs with a missing measurement are left out." if left_out else ""
    z = float(stats.norm.ppf(0.5 + coverage / 2))
    reach = float(stats.t.ppf(0.5 + ci_level / 2, n - 1)) * sd / np.sqrt(n)
    of_bias = scope.estimate(
        "bias (mean difference, first − second)",
        bias,
        ci=(bias - reach, bias + reach),
        ci_level=ci_level,
        p_value=None if sd == 0 else float(stats.ttest_1samp(difference, 0).pvalue),
        df=n - 1,
        method="mean of the paired differences, t interval",
        note=note,
    )
    inner, outer = _reach_of_limit(z, n, ci_level) if exact else _reach_by_error(z, n, ci_level)
    how = "noncentral t interval (Carkeet 2015)" if exact else "Bland–Altman 1999 standard error"
    return BlandAltman(
        means=mean,
        differences=difference,
        bias=of_bias,
        sd=sd,
        lower=_limit(
            scope,
            "lower",
            bias - z * sd,
            (bias - outer * sd, bias - inner * sd),
            ci_level,
            how,
            note,
        ),
        upper=_limit(
            scope,
            "upper",
            bias + z * sd,
            (bias + inner * sd, bias + outer * sd),
            ci_level,
            how,
            note,
        ),
        slope=_slope(scope, mean, difference, ci_level, note),
    )


def _limit(
    scope: Scope,
    side: str,
    value: float,
    ci: tuple[float, float],
    ci_level: float,
    how: str,
    note: str,
) -> Estimate:
    return scope.estimate(
        f"{side} limit of agreement",
        value,
        ci=ci,
        ci_level=ci_level,
        method=f"bias ∓ z SD, {how}",
        note=note,
    )


def _reach_of_limit(z: float, n: int, ci_level: float) -> tuple[float, float]:
    """Return by how many SD the ends of a limit's interval lie from the bias (exact)."""
    tail = (1 - ci_level) / 2
    root = float(np.sqrt(n))
    low, high = (float(stats.nct.ppf(q, n - 1, z * root)) / root for q in (tail, 1 - tail))
    return low, high


def _reach_by_error(z: float, n: int, ci_level: float) -> tuple[float, float]:
    error = float(np.sqrt(1 / n + z**2 / (2 * (n - 1))))
    reach = float(stats.t.ppf(0.5 + ci_level / 2, n - 1)) * error
    return z - reach, z + reach


def _slope(
    scope: Scope,
    mean: NDArray[np.float64],
    difference: NDArray[np.float64],
    ci_level: float,
    note: str,
) -> Estimate:
    quantity, method = "slope of the differences on the means", "least squares, t interval"
    if np.ptp(mean) == 0:
        return scope.unavailable(
            quantity, method=method, note="All means are equal; there is no slope."
        )
    if np.ptp(difference) == 0:
        return scope.estimate(
            quantity, 0.0, method=method, note="All differences are equal; there is no spread."
        )
    fit = stats.linregress(mean, difference)
    df = len(mean) - 2
    reach = float(stats.t.ppf(0.5 + ci_level / 2, df)) * float(fit.stderr)
    value = float(fit.slope)
    return scope.estimate(
        quantity,
        value,
        ci=(value - reach, value + reach),
        ci_level=ci_level,
        p_value=None if fit.stderr == 0 else float(fit.pvalue),
        df=df,
        method=method,
        note=note,
    )
