"""The training loop that every network shares: schedule, averaging, checkpoints, resuming.

Nothing random is carried from step to step: the order of an epoch derives from (seed, epoch), the
augmentation of a batch from (seed, step). A checkpoint therefore needs weights, averages, the
optimiser's moments and the step; a run that was interrupted and resumed ends with the same bits as
one that was not, as long as its length is given in epochs. A length in minutes follows the clock.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from explainers.base import Cancelled, ExplainerError
from explainers.training.divergence import TrainingDiverged as TrainingDiverged
from explainers.training.divergence import check_weights, diverged
from explainers.training.state import STATE_FILE, read_state, write_state


class TrainingInterrupted(ExplainerError):
    """The run was asked to stop; its checkpoint is on disk."""


@dataclass(frozen=True)
class LoopSettings:
    """How to train.

    Parameters
    ----------
    epochs, minutes
        Length of the run; exactly one of them.
    batch_size
        Images per step.
    learning_rate
        Peak of the schedule: linear warm-up over ``warmup_share`` of the run, then a cosine to 0.
    warmup_share
        In [0, 1).
    weight_decay
        Of AdamW, on weights with two or more axes; biases and norms are spared.
    ema_decay
        Of the exponential moving average of the weights, which is what is evaluated and saved.
    clip_norm
        Largest norm of a gradient step.
    seed
        Of weights, order and augmentation.
    checkpoint_every_s
        Seconds between checkpoints.
    half_precision
        bfloat16 inside the network; sums, losses and weights stay float32.

    Raises
    ------
    ExplainerError
        If a value is out of range, or not exactly one length is given.
    """

    epochs: float | None = None
    minutes: float | None = None
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup_share: float = 0.03
    weight_decay: float = 0.02
    ema_decay: float = 0.998
    clip_norm: float = 1.0
    seed: int = 0
    checkpoint_every_s: float = 60.0
    half_precision: bool = True

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.minutes is None):
            raise ExplainerError("Give the length of a training either in epochs or in minutes.")
        length = self.epochs if self.epochs is not None else self.minutes
        if length is None or not length > 0:
            raise ExplainerError(f"The length of a training must be above 0; got {length}.")
        if self.batch_size < 2:
            raise ExplainerError(f"A batch holds at least 2 images; got {self.batch_size}.")
        if not 0 < self.learning_rate < 1:
            raise ExplainerError(f"The learning rate lies in (0, 1); got {self.learning_rate}.")


class Task(Protocol):
    """What is trained: a network, its training rows, and a loss for a batch of them."""

    @property
    def network(self) -> nn.Module: ...

    @property
    def rows(self) -> NDArray[np.int64]:
        """Indices of the training images, (N,)."""
        ...

    def loss(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Scalar loss of a batch; every random number comes from ``generator``."""
        ...

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Quick figures of ``network`` (in evaluation mode) on validation images."""
        ...


@dataclass(frozen=True)
class EpochRecord:
    """Figures at the end of an epoch: mean training loss, validation figures of the average."""

    epoch: int
    step: int
    spent_s: float
    loss: float
    validation: Mapping[str, float]


@dataclass(frozen=True)
class StepReport:
    """Where a run stands.

    ``share`` is the part done in [0, 1], ``images_per_s`` and ``remaining_s`` go by this start of
    the run, ``loss`` is the running mean of the epoch.
    """

    step: int
    epoch: int
    share: float
    loss: float
    images_per_s: float
    remaining_s: float
    last: EpochRecord | None


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A finished run: ``network`` holds the averaged weights, in evaluation mode."""

    network: nn.Module
    step: int
    epochs: float
    spent_s: float
    history: tuple[EpochRecord, ...]


@dataclass
class _State:
    """What changes while training; everything a checkpoint holds."""

    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    step: int
    spent_s: float
    loss_sum: float
    history: list[EpochRecord]

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"network": self.network, "average": self.average}


