"""The training loop of networks that play against each other: several optimisers, no schedule.

As in :mod:`explainers.training.loop`, nothing random is carried from step to step, so that a run
that was interrupted and resumed ends with the same bits, if its length is given in epochs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from explainers.base import Cancelled
from explainers.training.divergence import check_weights, diverged
from explainers.training.loop import (
    EpochRecord,
    LoopSettings,
    StepReport,
    TrainingInterrupted,
    count_steps,
    remaining_s,
    rows_of_step,
    running_loss,
    seeded,
    share_done,
)
from explainers.training.state import STATE_FILE, read_state, write_state


class AdversarialTask(Protocol):
    """Networks under training and how they take a step."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """Indices of the training images, (N,)."""
        ...

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Everything with weights, averages included, by name."""
        ...

    @property
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """One per player, by name."""
        ...

    @property
    def memory(self) -> MutableMapping[str, float]:
        """Numbers carried from step to step, such as the strength of the augmentation."""
        ...

    def step(
        self, number: int, rows: NDArray[np.int64], generator: torch.Generator
    ) -> Mapping[str, float]:
        """Let every player take one step; return the losses by name."""
        ...

    def validate(self, number: int) -> Mapping[str, float]:
        """Figures of the generator after ``number`` steps; may also draw samples."""
        ...


@dataclass(frozen=True, eq=False)
class AdversarialRun:
    """A finished run; the networks are those of the task."""

    step: int
    epochs: float
    spent_s: float
    history: tuple[EpochRecord, ...]


@dataclass
class _State:
    step: int
    spent_s: float
    losses: float
    n_losses: int
    history: list[EpochRecord]


def train_adversarial(
    task: AdversarialTask,
    settings: LoopSettings,
    folder: Path,
    *,
    fingerprint: str,
    clock: Callable[[], float],
    validate_every: int,
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    on_validation: Callable[[EpochRecord], None] | None = None,
    cancelled: Cancelled | None = None,
) -> AdversarialRun:
    """Train, or go on where a checkpoint stopped.

    Parameters
    ----------
    task
        Networks and their step; changed in place.
    settings
        Length, batch, seed and checkpoints; learning rate and averages are the task's own affair.
    folder
        Where the checkpoint lives.
    fingerprint
        States data, architecture and settings; a checkpoint with another one is not continued.
    clock
        Seconds, monotonic.
    validate_every
        Steps between validations; one more follows the last step.
    fresh
        Ignore and replace an existing checkpoint.
    on_step, on_validation
        Called after every step, after every validation.
    cancelled
        Asked after every step; when true, a checkpoint is written and the run ends.

    Raises
    ------
    TrainingInterrupted
        If cancelled.
    TrainingDiverged
        If a loss or a weight is NaN or infinite; the last checkpoint stays.
    ExplainerError
        If there are too few images, or the checkpoint belongs to another run or is unreadable.
    """
    per_epoch = count_steps(task.rows, settings)
    state = _State(0, 0.0, 0.0, 0, [])
    path = folder / STATE_FILE
    if not fresh and path.exists():
        state = _restored(task, path, fingerprint)
    earlier_s, started, first = state.spent_s, clock(), state.step
    saved_at = started
    while share_done(settings, state.step, state.spent_s, per_epoch) < 1:
        rows = rows_of_step(task.rows, settings, state.step, per_epoch)
        losses = task.step(state.step, rows, seeded(settings.seed, "batch", state.step))
        _check(losses, state.step, path, settings)
        state.step += 1
        state.losses += next(iter(losses.values()))
        state.n_losses += 1
        state.spent_s = earlier_s + clock() - started
        finished = share_done(settings, state.step, state.spent_s, per_epoch) >= 1
        if state.step % validate_every == 0 or finished:
            _validate(task, state, per_epoch, on_validation)
        if cancelled is not None and cancelled():
            _save(task, state, path, fingerprint, settings)
            raise TrainingInterrupted(
                f"Stopped after step {state.step}; run the same command again to continue."
            )
        if clock() - saved_at >= settings.checkpoint_every_s:
            _save(task, state, path, fingerprint, settings)
            saved_at = clock()
        if on_step is not None:
            pace = (state.step - first) / max(clock() - started, 1e-9)
            on_step(_report(state, settings, per_epoch, pace))
    _save(task, state, path, fingerprint, settings)
    return AdversarialRun(state.step, state.step / per_epoch, state.spent_s, tuple(state.history))


def _check(losses: Mapping[str, float], step: int, path: Path, settings: LoopSettings) -> None:
    broken = [name for name, value in losses.items() if not math.isfinite(value)]
    if broken:
        what = f"The loss {broken[0]!r} is {losses[broken[0]]} at step {step}"
        raise diverged(what, path, settings.learning_rate)


def _validate(
    task: AdversarialTask,
    state: _State,
    per_epoch: int,
    on_validation: Callable[[EpochRecord], None] | None,
) -> None:
    figures = {name: float(value) for name, value in task.validate(state.step).items()}
    record = EpochRecord(
        epoch=state.step // per_epoch,
        step=state.step,
        spent_s=state.spent_s,
        loss=state.losses / max(state.n_losses, 1),
        validation=figures,
    )
    state.history.append(record)
    state.losses, state.n_losses = 0.0, 0
    if on_validation is not None:
        on_validation(record)


def _report(state: _State, settings: LoopSettings, per_epoch: int, pace: float) -> StepReport:
    share = share_done(settings, state.step, state.spent_s, per_epoch)
    return StepReport(
        step=state.step,
        epoch=state.step // per_epoch,
        share=share,
        loss=running_loss(state.losses, state.n_losses, state.history),
        images_per_s=pace * settings.batch_size,
        remaining_s=remaining_s(settings, state.step, state.spent_s, share, pace),
        last=state.history[-1] if state.history else None,
    )


def _save(
    task: AdversarialTask, state: _State, path: Path, fingerprint: str, settings: LoopSettings
) -> None:
    check_weights(task.networks, state.step, path, settings.learning_rate)
    content = {
        "memory": dict(task.memory),
        "step": state.step,
        "spent_s": state.spent_s,
        "losses": state.losses,
        "n_losses": state.n_losses,
        "history": [asdict(record) for record in state.history],
    }
    write_state(path, fingerprint, task.networks, _named(task), content)


def _restored(task: AdversarialTask, path: Path, fingerprint: str) -> _State:
    content = read_state(path, fingerprint, task.networks, _named(task))
    task.memory.update(content["memory"])
    return _State(
        int(content["step"]),
        float(content["spent_s"]),
        float(content["losses"]),
        int(content["n_losses"]),
        [EpochRecord(**record) for record in content["history"]],
    )


def _named(task: AdversarialTask) -> Mapping[str, torch.optim.Optimizer]:
    return {f"optimiser.{name}": each for name, each in task.optimisers.items()}
