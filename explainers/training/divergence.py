"""Trainings that leave the numbers: they stop, say why, and leave the last good checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from explainers.base import ExplainerError


class TrainingDiverged(ExplainerError):
    """A loss or a weight became NaN or infinite."""


def diverged(what: str, path: Path, learning_rate: float) -> TrainingDiverged:
    """Build the error.

    Parameters
    ----------
    what
        What was seen, and when.
    path
        The checkpoint; it is from before, as none is written afterwards.
    learning_rate
        Of the run.
    """
    kept = f"the last checkpoint, {path}, is kept" if path.is_file() else "there is no checkpoint"
    return TrainingDiverged(
        f"{what}: the training stopped, {kept}. Start afresh (--fresh) with a lower learning rate "
        f"than {learning_rate:g}."
    )


def check_weights(
    networks: Mapping[str, nn.Module], step: int, path: Path, learning_rate: float
) -> None:
    """Refuse to write a checkpoint of broken weights: a loss may be finite and its gradient not.

    Raises
    ------
    TrainingDiverged
        If a weight is NaN or infinite.
    """
    for name, network in networks.items():
        for key, value in network.state_dict().items():
            if value.is_floating_point() and not bool(value.isfinite().all()):
                what = f"Weights of {name!r} ({key}) are NaN or infinite after step {step}"
                raise diverged(what, path, learning_rate)