def train(
    task: Task,
    settings: LoopSettings,
    folder: Path,
    *,
    fingerprint: str,
    clock: Callable[[], float],
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    cancelled: Cancelled | None = None,
) -> TrainingRun:
    """Train a network, or go on where a checkpoint stopped.

    Parameters
    ----------
    task
        Network, rows and loss. ``task.network`` is changed in place.
    settings
        Length, schedule, seed.
    folder
        Where the checkpoint lives.
    fingerprint
        States data, architecture and settings; a checkpoint with another one is not continued.
    clock
        Seconds, monotonic.
    fresh
        Ignore and replace an existing checkpoint.
    on_step
        Called after every step.
    cancelled
        Asked after every step; when true, a checkpoint is written and the run ends.

    Raises
    ------
    TrainingInterrupted
        If cancelled.
    TrainingDiverged
        If the loss or a weight is NaN or infinite; the last checkpoint stays.
    ExplainerError
        If there are too few images, or the checkpoint belongs to another run or is unreadable.
    """
    steps_per_epoch = count_steps(task.rows, settings)
    state, path = _start(task, settings), folder / STATE_FILE
    if not fresh and path.exists():
        _restore(state, path, fingerprint)
    earlier_s, started, started_step = state.spent_s, clock(), state.step
    saved_at = started
    while (share := share_done(settings, state.step, state.spent_s, steps_per_epoch)) < 1:
        _step(task, settings, state, share, steps_per_epoch, path)
        state.spent_s = earlier_s + clock() - started
        if state.step % steps_per_epoch == 0:
            _close_epoch(task, state, steps_per_epoch)
            state.spent_s = earlier_s + clock() - started
        if cancelled is not None and cancelled():
            _save(state, path, fingerprint, settings)
            raise TrainingInterrupted(
                f"Stopped after step {state.step}; run the same command again to continue."
            )
        if clock() - saved_at >= settings.checkpoint_every_s:
            _save(state, path, fingerprint, settings)
            saved_at = clock()
        if on_step is not None:
            done = share_done(settings, state.step, state.spent_s, steps_per_epoch)
            pace = (state.step - started_step) / max(clock() - started, 1e-9)
            on_step(_report(state, settings, steps_per_epoch, done, pace))
    _save(state, path, fingerprint, settings)
    state.average.eval()
    epochs = state.step / steps_per_epoch
    return TrainingRun(state.average, state.step, epochs, state.spent_s, tuple(state.history))


def seeded(seed: int, *parts: object) -> torch.Generator:
    """A generator that depends on ``seed`` and on what it is for, and on nothing else."""
    text = json.dumps([seed, *[str(part) for part in parts]]).encode()
    number = int.from_bytes(hashlib.sha256(text).digest()[:7], "big")
    return torch.Generator().manual_seed(number)


