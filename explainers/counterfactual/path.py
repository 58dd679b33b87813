"""Latent Shift along a path: the gradient is taken anew after every small step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explainers.base import Cancelled, ExplainerError
from explainers.counterfactual.decoding import Cases, Decoding, Slope, row_norms, scaled
from explainers.counterfactual.film import LatentFilms
from explainers.counterfactual.polyline import Trail, TwoWays, two_ways
from explainers.counterfactual.wanted import WantedEnds
from explainers.differentiation import stop_if

_LEAST_STRIDE = 1 / 32
_LARGEST_STRIDE = 2.0
_LONGEST_STEP = 4.0


@dataclass(frozen=True)
class LatentShiftPath(LatentFilms):
    """Latent Shift with the gradient of the logit recomputed along the way.

    dz/ds = ± g(z)/‖g(z)‖ with g the gradient of the logit at the current point, s the length of
    the way. A step is tried at the length along which the logit is expected to change by
    ``logit_step``, by the slope found on the way so far; one that changes it by more than twice
    that, or in the wrong direction, is taken back and tried at half the length. The walk ends where
    the wanted prediction is crossed, where even a short step does not help, or after ``max_steps``
    trials; the crossing is then narrowed down within the last step.

    Frames are evenly spaced in s. Steps are given as s/‖g(z_0)‖, so that they have the unit of λ
    in one-step Latent Shift: where the gradient does not change, both are the same film.

    The direction of small steps follows the classifier closely. That reaches goals which the
    one-step line misses, and it can end in details that only this classifier sees; compare with
    another one.

    Parameters
    ----------
    classifier, autoencoder, fall, rise, frames_below, frames_above, limit, batch_size, \
frame_batch_size
        As in :class:`explainers.counterfactual.film.LatentFilms`.
    logit_step
        Change of the logit, before calibration, that a step aims at; > 0.
    max_steps
        Passes through the networks at most, ≥ 1.
    """

    name: ClassVar[str] = "latent_shift_path"

    logit_step: float = 0.5
    max_steps: int = 60

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.logit_step > 0 or self.max_steps < 1:
            raise ExplainerError(
                f"logit_step is {self.logit_step} and max_steps {self.max_steps}; expected a "
                "number above 0, and at least 1."
            )

    def _curve(
        self, decoding: Decoding, wanted: WantedEnds, cancelled: Cancelled | None
    ) -> TwoWays:
        goals = np.concatenate([wanted.low, wanted.high])
        walk = _Walk.begin(decoding, goals, self.logit_step)
        for _ in range(self.max_steps):
            stop_if(cancelled)
            if not walk.step():
                break
        return two_ways(decoding, walk.trails(), goals)


@dataclass(eq=False)
class _Walk:
    """2n walkers, n down and n up; the state of a walk that is under way."""

    decoding: Decoding
    signs: NDArray[np.float64]
    wanted: NDArray[np.float64]
    logit_step: float
    points: Tensor
    gradient: Tensor
    logits: NDArray[np.float64]
    strides: NDArray[np.float64]
    walking: NDArray[np.bool_]
    visited: list[list[Tensor]]
    seen: list[list[float]]

    @classmethod
    def begin(cls, decoding: Decoding, wanted: NDArray[np.float64], logit_step: float) -> _Walk:
        """Put two walkers at every z."""
        origin, n_cases = decoding.origin, len(decoding.latents)
        return cls(
            decoding=decoding,
            signs=np.repeat([-1.0, 1.0], n_cases),
            wanted=wanted,
            logit_step=logit_step,
            points=decoding.latents.repeat(2, *[1] * (decoding.latents.ndim - 1)),
            gradient=origin.gradient.repeat(2, *[1] * (decoding.latents.ndim - 1)),
            logits=np.tile(origin.logits, 2),
            strides=np.ones(2 * n_cases),
            walking=np.tile(row_norms(origin.gradient) > 1e-15, 2),
            visited=[[each] for each in decoding.latents] + [[each] for each in decoding.latents],
            seen=[[each] for each in np.tile(origin.probabilities, 2).tolist()],
        )

    def step(self) -> bool:
        """Let everyone who still walks try a step; return whether anybody did."""
        walkers = np.flatnonzero(self.walking)
        if len(walkers) == 0:
            return False
        index = torch.from_numpy(walkers).to(self.points.device)
        cases = walkers % len(self.decoding.norms)
        # The way along which the logit should change by the stride, by the slope here, but no
        # longer than a few of the first steps: where the slope vanishes, the way must not explode.
        norms = row_norms(self.gradient[index])
        first = self.logit_step / self.decoding.norms[cases]
        expected = self.logit_step * self.strides[walkers] / np.maximum(norms, 1e-30)
        way = np.minimum(expected, _LONGEST_STEP * first)
        factors = self.signs[walkers] * way / np.maximum(norms, 1e-30)
        tried = self.points[index] + scaled(self.gradient[index], factors)
        self._judge(walkers, tried, self.decoding.slope(tried, cases))
        return True

    def _judge(self, walkers: Cases, tried: Tensor, found: Slope) -> None:
        """Accept or take back the step of every walker, and adapt its stride."""
        change = self.signs[walkers] * (found.logits - self.logits[walkers])
        accepted = (change > 0) & (change <= 2 * self.logit_step)
        norms = row_norms(found.gradient)
        for row, walker in enumerate(walkers.tolist()):
            if not accepted[row]:
                self.strides[walker] /= 2
                self.walking[walker] = self.strides[walker] >= _LEAST_STRIDE
                continue
            self.points[walker] = tried[row]
            self.gradient[walker] = found.gradient[row]
            self.logits[walker] = found.logits[row]
            self.visited[walker].append(tried[row])
            self.seen[walker].append(float(found.probabilities[row]))
            done = self.signs[walker] * (found.probabilities[row] - self.wanted[walker]) >= 0
            self.walking[walker] = not done and norms[row] > 1e-15
            ratio = self.logit_step / max(change[row], 1e-12)  # > 1: it changed by less than aimed
            stride = self.strides[walker] * np.clip(ratio, 0.5, 2)
            self.strides[walker] = min(stride, _LARGEST_STRIDE)

    def trails(self) -> list[Trail]:
        """Return where everyone went."""
        return [
            Trail(torch.stack(points), np.array(probabilities))
            for points, probabilities in zip(self.visited, self.seen, strict=True)
        ]
