"""Training of the encoder E against a frozen generator G, with a Laplacian-pyramid loss.

For films x the loss compares x with G(E(x)) level by level of a Laplacian pyramid (Burt & Adelson
1983; as a loss: Bojanowski et al., arXiv:1707.05776, whose weights amount to equal ones on the
mean absolute difference of each level). Two optional terms keep E where G was trained: on samples
z ~ N(0, I) the squared error of E(G(z)), and on films the squared deviation of |E(x)|²/d from 1.
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
from torch.nn import functional

from explainers.base import Cancelled, ExplainerError
from explainers.generators.wgan import (
    WGAN,
    Encoder,
    WGANShape,
    tensors_digest,
    to_signed,
)
from explainers.training.films import Split
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

_KERNEL = (1.0, 4.0, 6.0, 4.0, 1.0)


@dataclass(frozen=True)
class EncoderSettings:
    """Weights of the loss and size of the encoder.

    Parameters
    ----------
    levels
        Levels of the pyramid, the last low-pass among them; fewer where the image is too small.
    latent
        Weight of mean (E(G(z)) − z)² on samples; 0 leaves samples out.
    shell
        Weight of mean (|E(x)|²/d − 1)².
    base
        A layer of the encoder at resolution r has min(base / r, channel_limit) channels.
    shift_px
        Films are moved by up to as many pixels, so that E does not learn them by heart.

    Raises
    ------
    ExplainerError
        If a number is out of range.
    """

    levels: int = 5
    latent: float = 0.1
    shell: float = 0.02
    base: int = 1024
    shift_px: int = 0

    def __post_init__(self) -> None:
        if self.levels < 1 or min(self.latent, self.shell, self.base - 1, self.shift_px) < 0:
            raise ExplainerError(
                f"{self}: expected levels and base >= 1, latent, shell and shift_px >= 0."
            )


@dataclass(frozen=True)
class EncoderFigures:
    """How well G(E(x)) shows held-out images, and whether E(G(z)) finds z.

    Parameters
    ----------
    split, n_images
        What was measured on.
    error, error_95
        Mean absolute error of an image, in 1/255: mean and 95th percentile over images.
    pyramid
        Mean Laplacian-pyramid loss.
    error_of_mean
        Mean absolute error in 1/255 of the mean training image: what knowing nothing costs.
    norm
        Mean of |E(x)|/√d; 1 on the shell of z.
    norm_95
        Its 95th percentile.
    latent_error
        Mean squared error of E(G(z)) on samples; 1 for an encoder that says 0.
    """

    split: str
    n_images: int
    error: float
    error_95: float
    pyramid: float
    error_of_mean: float
    norm: float
    norm_95: float
    latent_error: float


def laplacian_pyramid(images: Tensor, levels: int) -> list[Tensor]:
    """Band-pass levels of images (N, 1, H, W), from fine to coarse, and the low-pass left over.

    Each level halves the sides (rounded up); adding the doubled levels from the coarse end gives
    the images back. A level whose shorter side would fall below 4 px is not made.
    """
    parts, current = [], images
    for _ in range(levels - 1):
        if min(current.shape[-2:]) < 8:
            break
        smaller = _halved(current)
        parts.append(current - _doubled(smaller, (current.shape[-2], current.shape[-1])))
        current = smaller
    return [*parts, current]


def pyramid_loss(first: Tensor, second: Tensor, levels: int) -> Tensor:
    """Per image (N,), the sum over levels of the mean absolute difference of the pyramids.

    In float32, whatever precision surrounds it: the levels are differences of near numbers.
    """
    with torch.autocast("cpu", enabled=False):
        difference = first.float() - second.float()  # the pyramid is linear
        parts = laplacian_pyramid(difference, levels)
        return torch.stack([part.abs().mean(dim=(1, 2, 3)) for part in parts]).sum(dim=0)


def _halved(images: Tensor) -> Tensor:
    """Every second row and column of the images smoothed by the kernel along both axes.

    Written as sums of slices: only what is kept is computed, and a convolution of one channel is
    slow on a CPU.
    """
    for axis in (3, 2):
        pad = (2, 2, 0, 0) if axis == 3 else (0, 0, 2, 2)
        padded = functional.pad(images, pad, mode="reflect")
        n_kept = (images.shape[axis] + 1) // 2
        total = torch.zeros(())
        for offset, weight in enumerate(_KERNEL):
            kept = padded.narrow(axis, offset, padded.shape[axis] - offset)
            index = [slice(None)] * 4
            index[axis] = slice(0, 2 * n_kept - 1, 2)
            total = total + kept[tuple(index)] * (weight / 16)
        images = total
    return images


def _doubled(images: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(images, size, mode="bilinear", align_corners=False)


class EncoderTask:
    """An encoder under training; see :class:`explainers.training.loop.Task`."""

    def __init__(
        self,
        images: ImageSource,
        wgan: WGAN,
        options: EncoderSettings,
        *,
        seed: int,
        counterfactuals: bool = True,
        begin_with: Encoder | None = None,
    ) -> None:
        # A copy: the loop asks for its own memory layout, and the caller's network stays his.
        self._generator = copy.deepcopy(wgan.generator).requires_grad_(False).eval()
        self._generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.images, self.options, self.shape = images, options, wgan.shape
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeded(seed, "weights").initial_seed())
            encoder = Encoder(encoder_shape(wgan.shape, options))
        if begin_with is not None:
            if begin_with.shape != encoder.shape:
                raise ExplainerError(
                    f"The encoder to begin with is of {begin_with.shape}, the training is of "
                    f"{encoder.shape}; use the same sizes."
                )
            encoder.load_state_dict(begin_with.state_dict())
        self.network: nn.Module = encoder
        self.rows = images.rows("train", counterfactuals=counterfactuals)
        self._seed = seed

    def loss(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Pyramid loss of a batch, and the terms on latents."""
        films = to_signed(self._moved(self.images.image_batch(rows), generator))
        films = films.contiguous(memory_format=torch.channels_last)
        latents = self.network(films)
        loss = pyramid_loss(self._generator(latents), films, self.options.levels).mean()
        if self.options.shell:
            power = latents.square().mean(dim=1)  # |z|²/d
            loss = loss + self.options.shell * (power - 1).square().mean()
        if self.options.latent:
            z = torch.randn(len(rows), self.shape.latent, generator=generator)
            with torch.no_grad():
                samples = self._generator(z)
            loss = loss + self.options.latent * (self.network(samples) - z).square().mean()
        return loss

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Reconstruction, norm and latent error on validation images."""
        assert isinstance(network, Encoder)
        wgan = WGAN(self._generator, copy.deepcopy(network))
        figures = evaluate_encoder(wgan, self.images, split="val", limit=256, seed=self._seed)
        return {
            "MAE": figures.error,
            "pyramid": figures.pyramid,
            "norm": figures.norm,
            "latent error": figures.latent_error,
        }

    def _moved(self, images: Tensor, generator: torch.Generator) -> Tensor:
        pad, side = self.options.shift_px, images.shape[2]
        if pad == 0:
            return images
        down, right = torch.randint(0, 2 * pad + 1, (2,), generator=generator).tolist()
        wide = functional.pad(images, (pad, pad, pad, pad), mode="replicate")
        return wide[..., down : down + side, right : right + side]


def encoder_shape(shape: WGANShape, options: EncoderSettings) -> WGANShape:
    """Shape of an encoder for a generator: the same, with the encoder's own base."""
    return replace(shape, critic_base=options.base)


