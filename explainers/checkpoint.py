"""One network on disk: a safetensors file whose header holds everything needed to rebuild it.

Weights are stored as float16 and come back as float32. Nothing here unpickles: a file from a
stranger can at worst be refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from data.scratch import replacing
from explainers.base import ExplainerError

WEIGHTS_DIRECTORY = Path(__file__).parent / "weights"
"""Where shipped networks lie; a bare name is looked up here."""

FORMAT = "counterlight-network/1"
_HEADER_KEY = "counterlight"


@dataclass(frozen=True, eq=False)
class SavedNetwork:
    """Content of a weights file.

    Parameters
    ----------
    path
        The file.
    kind
        ``"classifier"`` or ``"autoencoder"``.
    header
        JSON metadata: architecture, sizes, findings, calibration.
    tensors
        Parameters and buffers by name, float32 where they were floating point.
    digest
        SHA-256 of the file, hexadecimal.
    """

    path: Path
    kind: str
    header: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    digest: str

    def field(self, name: str) -> Any:
        """Header entry ``name``.

        Raises
        ------
        ExplainerError
            If the header lacks it.
        """
        if name not in self.header:
            raise ExplainerError(
                f"{self.path.name} lacks {name!r} in its header; write it with "
                f"`counterlight train {self.kind}`."
            )
        return self.header[name]

    def fill(self, network: nn.Module) -> None:
        """Copy the weights into ``network``, freeze it and put it into evaluation mode.

        Raises
        ------
        ExplainerError
            If names or shapes differ from those of the network.
        """
        wanted = network.state_dict()
        missing = sorted(wanted.keys() - self.tensors.keys())
        surplus = sorted(self.tensors.keys() - wanted.keys())
        if missing or surplus:
            raise ExplainerError(
                f"{self.path.name} does not fit the architecture its header names: "
                f"{len(missing)} tensors missing (first: {missing[:1]}), "
                f"{len(surplus)} unknown (first: {surplus[:1]})."
            )
        for name, tensor in wanted.items():
            if tensor.shape != self.tensors[name].shape:
                raise ExplainerError(
                    f"{self.path.name}: tensor {name!r} has shape "
                    f"{tuple(self.tensors[name].shape)}, the architecture expects "
                    f"{tuple(tensor.shape)}."
                )
        network.load_state_dict(dict(self.tensors))
        network.eval().requires_grad_(False)


def weights_path(path_or_name: str | Path) -> Path:
    """File of a network given as a path, or as the name of a shipped one.

    Raises
    ------
    ExplainerError
        If there is no such file.
    """
    given = Path(path_or_name)
    candidates = [given]
    if given.parent == Path() and given.suffix != ".safetensors":
        candidates.append(WEIGHTS_DIRECTORY / f"{given.name}.safetensors")
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    shipped = sorted(path.stem for path in WEIGHTS_DIRECTORY.glob("*.safetensors"))
    raise ExplainerError(
        f"No network at {str(path_or_name)!r}; give the path of a .safetensors file or one of the "
        f"shipped names ({', '.join(shipped) or 'none shipped'})."
    )


def read_kind(path_or_name: str | Path) -> str:
    """Kind of network that a weights file holds, ``"classifier"`` or ``"autoencoder"``.

    Raises
    ------
    ExplainerError
        If the file is missing or is none of ours.
    """
    path = weights_path(path_or_name)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error
    return str(_parsed_header(path, metadata).get("kind"))


def read_network(path_or_name: str | Path, kind: str) -> SavedNetwork:
    """Read a weights file and check that it holds a network of this ``kind``.

    Raises
    ------
    ExplainerError
        If the file is missing, is no safetensors file, or holds something else.
    """
    path = weights_path(path_or_name)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: _widen(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error
    header = _parsed_header(path, metadata)
    if header.get("kind") != kind:
        raise ExplainerError(
            f"{path.name} holds a network of kind {header.get('kind')!r}, expected {kind!r}."
        )
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ExplainerError(f"{path.name}: tensor {broken[0]!r} holds NaN or infinite values.")
    return SavedNetwork(path, kind, header, tensors, file_digest(path))


def write_network(path: Path, network: nn.Module, kind: str, header: Mapping[str, Any]) -> str:
    """Write the weights as float16, whole or not at all.

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    ExplainerError
        If a weight does not fit into float16, or the disk refuses.
    """
    tensors = {}
    for name, tensor in network.state_dict().items():
        narrow = tensor.detach().half() if tensor.is_floating_point() else tensor.detach()
        if not torch.isfinite(narrow).all():
            raise ExplainerError(
                f"Weight {name!r} is NaN or too large for float16; the training has diverged."
            )
        tensors[name] = narrow.contiguous()
    content = json.dumps({"format": FORMAT, "kind": kind, **header}, sort_keys=True)
    save_tensors(path, tensors, {_HEADER_KEY: content})
    return file_digest(path)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file next to its place and move it there in one step.

    Raises
    ------
    ExplainerError
        If the disk refuses; what was there before is still there.
    """
    try:
        with replacing(path) as fresh:
            fresh.write_bytes(save(dict(tensors), dict(metadata)))  # save_file hides it from others
    except (OSError, SafetensorError) as error:
        raise ExplainerError(f"{path} could not be written: {error}.") from error


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreadable(path: Path, error: Exception) -> ExplainerError:
    return ExplainerError(
        f"{path.name} is not a readable safetensors file ({error}); other checkpoint formats are "
        "refused because they can run code."
    )


def _parsed_header(path: Path, metadata: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        header = json.loads(metadata[_HEADER_KEY])
    except (KeyError, json.JSONDecodeError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ExplainerError(
            f"{path.name} is a safetensors file but not one of ours (no {FORMAT} header); write it "
            "with `counterlight train`."
        )
    return header


def _widen(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
