"""Training of the autoencoder: elastic loss, weighted so that small findings survive.

A plain pixel loss buys its average on large smooth areas and rubs out masses and pleural lines.
Here every pixel error is weighted by

    W = 1 + Σ_f m_f · w_f + e · min(|∇x| / 0.1, 1),    w_f = clip(a · S² / area_f, low, high)

so that each finding's mask draws about the same attention whatever its area, and edges (tubes,
wires, pleural lines, mass margins) draw more than flat tissue. Errors are taken on the pixels
(elastic: absolute + squared), on their gradients, and on a pyramid of smaller films, which keeps
the density of faint, wide findings. The explained classifier takes no part in the loss; features
of another, separately trained classifier may (``perceptual``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import Cancelled, ExplainerError
from explainers.classifiers.networks import SmallNet
from explainers.classifiers.ours import OurClassifier
from explainers.generators.autoencoder import OurAutoencoder, check_size
from explainers.generators.networks import (
    AutoencoderShape,
    ConvolutionalAutoencoder,
    build_autoencoder,
)
from explainers.training.films import Films
from explainers.training.held_out import evaluate_autoencoder
from explainers.training.loop import (
    LoopSettings,
    StepReport,
    TrainingRun,
    fingerprint_of,
    seeded,
    train,
)

_EDGE_SCALE = 0.1  # grey-level step per pixel, of full range 1, that counts as a full edge


@dataclass(frozen=True)
class LossWeights:
    """Weights of the parts of the loss.

    Parameters
    ----------
    squared
        Of the squared beside the absolute error; 1 is the elastic loss of the paper.
    mask_attention
        a: each mask's weighted area, as a share of the film.
    mask_low, mask_high
        Bounds of the weight inside a mask.
    edges
        e: extra weight of full edges.
    gradient
        Of the error of horizontal and vertical differences.
    pyramid
        Of the absolute error on films of a half, a quarter and an eighth of the size.
    perceptual, perceptual_logits
        Of the feature distance and of the difference of logits in the helper network.
    latent_noise
        Standard deviation of the noise on training latents, in standard deviations of the latent:
        neighbouring latents shall decode to neighbouring films.
    """

    squared: float = 1.0
    mask_attention: float = 0.12
    mask_low: float = 1.0
    mask_high: float = 12.0
    edges: float = 1.0
    gradient: float = 1.0
    pyramid: float = 1.0
    perceptual: float = 0.02
    perceptual_logits: float = 0.004
    latent_noise: float = 0.02


def pixel_weights(images: Tensor, masks: Tensor, weights: LossWeights) -> Tensor:
    """W of the module's formula, (N, 1, S, S), at least 1.

    Parameters
    ----------
    images
        (N, 1, S, S) in [0, 1].
    masks
        (N, F, S, S), 0 or 1.
    weights
        Attention, bounds and edge weight.
    """
    area = masks.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    n_pixels = masks.shape[2] * masks.shape[3]
    inside = (weights.mask_attention * n_pixels / area).clamp(weights.mask_low, weights.mask_high)
    by_mask = (masks * inside).amax(dim=1, keepdim=True)
    steps_x = functional.pad(images.diff(dim=3).abs(), (0, 1, 0, 0))
    steps_y = functional.pad(images.diff(dim=2).abs(), (0, 0, 0, 1))
    edges = (torch.maximum(steps_x, steps_y) / _EDGE_SCALE).clamp(max=1)
    return 1 + by_mask + weights.edges * edges


def reconstruction_loss(
    rebuilt: Tensor, images: Tensor, pixel_weight: Tensor, weights: LossWeights
) -> Tensor:
    """Weighted elastic, gradient and pyramid error, a scalar that is 0 for a perfect copy.

    Parameters
    ----------
    rebuilt, images
        (N, 1, S, S) in [0, 1].
    pixel_weight
        (N, 1, S, S) from :func:`pixel_weights`; its mean is taken out.
    weights
        Weights of the parts.
    """
    relative = pixel_weight / pixel_weight.mean()
    error = rebuilt - images
    total = (relative * (error.abs() + weights.squared * error.square())).mean()
    if weights.gradient:
        along_x = relative[..., 1:] * error.diff(dim=3).abs()
        along_y = relative[..., 1:, :] * error.diff(dim=2).abs()
        total = total + weights.gradient * (along_x.mean() + along_y.mean()) / 2
    if weights.pyramid:
        for _ in range(3):
            error = functional.avg_pool2d(error, 2)
            relative = functional.avg_pool2d(relative, 2)
            total = total + weights.pyramid / 3 * (relative * error.abs()).mean()
    return total


class PerceptualTerm:
    """Distance between two films in the features of a helper classifier.

    Parameters
    ----------
    helper
        A separately trained classifier of the small architecture. It must not be the classifier
        that the autoencoder will help to explain: a generator trained against a network learns to
        please it, and counterfactuals would show that and not the film.

    Raises
    ------
    ExplainerError
        If the helper is of another architecture.
    """

    def __init__(self, helper: OurClassifier) -> None:
        if not isinstance(helper.network, SmallNet):
            raise ExplainerError(
                f"The perceptual term needs a classifier of the small or smaller architecture; got "
                f"{helper.architecture!r}."
            )
        self._network = helper.network
        self.digest = helper.weights_digest

    def distances(self, rebuilt: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Relative absolute distance of the stages' features, and mean |difference| of logits."""
        with torch.no_grad():
            wanted, wanted_logits = self._network.features_and_logits(images)
        found, found_logits = self._network.features_and_logits(rebuilt)
        distance = rebuilt.new_zeros(())
        for mine, theirs in zip(found, wanted, strict=True):
            scale = theirs.float().abs().mean()
            distance = distance + (mine.float() - theirs.float()).abs().mean() / scale
        logits = (found_logits.float() - wanted_logits.float()).abs().mean()
        return distance / len(wanted), logits


