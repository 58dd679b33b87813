"""Specificity and sensitivity of calls under two conditions, also for non-inferiority."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from study.analysis.columns import natural_order
from study.analysis.design.margins import at_margin, verdict
from study.analysis.design.parts import (
    READING,
    check_level,
    need,
    rated_rows,
    scope_of,
    share_by_case,
)
from study.analysis.estimate import AnalysisError, Estimate, Population, Scope
from study.analysis.means import mean_by_case
from study.analysis.mrmc.summary import Mrmc, mrmc_of
from study.analysis.proportions import PairedTable, mcnemar_test, tango_difference

Share = Literal["specificity", "sensitivity"]
_SHARES = "The comparison of calls"


@dataclass(frozen=True)
class CallReader:
    """Specificity or sensitivity of one reader, paired by case.

    Parameters
    ----------
    reader
        The reader.
    table
        Cases right under the second condition of the contrast (``first_only``), the first
        (``second_only``), both, neither.
    difference
        First condition minus second, Tango's interval; p one-sided against the margin, if any.
    mcnemar
        Exact test of equality.
    """

    reader: str
    table: PairedTable
    difference: Estimate
    mcnemar: Estimate


@dataclass(frozen=True)
class CallComparison:
    """Specificity or sensitivity under two conditions.

    Parameters
    ----------
    share, contrast, threshold
        What was compared.
    by_condition
        Share right, clustered by case.
    by_reader
        Each reader, by McNemar and Tango.
    difference, non_inferior
        Over the readers of the study, clustered by case; the test against the margin.
    mrmc
        For readers like them, with its own test against the margin; ``None`` where impossible.
    notes
        What to mind.
    """

    share: Share
    contrast: tuple[str, str]
    threshold: float
    by_condition: tuple[Estimate, ...]
    by_reader: tuple[CallReader, ...]
    difference: Estimate
    non_inferior: Estimate | None
    mrmc: Mrmc | None
    notes: tuple[str, ...]


def compare_calls(
    frame: pd.DataFrame,
    item: str,
    contrast: tuple[str, str],
    *,
    threshold: float,
    share: Share = "specificity",
    margin: float | None = None,
    population: Population = "readers like them",
    ci_level: float = 0.95,
) -> CallComparison:
    """Compare specificity (or sensitivity) of calls between two conditions.

    Parameters
    ----------
    frame
        Canonical ratings with ``correctness``: without the finding are false positives and true
        negatives of the model.
    item, contrast
        The item; two conditions, the first minus the second.
    threshold
        A rating of at least this calls the finding present.
    share
        Which cases count.
    margin
        Largest acceptable loss, in (0, 1).
    population
        Of the multi-reader multi-case analysis.
    ci_level
        In (0, 1).

    Raises
    ------
    AnalysisError
        If the item or a condition has no ratings, rows repeat, the margin is out of range, or no
        case is of the kind.
    """
    check_level(ci_level)
    if margin is not None and not 0 < margin < 1:
        raise AnalysisError(f"The margin of {share} is {margin}; expected a share in (0, 1).")
    need(frame, ("correctness",), _SHARES)
    kinds = (
        ("false_positive", "true_negative")
        if share == "specificity"
        else ("true_positive", "false_negative")
    )
    kind = frame[frame["correctness"].isin(kinds)]
    if kind.empty:
        word = "without" if share == "specificity" else "with"
        raise AnalysisError(f"{_SHARES} finds no case {word} the finding; {share} needs some.")
    rows = rated_rows(kind, item, contrast, purpose=_SHARES)
    called = (rows["value"] >= threshold).to_numpy(bool)
    wanted = share == "sensitivity"
    rows = rows.assign(right=(called == wanted).astype(float), call=called.astype(float))
    wide = rows.pivot(index=list(READING), columns="condition", values="right").dropna()
    pairs = wide.reset_index()
    d = pairs[contrast[0]] - pairs[contrast[1]]
    scope = scope_of(rows)
    words = f"{share}, {contrast[0]} − {contrast[1]}"
    found = mean_by_case(d, pairs["case_id"], scope, words, ci_level=ci_level, limits=(-1.0, 1.0))
    notes: list[str] = []
    if len(rows) != 2 * len(pairs):
        notes.append(f"{len(rows) - 2 * len(pairs)} calls have no counterpart.")
    return CallComparison(
        share=share,
        contrast=contrast,
        threshold=threshold,
        by_condition=tuple(_called(rows, name, share, ci_level) for name in contrast),
        by_reader=_paired_tables(pairs, contrast, share, ci_level, margin),
        difference=found,
        non_inferior=None
        if margin is None
        else at_margin(mean_by_case(d, pairs["case_id"], scope, words, ci_level=ci_level), margin),
        mrmc=_mrmc(rows, contrast, share, margin, population, ci_level, notes),
        notes=tuple(notes),
    )


def _called(rows: pd.DataFrame, condition: str, share: Share, ci_level: float) -> Estimate:
    own = rows[rows["condition"] == condition]
    words = f"{share} under {condition}"
    return share_by_case(own["right"], own["case_id"], scope_of(own), words, ci_level=ci_level)


def _paired_tables(
    pairs: pd.DataFrame,
    contrast: tuple[str, str],
    share: Share,
    ci_level: float,
    margin: float | None,
) -> tuple[CallReader, ...]:
    made = []
    for reader in natural_order(pairs["reader"].unique()):
        own = pairs[pairs["reader"] == reader]
        new, old = own[contrast[0]] == 1, own[contrast[1]] == 1
        table = PairedTable(
            both=int((new & old).sum()),
            first_only=int((old & ~new).sum()),
            second_only=int((new & ~old).sum()),
            neither=int((~new & ~old).sum()),
        )
        scope = Scope("this reader", "descriptive", 1, own["case_id"].nunique())
        found = tango_difference(table, scope, ci_level=ci_level, margin=margin)
        words = f"{share}, {contrast[0]} − {contrast[1]}"
        made.append(
            CallReader(reader, table, _renamed(found, words, margin), mcnemar_test(table, scope))
        )
    return tuple(made)


def _renamed(found: Estimate, words: str, margin: float | None) -> Estimate:
    if margin is None or found.ci is None:
        return replace(found, quantity=words)
    return replace(found, quantity=words, note=verdict(found.ci[0] > -margin, "lower", margin))


def _mrmc(
    rows: pd.DataFrame,
    contrast: tuple[str, str],
    share: Share,
    margin: float | None,
    population: Population,
    ci_level: float,
    notes: list[str],
) -> Mrmc | None:
    truth = 1 if share == "sensitivity" else 0
    unit = rows["case_id"].astype(str) + " · " + rows["finding"].astype(str)
    try:
        return mrmc_of(
            rows.assign(truth=truth, unit=unit),
            "call",
            "truth",
            contrast,
            population=population,
            margin=margin,
            outcome=share,
            alpha=1 - ci_level,
            case="unit",
        )
    except AnalysisError as problem:
        notes.append(f"No multi-reader multi-case analysis: {problem}")
        return None
