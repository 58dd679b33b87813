"""Secondary endpoints in their declared order, behind the gate of the primary endpoint.

The level passes from the primary endpoint to the others only once it is met (Bretz, Maurer,
Brannath and Posch, Stat Med 2009): to the next in order, or to all others at once as in Holm's
procedure. A claim of non-inferiority is one-sided; twice its p-value enters, so that one two-sided
level serves all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from study.analysis.design.calls import compare_calls
from study.analysis.design.discrimination import discrimination
from study.analysis.design.margins import at_margin, ratio_at_margin
from study.analysis.design.parts import between_readers, rated_rows, scope_of
from study.analysis.design.primary import PrimaryResult
from study.analysis.design.timing import reading_times
from study.analysis.estimate import AnalysisError, Estimate, Population, Scope
from study.analysis.means import mean_by_case, mean_over_readers, with_like_them
from study.analysis.multiplicity import Gatekeeping
from study.analysis.paired import NoPairs, paired_differences

if TYPE_CHECKING:
    from study.plans import AnalysisPlan, SecondaryEndpoint

PRIMARY = "primary"


@dataclass(frozen=True)
class SecondaryResult:
    """One secondary endpoint.

    Parameters
    ----------
    name, outcome
        As declared.
    claim
        ``"difference"`` or ``"non-inferiority"``.
    estimate
        With its own, unadjusted p: two-sided for a difference, one-sided for non-inferiority.
    p_adjusted
        Two-sided, adjusted for the gate; 1 where the gate stays closed or there is no p.
    met
        Whether the claim is met at the declared level.
    """

    name: str
    outcome: str
    claim: str
    estimate: Estimate
    p_adjusted: float
    met: bool


@dataclass(frozen=True)
class Family:
    """The declared endpoints together.

    Parameters
    ----------
    alpha, gatekeeping
        As declared.
    primary_met
        Whether the primary endpoint is met.
    results
        In declared order.
    sentence
        What was met, in words.
    """

    alpha: float
    gatekeeping: str
    primary_met: bool
    results: tuple[SecondaryResult, ...]
    sentence: str


def declared_family(frame: pd.DataFrame, plan: AnalysisPlan, primary: PrimaryResult) -> Family:
    """Test the secondary endpoints of a plan.

    Parameters
    ----------
    frame
        Canonical ratings.
    plan
        The plan of the protocol.
    primary
        Its primary endpoint, already estimated.

    Returns
    -------
    Family
        An endpoint that cannot be estimated has no value, says why, and is not met.
    """
    population = primary.declaration.population
    estimates = [_estimate(frame, plan, each, population) for each in plan.secondary]
    p_values = {PRIMARY: _p(primary.estimate, doubled=False)}
    names = [f"{n}. {each.id}" for n, each in enumerate(plan.secondary, start=1)]
    for name, each, estimate in zip(names, plan.secondary, estimates, strict=True):
        p_values[name] = _p(estimate, doubled=each.non_inferiority is not None)
    adjusted = gate([PRIMARY, *names], plan.gatekeeping).adjusted(p_values)
    results = tuple(
        SecondaryResult(
            name=each.id,
            outcome=each.outcome,
            claim="difference" if each.non_inferiority is None else "non-inferiority",
            estimate=estimate,
            p_adjusted=adjusted[name],
            met=adjusted[name] <= plan.alpha,
        )
        for name, each, estimate in zip(names, plan.secondary, estimates, strict=True)
    )
    primary_met = adjusted[PRIMARY] <= plan.alpha
    return Family(
        plan.alpha, plan.gatekeeping, primary_met, results, _sentence(primary_met, results)
    )


def gate(names: list[str], kind: str) -> Gatekeeping:
    """Return the graph that passes the level from the first hypothesis to the others.

    Parameters
    ----------
    names
        The primary hypothesis, then the others in order.
    kind
        ``"fixed_sequence"`` or ``"holm"``.

    Raises
    ------
    AnalysisError
        If the kind is not known.
    """
    m = len(names)
    weights = [1.0] + [0.0] * (m - 1)
    passes = np.zeros((m, m))
    if kind == "fixed_sequence":
        for k in range(m - 1):
            passes[k, k + 1] = 1.0
    elif kind == "holm":
        if m > 1:
            passes[0, 1:] = 1 / (m - 1)
        for k in range(1, m):
            for other in range(1, m):
                if other != k:
                    passes[k, other] = 1 / (m - 2)
    else:
        raise AnalysisError(
            f"There is no gatekeeping {kind!r}; expected 'fixed_sequence' or 'holm'."
        )
    return Gatekeeping(names, weights, passes)


def _p(estimate: Estimate, *, doubled: bool) -> float:
    if estimate.value is None or estimate.p_value is None:
        return 1.0
    return min(1.0, 2 * estimate.p_value) if doubled else estimate.p_value


def _sentence(primary_met: bool, results: tuple[SecondaryResult, ...]) -> str:
    if not primary_met:
        tail = " No secondary endpoint can be claimed." if results else ""
        return f"The primary endpoint is not met.{tail}"
    if not results:
        return "The primary endpoint is met; no secondary endpoint was declared."
    met = [result.name for result in results if result.met]
    said = f"Of the secondary endpoints {', '.join(met)}" if met else "Of the secondary ones none"
    return f"The primary endpoint is met. {said} can be claimed."


def _estimate(
    frame: pd.DataFrame, plan: AnalysisPlan, endpoint: SecondaryEndpoint, population: Population
) -> Estimate:
    """Return the estimate of one endpoint, or one without a value that says why."""
    try:
        found = _of_outcome(frame, plan, endpoint, population)
    except AnalysisError as problem:
        scope = Scope(population, "descriptive", 0, 0)
        return scope.unavailable(endpoint.id, method=endpoint.outcome, note=str(problem))
    if found is None:
        note = "The readings do not allow a multi-reader multi-case analysis."
        scope = Scope(population, "descriptive", 0, 0)
        return scope.unavailable(endpoint.id, method=endpoint.outcome, note=note)
    return found


def _of_outcome(
    frame: pd.DataFrame, plan: AnalysisPlan, endpoint: SecondaryEndpoint, population: Population
) -> Estimate | None:
    item = endpoint.item or plan.primary
    contrast = endpoint.contrast or plan.contrast
    margin, level, these = endpoint.non_inferiority, 1 - plan.alpha, population == "these readers"
    if endpoint.outcome == "rating":
        found = _rating(frame, item, contrast, endpoint.subset, level, these=these)
        return found if margin is None else at_margin(found, margin)
    if endpoint.outcome == "reading_time":
        times = reading_times(
            frame,
            contrast,
            pause_minutes=plan.pause_minutes,
            subset=endpoint.subset,
            ci_level=level,
        )
        found = times.ratio if these else times.ratio_over_readers
        return found if margin is None else ratio_at_margin(found, margin)
    if endpoint.outcome == "auc":
        made = discrimination(frame, item, contrast, margin=margin, ci_level=level)
        if these:
            return made.difference if margin is None else at_margin(made.difference, margin)
        mrmc = made.mrmc
    else:
        if endpoint.threshold is None:
            raise AnalysisError(f"{endpoint.outcome} needs a threshold, which is not declared.")
        calls = compare_calls(
            frame,
            item,
            contrast,
            threshold=endpoint.threshold,
            share=endpoint.outcome,
            margin=margin,
            ci_level=level,
        )
        if these:
            return calls.difference if margin is None else calls.non_inferior
        mrmc = calls.mrmc
    if mrmc is None:
        return None
    return mrmc.difference if margin is None else mrmc.non_inferiority


def _rating(
    frame: pd.DataFrame,
    item: str,
    contrast: tuple[str, str],
    subset: str,
    level: float,
    *,
    these: bool,
) -> Estimate:
    rows = rated_rows(frame, item, contrast, subset=subset, purpose="A secondary endpoint")
    try:
        pairs = paired_differences(rows, item=item, contrast=contrast).frame
    except NoPairs:
        if these:
            raise
        return between_readers(rows, contrast, with_like_them(scope_of(rows)), ci_level=level)
    words = f"mean difference of {item}, {contrast[0]} − {contrast[1]}"
    scope, d = scope_of(pairs), pairs["difference"]
    if these:
        return mean_by_case(d, pairs["case_id"], scope, words, ci_level=level)
    return mean_over_readers(d, pairs["reader"], scope, words, ci_level=level)
