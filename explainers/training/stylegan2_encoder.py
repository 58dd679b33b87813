"""Training of the encoder that begins a projection: image to styles of a finished generator.

Half of every batch are samples, whose styles are known: their places along the principal
directions are learnt directly, each direction weighted by how much S varies along it. The other
half are training films, whose styles nobody knows: they are learnt through the generator, by the
error of the reconstruction. The generator itself does not change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from explainers.base import Cancelled, ExplainerError
from explainers.generators.stylegan2 import Generator, to_brightness
from explainers.stylespace.encoder import StyleEncoder, principal_directions
from explainers.training.films import Films
from explainers.training.loop import (
    LoopSettings,
    StepReport,
    TrainingRun,
    batches,
    fingerprint_of,
    seeded,
    train,
)

FILM_MAE, SAMPLE_MAE = "MAE on films", "MAE on samples"


@dataclass(frozen=True)
class EncoderSettings:
    """What is special about this training.

    Parameters
    ----------
    n_directions
        The most principal directions of S.
    reconstruction
        Weight of the absolute and squared error of the reconstructions, in brightness.
    n_measured
        Films and samples on which an epoch is measured.
    """

    n_directions: int = 128
    reconstruction: float = 5.0
    n_measured: int = 64


class EncoderTask:
    """Encoder and generator; see :class:`explainers.training.loop.Task`."""

    def __init__(
        self,
        encoder: StyleEncoder,
        generator: Generator,
        films: Films,
        settings: EncoderSettings,
        *,
        counterfactuals: bool = True,
        seed: int = 0,
    ) -> None:
        self._encoder, self._generator, self._films = encoder, generator, films
        self._settings, self._seed = settings, seed
        self.rows = films.rows("train", counterfactuals=counterfactuals)
        power = encoder.directions.square().sum(dim=1)
        self._share = power / power.sum()
        held_out = films.rows("val")
        self._measured = (held_out if len(held_out) else self.rows)[: settings.n_measured]

    @property
    def network(self) -> nn.Module:
        """What is trained."""
        return self._encoder

    def loss(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Error of the places of samples, and of the reconstructions of samples and films."""
        films = self._films.image_batch(rows[: max(len(rows) // 2, 1)])
        styles, samples = self._samples(len(rows) - len(films), generator)
        images = torch.cat([films, samples])
        places = self._encoder.places(images).float()
        apart = (places[len(films) :] - self._places(styles)).square()
        rebuilt = self._generator.synthesise(self._encoder.styles_at(places)).float() / 2 + 0.5
        error = rebuilt - images
        drawn = error.abs().mean() + error.square().mean()
        return (apart * self._share).sum(dim=1).mean() + self._settings.reconstruction * drawn

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Mean absolute error, in grey levels of 255, of the first guess."""
        films = self._films.image_batch(self._measured)
        dice = seeded(self._seed, "measured samples")
        _, samples = self._samples(len(films), dice)
        return {FILM_MAE: self._mae(network, films), SAMPLE_MAE: self._mae(network, samples)}

    def _mae(self, network: nn.Module, images: Tensor) -> float:
        errors = [
            (to_brightness(self._generator.synthesise(network(part))) - part).abs().mean() * 255
            for part in images.split(16)
        ]
        return float(torch.stack(errors).mean())

    @torch.no_grad()
    def _samples(self, n: int, dice: torch.Generator) -> tuple[Tensor, Tensor]:
        z = torch.randn(n, self._generator.shape.latent, generator=dice)
        styles = self._generator.styles(self._generator.latents(z)).float()
        drawn = [self._generator.synthesise(styles[part]) for part in batches(np.arange(n), 16)]
        return styles, to_brightness(torch.cat(drawn).float())

    def _places(self, styles: Tensor) -> Tensor:
        """Where styles (N, D) stand along the directions, (N, K), in standard deviations."""
        directions = self._encoder.directions
        power = directions.square().sum(dim=1)
        return (styles - self._encoder.mean) @ directions.T / power


def train_encoder(
    generator: Generator,
    generator_digest: str,
    films: Films,
    settings: LoopSettings,
    folder: Path,
    *,
    clock: Callable[[], float],
    options: EncoderSettings | None = None,
    counterfactuals: bool = True,
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[StyleEncoder, TrainingRun]:
    """Train an encoder for a generator.

    Parameters
    ----------
    generator, generator_digest
        The finished generator, frozen, and the SHA-256 of its file.
    films
        Films of the generator's size.
    settings, folder, clock, fresh, on_step, cancelled
        See :func:`explainers.training.loop.train`.
    options
        Directions and weights.
    counterfactuals
        Learn from the films without a finding, too.

    Returns
    -------
    StyleEncoder, TrainingRun
        The encoder (not yet saved) and how it was trained.

    Raises
    ------
    ExplainerError
        As the loop; or if the sizes differ or the generator's styles do not vary.
    """
    size = generator.shape.size
    if films.size != size:
        raise ExplainerError(
            f"Films of {films.size} px and a generator of {size} px; use --size {size}."
        )
    options = options or EncoderSettings()
    mean, directions = principal_directions(generator, options.n_directions, seed=settings.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded(settings.seed, "weights").initial_seed())
        encoder = StyleEncoder(size, len(mean), len(directions), generator_digest=generator_digest)
    encoder.mean.copy_(mean)
    encoder.directions.copy_(directions)
    task = EncoderTask(
        encoder, generator, films, options, counterfactuals=counterfactuals, seed=settings.seed
    )
    fingerprint = fingerprint_of(
        kind="stylegan2_encoder",
        generator=generator_digest,
        options=asdict(options),
        films=films.digest,
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
    assert isinstance(run.network, StyleEncoder)
    run.network.requires_grad_(False)
    return run.network, run
