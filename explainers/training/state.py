"""Checkpoints of a training on disk: weights, moments of the optimisers, and where it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.checkpoint import save_tensors

STATE_FILE = "state.safetensors"
_STATE_KEY = "state"

Networks = Mapping[str, nn.Module]
"""Everything with weights, averages included, by name."""

Optimisers = Mapping[str, torch.optim.Optimizer]
"""By a name that is none of the networks'."""


def write_state(
    path: Path,
    fingerprint: str,
    networks: Networks,
    optimisers: Optimisers,
    content: Mapping[str, Any],
) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path
        The file.
    fingerprint
        States data, architecture and settings of the run.
    networks, optimisers
        What is trained, and by what.
    content
        Everything else, as JSON.

    Raises
    ------
    ExplainerError
        If the disk refuses.
    """
    tensors: dict[str, Tensor] = {}
    for name, network in networks.items():
        for key, value in network.state_dict().items():
            tensors[f"{name}.{key}"] = value.contiguous()
    for name, optimiser in optimisers.items():
        for index, moments in optimiser.state_dict()["state"].items():
            for key, value in moments.items():
                tensors[f"{name}.{index}.{key}"] = torch.as_tensor(value).contiguous()
    text = json.dumps({"fingerprint": fingerprint, **content})
    save_tensors(path, tensors, {_STATE_KEY: text})


def read_state(
    path: Path, fingerprint: str, networks: Networks, optimisers: Optimisers
) -> dict[str, Any]:
    """Fill networks and optimisers from a checkpoint, and return its content.

    Raises
    ------
    ExplainerError
        If the checkpoint is unreadable or belongs to another run.
    """
    try:
        with safe_open(path, framework="pt") as file:
            content: dict[str, Any] = json.loads((file.metadata() or {})[_STATE_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise ExplainerError(
            f"The checkpoint {path} cannot be read ({error}); start again with --fresh."
        ) from error
    if content["fingerprint"] != fingerprint:
        raise ExplainerError(
            f"The checkpoint {path} belongs to a run with other cases or settings; repeat those, "
            "or start again with --fresh."
        )
    for name, network in networks.items():
        network.load_state_dict(_under(tensors, f"{name}."))
    for name, optimiser in optimisers.items():
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(tensors, f"{name}.").items():
            index, moment = key.split(".", 1)
            moments.setdefault(int(index), {})[moment] = value
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": moments, "param_groups": groups})
    return content


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
