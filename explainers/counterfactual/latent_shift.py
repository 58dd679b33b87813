"""Latent Shift: the image redrawn with more and with less of what the classifier sees in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explainers.attribution.batches import check_batch_size
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.counterfactual.crossing import Grid, find_crossings
from explainers.differentiation import (
    checked_targets,
    device_of,
    left_as_found,
    predict,
    stop_if,
    to_input_range,
)
from explainers.generators.base import Autoencoder
from explainers.record import Counterfactual, Goal

REACHED_WITHIN = 1e-3
"""A wanted probability counts as reached when the frame misses it by no more than this."""

_GRID = Grid()


@dataclass(frozen=True)
class LatentShift:
    """x'_λ = D(z + λ ∂f(D(z))/∂z), z = E(x) (Cohen et al., MIDL 2021, arXiv:2102.09475, Eq. 1–2).

    The gradient is taken once, at λ = 0, of the **logit**: it points the same way as that of the
    probability, which vanishes where the classifier is sure. λ is therefore in units of the
    gradient of the logit; near 0 the logit changes by λ‖g‖².

    The range of λ runs from where f(x'_λ) first has fallen by ``fall`` to where it first has risen
    by ``rise``, both absolute and from f(x'_0), walking outward from λ = 0. (The paper does not say
    whether absolute or relative, nor from which of f(x) and f(x'_0); its §4.2, its App. C and the
    released code give different thresholds. The defaults are those of §4.2.) A probability cannot
    leave [0, 1]: a wanted one that lies beyond ``limit`` of the way from f(x'_0) to 0 or 1 is
    replaced by the one at that point, and the end counts as not reached. So it does when the
    search, which ends where the logit would have changed by about 45, does not find it; the film
    then ends at the shortest λ with 95 % of the largest change found.

    Parameters
    ----------
    classifier
        f.
    autoencoder
        E and D, for images of the classifier's size.
    fall, rise
        Wanted changes of the probability, in (0, 1).
    frames_below, frames_above
        Frames on either side of x'_0, evenly spaced in λ on each side. They are the same for every
        case, so that the length of a film tells nothing.
    limit
        Share of the way to 0 or 1 beyond which no probability is asked for.
    batch_size, frame_batch_size
        Images, and decoded frames, per pass; no influence on the result.
    """

    name: ClassVar[str] = "latent_shift"

    classifier: Classifier = field(repr=False)
    autoencoder: Autoencoder = field(repr=False)
    fall: float = 0.30
    rise: float = 0.05
    frames_below: int = 15
    frames_above: int = 5
    limit: float = 0.9
    batch_size: int = field(default=8, repr=False)
    frame_batch_size: int = field(default=64, repr=False)

    def __post_init__(self) -> None:
        for label, value in (("fall", self.fall), ("rise", self.rise), ("limit", self.limit)):
            if not 0 < value < 1:
                raise ExplainerError(f"{label} is {value}; expected a number between 0 and 1.")
        if min(self.frames_below, self.frames_above) < 1:
            raise ExplainerError(
                f"{self.frames_below} frames below and {self.frames_above} above were asked for; "
                "expected at least one on each side."
            )
        if tuple(self.classifier.input_size) != tuple(self.autoencoder.input_size):
            raise ExplainerError(
                f"The classifier takes images of {self.classifier.input_size} pixels, the "
                f"autoencoder of {self.autoencoder.input_size}; use two of the same size."
            )

    def explain(
        self,
        images: Tensor,
        goals: Sequence[Goal],
        *,
        on_progress: OnProgress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Sequence[Counterfactual]:
        """Explain one goal per image of (N, 1, H, W) in [0, 1], as every explainer does.

        Returns
        -------
        sequence of Counterfactual
            ``frames_below + 1 + frames_above`` frames each.

        Raises
        ------
        ExplainerError
            If images or goals are not what the networks take, if the decoder leaves [0, 1], or if
            a network computes NaN.
        """
        targets = checked_targets(self.classifier, images, goals)
        device = device_of(self.classifier)
        films: list[Counterfactual] = []
        for start in range(0, len(images), check_batch_size(self.batch_size)):
            stop_if(cancelled)
            part = slice(start, start + self.batch_size)
            batch = images[part].detach().to(device, torch.float32)
            with left_as_found(self.classifier, self.autoencoder):
                films += self._films(batch, targets[part].to(device), goals[part])
            if on_progress is not None:
                on_progress(len(films), len(images))
        return films

    def _films(
        self, images: Tensor, targets: Tensor, goals: Sequence[Goal]
    ) -> list[Counterfactual]:
        """Make the films of one batch."""
        of_image = predict(self.classifier, images)[1].gather(1, targets[:, None])[:, 0].tolist()
        ray = self._ray(images, targets)
        n_cases = len(images)
        cases = np.arange(n_cases)
        start = ray.probabilities(cases, np.zeros(n_cases))  # f(x'_0), (n,)
        goal_low = np.maximum(start - self.fall, (1 - self.limit) * start)
        goal_high = np.minimum(start + self.rise, start + self.limit * (1 - start))
        units = np.concatenate([-ray.units, ray.units])  # (2n,): λ per expected logit, both ways
        distances, _ = find_crossings(
            lambda search, distance: ray.probabilities(search % n_cases, distance * units[search]),
            np.concatenate([start, start]),
            np.concatenate([goal_low, goal_high]),
            _GRID,
        )
        low, high = np.split(distances * units, 2)
        steps = np.stack([self._steps(*ends) for ends in zip(low, high, strict=True)])  # (n, T)
        frames, probabilities = ray.frames(np.repeat(cases, steps.shape[1]), steps.ravel())
        frames = frames.reshape(n_cases, -1, *frames.shape[1:])
        probabilities = probabilities.reshape(n_cases, -1)
        origins = probabilities[:, self.frames_below]
        reached_low = probabilities[:, 0] <= origins - self.fall + REACHED_WITHIN
        reached_high = probabilities[:, -1] >= origins + self.rise - REACHED_WITHIN
        return [
            Counterfactual(
                frames=frames[case],
                steps=steps[case],
                origin=self.frames_below,
                probabilities=probabilities[case],
                finding=goals[case].finding,
                reached_low=bool(reached_low[case]),
                reached_high=bool(reached_high[case]),
                probability_image=of_image[case],
            )
            for case in range(n_cases)
        ]

    def _ray(self, images: Tensor, targets: Tensor) -> _Ray:
        """Encode images and take the gradient of Eq. 1."""
        with torch.no_grad():
            latents = self.autoencoder.encode(images)
        latents = latents.detach().clone().requires_grad_()
        with torch.enable_grad():
            decoded = self.autoencoder.decode(latents)
            logits = self.classifier.logits(to_input_range(decoded, self.classifier))
            chosen = logits.gather(1, targets[:, None]).sum()
            (gradient,) = torch.autograd.grad(chosen, latents)
        if not (torch.isfinite(gradient).all() and torch.isfinite(latents).all()):
            raise ExplainerError(
                "The gradient of the classifier through the decoder is NaN or infinite; check the "
                "weights of both networks."
            )
        squared = gradient.double().flatten(1).square().sum(dim=1).cpu().numpy()  # ‖g‖², (n,)
        units = np.divide(1.0, squared, out=np.ones_like(squared), where=squared > 1e-30)
        return _Ray(
            self.classifier,
            self.autoencoder,
            latents.detach(),
            gradient.detach(),
            targets,
            units,
            check_batch_size(self.frame_batch_size),
        )

    def _steps(self, low: float, high: float) -> NDArray[np.float64]:
        """Return λ of every frame: even from ``low`` to 0 and from 0 to ``high``."""
        below = np.linspace(low, 0, self.frames_below + 1)[:-1]
        above = np.linspace(0, high, self.frames_above + 1)
        return np.concatenate([below, above])


@dataclass(frozen=True, eq=False)
class _Ray:
    """The line z + λg of every case of a batch, and what lies on it.

    ``units`` (n,) is 1/‖g‖²: the λ at which the logit is expected to have changed by 1.
    """

    classifier: Classifier
    autoencoder: Autoencoder
    latents: Tensor
    gradient: Tensor
    targets: Tensor
    units: NDArray[np.float64]
    batch_size: int

    def probabilities(
        self, cases: NDArray[np.intp], steps: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return f(x'_λ), (M,), of M points given by case and λ."""
        return np.concatenate(
            [self._decode(cases[part], steps[part])[1] for part in self._parts(len(cases))]
        )

    def frames(
        self, cases: NDArray[np.intp], steps: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return x'_λ, (M, H, W), in [0, 1], and f(x'_λ), (M,), of M points."""
        decoded = [self._decode(cases[part], steps[part]) for part in self._parts(len(cases))]
        frames = np.concatenate([images.squeeze(1).cpu().numpy() for images, _ in decoded])
        if not (np.isfinite(frames).all() and frames.min() >= -1e-3 and frames.max() <= 1.001):
            raise ExplainerError(
                f"The decoder returned values from {frames.min():.3g} to {frames.max():.3g}; "
                "expected images in [0, 1]. Clamp them in the autoencoder's decode()."
            )
        frames = np.clip(frames, 0, 1).astype(np.float32)
        return frames, np.concatenate([probabilities for _, probabilities in decoded])

    def _parts(self, n_points: int) -> list[slice]:
        return [
            slice(start, start + self.batch_size) for start in range(0, n_points, self.batch_size)
        ]

    def _decode(
        self, cases: NDArray[np.intp], steps: NDArray[np.float64]
    ) -> tuple[Tensor, NDArray[np.float64]]:
        device = self.latents.device
        index = torch.from_numpy(np.asarray(cases, np.int64)).to(device)
        length = torch.from_numpy(steps).to(device, self.latents.dtype)
        length = length.reshape(-1, *[1] * (self.latents.ndim - 1))  # (M, 1, …)
        with torch.no_grad():
            images = self.autoencoder.decode(self.latents[index] + length * self.gradient[index])
        _, probabilities = predict(self.classifier, images)  # (M, F)
        chosen = probabilities.gather(1, self.targets[index][:, None])[:, 0]
        return images, chosen.cpu().numpy().astype(np.float64)
