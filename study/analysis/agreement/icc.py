"""Intraclass correlations: the six forms of Shrout & Fleiss with F tests and intervals.

With U units, R raters and the mean squares of the two-way table (units B, raters J, error E, within
units W):

======== ============================== =============================================
ICC(1,1) (B − W) / (B + (R − 1) W)      one-way random, single rating
ICC(2,1) (B − E) / (B + (R − 1) E + R (J − E) / U)  two-way random, absolute agreement
ICC(3,1) (B − E) / (B + (R − 1) E)      two-way mixed, consistency
======== ============================== =============================================

and ICC(·,k) the same for the mean of all R ratings. Sources: Shrout & Fleiss 1979, Psychol Bull
86:420; McGraw & Wong 1996, Psychol Methods 1:30 (tables 4–8, with the erratum).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from study.analysis.agreement.ratings import RatingMatrix
from study.analysis.estimate import AnalysisError, Estimate, Scope

Form = Literal["ICC(1,1)", "ICC(2,1)", "ICC(3,1)", "ICC(1,k)", "ICC(2,k)", "ICC(3,k)"]
AverageInterval = Literal["shrout-fleiss", "irr"]
"""Interval of ICC(2,k).

``shrout-fleiss``
    The interval of ICC(2,1), stepped up to the mean of k ratings (McGraw & Wong 1996, table 7).
``irr``
    As R's ``irr::icc`` to 0.84.1, which puts k · ICC(2,k) where the formula of the degrees of
    freedom has ICC(2,k): fewer degrees of freedom, wider interval. For comparison with it.
