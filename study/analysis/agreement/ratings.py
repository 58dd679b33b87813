"""Ratings of units by raters as a matrix, and the weights that say how far two ratings agree.

A *unit* is what was rated (a case, or a case and its finding), a *rater* who rated it. Missing
ratings stay missing; which statistic leaves out what is said by the statistic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from study.analysis.columns import natural_order
from study.analysis.estimate import AnalysisError

Weights = Literal["unweighted", "linear", "quadratic", "ordinal"]
"""How much partial agreement counts; see :func:`weight_matrix`."""

_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class RatingMatrix:
    """Ratings of units (rows) by raters (columns).

    Parameters
    ----------
    values
        Shape (U, R), NaN where a rating is missing; no row is entirely missing.
    units, raters
        Names of the rows and columns.
    scale
        The categories in ascending order, observed or not; empty for a continuous measurement.

    Raises
    ------
    AnalysisError
        If shapes contradict each other or a rating is not on the scale.
    """

    values: NDArray[np.float64]
    units: tuple[str, ...]
    raters: tuple[str, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.units), len(self.raters)):
            raise AnalysisError(
                f"The ratings have the shape {self.values.shape}; expected one row for each of "
                f"{len(self.units)} units and one column for each of {len(self.raters)} raters."
            )
        if self.scale:
            self._check_on_scale()

    def _check_on_scale(self) -> None:
        if any(b <= a for a, b in zip(self.scale, self.scale[1:], strict=False)):
            raise AnalysisError(
                f"The scale {self.scale} is not ascending; give each category once, lowest first."
            )
        given = self.values[~np.isnan(self.values)]
        near = np.abs(given[:, None] - np.asarray(self.scale)[None, :]).min(axis=1, initial=np.inf)
        if given.size and near.max() > _TOLERANCE:
            wrong = given[int(near.argmax())]
            raise AnalysisError(
                f"A rating is {wrong:g}; expected one of the scale's categories "
                f"{', '.join(f'{category:g}' for category in self.scale)}. Correct the rating or "
                "give the whole scale."
            )

    @property
    def n_units(self) -> int:
        """Units with at least one rating."""
        return len(self.units)

    @property
    def n_raters(self) -> int:
        """Raters."""
        return len(self.raters)

    @property
    def n_missing(self) -> int:
        """Missing ratings."""
        return int(np.isnan(self.values).sum())

    @property
    def codes(self) -> NDArray[np.intp]:
        """Index of each rating's category, shape (U, R); −1 where missing.

        Raises
        ------
        AnalysisError
            If the measurement is continuous.
        """
        if not self.scale:
            raise AnalysisError(
                "The ratings have no categories; give the scale, or use an ICC and Bland–Altman "
                "limits for a continuous measurement."
            )
        scale = np.asarray(self.scale)
        filled = np.where(np.isnan(self.values), scale[0], self.values)
        codes = np.searchsorted(scale - _TOLERANCE, filled, side="right") - 1
        return np.where(np.isnan(self.values), -1, codes)

    @property
    def counts(self) -> NDArray[np.float64]:
        """How many raters put each unit into each category, shape (U, K)."""
        codes = self.codes
        return np.stack([(codes == k).sum(axis=1) for k in range(len(self.scale))], axis=1).astype(
            float
        )

    @property
    def complete(self) -> RatingMatrix:
        """The units that every rater rated."""
        missing: NDArray[np.bool_] = np.isnan(self.values)
        return self.select(~np.asarray(missing.any(axis=1), dtype=bool))

    def select(self, rows: NDArray[np.bool_]) -> RatingMatrix:
        """Return the units of a mask of shape (U,)."""
        units = tuple(unit for unit, keep in zip(self.units, rows, strict=True) if keep)
        return RatingMatrix(self.values[rows], units, self.raters, self.scale)

    def pair(self, first: int, second: int) -> RatingMatrix:
        """Return two raters and the units that both rated."""
        two = RatingMatrix(
            self.values[:, [first, second]],
            self.units,
            (self.raters[first], self.raters[second]),
            self.scale,
        )
        return two.complete


def matrix_of_ratings(values: ArrayLike, scale: Sequence[float] = ()) -> RatingMatrix:
    """Make a matrix of an array of shape (U, R); rows without any rating are dropped.

    Raises
    ------
    AnalysisError
        If the array is not two-dimensional or a rating is infinite.
    """
    array = np.asarray(values, dtype=float)
    if array.ndim != 2:
        raise AnalysisError(
            f"The ratings have {array.ndim} dimensions; expected two, units and raters."
        )
    if np.isinf(array).any():
        raise AnalysisError("A rating is infinite; expected numbers or missing values.")
    kept = ~np.isnan(array).all(axis=1)
    names = [str(i + 1) for i in range(len(array))]
    return RatingMatrix(
        array[kept],
        tuple(name for name, keep in zip(names, kept, strict=True) if keep),
        tuple(str(j + 1) for j in range(array.shape[1])),
        tuple(float(category) for category in scale),
    )


def matrix_of_table(
    frame: pd.DataFrame,
    *,
    value: str,
    units: Sequence[str],
    rater: str,
    scale: Sequence[float] = (),
) -> RatingMatrix:
    """Make a matrix of a long table, one row per rating.

    Parameters
    ----------
    frame
        Long table.
    value, units, rater
        Its columns: the rating, what identifies a unit, who rated.
    scale
        The whole scale, lowest category first; empty for a continuous measurement.

    Raises
    ------
    AnalysisError
        If a column is missing, no rating is left, or a rater rated a unit twice.
    """
    for name in (value, *units, rater):
        if name not in frame.columns:
            raise AnalysisError(
                f"The table has no column {name!r}; it has {', '.join(map(str, frame.columns))}."
            )
    rated = frame[frame[value].notna()]
    if rated.empty:
        raise AnalysisError(f"Column {value!r} holds no rating; there is nothing to compare.")
    key = [*units, rater]
    repeated = rated.duplicated(key)
    if repeated.any():
        first = rated[repeated].iloc[0]
        raise AnalysisError(
            f"Rater {first[rater]} rated unit {' / '.join(str(first[u]) for u in units)} more than "
            "once; expected one rating each. Choose a session, or analyse the repeats as such."
        )
    wide = rated.pivot(index=list(units), columns=rater, values=value)
    order = natural_order([str(name) for name in wide.columns])
    wide = wide.set_axis([str(name) for name in wide.columns], axis=1)[list(order)]
    rows = [name if isinstance(name, tuple) else (name,) for name in wide.index]
    return RatingMatrix(
        wide.to_numpy(dtype=float),
        tuple(" / ".join(map(str, name)) for name in rows),
        order,
        tuple(float(category) for category in scale),
    )


def consecutive_scale(values: ArrayLike) -> tuple[float, ...]:
    """Return the whole numbers from the lowest to the highest value given.

    A stand-in where the scale is not declared; a declared scale is better, because an empty
    category at an end changes every weighted coefficient.

    Raises
    ------
    AnalysisError
        If a value is not a whole number, or there are none or far too many.
    """
    array = np.asarray(values, dtype=float)
    array = array[~np.isnan(array)]
    if array.size == 0:
        raise AnalysisError("There is no rating from which to tell the scale; declare the scale.")
    if (array != np.round(array)).any():
        wrong = array[array != np.round(array)][0]
        raise AnalysisError(
            f"A rating is {wrong:g}; expected whole numbers. Declare the scale, or treat the "
            "ratings as a continuous measurement."
        )
    low, high = int(array.min()), int(array.max())
    if high - low > 100:
        raise AnalysisError(
            f"The ratings run from {low} to {high}; expected a scale of at most 101 categories. "
            "Treat them as a continuous measurement."
        )
    return tuple(float(category) for category in range(low, high + 1))


def weight_matrix(kind: Weights, scale: Sequence[float]) -> NDArray[np.float64]:
    """Return the agreement weights of all pairs of categories.

    Parameters
    ----------
    kind
        ``unweighted``: 1 on the diagonal, else 0. ``linear``: 1 − |x − y| / range.
        ``quadratic``: 1 − (x − y)² / range². ``ordinal``: Gwet's, 1 − C(d + 1, 2) / C(K, 2) with
        d the number of steps between the categories.
    scale
        The K categories in ascending order; the whole scale, observed or not.

    Returns
    -------
    NDArray
        Shape (K, K), in [0, 1], 1 on the diagonal.

    Notes
    -----
    Cohen 1968, Psychol Bull 70:213; Gwet 2014, Handbook of Inter-Rater Reliability, 4th ed., ch. 3.
    """
    categories = np.asarray(scale, dtype=float)
    n = len(categories)
    if n < 2:
        raise AnalysisError(
            f"The scale has {n} categories; expected at least two. Give the whole scale."
        )
    if kind == "unweighted":
        return np.eye(n)
    distance = np.abs(categories[:, None] - categories[None, :])
    if kind == "linear":
        return 1 - distance / distance.max()
    if kind == "quadratic":
        return 1 - (distance / distance.max()) ** 2
    if kind == "ordinal":
        steps = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
        return 1 - (steps * (steps + 1) / 2) / (n * (n - 1) / 2)
    raise AnalysisError(
        f"There are no weights {kind!r}; expected unweighted, linear, quadratic or ordinal."
    )
