"""Training of the VAE with a class head: reconstruction, Kullback–Leibler, cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import Cancelled, ExplainerError
from explainers.classifiers.base import Classifier
from explainers.generators.paired import Contrast
from explainers.generators.vae import VAE, VAEShape
from explainers.training.contrasts import Judge, pools_of
from explainers.training.images import ImageSource
from explainers.training.loop import (
    LoopSettings,
    StepReport,
    TrainingRun,
    batches,
    fingerprint_of,
    seeded,
    train,
)

_MEASURED = 512


@dataclass(frozen=True)
class VAEWeights:
    """Weights of the losses, per image: squared error summed over the pixels counts once.

    Parameters
    ----------
    kl
        Of the Kullback–Leibler divergence from N(0, I).
    classes
        Of the cross-entropy of the class head, summed over the contrasts.
    noise
        Standard deviation of a pixel that the squared error is measured in.
    """

    kl: float = 1.0
    classes: float = 20.0
    noise: float = 0.1


class VAETask:
    """A VAE under training; see :class:`explainers.training.loop.Task`."""

    def __init__(self, vae: VAE, images: ImageSource, judge: Judge, weights: VAEWeights) -> None:
        self.network: nn.Module = vae
        self.images, self.judge, self.weights = images, judge, weights
        self.rows = images.rows("train")
        held_out = images.rows("val")
        self._validation = (held_out if len(held_out) else self.rows)[:_MEASURED]

    def loss(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Weighted sum of the three terms."""
        vae = self.network
        assert isinstance(vae, VAE)
        images = self.images.image_batch(rows)
        mean, log_variance = vae.encode(images)
        drawn = mean + torch.randn(mean.shape, generator=generator) * (log_variance / 2).exp()
        error = (vae.decode(drawn) - images).square().sum(dim=(1, 2, 3)).mean()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        entropy = self._entropy(vae, mean, images)
        total = (
            error / (2 * self.weights.noise**2)
            + self.weights.kl * kl
            + self.weights.classes * entropy
        )
        return total / vae.shape.size**2  # per pixel, so that one learning rate fits all sizes

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Share of sides told right by the class head, and mean absolute error."""
        assert isinstance(network, VAE)
        right, errors = [], []
        for rows in batches(self._validation, 64):
            images = self.images.image_batch(rows)
            mean, _ = network.encode(images)
            sides = self._sides(images)
            right.append((network.classes(mean) >= 0) == sides.bool())
            errors.append((network.decode(mean) - images).abs().mean(dim=(1, 2, 3)))
        return {
            "sides told right": float(torch.cat(right).float().mean()),
            "mean absolute error": float(torch.cat(errors).mean()),
        }

    @torch.no_grad()
    def _sides(self, images: Tensor) -> Tensor:
        """Side of every contrast, (N, K), 0 or 1."""
        return (self.judge.all_margins(self.judge.classifier.logits(images)) >= 0).float()

    def _entropy(self, vae: VAE, mean: Tensor, images: Tensor) -> Tensor:
        each = functional.binary_cross_entropy_with_logits(
            vae.classes(mean), self._sides(images), reduction="none"
        )
        return each.sum(dim=1).mean()


def train_vae(
    images: ImageSource,
    classifier: Classifier,
    contrasts: Sequence[Contrast],
    settings: LoopSettings,
    folder: Path,
    *,
    shape: VAEShape,
    clock: Callable[[], float],
    weights: VAEWeights | None = None,
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[VAE, TrainingRun]:
    """Train a VAE, or go on where a checkpoint stopped.

    Parameters
    ----------
    images, classifier, contrasts
        Images, and whose sides of which contrasts the class head learns.
    settings, folder, clock, fresh, on_step, cancelled
        As for :func:`explainers.training.loop.train`.
    shape, weights
        Sizes and losses.

    Raises
    ------
    ExplainerError
        If sizes differ, the classifier says the same of all images, the training was stopped or
        diverged, or the disk refuses.
    """
    if images.size != shape.size or shape.n_outputs != len(contrasts):
        raise ExplainerError(
            f"Images of {images.size} pixels and {len(contrasts)} contrasts for a VAE of "
            f"{shape.size} pixels and {shape.n_outputs} outputs; give the same numbers."
        )
    weights, judge = weights or VAEWeights(), Judge(classifier, contrasts)
    pools_of(judge, images, images.rows("train"), folder)  # a class head needs images of both sides
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded(settings.seed, "weights").initial_seed())
        vae = VAE(shape)
    run = train(
        VAETask(vae, images, judge, weights),
        settings,
        folder,
        fingerprint=fingerprint_of(
            kind="vae/1",
            images=images.digest,
            classifier=classifier.weights_digest,
            contrasts=[asdict(each) for each in contrasts],
            shape=shape,
            weights=weights,
            settings=settings,
        ),
        clock=clock,
        fresh=fresh,
        on_step=on_step,
        cancelled=cancelled,
    )
    assert isinstance(run.network, VAE)
    return run.network, run
