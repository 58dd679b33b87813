"""Heads on a latent: a linear layer or a perceptron that predicts numbers from z."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from explainers.base import ExplainerError


@dataclass(frozen=True)
class HeadShape:
    """What a head on the latent predicts.

    Parameters
    ----------
    name
        E.g. ``"log BNP, linear"``.
    outputs
        Names of its numbers, in order.
    hidden
        Width of two hidden layers; 0 for a linear head.
    kind
        ``"regression"`` or ``"logits"``.
    thresholds
        Value of each output that means positive.
    slopes
        Above 0; probability = sigmoid(slope · (value − threshold)).
    note
        What a person should know: unit, simulated or not.
    """

    name: str
    outputs: tuple[str, ...]
    hidden: int = 0
    kind: str = "regression"
    thresholds: tuple[float, ...] = ()
    slopes: tuple[float, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if not self.name or not self.outputs or self.hidden < 0:
            raise ExplainerError(f"A head needs a name, outputs and hidden >= 0; got {self}.")
        if self.kind not in ("regression", "logits"):
            raise ExplainerError(f"The kind of a head is regression or logits, not {self.kind!r}.")
        if {len(self.thresholds), len(self.slopes)} != {len(self.outputs)}:
            raise ExplainerError(f"Head {self.name!r} needs a threshold and a slope per output.")
        if not all(math.isfinite(slope) and slope > 0 for slope in self.slopes):
            raise ExplainerError(f"Slopes of head {self.name!r} must be above 0: {self.slopes}.")


class Head(nn.Module):
    """h: latents (N, D) to values (N, K); linear, or with two hidden layers.

    The latent is standardised by its training mean and deviation (buffers) first, so that the
    same learning rate suits every encoder; a linear head stays linear in z.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, shape: HeadShape, latent: int) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("centre", torch.zeros(latent))
        self.register_buffer("scale", torch.ones(latent))
        n_out, width = len(shape.outputs), shape.hidden
        layers: list[nn.Module] = [nn.Linear(latent, n_out)]
        if width:
            layers = [nn.Linear(latent, width), nn.SELU(), nn.Linear(width, width), nn.SELU()]
            layers.append(nn.Linear(width, n_out))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Values (N, K)."""
        return self.layers((z - self.centre) / self.scale)

    def probabilities(self, values: Tensor) -> Tensor:
        """sigmoid(slope · (value − threshold)), (N, K): 0.5 exactly at the threshold."""
        slopes = values.new_tensor(self.shape.slopes)
        return torch.sigmoid(slopes * (values - values.new_tensor(self.shape.thresholds)))


def read_head_shape(entry: dict[str, Any], file_name: str) -> HeadShape:
    """Shape of a head from the header of a weights file.

    Raises
    ------
    ExplainerError
        If the entry cannot be read.
    """
    try:
        return HeadShape(
            name=str(entry["name"]),
            outputs=tuple(str(name) for name in entry["outputs"]),
            hidden=int(entry["hidden"]),
            kind=str(entry["kind"]),
            thresholds=tuple(float(value) for value in entry["thresholds"]),
            slopes=tuple(float(value) for value in entry["slopes"]),
            note=str(entry["note"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ExplainerError(
            f"{file_name} describes a head in a way that cannot be read ({error})."
        ) from error
