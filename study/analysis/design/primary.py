"""The one confirmatory number, by the method that was declared, and what else could be said.

The method follows from the declared population, or is declared itself; it never depends on a
p-value. Every other method is computed beside it, named with its population, as description.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from study.analysis.clustered_rank import cluster_sign_flip, datta_satten, rosner_glynn_lee
from study.analysis.crossed_mean import crossed_mean_difference
from study.analysis.design.linear import linear_effect
from study.analysis.design.parts import between_readers, check_level, rated_rows, scope_of
from study.analysis.estimate import AnalysisError, Estimate, Population, Scope
from study.analysis.means import with_like_them
from study.analysis.ordinal.models import ordinal_models
from study.analysis.ordinal.sensitivity import ordinal_sensitivity
from study.analysis.paired import (
    Pairs,
    mean_difference,
    mean_difference_over_readers,
    paired_differences,
)
from study.analysis.signed_rank import signed_rank

if TYPE_CHECKING:
    from study.plans import AnalysisPlan

POPULATIONS: Mapping[str, Population] = MappingProxyType(
    {"these_readers": "these readers", "readers_like_them": "readers like them"}
)
DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "these readers": "mean_difference_by_case",
        "readers like them": "mean_over_readers_and_cases",
    }
)
"""What ``declared_default`` stands for."""
SUITED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "these readers": ("mean_difference_by_case", "clustered_signed_rank"),
        "readers like them": ("mean_over_readers_and_cases",),
    }
)
"""Methods that kept their level under no effect (``docs/calibration.md``). Mixed models, the mean
over readers and sign flips of readers did not, with few readers or with cases drawn anew; they are
computed beside the declared one, as description."""
ON_THE_SCALE = ("mean_difference_by_case", "mean_over_readers_and_cases")
"""Methods whose value is on the item's scale, where a margin means something."""
_PURPOSE = "The primary endpoint"


@dataclass(frozen=True)
class Declaration:
    """The primary endpoint as declared.

    Parameters
    ----------
    item, contrast, subset
        Item; conditions, first minus second; a correctness or ``"all"``.
    alpha
        Two-sided level in (0, 1).
    population
        ``"these readers"`` or ``"readers like them"``.
    method
        ``"declared_default"`` or one of :data:`SUITED`.
    margin
        Difference that would matter, on the item's scale, or ``None``.

    Raises
    ------
    AnalysisError
        If the method cannot speak for the population, or a number is out of range.
    """

    item: str
    contrast: tuple[str, str]
    subset: str = "all"
    alpha: float = 0.05
    population: Population = "these readers"
    method: str = "declared_default"
    margin: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise AnalysisError(
                f"The level alpha is {self.alpha}; expected a number between 0 and 1."
            )
        if self.population not in SUITED:
            raise AnalysisError(
                f"The primary endpoint cannot speak for {self.population!r}; expected one of "
                f"{', '.join(SUITED)}."
            )
        if self.resolved not in SUITED[self.population]:
            raise AnalysisError(
                f"The method {self.method!r} cannot speak for {self.population}; choose one of "
                f"{', '.join(SUITED[self.population])}."
            )
        if self.margin is not None and not self.margin >= 0:
            raise AnalysisError(f"The margin is {self.margin}; expected at least 0.")

    @property
    def resolved(self) -> str:
        """The method, the default spelled out."""
        return DEFAULTS[self.population] if self.method == "declared_default" else self.method


def declaration_of(plan: AnalysisPlan) -> Declaration:
    """Return the primary endpoint of a protocol's plan."""
    return Declaration(
        item=plan.primary,
        contrast=plan.contrast,
        subset=plan.subset,
        alpha=plan.alpha,
        population=POPULATIONS[plan.population],
        method=plan.primary_method,
        margin=plan.margin,
    )


