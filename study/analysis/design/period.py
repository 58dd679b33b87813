"""What the order of reading does: period, sequence, carry-over, place in the session, learning.

In a crossover of two conditions over two sessions the condition is compared within cases, the
period too; carry-over, the sequence and condition × session are one and the same contrast, between
cases. It is shown and never used to choose the analysis: a test of carry-over before the analysis
biases what follows (Freeman, Stat Med 1989;8:1421).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from study.analysis.columns import natural_order
from study.analysis.crossover import koch_tests, stratified_rank_sum
from study.analysis.design.parts import check_level, rated_rows, scope_of
from study.analysis.design.within import (
    PER,
    SHOWN_ONLY,
    Units,
    carry_over_effect,
    coefficient_of,
    find_units,
    intercepts_of,
    label_of,
    within_effects,
)
from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.mixed.fixed_design import fixed_design
from study.analysis.mixed.linear import fit_lmm
from study.analysis.ordinal.effects import Effect
from study.analysis.ordinal.models import ordinal_models

_PURPOSE = "The analysis of periods"


@dataclass(frozen=True)
class ReaderCrossover:
    """The crossover of one reader, by ranks.

    Parameters
    ----------
    reader
        The reader.
    n_first_then_second, n_second_then_first
        Cases in either sequence: first condition of the contrast first, or last.
    condition
        Compared between sequences, which takes the period out.
    carry_over
        Shown only.
    period
        First session against second.
    """

    reader: str
    n_first_then_second: int
    n_second_then_first: int
    condition: Estimate
    carry_over: Estimate
    period: Estimate


@dataclass(frozen=True)
class DesignEffects:
    """Everything about the order of reading of one item.

    Parameters
    ----------
    item, contrast
        The item; first condition minus second.
    n_readings, n_readers, n_cases
        What entered.
    by_reader
        Koch's rank tests of each reader.
    over_readers
        Condition (period taken out), carry-over and period, rank tests stratified by reader.
    within
        Condition, session and position from each reading's own difference: least squares,
        clustered by case (CR2).
    linear
        The same effects by a linear mixed model with random intercepts of reader and case.
    carry_over
        Condition × session, from the sums of a reader's two ratings of a case; shown only.
    learning
        Condition × position: whether practice helps one condition more.
    ordinal
        The same terms from cumulative-link mixed models.
    notes
        What cannot be estimated, and why.
    """

    item: str
    contrast: tuple[str, str]
    n_readings: int
    n_readers: int
    n_cases: int
    by_reader: tuple[ReaderCrossover, ...]
    over_readers: tuple[Estimate, ...]
    within: tuple[Estimate, ...]
    linear: tuple[Estimate, ...]
    carry_over: tuple[Estimate, ...]
    learning: tuple[Estimate, ...]
    ordinal: tuple[Effect, ...]
    notes: tuple[str, ...]


def design_effects(
    frame: pd.DataFrame,
    item: str,
    contrast: tuple[str, str],
    *,
    subset: str = "all",
    ordinal: bool = True,
    ci_level: float = 0.95,
) -> DesignEffects:
    """Return period, sequence, position, carry-over and learning of one item.

    Parameters
    ----------
    frame
        Canonical ratings with ``session`` and, if known, ``position``.
    item, contrast
        The item; two conditions, the first minus the second.
    subset
        A correctness, or ``"all"``.
    ordinal
        Whether to fit the ordinal mixed models too (seconds).
    ci_level
        In (0, 1).

    Raises
    ------
    AnalysisError
        If the item, a condition or the subset has no ratings, or rows repeat.
    """
    check_level(ci_level)
    rows = rated_rows(frame, item, contrast, subset=subset, purpose=_PURPOSE)
    scope = scope_of(rows)
    notes: list[str] = []
    units = find_units(rows, contrast, notes)
    by_reader, over_readers = _by_ranks(units, scope, notes)
    linear, learning = _linear(rows, contrast, scope, ci_level, notes)
    effects: tuple[Effect, ...] = ()
    if ordinal:
        terms = ("session", "position", "condition:session", "condition:position")
        models = ordinal_models(rows, item, contrast, terms=terms, ci_level=ci_level)
        effects = models.terms
        notes += [f"Ordinal model: {note}" for note in models.notes]
    return DesignEffects(
        item=item,
        contrast=contrast,
        n_readings=len(rows),
        n_readers=scope.n_readers,
        n_cases=scope.n_cases,
        by_reader=by_reader,
        over_readers=over_readers,
        within=within_effects(units, contrast, scope, ci_level, notes),
        linear=linear,
        carry_over=carry_over_effect(units, contrast, scope, ci_level, notes),
        learning=learning,
        ordinal=effects,
        notes=tuple(dict.fromkeys(notes)),
    )


def _by_ranks(
    units: Units | None, scope: Scope, notes: list[str]
) -> tuple[tuple[ReaderCrossover, ...], tuple[Estimate, ...]]:
    """Return Koch's tests of each reader and over readers."""
    if units is None:
        return (), ()
    made, strata, groups = [], [], []
    for reader in natural_order(units.frame["reader"].unique()):
        part = units.frame[units.frame["reader"] == reader]
        own = Scope("this reader", scope.role, 1, part["case_id"].nunique())
        p1, p2, first = part["first"].to_numpy(), part["second"].to_numpy(), part["starts"]
        condition, carry_over, period = koch_tests(p1, p2, first, own)
        n_first = int(first.sum())
        carry_over = replace(carry_over, note=f"{carry_over.note} {SHOWN_ONLY}".strip())
        made.append(
            ReaderCrossover(reader, n_first, len(first) - n_first, condition, carry_over, period)
        )
        if 0 < n_first < len(first):
            strata.append((p1, p2))
            groups.append(first.to_numpy(bool))
        else:
            notes.append(f"Reader {reader} read every case in one sequence: no rank test.")
    return tuple(made), _stratified(strata, groups, scope)


