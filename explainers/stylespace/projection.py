"""A film's place in S: the styles with which the generator draws it as nearly as it can.

L = mse + α · features + β · classifier + γ · discriminator (Sankaranarayanan et al. 2022, Eq. 1,
which prints z; S is what is optimised), 500 steps of Adam from the mean style, noise frozen. The
feature term compares features of a network that knows films, unit length per place; it is no LPIPS.
The classifier term holds C(G(S)) at C(x): it reconstructs a prediction, it does not flip one.

The styles are optimised in units of their own spread over samples, so that one learning rate suits
all of them, and are held to that spread weakly (``prior``), without which dimensions that hardly
touch the image drift far outside anything the generator has learnt.

What each term is worth, and how many steps are enough: docs/back-projection.md.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.generators.stylegan2 import Generator, to_brightness
from explainers.stylespace.clamped import seen_logits
from explainers.stylespace.perceptual import Features, LearnedFeatures
from explainers.stylespace.ranges import StyleRanges

_MEAN_SAMPLES = 100_000
_BATCH = 1024


@dataclass(frozen=True)
class ProjectionSettings:
    """Weights of the terms and the search.

    Parameters
    ----------
    features, classifier, discriminator
        α, β and γ; a term whose network is not given is left out.
    prior
        Weight of the mean squared distance from the mean style, in units of the spread.
    n_steps, learning_rate
        Of Adam; the rate falls to zero along a cosine.
    batch_size
        Films at once.
    half_precision
        bfloat16 inside the generator and the features while searching; the loss, the styles and
        the final verdict stay float32.
    """

    features: float = 0.05
    classifier: float = 0.002
    discriminator: float = 0.0005
    prior: float = 0.0005
    n_steps: int = 500
    learning_rate: float = 0.08
    batch_size: int = 16
    half_precision: bool = False


@dataclass(frozen=True, eq=False)
class Projection:
    """Films in S, and how well they got there.

    Parameters
    ----------
    styles
        (N, D).
    images
        (N, size, size) reconstructions in [0, 1].
    mae
        (N,) mean absolute error in grey levels of 255.
    shift
        (N, F) C(G(S)) − C(x).
    """

    styles: Tensor
    images: NDArray[np.float32]
    mae: NDArray[np.float32]
    shift: NDArray[np.float32]

    def faithful(self, finding: int, *, max_mae: float, max_shift: float) -> NDArray[np.bool_]:
        """Return which films (N,) may be explained for a finding: drawn well, predicted alike."""
        near = (self.mae <= max_mae) & (np.abs(self.shift[:, finding]) <= max_shift)
        return np.asarray(near)


def project(
    generator: Generator,
    classifier: Classifier,
    images: Tensor,
    ranges: StyleRanges,
    *,
    settings: ProjectionSettings | None = None,
    features: Features | None = None,
    discriminator: nn.Module | None = None,
    start: Tensor | None = None,
    on_progress: OnProgress | None = None,
    cancelled: Cancelled | None = None,
) -> Projection:
    """Find the styles of films.

    Parameters
    ----------
    generator
        Its own noise stays as it is.
    classifier
        The classifier to be explained.
    images
        (N, 1, size, size) in [0, 1], of the generator's size.
    ranges
        Mean and spread of the styles.
    settings
        Weights and steps.
    features, discriminator
        Networks of the optional terms: see :mod:`explainers.stylespace.perceptual` and
        :func:`explainers.training.stylegan2_discriminator.load_discriminator`.
    start
        (N, D) styles to begin with, e.g. of an encoder; the mean style if not given.
    on_progress, cancelled
        Steps done and in all.

    Raises
    ------
    ExplainerError
        If sizes do not fit, the search leaves the finite numbers, or it is cancelled.
    """
    settings = settings or ProjectionSettings()
    size = generator.shape.size
    if images.ndim != 4 or tuple(images.shape[1:]) != (1, size, size):
        raise ExplainerError(
            f"The generator draws films of {size} × {size}; got images of "
            f"{tuple(images.shape)}. Bring them to (N, 1, {size}, {size}) first."
        )
    quick = copy.deepcopy(generator).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    total = settings.n_steps * -(-len(images) // settings.batch_size)
    found, done = [], 0
    for first in range(0, len(images), settings.batch_size):
        part = images[first : first + settings.batch_size]
        search = _Search(quick, classifier, part, ranges, settings, features, discriminator)
        begun = None if start is None else start[first : first + len(part)]
        found.append(search.run(begun, done, total, on_progress, cancelled))
        done += settings.n_steps
    return _judged(generator, classifier, images, torch.cat(found))


class _Search:
    """One batch of films on its way."""

    def __init__(
        self,
        generator: Generator,
        classifier: Classifier,
        images: Tensor,
        ranges: StyleRanges,
        settings: ProjectionSettings,
        features: Features | None,
        discriminator: nn.Module | None,
    ) -> None:
        self.generator, self.classifier, self.settings = generator, classifier, settings
        self.images, self.ranges = images, ranges
        self.features, self.discriminator = features, discriminator
        self.spread = ranges.spread.clamp(min=1e-4)
        with torch.no_grad():
            self.logits = seen_logits(classifier, images)
            self.wanted = self._stages(images)

    def run(
        self,
        start: Tensor | None,
        done: int,
        total: int,
        on_progress: OnProgress | None,
        cancelled: Cancelled | None,
    ) -> Tensor:
        """Return styles (N, D)."""
        begun = self.ranges.mean.expand(len(self.images), -1) if start is None else start
        offsets = ((begun - self.ranges.mean) / self.spread).detach().clone().requires_grad_()
        optimiser = torch.optim.Adam([offsets], lr=self.settings.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.settings.n_steps)
        for step in range(self.settings.n_steps):
            if cancelled is not None and cancelled():
                raise ExplainerError(f"Stopped after {done + step} of {total} steps.")
            optimiser.zero_grad(set_to_none=True)
            loss = self.loss(self._styles(offsets), offsets)
            if not bool(torch.isfinite(loss)):
                raise ExplainerError(
                    f"The projection left the finite numbers at step {step}; lower the learning "
                    "rate."
                )
            loss.backward()
            optimiser.step()
            schedule.step()
            if on_progress is not None:
                on_progress(done + step + 1, total)
        return self._styles(offsets.detach())

    def loss(self, styles: Tensor, offsets: Tensor) -> Tensor:
        """Sum over films, so that each film's search does not depend on its neighbours."""
        with self._half():
            drawn = self.generator.synthesise(styles)
        drawn = drawn.float()
        images = drawn / 2 + 0.5  # not clipped: a clipped pixel has no slope
        loss = (images - self.images).square().mean(dim=(1, 2, 3)).sum()
        for maps, wanted in zip(self._stages(images), self.wanted, strict=True):
            apart = (maps - wanted).square().sum(dim=1).mean(dim=(1, 2)).sum()
            loss = loss + self.settings.features / len(self.wanted) * apart
        if self.settings.classifier:
            logits = seen_logits(self.classifier, images)
            apart = (logits - self.logits).square().mean(dim=1).sum()
            loss = loss + self.settings.classifier * apart
        if self.discriminator is not None:
            loss = loss + self.settings.discriminator * self._unlike(drawn)
        return loss + self.settings.prior * offsets.square().mean(dim=1).sum()

    def _stages(self, images: Tensor) -> list[Tensor]:
        """Features of unit length at every place, weighted if their weights are learnt."""
        if self.features is None:
            return []
        with self._half():
            found = self.features(images)
        stages = [_unit(maps.float()) for maps in found]
        if isinstance(self.features, LearnedFeatures):
            scales = self.features.scales
            stages = [maps * scale for maps, scale in zip(stages, scales, strict=True)]
        return stages

    def _unlike(self, drawn: Tensor) -> Tensor:
        """What the discriminator holds against each film; one by one, for it compares a batch."""
        assert self.discriminator is not None
        with self._half():
            scores = torch.cat([self.discriminator(each) for each in drawn.split(1)])
        return functional.softplus(-scores.float()).sum()

    def _half(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.settings.half_precision)

    def _styles(self, offsets: Tensor) -> Tensor:
        return self.ranges.mean + self.spread * offsets


