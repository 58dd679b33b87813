"""How far to walk until a curve first reaches a value: many searches at once, in batches.

NumPy only; the curve is a function that evaluates many points of many searches in one call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Evaluate: TypeAlias = Callable[[NDArray[np.intp], NDArray[np.float64]], NDArray[np.float64]]
"""``evaluate(searches (M,), distances (M,)) -> values (M,)``."""

Ends: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Distances of S searches and their changes towards the target, (S,) each."""


@dataclass(frozen=True)
class Grid:
    """Where a search looks.

    Parameters
    ----------
    first
        First distance looked at.
    growth
        Ratio of successive distances while nothing has been found, > 1.
    n_stages, n_points
        Batches of that search, and distances per batch; the last distance, after which the search
        gives up, is ``first * growth ** (n_stages * n_points - 1)``.
    n_rounds, n_inner
        Rounds that narrow the interval found, and points per round; each divides it by
        ``n_inner + 1``. A linear interpolation inside the last interval follows.
    """

    first: float = 0.125
    growth: float = 2**0.5
    n_stages: int = 3
    n_points: int = 6
    n_rounds: int = 2
    n_inner: int = 4

    def distances(self) -> NDArray[np.float64]:
        """Return all distances of the outward search, (n_stages * n_points,), increasing."""
        powers = np.arange(self.n_stages * self.n_points, dtype=np.float64)
        return np.asarray(self.first * self.growth**powers, np.float64)


def find_crossings(
    evaluate: Evaluate,
    starts: NDArray[np.float64],
    targets: NDArray[np.float64],
    grid: Grid,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Find the first distance at which each of S curves reaches its target.

    From 0 outward a geometric grid is evaluated, one batch for all unfinished searches per stage.
    The first interval whose far end has reached the target is narrowed by further batches. A
    curve may turn back: what counts is the first crossing that the grid sees.

    Parameters
    ----------
    evaluate
        The curves.
    starts
        (S,), values at distance 0.
    targets
        (S,), wanted values; below the start they are approached from above, else from below.

    Returns
    -------
    distances : ndarray
        (S,), > 0. Where the target was never reached: the shortest distance that obtains 95 % of
        the largest change towards it, or the first distance if there is no such change.
    reached : ndarray
        (S,), bool.
    """
    outward = grid.distances()
    signs = np.where(targets >= starts, 1.0, -1.0)
    wanted = signs * (targets - starts)  # (S,), change towards the target, >= 0
    seen = np.full((len(starts), len(outward)), -np.inf)  # change at each distance looked at
    cell = np.full(len(starts), -1)  # index of the first distance that has reached it
    for stage in range(grid.n_stages):
        columns = np.arange(stage * grid.n_points, (stage + 1) * grid.n_points)
        pending = np.flatnonzero(cell < 0)
        if len(pending) == 0:
            break
        values = _evaluate_grid(evaluate, pending, np.tile(outward[columns], (len(pending), 1)))
        seen[np.ix_(pending, columns)] = signs[pending, None] * (values - starts[pending, None])
        hit = seen[np.ix_(pending, columns)] >= wanted[pending, None]
        found = hit.any(axis=1)
        cell[pending[found]] = columns[0] + hit[found].argmax(axis=1)
    reached = cell >= 0
    distances = _best_effort(seen, outward)
    searches = np.flatnonzero(reached)
    if len(searches):
        at = cell[searches]
        near = np.where(at > 0, outward[at - 1], 0.0)
        near_change = np.where(at > 0, seen[searches, np.maximum(at - 1, 0)], 0.0)
        distances[searches] = narrow(
            lambda which, where: (
                signs[searches[which]]
                * (evaluate(searches[which], where) - starts[searches[which]])
            ),
            (near, near_change),
            (outward[at], seen[searches, at]),
            wanted[searches],
            grid,
        )
    return distances, reached


def narrow(
    change: Evaluate, near: Ends, far: Ends, wanted: NDArray[np.float64], grid: Grid
) -> NDArray[np.float64]:
    """Narrow intervals whose far ends have reached ``wanted``, then interpolate linearly.

    Parameters
    ----------
    change
        Changes towards the target.
    near, far
        Ends of the intervals.
    wanted
        (S,), change wanted.
    grid
        Its ``n_rounds`` and ``n_inner`` are used.

    Returns
    -------
    ndarray
        (S,), distances.
    """
    (a, change_a), (b, change_b) = near, far
    share = np.arange(1, grid.n_inner + 1) / (grid.n_inner + 1)
    rows = np.arange(len(wanted))
    for _ in range(grid.n_rounds):
        inner = a[:, None] + (b - a)[:, None] * share  # (S, n_inner)
        values = _evaluate_grid(change, rows, inner)
        points = np.column_stack([a, inner, b])
        changes = np.column_stack([change_a, values, change_b])
        first = (changes[:, 1:] >= wanted[:, None]).argmax(axis=1) + 1
        a, change_a = points[rows, first - 1], changes[rows, first - 1]
        b, change_b = points[rows, first], changes[rows, first]
    rise = change_b - change_a
    inside = np.divide(wanted - change_a, rise, out=np.ones_like(rise), where=rise > 0)
    return a + np.clip(inside, 0, 1) * (b - a)


def _evaluate_grid(
    evaluate: Evaluate, searches: NDArray[np.intp], distances: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Evaluate (S, K) distances of S searches in one call."""
    repeated = np.repeat(searches, distances.shape[1])
    return evaluate(repeated, distances.ravel()).reshape(distances.shape)


def _best_effort(seen: NDArray[np.float64], distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shortest distance with 95 % of the largest change, else the first distance."""
    best = seen.max(axis=1)
    enough = (seen >= 0.95 * best[:, None]) & (best > 0)[:, None]
    return distances[np.where(enough.any(axis=1), enough.argmax(axis=1), 0)]