def _stratified(
    strata: list[tuple[np.ndarray, np.ndarray]], groups: list[np.ndarray], scope: Scope
) -> tuple[Estimate, ...]:
    """Return the three tests over readers; readers of the same cases are not independent."""
    if len(strata) < 2:
        return ()
    pooled = scope.with_population("independent readings", "warning")
    values = (
        ("condition, adjusted for period", [p1 - p2 for p1, p2 in strata]),
        ("carry-over (shown only)", [p1 + p2 for p1, p2 in strata]),
        (
            "period",
            [np.where(g, p1 - p2, p2 - p1) for (p1, p2), g in zip(strata, groups, strict=True)],
        ),
    )
    result = []
    for quantity, parts in values:
        if all(np.ptp(part) == 0 for part in parts):
            found = pooled.unavailable(
                quantity, method="rank-sum test stratified by reader", note="All values are equal."
            )
        else:
            found = stratified_rank_sum(parts, groups, pooled, quantity)
            found = replace(found, note="Takes the readings of one case for independent.")
        result.append(found)
    return tuple(result)


def _linear(
    rows: pd.DataFrame,
    contrast: tuple[str, str],
    scope: Scope,
    ci_level: float,
    notes: list[str],
) -> tuple[tuple[Estimate, ...], tuple[Estimate, ...]]:
    """Return main effects and learning of linear mixed models."""
    data = rows.copy()
    mains = ["condition"]
    if "session" in data and data["session"].notna().all() and data["session"].nunique() > 1:
        mains.append("session")
    if "position" in data and data["position"].notna().all() and data["position"].nunique() > 1:
        data["position"] = (data["position"] - 1) / PER
        mains.append("position")
    else:
        notes.append("The place in the session is not given or does not vary: no learning.")
    effects = _effects(data, mains, None, contrast, scope, ci_level, notes)
    if "position" not in mains:
        return effects, ()
    wanted = "condition:position"
    return effects, _effects(data, [*mains, wanted], wanted, contrast, scope, ci_level, notes)


def _effects(
    data: pd.DataFrame,
    terms: list[str],
    wanted: str | None,
    contrast: tuple[str, str],
    scope: Scope,
    ci_level: float,
    notes: list[str],
) -> tuple[Estimate, ...]:
    """Return the effects of all terms, or of the wanted one."""
    design = fixed_design(data, terms, {"condition": contrast[1]})
    notes += [f"{label_of(name)} cannot be estimated: {why}." for name, why in design.left_out]
    wide = design.with_intercept()
    random = intercepts_of(data)
    try:
        if not random:
            raise AnalysisError("one reader and no case read twice.")
        fit = fit_lmm(data["value"], wide.matrix, wide.names, random)
    except AnalysisError as problem:
        notes.append(f"The linear mixed model cannot be fitted: {problem}")
        return ()
    notes += fit.notes
    columns = range(1, len(wide.names)) if wanted is None else wide.columns_of(wanted)
    factors = " and ".join(part.name for part in fit.components[:-1])
    method = f"linear mixed model, REML, random intercepts of {factors}, Satterthwaite t"
    return tuple(
        coefficient_of(fit, k, f"points, {label_of(wide.names[k])}", method, scope, ci_level)
        for k in columns
    )
