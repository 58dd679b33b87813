"""Two paired proportions, such as the specificity of one reader under two conditions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar

from study.analysis.estimate import Estimate, Scope


@dataclass(frozen=True)
class PairedTable:
    """Cases by what was right under the first and the second condition.

    Parameters
    ----------
    both, first_only, second_only, neither
        Numbers of cases.
    """

    both: int
    first_only: int
    second_only: int
    neither: int

    @property
    def n(self) -> int:
        """Cases."""
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def difference(self) -> float:
        """Proportion under the second condition minus that under the first."""
        return (self.second_only - self.first_only) / self.n


def mcnemar_test(table: PairedTable, scope: Scope, *, exact: bool = True) -> Estimate:
    """Return McNemar's test of equal proportions (exact binomial, or uncorrected chi-squared)."""
    method = "McNemar test, exact binomial" if exact else "McNemar test, uncorrected chi-squared"
    if table.first_only + table.second_only == 0:
        note = "No case changed between the conditions: nothing to test."
        return scope.unavailable("McNemar statistic", method=method, note=note)
    cells = [[table.both, table.first_only], [table.second_only, table.neither]]
    result = mcnemar(cells, exact=exact, correction=False)
    return scope.estimate(
        "McNemar statistic", result.statistic, p_value=result.pvalue, method=method
    )


def wald_difference(table: PairedTable, scope: Scope, *, ci_level: float = 0.95) -> Estimate:
    """Return the difference of the paired proportions with Wald's interval."""
    b, c, n = table.first_only, table.second_only, table.n
    spread = math.sqrt(b + c - (c - b) ** 2 / n) / n
    reach = float(stats.norm.ppf(0.5 + ci_level / 2)) * spread
    value = table.difference
    return scope.estimate(
        "difference of proportions",
        value,
        ci=(value - reach, value + reach),
        ci_level=ci_level,
        method="paired difference, Wald",
    )


def tango_difference(
    table: PairedTable, scope: Scope, *, ci_level: float = 0.95, margin: float | None = None
) -> Estimate:
    """Return the difference of the paired proportions with Tango's score interval.

    Stat Med 1998. The limits are the differences Δ at which the score
    (c − b − nΔ) / √(n(2q + Δ(1 − Δ))) equals ±z, where q is the maximum-likelihood estimate of the
    share that was right under the first condition only. It keeps its level with few cases.

    Parameters
    ----------
    table
        The cases.
    scope
        Population, role and counts.
    ci_level
        In (0, 1).
    margin
        If given, p is one-sided for a second proportion not lower than the first by this much.
    """
    value, z = table.difference, float(stats.norm.ppf(0.5 + ci_level / 2))
    low = _root(lambda delta: _score(table, delta) - z, -1 + 1e-9, value)
    high = _root(lambda delta: _score(table, delta) + z, value, 1 - 1e-9)
    p_value = None if margin is None else float(stats.norm.sf(_score(table, -margin)))
    method = "paired difference, Tango's score interval"
    if margin is not None:
        method += f"; one-sided p for a margin of {margin:g}"
    return scope.estimate(
        "difference of proportions",
        value,
        ci=(low, high),
        ci_level=ci_level,
        p_value=p_value,
        method=method,
    )


def _score(table: PairedTable, delta: float) -> float:
    b, c, n = table.first_only, table.second_only, table.n
    a = 2 * n
    mixed = -b - c + (2 * n - c + b) * delta
    q = (math.sqrt(mixed**2 - 4 * a * (-b * delta * (1 - delta))) - mixed) / (2 * a)
    # q: share right under the first condition only, given the difference.
    spread = math.sqrt(max(n * (2 * q + delta * (1 - delta)), 1e-300))
    return (c - b - n * delta) / spread


def _root(function: object, low: float, high: float) -> float:
    at_low, at_high = function(low), function(high)  # type: ignore[operator]
    if at_low * at_high > 0:  # the limit lies at the border
        return low if abs(at_low) < abs(at_high) else high
    return float(optimize.brentq(function, low, high, xtol=1e-12))