"""

FORMS: tuple[Form, ...] = ("ICC(1,1)", "ICC(2,1)", "ICC(3,1)", "ICC(1,k)", "ICC(2,k)", "ICC(3,k)")

_MEANING = {
    "1": "one-way random effects, absolute agreement",
    "2": "two-way random effects, absolute agreement",
    "3": "two-way mixed effects, consistency",
}


@dataclass(frozen=True)
class MeanSquares:
    """The analysis of variance of complete ratings, U units by R raters.

    Parameters
    ----------
    units, raters, error, within
        Mean squares of units, raters, residual, and within units.
    n_units, n_raters
        U and R.
    """

    units: float
    raters: float
    error: float
    within: float
    n_units: int
    n_raters: int


@dataclass(frozen=True)
class IntraclassCorrelation:
    """One form of the ICC.

    Parameters
    ----------
    form
        In Shrout & Fleiss's notation; k is the number of raters.
    value
        In (−∞, 1]; ``None`` if all ratings are the same.
    ci, ci_level
        Interval by the F distribution; ``None`` where it cannot be computed.
    f_value, df1, df2, p_value
        F test of no correlation; ``None`` without residual variance.
    interval_df
        Denominator degrees of freedom behind the interval: Satterthwaite's for ICC(2,·), else
        ``df2``.
    n_units, n_raters
        Complete units, raters.
    note
        What to mind.
    """

    form: Form
    value: float | None
    ci: tuple[float, float] | None
    ci_level: float
    f_value: float | None
    df1: float
    df2: float | None
    p_value: float | None
    interval_df: float | None
    n_units: int
    n_raters: int
    note: str = ""

    @property
    def method(self) -> str:
        """The form in words."""
        unit = "single rating" if self.form.endswith("1)") else f"mean of {self.n_raters} ratings"
        return f"{self.form}: {_MEANING[self.form[4]]}, {unit}; interval by F (Shrout & Fleiss)"

    def to_estimate(self, scope: Scope) -> Estimate:
        """Return the correlation as an :class:`~study.analysis.estimate.Estimate`."""
        if self.value is None:
            return scope.unavailable(self.form, method=self.method, note=self.note)
        return scope.estimate(
            self.form,
            self.value,
            method=self.method,
            ci=self.ci,
            ci_level=self.ci_level,
            p_value=self.p_value,
            df=self.df2,
            note=self.note,
        )


def mean_squares(matrix: RatingMatrix) -> MeanSquares:
    """Return the mean squares of the units that every rater rated.

    Raises
    ------
    AnalysisError
        If fewer than two such units or two raters are left.
    """
    values = matrix.complete.values
    n, k = values.shape
    if n < 2 or k < 2:
        raise AnalysisError(
            f"An ICC needs at least two raters and two units rated by all of them; there are {k} "
            f"raters and {n} such units."
        )
    grand = values.mean()
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    between = k * float(((rows - grand) ** 2).sum())
    raters = n * float(((columns - grand) ** 2).sum())
    residual = float(((values - rows[:, None] - columns[None, :] + grand) ** 2).sum())
    floor = 1e-14 * float(((values - grand) ** 2).sum())
    residual, raters = (part if part > floor else 0.0 for part in (residual, raters))
    return MeanSquares(
        units=between / (n - 1),
        raters=raters / (k - 1),
        error=residual / ((n - 1) * (k - 1)),
        within=(raters + residual) / (n * (k - 1)),
        n_units=n,
        n_raters=k,
    )


def intraclass_correlations(
    matrix: RatingMatrix,
    *,
    ci_level: float = 0.95,
    average_interval: AverageInterval = "shrout-fleiss",
) -> tuple[IntraclassCorrelation, ...]:
    """Return all six forms of the ICC in the order of :data:`FORMS`.

    Units that a rater did not rate are left out and counted in the note
    (:func:`~study.analysis.agreement.icc_reml.icc_by_reml` keeps them).

    Parameters
    ----------
    matrix
        Ratings; the scale is not used.
    ci_level
        Confidence level in (0, 1).
    average_interval
        Which interval ICC(2,k) gets, see :data:`AverageInterval`.

    Raises
    ------
    AnalysisError
        If fewer than two complete units or two raters are left.
    """
    squares = mean_squares(matrix)
    left_out = matrix.n_units - squares.n_units
    note = f"{left_out} units with a missing rating are left out." if left_out else ""
    return tuple(_one_form(form, squares, ci_level, note, average_interval) for form in FORMS)


def _one_form(
    form: Form, m: MeanSquares, ci_level: float, note: str, average: AverageInterval
) -> IntraclassCorrelation:
    n, k = m.n_units, m.n_raters
    kind, averaged = form[4], form.endswith("k)")
    residual = m.within if kind == "1" else m.error
    df2 = float(n * (k - 1)) if kind == "1" else float((n - 1) * (k - 1))
    if m.units == 0 and m.within == 0:
        return _without(form, m, ci_level, "All ratings are the same; an ICC is not defined.")
    value = _value(kind, averaged, m)
    if value is None:
        return _without(
            form, m, ci_level, f"The mean squares leave the denominator of {form} at 0."
        )
    if residual == 0:
        reason = "There is no residual variance; an interval cannot be computed."
        return IntraclassCorrelation(
            form,
            value,
            None,
            ci_level,
            None,
            n - 1,
            None,
            None,
            None,
            n,
            k,
            f"{note} {reason}".strip(),
        )
    f_value = m.units / residual
    interval_df: float = df2
    if kind == "2":
        ci, interval_df = _agreement_interval(m, value, averaged, ci_level, average)
    else:
        ci = _f_interval(f_value, n - 1, df2, k, averaged, ci_level)
    p_value = float(stats.f.sf(f_value, n - 1, df2))
    return IntraclassCorrelation(
        form, value, ci, ci_level, f_value, n - 1, df2, p_value, interval_df, n, k, note
    )


def _value(kind: str, averaged: bool, m: MeanSquares) -> float | None:
    n, k = m.n_units, m.n_raters
    residual = m.within if kind == "1" else m.error
    rater_part = (m.raters - m.error) / n if kind == "2" else 0.0
    below = m.units + rater_part if averaged else m.units + (k - 1) * residual + k * rater_part
    return None if below == 0 else (m.units - residual) / below


def _f_interval(
    f_value: float, df1: float, df2: float, k: int, averaged: bool, ci_level: float
) -> tuple[float, float] | None:
    tail = (1 - ci_level) / 2
    low = f_value / float(stats.f.ppf(1 - tail, df1, df2))
    high = f_value * float(stats.f.ppf(1 - tail, df2, df1))
    if averaged:
        return (1 - 1 / low, 1 - 1 / high) if low > 0 else None
    return (low - 1) / (low + k - 1), (high - 1) / (high + k - 1)


def _agreement_interval(
    m: MeanSquares, value: float, averaged: bool, ci_level: float, average: AverageInterval
) -> tuple[tuple[float, float] | None, float]:
    """Return the interval of ICC(2,·) and Satterthwaite's df (McGraw & Wong 1996, table 7)."""
    n, k = m.n_units, m.n_raters
    times = 1 if averaged and average == "shrout-fleiss" else k
    if value >= 1:
        return None, float((n - 1) * (k - 1))
    a = times * value / (n * (1 - value))
    b = 1 + times * value * (n - 1) / (n * (1 - value))
    spread = (a * m.raters) ** 2 / (k - 1) + (b * m.error) ** 2 / ((n - 1) * (k - 1))
    df2 = (a * m.raters + b * m.error) ** 2 / spread if spread > 0 else 0.0
    if df2 <= 0:
        return None, float((n - 1) * (k - 1))
    tail = (1 - ci_level) / 2
    lower = float(stats.f.ppf(1 - tail, n - 1, df2))
    upper = float(stats.f.ppf(1 - tail, df2, n - 1))
    other = m.raters - m.error if averaged else k * m.raters + (k * n - k - n) * m.error
    below_low, below_high = lower * other + n * m.units, other + n * upper * m.units
    if below_low <= 0 or below_high <= 0 or not np.isfinite([lower, upper]).all():
        return None, df2
    low = n * (m.units - lower * m.error) / below_low
    high = n * (upper * m.units - m.error) / below_high
    return (low, high) if low <= high else None, df2


def _without(form: Form, m: MeanSquares, ci_level: float, note: str) -> IntraclassCorrelation:
    return IntraclassCorrelation(
        form,
        None,
        None,
        ci_level,
        None,
        m.n_units - 1,
        None,
        None,
        None,
        m.n_units,
        m.n_raters,
        note,
    )
