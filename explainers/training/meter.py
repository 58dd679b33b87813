"""Training of the meter: the simulator's parameters, read off its films."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import Cancelled, ExplainerError
from explainers.stylespace.meter import Meter, ReadingQuality, build_meter
from explainers.stylespace.readings import READINGS, Reading, true_values
from explainers.training.films import Films, Split
from explainers.training.held_out import auc
from explainers.training.loop import (
    LoopSettings,
    StepReport,
    TrainingRun,
    fingerprint_of,
    seeded,
    train,
)

_BATCH = 64


class MeterTask:
    """A meter under training; see :class:`explainers.training.loop.Task`.

    Films and their counterfactuals are learnt from alike: a film without its effusion teaches what
    of the picture the effusion was.

    Parameters
    ----------
    network
        Maps images to R outputs.
    films
        The case set.
    table
        ``parameters.csv`` by case id.
    readings
        R parameters.
    validation_limit
        Validation films looked at after an epoch.

    Raises
    ------
    ExplainerError
        If a parameter does not vary over the training films, or the table does not fit.
    """

    def __init__(
        self,
        network: nn.Module,
        films: Films,
        table: pd.DataFrame,
        *,
        readings: tuple[Reading, ...] = READINGS,
        validation_limit: int = 512,
    ) -> None:
        self.network, self.films, self.readings = network, films, readings
        self.rows = films.rows("train", counterfactuals=True)
        self._validation = films.rows("val")[:validation_limit]
        truth = film_values(films, table, readings)
        binary = np.array([reading.kind == "binary" for reading in readings])
        plain = truth[films.rows("train")]
        still = [r.name for r, sd in zip(readings, plain.std(axis=0), strict=True) if not sd > 0]
        if still:
            raise ExplainerError(
                f"{still[0]} has one and the same value on every training film; a meter cannot "
                "learn it. Give more films."
            )
        self.mean = np.where(binary, 0, plain.mean(axis=0)).astype(np.float32)
        self.spread = np.where(binary, 1, plain.std(axis=0)).astype(np.float32)
        self.targets = torch.from_numpy((truth - self.mean) / self.spread)
        self._binary = torch.from_numpy(binary)

    def loss(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Mean over parameters: squared error in sd, or cross-entropy."""
        images = self.films.image_batch(rows).contiguous(memory_format=torch.channels_last)
        return meter_loss(self.network(images), self.targets[rows], self._binary)

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Share of the parameters that are readable on validation films, and mean R² and AUC."""
        meter = Meter(
            network, self.readings, self.mean, self.spread, (self.films.size, self.films.size)
        )
        scores = measured_quality(
            meter, self.films, self.targets[self._validation].numpy(), self._validation
        )
        numbers = [q.score for q, b in zip(scores, self._binary.tolist(), strict=True) if not b]
        classes = [q.score for q, b in zip(scores, self._binary.tolist(), strict=True) if b]
        return {"mean R²": float(np.nanmean(numbers)), "mean AUC": float(np.nanmean(classes))}


def meter_loss(outputs: Tensor, targets: Tensor, binary: Tensor) -> Tensor:
    """Squared error of the numbers in sd, and cross-entropy of the binary ones, averaged.

    Parameters
    ----------
    outputs, targets
        (N, R).
    binary
        (R,) bool.
    """
    values = outputs.float()
    apart = functional.smooth_l1_loss(values, targets, reduction="none", beta=2.0)
    crossed = functional.binary_cross_entropy_with_logits(
        values, torch.where(binary, targets, 0.0), reduction="none"
    )
    return torch.where(binary, crossed, apart).mean()


def film_values(
    films: Films, table: pd.DataFrame, readings: tuple[Reading, ...] = READINGS
) -> NDArray[np.float32]:
    """Return the parameters (N, R) of all images of a case set, counterfactuals included."""
    removed = [films.findings[target] if target >= 0 else "" for target in films.removed.tolist()]
    return true_values(table, films.case_ids.tolist(), removed, readings)


def measured_quality(
    meter: Meter, films: Films, targets: NDArray[np.float32], rows: NDArray[np.int64]
) -> tuple[ReadingQuality, ...]:
    """Measure a meter on films.

    Parameters
    ----------
    meter
        The meter.
    films
        The case set.
    targets
        (N, R) true values in the meter's scale, see :class:`MeterTask`.
    rows
        N indices into the films.
    """
    found = [
        meter.read(films.image_batch(rows[start : start + _BATCH]))
        for start in range(0, len(rows), _BATCH)
    ]
    values = np.concatenate(found)
    return tuple(
        ReadingQuality(
            reading.name,
            auc(values[:, place], targets[:, place])
            if reading.kind == "binary"
            else r_squared(values[:, place], targets[:, place]),
            float(values[:, place].std()),
            len(rows),
        )
        for place, reading in enumerate(meter.readings)
    )


def r_squared(predicted: NDArray[np.floating], true: NDArray[np.floating]) -> float:
    """1 − residual / total sum of squares; NaN where the truth does not vary."""
    total = float(np.square(true - true.mean()).sum())
    return 1 - float(np.square(true - predicted).sum()) / total if total > 0 else float("nan")


def train_meter(
    films: Films,
    table: pd.DataFrame,
    settings: LoopSettings,
    folder: Path,
    *,
    clock: Callable[[], float],
    readings: tuple[Reading, ...] = READINGS,
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[Meter, TrainingRun]:
    """Train a meter.

    Parameters
    ----------
    films
        Simulated films.
    table
        Their ``parameters.csv`` by case id.
    settings, folder, clock, fresh, on_step, cancelled
        See :func:`explainers.training.loop.train`.
    readings
        What to read.

    Returns
    -------
    Meter, TrainingRun
        The meter, not yet measured nor saved, and how it was trained.

    Raises
    ------
    ExplainerError
        As the loop; or if the films are not simulated or the table does not fit.
    """
    if not films.simulated:
        raise ExplainerError(
            "A meter learns the simulator's parameters; these films are not all simulated. Give "
            "a case set of `counterlight phantom`."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded(settings.seed, "weights").initial_seed())
        network = build_meter(len(readings))
    task = MeterTask(network, films, table, readings=readings)
    fingerprint = fingerprint_of(
        kind="meter",
        readings=[reading.name for reading in readings],
        films=films.digest,
        size=films.size,
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
    meter = Meter(run.network, readings, task.mean, task.spread, (films.size, films.size))
    return meter, run


def evaluate_meter(
    meter: Meter, films: Films, table: pd.DataFrame, split: Split = "test"
) -> tuple[ReadingQuality, ...]:
    """Measure a meter on held-out films as they are (no counterfactuals).

    Raises
    ------
    ExplainerError
        If the split holds fewer than 20 films or the table does not fit.
    """
    rows = films.rows(split)
    if len(rows) < 20:
        raise ExplainerError(
            f"The {split} split has {len(rows)} films; at least 20 are needed to say what a meter "
            "can read."
        )
    truth = film_values(films, table, meter.readings)[rows]
    return measured_quality(
        meter, films, (truth - meter.parameter_mean) / meter.parameter_spread, rows
    )
