"""One reported number with everything a reader of it needs: interval, method, population, role."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from study.errors import StudyError

Population = Literal["these readers", "this reader", "readers like them", "independent readings"]
"""Whom a p-value or an interval speaks for.

``these readers``
    The readers of the study and cases like its cases (clustered by case).
``this reader``
    One reader alone, and cases like the study's.
``readers like them``
    Readers drawn from the same population. Cases are those of the study where the method averages
    over them (t over readers, sign flips), and cases like them where it takes cases for random too
    (mixed models with a condition slope over readers, multi-reader multi-case analyses): the
    method says which.
``independent readings``
    Nobody: the method takes every reading for an independent one, which they are not.
"""

Role = Literal["confirmatory", "descriptive", "warning"]
"""``confirmatory``: the declared primary endpoint; ``warning``: shown, but not to be relied on."""


class AnalysisError(StudyError):
    """A table or a request that cannot be analysed; its text is fit to be shown to a person."""


@dataclass(frozen=True)
class Estimate:
    """A statistic and what it stands on.

    Parameters
    ----------
    quantity
        What is estimated, in words, e.g. ``"mean difference B − A"``.
    value
        Point estimate at full precision, or ``None`` where it cannot be computed.
    ci
        Lower and upper limit, or ``None`` where the method gives none.
    ci_level
        Confidence level of ``ci`` in (0, 1); ``None`` exactly where ``ci`` is.
    p_value
        In [0, 1], or ``None``.
    df
        Degrees of freedom of the reference distribution, or ``None``.
    method
        The method, with every choice that changes the number.
    population, role
        See :data:`Population` and :data:`Role`.
    n_readers, n_cases
        Readers and cases that entered.
    note
        What else must be said; says why whenever ``value`` is ``None``.

    Raises
    ------
    AnalysisError
        If a number is not finite, out of range, or missing without a note.
    """

    quantity: str
    value: float | None
    ci: tuple[float, float] | None
    ci_level: float | None
    p_value: float | None
    df: float | None
    method: str
    population: Population
    role: Role
    n_readers: int
    n_cases: int
    note: str = ""

    def __post_init__(self) -> None:
        problem = (
            self._problem_of_words()
            or self._problem_of_value()
            or self._problem_of_interval()
            or self._problem_of_counts()
        )
        if problem:
            raise AnalysisError(
                f"The estimate of {self.quantity or 'an unnamed quantity'!r} {problem}."
            )

    def _problem_of_words(self) -> str | None:
        if not self.quantity or not self.method:
            return "names no quantity or no method; both are needed"
        if self.population not in get_args(Population):
            return f"speaks for {self.population!r}; expected one of {get_args(Population)}"
        if self.role not in get_args(Role):
            return f"has the role {self.role!r}; expected one of {get_args(Role)}"
        return None

    def _problem_of_value(self) -> str | None:
        if self.value is None:
            if not self.note:
                return "has no value and no note that says why"
            return None if self.ci is None else "has an interval but no value"
        if not math.isfinite(self.value):
            return f"has the value {self.value}; give None and a note where nothing can be computed"
        if self.p_value is not None and not 0 <= self.p_value <= 1:
            return f"has p = {self.p_value}, which is not in [0, 1]"
        if self.df is not None and not self.df > 0:
            return f"has {self.df} degrees of freedom; expected more than none"
        return None

    def _problem_of_interval(self) -> str | None:
        if (self.ci is None) != (self.ci_level is None):
            return "has an interval without its level, or a level without its interval"
        if self.ci is None or self.ci_level is None:
            return None
        if not all(math.isfinite(limit) for limit in self.ci) or self.ci[0] > self.ci[1]:
            return f"has the interval {self.ci}; expected two finite limits, the lower first"
        if not 0 < self.ci_level < 1:
            return f"has the confidence level {self.ci_level}; expected one between 0 and 1"
        return None

    def _problem_of_counts(self) -> str | None:
        if self.n_readers < 0 or self.n_cases < 0:
            return f"counts {self.n_readers} readers and {self.n_cases} cases"
        return None


@dataclass(frozen=True)
class Scope:
    """What several estimates from the same readings share: population, role and counts."""

    population: Population
    role: Role
    n_readers: int
    n_cases: int

    def estimate(
        self,
        quantity: str,
        value: float,
        *,
        method: str,
        ci: tuple[float, float] | None = None,
        ci_level: float | None = None,
        p_value: float | None = None,
        df: float | None = None,
        note: str = "",
    ) -> Estimate:
        """Return an :class:`Estimate` with this scope; without an interval its level is dropped."""
        return Estimate(
            quantity=quantity,
            value=float(value),
            ci=None if ci is None else (float(ci[0]), float(ci[1])),
            ci_level=None if ci is None else ci_level,
            p_value=None if p_value is None else float(p_value),
            df=None if df is None else float(df),
            method=method,
            population=self.population,
            role=self.role,
            n_readers=self.n_readers,
            n_cases=self.n_cases,
            note=note,
        )

    def unavailable(self, quantity: str, *, method: str, note: str) -> Estimate:
        """Return an :class:`Estimate` without a value; ``note`` says why there is none."""
        return Estimate(
            quantity=quantity,
            value=None,
            ci=None,
            ci_level=None,
            p_value=None,
            df=None,
            method=method,
            population=self.population,
            role=self.role,
            n_readers=self.n_readers,
            n_cases=self.n_cases,
            note=note,
        )

    def with_population(self, population: Population, role: Role) -> Scope:
        """Return the same counts under another population and role."""
        return replace(self, population=population, role=role)
