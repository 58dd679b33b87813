"""A StyleGAN2 of twice the size that begins with what a smaller one has learnt.

The generator of the smaller size is a part of the larger one: every layer keeps its place, and the
new projection to the image begins at zero, so that the first samples are those of the smaller
generator, enlarged. The discriminator keeps everything below its new first stage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.generators.stylegan2 import Discriminator, Generator


@torch.no_grad()
def grow(checkpoint: Path, networks: Mapping[str, nn.Module]) -> None:
    """Fill larger networks from the checkpoint of a training at a smaller size.

    Parameters
    ----------
    checkpoint
        The file ``state.safetensors`` of the smaller training.
    networks
        Generators and discriminators by their names in the checkpoint; changed in place.

    Raises
    ------
    ExplainerError
        If the checkpoint is unreadable or its layers are no part of the networks.
    """
    try:
        with safe_open(checkpoint, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ExplainerError(
            f"The checkpoint {checkpoint} cannot be read ({error}); name the state.safetensors of "
            "a training at a smaller size."
        ) from error
    for name, network in networks.items():
        small = {
            key.removeprefix(f"{name}."): value
            for key, value in tensors.items()
            if key.startswith(f"{name}.")
        }
        if isinstance(network, Generator):
            _fill_generator(network, small, checkpoint)
        elif isinstance(network, Discriminator):
            _fill_discriminator(network, small, checkpoint)


def _fill_generator(network: Generator, small: Mapping[str, Tensor], source: Path) -> None:
    n_levels = len(small.get("image_bias", ()))
    if not 0 < n_levels < len(network.image_bias):
        raise ExplainerError(
            f"{source} holds a generator of {2 ** (n_levels + 1)} px; expected a size below "
            f"{network.shape.size} px."
        )
    state = network.state_dict()
    for key, value in small.items():
        if key == "image_bias":
            state[key].zero_()
            state[key][:n_levels] = value
        else:
            _put(state, key, value, source)
    for level in range(n_levels, len(network.projections)):
        state[f"projections.{level}.weight"].zero_()


def _fill_discriminator(network: Discriminator, small: Mapping[str, Tensor], source: Path) -> None:
    state = network.state_dict()
    n_blocks = 1 + max(int(found[1]) for key in small if (found := _BLOCK.match(key)))
    shift = len(network.blocks) - n_blocks
    for key, value in small.items():
        found = _BLOCK.match(key)
        if found is None:
            _put(state, key, value, source)
        elif int(found[1]) > 0:  # the first one reads the image
            _put(state, f"blocks.{int(found[1]) + shift}.{found[2]}", value, source)


_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")


def _put(state: Mapping[str, Tensor], key: str, value: Tensor, source: Path) -> None:
    if key not in state or state[key].shape != value.shape:
        raise ExplainerError(
            f"{source} holds {key!r} of shape {tuple(value.shape)}, which these networks do not "
            "have; use the same --channel-base and --channel-limit as the smaller training."
        )
    state[key].copy_(value)
