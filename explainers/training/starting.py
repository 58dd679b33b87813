"""A structure/class generator that begins with what another training has learnt.

From a StyleGAN2 of the same sizes synthesis and discriminator are taken over; that z2 controls the
findings, and that z1 does not, is then what is left to learn. From another run of the
structure/class training, with other losses, say, everything is taken over.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.generators.structure_class import StructureClassGenerator


@torch.no_grad()
def start_from(
    checkpoint: Path,
    generator: StructureClassGenerator,
    average: StructureClassGenerator,
    discriminator: nn.Module,
) -> None:
    """Fill the networks from the ``state.safetensors`` of another training.

    Raises
    ------
    ExplainerError
        If the checkpoint is unreadable or of other sizes.
    """
    try:
        with safe_open(checkpoint, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ExplainerError(
            f"The checkpoint {checkpoint} cannot be read ({error}); name the state.safetensors of "
            "a StyleGAN2 or structure/class training."
        ) from error
    whole = "generator.effect" in tensors
    _fill(generator if whole else generator.synthesis, tensors, "generator", checkpoint)
    _fill(average if whole else average.synthesis, tensors, "average", checkpoint)
    _fill(discriminator, tensors, "discriminator", checkpoint)


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], name: str, source: Path) -> None:
    for key, value in network.state_dict().items():
        found = tensors.get(f"{name}.{key}")
        if found is None or found.shape != value.shape:
            raise ExplainerError(
                f"{source} does not hold the {name} of a network of these sizes "
                f"({key!r} is {'missing' if found is None else tuple(found.shape)}); use the "
                "--size, --channel-base and --channel-limit of that training."
            )
        value.copy_(found)
