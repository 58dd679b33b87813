"""Which cases are read: true and false positives of the classifier, in the protocol's proportion.

The reading side must not import this module: it knows which predictions are right. The strata that
it hands to the allocation are labels without meaning.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from study.allocation import CaseChoice
from study.errors import SelectionError
from study.plans import CasePlan, PracticeCase
from study.protocol import StudyProtocol

OPERATING_POINT = 0.5
REFERENCE_PREFIX = "finding:"

__all__ = ["CaseChoice", "positives", "select_cases", "select_practice"]


@dataclass(frozen=True)
class _Slot:
    """A finding and a class of cases, with the number that is needed and the eligible cases."""

    finding: str
    correctness: str
    n_needed: int
    eligible: tuple[str, ...]


def select_cases(
    reference_table: pd.DataFrame,
    predictions_table: pd.DataFrame,
    protocol: StudyProtocol,
    seed: int,
) -> tuple[CaseChoice, ...]:
    """Choose the cases of a study.

    A case is used for one finding only, wherever that is possible; if it is not, for as few
    findings as a maximum matching leaves over, and never twice for the same finding. Cases that
    the protocol names for practice are left out.

    Parameters
    ----------
    reference_table
        One row per case: ``case_id`` and ``finding:<Name>`` columns (1 present, 0 absent, missing
        unknown), as :meth:`data.reference.ReferenceSet.table` returns.
    predictions_table
        One row per case and finding: ``case_id``, ``finding``, ``probability`` in [0, 1].
    protocol
        Findings, numbers, share of false positives, margin.
    seed
        Decides which of the eligible cases are taken.

    Returns
    -------
    tuple of CaseChoice
        By finding, in an order that does not tell the classes apart.

    Raises
    ------
    SelectionError
        If the tables do not hold what is needed; lists how many cases were found and needed.
    """
    plan = protocol.cases
    table = positives(reference_table, predictions_table, plan)
    named = {practice.case_id for practice in protocol.practice}
    table = table[~table["case_id"].astype(str).isin(named)]
    slots = _slots(table, plan, seed)
    short = [slot for slot in slots if len(slot.eligible) < slot.n_needed]
    if short:
        found = "; ".join(
            f"{slot.finding}: {len(slot.eligible)} {slot.correctness.replace('_', ' ')}s found, "
            f"{slot.n_needed} needed"
            for slot in short
        )
        margin = f" with |p - 0.5| >= {plan.minimum_margin:g}" if plan.minimum_margin else ""
        raise SelectionError(
            f"The case set has too few cases{margin} ({found}); add cases, or lower per_finding."
        )
    taken = _match(slots)
    choices: list[CaseChoice] = []
    for finding in plan.findings:
        labels = sorted(("0", "1"), key=lambda label: _rank(seed, "stratum", finding, label))
        chosen = [
            CaseChoice(case_id, finding, label)
            for label, slot in zip(labels, (s for s in slots if s.finding == finding), strict=True)
            for case_id in taken[slots.index(slot)]
        ]
        choices += sorted(chosen, key=lambda c: _rank(seed, "order", finding, c.case_id))
    return tuple(choices)


def select_practice(
    reference_table: pd.DataFrame,
    predictions_table: pd.DataFrame,
    protocol: StudyProtocol,
    seed: int,
    taken: Collection[str],
) -> tuple[CaseChoice, ...]:
    """Choose the practice cases of a study.

    Parameters
    ----------
    reference_table, predictions_table
        As for :func:`select_cases`.
    protocol
        Its ``practice`` names cases, or says of which kind they are to be.
    seed
        Decides which of the eligible cases are taken.
    taken
        Identifiers of the study's cases, none of which is practised.

    Returns
    -------
    tuple of CaseChoice
        In the order of ``protocol.practice``; where the rule chooses, each case once.

    Raises
    ------
    SelectionError
        If a named case has no prediction or is a case of the study, or no eligible case is left.
    """
    if not protocol.practice:
        return ()
    table = positives(reference_table, predictions_table, protocol.cases)
    used = {*taken, *(practice.case_id for practice in protocol.practice)}
    choices: list[CaseChoice] = []
    for n, practice in enumerate(protocol.practice):
        if practice.case_id is not None:
            _check_named(n, practice, predictions_table, taken)
            choices.append(CaseChoice(practice.case_id, practice.finding))
            continue
        kind = (table["finding"] == practice.finding) & (table["correctness"] == practice.subset)
        eligible = sorted(
            set(map(str, table.loc[kind, "case_id"])) - used,
            key=lambda case_id: _rank(seed, "practice", case_id),
        )
        if not eligible:
            raise SelectionError(
                f"No {practice.subset.replace('_', ' ')} of {practice.finding!r} is left for "
                f"practice[{n}]; add cases, lower per_finding, or name a case_id."
            )
        used.add(eligible[0])
        choices.append(CaseChoice(eligible[0], practice.finding))
    return tuple(choices)


def _check_named(
    n: int, practice: PracticeCase, predictions: pd.DataFrame, taken: Collection[str]
) -> None:
    """Refuse a named practice case that is not predicted, or is read in the study."""
    if practice.case_id in taken:
        raise SelectionError(
            f"practice[{n}].case_id is {practice.case_id!r}, which is a case of the study; "
            "practise with another one."
        )
    of_finding = predictions["case_id"].astype(str)[predictions["finding"] == practice.finding]
    if practice.case_id not in set(of_finding):
        raise SelectionError(
            f"practice[{n}].case_id is {practice.case_id!r}, for which there is no prediction of "
            f"{practice.finding!r}; name a case of the case set."
        )


def positives(
    reference_table: pd.DataFrame, predictions_table: pd.DataFrame, plan: CasePlan
) -> pd.DataFrame:
    """Return the true and false positives of the plan's findings, within its margin.

    Returns
    -------
    DataFrame
        case_id, finding, probability, correctness (``"true_positive"`` | ``"false_positive"``).

    Raises
    ------
    SelectionError
        If a column, a finding or predictions are missing, or a case has two predictions.
    """
    _check_tables(reference_table, predictions_table, plan)
    rows = []
    for finding in plan.findings:
        truth = reference_table[["case_id", REFERENCE_PREFIX + finding]].rename(
            columns={REFERENCE_PREFIX + finding: "reference"}
        )
        truth["reference"] = pd.to_numeric(truth["reference"], errors="coerce")
        predicted = predictions_table[predictions_table["finding"] == finding]
        rows.append(predicted[["case_id", "finding", "probability"]].merge(truth, on="case_id"))
    table = pd.concat(rows, ignore_index=True)
    # Probabilities are stored as decimals: a margin of exactly 0.05 must not fail on rounding.
    kept = (
        (table["probability"] > OPERATING_POINT)
        & ((table["probability"] - OPERATING_POINT).abs() >= plan.minimum_margin - 1e-9)
        & table["reference"].isin([0.0, 1.0])
    )
    table = table[kept].copy()
    table["correctness"] = table["reference"].map({1.0: "true_positive", 0.0: "false_positive"})
    return table.drop(columns="reference").reset_index(drop=True)


def _check_tables(reference: pd.DataFrame, predictions: pd.DataFrame, plan: CasePlan) -> None:
    needed = {"case_id", *(REFERENCE_PREFIX + finding for finding in plan.findings)}
    for name, table, columns in (
        ("reference standard", reference, needed),
        ("table of predictions", predictions, {"case_id", "finding", "probability"}),
    ):
        missing = sorted(columns - set(map(str, table.columns)))
        if missing:
            raise SelectionError(
                f"The {name} has no column {', '.join(map(repr, missing))}; it has "
                f"{', '.join(map(str, table.columns))}. Correct cases.findings or the table."
            )
    if reference["case_id"].duplicated().any():
        twice = reference.loc[reference["case_id"].duplicated(), "case_id"].iloc[0]
        raise SelectionError(f"The reference standard lists case {twice!r} twice; keep one row.")
    predicted = set(predictions["finding"])
    unknown = [finding for finding in plan.findings if finding not in predicted]
    if unknown:
        raise SelectionError(
            f"There are no predictions for {', '.join(map(repr, unknown))}; the table predicts "
            f"{', '.join(sorted(map(str, predicted)))}. Correct cases.findings or predict them."
        )
    repeated = predictions.duplicated(["case_id", "finding"])
    if repeated.any():
        row = predictions[repeated].iloc[0]
        raise SelectionError(
            f"Case {row['case_id']!r} has two predictions for {row['finding']!r}; keep one."
        )


def _slots(table: pd.DataFrame, plan: CasePlan, seed: int) -> list[_Slot]:
    slots = []
    for finding in plan.findings:
        for correctness, n_needed in (
            ("true_positive", plan.n_true_positives),
            ("false_positive", plan.n_false_positives),
        ):
            rows = table[(table["finding"] == finding) & (table["correctness"] == correctness)]
            eligible = sorted(
                map(str, rows["case_id"]),
                key=lambda case_id: _rank(seed, "choice", finding, case_id),
            )
            slots.append(_Slot(finding, correctness, n_needed, tuple(eligible)))
    return slots


def _match(slots: Sequence[_Slot]) -> list[list[str]]:
    """Give each slot its cases: a maximum matching first, then cases that are used elsewhere."""
    owner: dict[str, int] = {}
    for n, slot in enumerate(slots):
        for _ in range(slot.n_needed):
            if not _augment(slots, owner, n):
                break
    taken: list[list[str]] = [[] for _ in slots]
    for n, slot in enumerate(slots):
        taken[n] = [case_id for case_id in slot.eligible if owner.get(case_id) == n]
        spare = [case_id for case_id in slot.eligible if owner.get(case_id) != n]
        taken[n] += spare[: slot.n_needed - len(taken[n])]
    return taken


def _augment(slots: Sequence[_Slot], owner: dict[str, int], start: int) -> bool:
    """Give slot ``start`` one more case, moving cases between slots if that frees one."""
    came_from: dict[int, tuple[int, str]] = {}
    queue = deque([start])
    while queue:
        n = queue.popleft()
        for case_id in slots[n].eligible:
            holder = owner.get(case_id)
            if holder is None:
                _shift(owner, came_from, n, case_id)
                return True
            if holder not in came_from and holder != start:
                came_from[holder] = (n, case_id)
                queue.append(holder)
    return False


def _shift(
    owner: dict[str, int], came_from: Mapping[int, tuple[int, str]], n: int, case_id: str
) -> None:
    """Walk the path back: each slot takes a case and passes on the one it held."""
    owner[case_id] = n
    while n in came_from:
        n, case_id = came_from[n]
        owner[case_id] = n


def _rank(seed: int, *parts: str) -> bytes:
    """Return a position in an order that depends on the seed and on nothing else."""
    return hashlib.sha256("/".join((str(seed), *parts)).encode()).digest()
