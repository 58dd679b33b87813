"""Scores of cases by readers under several conditions, as the MRMC analyses take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.analysis.columns import natural_order
from study.analysis.estimate import AnalysisError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ReaderScores:
    """One score per condition, reader and case.

    Parameters
    ----------
    values
        Shape (T, R, C), NaN where a case was not read.
    truth
        1 where the case has the finding, else 0, shape (C,).
    conditions, readers, cases
        Names along the three axes.
    """

    values: Array
    truth: NDArray[np.int_]
    conditions: tuple[str, ...]
    readers: tuple[str, ...]
    cases: tuple[str, ...]

    @property
    def n_missing(self) -> int:
        """Readings that a fully crossed design would have and this one lacks."""
        return int(np.isnan(self.values).sum())

    @property
    def negatives(self) -> Array:
        """Scores of cases without the finding, shape (T, R, N)."""
        return self.values[:, :, self.truth == 0]

    @property
    def positives(self) -> Array:
        """Scores of cases with the finding, shape (T, R, P)."""
        return self.values[:, :, self.truth == 1]

    @property
    def fully_crossed(self) -> ReaderScores:
        """The cases that every reader read under every condition."""
        missing: NDArray[np.bool_] = np.isnan(self.values)
        return self.select_cases(np.asarray(~missing.any(axis=(0, 1)), dtype=bool))

    def select_cases(self, keep: NDArray[np.bool_]) -> ReaderScores:
        """Return the cases of a mask of shape (C,)."""
        return ReaderScores(
            self.values[:, :, keep],
            self.truth[keep],
            self.conditions,
            self.readers,
            tuple(case for case, kept in zip(self.cases, keep, strict=True) if kept),
        )

    def select_conditions(self, names: Sequence[str]) -> ReaderScores:
        """Return some conditions in the order given.

        Raises
        ------
        AnalysisError
            If one does not occur.
        """
        for name in names:
            if name not in self.conditions:
                raise AnalysisError(
                    f"There is no reading under condition {name!r}; there are "
                    f"{', '.join(self.conditions)}."
                )
        index = [self.conditions.index(name) for name in names]
        return ReaderScores(self.values[index], self.truth, tuple(names), self.readers, self.cases)

    def called_at(self, threshold: float) -> ReaderScores:
        """Return calls: 1 where the score is at least ``threshold``, else 0."""
        calls = np.where(np.isnan(self.values), np.nan, self.values >= threshold)
        return ReaderScores(calls, self.truth, self.conditions, self.readers, self.cases)

    def nested_in(self, axis: str) -> ReaderScores:
        """Treat the cases of each reader, or of each condition, as different cases.

        Parameters
        ----------
        axis
            ``"readers"``: split-plot design, each reader has his or her own cases;
            ``"conditions"``: unpaired cases.
        """
        t, r, c = self.values.shape
        groups = r if axis == "readers" else t
        values = np.full((t, r, groups * c), np.nan)
        for g in range(groups):
            part = slice(g * c, (g + 1) * c)
            if axis == "readers":
                values[:, g, part] = self.values[:, g]
            else:
                values[g, :, part] = self.values[g]
        names = tuple(f"{g + 1}.{case}" for g in range(groups) for case in self.cases)
        wide = ReaderScores(
            values, np.tile(self.truth, groups), self.conditions, self.readers, names
        )
        return wide.select_cases(np.asarray(~np.isnan(values).all(axis=(0, 1)), dtype=bool))


def scores_of_table(
    frame: pd.DataFrame,
    *,
    score: str,
    truth: str,
    reader: str = "reader",
    case: str = "case_id",
    condition: str = "condition",
    both_classes: bool = True,
) -> ReaderScores:
    """Arrange a long table, one row per reading.

    Parameters
    ----------
    frame
        Long table.
    score, truth, reader, case, condition
        Its columns; ``truth`` holds 0 or 1 (or False, True). Rows without a score are readings
        that are missing; cases, readers and conditions without any score are left out.
    both_classes
        Whether cases with and without the finding are needed.

    Raises
    ------
    AnalysisError
        If a column is missing, the reference standard is not 0 or 1 or contradicts itself, a score
        is not a number, a case was read twice by one reader under one condition, or a class of
        cases is empty.
    """
    for name in (score, truth, reader, case, condition):
        if name not in frame.columns:
            raise AnalysisError(
                f"The table has no column {name!r}; it has {', '.join(map(str, frame.columns))}."
            )
    values = _numbers(frame[score], score)
    kept = values.notna()
    if not kept.any():
        raise AnalysisError(f"Column {score!r} holds no score; there is nothing to analyse.")
    rows = pd.DataFrame(
        {
            "condition": frame.loc[kept, condition].astype(str),
            "reader": frame.loc[kept, reader].astype(str),
            "case": frame.loc[kept, case].astype(str),
            "truth": _numbers(frame.loc[kept, truth], truth),
            "score": values[kept],
        }
    )
    _check(rows, truth, both_classes=both_classes)
    names = {
        axis: tuple(natural_order(rows[axis].unique())) for axis in ("condition", "reader", "case")
    }
    index = [pd.Index(names[axis]).get_indexer(rows[axis]) for axis in names]
    cube = np.full([len(names[axis]) for axis in names], np.nan)
    cube[index[0], index[1], index[2]] = rows["score"]
    labels = np.zeros(len(names["case"]), dtype=int)
    labels[index[2]] = rows["truth"].astype(int)
    return ReaderScores(cube, labels, names["condition"], names["reader"], names["case"])


def _numbers(column: pd.Series, name: str) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    wrong = numbers.isna() & column.notna() & (column.astype(str).str.strip() != "")
    if wrong.any():
        raise AnalysisError(
            f"Column {name!r} holds {column[wrong].iloc[0]!r}; expected numbers. Correct the cell."
        )
    return numbers


def _check(rows: pd.DataFrame, truth: str, *, both_classes: bool) -> None:
    if not rows["truth"].isin((0, 1)).all():
        wrong = rows["truth"][~rows["truth"].isin((0, 1))].iloc[0]
        raise AnalysisError(
            f"The reference standard in column {truth!r} holds {wrong}; expected 0 (absent) or 1 "
            "(present) for every scored case."
        )
    kinds = rows.groupby("case")["truth"].nunique()
    if (kinds > 1).any():
        raise AnalysisError(
            f"Case {kinds.index[(kinds > 1).to_numpy()][0]} is with the finding in one row and "
            "without it in another; expected one reference standard per case."
        )
    repeated = rows.duplicated(["condition", "reader", "case"])
    if repeated.any():
        first = rows[repeated].iloc[0]
        raise AnalysisError(
            f"Reader {first['reader']} scored case {first['case']} under condition "
            f"{first['condition']} more than once; expected one score. Choose one finding and one "
            "session."
        )
    if both_classes and rows["truth"].nunique() < 2:
        kind = "with" if rows["truth"].iloc[0] == 1 else "without"
        raise AnalysisError(
            f"Every scored case is {kind} the finding; an AUC needs cases of both kinds. Give "
            "the reference standard of all cases, or ask for sensitivity or specificity."
        )