@dataclass(frozen=True)
class PrimaryResult:
    """The primary endpoint and its sensitivity analyses.

    Parameters
    ----------
    declaration
        What was declared.
    estimate
        The confirmatory estimate.
    against_margin
        How its interval lies to the margin, in a sentence; empty without a margin.
    sensitivity
        The same contrast by other methods, each with its population; the pooled test is a warning.
    n_pairs, n_incomplete
        Readings with both conditions, and with one only.
    notes
        What to mind.
    """

    declaration: Declaration
    estimate: Estimate
    against_margin: str
    sensitivity: tuple[Estimate, ...]
    n_pairs: int
    n_incomplete: int
    notes: tuple[str, ...]


def primary_endpoint(
    frame: pd.DataFrame, declaration: Declaration, *, mixed_models: bool = True
) -> PrimaryResult:
    """Return the declared primary endpoint.

    Parameters
    ----------
    frame
        Canonical ratings.
    declaration
        Item, contrast, subset, level, population, method, margin.
    mixed_models
        Whether the sensitivity analyses include mixed models (seconds).

    Raises
    ------
    AnalysisError
        If the item, a condition or the subset has no ratings, or rows repeat.
    """
    check_level(1 - declaration.alpha)
    rows = rated_rows(
        frame,
        declaration.item,
        declaration.contrast,
        subset=declaration.subset,
        purpose=_PURPOSE,
    )
    both = rows.groupby("reader")["condition"].nunique() == 2
    if not both.any():
        return _between_groups(rows, declaration)
    pairs = paired_differences(rows, item=declaration.item, contrast=declaration.contrast)
    wanted = declaration.resolved
    simple = _simple(pairs, declaration)
    mixed: dict[tuple[str, str], Estimate] = {}
    notes: list[str] = []
    if mixed_models:
        mixed = _mixed(rows, declaration, notes)
    found = simple | mixed
    key = (declaration.population, wanted)
    chosen = _alone(pairs, found[key])
    others = [estimate for name, estimate in found.items() if name != key]
    return PrimaryResult(
        declaration=declaration,
        estimate=replace(chosen, role="confirmatory"),
        against_margin=against_margin(chosen, declaration),
        sensitivity=(*others, *_pooled(pairs)),
        n_pairs=len(pairs.frame),
        n_incomplete=pairs.n_incomplete,
        notes=tuple(dict.fromkeys(notes)),
    )


def _alone(pairs: Pairs, estimate: Estimate) -> Estimate:
    """Say so where there is one reader only."""
    if pairs.frame["reader"].nunique() > 1 or estimate.population == "readers like them":
        return estimate
    note = f"{estimate.note} One reader: it speaks for this reader alone.".strip()
    return replace(estimate, population="this reader", note=note)


def _simple(pairs: Pairs, declared: Declaration) -> dict[tuple[str, str], Estimate]:
    """Return the estimates that need no model."""
    frame, level = pairs.frame, 1 - declared.alpha
    d, cases, readers = frame["difference"], frame["case_id"], frame["reader"]
    scope = scope_of(frame)
    like = with_like_them(scope)
    return {
        ("these readers", "mean_difference_by_case"): mean_difference(
            d, cases, scope, ci_level=level
        ),
        ("these readers", "clustered_signed_rank"): _or_why(
            lambda: rosner_glynn_lee(d, cases).to_estimate(scope, "case"),
            scope,
            "clustered signed-rank z",
            "Rosner-Glynn-Lee signed-rank test clustered by case",
        ),
        ("these readers", "datta_satten"): _or_why(
            lambda: datta_satten(d, cases).to_estimate(scope, "case"),
            scope,
            "clustered signed-rank z",
            "Datta-Satten signed-rank test clustered by case",
        ),
        ("readers like them", "mean_over_readers_and_cases"): crossed_mean_difference(
            d, readers, frame[["case_id", "finding"]].agg(" / ".join, axis=1), like, ci_level=level
        ),
        ("readers like them", "mean_over_readers"): mean_difference_over_readers(
            d, readers, like, ci_level=level
        ),
        ("readers like them", "reader_sign_flip"): cluster_sign_flip(
            d, readers, like, cluster="reader"
        ),
    }


def _or_why(make: Callable[[], Estimate], scope: Scope, quantity: str, method: str) -> Estimate:
    """Return an estimate, or one without a value that says why."""
    try:
        return make()
    except AnalysisError as problem:
        return scope.unavailable(quantity, method=method, note=str(problem))


