"""What is missing, by reader, condition and session, for which reasons; the way of the readings.

Without a plan the expected readings are those that others' readings imply: every reader who rated
under a condition is expected to have rated every case and finding that occurs under it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from study.analysis.columns import natural_order
from study.analysis.design.parts import READING, check_level, need, scope_of, share_by_case
from study.analysis.estimate import AnalysisError, Estimate
from study.analysis.means import mean_by_case

ALL_SESSIONS = "(all)"
NO_REASON = "no reason given"
_PURPOSE = "The account of missing readings"


@dataclass(frozen=True)
class Cell:
    """The readings of one reader under one condition in one session.

    Parameters
    ----------
    reader, condition, session
        Which; the session is ``"(all)"`` where it is not known.
    n_expected, n_rated
        Readings.
    reasons
        Pairs (reason, number of missing readings).
    """

    reader: str
    condition: str
    session: str
    n_expected: int
    n_rated: int
    reasons: tuple[tuple[str, int], ...]

    @property
    def n_missing(self) -> int:
        """Readings without a rating."""
        return self.n_expected - self.n_rated


@dataclass(frozen=True)
class FlowStep:
    """One box of a flow diagram.

    Parameters
    ----------
    label
        What is counted.
    n_readers, n_cases, n_readings
        What is left at this step.
    lost
        Pairs (why, number of readings) lost since the step before.
    """

    label: str
    n_readers: int
    n_cases: int
    n_readings: int
    lost: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Missingness:
    """What is missing of one item.

    Parameters
    ----------
    item
        The item.
    planned
        Whether the expected readings come from a plan; otherwise they are implied.
    cells
        By reader × condition × session.
    share
        Share of the expected readings that are missing.
    by_condition
        The same for each condition.
    difference
        Of the shares, first condition of the contrast minus second; ``None`` without a contrast.
    reasons
        Pairs (reason, number).
    flow
        From the plan to the pairs that are analysed, ready for a diagram.
    notes
        What to mind.
    """

    item: str
    planned: bool
    cells: tuple[Cell, ...]
    share: Estimate
    by_condition: tuple[Estimate, ...]
    difference: Estimate | None
    reasons: tuple[tuple[str, int], ...]
    flow: tuple[FlowStep, ...]
    notes: tuple[str, ...]


def missingness(
    frame: pd.DataFrame,
    item: str,
    *,
    plan: pd.DataFrame | None = None,
    reasons: pd.DataFrame | None = None,
    contrast: tuple[str, str] | None = None,
    subset: str = "all",
    ci_level: float = 0.95,
) -> Missingness:
    """Account for every expected reading.

    Parameters
    ----------
    frame
        Canonical ratings.
    item
        The item whose rating counts.
    plan
        Readings that were planned: reader, case_id, finding, condition, and if known session,
        purpose (repeats are left out) and ``displayed_at``, ``submitted_at``, ``skipped_at`` (empty
        where it did not happen), as ``assignments.csv`` of an export.
    reasons
        reader, case_id, finding, condition and ``reason``, as ``missing.csv`` of an export.
    contrast
        Two conditions whose pairs are analysed.
    subset
        A correctness that the analysis is limited to, or ``"all"``; counts in the last steps of the
        flow.
    ci_level
        In (0, 1).

    Raises
    ------
    AnalysisError
        If a table lacks columns, a planned reading repeats, or nothing is expected.
    """
    check_level(ci_level)
    need(frame, (*READING, "condition", "item", "value"), _PURPOSE)
    of_item = frame[frame["item"] == item]
    if of_item.empty and plan is None:
        known = ", ".join(map(str, frame["item"].unique())) or "nothing"
        raise AnalysisError(f"{_PURPOSE} finds no item {item!r}; the table rates {known}.")
    notes: list[str] = []
    expected = _implied(of_item) if plan is None else _planned(plan, notes)
    if expected.empty:
        raise AnalysisError(f"{_PURPOSE} finds no reading that was planned.")
    rated = _keys(of_item[of_item["value"].notna()])
    expected["rated"] = [key in rated for key in _tuples(expected)]
    beyond = len(rated - set(_tuples(expected)))
    if beyond:
        notes.append(f"{beyond} ratings are of readings that were not planned.")
    expected["reason"] = _reasons(expected, reasons)
    conditions = natural_order(expected["condition"].unique())
    missing = (~expected["rated"]).astype(float)
    gone = expected[~expected["rated"]]
    return Missingness(
        item=item,
        planned=plan is not None,
        cells=_cells(expected),
        share=share_by_case(
            missing,
            expected["case_id"],
            scope_of(expected),
            "share of readings missing",
            ci_level=ci_level,
        ),
        by_condition=tuple(_of_condition(expected, name, ci_level) for name in conditions),
        difference=None if contrast is None else _difference(expected, contrast, ci_level),
        reasons=_counts(gone["reason"]),
        flow=_flow(expected, of_item, contrast, subset, plan is not None),
        notes=tuple(notes),
    )


def _implied(of_item: pd.DataFrame) -> pd.DataFrame:
    """Return every reader × case × finding that each condition implies."""
    parts = []
    session = "session" in of_item and of_item["session"].notna().all()
    for condition in natural_order(of_item["condition"].unique()):
        here = of_item[of_item["condition"] == condition]
        readers = here[["reader"]].drop_duplicates()
        cases = here[["case_id", "finding"]].drop_duplicates()
        parts.append(readers.merge(cases, how="cross").assign(condition=condition))
    expected = pd.concat(parts, ignore_index=True)
    if session:
        key = [*READING, "condition"]
        known = of_item.drop_duplicates(key)[[*key, "session"]]
        expected = expected.merge(known, on=key, how="left")
        expected["session"] = expected["session"].fillna("(not known)").astype(str)
    else:
        expected["session"] = ALL_SESSIONS
    return expected


def _planned(plan: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Return the planned readings with text in their keys."""
    need(plan, (*READING, "condition"), "The plan of the readings")
    expected = plan.copy()
    if "purpose" in expected:
        extra = expected["purpose"] == "repeat"
        if extra.any():
            notes.append(f"{int(extra.sum())} repeated readings are not counted.")
        expected = expected[~extra]
    for name in (*READING, "condition"):
        expected[name] = expected[name].astype(str)
    known = "session" in expected
    expected["session"] = expected["session"].astype(str) if known else ALL_SESSIONS
    repeated = expected.duplicated([*READING, "condition"])
    if repeated.any():
        first = expected[repeated].iloc[0]
        raise AnalysisError(
            f"The plan has reader {first['reader']} read case {first['case_id']} twice under "
            f"condition {first['condition']}; expected one planned reading each."
        )
    return expected.reset_index(drop=True)


