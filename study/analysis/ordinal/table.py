"""Rows and columns of an ordinal model, taken from a table of ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from study.analysis.cells import NOT_GIVEN
from study.analysis.estimate import AnalysisError

_KEY = ("reader", "case_id", "finding", "condition", "session")
_PER = 100.0
_CLASSES = 10

MOST_CATEGORIES = 15
"""With more different ratings than this, they are taken in classes."""


@dataclass(frozen=True, eq=False)
class OrdinalTable:
    """The rated readings of one item under two conditions.

    Parameters
    ----------
    frame
        Columns reader, case_id, condition, value, and those of the terms; no cell missing.
    item, contrast
        The item and the conditions, the first compared to the second.
    terms
        The terms that the table can serve.
    notes
        What was left out.
    """

    frame: pd.DataFrame
    item: str
    contrast: tuple[str, str]
    terms: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def n_readers(self) -> int:
        """Readers with a rating."""
        return int(self.frame["reader"].nunique())

    @property
    def n_cases(self) -> int:
        """Cases with a rating."""
        return int(self.frame["case_id"].nunique())

    def label(self, column: str) -> str:
        """Return a column of the design in words."""
        return " × ".join(self._part(part) for part in column.split(":"))

    def _part(self, part: str) -> str:
        if part == f"condition{self.contrast[0]}":
            return f"condition {self.contrast[0]} compared to {self.contrast[1]}"
        if part == "position":
            return f"position in the session, per {_PER:g} readings"
        for name in sorted(map(str, self.frame.columns), key=len, reverse=True):
            if part.startswith(name) and part != name:
                levels = set(self.frame[name].astype(str))
                if part.removeprefix(name) in levels:
                    return f"{name} {part.removeprefix(name)}"
        return part


def ordinal_table(
    table: pd.DataFrame, *, item: str, contrast: tuple[str, str], terms: Sequence[str]
) -> OrdinalTable:
    """Take the rated readings of an item under two conditions.

    Missing ratings are left out (the models need no complete pairs); so is a term whose column is
    missing, not given or the same everywhere, with a note. A scale such as 0–100 with more than
    :data:`MOST_CATEGORIES` different ratings is taken in ten classes. ``position`` is
    counted from 0 in steps of 100 readings.

    Parameters
    ----------
    table
        Canonical ratings.
    item
        The item.
    contrast
        Two conditions.
    terms
        Columns or interactions.

    Raises
    ------
    AnalysisError
        If a needed column, the item or a condition is missing, or rows repeat.
    """
    missing = [c for c in ("reader", "case_id", "condition", "item", "value") if c not in table]
    if missing:
        raise AnalysisError(
            f"The ordinal models need the columns {', '.join(missing)}, which the table lacks."
        )
    if len(contrast) != 2 or contrast[0] == contrast[1]:
        raise AnalysisError(
            f"The contrast {', '.join(contrast)!r} is not a pair; expected two different "
            "conditions."
        )
    of_item = table[table["item"] == item]
    if of_item.empty:
        raise AnalysisError(
            f"There are no ratings of an item {item!r}; the table rates "
            f"{', '.join(map(str, table['item'].unique()))}."
        )
    shown = of_item[of_item["condition"].isin(contrast)]
    rated = shown[shown["value"].notna()].reset_index(drop=True)
    for condition in contrast:
        if not (rated["condition"] == condition).any():
            raise AnalysisError(
                f"Nobody rated {item!r} under condition {condition!r}; expected ratings under both "
                f"{contrast[0]} and {contrast[1]}."
            )
    _check_repeats(rated)
    notes = []
    if len(shown) > len(rated):
        notes.append(
            f"{len(shown) - len(rated)} of {len(shown)} ratings of {item!r} are missing; the "
            "models use the others as they are (missing at random)."
        )
    kept, more = _usable(rated, terms)
    notes += more
    frame = rated.copy()
    if "position" in frame:
        frame["position"] = (frame["position"] - 1) / _PER
    needed = {part for term in kept for part in term.split(":")}
    complete = frame[list(needed)].notna().all(axis=1) if needed else pd.Series(True, frame.index)
    if not complete.all():
        notes.append(
            f"{int((~complete).sum())} ratings lack {', '.join(sorted(needed))} and are left out."
        )
    frame = frame[complete].reset_index(drop=True)
    if frame["value"].nunique() > MOST_CATEGORIES and (frame["value"] % 1 == 0).all():
        frame["value"], note = _classes(frame["value"])
        notes.append(note)
    return OrdinalTable(frame, item, contrast, tuple(kept), tuple(notes))


def _classes(values: pd.Series) -> tuple[pd.Series, str]:
    """Return the ratings in classes 1, 2, … of about equal size, and a note with their limits."""
    inner = np.unique(np.quantile(values, np.linspace(0, 1, _CLASSES + 1)[1:-1], method="lower"))
    inner = inner[inner < values.max()]
    classes = pd.Series(1.0 + np.searchsorted(inner, values), index=values.index)
    ends = ", ".join(f"{limit:g}" for limit in inner)
    return classes, (
        f"The scale has {values.nunique()} different ratings; the ordinal models use "
        f"{len(inner) + 1} classes of about equal size with the upper limits {ends}."
    )


def _check_repeats(rated: pd.DataFrame) -> None:
    key = [name for name in _KEY if name in rated]
    repeated = rated.duplicated(key)
    if repeated.any():
        first = rated[repeated].iloc[0]
        raise AnalysisError(
            f"Reader {first['reader']} rated case {first['case_id']} more than once under "
            f"condition {first['condition']}; expected one rating. Keep the one that counts."
        )


def _usable(rated: pd.DataFrame, terms: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the terms whose columns exist and vary, and a note for each other one."""
    kept: list[str] = []
    notes: list[str] = []
    for term in dict.fromkeys(terms):
        if term == "condition":
            continue
        reasons = []
        for name in term.split(":"):
            if name not in rated:
                reasons.append(f"the table has no column {name!r}")
                continue
            values = rated[name].dropna()
            if values.empty or (values.astype(str) == NOT_GIVEN).all():
                reasons.append(f"{name} is not given")
            elif values.nunique() < 2:
                reasons.append(f"{name} is {values.iloc[0]} everywhere")
        if reasons:
            notes.append(f"{term} is not in the model: {' and '.join(reasons)}.")
        else:
            kept.append(term)
    return kept, notes
