"""Training of a WGAN with gradient penalty (Gulrajani et al., arXiv:1704.00028).

The critic takes ``critic_steps`` steps (4 in Seah et al.) for each one of the generator. A step of
the loop is a step of the critic on a batch of its own; every ``critic_steps``-th one is followed
by a step of the generator. The critic minimises mean D(G(z)) − mean D(x) + λ · mean (|∂D/∂x̂| − 1)²
with x̂ on the segment between a film and a sample; the generator minimises −mean D(G(z)).

Convolutions run in bfloat16 where the settings say so, the gradient's norm in float32.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from explainers.base import Cancelled, ExplainerError
from explainers.classifiers.ours import OurClassifier
from explainers.evaluation.distances import set_distance
from explainers.generators.wgan import (
    WGAN,
    Critic,
    Generator,
    WGANShape,
    load_wgan,
    tensors_digest,
    to_signed,
    to_unit,
)
from explainers.training.adversarial import AdversarialRun, train_adversarial
from explainers.training.images import ImageSource
from explainers.training.loop import (
    EpochRecord,
    LoopSettings,
    StepReport,
    batches,
    fingerprint_of,
    seeded,
)
from explainers.training.stylegan2 import FRECHET, PRECISION, RECALL, draw_grid, pooled_features
from explainers.training.wgan_encoder import pyramid_loss
from explainers.training.wgan_measures import (
    ANCHOR,
    DISTANCE,
    PENALTY,
    SPREAD,
    TRAINING_DISTANCE,
)


@dataclass(frozen=True)
class WGANSettings:
    """What is special about this training.

    Parameters
    ----------
    critic_steps
        Steps of the critic per step of the generator.
    penalty
        λ of the gradient penalty.
    beta1, beta2
        Of Adam, both players.
    ema_images
        Images of the generator after which its average has forgotten half; 0 for no average.
    n_measured
        Images in the distances, real and generated each.
    critic_first
        Steps of the critic before the generator moves at all, so that a generator that was begun
        elsewhere is not led astray by a critic that knows nothing.
    anchor
        Weight of the pyramid loss between x and G(E(x)), E the frozen encoder of the beginning,
        in the generator's loss; it keeps films within the generator's reach. 0, as in the paper,
        leaves it out.

    Raises
    ------
    ExplainerError
        If a number is out of range.
    """

    critic_steps: int = 4
    penalty: float = 10.0
    beta1: float = 0.0
    beta2: float = 0.9
    ema_images: float = 5000.0
    n_measured: int = 512
    critic_first: int = 0
    anchor: float = 0.0

    def __post_init__(self) -> None:
        if self.critic_first < 0 or self.anchor < 0:
            raise ExplainerError(f"{self}: expected critic_first and anchor >= 0.")
        if self.critic_steps < 1 or self.penalty < 0 or self.ema_images < 0 or self.n_measured < 8:
            raise ExplainerError(
                f"{self}: expected critic_steps >= 1, penalty and ema_images >= 0, n_measured >= 8."
            )
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ExplainerError(f"{self}: expected the betas of Adam in [0, 1).")


class WGANTask:
    """Generator and critic; see :class:`explainers.training.adversarial.AdversarialTask`."""

    def __init__(
        self,
        images: ImageSource,
        shape: WGANShape,
        settings: LoopSettings,
        options: WGANSettings,
        *,
        folder: Path,
        features: OurClassifier | None = None,
        counterfactuals: bool = True,
        begin_with: WGAN | None = None,
    ) -> None:
        if options.anchor and (begin_with is None or begin_with.encoder is None):
            raise ExplainerError(
                "An anchor needs a beginning with an encoder; give a file of `counterlight train "
                "wgan-start` to begin with."
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeded(settings.seed, "weights").initial_seed())
            self.generator, self.critic = Generator(shape), Critic(shape)
        if begin_with is not None:
            self.generator.load_state_dict(begin_with.generator.state_dict())
        self._anchor = copy.deepcopy(begin_with.encoder) if begin_with and options.anchor else None
        self.average = copy.deepcopy(self.generator).requires_grad_(False).eval()
        for network in (self.generator, self.critic, self.average):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.images, self.shape, self.settings, self.options = images, shape, settings, options
        self.rows = images.rows("train", counterfactuals=counterfactuals)
        self.memory: MutableMapping[str, float] = dict.fromkeys(
            ("generator", "penalty", "gap", "anchor"), 0.0
        )
        self._features, self._folder = features, folder
        held_out = images.rows("val", counterfactuals=counterfactuals)
        enough = len(held_out) >= min(options.n_measured, 64)
        self._measured = (held_out if enough else self.rows)[: options.n_measured]
        self._real = self._features_of(self._measured)
        self.optimisers: Mapping[str, torch.optim.Optimizer] = {
            "generator": self._adam(self.generator),
            "critic": self._adam(self.critic),
        }

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Generator, its average, and critic."""
        return {"generator": self.generator, "average": self.average, "critic": self.critic}

    def step(
        self, number: int, rows: NDArray[np.int64], generator: torch.Generator
    ) -> Mapping[str, float]:
        """One step of the critic and, every ``critic_steps``-th time, one of the generator."""
        real = to_signed(self.images.image_batch(rows))
        real = real.contiguous(memory_format=torch.channels_last)
        loss = self._play_critic(real, generator)
        every, first = self.options.critic_steps, self.options.critic_first
        if number >= first and (number + 1) % every == 0:
            self.memory["generator"] = self._play_generator(real, generator)
            self._follow(len(rows), (number - first) // every)
        return {"critic": loss, "generator": self.memory["generator"]}

    @torch.no_grad()
    def validate(self, number: int) -> Mapping[str, float]:
        """Distances of the average's samples, and a grid of them in the folder."""
        dice = seeded(self.settings.seed, "samples")
        z = torch.randn(len(self._measured), self.shape.latent, generator=dice)
        samples = torch.cat([self.average(part) for part in z.split(64)])
        unit = to_unit(samples)
        draw_grid(unit[:64], self._folder / f"samples-{number:07d}.png")
        draw_grid(unit[:64], self._folder / "samples.png")
        figures: dict[str, float] = {}
        if self._features is not None:
            distance = set_distance(self._real, pooled_features(self._features, unit))
            figures |= {
                FRECHET: distance.frechet,
                PRECISION: distance.precision,
                RECALL: distance.recall,
            }
        films = torch.cat(
            [self._scores(self.images.image_batch(part)) for part in batches(self._measured, 64)]
        )
        invented = torch.cat([self.critic(part) for part in samples.split(64)])
        figures |= {
            DISTANCE: float(films.mean() - invented.mean()),
            TRAINING_DISTANCE: self.memory["gap"],
            PENALTY: self.memory["penalty"],
            SPREAD: float(unit.std(dim=0).mean()),
        }
        if self._anchor is not None:
            figures[ANCHOR] = self.memory["anchor"]
        return figures

    def _scores(self, images: Tensor) -> Tensor:
        return self.critic(to_signed(images))

    def _play_critic(self, real: Tensor, dice: torch.Generator) -> float:
        n_images = len(real)
        with torch.no_grad(), self._half():
            fake = self.generator(torch.randn(n_images, self.shape.latent, generator=dice))
        with self._half():
            scores = self.critic(torch.cat([real, fake]))  # (2N, 1)
        gap = scores[:n_images].mean() - scores[n_images:].mean()
        share = torch.rand(n_images, 1, 1, 1, generator=dice)
        penalty = gradient_penalty(self.critic, torch.lerp(real, fake, share), self._half)
        loss = self.options.penalty * penalty - gap
        self._descend("critic", loss)
        for name, value in (("gap", float(gap.detach())), ("penalty", float(penalty.detach()))):
            self.memory[name] += 0.05 * (value - self.memory[name])
        return float(loss.detach())

    def _play_generator(self, real: Tensor, dice: torch.Generator) -> float:
        self.critic.requires_grad_(False)
        with self._half():
            fake = self.generator(torch.randn(len(real), self.shape.latent, generator=dice))
            loss = -self.critic(fake).mean()
            total = loss
            if self._anchor is not None:
                with torch.no_grad():
                    latents = self._anchor(real)
                distance = pyramid_loss(self.generator(latents), real, levels=5).mean()
                self.memory["anchor"] += 0.05 * (float(distance.detach()) - self.memory["anchor"])
                total = loss + self.options.anchor * distance
        self._descend("generator", total)
        self.critic.requires_grad_(True)
        return float(loss.detach())

    def _descend(self, player: str, loss: Tensor) -> None:
        optimiser = self.optimisers[player]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    @torch.no_grad()
    def _follow(self, n_images: int, n_steps: int) -> None:
        images = self.options.ema_images
        decay = 0.5 ** (n_images / images) if images else 0.0
        decay = min(decay, n_steps / (n_steps + 9))  # the first weights are soon forgotten
        target = self.generator.state_dict()
        for name, value in self.average.state_dict().items():
            value.lerp_(target[name], 1 - decay)

    def _half(self) -> AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.settings.half_precision)

    def _adam(self, network: nn.Module) -> torch.optim.Optimizer:
        betas = (self.options.beta1, self.options.beta2)
        return torch.optim.Adam(network.parameters(), lr=self.settings.learning_rate, betas=betas)

    def _features_of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        if self._features is None:
            return np.zeros((0, 0), np.float32)
        parts = [self.images.image_batch(part) for part in batches(rows, 64)]
        return pooled_features(self._features, torch.cat(parts))