def _mixed(
    rows: pd.DataFrame, declared: Declaration, notes: list[str]
) -> dict[tuple[str, str], Estimate]:
    """Return the mixed models, with the session as a fixed effect where there are several."""
    terms = ("session",) if "session" in rows and rows["session"].nunique() > 1 else ()
    adjusted = "; adjusted for session" if terms else ""
    item, contrast, level = declared.item, declared.contrast, 1 - declared.alpha
    models = ordinal_models(rows, item, contrast, terms=terms, ci_level=level)
    notes += models.notes
    found = {
        ("these readers", "ordinal_mixed_model"): models.these_readers.coefficient,
        ("readers like them", "ordinal_mixed_model"): models.readers_like_them.coefficient,
    }
    for population in POPULATIONS.values():
        found[(population, "linear_mixed_model")] = linear_effect(
            rows,
            contrast,
            random_readers=population == "readers like them",
            terms=terms,
            ci_level=level,
        )
    try:
        probit, _, _, gee = ordinal_sensitivity(rows, item, contrast, terms=terms, ci_level=level)
    except AnalysisError as problem:
        notes.append(str(problem))
    else:
        found |= {("these readers", "probit"): probit, ("these readers", "gee"): gee}
    return {
        key: replace(estimate, method=estimate.method + adjusted) for key, estimate in found.items()
    }


def _pooled(pairs: Pairs) -> tuple[Estimate, ...]:
    """Return the pooled signed-rank test, which is only to be compared with."""
    if pairs.frame["reader"].nunique() < 2:
        return (signed_rank(pairs.frame["difference"]).to_estimate(scope_of(pairs.frame)),)
    scope = scope_of(pairs.frame).with_population("independent readings", "warning")
    found = signed_rank(pairs.frame["difference"]).to_estimate(scope)
    note = f"{found.note} Pooled over readers: treats readings as independent.".strip()
    return (replace(found, note=note),)


def against_margin(estimate: Estimate, declared: Declaration) -> str:
    """Say how the interval lies to the margin; empty without a margin."""
    margin = declared.margin
    if margin is None:
        return ""
    if declared.resolved not in ON_THE_SCALE or estimate.value is None or estimate.ci is None:
        return (
            f"The margin of {margin:g} points cannot be compared with this estimate, which is not "
            "an interval on the item's scale."
        )
    low, high = estimate.ci
    if -margin < low and high < margin:
        zero = "" if low <= 0 <= high else " It excludes 0: there is a difference, but a small one."
        return f"The interval lies within ±{margin:g}: no difference that would matter.{zero}"
    if low > margin or high < -margin:
        return f"The interval lies beyond the margin of {margin:g}: a difference that matters."
    if low > 0 or high < 0:
        return (
            f"The interval excludes 0, but not differences smaller than the margin of {margin:g}."
        )
    return (
        f"The interval excludes neither 0 nor differences beyond the margin of {margin:g}: it "
        "leaves open whether there is a difference that would matter."
    )


def _between_groups(rows: pd.DataFrame, declared: Declaration) -> PrimaryResult:
    """Compare groups of readers who each had one condition."""
    note = (
        "No reader rated under both conditions: the comparison is between groups of readers and "
        "can speak for readers like them only."
    )
    scope = with_like_them(scope_of(rows))
    welch = between_readers(rows, declared.contrast, scope, ci_level=1 - declared.alpha)
    others: tuple[Estimate, ...] = ()
    if declared.population == "readers like them":
        chosen = welch
    else:
        others = (welch,)
        chosen = scope.with_population(declared.population, "descriptive").unavailable(
            f"difference {declared.contrast[0]} − {declared.contrast[1]}",
            method=declared.resolved.replace("_", " "),
            note=note,
        )
    return PrimaryResult(
        declaration=declared,
        estimate=replace(chosen, role="confirmatory"),
        against_margin=against_margin(chosen, declared),
        sensitivity=others,
        n_pairs=0,
        n_incomplete=len(rows),
        notes=(note,),
    )
