"""Weights that others saved with ``torch.save``, read without running their code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.checkpoint import file_digest as digest_of

__all__ = ["digest_of", "fill", "read_state"]


def read_state(path: Path, allowed: tuple[type, ...] = ()) -> Mapping[str, Tensor]:
    """Read the tensors of a file that holds a state dict, or a whole module.

    Parameters
    ----------
    path
        The file.
    allowed
        Classes that a pickled module may be made of; anything else in the file is refused, since
        unpickling can run code.

    Raises
    ------
    ExplainerError
        If the file is unreadable, or names other classes.
    """
    try:
        with torch.serialization.safe_globals([*allowed]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, AttributeError) as error:
        raise ExplainerError(
            f"{path} is no plain file of weights: opening it would run code that it brings. If you "
            'trust where it comes from, convert it once with `python -c "import torch; m = '
            f"torch.load('{path.name}', weights_only=False); "
            "torch.save(m.state_dict(), 'converted.pt')\"` and name converted.pt."
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise ExplainerError(f"{path} cannot be read as weights of torch: {error}.") from error
    if isinstance(content, nn.Module):
        content = _state_of(content)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise ExplainerError(f"{path} holds {type(content).__name__}; expected named tensors.")
    return {
        str(name).removeprefix("module."): tensor
        for name, tensor in content.items()
        if isinstance(tensor, Tensor)
    }


def _state_of(module: nn.Module) -> Mapping[str, Tensor]:
    """State dict of a module that an older torch may have pickled."""
    for layer in module.modules():
        if "_non_persistent_buffers_set" not in layer.__dict__:
            layer._non_persistent_buffers_set = set()
    return dict(module.state_dict())


def fill(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Copy weights into a network of the same architecture.

    Raises
    ------
    ExplainerError
        If names or shapes differ, or a value is NaN.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: state[name] for name in wanted if name in state}
    missing = [
        name for name in wanted if name not in given and not name.endswith("num_batches_tracked")
    ]
    if missing:
        raise ExplainerError(
            f"{path} does not fit this network: {len(missing)} of {len(wanted)} tensors are "
            f"missing, the first is {missing[0]!r}. Name the network that the file was made for."
        )
    for name, tensor in given.items():
        if tuple(tensor.shape) != wanted[name]:
            raise ExplainerError(
                f"{path} does not fit this network: {name!r} has shape {tuple(tensor.shape)}, "
                f"expected {wanted[name]}. Name the network that the file was made for."
            )
        if not torch.isfinite(tensor).all():
            raise ExplainerError(f"{path}: {name!r} holds NaN or infinite values.")
    network.load_state_dict(given, strict=False)
