"""Several hypotheses: adjusted p-values that keep a family's error, and gatekeeping graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.multitest import multipletests

from study.analysis.estimate import AnalysisError

Adjustment = Literal["bonferroni", "holm", "hochberg", "hommel", "sidak", "holm-sidak", "BH", "BY"]
_STATSMODELS: Mapping[str, str] = {
    "bonferroni": "bonferroni",
    "holm": "holm",
    "hochberg": "simes-hochberg",
    "hommel": "hommel",
    "sidak": "sidak",
    "holm-sidak": "holm-sidak",
    "BH": "fdr_bh",
    "BY": "fdr_by",
}
FAMILYWISE = ("bonferroni", "holm", "hochberg", "hommel", "sidak", "holm-sidak")
"""Adjustments that bound the chance of any false rejection; BH and BY bound the expected share of
false ones instead and do not suit a confirmatory endpoint. Hochberg and Hommel need independence or
positive dependence."""


def adjusted(p_values: ArrayLike, method: Adjustment) -> NDArray[np.float64]:
    """Return adjusted p-values in the order given; NaN stays NaN and does not count.

    Parameters
    ----------
    p_values
        Shape (m,), in [0, 1] or NaN.
    method
        See :data:`Adjustment`.

    Raises
    ------
    AnalysisError
        If a p-value lies outside [0, 1].
    """
    p = np.asarray(p_values, dtype=float)
    known = np.isfinite(p)
    if ((p[known] < 0) | (p[known] > 1)).any():
        raise AnalysisError(f"P-values lie in [0, 1]; got {p[known].tolist()}.")
    out = np.full(p.shape, np.nan)
    if known.any():
        out[known] = multipletests(p[known], method=_STATSMODELS[method])[1]
    return out


def fixed_sequence(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return adjusted p-values of hypotheses tested in a declared order: the running maximum."""
    return np.maximum.accumulate(np.asarray(p_values, dtype=float))


@dataclass(frozen=True, eq=False)
class Gatekeeping:
    """A graph of hypotheses (Bretz, Maurer, Brannath and Posch, Stat Med 2009).

    Parameters
    ----------
    names
        Hypotheses.
    weights
        Their shares of alpha at first, at most 1 in all.
    transitions
        Shape (m, m): where a rejected hypothesis passes its share; rows sum to at most 1, zeros on
        the diagonal.

    Raises
    ------
    AnalysisError
        If the graph is not one.
    """

    names: Sequence[str]
    weights: ArrayLike
    transitions: ArrayLike

    def __post_init__(self) -> None:
        w, g = self._matrices()
        m = len(self.names)
        fits = w.shape == (m,) and g.shape == (m, m)
        if not fits or (w < 0).any() or w.sum() > 1 + 1e-9 or (g < 0).any():
            raise AnalysisError(
                f"A graph of {m} hypotheses needs {m} weights that sum to at most 1 and {m} × {m} "
                "transitions of at least 0."
            )
        if np.diag(g).any() or (g.sum(axis=1) > 1 + 1e-9).any():
            raise AnalysisError(
                "A hypothesis passes its share to others only: zeros on the diagonal, rows that "
                "sum to at most 1."
            )

    def _matrices(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array(self.weights, dtype=float), np.array(self.transitions, dtype=float)

    def adjusted(self, p_values: Mapping[str, float]) -> dict[str, float]:
        """Return adjusted p-values by the shortcut procedure; 1 where the graph never gets there.

        Parameters
        ----------
        p_values
            One for each hypothesis.
        """
        w, g = self._matrices()
        left = list(range(len(self.names)))
        result: dict[str, float] = {}
        highest = 0.0
        while left:
            ratios = [p_values[self.names[j]] / w[j] if w[j] > 0 else np.inf for j in left]
            j = left[int(np.argmin(ratios))]
            highest = max(highest, min(ratios))
            result[self.names[j]] = float(min(1.0, highest))
            left.remove(j)
            w, g = _without(j, left, w, g)
        return {name: result[name] for name in self.names}

    def rejected(self, p_values: Mapping[str, float], alpha: float) -> dict[str, bool]:
        """Return which hypotheses are rejected at level ``alpha``."""
        return {name: p <= alpha for name, p in self.adjusted(p_values).items()}


def _without(
    j: int, left: Sequence[int], w: NDArray[np.float64], g: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights and transitions after hypothesis ``j`` is rejected."""
    weights, graph = w.copy(), np.zeros_like(g)
    for k in left:
        weights[k] = w[k] + w[j] * g[j, k]
        for other in left:
            back = g[k, j] * g[j, k]
            if k != other and back < 1:
                graph[k, other] = (g[k, other] + g[k, j] * g[j, other]) / (1 - back)
    weights[j] = 0.0
    return weights, graph