def _tuples(rows: pd.DataFrame) -> list[tuple[str, ...]]:
    columns = [rows[name].astype(str) for name in (*READING, "condition")]
    return list(zip(*columns, strict=True))


def _keys(rows: pd.DataFrame) -> set[tuple[str, ...]]:
    return set(_tuples(rows))


def _reasons(expected: pd.DataFrame, reasons: pd.DataFrame | None) -> list[str]:
    """Return the reason of each missing reading; empty where it was rated."""
    said: dict[tuple[str, ...], str] = {}
    if reasons is not None:
        need(reasons, (*READING, "condition", "reason"), "The table of reasons")
        given = reasons["reason"].astype("string").fillna(NO_REASON).str.strip()
        said = dict(zip(_tuples(reasons), given.replace("", NO_REASON), strict=True))
    keys = zip(_tuples(expected), expected["rated"], strict=True)
    return ["" if done else str(said.get(key, NO_REASON)) for key, done in keys]


def _counts(words: pd.Series) -> tuple[tuple[str, int], ...]:
    counts = words[words != ""].value_counts()
    return tuple((str(word), int(counts[word])) for word in sorted(counts.index))


def _cells(expected: pd.DataFrame) -> tuple[Cell, ...]:
    cells = []
    for reader in natural_order(expected["reader"].unique()):
        of_reader = expected[expected["reader"] == reader]
        for condition in natural_order(of_reader["condition"].unique()):
            here = of_reader[of_reader["condition"] == condition]
            for session in natural_order(here["session"].unique()):
                rows = here[here["session"] == session]
                cells.append(
                    Cell(
                        reader,
                        condition,
                        session,
                        len(rows),
                        int(rows["rated"].sum()),
                        _counts(rows["reason"]),
                    )
                )
    return tuple(cells)


