"""Non-inferiority and equivalence of a condition, from an estimate with standard error."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from study.analysis.estimate import AnalysisError


@dataclass(frozen=True)
class NonInferiority:
    """A one-sided test of H0: new − reference ≤ −margin.

    Parameters
    ----------
    difference, margin
        New minus reference; the largest loss that is acceptable, above 0.
    statistic
        (difference + margin) / standard error; ``None`` without variance.
    p_value
        One-sided.
    lower_limit
        One-sided lower limit of the difference at level 1 − ``alpha``.
    alpha
        One-sided significance level of that limit.
    p_equivalence
        Two one-sided tests: the larger of the p-values against −margin and +margin.
    """

    difference: float
    margin: float
    statistic: float | None
    p_value: float | None
    lower_limit: float
    alpha: float
    p_equivalence: float | None


def non_inferiority(
    difference: float,
    standard_error: float,
    df: float | None,
    *,
    margin: float,
    alpha: float = 0.025,
) -> NonInferiority:
    """Test that the new condition loses less than ``margin``.

    Parameters
    ----------
    difference, standard_error
        New minus reference; ≥ 0.
    df
        Of the t distribution; ``None``: normal.
    margin
        > 0, on the scale of the figure of merit.
    alpha
        One-sided level of the limit, in (0, 0.5).

    Raises
    ------
    AnalysisError
        If the margin is not positive or ``alpha`` is out of range.
    """
    if not margin > 0:
        raise AnalysisError(
            f"The margin is {margin}; expected a positive loss that is still acceptable."
        )
    if not 0 < alpha < 0.5:
        raise AnalysisError(f"The one-sided level is {alpha}; expected one between 0 and 0.5.")
    distribution = stats.norm if df is None else stats.t(df)
    limit = difference - float(distribution.ppf(1 - alpha)) * standard_error
    if standard_error <= 0:
        return NonInferiority(difference, margin, None, None, limit, alpha, None)
    statistic = (difference + margin) / standard_error
    lower = float(distribution.sf(statistic))
    upper = float(distribution.sf((margin - difference) / standard_error))
    return NonInferiority(difference, margin, statistic, lower, limit, alpha, max(lower, upper))