def batches(rows: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Cut ``rows`` into batches in their order; the last one may be smaller."""
    for start in range(0, len(rows), batch_size):
        yield rows[start : start + batch_size]


def fingerprint_of(**parts: object) -> str:
    """SHA-256 of named settings, hexadecimal."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _start(task: Task, settings: LoopSettings) -> _State:
    network = task.network
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train()
    average = copy.deepcopy(network).requires_grad_(False).eval()
    matrices = [p for p in network.parameters() if p.requires_grad and p.ndim >= 2]
    vectors = [p for p in network.parameters() if p.requires_grad and p.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW([group for group in groups if group["params"]], lr=0.0)
    return _State(network, average, optimiser, 0, 0.0, 0.0, [])


def share_done(settings: LoopSettings, step: int, spent_s: float, steps_per_epoch: int) -> float:
    """Share of a run that is done, in [0, 1], by its steps or by the clock."""
    if settings.epochs is not None:
        return min(step / max(round(settings.epochs * steps_per_epoch), 1), 1.0)
    assert settings.minutes is not None
    return min(spent_s / (60 * settings.minutes), 1.0)


def count_steps(task_rows: NDArray[np.int64], settings: LoopSettings) -> int:
    """Steps per epoch.

    Raises
    ------
    ExplainerError
        If the images do not fill one batch.
    """
    steps_per_epoch = len(task_rows) // settings.batch_size
    if steps_per_epoch < 1:
        raise ExplainerError(
            f"Training needs at least one batch of {settings.batch_size} images; the training "
            f"split has {len(task_rows)}. Give more cases or a smaller batch."
        )
    return steps_per_epoch


def rows_of_step(
    rows: NDArray[np.int64], settings: LoopSettings, step: int, steps_per_epoch: int
) -> NDArray[np.int64]:
    """Batch of a step: every epoch has an order of its own, from (seed, epoch)."""
    epoch, position = divmod(step, steps_per_epoch)
    order = torch.randperm(len(rows), generator=seeded(settings.seed, "order", epoch)).numpy()
    start = position * settings.batch_size
    return np.asarray(rows[order[start : start + settings.batch_size]])


def _step(
    task: Task,
    settings: LoopSettings,
    state: _State,
    share: float,
    steps_per_epoch: int,
    path: Path,
) -> None:
    rows = rows_of_step(task.rows, settings, state.step, steps_per_epoch)
    with torch.autocast("cpu", torch.bfloat16, enabled=settings.half_precision):
        loss = task.loss(rows, seeded(settings.seed, "batch", state.step))
    value = float(loss.detach())
    if not math.isfinite(value):
        what = f"The loss is {value} at step {state.step}"
        raise diverged(what, path, settings.learning_rate)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(state.network.parameters(), settings.clip_norm)
    for group in state.optimiser.param_groups:
        group["lr"] = settings.learning_rate * _schedule(share, settings.warmup_share)
    state.optimiser.step()
    state.step += 1
    state.loss_sum += value
    _follow(state.average, state.network, min(settings.ema_decay, state.step / (state.step + 9)))


def _schedule(share: float, warmup_share: float) -> float:
    """Factor on the learning rate: up linearly, then half a cosine down to 0."""
    if share < warmup_share:
        return (share + 1e-3) / (warmup_share + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (share - warmup_share) / (1 - warmup_share)))


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average towards the network: average += (1 − decay)(network − average)."""
    target = network.state_dict()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(target[name], 1 - decay)
        else:
            value.copy_(target[name])


def _close_epoch(task: Task, state: _State, steps_per_epoch: int) -> None:
    with torch.no_grad():
        figures = {name: float(value) for name, value in task.validate(state.average).items()}
    record = EpochRecord(
        epoch=state.step // steps_per_epoch,
        step=state.step,
        spent_s=state.spent_s,
        loss=state.loss_sum / steps_per_epoch,
        validation=figures,
    )
    state.history.append(record)
    state.loss_sum = 0.0


def _report(
    state: _State, settings: LoopSettings, steps_per_epoch: int, share: float, pace: float
) -> StepReport:
    in_epoch = state.step % steps_per_epoch
    return StepReport(
        step=state.step,
        epoch=state.step // steps_per_epoch,
        share=share,
        loss=running_loss(state.loss_sum, in_epoch, state.history),
        images_per_s=pace * settings.batch_size,
        remaining_s=remaining_s(settings, state.step, state.spent_s, share, pace),
        last=state.history[-1] if state.history else None,
    )


def running_loss(total: float, n_losses: int, history: Sequence[EpochRecord]) -> float:
    """Mean loss since the last record; that record's where there is none yet, NaN at the start."""
    if n_losses:
        return total / n_losses
    return history[-1].loss if history else math.nan


def remaining_s(
    settings: LoopSettings, step: int, spent_s: float, share: float, pace: float
) -> float:
    """Seconds to the end of a run that has done ``share`` of it, at ``pace`` steps per second."""
    if settings.minutes is not None:
        return max(60 * settings.minutes - spent_s, 0.0)
    return max(step * (1 - share) / max(share, 1e-9) / max(pace, 1e-9), 0.0)


def _save(state: _State, path: Path, fingerprint: str, settings: LoopSettings) -> None:
    check_weights(state.networks, state.step, path, settings.learning_rate)
    content = {
        "step": state.step,
        "spent_s": state.spent_s,
        "loss_sum": state.loss_sum,
        "history": [asdict(record) for record in state.history],
    }
    write_state(path, fingerprint, state.networks, {"optimiser": state.optimiser}, content)


def _restore(state: _State, path: Path, fingerprint: str) -> None:
    content = read_state(path, fingerprint, state.networks, {"optimiser": state.optimiser})
    state.step = int(content["step"])
    state.spent_s = float(content["spent_s"])
    state.loss_sum = float(content["loss_sum"])
    state.history = [EpochRecord(**record) for record in content["history"]]
