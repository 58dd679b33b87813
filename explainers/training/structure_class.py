"""Training of the structure/class generator: adversarial, against a frozen classifier.

The discriminator is unconditional. The generator minimises the non-saturating loss plus
−log p_c(y | G(z1, z2)), the non-saturating form of Eq. 1 of medXGAN, where y says which blocks of
z2 are not zero and p_c are the calibrated probabilities of the classifier, by finding. Which
findings are present together is taken from the labels of training films: were it drawn otherwise,
the classifier would ask for what the discriminator forbids.

One term is not in the papers: the mean absolute change of brightness where a present finding is
switched off, so that z2 changes the finding and leaves the rest of the film alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import Cancelled, ExplainerError
from explainers.classifiers.ours import OurClassifier
from explainers.evaluation.class_agreement import ClassAgreement, class_agreement
from explainers.evaluation.distances import set_distance
from explainers.generators.structure_class import (
    StructureClass,
    StructureClassGenerator,
    StructureClassShape,
    drawn_classes,
    sizes_of,
)
from explainers.generators.stylegan2 import Discriminator, from_brightness, to_brightness
from explainers.training.adversarial import AdversarialRun, train_adversarial
from explainers.training.augmentation import adapted, augmented
from explainers.training.class_control import (
    AGREEMENT,
    BALANCED,
    CHANGE,
    CLASS_LOSS,
    StructureClassSettings,
    draw_toggles,
    labels_of,
)
from explainers.training.films import Films
from explainers.training.jitter import jittered
from explainers.training.loop import (
    EpochRecord,
    LoopSettings,
    StepReport,
    batches,
    fingerprint_of,
    seeded,
)
from explainers.training.starting import start_from
from explainers.training.stylegan2 import (
    FRECHET,
    PRECISION,
    RECALL,
    SIGN,
    STRENGTH,
    draw_grid,
    pooled_features,
)


class StructureClassTask:
    """Generator and discriminator; see :class:`explainers.training.adversarial.AdversarialTask`."""

    def __init__(
        self,
        films: Films,
        shape: StructureClassShape,
        settings: LoopSettings,
        options: StructureClassSettings,
        *,
        classifier: OurClassifier,
        features: OurClassifier,
        folder: Path,
        counterfactuals: bool = True,
        start: Path | None = None,
    ) -> None:
        self._targets = torch.tensor([classifier.target(name) for name in shape.findings])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeded(settings.seed, "weights").initial_seed())
            self.generator = StructureClassGenerator(shape)
            self.discriminator = Discriminator(shape.synthesis)
        self.average = copy.deepcopy(self.generator).requires_grad_(False).eval()
        if start is not None:
            start_from(start, self.generator, self.average, self.discriminator)
        for network in (self.generator, self.discriminator, self.average):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.films, self.shape, self.settings, self.options = films, shape, settings, options
        self.rows = films.rows("train", counterfactuals=counterfactuals)
        self.memory: MutableMapping[str, float] = {
            name: 0.0 for name in ("strength", "sign", "class", "change")
        }
        self._classifier, self._features, self._folder = classifier, features, folder
        self.labels = labels_of(films, self.rows, shape.findings)
        held_out = films.rows("val", counterfactuals=counterfactuals)
        rows = held_out if len(held_out) >= options.n_measured else self.rows
        self._real = self._features_of(rows[: options.n_measured])
        self.optimisers: Mapping[str, torch.optim.Optimizer] = {
            "generator": self._adam(self.generator, 0),
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
        """One step of each player; both see the same generated images."""
        real = from_brightness(self.films.image_batch(rows))
        real = real.contiguous(memory_format=torch.channels_last)
        adversarial, of_class, images = self._play_generator(number, len(rows), generator)
        loss = self._play_discriminator(number, real, images, generator)
        self._follow(len(rows))
        self.memory["class"] += 0.02 * (of_class - self.memory["class"])
        return {"generator": adversarial, CLASS_LOSS: of_class, "discriminator": loss}

    def validate(self, number: int) -> Mapping[str, float]:
        """Distances and class agreement of the average, and grids in the folder."""
        options, dice = self.options, seeded(self.settings.seed, "samples")
        network = StructureClass(copy.deepcopy(self.average), self._classifier.weights_digest)
        with torch.no_grad():
            parts = []
            for size in [32] * (options.n_measured // 32) + [options.n_measured % 32]:
                z1, z2 = self._latents(size, dice)[:2]
                parts.append(to_brightness(self.average(z1, z2)))
        samples = torch.cat(parts)
        for name in (f"{number:07d}", ""):
            suffix = f"-{name}.png" if name else ".png"
            draw_grid(samples[:64], self._folder / f"samples{suffix}")
            draw_toggles(network, self._folder / f"toggles{suffix}", seed=self.settings.seed)
        distance = set_distance(self._real, pooled_features(self._features, samples))
        agreement = self._agreement(network)
        return {
            BALANCED: agreement.balanced,
            AGREEMENT: agreement.as_counted,
            FRECHET: distance.frechet,
            PRECISION: distance.precision,
            RECALL: distance.recall,
            SIGN: self.memory["sign"],
            STRENGTH: self.memory["strength"],
            CLASS_LOSS: self.memory["class"],
            CHANGE: self.memory["change"],
            **{f"balanced {each.finding}": each.balanced for each in agreement.findings},
        }

    def _agreement(self, network: StructureClass) -> ClassAgreement:
        return class_agreement(
            network,
            self._classifier,
            n_structures=self.options.n_structures,
            labels=self.labels,
            seed=self.settings.seed,
        )

    def _latents(self, n_images: int, dice: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """z1, z2 and what is present (n, F), together as often as in the films."""
        rows = torch.randint(len(self.labels), (n_images,), generator=dice)
        present = torch.from_numpy(self.labels[rows.numpy()])
        z1 = torch.randn(n_images, self.shape.synthesis.latent, generator=dice)
        return z1, drawn_classes(present, self.shape.block, dice), present

    def _play_generator(
        self, number: int, n_images: int, dice: torch.Generator
    ) -> tuple[float, float, Tensor]:
        self.discriminator.requires_grad_(False)
        self.generator.requires_grad_(True)
        z1, z2, present = self._latents(n_images, dice)
        with self._half():
            images = self.generator(z1, z2, dice)
            scores = self.discriminator(augmented(images, self.memory["strength"], dice))
            adversarial = functional.softplus(-scores.float()).mean()
            of_class = self._class_loss(images, present, dice)
        total = adversarial + self.options.class_weight * of_class
        if self.options.compact_weight and number % self.options.compact_every == 0:
            change = self._compactness(z1, z2, present, dice)
            total = total + self.options.compact_weight * self.options.compact_every * change
            self.memory["change"] += 0.02 * (float(change.detach()) - self.memory["change"])
        optimiser = self.optimisers["generator"]
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        optimiser.step()
        with torch.no_grad():
            w = self.generator.synthesis.latents(z1).float().mean(dim=0)
            self.generator.synthesis.mean_w.lerp_(w, 0.005)
        return float(adversarial.detach()), float(of_class.detach()), images.detach()

    def _compactness(
        self, z1: Tensor, z2: Tensor, present: Tensor, dice: torch.Generator
    ) -> Tensor:
        """Mean absolute change of brightness where one present finding is switched off.

        On up to half of a batch, and with the layers' own noise, which is the same on both sides.
        """
        with_some = torch.nonzero(present.any(dim=1))[:, 0][: max(len(present) // 2, 1)]
        if len(with_some) == 0:
            return z1.new_zeros(())
        z1, z2 = z1[with_some], z2[with_some]
        chosen = torch.multinomial(present[with_some], 1, generator=dice)[:, 0]
        without = z2.clone()
        without[torch.arange(len(z2)), chosen] = 0
        with self._half():
            both = self.generator(torch.cat([z1, z1]), torch.cat([z2, without]))
        before, after = both.float().chunk(2)
        return (before - after).abs().mean() / 2

    def _class_loss(self, images: Tensor, present: Tensor, dice: torch.Generator) -> Tensor:
        """−log p_c(y | G) by calibrated probabilities, mean over images and findings."""
        options = self.options
        seen = jittered(images / 2 + 0.5, options.class_shift, options.class_noise, dice)
        logits = self._classifier.logits(seen.contiguous(memory_format=torch.channels_last)).float()
        calibrated = logits * self._classifier.slopes + self._classifier.intercepts
        return functional.binary_cross_entropy_with_logits(calibrated[:, self._targets], present)

    def _play_discriminator(
        self, number: int, real: Tensor, false: Tensor, dice: torch.Generator
    ) -> float:
        self.discriminator.requires_grad_(True)
        strength = self.memory["strength"]
        with self._half():
            on_false = self.discriminator(augmented(false, strength, dice)).float()
            on_real = self.discriminator(augmented(real, strength, dice)).float()
            loss = functional.softplus(on_false).mean() + functional.softplus(-on_real).mean()
        total = loss
        if number % self.options.r1_every == 0:
            total = total + self._r1(real)
        optimiser = self.optimisers["discriminator"]
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        optimiser.step()
        self._adapt(float(on_real.detach().sign().mean()), len(real))
        return float(loss.detach())

    def _r1(self, real: Tensor) -> Tensor:
        """γ/2 · mean |∂D/∂x|², times the steps for which it stands; in float32."""
        images = real.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.discriminator(images).sum(), images, create_graph=True)
        penalty = slope.square().sum(dim=(1, 2, 3)).mean()
        return self.options.r1 / 2 * self.options.r1_every * penalty

    def _adapt(self, sign: float, n_images: int) -> None:
        memory, target = self.memory, self.options.augmentation_target
        memory["sign"] += 0.05 * (sign - memory["sign"])
        if target:
            memory["strength"] = adapted(
                memory["strength"], memory["sign"], target=target, step=n_images / 100_000
            )

    @torch.no_grad()
    def _follow(self, n_images: int) -> None:
        ema = self.options.ema_images
        decay = 0.5 ** (n_images / ema) if ema else 0.0
        target = self.generator.state_dict()
        for name, value in self.average.state_dict().items():
            value.lerp_(target[name], 1 - decay)

    def _half(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.settings.half_precision)

    def _adam(self, network: nn.Module, every: int) -> torch.optim.Optimizer:
        """Adam without momentum, corrected for steps that carry a regularisation."""
        share = every / (every + 1) if every else 1.0
        rate = self.settings.learning_rate * share
        return torch.optim.Adam(network.parameters(), lr=rate, betas=(0.0, 0.99**share), eps=1e-8)

    def _features_of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        parts = [self.films.image_batch(part) for part in batches(rows, 64)]
        return np.concatenate([pooled_features(self._features, part) for part in parts])


def train_structure_class(
    films: Films,
    settings: LoopSettings,
    folder: Path,
    *,
    shape: StructureClassShape,
    classifier: OurClassifier,
    features: OurClassifier,
    clock: Callable[[], float],
    options: StructureClassSettings | None = None,
    counterfactuals: bool = True,
    start: Path | None = None,
    validate_every: int = 500,
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    on_validation: Callable[[EpochRecord], None] | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[StructureClassGenerator, AdversarialRun]:
    """Train a generator of films whose findings can be switched.

    Parameters
    ----------
    films
        The case set at the size of the shape.
    settings, folder, clock, validate_every, fresh, on_step, on_validation, cancelled
        See :func:`explainers.training.adversarial.train_adversarial`. Grids of samples, and of
        structures with every finding off and on, are drawn into the folder at every validation.
    shape
        Sizes and findings.
    classifier
        The frozen classifier that z2 learns to control, and that is to be explained.
    features
        A classifier in whose features samples and films are compared; it takes no part in the
        training.
    options
        Losses, augmentation and measurement.
    counterfactuals
        Train on the films without a finding, too.
    start
        Checkpoint to begin with, of a StyleGAN2 training of the same sizes or of another run of
        this training.

    Returns
    -------
    StructureClassGenerator, AdversarialRun
        The averaged generator (not yet saved) and how it was trained.

    Raises
    ------
    ExplainerError
        As the loop; or if sizes do not fit, or a finding is not known to classifier and films.
    """
    if films.size != shape.synthesis.size or classifier.input_size != (films.size, films.size):
        raise ExplainerError(
            f"Films of {films.size} px, a generator of {shape.synthesis.size} px and a classifier "
            f"of {classifier.input_size[0]} px; use the same size."
        )
    options = options or StructureClassSettings()
    folder.mkdir(parents=True, exist_ok=True)
    task = StructureClassTask(
        films,
        shape,
        settings,
        options,
        classifier=classifier,
        features=features,
        folder=folder,
        counterfactuals=counterfactuals,
        start=start,
    )
    fingerprint = fingerprint_of(
        kind="structure_class",
        shape=sizes_of(shape),
        options=asdict(options),
        films=films.digest,
        rows=len(task.rows),
        classifier=classifier.weights_digest,
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
