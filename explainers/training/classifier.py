"""Training of the classifier: masked multi-label loss, light augmentation, calibration."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import Cancelled, ExplainerError
from explainers.classifiers.calibration import Calibration, fit_calibration
from explainers.classifiers.networks import build_classifier
from explainers.classifiers.ours import OurClassifier
from explainers.training.films import Films
from explainers.training.held_out import auc, predict_logits
from explainers.training.loop import (
    LoopSettings,
    StepReport,
    TrainingRun,
    fingerprint_of,
    seeded,
    train,
)


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a training film, drawn uniformly and anew for every film of a batch.

    No mirroring: the heart has a side.

    Parameters
    ----------
    shift
        Largest displacement, as a share of the side.
    scale
        Largest enlargement or reduction, as a share.
    rotation_deg
        Largest rotation.
    contrast
        Largest relative change of contrast around the film's mean.
    brightness
        Largest displacement of the grey values, full range being 1.
    """

    shift: float = 0.04
    scale: float = 0.05
    rotation_deg: float = 3.0
    contrast: float = 0.15
    brightness: float = 0.05

    def apply(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Changed images (N, 1, H, W) in [0, 1]; edges repeat where the film was moved."""
        draws = torch.rand(6, len(images), generator=generator) * 2 - 1  # each in (-1, 1)
        angle = draws[0] * math.radians(self.rotation_deg)
        zoom = 1 + draws[1] * self.scale
        cosine, sine = zoom * angle.cos(), zoom * angle.sin()
        left, down = 2 * self.shift * draws[2], 2 * self.shift * draws[3]
        matrix = torch.stack([cosine, -sine, left, sine, cosine, down], dim=1).view(-1, 2, 3)
        grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
        moved = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
        mean = moved.mean(dim=(2, 3), keepdim=True)
        contrast = (1 + self.contrast * draws[4]).view(-1, 1, 1, 1)
        brightness = (self.brightness * draws[5]).view(-1, 1, 1, 1)
        return ((moved - mean) * contrast + mean + brightness).clamp(0, 1)


def multi_label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy over the known labels.

    Parameters
    ----------
    logits
        (N, F).
    labels
        (N, F): 1, 0, or NaN where unknown. A batch without a known label has loss 0.
    """
    known = torch.isfinite(labels)
    truth = torch.where(known, labels, torch.zeros_like(labels))
    each = functional.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


class ClassifierTask:
    """A classifier under training; see :class:`explainers.training.loop.Task`.

    Parameters
    ----------
    network
        Maps images to logits.
    films
        The case set.
    augmentation
        Changes of training films.
    counterfactuals
        Train on the films without a finding, too.
    validation_limit
        Validation films looked at after an epoch.
    """

    def __init__(
        self,
        network: nn.Module,
        films: Films,
        *,
        augmentation: Augmentation | None = None,
        counterfactuals: bool = False,
        validation_limit: int = 768,
    ) -> None:
        self.network = network
        self.films = films
        self.augmentation = augmentation or Augmentation()
        self.rows = films.rows("train", counterfactuals=counterfactuals)
        self._validation = films.rows("val")[:validation_limit]

    def loss(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Masked cross-entropy of an augmented batch."""
        images = self.augmentation.apply(self.films.image_batch(rows), generator)
        logits = self.network(images.contiguous(memory_format=torch.channels_last))
        return multi_label_loss(logits, self.films.label_batch(rows))

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """AUC per finding on validation films, and their mean."""
        findings = self.films.findings
        size = (self.films.size, self.films.size)
        identity = Calibration.identity(len(findings))
        logits = predict_logits(
            OurClassifier(network, findings, size, identity), self.films, self._validation
        )
        labels = self.films.labels[self._validation]
        figures = {}
        for target, finding in enumerate(findings):
            known = np.isfinite(labels[:, target])
            figures[finding] = auc(logits[known, target], labels[known, target])
        values = [value for value in figures.values() if not math.isnan(value)]
        return {"mean AUC": float(np.mean(values)) if values else math.nan, **figures}


def train_classifier(
    films: Films,
    settings: LoopSettings,
    folder: Path,
    *,
    architecture: str,
    clock: Callable[[], float],
    counterfactuals: bool = False,
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[OurClassifier, TrainingRun]:
    """Train a classifier and calibrate it on the validation patients.

    Parameters
    ----------
    films
        The case set; every finding needs validation films with and without it.
    settings, folder, clock, fresh, on_step, cancelled
        See :func:`explainers.training.loop.train`.
    architecture
        One of :data:`explainers.classifiers.networks.ARCHITECTURES`.
    counterfactuals
        Train on the films without a finding, too.

    Returns
    -------
    OurClassifier, TrainingRun
        The calibrated classifier (not yet saved) and how it was trained.

    Raises
    ------
    ExplainerError
        As the loop; or if a finding cannot be calibrated, which is checked before training.
    """
    _check_both_classes(films)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded(settings.seed, "weights").initial_seed())
        network = build_classifier(architecture, len(films.findings))
    task = ClassifierTask(network, films, counterfactuals=counterfactuals)
    fingerprint = fingerprint_of(
        kind="classifier",
        architecture=architecture,
        films=films.digest,
        size=films.size,
        rows=len(task.rows),
        counterfactuals=counterfactuals,
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
    size = (films.size, films.size)
    plain = OurClassifier(
        run.network, films.findings, size, Calibration.identity(len(films.findings))
    )
    rows = films.rows("val")
    calibration = fit_calibration(
        predict_logits(plain, films, rows), films.labels[rows], films.findings
    )
    calibrated = OurClassifier(
        run.network, films.findings, size, calibration, architecture=architecture
    )
    return calibrated, run


def _check_both_classes(films: Films) -> None:
    labels = films.labels[films.rows("val")]
    for target, finding in enumerate(films.findings):
        known = labels[np.isfinite(labels[:, target]), target]
        if not (known == 1).any() or not (known == 0).any():
            raise ExplainerError(
                f"{finding}: the {len(known)} validation films with a known label do not hold both "
                "classes, so no operating point can be found. Give more cases, or a split column."
            )
