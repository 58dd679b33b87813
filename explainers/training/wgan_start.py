"""A beginning for the generator: trained as the decoder of a variational autoencoder.

A WGAN that starts from noise needs far more steps than two processor cores take in an hour. Here
the generator first learns, as the decoder of a VAE (Kingma & Welling, arXiv:1312.6114), where films
lie: pyramid loss of G(z) with z drawn from E's normal distribution, plus β · KL(E(x) ‖ N(0, I)).
The latents of films are then far from N(0, I): few directions vary much, most hardly at all. Both
networks are therefore rewritten so that the latents of training films have mean 0 and covariance I
(:func:`whitened`); samples of N(0, I) are then blurred films that cover the data, and the WGAN
sharpens them. This is no part of the paper; a generator that began so says so in its card.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from explainers.base import Cancelled, ExplainerError
from explainers.generators.wgan import (
    WGAN,
    Encoder,
    Generator,
    Halving,
    WGANShape,
    to_signed,
)
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
from explainers.training.wgan_encoder import EncoderSettings as _Sizes
from explainers.training.wgan_encoder import encoder_shape, evaluate_encoder, pyramid_loss

_SMALLEST_VARIANCE = 1e-4  # of a direction, against the mean variance: z has unused directions
_N_WHITENED = 4000


@dataclass(frozen=True)
class StartSettings:
    """How the beginning is trained.

    Parameters
    ----------
    divergence
        β: weight of the Kullback–Leibler divergence per number of z, against the pyramid loss in
        [−1, 1].
    levels
        Levels of the pyramid.
    base
        Base of the encoder; see :class:`explainers.training.wgan_encoder.EncoderSettings`.

    Raises
    ------
    ExplainerError
        If a number is out of range.
    """

    divergence: float = 0.02
    levels: int = 5
    base: int = 1024

    def __post_init__(self) -> None:
        if self.divergence < 0 or self.levels < 1 or self.base < 1:
            raise ExplainerError(f"{self}: expected divergence >= 0, levels and base >= 1.")


class Pair(nn.Module):
    """An encoder of means and log-variances (N, 2D), and the generator."""

    def __init__(self, shape: WGANShape, base: int) -> None:
        super().__init__()
        sizes = encoder_shape(shape, _Sizes(base=base))
        self.encoder, self.generator = Halving(sizes, 2 * shape.latent), Generator(shape)

    def means(self) -> Encoder:
        """The encoder of the means alone."""
        encoder = Encoder(self.encoder.shape)
        content = copy.deepcopy(self.encoder.state_dict())
        for name in ("end.weight", "end.bias"):
            content[name] = content[name][: self.generator.shape.latent]
        encoder.load_state_dict(content)
        return encoder


class StartTask:
    """The pair under training; see :class:`explainers.training.loop.Task`."""

    def __init__(
        self,
        images: ImageSource,
        shape: WGANShape,
        options: StartSettings,
        *,
        seed: int,
        counterfactuals: bool = True,
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeded(seed, "weights").initial_seed())
            pair = Pair(shape, options.base)
        self.network: nn.Module = pair
        self.images, self.shape, self.options, self._seed = images, shape, options, seed
        self.rows = images.rows("train", counterfactuals=counterfactuals)

    def loss(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Pyramid loss plus β times the divergence."""
        pair = self.network
        assert isinstance(pair, Pair)
        films = to_signed(self.images.image_batch(rows))
        films = films.contiguous(memory_format=torch.channels_last)
        mean, log_variance = pair.encoder(films).chunk(2, dim=1)
        log_variance = log_variance.clamp(-10, 4)
        noise = torch.randn(mean.shape, generator=generator)
        rebuilt = pair.generator(mean + noise * (log_variance / 2).exp())
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        loss = pyramid_loss(rebuilt, films, self.options.levels).mean()
        return loss + self.options.divergence * divergence

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Reconstruction from the means, and their norm, on validation images."""
        assert isinstance(network, Pair)
        wgan = WGAN(copy.deepcopy(network.generator), network.means())
        figures = evaluate_encoder(wgan, self.images, split="val", limit=256, seed=self._seed)
        return {"MAE": figures.error, "norm": figures.norm, "latent error": figures.latent_error}


@torch.no_grad()
def whitened(wgan: WGAN, images: ImageSource, rows: NDArray[np.int64]) -> WGAN:
    """The same G(E(x)) with latents E(x) of mean 0 and covariance I over some images.

    With mean m and covariance L Lᵀ of E(x), the new latent is u = L⁻¹ (z − m): E's last layer and
    G's first one are linear and take that up, so that neither network grows.

    Raises
    ------
    ExplainerError
        If there are fewer images than twice the numbers of z, or no encoder.
    """
    if len(rows) < 2 * wgan.latent or wgan.encoder is None:
        raise ExplainerError(
            f"The covariance of {wgan.latent} numbers needs {2 * wgan.latent} images and an "
            f"encoder; got {len(rows)} images. Give more, or a smaller --latent."
        )
    parts = [wgan.encode(images.image_batch(part)) for part in batches(rows, 64)]
    z = torch.cat(parts).double()
    mean, covariance = z.mean(dim=0), torch.cov(z.T)
    floor = _SMALLEST_VARIANCE * covariance.diagonal().mean()
    root = torch.linalg.cholesky(covariance + floor * torch.eye(wgan.latent, dtype=z.dtype))
    generator, encoder = copy.deepcopy(wgan.generator), copy.deepcopy(wgan.encoder)
    first, last = generator.start, encoder.end
    first.bias.copy_(first.bias.double() + first.weight.double() @ mean)
    first.weight.copy_(first.weight.double() @ root)
    last.bias.copy_(torch.linalg.solve(root, last.bias.double() - mean))
    last.weight.copy_(torch.linalg.solve(root, last.weight.double()))
    return WGAN(generator, encoder)


def train_start(
    images: ImageSource,
    settings: LoopSettings,
    folder: Path,
    *,
    shape: WGANShape,
    clock: Callable[[], float],
    options: StartSettings | None = None,
    counterfactuals: bool = True,
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[WGAN, TrainingRun]:
    """Train the beginning of a generator.

    Parameters
    ----------
    images
        Case set or array, at the size of the shape.
    settings, folder, clock, fresh, on_step, cancelled
        See :func:`explainers.training.loop.train`.
    shape
        Sizes of the generator.
    options
        Weights of the loss.
    counterfactuals
        Train on the films without a finding, too.

    Returns
    -------
    WGAN, TrainingRun
        Generator and encoder of means, whitened (not yet saved), and how they were trained.

    Raises
    ------
    ExplainerError
        As the loop and :func:`whitened`; or if sizes do not fit.
    """
    if images.size != shape.size:
        raise ExplainerError(
            f"Images of {images.size} px and a generator of {shape.size} px; use the same size."
        )
    options = options or StartSettings()
    settings = replace(settings, weight_decay=0.0)
    task = StartTask(images, shape, options, seed=settings.seed, counterfactuals=counterfactuals)
    fingerprint = fingerprint_of(
        kind="wgan-start",
        shape=asdict(shape),
        options=asdict(options),
        images=images.digest,
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
    assert isinstance(run.network, Pair)
    wgan = WGAN(run.network.generator, run.network.means())
    return whitened(wgan, images, task.rows[:_N_WHITENED]), run
