"""A beginning for paired generators: what a structure/class generator knows, in one pass.

Two hours of two processor cores are too few for a pair to learn from nothing what a finding looks
like; what it learns first is a pattern that pleases the classifier. A structure/class generator has
learnt it, from the same classifier and without any pair of real images: G(z1, z2) with and without
the block of a finding are two images of one chest. The pair begins by imitating that, as image
editing was distilled from a StyleGAN2 by Viazovetskyi et al. 2020 (arXiv:2003.03581). Nothing of
this is in the paper; a pair that began so says so in its card.

An added finding is always the same one: of many drawn blocks, the one that turns nine structures of
ten with the least change. Otherwise its place would be drawn anew for every chest, and the mean of
all places is no finding. A removed finding may be any, also one moved to where the generator would
not draw it. It is not removed altogether: a faint rest stays that the classifier does not see, from
which the way back knows where the finding was. Trainings with a cycle come to leave such traces by
themselves (Chu et al. 2017, arXiv:1712.02950), but not soon.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.generators.paired import Contrast, PairedGenerators, PairedShape
from explainers.generators.structure_class import StructureClass, drawn_classes
from explainers.training.contrasts import Judge, Pools
from explainers.training.images import ImageSource
from explainers.training.loop import (
    LoopSettings,
    StepReport,
    TrainingRun,
    fingerprint_of,
    seeded,
    train,
)

_Four: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]
"""Images (N, 1, S, S) as in :class:`DrawnPairs`: without, usual, drawn, faint."""

_N_BLOCKS = 24
_N_TRIED = 16
_TURNED = 0.9
_BATCH = 8
_LEAST_CHANGE = 1e-6
_REMNANT = 0.15
_MOVED = 6
"""A finding is moved by up to the side over this, in both directions."""


@dataclass(frozen=True, eq=False)
class DrawnPairs:
    """Images of chests without a finding, with the usual one, with any, and with its faint rest.

    Parameters
    ----------
    without, usual
        (N, S, S) uint8: the same chests.
    drawn, faint
        (N, S, S) uint8: the same chests; those of ``without``, or others.
    contrasts
        (N,): of which finding.
    """

    without: NDArray[np.uint8]
    usual: NDArray[np.uint8]
    drawn: NDArray[np.uint8]
    faint: NDArray[np.uint8]
    contrasts: NDArray[np.int64]

    @property
    def digest(self) -> str:
        """SHA-256 of the images and their contrasts, hexadecimal."""
        found = hashlib.sha256()
        for values in (self.without, self.usual, self.drawn, self.faint, self.contrasts):
            found.update(np.ascontiguousarray(values).tobytes())
        return found.hexdigest()


@torch.no_grad()
def draw_pairs(
    network: StructureClass,
    judge: Judge,
    labels: NDArray[np.float32],
    n_structures: int,
    *,
    seed: int,
    on_progress: OnProgress | None = None,
) -> DrawnPairs:
    """Draw chests with and without each finding; those that the classifier sees turned are kept.

    Parameters
    ----------
    network
        The structure/class generator.
    judge
        The classifier with one contrast per finding of the network.
    labels
        (M, F) 0 or 1, in the order of the network's findings: which findings go together.
    n_structures
        Structures per contrast.
    seed
        Of all that is drawn.
    on_progress
        Contrasts done and in all.

    Raises
    ------
    ExplainerError
        If the classifier sees a finding turned on no structure.
    """

    def of_contrast(number: int) -> Iterator[_Four]:
        finding = network.target(judge.classifier.findings[judge.contrasts[number].positive])
        dice = seeded(seed, "pairs", number)
        block = _usual_block(network, judge, number, finding, dice)
        rows = torch.randint(len(labels), (n_structures,), generator=dice).numpy()
        for start in range(0, n_structures, _BATCH):
            others = torch.from_numpy(labels[rows[start : start + _BATCH]])
            z1 = torch.randn(len(others), network.structure_size, generator=dice)
            others[:, finding] = 1
            any_z2 = drawn_classes(others, network.block_size, dice)
            usual_z2, no_z2 = any_z2.clone(), any_z2.clone()
            usual_z2[:, finding], no_z2[:, finding] = block, 0
            none, the_usual, any_one = (
                network.decode(z1, z2).clamp(0, 1) for z2 in (no_z2, usual_z2, any_z2)
            )
            contrasts = torch.full((len(z1),), number)
            moved = (none + _moved(any_one - none, dice)).clamp(0, 1)
            chosen = torch.rand(len(z1), generator=dice) < 0.5
            chosen &= judge.margins(moved, contrasts) >= 0
            any_one = torch.where(chosen[:, None, None, None], moved, any_one)
            yield none, the_usual, any_one, none + _REMNANT * (any_one - none)

    refused = (
        f"The classifier sees {{}} turned on none of {n_structures} drawn chests; train the "
        "structure/class generator longer, with this classifier."
    )
    return _turned(judge, of_contrast, refused, on_progress)


@torch.no_grad()
def imitated_pairs(
    pair: PairedGenerators,
    judge: Judge,
    films: ImageSource,
    pools: Pools,
    n_films: int,
    *,
    seed: int,
    on_progress: OnProgress | None = None,
) -> DrawnPairs:
    """What a trained pair makes of films; those that the classifier sees turned are kept.

    Parameters
    ----------
    pair
        Generators of the judge's contrasts.
    judge, films, pools
        The classifier, films, and which of them have which finding.
    n_films
        Films per contrast and side.
    seed, on_progress
        As for :func:`draw_pairs`.

    Raises
    ------
    ExplainerError
        If the pair has another size or other contrasts, or the classifier sees none of the films
        of a contrast turned.
    """
    if pair.contrasts != judge.contrasts or pair.shape.size != films.size:
        raise ExplainerError(
            f"The pair to imitate is one of {pair.shape.size} pixels for "
            f"{', '.join(each.name for each in pair.contrasts)}; the films have {films.size} "
            f"pixels, and {', '.join(each.name for each in judge.contrasts)} was asked for. Give "
            "the same size and findings, in the same order."
        )

    def of_contrast(number: int) -> Iterator[_Four]:
        dice = seeded(seed, "films", number)
        for start in range(0, n_films, _BATCH):
            contrasts = torch.full((min(_BATCH, n_films - start),), number)
            without, drawn = (
                films.image_batch(pools.draw(contrasts, side, dice)) for side in (0, 1)
            )
            usual, gone = (
                pair.adversarial(images, contrasts, side).float()
                for side, images in enumerate((without, drawn))
            )
            yield without, usual, drawn, gone + _REMNANT * (drawn - gone)

    refused = (
        f"{pair.system.title} turns {{}} on none of {n_films} films; train it longer, with this "
        "classifier."
    )
    return _turned(judge, of_contrast, refused, on_progress)


def _turned(
    judge: Judge,
    of_contrast: Callable[[int], Iterator[_Four]],
    refused: str,
    on_progress: OnProgress | None,
) -> DrawnPairs:
    """Gather the images of every contrast whose finding the classifier sees come and go."""
    kept: list[list[NDArray[np.uint8]]] = []
    numbers: list[int] = []
    for number, contrast in enumerate(judge.contrasts):
        before = len(numbers)
        for four in of_contrast(number):
            contrasts = torch.full((len(four[0]),), number)
            seen = torch.stack([judge.margins(images, contrasts) >= 0 for images in four])
            good = (~seen[0] & seen[1] & seen[2] & ~seen[3]).numpy()
            kept.append([_grey(images)[good] for images in four])
            numbers += [number] * int(good.sum())
        if len(numbers) == before:
            raise ExplainerError(refused.format(contrast.name))
        if on_progress is not None:
            on_progress(number + 1, len(judge.contrasts))
    without, usual, drawn, faint = (np.concatenate([part[n] for part in kept]) for n in range(4))
    return DrawnPairs(without, usual, drawn, faint, np.array(numbers))


def _moved(changes: Tensor, dice: torch.Generator) -> Tensor:
    """Changes (N, 1, S, S), all moved alike; 0 comes in at the edges."""
    reach = changes.shape[-1] // _MOVED
    down, right = torch.randint(-reach, reach + 1, (2,), generator=dice).tolist()
    return functional.pad(changes, (right, -right, down, -down))


def _usual_block(
    network: StructureClass, judge: Judge, number: int, finding: int, dice: torch.Generator
) -> Tensor:
    """The block (block size,) that turns nine of ten structures with the least change."""
    z1 = torch.randn(_N_TRIED, network.structure_size, generator=dice)
    z2 = torch.zeros(_N_TRIED, len(network.findings), network.block_size)
    before = network.decode(z1, z2)
    contrasts = torch.full((_N_TRIED,), number)
    blocks = torch.randn(_N_BLOCKS, network.block_size, generator=dice)
    turned, change = [], []
    for block in blocks:
        z2[:, finding] = block
        after = network.decode(z1, z2)
        turned.append(float((judge.margins(after, contrasts) >= 0).float().mean()))
        change.append(float((after - before).abs().mean()))
    enough = [n for n in range(_N_BLOCKS) if turned[n] >= min(_TURNED, max(turned))]
    return blocks[min(enough, key=lambda n: change[n])]


def _grey(images: Tensor) -> NDArray[np.uint8]:
    return np.asarray((images[:, 0] * 255).round().to(torch.uint8).numpy())


class StartTask:
    """Generators that imitate drawn pairs; see :class:`explainers.training.loop.Task`."""

    def __init__(self, pair: PairedGenerators, pairs: DrawnPairs, *, seed: int) -> None:
        self.network: nn.Module = pair.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.pairs = pairs
        self._system = pair.system
        order = seeded(seed, "order")
        shuffled = torch.randperm(len(pairs.contrasts), generator=order).numpy()
        n_held_out = max(1, len(shuffled) // 20)
        self._held_out, self.rows = shuffled[:n_held_out], np.sort(shuffled[n_held_out:])

    def loss(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Squared error over squared change; see :meth:`_loss`.

        Absolute errors do not train: a generator that draws nothing is right in all but the few
        pixels of the finding, and never leaves that.
        """
        return self._loss(self.network, np.array_split(rows, len(self._ways)))

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """The same loss on held-out pairs."""
        with torch.no_grad():
            return {"error": float(self._loss(network, [self._held_out[:64]] * len(self._ways)))}

    @property
    def _ways(self) -> tuple[tuple[int, NDArray[np.uint8], NDArray[np.uint8]], ...]:
        """Which generator makes what of what: there, and back where the system asks for it."""
        pairs, system = self.pairs, self._system
        ways = [(0, pairs.without, pairs.usual), (1, pairs.drawn, pairs.faint)]
        if system.cyclic:
            ways.append((0, pairs.faint, pairs.drawn))
        if system.stable == "same generator":
            ways += [(0, pairs.usual, pairs.without), (1, pairs.faint, pairs.drawn)]
        return tuple(ways)

    def _loss(self, network: nn.Module, parts: list[NDArray[np.int64]]) -> Tensor:
        """Mean of the ways there, plus that of the ways back by what is learnt of those there.

        A generator that cannot yet tell whether the finding is present does best, asked for both
        ways at once, by drawing nothing.
        """
        errors = [
            self._error(network, way, rows) for way, rows in zip(self._ways, parts, strict=True)
        ]
        there = torch.stack(errors[:2]).mean()
        if len(errors) == 2:
            return there
        learnt = (1 - there.detach()).clamp(0, 1)
        return there + learnt * torch.stack(errors[2:]).mean()

    def _error(
        self,
        network: nn.Module,
        way: tuple[int, NDArray[np.uint8], NDArray[np.uint8]],
        rows: NDArray[np.int64],
    ) -> Tensor:
        assert isinstance(network, PairedGenerators)
        side, source, target = way
        images, wanted = _brightness(source[rows]), _brightness(target[rows])
        contrasts = torch.from_numpy(self.pairs.contrasts[rows])
        made = network.adversarial(images, contrasts, side).float()
        change = (wanted - images).square().mean()
        return (made - wanted).square().mean() / change.clamp(min=_LEAST_CHANGE)


