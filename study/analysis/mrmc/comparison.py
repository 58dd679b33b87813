"""The estimates of an MRMC comparison: each carries its method and its population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from study.analysis.accuracy import accuracy
from study.analysis.estimate import AnalysisError, Estimate, Population, Role, Scope
from study.analysis.mrmc.dbm import dbm_analysis
from study.analysis.mrmc.merit import Covariance, Outcome, error_covariance
from study.analysis.mrmc.noninferiority import NonInferiority, non_inferiority
from study.analysis.mrmc.obuchowski_rockette import (
    Components,
    Contrast,
    Generalise,
    components,
    difference,
    reader_difference,
    single_condition,
)
from study.analysis.mrmc.scores import ReaderScores
from study.analysis.mrmc.ustatistics import u_statistics
from study.analysis.roc import auc_estimate

Method = Literal["obuchowski-rockette", "dbm", "u-statistics"]

_MOST_PAIRS = 5_000_000
_WORDS: dict[Generalise, str] = {
    "readers and cases": "random readers and random cases",
    "cases": "fixed readers, random cases",
    "readers": "random readers, fixed cases",
}
_POPULATION: dict[Generalise, Population] = {
    "readers and cases": "readers like them",
    "cases": "these readers",
    "readers": "readers like them",
}
_COVARIANCES = {
    "jackknife": "jackknife",
    "delong": "DeLong",
    "unbiased": "unbiased",
}


@dataclass(frozen=True)
class ReaderFigure:
    """One reader's figure of merit under one condition."""

    reader: str
    condition: str
    estimate: Estimate


@dataclass(frozen=True)
class ReaderDifference:
    """One reader's difference between the conditions."""

    reader: str
    estimate: Estimate


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two conditions' scores with everything that the estimates share.

    Parameters
    ----------
    scores
        Of exactly two conditions; differences are the first minus the second.
    outcome
        The figure of merit.
    theta
        Figures of merit, shape (2, R).
    errors
        Their error covariance, shape (2R, 2R); ``None`` if it cannot be estimated.
    covariance
        How it was estimated.
    scope
        Population, role and counts of the difference asked for.
    ci_level
        Of all intervals, in (0, 1).
    """

    scores: ReaderScores
    outcome: Outcome
    theta: NDArray[np.float64]
    errors: NDArray[np.float64] | None
    covariance: Covariance
    scope: Scope
    ci_level: float

    @property
    def quantity(self) -> str:
        """The difference in words."""
        name = "AUC" if self.outcome == "auc" else self.outcome
        return f"difference of the mean {name}, {' − '.join(self.scores.conditions)}"


Asked = tuple[Estimate, Contrast | None]
"""The difference, and the same with its standard error where there is one."""


def estimate_as_asked(
    made: Comparison, parts: Components | None, method: Method, wanted: Generalise, notes: list[str]
) -> Asked:
    """Return the difference by the method and for the population asked for."""
    if method == "u-statistics":
        return _by_u_statistics(made, made.scope, notes)
    if method == "dbm":
        return _by_dbm(made, parts)
    return _by_or(made, parts, wanted, made.scope.role)


def _by_or(made: Comparison, parts: Components | None, wanted: Generalise, role: Role) -> Asked:
    scope = made.scope.with_population(_POPULATION[wanted], role)
    method = f"Obuchowski–Rockette, {_WORDS[wanted]}, {_COVARIANCES[made.covariance]} covariance"
    if parts is None:
        return scope.unavailable(
            made.quantity, method=method, note="The error covariance cannot be estimated."
        ), None
    try:
        found = difference(made.theta, parts, (0, 1), wanted, ci_level=made.ci_level)
    except AnalysisError as problem:
        return scope.unavailable(made.quantity, method=method, note=str(problem)), None
    return _estimate(scope, made, found, method), found


def _by_dbm(made: Comparison, parts: Components | None) -> Asked:
    method = "Dorfman–Berbaum–Metz, random readers and random cases, Hillis degrees of freedom"
    try:
        test = dbm_analysis(made.scores, made.outcome).test
    except AnalysisError as problem:
        return made.scope.unavailable(made.quantity, method=method, note=str(problem)), None
    errors = error_covariance(made.scores, made.outcome, "jackknife")
    found = difference(made.theta, components(made.theta, errors), (0, 1), ci_level=made.ci_level)
    same = Contrast(found.value, found.standard_error, test.df2, found.ci, test.p_value)
    return _estimate(made.scope, made, same, method), same


def _by_u_statistics(made: Comparison, scope: Scope, notes: list[str]) -> Asked:
    method = "U-statistics (Gallas), random readers and random cases, pairs of cases weighted alike"
    try:
        found = u_statistics(made.scores, ci_level=made.ci_level)
        if found.variance <= 0:
            notes.append(
                f"The unbiased variance of the difference is estimated as {found.variance:.3g}, "
                "not above 0: too few readers or cases. V-statistics, which overestimate it, are "
                "used instead."
            )
            found = u_statistics(made.scores, biased=True, ci_level=made.ci_level)
            method = method.replace("U-statistics", "V-statistics")
    except AnalysisError as problem:
        return scope.unavailable(made.quantity, method=method, note=str(problem)), None
    if found.ci is None or found.df is None:
        return scope.estimate(
            made.quantity, found.difference, method=method, note="The variance is 0; no interval."
        ), None
    used = None if found.df > 50 else float(np.floor(found.df))
    contrast = Contrast(
        found.difference, float(np.sqrt(found.variance)), used, found.ci, found.p_value
    )
    return _estimate(scope, made, contrast, method), contrast


def _estimate(scope: Scope, made: Comparison, found: Contrast, method: str) -> Estimate:
    if found.standard_error == 0:
        note = "The estimated variance is not above 0; there is neither a test nor an interval."
        return scope.estimate(made.quantity, found.value, method=method, note=note)
    return scope.estimate(
        made.quantity,
        found.value,
        method=method,
        ci=found.ci,
        ci_level=made.ci_level,
        p_value=found.p_value,
        df=found.df,
    )


def estimate_alternatives(
    made: Comparison, parts: Components | None, method: Method, wanted: Generalise
) -> tuple[Estimate, ...]:
    """Return the difference for the other populations and by U-statistics, as descriptive.

    U-statistics compare every case without with every case with the finding; where that is more
    than five million comparisons they are left out here and have to be asked for.
    """
    rest: tuple[Generalise, ...] = ("readers and cases", "cases", "readers")
    found = [
        _by_or(made, parts, one, "descriptive")[0]
        for one in rest
        if method != "obuchowski-rockette" or one != wanted
    ]
    n_pairs = int((made.scores.truth == 1).sum()) * int((made.scores.truth == 0).sum())
    cheap = n_pairs * len(made.scores.readers) <= _MOST_PAIRS
    if made.outcome == "auc" and method != "u-statistics" and cheap:
        scope = made.scope.with_population("readers like them", "descriptive")
        found.append(_by_u_statistics(made, scope, [])[0])
    return tuple(found)


def estimate_means(made: Comparison, wanted: Generalise) -> tuple[Estimate, ...]:
    """Return each condition's mean figure of merit with its own interval."""
    scope = made.scope.with_population(_POPULATION[wanted], "descriptive")
    name = "AUC" if made.outcome == "auc" else made.outcome
    found = []
    for i, condition in enumerate(made.scores.conditions):
        quantity = f"mean {name} under condition {condition}"
        method = f"mean over readers, Obuchowski–Rockette, {_WORDS[wanted]}"
        if made.errors is None:
            mean = float(made.theta[i].mean())
            found.append(
                scope.estimate(quantity, mean, method=method, note="No variance can be estimated.")
            )
            continue
        try:
            one = single_condition(made.theta, made.errors, i, wanted, ci_level=made.ci_level)
        except AnalysisError as problem:
            mean = float(made.theta[i].mean())
            found.append(scope.estimate(quantity, mean, method=method, note=str(problem)))
            continue
        found.append(
            scope.estimate(
                quantity,
                one.value,
                method=method,
                ci=one.ci,
                ci_level=made.ci_level,
                df=one.df,
            )
        )
    return tuple(found)


