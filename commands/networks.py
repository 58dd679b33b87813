"""The option ``--network``, shared by the commands that explain: networks beside the classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from explainers.base import ExplainerError
from explainers.networks import ROLES, Networks

_Command = TypeVar("_Command", bound=Callable[..., None])


def network_option(function: _Command) -> _Command:
    """Give a command the option ``--network ROLE=WEIGHTS``; it gets ``networks: Networks``."""
    shipped = ", ".join(f"{name}={role.shipped}" for name, role in ROLES.items())
    return click.option(
        "--network",
        "networks",
        multiple=True,
        metavar="ROLE=WEIGHTS",
        callback=_parsed,
        help="A network beside the classifier, for methods that take one; may be repeated. "
        f"[default: {shipped}]",
    )(function)


def _parsed(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> Networks:
    texts: dict[str, str] = {}
    for text in given:
        role, separator, weights = text.partition("=")
        if not separator or not weights:
            raise ExplainerError(
                f"--network {text!r} names no weights; write it as ROLE=WEIGHTS, such as "
                "autoencoder=my-autoencoder.safetensors."
            )
        if role in texts:
            raise ExplainerError(f"--network {role} was given twice; name each network once.")
        texts[role] = weights
    return Networks(texts)
