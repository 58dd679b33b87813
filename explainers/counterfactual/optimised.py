"""Latent Shift, optimised: the smallest and most compact change that has the wanted prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from explainers.base import Cancelled, ExplainerError
from explainers.counterfactual.decoding import (
    Cases,
    Decoding,
    chosen_logits,
    gradient_of,
    scaled,
    to_numpy,
)
from explainers.counterfactual.film import LatentFilms
from explainers.counterfactual.polyline import Trail, TwoWays, two_ways
from explainers.counterfactual.wanted import WantedEnds
from explainers.differentiation import stop_if

_BETAS = (0.9, 0.99)
_SPEED_UP = 1 / 40  # growth of the steps, per step, until the wanted prediction was had once
_LAST_RATE = 0.1  # of the first, at the end of the patience
_HARDER, _SOFTER = 1.03, 0.93  # factors on the weight of the penalty while wanted, while not
_GREY = 255.0
_ROUND = 1e-3  # below this brightness |d| is rounded off, so that noise of 1e-7 has no direction
_LINE_POINTS = 9
_PLASTIC = (0.7548776662466927, 0.5698402909980532)
"""1/p and 1/p², p the plastic number: multiples of them fill a square evenly (R2 sequence)."""


@dataclass(frozen=True)
class LatentShiftOptimised(LatentFilms):
    """Latent Shift with z* found by Adam for each end, with a penalty on the change.

    With δ = z − z_0 and d = D(z_0 + δ) − D(z_0), each end minimises

        ∓ logit(x + d) + w · (mean|d| + smoothness · mean|∇d|)

    and keeps, of all the points it visits, the one with the wanted prediction and the smallest
    penalty. Five choices make of it what it is:

    - The logit is that of the **residual film** x + d, which is what is shown; a point counts as
      wanted if both x + d and D(z) have the wanted prediction.
    - w rises by 3 % per step while the prediction is as wanted and falls by 7 % while it is not:
      the search settles at the edge of what is needed.
    - After each step every position of the latent grid is drawn towards z_0 by a fixed amount
      (group lasso, proximal): the change stays in few places, where a penalty on pixels alone
      leaves a thin veil over the whole film.
    - The gradient is that of the film moved by up to ``jitter`` of its sides and with ``noise``
      added (fixed sequences, the same for all cases), so that details at the level of pixels, to
      which only this classifier reacts, do not count.
    - The frames lie on the **straight line** from z_0 to z*, evenly spaced, and end where the line
      first crosses the wanted prediction. A slider then moves every pixel steadily, which the
      winding way of the optimiser does not.

    Steps are the way divided by ‖g(z_0)‖, so that they have the unit of λ in one-step Latent Shift.

    Parameters
    ----------
    classifier, autoencoder, fall, rise, frames_below, frames_above, limit, batch_size, \
