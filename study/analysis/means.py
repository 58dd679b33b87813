"""Means with intervals: clustered by case, or over readers. Every mean of the analysis is one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from study.analysis.estimate import Estimate, Scope
from study.analysis.groups import group_codes, group_means
from study.analysis.robust import fit_clustered

ALONE = "One reader: readers like them cannot be spoken for."
TINY = 1e-12
"""Standard errors below this are none."""


def with_like_them(scope: Scope) -> Scope:
    """Return the counts for readers like them."""
    return scope.with_population("readers like them", scope.role)


def mean_by_case(
    values: ArrayLike,
    cases: ArrayLike,
    scope: Scope,
    quantity: str,
    *,
    ci_level: float = 0.95,
    limits: tuple[float, float] | None = None,
    of: str = "mean",
) -> Estimate:
    """Return a mean with an interval clustered by case (CR1), t with cases − 1 df.

    Parameters
    ----------
    values, cases
        Shape (n,).
    scope, quantity
        Population and words.
    ci_level
        In (0, 1).
    limits
        Ends of the scale, to which the interval is cut; from 0 on it is a level that is not tested
        against 0.
    of
        What is averaged, for the name of the method.
    """
    y = np.asarray(values, dtype=float)
    method = f"{of}, clustered by case (CR1), t with cases − 1 df"
    if len(y) == 0:
        return scope.unavailable(quantity, method=method, note="There is no reading.")
    if group_codes(cases)[1] < 2:
        note = "One case: an interval needs at least two cases."
        return scope.estimate(quantity, y.mean(), method=method, note=note)
    fit = fit_clustered(np.ones((len(y), 1)), y, cases)
    if fit.standard_error([1.0]) < TINY:
        note = "Every case has the same value: no variation, so no interval."
        return scope.estimate(quantity, y.mean(), method=method, note=note)
    value, low, high = fit.interval([1.0], ci_level)
    if limits is not None:
        low, high = max(low, limits[0]), min(high, limits[1])
    return scope.estimate(
        quantity,
        value,
        ci=(low, high),
        ci_level=ci_level,
        p_value=None if _is_level(limits) else fit.p_value([1.0]),
        df=fit.df,
        method=method,
    )


def mean_over_readers(
    values: ArrayLike,
    readers: ArrayLike,
    scope: Scope,
    quantity: str,
    *,
    ci_level: float = 0.95,
    limits: tuple[float, float] | None = None,
) -> Estimate:
    """Return the mean of the readers' means with t on readers − 1 df, cases held fixed.

    Parameters
    ----------
    values, readers
        Shape (n,).
    scope, quantity, ci_level, limits
        As :func:`mean_by_case`; the population becomes readers like them.
    """
    like = with_like_them(scope)
    method = "mean of the readers' means, t with readers − 1 df; cases held fixed"
    y = np.asarray(values, dtype=float)
    if len(y) == 0:
        return like.unavailable(quantity, method=method, note="There is no reading.")
    means = group_means(y, *group_codes(readers))
    n = len(means)
    if n < 2:
        return like.unavailable(quantity, method=method, note=ALONE)
    value, error = float(means.mean()), float(means.std(ddof=1)) / float(np.sqrt(n))
    if error < TINY:
        note = "Every reader has the same mean: no variation, so no interval."
        return like.estimate(quantity, value, method=method, note=note)
    reach = float(stats.t.ppf(0.5 + ci_level / 2, n - 1)) * error
    low, high = value - reach, value + reach
    if limits is not None:
        low, high = max(low, limits[0]), min(high, limits[1])
    return like.estimate(
        quantity,
        value,
        ci=(low, high),
        ci_level=ci_level,
        p_value=None if _is_level(limits) else float(2 * stats.t.sf(abs(value) / error, n - 1)),
        df=n - 1,
        method=method,
    )


def _is_level(limits: tuple[float, float] | None) -> bool:
    return limits is not None and limits[0] >= 0
