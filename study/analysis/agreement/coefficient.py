"""An agreement coefficient with its standard error, before it is told whom it speaks for."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from study.analysis.estimate import Estimate, Scope


@dataclass(frozen=True)
class Coefficient:
    """One coefficient of agreement.

    Parameters
    ----------
    quantity
        Its name with its weights.
    value
        In (−∞, 1], or ``None`` where it is not defined.
    standard_error
        Over units (cases), or ``None``.
    df
        Degrees of freedom of the t distribution behind the interval; ``None``: normal.
    ci, ci_level
        Interval and its level; ``ci`` is ``None`` where there is none.
    p_value
        Of no agreement beyond chance, or ``None``.
    method
        The method with every choice that changes the number.
    n_units
        Units used.
    note
        Why there is no value, or what to mind about it.
    """

    quantity: str
    value: float | None
    standard_error: float | None
    df: float | None
    ci: tuple[float, float] | None
    ci_level: float
    p_value: float | None
    method: str
    n_units: int
    note: str = ""

    def to_estimate(self, scope: Scope) -> Estimate:
        """Return the coefficient as an :class:`~study.analysis.estimate.Estimate`."""
        if self.value is None:
            return scope.unavailable(self.quantity, method=self.method, note=self.note)
        return scope.estimate(
            self.quantity,
            self.value,
            method=self.method,
            ci=self.ci,
            ci_level=self.ci_level,
            p_value=self.p_value,
            df=self.df,
            note=self.note,
        )


def coefficient_from_error(
    quantity: str,
    value: float,
    standard_error: float,
    *,
    df: float | None,
    ci_level: float,
    method: str,
    n_units: int,
    note: str = "",
) -> Coefficient:
    """Make a coefficient with a symmetric interval, cut at 1 from above.

    Without spread (standard error 0) there is no test, and the interval is a point; the note says
    so.
    """
    if standard_error == 0:
        lone = "The standard error is 0 in this sample; the interval understates the uncertainty."
        return Coefficient(
            quantity,
            value,
            0.0,
            df,
            (value, value),
            ci_level,
            None,
            method,
            n_units,
            f"{note} {lone}".strip(),
        )
    distribution = stats.norm if df is None else stats.t(df)
    reach = float(distribution.ppf(0.5 + ci_level / 2)) * standard_error
    return Coefficient(
        quantity=quantity,
        value=value,
        standard_error=standard_error,
        df=df,
        ci=(value - reach, min(1.0, value + reach)),
        ci_level=ci_level,
        p_value=float(2 * distribution.sf(abs(value) / standard_error)),
        method=method,
        n_units=n_units,
        note=note,
    )


def undefined(
    quantity: str, *, method: str, n_units: int, ci_level: float, note: str
) -> Coefficient:
    """Return a coefficient without a value; ``note`` says why."""
    return Coefficient(quantity, None, None, None, None, ci_level, None, method, n_units, note)