def _brightness(grey: NDArray[np.uint8]) -> Tensor:
    images = torch.from_numpy(grey).float()[:, None] / 255
    return images.contiguous(memory_format=torch.channels_last)


def train_paired_start(
    system: str,
    pairs: DrawnPairs,
    contrasts: tuple[Contrast, ...],
    classifier_digest: str,
    settings: LoopSettings,
    folder: Path,
    *,
    shape: PairedShape,
    clock: Callable[[], float],
    begin_with: PairedGenerators | None = None,
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[PairedGenerators, TrainingRun]:
    """Let the generators of a system imitate drawn pairs.

    Parameters
    ----------
    system
        One of :data:`explainers.generators.paired.SYSTEMS`.
    pairs, contrasts, classifier_digest
        What is imitated, what its numbers mean, and who judged it.
    settings, folder, clock, fresh, on_step, cancelled
        See :func:`explainers.training.loop.train`.
    shape
        Sizes.
    begin_with
        A pair of the same sizes and contrasts whose generators are taken over.

    Raises
    ------
    ExplainerError
        As the loop, or if the pair to begin with does not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded(settings.seed, "weights").initial_seed())
        pair = PairedGenerators(system, shape, contrasts, classifier_digest)
    if begin_with is not None:
        pair.take_over(begin_with)
    task = StartTask(pair, pairs, seed=settings.seed)
    run = train(
        task,
        replace(settings, weight_decay=0.0),
        folder,
        fingerprint=fingerprint_of(
            kind="paired-start/1",
            system=system,
            shape=shape,
            contrasts=[asdict(each) for each in contrasts],
            classifier=classifier_digest,
            pairs=pairs.digest,
            begin_with="" if begin_with is None else begin_with.weights_digest,
            seed=settings.seed,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
        ),
        clock=clock,
        fresh=fresh,
        on_step=on_step,
        cancelled=cancelled,
    )
    made = run.network
    assert isinstance(made, PairedGenerators)
    return made.requires_grad_(False).eval(), run