@torch.no_grad()
def style_centre(
    generator: Generator,
    *,
    n_samples: int = _MEAN_SAMPLES,
    seed: int = 0,
    on_progress: OnProgress | None = None,
    cancelled: Cancelled | None = None,
) -> StyleRanges:
    """Return where a projection begins: the mean style of many samples, and their spread.

    As :func:`explainers.stylespace.ranges.style_ranges` without a percentile, but no sample is
    kept, so that 100,000 of them need no more memory than a thousand.

    Parameters
    ----------
    generator
        The generator; only its mapping and affine layers run.
    n_samples
        Samples.
    seed
        Of the samples.
    on_progress, cancelled
        Samples done and in all.

    Raises
    ------
    ExplainerError
        If there are fewer than two samples, or it is cancelled.
    """
    if n_samples < 2:
        raise ExplainerError(f"A mean style needs at least two samples; got {n_samples}.")
    dice = torch.Generator().manual_seed(seed)
    low = torch.full((generator.n_styles,), torch.inf)
    high, total, squares = -low, torch.zeros(len(low)).double(), torch.zeros(len(low)).double()
    for done in range(0, n_samples, _BATCH):
        if cancelled is not None and cancelled():
            raise ExplainerError("Stopped before the mean style was known.")
        z = torch.randn(min(_BATCH, n_samples - done), generator.shape.latent, generator=dice)
        styles = generator.styles(generator.latents(z))
        low, high = torch.minimum(low, styles.amin(dim=0)), torch.maximum(high, styles.amax(dim=0))
        total += styles.sum(dim=0)
        squares += styles.double().square().sum(dim=0)
        if on_progress is not None:
            on_progress(done + len(z), n_samples)
    mean = total / n_samples
    variance = (squares - n_samples * mean.square()).clamp(min=0) / (n_samples - 1)
    return StyleRanges(low, high, mean.float(), variance.sqrt().float(), n_samples)


@torch.no_grad()
def _judged(
    generator: Generator, classifier: Classifier, images: Tensor, styles: Tensor
) -> Projection:
    drawn = torch.cat([to_brightness(generator.synthesise(part)) for part in styles.split(32)])
    shift = [
        classifier.probabilities(seen_logits(classifier, one))
        - classifier.probabilities(seen_logits(classifier, other))
        for one, other in zip(drawn.split(32), images.split(32), strict=True)
    ]
    return Projection(
        styles=styles,
        images=drawn[:, 0].numpy(),
        mae=((drawn - images).abs().mean(dim=(1, 2, 3)) * 255).numpy(),
        shift=torch.cat(shift).numpy(),
    )


def _unit(maps: Tensor) -> Tensor:
    """Features of unit length at every place."""
    return maps / (maps.square().sum(dim=1, keepdim=True) + 1e-8).sqrt()
