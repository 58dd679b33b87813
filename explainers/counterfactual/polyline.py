"""A way through the latent space given by points: its length, points on it, where to stop on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explainers.counterfactual.crossing import Grid, narrow
from explainers.counterfactual.decoding import Cases, Decoding, row_norms, scaled

_REFINEMENT = Grid(n_rounds=1)


@dataclass(frozen=True, eq=False)
class Trail:
    """Where one search went: its points in order, the first of them z.

    Parameters
    ----------
    points
        (K, *latent_shape), K ≥ 1.
    probabilities
        (K,), f at the points.
    """

    points: Tensor
    probabilities: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Polylines:
    """One polyline per search, padded to equal numbers of points.

    Parameters
    ----------
    points
        (S, K, *latent_shape); the last point of a shorter one is repeated.
    lengths
        (S, K), way from z to each point along the polyline, not decreasing.
    """

    points: Tensor
    lengths: NDArray[np.float64]

    @classmethod
    def of(cls, trails: Sequence[Trail]) -> Polylines:
        """Bring trails to equal length."""
        n_points = max(len(each.points) for each in trails)
        padded = [
            torch.cat([each.points, each.points[-1:].expand(n_points - len(each.points), *shape)])
            for each in trails
            for shape in [each.points.shape[1:]]
        ]
        ways = [
            np.concatenate([[0.0], np.cumsum(row_norms(points[1:] - points[:-1]))])
            for points in padded
        ]
        return cls(torch.stack(padded), np.stack(ways))

    def at(self, searches: Cases, ways: NDArray[np.float64]) -> Tensor:
        """Latents (M, *latent_shape) at given ways from z, in units of the latent space."""
        lengths = self.lengths[searches]  # (M, K)
        last = lengths.shape[1] - 1
        right = np.clip((lengths < ways[:, None]).sum(axis=1), min(1, last), last)
        left = np.maximum(right - 1, 0)
        rows = np.arange(len(searches))
        gap = lengths[rows, right] - lengths[rows, left]
        share = np.divide(ways - lengths[rows, left], gap, out=np.zeros_like(gap), where=gap > 0)
        start, end = self._points(searches, left), self._points(searches, right)
        return start + scaled(end - start, np.clip(share, 0, 1))

    def _points(self, searches: Cases, which: NDArray[np.intp]) -> Tensor:
        device = self.points.device
        index = [
            torch.from_numpy(np.asarray(each, np.int64)).to(device) for each in (searches, which)
        ]
        return self.points[index[0], index[1]]


@dataclass(frozen=True, eq=False)
class TwoWays:
    """Two polylines per case, one down and one up; an ``explainers.counterfactual.film.Curve``.

    Parameters
    ----------
    ways
        2n polylines: n down, then n up.
    norms
        (n,), ‖g‖: the way that counts as a step of 1.
    low, high
        (n,), first and last step of every film.
    """

    ways: Polylines
    norms: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def at(self, cases: Cases, steps: NDArray[np.float64]) -> Tensor:
        """Latents (M, *latent_shape) of M points given by case and step."""
        searches = np.where(steps > 0, cases + len(self.norms), cases)
        return self.ways.at(searches, np.abs(steps) * self.norms[cases])


def two_ways(decoding: Decoding, trails: Sequence[Trail], wanted: NDArray[np.float64]) -> TwoWays:
    """Cut 2n trails where they first reach what is wanted.

    A trail that does not reach it ends at its shortest way with 95 % of the largest change it
    obtained; one that obtained none keeps a nearly still piece, so that steps increase.

    Parameters
    ----------
    decoding
        The n cases.
    trails
        2n: n down, then n up.
    wanted
        (2n,), wanted probabilities; below f(x'_0) for those that go down.
    """
    n_cases = len(trails) // 2
    ways = Polylines.of(trails)
    signs = np.repeat([-1.0, 1.0], n_cases)
    norms = decoding.norms
    still = 0.125 / norms  # way along which the logit is expected to change by 1/8
    ends = np.array(
        [
            _end(trail, ways.lengths[search], wanted[search], signs[search])
            for search, trail in enumerate(trails)
        ]
    )  # (2n, 2): ways between which each film ends; equal where there is nothing to narrow
    open_ = np.flatnonzero(ends[:, 1] > ends[:, 0])
    stops = ends[:, 1].copy()
    if len(open_):
        stops[open_] = _narrowed(decoding, ways, open_, ends[open_], signs, wanted)
    stops = np.where(stops > 0, stops, np.tile(still, 2)) / np.tile(norms, 2)
    return TwoWays(ways, norms, -stops[:n_cases], stops[n_cases:])


def _end(
    trail: Trail, lengths: NDArray[np.float64], wanted: float, sign: float
) -> tuple[float, float]:
    """Return the ways between which a trail first reaches what is wanted, or twice its best."""
    change = sign * (trail.probabilities - trail.probabilities[0])
    hit = change >= sign * (wanted - trail.probabilities[0])
    if hit[1:].any():
        first = 1 + int(hit[1:].argmax())
        return float(lengths[first - 1]), float(lengths[first])
    best = int((change >= 0.95 * change.max()).argmax()) if change.max() > 0 else 0
    return float(lengths[best]), float(lengths[best])


def _narrowed(
    decoding: Decoding,
    ways: Polylines,
    searches: Cases,
    ends: NDArray[np.float64],
    signs: NDArray[np.float64],
    wanted: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Find the crossing within the last piece of several polylines."""
    cases = searches % len(decoding.norms)
    start = decoding.origin.probabilities[cases]

    def change(which: Cases, where: NDArray[np.float64]) -> NDArray[np.float64]:
        points = ways.at(searches[which], where)
        moved = decoding.predictions(points, cases[which]) - start[which]
        return np.asarray(signs[searches[which]] * moved)

    rows = np.arange(len(searches))
    near, far = ends[:, 0], ends[:, 1]
    return narrow(
        change,
        (near, change(rows, near)),
        (far, change(rows, far)),
        signs[searches] * (wanted[searches] - start),
        _REFINEMENT,
    )