def reader_figures(made: Comparison) -> tuple[ReaderFigure, ...]:
    """Return every reader's figure of merit under each condition, with an interval over cases."""
    found = []
    for i, condition in enumerate(made.scores.conditions):
        for j, reader in enumerate(made.scores.readers):
            cell = made.scores.values[i, j]
            scope = Scope("this reader", "descriptive", 1, int((~np.isnan(cell)).sum()))
            try:
                if made.outcome == "auc":
                    one = auc_estimate(cell, made.scores.truth, scope, ci_level=made.ci_level)
                else:
                    both = accuracy(cell, made.scores.truth, scope, ci_level=made.ci_level)
                    one = both.sensitivity if made.outcome == "sensitivity" else both.specificity
            except AnalysisError as problem:
                one = scope.unavailable(
                    "AUC" if made.outcome == "auc" else made.outcome,
                    method="one reader alone",
                    note=str(problem),
                )
            found.append(ReaderFigure(reader, condition, one))
    return tuple(found)


def reader_differences_of(made: Comparison) -> tuple[ReaderDifference, ...]:
    """Return every reader's difference, with an interval over cases."""
    found = []
    for j, reader in enumerate(made.scores.readers):
        n_cases = int((~np.isnan(made.scores.values[:, j])).any(axis=0).sum())
        scope = Scope("this reader", "descriptive", 1, n_cases)
        method = f"one reader, {_COVARIANCES[made.covariance]} covariance, normal interval"
        if made.errors is None:
            value = float(made.theta[0, j] - made.theta[1, j])
            one = scope.estimate(
                made.quantity, value, method=method, note="No variance can be estimated."
            )
        else:
            contrast = reader_difference(made.theta, made.errors, j, ci_level=made.ci_level)
            one = _estimate(scope, made, contrast, method)
        found.append(ReaderDifference(reader, one))
    return tuple(found)


def estimate_margin(made: Comparison, asked: Asked, margin: float, alpha: float) -> Estimate:
    """Return the one-sided test of the first condition against ``margin``."""
    estimate, contrast = asked
    quantity = f"non-inferiority of {made.scores.conditions[0]}, {made.quantity}"
    scope = made.scope.with_population(estimate.population, estimate.role)
    method = f"{estimate.method}; one-sided test against −{margin:g} at {alpha / 2:g}"
    if contrast is None or contrast.standard_error == 0:
        note = estimate.note or "There is no standard error."
        return scope.unavailable(quantity, method=method, note=note)
    found = non_inferiority(
        contrast.value, contrast.standard_error, contrast.df, margin=margin, alpha=alpha / 2
    )
    return scope.estimate(
        quantity,
        found.difference,
        method=method,
        ci=contrast.ci,
        ci_level=made.ci_level,
        p_value=found.p_value,
        df=contrast.df,
        note=_margin_note(found),
    )


def _margin_note(found: NonInferiority) -> str:
    held = "is above" if found.lower_limit > -found.margin else "is not above"
    verdict = "shown" if found.lower_limit > -found.margin else "not shown"
    return (
        f"The lower limit {found.lower_limit:.4f} {held} −{found.margin:g}: non-inferiority is "
        f"{verdict}."
    )
