"""Training of paired generators against a frozen classifier (Charachon et al. 2021, §3).

With c the side that the classifier puts an image x on, a = g_c(x) the adversarial image, s the
stable one and y = g_{1−c}(a) the way back, the generators of a direction minimise

    λ_sym·rec(x, s) + λ_cyc·rec(x, y) + λ_adv·BCE(f(a), 1−c) + λ_fsym·BCE(f(s), c)
    + λ_fcyc·BCE(f(y), c) + λ_G·BCE(D(a), 1) + λ_θ·|θ_s − θ_g|² + λ_near·rec(s, a)
    + λ_place·Σ|x − a||x − s| / Σ|x − a|,

rec being mean squared plus mean absolute error. The last two terms are not in the paper. The
discriminator of the other side minimises λ_D·BCE + λ_gp·mean (|∂D/∂x̂| − 1)². A step is one of each
direction, then both discriminators.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import Cancelled, ExplainerError
from explainers.classifiers.base import Classifier
from explainers.generators.paired import (
    Contrast,
    PairDiscriminator,
    PairedGenerators,
    PairedShape,
)
from explainers.training.adversarial import AdversarialRun, train_adversarial
from explainers.training.contrasts import Judge, pools_of
from explainers.training.images import ImageSource
from explainers.training.jitter import jittered
from explainers.training.loop import (
    EpochRecord,
    LoopSettings,
    StepReport,
    fingerprint_of,
    seeded,
)
from explainers.training.paired_weights import PairedWeights
from explainers.training.stylegan2 import draw_grid

ADVERSARIAL, STABLE = "agreement on adversarial images", "agreement on stable images"
STABLE_ERROR, CHANGE = "error of stable images", "mean change"

_LEAST_CHANGE = 1e-3


@dataclass(frozen=True)
class PairedSettings:
    """What is special about this training.

    Parameters
    ----------
    discriminator_rate
        Learning rate of the discriminators, as a multiple of the generators'.
    beta1
        First beta of Adam.
    ema_steps
        Steps after which the average has forgotten half; 0 for no average.
    n_measured
        Images per contrast and side that the agreements are measured on.
    judge_shift, judge_noise
        Of what the classifier sees while it teaches; see
        :func:`explainers.training.jitter.jittered`. 0 for the image as it is, as in the paper.
    """

    discriminator_rate: float = 2.0
    beta1: float = 0.5
    ema_steps: float = 300.0
    n_measured: int = 24
    judge_shift: int = 0
    judge_noise: float = 0.0


class PairedTask:
    """Generators and discriminators; see :class:`explainers.training.adversarial.AdversarialTask`.

    The rows that the loop hands out only set the number of images; which ones are taken is drawn
    from the pools of the contrasts, each contrast as often as any other.
    """

    def __init__(
        self,
        system: str,
        images: ImageSource,
        judge: Judge,
        shape: PairedShape,
        weights: PairedWeights,
        settings: LoopSettings,
        options: PairedSettings,
        *,
        folder: Path,
        begin_with: PairedGenerators | None = None,
    ) -> None:
        digest = judge.classifier.weights_digest
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeded(settings.seed, "weights").initial_seed())
            self.pair = PairedGenerators(system, shape, judge.contrasts, digest)
            self.discriminators = nn.ModuleList(PairDiscriminator(shape) for _ in range(2))
        if begin_with is not None:
            self.pair.take_over(begin_with)
        self.average = copy.deepcopy(self.pair).requires_grad_(False).eval()
        for network in (self.pair, self.discriminators, self.average):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.images, self.judge, self.weights = images, judge, weights
        self.settings, self.options, self._folder = settings, options, folder
        self.rows = images.rows("train")
        self._pools = pools_of(judge, images, self.rows, folder)
        held_out = images.rows("val")
        self._held_out = pools_of(judge, images, held_out, folder) if len(held_out) else self._pools
        self.memory: MutableMapping[str, float] = {}
        rate, betas = settings.learning_rate, (options.beta1, 0.999)
        self.optimisers: Mapping[str, torch.optim.Optimizer] = {
            "generators": torch.optim.Adam(self.pair.parameters(), rate, betas),
            "discriminators": torch.optim.Adam(
                self.discriminators.parameters(), rate * options.discriminator_rate, betas
            ),
        }

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Generators, their average, and discriminators."""
        return {
            "generators": self.pair,
            "average": self.average,
            "discriminators": self.discriminators,
        }

    def step(
        self, number: int, rows: NDArray[np.int64], generator: torch.Generator
    ) -> Mapping[str, float]:
        """One step of the generators of each direction, then one of both discriminators."""
        losses: dict[str, float] = {}
        made: list[tuple[Tensor, Tensor, Tensor]] = []
        for side in (0, 1):
            contrasts, images = self._drawn(len(rows), side, generator)
            total, adversarial = self._generator_loss(images, contrasts, side, generator)
            self._descend("generators", self.pair, total)
            losses[f"generator {side}"] = float(total.detach())
            made.append((images, adversarial.detach(), contrasts))
        if self.weights.gan:
            losses["discriminators"] = self._play_discriminators(made, generator)
        self._follow(number)
        return losses

    def validate(self, number: int) -> Mapping[str, float]:
        """Agreements of the average on held-out images, and a grid of pictures in the folder."""
        found: dict[str, list[float]] = {
            name: [] for name in (ADVERSARIAL, STABLE, STABLE_ERROR, CHANGE)
        }
        shown = []
        for number_of_contrast in range(len(self.judge.contrasts)):
            for side in (0, 1):
                pool = self._held_out.sides[number_of_contrast][side]
                images = self.images.image_batch(pool[: self.options.n_measured])
                contrasts = torch.full((len(images),), number_of_contrast)
                with torch.no_grad(), self._half():
                    a = self.average.adversarial(images, contrasts, side)
                    s = self.average.stable(images, a, contrasts, side)
                    margins = [self.judge.margins(each, contrasts) for each in (a, s)]
                for name, margin in zip((ADVERSARIAL, STABLE), margins, strict=True):
                    found[name].append(float(((margin >= 0) == bool(side)).float().mean()))
                found[STABLE_ERROR].append(float((s - images).abs().mean()))
                found[CHANGE].append(float((s - a).abs().mean()))
                shown.append(torch.cat([images[:2], s[:2].float(), a[:2].float()]))
        rows = [each[[0, 2, 4, 1, 3, 5]] for each in shown if len(each) == 6]
        if rows:
            grid = torch.cat(rows)
            change = 0.5 + 2 * (grid[1::3] - grid[2::3])
            cells = torch.stack([grid[0::3], grid[1::3], grid[2::3], change], dim=1)
            draw_grid(cells.flatten(0, 1).clamp(0, 1), self._folder / "samples.png")
        return {name: float(np.mean(values)) for name, values in found.items()}

    def _drawn(self, n_images: int, side: int, dice: torch.Generator) -> tuple[Tensor, Tensor]:
        contrasts = torch.randint(len(self.judge.contrasts), (n_images,), generator=dice)
        images = self.images.image_batch(self._pools.draw(contrasts, side, dice))
        return contrasts, images.contiguous(memory_format=torch.channels_last)

    def _generator_loss(
        self, x: Tensor, contrasts: Tensor, side: int, dice: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Sum of the weighted terms of one direction, and the adversarial images."""
        weights, total = self.weights, torch.zeros(())
        self.discriminators.requires_grad_(False)
        with self._half():
            a = self.pair.adversarial(x, contrasts, side)
            if weights.adversarial:
                total = total + weights.adversarial * self._entropy(a, contrasts, 1 - side, dice)
            if weights.symmetry or weights.stable_class or weights.closeness or weights.place:
                s = self.pair.stable(x, a, contrasts, side)
                total = total + weights.symmetry * reconstruction(x, s)
                if weights.stable_class:
                    total = total + weights.stable_class * self._entropy(s, contrasts, side, dice)
                if weights.closeness:
                    total = total + weights.closeness * reconstruction(s, a)
                if weights.place:
                    total = total + weights.place * error_at_change(x, a, s)
            if weights.cycle or weights.cycle_class:
                y = self.pair.adversarial(a, contrasts, 1 - side)
                total = total + weights.cycle * reconstruction(x, y)
                if weights.cycle_class:
                    total = total + weights.cycle_class * self._entropy(y, contrasts, side, dice)
            if weights.gan:
                scores = self.discriminators[1 - side](a, contrasts).float()
                total = total + weights.gan * functional.softplus(-scores).mean()
        if weights.parameters:
            total = total + weights.parameters * self._parameter_distance(side)
        return total, a

    def _entropy(
        self, images: Tensor, contrasts: Tensor, wanted: int, dice: torch.Generator
    ) -> Tensor:
        """Cross-entropy of the classifier's side with the wanted one."""
        seen = jittered(images, self.options.judge_shift, self.options.judge_noise, dice)
        margins = self.judge.margins(seen, contrasts)
        return functional.softplus(margins if wanted == 0 else -margins).mean()

    def _parameter_distance(self, side: int) -> Tensor:
        """Sum of squared differences between the stable and the adversarial generator."""
        pairs = zip(
            self.pair.stables[side].parameters(),
            self.pair.generator(side).parameters(),
            strict=True,
        )
        return torch.stack([(one - other).square().sum() for one, other in pairs]).sum()

    def _play_discriminators(
        self, made: Sequence[tuple[Tensor, Tensor, Tensor]], dice: torch.Generator
    ) -> float:
        """Let the discriminator of each side tell real images from what was sent there."""
        self.discriminators.requires_grad_(True)
        total = torch.zeros(())
        for side in (0, 1):
            real, _, real_contrasts = made[side]
            _, false, false_contrasts = made[1 - side]
            judge = self.discriminators[side]
            with self._half():
                on_real = judge(real, real_contrasts).float()
                on_false = judge(false, false_contrasts).float()
            entropy = functional.softplus(-on_real).mean() + functional.softplus(on_false).mean()
            total = total + self.weights.discriminator * entropy
            if self.weights.penalty:
                slope = _slope(judge, real, false, false_contrasts, dice)
                total = total + self.weights.penalty * (slope - 1).square().mean()
        self._descend("discriminators", self.discriminators, total)
        return float(total.detach())

    def _descend(self, player: str, network: nn.Module, loss: Tensor) -> None:
        optimiser = self.optimisers[player]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), self.settings.clip_norm)
        optimiser.step()

    @torch.no_grad()
    def _follow(self, number: int) -> None:
        """Move the average; early in the training it follows closely."""
        keep = 0.0
        if self.options.ema_steps:
            keep = min(0.5 ** (1 / self.options.ema_steps), (1 + number) / (10 + number))
        own = dict(self.pair.named_parameters())
        for name, averaged in self.average.named_parameters():
            averaged.lerp_(own[name], 1 - keep)

    def _half(self) -> AbstractContextManager[None]:
        half: AbstractContextManager[None] = torch.autocast(
            "cpu", torch.bfloat16, enabled=self.settings.half_precision
        )
        return half


