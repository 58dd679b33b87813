"""Which predictions a film is to end at, and when an end counts as reached. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explainers.base import ExplainerError
from explainers.record import Goal

REACHED_WITHIN = 1e-3
"""A wanted probability counts as reached when the frame misses it by no more than this."""


@dataclass(frozen=True)
class Range:
    """How far the prediction is to move where a goal names no target.

    Parameters
    ----------
    fall, rise
        Wanted changes of the probability from f(x'_0), in (0, 1).
    limit
        Share of the way from f(x'_0) to 0 or 1 beyond which no probability is searched for, in
        (0, 1). It does not hold for the target of a goal, which is searched for as it stands.

    Raises
    ------
    ExplainerError
        If a number is out of range.
    """

    fall: float
    rise: float
    limit: float

    def __post_init__(self) -> None:
        for label, value in (("fall", self.fall), ("rise", self.rise), ("limit", self.limit)):
            if not 0 < value < 1:
                raise ExplainerError(f"{label} is {value}; expected a number between 0 and 1.")


@dataclass(frozen=True, eq=False)
class WantedEnds:
    """The predictions wanted at both ends of n films.

    Parameters
    ----------
    low, high
        (n,), probabilities that are searched for; low < f(x'_0) < high wherever f(x'_0) lies
        inside (0, 1).
    asked_low, asked_high
        (n,), probabilities that were asked for; they differ from the others where those lie
        beyond the limit, or where x'_0 itself has what was asked for.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    asked_low: NDArray[np.float64]
    asked_high: NDArray[np.float64]

    def reached_low(self, lowest: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say of which films the lowest frame obtains what was asked for; (n,) each."""
        return lowest <= self.asked_low + REACHED_WITHIN

    def reached_high(self, highest: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say of which films the highest frame obtains what was asked for; (n,) each."""
        return highest >= self.asked_high - REACHED_WITHIN


def wanted_ends(start: NDArray[np.float64], goals: Sequence[Goal], range_: Range) -> WantedEnds:
    """Return the predictions wanted at both ends.

    An end is ``fall`` below or ``rise`` above f(x'_0), or, at the end that a goal with a target
    points to, the target. Where x'_0 already has the target, the film still runs as far as without
    one, so that it shows something; the target is then reached from the start.

    Parameters
    ----------
    start
        (n,), f(x'_0).
    goals
        n goals.
    range_
        What holds where a goal names no target.

    Raises
    ------
    ExplainerError
        If a target is no probability between 0 and 1.
    """
    check_targets(goals)
    asked_low, asked_high = start - range_.fall, start + range_.rise
    low = np.maximum(asked_low, (1 - range_.limit) * start)
    high = np.minimum(asked_high, start + range_.limit * (1 - start))
    for case, goal in enumerate(goals):
        if goal.target is None:
            continue
        if goal.direction == "down":
            asked_low[case] = goal.target
            if goal.target < start[case]:
                low[case] = goal.target
        else:
            asked_high[case] = goal.target
            if goal.target > start[case]:
                high[case] = goal.target
    return WantedEnds(low, high, asked_low, asked_high)


def check_targets(goals: Sequence[Goal]) -> None:
    """Refuse targets that are no probability.

    Raises
    ------
    ExplainerError
        If a target is not between 0 and 1.
    """
    for goal in goals:
        if goal.target is not None and not 0 < goal.target < 1:
            raise ExplainerError(
                f"The target of {goal.finding!r} is {goal.target}; expected a probability between "
                "0 and 1, such as 0.45 for a prediction just below the operating point."
            )
