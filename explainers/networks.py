"""The networks that methods take beside the classifier, by their role; opened when first used.

Knowing which there are needs no torch; opening one does.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol

from explainers.base import ExplainerError


class Network(Protocol):
    """What every opened network has."""

    @property
    def weights_digest(self) -> str:
        """SHA-256 of its weights; empty if it was never saved."""
        ...

    @property
    def input_size(self) -> tuple[int, int]:
        """Rows and columns of its images."""
        ...


@dataclass(frozen=True)
class Role:
    """What a network is for.

    Parameters
    ----------
    name
        As methods, ``--network`` and the folder of a study call it.
    title
        As sentences call it, with its article.
    target
        ``"module:function"`` that opens one from a text.
    kind
        What its weights file says of itself (:mod:`explainers.checkpoint`).
    shipped
        Name of the shipped one.
    command
        Command that makes one.
    """

    name: str
    title: str
    target: str
    kind: str
    shipped: str
    command: str


_ROLES: Final = (
    Role(
        "autoencoder",
        "an autoencoder",
        "explainers.generators.opening:open_autoencoder",
        "autoencoder",
        "phantom-autoencoder",
        "counterlight train autoencoder",
    ),
    Role(
        "factors",
        "a factor set",
        "explainers.stylespace.opening:open_factors",
        "factors",
        "phantom-factors",
        "counterlight factors find",
    ),
    Role(
        "wgan",
        "a WGAN with an encoder",
        "explainers.generators.wgan:open_wgan",
        "wgan",
        "phantom-wgan",
        "counterlight train wgan",
    ),
    Role(
        "structure_class",
        "a structure/class generator",
        "explainers.generators.structure_class:load_structure_class",
        "structure_class",
        "phantom-structure-class",
        "counterlight train structure-class-gan",
    ),
    Role(
        "syce",
        "paired generators of SyCE",
        "explainers.generators.paired:load_syce",
        "paired",
        "phantom-syce",
        "counterlight train syce",
    ),
    Role(
        "cyce",
        "paired generators of CyCE",
        "explainers.generators.paired:load_cyce",
        "paired",
        "phantom-cyce",
        "counterlight train cyce",
    ),
    Role(
        "mgen",
        "a mask network",
        "explainers.generators.mgen:load_mgen",
        "mgen",
        "phantom-mgen",
        "counterlight train mgen",
    ),
)

ROLES: Final[Mapping[str, Role]] = MappingProxyType({each.name: each for each in _ROLES})
"""All roles by name."""


def role(name: str) -> Role:
    """Return a role.

    Raises
    ------
    ExplainerError
        If there is no such role; the sentence lists those there are.
    """
    if name not in ROLES:
        raise ExplainerError(f"Unknown kind of network {name!r}; choose from {', '.join(ROLES)}.")
    return ROLES[name]


def open_network(role_name: str, text: str) -> Any:
    """Open the network of a role.

    Parameters
    ----------
    role_name
        One of :data:`ROLES`.
    text
        Name of a shipped one, a file, or what else the opener of that role takes.

    Raises
    ------
    ExplainerError
        If there is no such role or network, or it cannot be read.
    """
    module, _, function = role(role_name).target.partition(":")
    return getattr(importlib.import_module(module), function)(text)


class Networks(Mapping[str, Any]):
    """Networks by role; each is opened when it is first asked for, and then kept.

    Parameters
    ----------
    texts
        Role to what a person typed; roles that are absent have the shipped network.

    Raises
    ------
    ExplainerError
        If a role is unknown; on access, as :func:`open_network`.
    """

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        given = dict(texts or {})
        for name in given:
            role(name)
        self.texts: Final[Mapping[str, str]] = MappingProxyType(
            {name: given.get(name, each.shipped) for name, each in ROLES.items()}
        )
        self._opened: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._opened:
            self._opened[name] = open_network(name, self.texts[name])
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __len__(self) -> int:
        return len(self.texts)


def digests(networks: Mapping[str, Any], roles: Iterable[str]) -> dict[str, str]:
    """Return the digests of the networks of some roles; roles that are absent are left out."""
    return {name: networks[name].weights_digest for name in roles if name in networks}
