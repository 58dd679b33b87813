"""Training of StyleGAN2: adversarial, without any classifier.

Non-saturating logistic losses; R1 on real images every 16th step and path-length regularisation
every 8th, both scaled to stand for every step (lazy regularisation, §3.1–3.2 of the paper);
adaptive augmentation; an average of the generator's weights, which is what is measured and saved.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import Cancelled, ExplainerError
from explainers.checkpoint import SavedNetwork, read_network, write_network
from explainers.classifiers.networks import SmallNet
from explainers.classifiers.ours import OurClassifier
from explainers.evaluation.distances import frechet, set_distance
from explainers.generators.stylegan2 import (
    Discriminator,
    Generator,
    StyleGANShape,
    from_brightness,
    to_brightness,
)
from explainers.training.adversarial import AdversarialRun, train_adversarial
from explainers.training.augmentation import adapted, augmented
from explainers.training.films import Films, Split
from explainers.training.growing import grow
from explainers.training.held_out import GeneratorFigures
from explainers.training.loop import (
    EpochRecord,
    LoopSettings,
    StepReport,
    batches,
    fingerprint_of,
    seeded,
)

FRECHET, PRECISION, RECALL = "Fréchet distance", "precision", "recall"
SIGN, STRENGTH = "sign of D on films", "augmentation"


@dataclass(frozen=True)
class StyleGANSettings:
    """What is special about this training.

    Parameters
    ----------
    r1
        Weight γ of R1; γ/2 · |∂D/∂x|² on real images.
    r1_every, path_every
        Steps between regularisations.
    path_length
        Weight of the path-length regularisation, 0 to leave it out.
    mixing
        Share of batches whose layers take their w from two z.
    augmentation_target
        Mean sign of D on real images that the augmentation aims at; 0 leaves augmentation out.
    ema_images
        Images after which the average has forgotten half.
    n_measured
        Images in the Fréchet distance, real and generated each.
    """

    r1: float = 1.0
    r1_every: int = 16
    path_length: float = 0.0
    path_every: int = 8
    mixing: float = 0.5
    augmentation_target: float = 0.6
    ema_images: float = 5000.0
    n_measured: int = 512


class StyleGANTask:
    """Generator and discriminator; see :class:`explainers.training.adversarial.AdversarialTask`."""

    def __init__(
        self,
        films: Films,
        shape: StyleGANShape,
        settings: LoopSettings,
        options: StyleGANSettings,
        *,
        features: OurClassifier,
        folder: Path,
        counterfactuals: bool = True,
        grow_from: Path | None = None,
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeded(settings.seed, "weights").initial_seed())
            self.generator, self.discriminator = Generator(shape), Discriminator(shape)
        if grow_from is not None:
            grow(grow_from, {"generator": self.generator, "discriminator": self.discriminator})
        self.average = copy.deepcopy(self.generator).requires_grad_(False).eval()
        if grow_from is not None:
            grow(grow_from, {"average": self.average})
        for network in (self.generator, self.discriminator, self.average):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.films, self.shape, self.settings, self.options = films, shape, settings, options
        self.rows = films.rows("train", counterfactuals=counterfactuals)
        self.memory: MutableMapping[str, float] = {"strength": 0.0, "sign": 0.0, "path": 0.0}
        self._features, self._folder = features, folder
        held_out = films.rows("val", counterfactuals=counterfactuals)
        rows = held_out if len(held_out) >= options.n_measured else self.rows
        self._real = self._features_of(rows[: options.n_measured])
        self.optimisers: Mapping[str, torch.optim.Optimizer] = {
            "generator": self._adam(
                self.generator, options.path_every if options.path_length else 0
            ),
            "discriminator": self._adam(self.discriminator, options.r1_every),
        }

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Generator, its average, and discriminator."""
        return {
            "generator": self.generator,
            "average": self.average,
            "discriminator": self.discriminator,
        }

    def step(
        self, number: int, rows: NDArray[np.int64], generator: torch.Generator
    ) -> Mapping[str, float]:
        """One step of each player."""
        real = from_brightness(self.films.image_batch(rows))
        real = real.contiguous(memory_format=torch.channels_last)
        losses = {
            "generator": self._play_generator(number, len(rows), generator),
            "discriminator": self._play_discriminator(number, real, generator),
        }
        self._follow(len(rows))
        return losses

    def validate(self, number: int) -> Mapping[str, float]:
        """Distances of the average's samples, and a grid of them in the folder."""
        dice = seeded(self.settings.seed, "samples")
        z = torch.randn(self.options.n_measured, self.shape.latent, generator=dice)
        with torch.no_grad():
            parts = [to_brightness(self.average(part)) for part in z.split(32)]
        samples = torch.cat(parts)
        draw_grid(samples[:64], self._folder / f"samples-{number:07d}.png")
        draw_grid(samples[:64], self._folder / "samples.png")
        distance = set_distance(self._real, pooled_features(self._features, samples))
        return {
            FRECHET: distance.frechet,
            PRECISION: distance.precision,
            RECALL: distance.recall,
            SIGN: self.memory["sign"],
            STRENGTH: self.memory["strength"],
        }

    def _play_generator(self, number: int, n_images: int, dice: torch.Generator) -> float:
        self.discriminator.requires_grad_(False)
        self.generator.requires_grad_(True)
        with self._half():
            images, w = self._generated(n_images, dice)
            scores = self.discriminator(augmented(images, self.memory["strength"], dice))
            loss = functional.softplus(-scores.float()).mean()
        total = loss
        if self.options.path_length and number % self.options.path_every == 0:
            total = total + self._path_penalty(n_images, dice)
        self._descend("generator", total)
        with torch.no_grad():
            self.generator.mean_w.lerp_(w.float().mean(dim=0), 0.005)
        return float(loss.detach())

    def _play_discriminator(self, number: int, real: Tensor, dice: torch.Generator) -> float:
        self.discriminator.requires_grad_(True)
        self.generator.requires_grad_(False)
        strength = self.memory["strength"]
        with self._half():
            with torch.no_grad():
                false, _ = self._generated(len(real), dice)
            on_false = self.discriminator(augmented(false, strength, dice)).float()
            on_real = self.discriminator(augmented(real, strength, dice)).float()
            loss = functional.softplus(on_false).mean() + functional.softplus(-on_real).mean()
        total = loss
        if number % self.options.r1_every == 0:
            total = total + self._r1(real)
        self._descend("discriminator", total)
        self._adapt(float(on_real.detach().sign().mean()), len(real))
        return float(loss.detach())

    def _r1(self, real: Tensor) -> Tensor:
        """γ/2 · mean |∂D/∂x|², times the steps for which it stands; in float32."""
        images = real.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.discriminator(images).sum(), images, create_graph=True)
        penalty = slope.square().sum(dim=(1, 2, 3)).mean()
        return self.options.r1 / 2 * self.options.r1_every * penalty

    def _path_penalty(self, n_images: int, dice: torch.Generator) -> Tensor:
        """Mean (|Jᵀy| − a)² with its running mean a (Eq. 4), on half a batch; in float32."""
        z = torch.randn(max(n_images // 2, 1), self.shape.latent, generator=dice)
        w = self.generator.latents(z)
        images = self.generator.synthesise(self.generator.styles(w), dice)
        noise = torch.randn(images.shape, generator=dice) / math.sqrt(images[0, 0].numel())
        (slope,) = torch.autograd.grad((images * noise).sum(), w, create_graph=True)
        lengths = slope.square().sum(dim=1).sqrt()
        mean = self.memory["path"] + 0.01 * (float(lengths.detach().mean()) - self.memory["path"])
        self.memory["path"] = mean
        return self.options.path_length * self.options.path_every * (lengths - mean).square().mean()

    def _generated(self, n_images: int, dice: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images of random z, with two z sharing the layers now and then (style mixing)."""
        draw = self.generator
        w = draw.latents(torch.randn(n_images, self.shape.latent, generator=dice))
        per_layer = [w] * len(draw.layers)
        if float(torch.rand((), generator=dice)) < self.options.mixing:
            cut = int(torch.randint(1, len(per_layer), (), generator=dice))
            other = draw.latents(torch.randn(n_images, self.shape.latent, generator=dice))
            per_layer = per_layer[:cut] + [other] * (len(per_layer) - cut)
        return draw.synthesise(draw.styles(per_layer), dice), w.detach()

    def _descend(self, player: str, loss: Tensor) -> None:
        optimiser = self.optimisers[player]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def _adapt(self, sign: float, n_images: int) -> None:
        self.memory["sign"] += 0.05 * (sign - self.memory["sign"])
        if self.options.augmentation_target:
            step = n_images / 100_000  # as slow as a walk over the whole range in 100,000 images
            self.memory["strength"] = adapted(
                self.memory["strength"],
                self.memory["sign"],
                target=self.options.augmentation_target,
                step=step,
            )

    @torch.no_grad()
    def _follow(self, n_images: int) -> None:
        decay = 0.5 ** (n_images / self.options.ema_images)
        target = self.generator.state_dict()
        for name, value in self.average.state_dict().items():
            value.lerp_(target[name], 1 - decay)

    def _half(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.settings.half_precision)

    def _adam(self, network: nn.Module, every: int) -> torch.optim.Optimizer:
        """Adam without momentum, corrected for steps that carry a regularisation (App. B)."""
        share = every / (every + 1) if every else 1.0
        return torch.optim.Adam(
            network.parameters(),
            lr=self.settings.learning_rate * share,
            betas=(0.0, 0.99**share),
            eps=1e-8,
        )

    def _features_of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.concatenate(
            [
                pooled_features(self._features, self.films.image_batch(part))
                for part in batches(rows, 64)
            ]
        )


def train_stylegan2(
    films: Films,
    settings: LoopSettings,
    folder: Path,
    *,
    shape: StyleGANShape,
    features: OurClassifier,
    clock: Callable[[], float],
    options: StyleGANSettings | None = None,
    counterfactuals: bool = True,
    grow_from: Path | None = None,
    validate_every: int = 500,
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    on_validation: Callable[[EpochRecord], None] | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[Generator, AdversarialRun]:
    """Train a generator of films.

    Parameters
    ----------
    films
        The case set at the size of the shape.
    settings, folder, clock, validate_every, fresh, on_step, on_validation, cancelled
        See :func:`explainers.training.adversarial.train_adversarial`. Grids of samples are drawn
        into the folder at every validation.
    shape
        Sizes.
    features
        A classifier in whose features samples and films are compared; it takes no part in the
        training.
    options
        Regularisation, augmentation and measurement.
    counterfactuals
        Train on the films without a finding, too.
    grow_from
        Checkpoint of a training at a smaller size to begin with; see
        :mod:`explainers.training.growing`.

    Returns
    -------
    Generator, AdversarialRun
        The averaged generator (not yet saved) and how it was trained.

    Raises
    ------
    ExplainerError
        As the loop; or if sizes do not fit.
    """
    if films.size != shape.size:
        raise ExplainerError(
            f"Films of {films.size} px and a generator of {shape.size} px; use the same size."
        )
    options = options or StyleGANSettings()
    folder.mkdir(parents=True, exist_ok=True)
    task = StyleGANTask(
        films,
        shape,
        settings,
        options,
        features=features,
        folder=folder,
        counterfactuals=counterfactuals,
        grow_from=grow_from,
    )
    fingerprint = fingerprint_of(
        kind="stylegan2",
        shape=shape_record(shape),
        options=asdict(options),
        films=films.digest,
        rows=len(task.rows),
        seed=settings.seed,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
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
    return task.average, run


@torch.no_grad()
def pooled_features(classifier: OurClassifier, images: Tensor) -> NDArray[np.float32]:
    """Features (N, D) of images (N, 1, H, W) in [0, 1]: the last stage, averaged over the film.

    Images of another size than the classifier's are brought to it, bilinearly.

    Raises
    ------
    ExplainerError
        If the classifier is of another architecture.
    """
    network = classifier.network
    if not isinstance(network, SmallNet):
        raise ExplainerError(
            "The Fréchet distance needs a classifier of the small or smaller architecture; got "
            f"{classifier.architecture!r}."
        )
    parts = []
    for part in images.split(64):
        if part.shape[-2:] != classifier.input_size:
            part = functional.interpolate(
                part, classifier.input_size, mode="bilinear", antialias=True
            )
        parts.append(network.features_and_logits(part)[0][-1].mean(dim=(2, 3)))
    return torch.cat(parts).float().numpy()


@torch.no_grad()
def evaluate_generator(
    generator: Generator,
    films: Films,
    features: OurClassifier,
    *,
    split: Split = "test",
    limit: int = 2000,
    seed: int = 0,
) -> GeneratorFigures:
    """Compare samples with held-out films, as many of each.

    Raises
    ------
    ExplainerError
        If the split has too few films.
    """
    rows = films.rows(split)[:limit]
    parts = [films.image_batch(part) for part in batches(rows, 64)]
    real = pooled_features(features, torch.cat(parts))
    dice = seeded(seed, "samples")
    z = torch.randn(len(rows), generator.shape.latent, generator=dice)
    samples = torch.cat([to_brightness(generator(part)) for part in z.split(32)])
    distance = set_distance(real, pooled_features(features, samples))
    return GeneratorFigures(
        split=split,
        n_images=len(rows),
        frechet=distance.frechet,
        frechet_of_films=frechet(real[::2], real[1::2]),
        precision=distance.precision,
        recall=distance.recall,
        features=features.weights_digest,
    )


def collapse_warnings(history: tuple[EpochRecord, ...]) -> tuple[str, ...]:
    """Say what is wrong with a run, from its figures; empty if nothing is."""
    if not history:
        return ()
    last, warnings = history[-1].validation, []
    best = min(history, key=lambda record: record.validation[FRECHET])
    if last[RECALL] < 0.05 and len(history) > 3:
        warnings.append(
            f"Recall is {last[RECALL]:.2f}: the samples cover little of the films; the generator "
            "may have collapsed. Lower the learning rate or raise R1."
        )
    if last[FRECHET] > 1.5 * best.validation[FRECHET] and last[FRECHET] > 1e-6:
        warnings.append(
            f"The Fréchet distance is {last[FRECHET]:.3g}, it was {best.validation[FRECHET]:.3g} "
            f"after step {best.step}: the run gets worse. Stop it, or start afresh."
        )
    if last[SIGN] > 0.95 and len(history) > 3:
        warnings.append(
            f"The discriminator knows the films too surely (mean sign {last[SIGN]:.2f}): it "
            "learns them by heart. More films, more augmentation or a larger R1 help."
        )
    return tuple(warnings)


def draw_grid(images: Tensor, path: Path, *, columns: int = 8) -> None:
    """Write images (N, 1, H, W) in [0, 1] as one PNG, row by row.

    Raises
    ------
    ExplainerError
        If the disk refuses.
    """
    n_rows = -(-len(images) // columns)
    side = images.shape[2]
    sheet = np.zeros((n_rows * side, columns * side), np.uint8)
    for number, picture in enumerate((images[:, 0] * 255).round().byte().numpy()):
        row, column = divmod(number, columns)
        sheet[row * side : (row + 1) * side, column * side : (column + 1) * side] = picture
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheet).save(path)
    except OSError as error:
        raise ExplainerError(f"{path} could not be written: {error}.") from error


def save_generator(path: Path, generator: Generator) -> str:
    """Write a generator to a ``.safetensors`` file and return its digest.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.
    """
    return write_network(path, generator, "stylegan2", shape_record(generator.shape))


def shape_record(shape: StyleGANShape) -> dict[str, Any]:
    """Return the sizes of a shape by name, without options that stand at their default.

    Files and checkpoints written before an option was thought of thus keep their meaning.
    """
    plain = StyleGANShape()
    return {
        name: value
        for name, value in asdict(shape).items()
        if name not in ("borders", "clamp") or value != getattr(plain, name)
    }


def shape_of(saved: SavedNetwork) -> StyleGANShape:
    """Return the shape in the header of a weights file.

    Raises
    ------
    ExplainerError
        If the header lacks a size or one is out of range.
    """
    sizes = ("size", "channel_base", "channel_limit", "latent", "n_mapping")
    return StyleGANShape(
        **{name: int(saved.field(name)) for name in sizes},
        borders=saved.header.get("borders", "edge"),
        clamp=float(saved.header.get("clamp", 0.0)),
    )


def load_generator(path_or_name: str | Path) -> Generator:
    """Load a generator from a file or by the name of a shipped one; frozen, in float32.

    Raises
    ------
    ExplainerError
        If the file is missing, unreadable, of another kind, or does not fit its architecture.
    """
    saved = read_network(path_or_name, "stylegan2")
    with torch.random.fork_rng(devices=[]):
        generator = Generator(shape_of(saved))
    saved.fill(generator)
    return generator
