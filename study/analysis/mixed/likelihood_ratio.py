"""Likelihood-ratio tests of nested models, also where a variance of 0 is the null hypothesis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from scipy import stats

from study.analysis.estimate import AnalysisError

_SLACK = 5e-3


class Fitted(Protocol):
    """What a test needs of a fit."""

    @property
    def log_lik(self) -> float:
        """Log-likelihood at the maximum."""

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""


@dataclass(frozen=True)
class LikelihoodRatio:
    """A likelihood-ratio test.

    Parameters
    ----------
    statistic
        2 (log L₁ − log L₀), not below 0.
    df
        Additional parameters of the larger model.
    p_value
        In [0, 1].
    method
        The reference distribution in words.
    """

    statistic: float
    df: int
    p_value: float
    method: str


def compare(larger: Fitted, smaller: Fitted) -> LikelihoodRatio:
    """Test fixed effects: 2 (log L₁ − log L₀) against χ² with the difference in parameters.

    Raises
    ------
    AnalysisError
        If the models are not nested, so far as numbers can tell.
    """
    statistic, df = _difference(larger, smaller)
    p_value = float(stats.chi2.sf(statistic, df))
    return LikelihoodRatio(statistic, df, p_value, f"likelihood-ratio test, chi-squared, df {df}")


def compare_variances(larger: Fitted, smaller: Fitted) -> LikelihoodRatio:
    """Test one more random coefficient, whose variance of 0 lies on the boundary.

    A coefficient with q parameters (its variance and q − 1 covariances) has the reference
    distribution (χ²_{q−1} + χ²_q)/2 (Self and Liang, J Am Stat Assoc 1987;82:605; Stram and Lee,
    Biometrics 1994;50:1171), χ²_0 being 0 with certainty.

    Raises
    ------
    AnalysisError
        If the models are not nested, so far as numbers can tell.
    """
    statistic, df = _difference(larger, smaller)
    lower = float(stats.chi2.sf(statistic, df - 1)) if df > 1 else float(statistic <= 0)
    p_value = 0.5 * lower + 0.5 * float(stats.chi2.sf(statistic, df))
    return LikelihoodRatio(
        statistic,
        df,
        min(p_value, 1.0),
        f"likelihood-ratio test at the boundary, half chi-squared df {df - 1}, half df {df}",
    )


def _difference(larger: Fitted, smaller: Fitted) -> tuple[float, int]:
    df = larger.n_parameters - smaller.n_parameters
    statistic = 2 * (larger.log_lik - smaller.log_lik)
    if df < 1 or statistic < -_SLACK:
        raise AnalysisError(
            f"A likelihood-ratio test was given models with {larger.n_parameters} and "
            f"{smaller.n_parameters} parameters and log-likelihoods {larger.log_lik:.4f} and "
            f"{smaller.log_lik:.4f}; expected the second to be a special case of the first."
        )
    return max(statistic, 0.0), df
