"""The networks that a researcher may choose from: the study's own, and the shipped ones.

Only files that lie on the server are offered, by name; a browser can neither upload a network nor
name a path. Listing them reads headers only and needs no torch.
"""

from __future__ import annotations

import functools
import hashlib
import json
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from explainers.base import ExplainerError
from explainers.networks import ROLES, open_network
from study.folder import StudyFolder

if TYPE_CHECKING:
    from explainers.classifiers.base import Classifier

SHIPPED: Final = Path(__file__).parents[2] / "explainers" / "weights"
STUDY: Final = "study"
"""Name of the classifier that the study explains."""
_LONGEST_HEADER: Final = 10_000_000


@dataclass(frozen=True)
class Network:
    """A classifier that can be chosen, with the networks that go with it.

    Parameters
    ----------
    name
        Unique; part of links.
    title
        As shown.
    path
        Its weights.
    findings
        What it predicts; empty if its file is missing.
    size
        Rows and columns of its images; ``None`` if its file is missing.
    others
        Role to weights of a network for images of that size, where there is one.
    digest
        SHA-256 of the weights file; empty if it is missing.
    """

    name: str
    title: str
    path: Path
    findings: tuple[str, ...]
    size: tuple[int, int] | None
    others: Mapping[str, Path]
    digest: str

    @property
    def is_study(self) -> bool:
        """Whether the study's archive was made with it."""
        return self.name == STUDY


def available(folder: StudyFolder, shipped: Path = SHIPPED) -> tuple[Network, ...]:
    """List the classifiers: the study's own first, then others below it, then the shipped ones.

    A shipped classifier of which the study's own is a copy is not listed a second time.
    """
    kept = folder.classifier.parent
    beside = [*_weights(kept), *_weights(shipped)]
    own = _network(STUDY, "the study's own", folder.classifier, beside)
    if own is None:
        own = Network(STUDY, "the study's own", folder.classifier, (), None, {}, "")
    found, seen = [own], {own.digest}
    for path in beside:
        other = _network(path.stem, path.stem, path, beside)
        if other is None or path == folder.classifier:
            continue
        if other.digest in seen:
            if other.digest == own.digest:
                found[0] = Network(**{**vars(found[0]), "title": path.stem})
            continue
        seen.add(other.digest)
        if other.name not in {each.name for each in found}:
            found.append(other)
    return tuple(found)


def load(network: Network) -> tuple[Classifier, Mapping[str, Any]]:
    """Load a classifier and, when first asked for, what goes with it; each file once.

    Raises
    ------
    ExplainerError
        If a file is missing or damaged.
    """
    if not network.path.is_file():
        raise ExplainerError(
            "This study keeps no network, so nothing can be computed with its own classifier. "
            "Choose a shipped classifier, or prepare the study again."
        )
    return _load_classifier(network.path, _stamp(network.path)), _Beside(network.others)


@functools.cache
def computing() -> threading.Lock:
    """Return the lock under which networks compute: hooks and modes of a network are shared."""
    return threading.Lock()


@functools.lru_cache(maxsize=6)
def _load_classifier(path: Path, _stamp: tuple[int, int]) -> Classifier:
    from explainers.classifiers.opening import open_classifier

    return open_classifier(str(path))


class _Beside(Mapping[str, Any]):
    """Networks by role, loaded when first asked for."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths

    def __getitem__(self, role: str) -> Any:
        path = self._paths[role]
        return _load_network(role, path, _stamp(path))

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


@functools.lru_cache(maxsize=8)
def _load_network(role: str, path: Path, _stamp: tuple[int, int]) -> Any:
    return open_network(role, str(path))


def _network(name: str, title: str, path: Path, beside: list[Path]) -> Network | None:
    """Describe a file, or return ``None`` where it is no classifier of ours."""
    header = _described(path)
    if header.get("kind") != "classifier":
        return None
    size = _size(header)
    digest = _digest(path, _stamp(path))
    others: dict[str, Path] = {}
    # What was trained with this very classifier comes before what was trained with another one.
    preferred = sorted(beside, key=lambda each: _described(each).get("classifier_digest") != digest)
    for role in ROLES:
        for each in preferred:
            described = _described(each)
            if _plays(described, role) and _size(described) == size:
                others.setdefault(role, each)
    findings = tuple(str(each) for each in header.get("findings", ()))
    return Network(name, title, path, findings, size, others, digest)


def _plays(header: Mapping[str, Any], role: str) -> bool:
    """Say whether a file is a network of a role."""
    if header.get("kind") != ROLES[role].kind:
        return False
    if role == "wgan":  # one without an encoder cannot start from a film
        return bool(header.get("encoder_base"))
    return header.get("kind") != "paired" or header.get("system") == role


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def _size(header: Mapping[str, Any]) -> tuple[int, int] | None:
    size = header.get("input_size")
    if isinstance(size, list) and len(size) == 2:
        return int(size[0]), int(size[1])
    for name in ("shape", "synthesis"):  # generators of square images state one side
        inner = header.get(name)
        if isinstance(inner, dict) and isinstance(inner.get("size"), int):
            return inner["size"], inner["size"]
    return None


def _stamp(path: Path) -> tuple[int, int]:
    """Return what changes when a file is replaced."""
    try:
        state = path.stat()
    except OSError:
        return (0, 0)
    return (state.st_mtime_ns, state.st_size)


def _described(path: Path) -> Mapping[str, Any]:
    return _header(path, _stamp(path))


@functools.lru_cache(maxsize=64)
def _header(path: Path, _stamp: tuple[int, int]) -> Mapping[str, Any]:
    """Read what a weights file says of itself; empty where it is none of ours."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LONGEST_HEADER:
                return {}
            header = json.loads(file.read(length))
        described = json.loads(header["__metadata__"]["counterlight"])
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return {}
    return described if isinstance(described, dict) else {}


@functools.lru_cache(maxsize=64)
def _digest(path: Path, _stamp: tuple[int, int]) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
