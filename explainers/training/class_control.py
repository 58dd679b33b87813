"""Parts of the structure/class training: its settings, labels, warnings and grids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from explainers.base import ExplainerError
from explainers.generators.structure_class import StructureClass, drawn_classes
from explainers.training.films import Films
from explainers.training.loop import EpochRecord, seeded
from explainers.training.stylegan2 import collapse_warnings, draw_grid

AGREEMENT, BALANCED, CLASS_LOSS = "class agreement", "balanced agreement", "class loss"
CHANGE = "change of brightness by a finding"


@dataclass(frozen=True)
class StructureClassSettings:
    """What is special about this training.

    Parameters
    ----------
    class_weight
        Weight of −log p_c(y | G), the mean over findings, beside the adversarial loss; as many as
        there are findings makes it the sum, Eq. 1 with a factor of 1.
    class_noise, class_shift
        Standard deviation of noise, in brightness, and largest movement in pixels of what the
        classifier sees, so that no pattern of single pixels pleases it; 0 for neither.
    compact_weight, compact_every
        Weight of the mean absolute change of brightness when one finding that is present is
        switched off, and steps between; 0 leaves it out. The papers have no such term; without it
        z2 also changes what is no part of the finding.
    r1, r1_every
        Weight of R1 on films, and steps between.
    augmentation_target
        Mean sign of D on films that the augmentation aims at; 0 leaves augmentation out.
    ema_images
        Images after which the average has forgotten half.
    n_measured
        Images in the Fréchet distance, real and generated each.
    n_structures
        Structures in the class agreement on the fly.
    """

    class_weight: float = 6.0
    class_noise: float = 0.02
    class_shift: int = 3
    compact_weight: float = 20.0
    compact_every: int = 2
    r1: float = 1.0
    r1_every: int = 16
    augmentation_target: float = 0.6
    ema_images: float = 2500.0
    n_measured: int = 512
    n_structures: int = 48

    def __post_init__(self) -> None:
        weights = (
            self.class_weight,
            self.class_noise,
            self.class_shift,
            self.compact_weight,
            self.r1,
            self.ema_images,
        )
        counts = (self.r1_every, self.compact_every, self.n_structures)
        if not min(weights) >= 0 or min(counts) < 1:
            raise ExplainerError(
                f"Weights and noise are at least 0, counts at least 1; got {self}."
            )


def labels_of(
    films: Films, rows: NDArray[np.int64], findings: tuple[str, ...]
) -> NDArray[np.float32]:
    """Labels (N, F) of training films in the order of ``findings``; unknown counts as absent.

    Raises
    ------
    ExplainerError
        If the films have no label of a finding.
    """
    unknown = [name for name in findings if name not in films.findings]
    if unknown:
        raise ExplainerError(
            f"The films have no label of {unknown[0]!r}; they have {', '.join(films.findings)}."
        )
    columns = [films.findings.index(name) for name in findings]
    return np.nan_to_num(films.labels[rows][:, columns]).astype(np.float32)


def class_warnings(history: tuple[EpochRecord, ...]) -> tuple[str, ...]:
    """Say what is wrong with a run: collapse, and a class that z2 does not control."""
    if not history:
        return ()
    warnings, last = list(collapse_warnings(history)), history[-1].validation
    if len(history) > 3 and last[BALANCED] < 0.6:
        warnings.append(
            f"The balanced class agreement is {last[BALANCED]:.2f}, chance is 0.5: z2 hardly "
            "controls the findings. Raise --class-weight."
        )
    return tuple(warnings)


@torch.no_grad()
def draw_toggles(
    network: StructureClass, path: Path, *, n_structures: int = 8, seed: int = 0
) -> None:
    """Draw one structure per row: no finding, then every finding alone, from one z2 each.

    Raises
    ------
    ExplainerError
        If the disk refuses.
    """
    dice, n_findings = seeded(seed, "toggles"), len(network.findings)
    z1 = torch.randn(n_structures, network.structure_size, generator=dice)
    on = torch.cat([torch.zeros(1, n_findings), torch.eye(n_findings)])  # (1 + F, F)
    rows = []
    for each in z1:
        z2 = drawn_classes(on, network.block_size, dice)
        rows.append(network.decode(each.expand(len(on), -1), z2).clamp(0, 1))
    draw_grid(torch.cat(rows), path, columns=len(on))