frame_batch_size
        As in :class:`explainers.counterfactual.film.LatentFilms`.
    smoothness
        Weight of the change's slopes beside the change itself, ≥ 0.
    compactness
        Strength of the pull towards z_0 at every position of the latent grid, relative to the
        length of a step, in [0, 1).
    jitter
        Largest movement of the film, as a share of its sides, in [0, 0.25].
    noise
        Standard deviation of the noise, in brightness, in [0, 0.5].
    rate
        Length of Adam's steps, in standard deviations of the latent; > 0.
    max_steps
        Steps at most, ≥ 1.
    patience
        Steps that a search goes on after it first had the wanted prediction, ≥ 0.
    """

    name: ClassVar[str] = "latent_shift_optimised"

    smoothness: float = 2.0
    compactness: float = 0.3
    jitter: float = 0.05
    noise: float = 0.05
    rate: float = 0.05
    max_steps: int = 160
    patience: int = 60

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value, highest in (
            ("jitter", self.jitter, 0.25),
            ("noise", self.noise, 0.5),
            ("compactness", self.compactness, 0.99),
        ):
            if not 0 <= value <= highest:
                raise ExplainerError(f"{name} is {value}; expected 0 to {highest}.")
        if not self.smoothness >= 0 or not self.rate > 0:
            raise ExplainerError(
                f"smoothness is {self.smoothness} and rate {self.rate}; expected at least 0, and "
                "a number above 0."
            )
        if self.max_steps < 1 or self.patience < 0:
            raise ExplainerError(
                f"max_steps is {self.max_steps} and patience {self.patience}; expected at least "
                "1, and at least 0."
            )

    def _curve(
        self, decoding: Decoding, wanted: WantedEnds, cancelled: Cancelled | None
    ) -> TwoWays:
        goals = np.concatenate([wanted.low, wanted.high])
        n_cases = len(decoding.latents)
        search = _Search.begin(self, decoding, goals)
        for k in range(1, self.max_steps + 1):
            stop_if(cancelled)
            if not search.step(k):
                break
        trails = [
            search.line(case, n_cases * up + case) for up in (0, 1) for case in range(n_cases)
        ]
        return two_ways(decoding, trails, goals)


@dataclass(eq=False)
class _Search:
    """2n optimisations, n down and n up: where they are, the state of Adam, and their best."""

    method: LatentShiftOptimised
    decoding: Decoding
    wanted: NDArray[np.float64]
    signs: NDArray[np.float64]
    units: Tensor  # (2n, 1, …), standard deviation of the latent
    shifts: Tensor  # (2n, *latent_shape), δ
    first: Tensor
    second: Tensor
    weights: NDArray[np.float64]  # w
    weights_at_start: NDArray[np.float64]
    best: Tensor
    smallest: NDArray[np.float64]  # penalty of the best, infinite while nothing is as wanted
    furthest: NDArray[np.float64]  # signed probability of the best while nothing is as wanted
    ends: NDArray[np.float64]  # last step of each

    @classmethod
    def begin(
        cls, method: LatentShiftOptimised, decoding: Decoding, wanted: NDArray[np.float64]
    ) -> _Search:
        """Start two optimisations at every z."""
        n_cases = len(decoding.latents)
        shifts = torch.zeros_like(decoding.latents).repeat(2, *[1] * (decoding.latents.ndim - 1))
        units = _units(decoding).repeat(2).reshape(-1, *[1] * (decoding.latents.ndim - 1))
        signs = np.repeat([-1.0, 1.0], n_cases)
        weights = np.tile(1 / _penalty_of_one_logit(method, decoding), 2)
        return cls(
            method,
            decoding,
            wanted,
            signs,
            units,
            shifts,
            torch.zeros_like(shifts),
            torch.zeros_like(shifts),
            weights,
            weights.copy(),
            shifts.clone(),
            np.full(2 * n_cases, np.inf),
            signs * np.tile(decoding.origin.probabilities, 2),
            np.full(2 * n_cases, float(method.max_steps)),
        )

    def step(self, k: int) -> bool:
        """Do step k of everyone who has not finished; return whether anybody has not."""
        running = np.flatnonzero(self.ends >= k)
        if len(running) == 0:
            return False
        probabilities, penalties, gradient = self._look(running, k)
        self._remember(running, probabilities, penalties, k)
        index = torch.from_numpy(running).to(self.shifts.device)
        early, late = _BETAS
        self.first[index] = early * self.first[index] + (1 - early) * gradient
        self.second[index] = late * self.second[index] + (1 - late) * gradient.square()
        rate = scaled(self.units[index], self.method.rate * self._pace(running, k))
        spread = (self.second[index] / (1 - late**k)).sqrt() + 1e-12
        moved_to = self.shifts[index] - rate * (self.first[index] / (1 - early**k)) / spread
        self.shifts[index] = self._drawn_back(moved_to, rate, running)
        return True

    def _pace(self, running: Cases, k: int) -> NDArray[np.float64]:
        """Return the length of step k, (M,), relative to the rate."""
        left = (self.ends[running] - k) / max(self.method.patience, 1)
        settling = _LAST_RATE + (1 - _LAST_RATE) * np.clip(left, 0, 1)
        return np.where(np.isfinite(self.smallest[running]), settling, 1 + k * _SPEED_UP)

    def _drawn_back(self, shifts: Tensor, rate: Tensor, running: Cases) -> Tensor:
        """Draw every position of the latent grid towards z_0 (proximal step of the group lasso)."""
        if shifts.ndim < 3 or self.method.compactness == 0:
            return shifts
        lengths = shifts.norm(dim=1, keepdim=True).clamp_min(1e-12)
        relative = np.minimum(self.weights[running] / self.weights_at_start[running], 4.0)
        pull = self.method.compactness * float(np.sqrt(shifts.shape[1])) * rate
        return shifts * (1 - scaled(pull, relative) / lengths).clamp_min(0)

    def _remember(
        self,
        running: Cases,
        probabilities: NDArray[np.float64],
        penalties: NDArray[np.float64],
        k: int,
    ) -> None:
        """Keep what is better than before, and set the weight of the next step.

        ``probabilities`` (2, M) are those of the residual film and of D(z).
        """
        signs = self.signs[running]
        least = (signs * probabilities).min(axis=0)
        wanted = least >= signs * self.wanted[running]
        known = np.isfinite(self.smallest[running])
        better = np.where(
            wanted, penalties < self.smallest[running], ~known & (least > self.furthest[running])
        )
        chosen = running[better]
        index = torch.from_numpy(chosen).to(self.shifts.device)
        self.best[index] = self.shifts[index]
        self.furthest[chosen] = least[better]
        self.smallest[running[wanted & better]] = penalties[wanted & better]
        newly = running[wanted & ~known]
        self.ends[newly] = np.minimum(self.ends[newly], k + self.method.patience)
        self.weights[running] *= np.where(wanted, _HARDER, _SOFTER)

    def _look(
        self, searches: Cases, k: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], Tensor]:
        """Return f of residual film and of D(z), the penalty, and the gradient of the objective."""
        decoding, method = self.decoding, self.method
        index = torch.from_numpy(searches).to(self.shifts.device)
        cases = index % len(decoding.latents)
        targets, base = decoding.targets[cases], decoding.origin.images[cases]
        points = self.shifts[index].clone().requires_grad_()
        with torch.enable_grad():
            decoded = decoding.autoencoder.decode(decoding.latents[cases] + points)
            change = decoded - base
            film = (decoding.images[cases] + change).clamp(0, 1)
            disturbed = moved(film, shift_at(k, method.jitter, decoding.classifier.input_size))
            if method.noise:
                disturbed = disturbed + method.noise * noise_at(k, film)
            logits, _ = chosen_logits(decoding.classifier, disturbed, targets)
            penalties = penalty(change, method.smoothness)
            weights = torch.from_numpy(self.weights[searches]).to(penalties)
            signs = torch.from_numpy(self.signs[searches]).to(logits)
            gradient = gradient_of((weights * penalties - signs * logits).sum(), points)
        with torch.no_grad():
            found = [
                to_numpy(chosen_logits(decoding.classifier, images.detach(), targets)[1])
                for images in (film, decoded)
            ]
        return np.stack(found), to_numpy(penalties), gradient

    def line(self, case: int, search: int) -> Trail:
        """Return points on the straight line from z to the best point of a search."""
        start = self.decoding.latents[case]
        shares = torch.linspace(0, 1, _LINE_POINTS, dtype=start.dtype, device=start.device)
        points = start + shares.reshape(-1, *[1] * start.ndim) * self.best[search]
        probabilities = self.decoding.predictions(points, np.full(_LINE_POINTS, case))
        probabilities[0] = self.decoding.origin.probabilities[case]
        return Trail(points, probabilities)


def penalty(change: Tensor, smoothness: float) -> Tensor:
    """Mean |d| + smoothness · (mean |∂d/∂row| + mean |∂d/∂column|), in grey levels of 255; (M,).

    Parameters
    ----------
    change
        (M, 1, H, W), d, in brightness. Absolute values are rounded off below 1e-3.
    smoothness
        Weight of the slopes.
    """
    total = _rounded(change)
    for axis in (2, 3):
        if smoothness and change.shape[axis] > 1:
            total = total + smoothness * _rounded(change.diff(dim=axis))
    return _GREY * total


def _rounded(values: Tensor) -> Tensor:
    smooth = (values.square() + _ROUND**2).sqrt() - _ROUND
    return smooth.flatten(1).mean(dim=1)


def _units(decoding: Decoding) -> Tensor:
    """Standard deviation of every latent, (n,).

    Where a latent is constant: the change of its numbers that is expected to move the logit by 1.
    """
    spread = decoding.latents.flatten(1).std(dim=1, unbiased=False)
    one_logit = torch.from_numpy(1 / decoding.norms).to(spread) / decoding.latents[0].numel() ** 0.5
    return torch.where(spread > 1e-3 * one_logit, spread, one_logit)


def _penalty_of_one_logit(method: LatentShiftOptimised, decoding: Decoding) -> NDArray[np.float64]:
    """Penalty of the one-step change for which the logit is expected to change by 1; (n,)."""
    step = decoding.latents + scaled(decoding.origin.gradient, 1 / decoding.norms**2)
    with torch.no_grad():
        change = decoding.autoencoder.decode(step) - decoding.origin.images
        return np.maximum(to_numpy(penalty(change, method.smoothness)), 1e-6)


def noise_at(k: int, films: Tensor) -> Tensor:
    """Return the unit noise of step k, (1, 1, H, W), the same for every film."""
    generator = torch.Generator().manual_seed(k)
    return torch.randn(1, 1, *films.shape[2:], generator=generator).to(films)


def shift_at(k: int, jitter: float, size: tuple[int, int]) -> tuple[int, int]:
    """Return how far step k moves the film, in pixels, down and to the right.

    Parameters
    ----------
    k
        Number of the step.
    jitter
        Largest movement as a share of the sides.
    size
        Rows and columns.
    """
    rows, columns = (
        round(jitter * side * (2 * ((k * ratio) % 1) - 1))
        for side, ratio in zip(size, _PLASTIC, strict=True)
    )
    return rows, columns


def moved(images: Tensor, shift: tuple[int, int]) -> Tensor:
    """Move images (N, 1, H, W) by whole pixels; what comes in repeats the border."""
    down, right = shift
    if (down, right) == (0, 0):
        return images
    height, width = images.shape[2:]
    margin = (abs(right), abs(right), abs(down), abs(down))
    padded = functional.pad(images, margin, mode="replicate")
    top, left = abs(down) - down, abs(right) - right
    return padded[:, :, top : top + height, left : left + width]
