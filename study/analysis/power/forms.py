"""Closed forms beside the simulation: moments of the rating differences, power, and its ceiling.

Ratings are cut normals, so the means and covariances of paired differences follow exactly from
probabilities of two correlated normals; with them the closed forms of
:mod:`study.analysis.power.sizing` apply. They take means for normal and variances for known up to
a t distribution; simulation has the last word.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from study.analysis.estimate import AnalysisError
from study.analysis.power.sizing import (
    MrmcComponents,
    effective_number,
    mrmc_power,
    paired_t_power,
    signed_rank_n,
)
from study.analysis.power.studies import StudyModel

Array = NDArray[np.float64]
_ENDLESS = 10**9
_CERTAIN = 8.0
_DRAWN, _HEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_SHARES = _HEIGHTS / _HEIGHTS.sum()
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


@dataclass(frozen=True)
class DifferenceMoments:
    """What paired differences of ratings (first minus second condition) are made of, in points.

    Parameters
    ----------
    mean
        Expected difference.
    reader_variance
        Covariance of two differences of one reader: variance over readers of their own effect.
    case_variance
        The same for one case.
    rest
        What remains of the variance of a difference.
    zero_share
        Share of differences that are 0.
    superiority
        P(D₁ + D₂ > 0) + ½ P(D₁ + D₂ = 0) of two independent differences that are not 0.
    """

    mean: float
    reader_variance: float
    case_variance: float
    rest: float
    zero_share: float
    superiority: float

    @property
    def variance(self) -> float:
        """Variance of a difference."""
        return self.reader_variance + self.case_variance + self.rest

    @property
    def case_icc(self) -> float:
        """Correlation of two readers' differences of one case."""
        return self.case_variance / self.variance


def difference_moments(model: StudyModel) -> DifferenceMoments:
    """Return the exact moments of a model with one class of cases and nothing missing.

    Cov(Y, Y′) = Σ_k Σ_l [Φ₂(a_k, b_l; ρ) − Φ(a_k) Φ(b_l)], a_k = (mean − cut_k)/sd, with ρ the
    correlation of the two impressions.

    Raises
    ------
    AnalysisError
        If the model has two classes of cases, or a scale of more than 20 points.
    """
    if model.separation is not None:
        raise AnalysisError("Closed forms are for one class of cases; leave separation out.")
    if model.points > 20:
        raise AnalysisError(f"Closed forms take up to 20 categories; there are {model.points}.")
    total = model.marginal_sd**2
    over_readers, over_cases = model.reader_condition_sd**2 / 2, model.case_condition_sd**2 / 2
    shared_case = model.case_sd**2 / total
    shared_reader = model.reader_sd**2 / total
    first, second = (
        (sign * model.effect / 2 - np.array(model.cuts)) / model.marginal_sd for sign in (1, -1)
    )

    def of_difference(same: float, other: float) -> float:
        """Return Cov(D, D′) from correlations within and between conditions."""
        own = _covariance(first, first, same) + _covariance(second, second, same)
        return own - 2 * _covariance(first, second, other)

    by_reader = of_difference(shared_reader + over_readers / total, shared_reader)
    by_case = of_difference(shared_case + over_cases / total, shared_case)
    within = (model.case_sd**2 + model.reader_sd**2 + model.reader_case_sd**2) / total
    joint = _joint(first, second, within)
    variance = _moments_of(joint)[1]
    zero, superiority = _sign_shares(joint)
    return DifferenceMoments(
        mean=model.expected_difference(),
        reader_variance=max(by_reader, 0.0),
        case_variance=max(by_case, 0.0),
        rest=max(variance - by_reader - by_case, 0.0),
        zero_share=zero,
        superiority=superiority,
    )


@dataclass(frozen=True)
class ClosedForm:
    """Power by formula.

    Parameters
    ----------
    power
        In [0, 1].
    ceiling
        What no number of cases can exceed with these readers; 1 where there is no such limit.
    formula
        Which.
    """

    power: float
    ceiling: float
    formula: str


def closed_form(
    moments: DifferenceMoments, method: str, n_readers: int, n_cases: int, *, alpha: float = 0.05
) -> ClosedForm | None:
    """Return the power of a method by formula, or ``None`` where there is none.

    Parameters
    ----------
    moments
        Of the differences.
    method
        Id in :data:`study.analysis.power.METHODS`.
    n_readers, n_cases
        Size of the study.
    alpha
        Two-sided level.
    """
    m, R, C = moments, n_readers, n_cases
    if method in ("mean_readers_cases", "linear_mixed"):
        return ClosedForm(
            _random_both(m, R, C, alpha),
            power_ceiling(m, R, alpha=alpha),
            "non-central F of Hillis, Obuchowski and Berbaum (2011), the mean rating for a figure "
            "of merit",
        )
    if method == "mean_over_readers":
        fixed = replace(m, case_variance=0.0)
        return ClosedForm(
            _random_both(fixed, R, C, alpha),
            power_ceiling(m, R, alpha=alpha),
            "non-central t over readers, the cases' own effects held at their mean",
        )
    if method == "mean_by_case":
        spread = math.sqrt(m.case_variance + m.rest / R)
        chance = math.sqrt(m.reader_variance / R)
        powers = [_t_power(m.mean + chance * z, spread, C, alpha) for z in _DRAWN]
        return ClosedForm(
            float(np.dot(_SHARES, powers)),
            1.0,
            "paired t over the cases' means, averaged over the readers who may be drawn",
        )
    if method == "pooled_signed_rank":
        _, n = effective_number(C, R, m.case_icc)
        return ClosedForm(
            _signed_rank_power(m, n, alpha),
            1.0,
            "Noether (1987) with the effective number of pairs, readers alike",
        )
    return None