class AutoencoderTask:
    """An autoencoder under training; see :class:`explainers.training.loop.Task`."""

    def __init__(
        self,
        network: ConvolutionalAutoencoder,
        shape: AutoencoderShape,
        films: Films,
        *,
        weights: LossWeights,
        perceptual: PerceptualTerm | None = None,
        counterfactuals: bool = True,
        shift_px: int = 4,
        validation_limit: int = 256,
    ) -> None:
        self.network = network
        self.shape = shape
        self.films = films
        self.weights = weights
        self.perceptual = perceptual
        self.rows = films.rows("train", counterfactuals=counterfactuals)
        self._shift_px = shift_px
        self._validation_limit = validation_limit

    def loss(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Reconstruction loss of a batch that is moved by a few pixels."""
        images, masks = self.films.image_batch(rows), self.films.mask_batch(rows)
        images, masks = self._moved(images, masks, generator)
        images = images.contiguous(memory_format=torch.channels_last)
        latents = self.network.encode(images)
        if self.weights.latent_noise:
            noise = torch.randn(latents.shape, generator=generator)
            spread = latents.detach().float().std()
            latents = latents + (self.weights.latent_noise * spread * noise).to(latents.dtype)
        rebuilt = self.network.decode(latents)
        loss = reconstruction_loss(
            rebuilt, images, pixel_weights(images, masks, self.weights), self.weights
        )
        if self.perceptual is not None:
            features, logits = self.perceptual.distances(rebuilt, images)
            loss = loss + self.weights.perceptual * features
            loss = loss + self.weights.perceptual_logits * logits
        return loss

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Mean absolute error in 1/255, overall and inside the masks, on validation films."""
        assert isinstance(network, ConvolutionalAutoencoder)
        trained = OurAutoencoder(network, self.shape, (self.films.size, self.films.size))
        figures = evaluate_autoencoder(
            trained, self.films, split="val", limit=self._validation_limit
        )
        return {"MAE": figures.error, "MAE in masks": figures.error_in_masks}

    def _moved(
        self, images: Tensor, masks: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Move a whole batch by up to ``shift_px`` pixels; edges repeat."""
        pad, side = self._shift_px, images.shape[2]
        if pad == 0:
            return images, masks
        down, right = torch.randint(0, 2 * pad + 1, (2,), generator=generator).tolist()
        window = (..., slice(down, down + side), slice(right, right + side))
        padding = (pad, pad, pad, pad)
        wide = functional.pad(images, padding, mode="replicate")
        wide_masks = functional.pad(masks, padding)
        return wide[window], wide_masks[window]


def train_autoencoder(
    films: Films,
    settings: LoopSettings,
    folder: Path,
    *,
    shape: AutoencoderShape,
    clock: Callable[[], float],
    weights: LossWeights | None = None,
    perceptual: OurClassifier | None = None,
    counterfactuals: bool = True,
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[OurAutoencoder, TrainingRun]:
    """Train an autoencoder.

    Parameters
    ----------
    films
        The case set, at a size that is a multiple of the reduction of ``shape``.
    settings, folder, clock, fresh, on_step, cancelled
        See :func:`explainers.training.loop.train`.
    shape
        Widths and bottleneck.
    weights
        Weights of the loss.
    perceptual
        A helper classifier, never the explained one; see :class:`PerceptualTerm`.
    counterfactuals
        Train on the films without a finding, too.

    Returns
    -------
    OurAutoencoder, TrainingRun
        The autoencoder (not yet saved) and how it was trained.

    Raises
    ------
    ExplainerError
        As the loop; or if the size does not fit.
    """
    size = (films.size, films.size)
    check_size(size, shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded(settings.seed, "weights").initial_seed())
        network = build_autoencoder(shape)
    weights = weights or LossWeights()
    term = None if perceptual is None else PerceptualTerm(perceptual)
    task = AutoencoderTask(
        network, shape, films, weights=weights, perceptual=term, counterfactuals=counterfactuals
    )
    fingerprint = fingerprint_of(
        kind="autoencoder",
        shape=asdict(shape),
        weights=asdict(weights),
        perceptual=None if term is None else term.digest,
        films=films.digest,
        size=films.size,
        rows=len(task.rows),
        seed=settings.seed,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
    )
    run = train(
        task,
        settings,
        folder,
        fingerprint=fingerprint,
        clock=clock,
        fresh=fresh,
        on_step=on_step,
        cancelled=cancelled,
    )
    assert isinstance(run.network, ConvolutionalAutoencoder)
    return OurAutoencoder(run.network, shape, size), run
