"""Training of the mask network: the smallest smooth mask that holds the evidence.

With m the mask of image x for the side c that the classifier puts it on, the network minimises

    λ_smooth·TV(m) + λ_area·mean(m) − λ_keep·log f_c(kept) − λ_delete·log(1 − f_c(deleted)),

kept being x with all but m blurred, deleted x with m blurred, and TV the sum of squared differences
of neighbours over the side length (Dabkowski & Gal 2017; their deletion term is a power of f_c).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import Cancelled, ExplainerError
from explainers.classifiers.base import Classifier
from explainers.generators.mgen import MaskGenerator, MaskShape
from explainers.generators.paired import Contrast
from explainers.training.contrasts import Judge, pools_of
from explainers.training.images import ImageSource
from explainers.training.loop import (
    LoopSettings,
    StepReport,
    TrainingRun,
    fingerprint_of,
    seeded,
    train,
)
from explainers.training.paired_weights import read_table

DELETED, KEPT, AREA = "agreement after deletion", "agreement of what is kept", "mean of the mask"
_MEASURED = 24  # images per contrast and side


@dataclass(frozen=True)
class MaskWeights:
    """Weights of the losses; names as in the module's formula.

    Raises
    ------
    ExplainerError
        If a weight is negative or not finite.
    """

    smoothness: float = 0.5
    area: float = 4.0
    preservation: float = 0.3
    deletion: float = 1.0

    def __post_init__(self) -> None:
        wrong = {name: value for name, value in asdict(self).items() if not 0 <= value < 1e6}
        if wrong:
            raise ExplainerError(f"Weights of losses are numbers of at least 0; got {wrong}.")


def read_mask_weights(task: str, path: Path | None = None) -> MaskWeights:
    """Read ``[<task>.mgen]``; see :func:`explainers.training.paired_weights.read_weights`."""
    names = tuple(each.name for each in fields(MaskWeights))
    return MaskWeights(**read_table(task, "mgen", names, path))


class MaskTask:
    """A mask network under training; see :class:`explainers.training.loop.Task`.

    The rows that the loop hands out only set the number of images; which ones are taken is drawn
    from the pools of the contrasts, both sides equally often.
    """

    def __init__(
        self,
        network: MaskGenerator,
        images: ImageSource,
        judge: Judge,
        weights: MaskWeights,
        kept: Path | None = None,
    ) -> None:
        self.network: nn.Module = network
        self.images, self.judge, self.weights = images, judge, weights
        self.rows = images.rows("train")
        self._pools = pools_of(judge, images, self.rows, kept)
        held_out = images.rows("val")
        self._held_out = pools_of(judge, images, held_out, kept) if len(held_out) else self._pools

    def loss(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Weighted sum of the four terms."""
        network, weights = self.network, self.weights
        assert isinstance(network, MaskGenerator)
        parts, sides = [], []
        contrasts = torch.randint(len(self.judge.contrasts), (len(rows),), generator=generator)
        halves = (contrasts[::2], contrasts[1::2])
        for side, of_side in enumerate(halves):
            if len(of_side):
                drawn = self._pools.draw(of_side, side, generator)
                parts.append(self.images.image_batch(drawn))
                sides.append(torch.full((len(of_side),), side))
        x, c, which = torch.cat(parts), torch.cat(sides), torch.cat(halves)
        m = network.masks(x, which, c)
        total = weights.smoothness * roughness(m) + weights.area * m.mean()
        toward = torch.where(c == 1, 1.0, -1.0)
        if weights.preservation:
            margins = toward * self.judge.margins(network.kept(x, m), which)
            total = total + weights.preservation * functional.softplus(-margins).mean()
        if weights.deletion:
            margins = toward * self.judge.margins(network.deleted(x, m), which)
            total = total + weights.deletion * functional.softplus(margins).mean()
        return total

    @torch.no_grad()
    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Agreement of the classifier on what is left and on what is kept; size of the mask."""
        assert isinstance(network, MaskGenerator)
        found: dict[str, list[float]] = {name: [] for name in (DELETED, KEPT, AREA)}
        for number in range(len(self.judge.contrasts)):
            for side in (0, 1):
                x = self.images.image_batch(self._held_out.sides[number][side][:_MEASURED])
                which = torch.full((len(x),), number)
                m = network.masks(x, which, torch.full((len(x),), side))
                for name, made in ((DELETED, network.deleted(x, m)), (KEPT, network.kept(x, m))):
                    same = (self.judge.margins(made, which) >= 0) == bool(side)
                    found[name].append(float(same.float().mean()))
                found[AREA].append(float(m.mean()))
        return {name: float(np.mean(values)) for name, values in found.items()}


def roughness(masks: Tensor) -> Tensor:
    """Squared differences of neighbours, summed over the mask and divided by its side; mean."""
    rows, columns = masks.diff(dim=2).square(), masks.diff(dim=3).square()
    return (rows.sum(dim=(1, 2, 3)) + columns.sum(dim=(1, 2, 3))).mean() / masks.shape[-1]


def train_mgen(
    images: ImageSource,
    classifier: Classifier,
    contrasts: Sequence[Contrast],
    settings: LoopSettings,
    folder: Path,
    *,
    shape: MaskShape,
    weights: MaskWeights,
    clock: Callable[[], float],
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[MaskGenerator, TrainingRun]:
    """Train a mask network, or go on where a checkpoint stopped.

    Parameters
    ----------
    images, classifier, contrasts
        Images, the frozen classifier that sorts and judges them, and what is told apart.
    settings, folder, clock, fresh, on_step, cancelled
        As for :func:`explainers.training.loop.train`. The last checkpoint stays if the training
        diverges.
    shape, weights
        Sizes and losses.

    Raises
    ------
    ExplainerError
        If the images are not of the network's size, the classifier says the same of all of them,
        the training was stopped or diverged, or the disk refuses.
    """
    if images.size != shape.size or tuple(classifier.input_size) != (shape.size, shape.size):
        raise ExplainerError(
            f"Images of {images.size} pixels, a classifier of {classifier.input_size} and a mask "
            f"network of {shape.size}; give all the same size."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded(settings.seed, "weights").initial_seed())
        network = MaskGenerator(shape, contrasts, classifier.weights_digest)
    run = train(
        MaskTask(network, images, Judge(classifier, contrasts), weights, folder),
        settings,
        folder,
        fingerprint=fingerprint_of(
            kind="mgen/1",
            images=images.digest,
            classifier=classifier.weights_digest,
            contrasts=[asdict(each) for each in contrasts],
            shape=shape,
            weights=weights,
            settings=settings,
        ),
        clock=clock,
        fresh=fresh,
        on_step=on_step,
        cancelled=cancelled,
    )
    assert isinstance(run.network, MaskGenerator)
    return run.network, run
