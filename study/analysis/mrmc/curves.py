"""ROC curves of every reader under every condition, and their averages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from study.analysis.mrmc.scores import ReaderScores
from study.analysis.roc import RocCurve, mean_roc_curve, roc_curve


@dataclass(frozen=True, eq=False)
class ReaderCurve:
    """One reader's curve under one condition."""

    reader: str
    condition: str
    curve: RocCurve


@dataclass(frozen=True, eq=False)
class MeanCurve:
    """The average of the readers' curves under one condition, at given false-positive rates.

    Parameters
    ----------
    condition
        The condition.
    false_positive_rate, true_positive_rate
        In [0, 1], shape (P,); the average is taken vertically, so that its area is the mean AUC.
    """

    condition: str
    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]


def reader_curves(scores: ReaderScores) -> tuple[ReaderCurve, ...]:
    """Return the curve of each reader under each condition where cases of both kinds were read."""
    found = []
    for i, condition in enumerate(scores.conditions):
        for j, reader in enumerate(scores.readers):
            cell = scores.values[i, j]
            read = ~np.isnan(cell)
            if len(np.unique(scores.truth[read])) == 2:
                found.append(ReaderCurve(reader, condition, roc_curve(cell, scores.truth)))
    return tuple(found)


def mean_curves(curves: tuple[ReaderCurve, ...], *, points: int = 201) -> tuple[MeanCurve, ...]:
    """Return the vertical average per condition, in order of appearance."""
    grid = np.linspace(0, 1, points)
    found = []
    for condition in dict.fromkeys(one.condition for one in curves):
        of_condition = [one.curve for one in curves if one.condition == condition]
        x, y = mean_roc_curve(of_condition, grid)
        found.append(MeanCurve(condition, x, y))
    return tuple(found)