def _of_condition(expected: pd.DataFrame, condition: str, ci_level: float) -> Estimate:
    rows = expected[expected["condition"] == condition]
    return share_by_case(
        (~rows["rated"]).astype(float),
        rows["case_id"],
        scope_of(rows),
        f"share of readings missing under {condition}",
        ci_level=ci_level,
    )


def _difference(expected: pd.DataFrame, contrast: tuple[str, str], ci_level: float) -> Estimate:
    """Compare the shares missing within a reader's readings of a case."""
    quantity = f"share of readings missing, {contrast[0]} − {contrast[1]}"
    wide = expected.assign(gone=(~expected["rated"]).astype(float)).pivot(
        index=list(READING), columns="condition", values="gone"
    )
    scope = scope_of(expected)
    lacking = [name for name in contrast if name not in wide]
    both = wide.dropna(subset=list(contrast)).reset_index() if not lacking else wide.iloc[:0]
    if both.empty:
        note = f"No reading was planned under both {contrast[0]} and {contrast[1]}."
        return scope.unavailable(quantity, method="difference of shares", note=note)
    return mean_by_case(
        both[contrast[0]] - both[contrast[1]], both["case_id"], scope, quantity, ci_level=ci_level
    )


def _step(label: str, rows: pd.DataFrame, lost: tuple[tuple[str, int], ...] = ()) -> FlowStep:
    return FlowStep(
        label, int(rows["reader"].nunique()), int(rows["case_id"].nunique()), len(rows), lost
    )


def _flow(
    expected: pd.DataFrame,
    of_item: pd.DataFrame,
    contrast: tuple[str, str] | None,
    subset: str,
    planned: bool,
) -> tuple[FlowStep, ...]:
    """Follow the readings from the plan to the pairs that are analysed."""
    steps = [_step("planned readings" if planned else "expected readings", expected)]
    if "displayed_at" in expected:
        shown = expected[_happened(expected["displayed_at"]) | expected["rated"]]
        steps.append(_step("displayed", shown, (("never displayed", len(expected) - len(shown)),)))
    rated = expected[expected["rated"]]
    lost = _counts(expected["reason"])
    if "displayed_at" in expected:
        after = expected[_happened(expected["displayed_at"]) & ~expected["rated"]]
        lost = _counts(after["reason"])
    steps.append(_step("rated", rated, lost))
    if subset != "all" and "correctness" in of_item:
        wanted = _keys(of_item[of_item["correctness"] == subset])
        inside = rated[np.array([key in wanted for key in _tuples(rated)], dtype=bool)]
        steps.append(
            _step(f"in the subset {subset}", inside, (("not in it", len(rated) - len(inside)),))
        )
        rated = inside
    if contrast is None:
        return tuple(steps)
    compared = rated[rated["condition"].isin(contrast)]
    elsewhere = (("under another condition", len(rated) - len(compared)),)
    steps.append(_step(f"under {contrast[0]} or {contrast[1]}", compared, elsewhere))
    both = compared.groupby(list(READING))["condition"].transform("nunique") == 2
    lone = int((~both).sum()) if len(compared) else 0
    paired = compared[np.asarray(both, dtype=bool)] if len(compared) else compared
    steps.append(_step("in pairs", paired, (("rated under one condition only", lone),)))
    return tuple(steps)


def _happened(cells: pd.Series) -> pd.Series:
    text = cells.astype("string").str.strip()
    return (text.notna() & (text != "")).astype(bool)