def power_ceiling(moments: DifferenceMoments, n_readers: int, *, alpha: float = 0.05) -> float:
    """Return the power with endlessly many cases: the limit set by the variance between readers."""
    if moments.reader_variance <= 0:
        return 1.0 if moments.mean else alpha
    return _random_both(moments, n_readers, _ENDLESS, alpha)


def floor_of_error(moments: DifferenceMoments, n_readers: int) -> float:
    """Return the standard error, in points, that no number of cases can beat: σ_reader / √R."""
    return math.sqrt(moments.reader_variance / n_readers)


def standard_error(moments: DifferenceMoments, n_readers: int, n_cases: int) -> float:
    """Return the standard error of the mean difference over readers and cases, in points."""
    m = moments
    parts = m.reader_variance / n_readers + m.case_variance / n_cases
    return math.sqrt(parts + m.rest / (n_readers * n_cases))


def pairs_needed(
    moments: DifferenceMoments, *, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return the independent pairs that a signed-rank test needs (Noether), for one reader."""
    if abs(moments.superiority - 0.5) < 1e-9:
        return None
    return signed_rank_n(
        moments.superiority, zero_share=moments.zero_share, power=power, alpha=alpha
    )


def _random_both(m: DifferenceMoments, R: int, C: int, alpha: float) -> float:
    if R < 2:
        raise AnalysisError("One reader cannot speak for readers like this one; plan at least two.")
    pilot = MrmcComponents(
        reader_by_condition=m.reader_variance / 2,
        covariance_1=0.0,
        covariance_2=m.case_variance / 2,
        covariance_3=0.0,
        error=(m.case_variance + m.rest) / 2,
        n_cases=1,
    )
    return mrmc_power(pilot, m.mean, R, C, alpha=alpha).power


def _t_power(mean: float, spread: float, n: int, alpha: float) -> float:
    if spread <= 0:
        return 1.0 if mean else alpha
    return paired_t_power(abs(mean) / spread, n, alpha=alpha) if mean else alpha


def _signed_rank_power(m: DifferenceMoments, n: float, alpha: float) -> float:
    untied = n * (1 - m.zero_share)
    shift = math.sqrt(3 * untied) * abs(m.superiority - 0.5)
    limit = float(stats.norm.ppf(1 - alpha / 2))
    return float(stats.norm.sf(limit - shift) + stats.norm.cdf(-limit - shift))


def _covariance(a: Array, b: Array, rho: float) -> float:
    return float(_beyond_independence(a, b, rho).sum())


def _beyond_independence(a: Array, b: Array, rho: float) -> Array:
    """Return Φ₂(a, b; ρ) − Φ(a)Φ(b), shape (len(a), len(b)): ∫₀^ρ φ₂(a, b; r) dr (Plackett)."""
    if rho <= 0:
        return np.zeros((len(a), len(b)))
    angle = math.asin(min(rho, 1 - 1e-12)) / 2  # r = sin θ removes the singularity at 1
    theta = angle * (_NODES + 1)
    x, y = a[:, None, None], b[None, :, None]
    exponent = (x**2 + y**2 - 2 * x * y * np.sin(theta)) / (2 * np.cos(theta) ** 2)
    return np.asarray((np.exp(-exponent) * _WEIGHTS).sum(axis=-1) * angle / (2 * math.pi))


def _joint(first: Array, second: Array, rho: float) -> Array:
    """Return the shares of pairs of ratings, shape (J, J)."""
    above = special.ndtr(first)[:, None] * special.ndtr(second)[None, :]
    above = above + _beyond_independence(first, second, rho)
    J = len(first) + 1
    table = np.zeros((J + 1, J + 1))  # P(Y > k, Y' > l) with k, l from 0 to J
    table[0, 0] = 1.0
    table[1:J, 0], table[0, 1:J] = special.ndtr(first), special.ndtr(second)
    table[1:J, 1:J] = above
    shares = table[:-1, :-1] - table[1:, :-1] - table[:-1, 1:] + table[1:, 1:]
    return np.maximum(shares, 0.0)


def _moments_of(joint: Array) -> tuple[float, float]:
    levels = np.arange(len(joint))
    d = levels[:, None] - levels[None, :]
    mean = float((joint * d).sum())
    return mean, float((joint * d**2).sum()) - mean**2


def _sign_shares(joint: Array) -> tuple[float, float]:
    """Return P(D = 0) and the superiority of two differences that are not 0."""
    J = len(joint)
    shares = np.array([np.trace(joint, -k) for k in range(-(J - 1), J)])
    zero = float(shares[J - 1])
    shares[J - 1] = 0.0
    total = shares.sum()
    if total <= 0:
        return 1.0, 0.5
    sums = np.convolve(shares / total, shares / total)
    centre = len(sums) // 2
    return zero, float(sums[centre + 1 :].sum() + sums[centre] / 2)
