"""What the variants of Latent Shift share: the loop over batches and the sampling of frames.

A variant draws one curve through the latent space per case, from the lowest over the unchanged to
the highest prediction. Everything else is the same for all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explainers.attribution.batches import check_batch_size
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.counterfactual.decoding import Cases, Decoding, encode
from explainers.counterfactual.wanted import Range, WantedEnds, check_targets, wanted_ends
from explainers.differentiation import (
    checked_targets,
    device_of,
    left_as_found,
    predict,
    stop_if,
)
from explainers.generators.base import Autoencoder
from explainers.record import Counterfactual, Goal


class Curve(Protocol):
    """One way through the latent space per case, through z at step 0.

    Steps of all variants have the unit of λ in Eq. 1: a step of 1 is a way of length ‖g‖, g the
    gradient of the logit at z.

    Attributes
    ----------
    low, high : ndarray
        (n,), where the film of each case begins (< 0) and ends (> 0).
    """

    @property
    def low(self) -> NDArray[np.float64]: ...

    @property
    def high(self) -> NDArray[np.float64]: ...

    def at(self, cases: Cases, steps: NDArray[np.float64]) -> Tensor:
        """Latents (M, *latent_shape) of M points given by case and step."""
        ...


@dataclass(frozen=True)
class LatentFilms(ABC):
    """An explainer whose films run along a curve through the latent space.

    Parameters
    ----------
    classifier
        f.
    autoencoder
        E and D, for images of the classifier's size.
    fall, rise
        Wanted changes of the probability where the goal names no target, in (0, 1).
    frames_below, frames_above
        Frames on either side of x'_0, evenly spaced along the curve on each side. They are the
        same for every case, so that the length of a film tells nothing.
    limit
        Share of the way to 0 or 1 beyond which no probability is asked for without a target.
    batch_size, frame_batch_size
        Images, and decoded frames, per pass; no influence on the result.
    """

    name: ClassVar[str]

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
        Range(self.fall, self.rise, self.limit)
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

        A goal's ``target`` is the probability searched for at the lowest frame, with the
        direction ``"up"`` at the highest; the other end, and both ends without a target, lie
        ``fall`` below and ``rise`` above f(x'_0).

        Returns
        -------
        sequence of Counterfactual
            ``frames_below + 1 + frames_above`` frames each.

        Raises
        ------
        ExplainerError
            If images or goals are not what the networks take, if the networks cannot be
            differentiated, if the decoder leaves [0, 1], or if a network computes NaN.
        """
        targets = checked_targets(self.classifier, images, goals)
        check_targets(goals)
        device = device_of(self.classifier)
        films: list[Counterfactual] = []
        for start in range(0, len(images), check_batch_size(self.batch_size)):
            stop_if(cancelled)
            part = slice(start, start + self.batch_size)
            batch = images[part].detach().to(device, torch.float32)
            with left_as_found(self.classifier, self.autoencoder):
                films += self._films(batch, targets[part].to(device), goals[part], cancelled)
            if on_progress is not None:
                on_progress(len(films), len(images))
        return films

    @abstractmethod
    def _curve(self, decoding: Decoding, wanted: WantedEnds, cancelled: Cancelled | None) -> Curve:
        """Draw the curves of one batch to where the wanted predictions are, or nearest to them."""

    def _films(
        self,
        images: Tensor,
        targets: Tensor,
        goals: Sequence[Goal],
        cancelled: Cancelled | None,
    ) -> list[Counterfactual]:
        """Make the films of one batch."""
        of_image = predict(self.classifier, images)[1].gather(1, targets[:, None])[:, 0].tolist()
        decoding = encode(self.classifier, self.autoencoder, images, targets, self.frame_batch_size)
        range_ = Range(self.fall, self.rise, self.limit)
        wanted = wanted_ends(decoding.origin.probabilities, goals, range_)
        curve = self._curve(decoding, wanted, cancelled)
        steps = np.stack(
            [self._steps(*ends) for ends in zip(curve.low, curve.high, strict=True)]
        )  # (n, T)
        cases = np.repeat(np.arange(len(images)), steps.shape[1])
        frames, probabilities = decoding.frames(curve.at(cases, steps.ravel()), cases)
        frames = frames.reshape(len(images), -1, *frames.shape[1:])
        probabilities = probabilities.reshape(len(images), -1)
        reached_low = wanted.reached_low(probabilities[:, 0])
        reached_high = wanted.reached_high(probabilities[:, -1])
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
            for case in range(len(images))
        ]

    def _steps(self, low: float, high: float) -> NDArray[np.float64]:
        """Return the step of every frame: even from ``low`` to 0 and from 0 to ``high``."""
        below = np.linspace(low, 0, self.frames_below + 1)[:-1]
        above = np.linspace(0, high, self.frames_above + 1)
        return np.concatenate([below, above])