def gradient_penalty(
    critic: nn.Module, images: Tensor, precision: Callable[[], AbstractContextManager[object]]
) -> Tensor:
    """Mean over the images of (|∂D/∂x| − 1)², a scalar that can be differentiated again.

    Parameters
    ----------
    critic
        Images (N, 1, H, W) to scores (N, 1).
    images
        Where the gradient is taken.
    precision
        Makes the context in which the critic runs, such as autocast.
    """
    images = images.detach().requires_grad_()
    with precision():
        total = critic(images).float().sum()
    (gradient,) = torch.autograd.grad(total, images, create_graph=True)
    norms = gradient.float().flatten(1).square().sum(dim=1).clamp(min=1e-12).sqrt()
    return (norms - 1).square().mean()


def train_wgan(
    images: ImageSource,
    settings: LoopSettings,
    folder: Path,
    *,
    shape: WGANShape,
    clock: Callable[[], float],
    options: WGANSettings | None = None,
    features: OurClassifier | None = None,
    counterfactuals: bool = True,
    begin_with: Path | None = None,
    validate_every: int = 500,
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    on_validation: Callable[[EpochRecord], None] | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[WGAN, AdversarialRun]:
    """Train a generator.

    Parameters
    ----------
    images
        Case set or array, at the size of the shape.
    settings, folder, clock, validate_every, fresh, on_step, on_validation, cancelled
        See :func:`explainers.training.adversarial.train_adversarial`; a step is one of the critic.
        Grids of samples are drawn into the folder at every validation.
    shape
        Sizes.
    options
        Penalty, steps, averages, measurement.
    features
        A classifier in whose features samples and films are compared, or ``None``; it takes no
        part in the training.
    counterfactuals
        Train on the films without a finding, too.
    begin_with
        A WGAN file whose generator is the beginning instead of random weights.

    Returns
    -------
    WGAN, AdversarialRun
        The averaged generator without encoder (not yet saved) and how it was trained.

    Raises
    ------
    ExplainerError
        As the loop; or if sizes do not fit.
    """
    if images.size != shape.size:
        raise ExplainerError(
            f"Images of {images.size} px and a generator of {shape.size} px; use the same size."
        )
    options = options or WGANSettings()
    beginning = _beginning(begin_with, shape)
    folder.mkdir(parents=True, exist_ok=True)
    task = WGANTask(
        images,
        shape,
        settings,
        options,
        folder=folder,
        features=features,
        counterfactuals=counterfactuals,
        begin_with=beginning,
    )
    fingerprint = fingerprint_of(
        kind="wgan",
        shape=asdict(shape),
        options=asdict(options),
        images=images.digest,
        rows=len(task.rows),
        seed=settings.seed,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        begin_with=tensors_digest(beginning) if beginning is not None else "",
    )
    run = train_adversarial(
        task,
        settings,
        folder,
        fingerprint=fingerprint,
        clock=clock,
        validate_every=validate_every,
        fresh=fresh,
        on_step=on_step,
        on_validation=on_validation,
        cancelled=cancelled,
    )
    return WGAN(task.average), run


def _beginning(path: Path | None, shape: WGANShape) -> WGAN | None:
    if path is None:
        return None
    begun = load_wgan(path)
    if begun.shape != shape:
        raise ExplainerError(
            f"{path} holds a generator of {begun.shape}, the training is of {shape}; use the same "
            "sizes."
        )
    return begun
