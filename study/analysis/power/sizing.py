"""How many cases and readers: closed forms. All count independent units.

For readings of the same cases by several readers first find the effective number
(:func:`effective_number`); for ordinal endpoints with crossed readers and cases, simulate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.power import TTestPower

from study.analysis.estimate import AnalysisError

NORMAL_EFFICIENCY = 3 / math.pi
"""Of the signed-rank test against t where differences are normal."""
LEAST_EFFICIENCY = 0.864
"""The same at worst, for any continuous symmetric distribution (Hodges and Lehmann 1956)."""
_CERTAIN = 8.0


def paired_t_n(effect: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the pairs needed by a two-sided paired t test; ``effect`` in standard deviations."""
    _check(power=power, alpha=alpha)
    return float(TTestPower().solve_power(effect_size=effect, power=power, alpha=alpha))


def paired_t_power(effect: float, n: float, *, alpha: float = 0.05) -> float:
    """Return the power of a two-sided paired t test with ``n`` pairs."""
    if abs(effect) * math.sqrt(n) > _CERTAIN:  # where the non-central t loses its digits
        return 1.0
    return float(TTestPower().power(effect, n, alpha))


def signed_rank_n(
    superiority: float, *, zero_share: float = 0.0, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Return the pairs needed by a two-sided signed-rank test (Noether, JASA 1987).

    (z_{1−α/2} + z_{1−β})² / (3 (p′ − ½)²), over the share of differences that are not 0.

    Parameters
    ----------
    superiority
        p′ = P(D₁ + D₂ > 0) of two differences.
    zero_share
        Share of differences that are 0.
    power, alpha
        As usual.
    """
    _check(power=power, alpha=alpha, zero_share=zero_share)
    return _z_sum(power, alpha) ** 2 / (3 * (superiority - 0.5) ** 2) / (1 - zero_share)


def sign_test_n(share: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the untied pairs needed by a two-sided sign test (Noether 1987): z²/(4(p − ½)²)."""
    return _z_sum(power, alpha) ** 2 / (4 * (share - 0.5) ** 2)


@dataclass(frozen=True)
class SignTestPower:
    """An exact two-sided sign test.

    Parameters
    ----------
    lower_critical
        Largest count of positive differences that rejects from below.
    size
        The level really reached.
    power
        Chance of rejecting.
    """

    lower_critical: int
    size: float
    power: float


def sign_test_power(share: float, n: int, *, alpha: float = 0.05) -> SignTestPower:
    """Return critical value, size and power of the exact sign test with ``n`` untied pairs."""
    critical = int(stats.binom.ppf(alpha / 2, n, 0.5))
    while critical >= 0 and stats.binom.cdf(critical, n, 0.5) > alpha / 2:
        critical -= 1
    size = 2 * float(stats.binom.cdf(critical, n, 0.5))
    power = stats.binom.cdf(critical, n, share) + stats.binom.sf(n - critical - 1, n, share)
    return SignTestPower(critical, size, float(power))


def effective_number(n_cases: int, n_readers: int, icc: float) -> tuple[float, float]:
    """Return the design effect 1 + (R − 1)·ICC and the readings that count, C·R over it."""
    effect = 1 + (n_readers - 1) * icc
    return effect, n_cases * n_readers / effect


def correlation_n(r: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the pairs needed to see a correlation, two-sided (Fisher's z, bias-corrected)."""

    def reached(n: float) -> float:
        t = float(stats.t.ppf(1 - alpha / 2, n - 2))
        limit = math.atanh(math.sqrt(t**2 / (t**2 + n - 2)))
        z = math.atanh(r) + r / (2 * (n - 1))
        root = math.sqrt(n - 3)
        return float(stats.norm.cdf((z - limit) * root) + stats.norm.cdf((-z - limit) * root))

    return float(optimize.brentq(lambda n: reached(n) - power, 4.001, 1e7))


def regression_df(n_terms: int, f2: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the residual degrees of freedom needed by an F test of ``n_terms`` terms."""

    def reached(v: float) -> float:
        limit = stats.f.ppf(1 - alpha, n_terms, v)
        return float(stats.ncf.sf(limit, n_terms, v, f2 * (n_terms + v + 1)))

    return float(optimize.brentq(lambda v: reached(v) - power, 2, 1e6))


def proportional_odds_power(
    shares: Sequence[float], odds_ratio: float, n: float, *, alpha: float = 0.05
) -> tuple[float, float]:
    """Return power and efficiency of comparing two independent groups (Whitehead 1993).

    Parameters
    ----------
    shares
        Mean share of each category over the groups.
    odds_ratio
        To be seen.
    n
        In both groups, of one size.
    alpha
        Two-sided.
    """
    spread = 1 - sum(p**3 for p in shares)
    half = n / 2
    variance = half * half * n / 3 / (n + 1) ** 2 * spread
    z = abs(math.log(odds_ratio)) * math.sqrt(variance)
    power = float(stats.norm.cdf(z - stats.norm.ppf(1 - alpha / 2)))
    return power, spread / (1 - 1 / n**2)


def proportional_odds_n(
    shares: Sequence[float], odds_ratio: float, *, power: float = 0.8, alpha: float = 0.05
) -> tuple[float, float]:
    """Return the size of both groups together and the efficiency (Whitehead, Stat Med 1993)."""
    spread = 1 - sum(p**3 for p in shares)
    n = 12 * _z_sum(power, alpha) ** 2 / math.log(odds_ratio) ** 2 / spread
    return n, spread / (1 - 1 / n**2)


def ordinal_rank_sum_n(
    first: Sequence[float],
    second: Sequence[float],
    *,
    share_second: float = 0.5,
    power: float = 0.8,
    alpha: float = 0.05,
) -> tuple[int, int, int]:
    """Return total, first and second group of a rank-sum test of ordinal data.

    Zhao, Rahardja and Qu, Stat Med 2008, with all ties counted.

    Parameters
    ----------
    first, second
        Share of each category, lowest first.
    share_second
        Share of the readings in the second group.
    power, alpha
        As usual.
    """
    p, q, t = np.asarray(first, float), np.asarray(second, float), share_second
    ties = float((((1 - t) * p + t * q) ** 3).sum())
    below = np.concatenate([[0.0], np.cumsum(q)[:-1]])
    shift = float((p * below).sum() + 0.5 * (p * q).sum() - 0.5)
    n = math.ceil(_z_sum(power, alpha) ** 2 * (1 - ties) / (12 * t * (1 - t) * shift**2))
    return n, round(n * (1 - t)), n - round(n * (1 - t))


def non_inferiority_n(
    margin: float,
    spread: float,
    *,
    difference: float = 0.0,
    power: float = 0.8,
    alpha: float = 0.025,
) -> int:
    """Return the pairs needed to show a mean paired difference above −margin, one-sided."""
    z = float(stats.norm.ppf(1 - alpha) + stats.norm.ppf(power))
    return math.ceil((z * spread / (margin + difference)) ** 2)


def equivalence_n(margin: float, spread: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return the pairs needed to show a mean paired difference within ±margin (two tests at α)."""
    z = float(stats.norm.ppf(1 - alpha) + stats.norm.ppf((1 + power) / 2))
    return math.ceil((z * spread / margin) ** 2)


def kappa_n(
    first_rate: float,
    second_rate: float,
    *,
    kappa: float,
    null: float,
    power: float = 0.8,
    alpha: float = 0.05,
) -> int:
    """Return the cases needed to see that kappa exceeds ``null``, one-sided (Cantor 1996)."""

    def spread(value: float) -> float:
        chance = first_rate * second_rate + (1 - first_rate) * (1 - second_rate)
        agreed = value * (1 - chance) + chance
        yes = (agreed - 1 + first_rate + second_rate) / 2
        table = np.array([[yes, first_rate - yes], [second_rate - yes, 0.0]])
        table[1, 1] = 1 - table.sum()
        rows, columns = table.sum(axis=1), table.sum(axis=0)
        total = 0.0
        for i in (0, 1):
            total += table[i, i] * ((1 - chance) - (rows[i] + columns[i]) * (1 - agreed)) ** 2
            total += (1 - agreed) ** 2 * table[i, 1 - i] * (columns[i] + rows[1 - i]) ** 2
        total -= (agreed * chance - 2 * chance + agreed) ** 2
        return math.sqrt(total) / (1 - chance) ** 2

    z = stats.norm.ppf(1 - alpha) * spread(null) + stats.norm.ppf(power) * spread(kappa)
    return math.ceil((float(z) / (kappa - null)) ** 2)


def icc_n(icc: float, n_readers: int, width: float, *, ci_level: float = 0.95) -> float:
    """Return the cases for an interval of an intraclass correlation so wide (Bonett 2002)."""
    z, k = float(stats.norm.ppf(0.5 + ci_level / 2)), n_readers
    return 8 * z**2 * (1 - icc) ** 2 * (1 + (k - 1) * icc) ** 2 / (k * (k - 1) * width**2) + 1


@dataclass(frozen=True)
class MrmcComponents:
    """Variance components of Obuchowski and Rockette, from a pilot with ``n_cases`` cases.

    Parameters
    ----------
    reader_by_condition
        Var(TR); negative estimates count as 0.
    covariance_1, covariance_2, covariance_3
        Same reader other condition; same condition other reader; both different.
    error
        Variance of one reader's figure.
    n_cases
        Of the pilot.
    """

    reader_by_condition: float
    covariance_1: float
    covariance_2: float
    covariance_3: float
    error: float
    n_cases: int


@dataclass(frozen=True)
class MrmcPower:
    """Non-centrality, denominator degrees of freedom and power of the F test."""

    non_centrality: float
    df: float
    power: float


def mrmc_power(
    pilot: MrmcComponents, difference: float, n_readers: int, n_cases: int, *, alpha: float = 0.05
) -> MrmcPower:
    """Return the power to see a difference of two conditions, random readers and cases.

    Hillis, Obuchowski and Berbaum, Acad Radiol 2011, eq. 10: the covariances shrink with the cases,
    the variance between readers does not, and is the floor that no number of cases can beat.
    """
    j, ratio = n_readers, pilot.n_cases / n_cases
    between = max(pilot.reader_by_condition, 0.0)
    surplus = max(pilot.covariance_2 - pilot.covariance_3, 0.0)
    base = pilot.error - pilot.covariance_1
    spread = between + ratio * (base + (j - 1) * surplus)
    non_centrality = j * difference**2 / 2 / spread
    df = spread**2 * (j - 1) / (between + ratio * (base - surplus)) ** 2
    power = float(stats.ncf.sf(stats.f.ppf(1 - alpha, 1, df), 1, df, non_centrality))
    return MrmcPower(non_centrality, df, power)


def _z_sum(power: float, alpha: float) -> float:
    _check(power=power, alpha=alpha)
    return float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power))


def _check(**shares: float) -> None:
    for name, value in shares.items():
        low = 0.0 if name == "zero_share" else 1e-12
        if not low <= value < 1:
            raise AnalysisError(f"{name} is {value:g}; expected a share below 1 and above 0.")