def reconstruction(one: Tensor, other: Tensor) -> Tensor:
    """Mean squared plus mean absolute difference, in float32."""
    difference = one.float() - other.float()
    return difference.square().mean() + difference.abs().mean()


def error_at_change(x: Tensor, a: Tensor, s: Tensor) -> Tensor:
    """Mean absolute difference of s and x, every pixel weighing as much as a differs from x there.

    Over the whole image the stable one is nearly right as soon as it is right outside the finding.
    """
    weight = (x.float() - a.detach().float()).abs()
    share = weight / weight.sum(dim=(1, 2, 3), keepdim=True).clamp(min=_LEAST_CHANGE)
    return (share * (x.float() - s.float()).abs()).sum(dim=(1, 2, 3)).mean()


def _slope(
    discriminator: nn.Module,
    real: Tensor,
    false: Tensor,
    contrasts: Tensor,
    dice: torch.Generator,
) -> Tensor:
    """|∂D/∂x̂| (N,) on points between real and generated images; in float32."""
    share = torch.rand(len(real), 1, 1, 1, generator=dice)
    between = (share * real + (1 - share) * false.float()).detach().requires_grad_()
    scores = discriminator(between, contrasts).mean(dim=(1, 2))
    (slope,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
    return (slope.square().sum(dim=(1, 2, 3)) + 1e-12).sqrt()


def train_paired(
    system: str,
    images: ImageSource,
    classifier: Classifier,
    contrasts: Sequence[Contrast],
    settings: LoopSettings,
    folder: Path,
    *,
    shape: PairedShape,
    weights: PairedWeights,
    clock: Callable[[], float],
    options: PairedSettings | None = None,
    begin_with: PairedGenerators | None = None,
    validate_every: int = 250,
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    on_validation: Callable[[EpochRecord], None] | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[PairedGenerators, AdversarialRun]:
    """Train generators, or go on where a checkpoint stopped.

    Parameters
    ----------
    system
        One of :data:`explainers.generators.paired.SYSTEMS`.
    images, classifier, contrasts
        Images, the frozen classifier that sorts and judges them, and what is told apart.
    settings, folder, clock, validate_every, fresh, on_step, on_validation, cancelled
        As for :func:`explainers.training.adversarial.train_adversarial`; the batch size is that of
        one direction. The last checkpoint stays if the training diverges.
    shape, weights, options
        Sizes, losses, optimisers.
    begin_with
        A pair of the same sizes and contrasts, of any system, whose generators are taken over.

    Returns
    -------
    PairedGenerators, AdversarialRun
        The averaged generators, frozen, and what happened.

    Raises
    ------
    ExplainerError
        If the images are not of the generators' size, the classifier says the same of all of them,
        the training was stopped or diverged, or the disk refuses.
    """
    if images.size != shape.size or tuple(classifier.input_size) != (shape.size, shape.size):
        raise ExplainerError(
            f"Images of {images.size} pixels, a classifier of {classifier.input_size} and "
            f"generators of {shape.size}; give all the same size."
        )
    options = options or PairedSettings()
    task = PairedTask(
        system,
        images,
        Judge(classifier, contrasts),
        shape,
        weights,
        settings,
        options,
        folder=folder,
        begin_with=begin_with,
    )
    run = train_adversarial(
        task,
        settings,
        folder,
        fingerprint=fingerprint_of(
            kind="paired/1",
            system=system,
            images=images.digest,
            classifier=classifier.weights_digest,
            contrasts=[asdict(each) for each in contrasts],
            shape=shape,
            weights=weights,
            options=options,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            seed=settings.seed,
            begin_with="" if begin_with is None else begin_with.weights_digest,
        ),
        clock=clock,
        validate_every=validate_every,
        fresh=fresh,
        on_step=on_step,
        on_validation=on_validation,
        cancelled=cancelled,
    )
    return task.average, run