@torch.no_grad()
def evaluate_encoder(
    wgan: WGAN,
    images: ImageSource,
    *,
    split: Split = "test",
    limit: int = 2000,
    levels: int = 5,
    seed: int = 0,
) -> EncoderFigures:
    """Measure G(E(x)) on held-out images and E(G(z)) on samples.

    Raises
    ------
    ExplainerError
        If the split is empty or there is no encoder.
    """
    rows = images.rows(split)[:limit]
    if not len(rows):
        raise ExplainerError(f"There are no {split} images to measure the encoder on.")
    mean = images.image_batch(images.rows("train")[:512]).mean(dim=0, keepdim=True)
    errors, pyramids, norms, nothing = [], [], [], []
    for part in batches(rows, 64):
        films = images.image_batch(part)
        latents = wgan.encode(films)
        rebuilt = wgan.generate(latents)
        errors.append((rebuilt - films).abs().mean(dim=(1, 2, 3)))
        nothing.append((mean - films).abs().mean(dim=(1, 2, 3)))
        pyramids.append(pyramid_loss(to_signed(rebuilt), to_signed(films), levels))
        norms.append(latents.norm(dim=1) / wgan.latent**0.5)
    z = torch.randn(256, wgan.latent, generator=seeded(seed, "samples"))
    found = torch.cat([wgan.encode(wgan.generate(part)) for part in z.split(64)])
    error, norm = torch.cat(errors) * 255, torch.cat(norms)
    return EncoderFigures(
        split=split,
        n_images=len(rows),
        error=float(error.mean()),
        error_95=float(error.quantile(0.95)),
        pyramid=float(torch.cat(pyramids).mean()),
        error_of_mean=float(torch.cat(nothing).mean() * 255),
        norm=float(norm.mean()),
        norm_95=float(norm.quantile(0.95)),
        latent_error=float((found - z).square().mean()),
    )


def train_encoder(
    images: ImageSource,
    wgan: WGAN,
    settings: LoopSettings,
    folder: Path,
    *,
    clock: Callable[[], float],
    options: EncoderSettings | None = None,
    counterfactuals: bool = True,
    begin_with: Encoder | None = None,
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[WGAN, TrainingRun]:
    """Train an encoder for a generator that stays as it is.

    Parameters
    ----------
    images
        Case set or array, at the size of the generator.
    wgan
        The generator; an encoder and heads that it may have are not looked at, and are replaced.
    settings, folder, clock, fresh, on_step, cancelled
        See :func:`explainers.training.loop.train`.
    options
        Weights of the loss.
    counterfactuals
        Train on the films without a finding, too.
    begin_with
        An encoder of the same shape instead of random weights.

    Returns
    -------
    WGAN, TrainingRun
        Generator and encoder (not yet saved), and how it was trained.

    Raises
    ------
    ExplainerError
        As the loop; or if sizes do not fit.
    """
    if images.size != wgan.shape.size:
        raise ExplainerError(
            f"Images of {images.size} px and a generator of {wgan.shape.size} px; use the same "
            "size."
        )
    options = options or EncoderSettings()
    task = EncoderTask(
        images,
        wgan,
        options,
        seed=settings.seed,
        counterfactuals=counterfactuals,
        begin_with=begin_with,
    )
    fingerprint = fingerprint_of(
        kind="wgan-encoder",
        generator=tensors_digest(wgan.generator),
        begin_with="" if begin_with is None else tensors_digest(begin_with),
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
    assert isinstance(run.network, Encoder)
    trained = WGAN(wgan.generator, run.network)
    figures = evaluate_encoder(trained, images, split="val", limit=512, seed=settings.seed)
    trained.reconstruction_error = figures.error_95 / 255
    return trained, run


@torch.no_grad()
def reconstructions(wgan: WGAN, images: Tensor) -> tuple[Tensor, Tensor]:
    """G(E(x)) and the shift G(E(x)) − x of images (N, 1, S, S) in [0, 1]."""
    rebuilt = wgan(images)
    return rebuilt, rebuilt - images
