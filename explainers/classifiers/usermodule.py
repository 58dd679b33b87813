"""Networks of a user's own, named as ``module:factory``.

The factory is a function without arguments that returns a :class:`UserClassifier` or a
:class:`UserAutoencoder`. Naming it runs its code, so only code that is trusted may be named::

    # mynet.py
    def chest() -> UserClassifier:
        network = Net()
        network.load_state_dict(torch.load("net.pt", weights_only=True))
        return UserClassifier(network, ("Mass", "Effusion"), (224, 224), output="logit")

    counterlight explain CASES --classifier mynet:chest --out OUT
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from explainers.base import ExplainerError
from explainers.classifiers.adapted import AdaptedClassifier, Output, check_classifier


@dataclass(frozen=True, eq=False)
class UserClassifier:
    """A module and what has to be known of it; see :class:`AdaptedClassifier` for the fields.

    Parameters
    ----------
    trust_output
        Do not compare the values returned with ``output``.
    """

    module: nn.Module
    findings: tuple[str, ...]
    input_size: tuple[int, int]
    input_range: tuple[float, float] = (0.0, 1.0)
    output: Output = "logit"
    operating_points: tuple[float, ...] | None = None
    channels: int = 1
    trust_output: bool = False


@dataclass(frozen=True, eq=False)
class UserAutoencoder:
    """An autoencoder and what has to be known of it.

    Parameters
    ----------
    module
        With methods ``encode`` (N, 1, H, W) → latents and ``decode`` latents → (N, 1, H, W).
    input_size
        Rows and columns.
    input_range
        Value of black and of white, of its input and of its output.
    """

    module: nn.Module
    input_size: tuple[int, int]
    input_range: tuple[float, float] = (0.0, 1.0)


def open_user_classifier(text: str) -> AdaptedClassifier:
    """Call the factory ``module:factory`` and check the classifier it returns.

    Raises
    ------
    ExplainerError
        If there is no such factory, it fails, or its classifier cannot be explained.
    """
    made = call_factory(text)
    if not isinstance(made, UserClassifier) or not isinstance(made.module, nn.Module):
        raise ExplainerError(
            f"{text} returned {type(made).__name__}; expected a UserClassifier (from "
            "explainers.classifiers.usermodule) that holds a torch.nn.Module."
        )
    classifier = AdaptedClassifier(
        made.module,
        made.findings,
        made.input_size,
        made.input_range,
        made.output,
        made.operating_points,
        channels=made.channels,
    )
    check_classifier(classifier, trust_output=made.trust_output)
    return classifier


def call_factory(text: str) -> object:
    """Import the module of ``module:factory`` and call the factory.

    The current folder is searched first.

    Raises
    ------
    ExplainerError
        If the module or the factory does not exist or fails.
    """
    module_name, _, factory_name = text.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), factory_name)):
        raise ExplainerError(
            f"{text!r} names no network; expected module:factory, e.g. mynet:chest, where mynet.py "
            "lies in the current folder or is installed."
        )
    with _current_folder_first():
        try:
            module = importlib.import_module(module_name)
        except (ImportError, SyntaxError) as error:
            raise ExplainerError(
                f"The module {module_name!r} of {text!r} cannot be imported ({error}); run the "
                "command in its folder, or install it."
            ) from error
        factory = getattr(module, factory_name, None)
        if not callable(factory):
            raise ExplainerError(f"{module_name} has no function {factory_name!r}.")
        try:
            return factory()
        except (OSError, RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise ExplainerError(f"{text} failed: {type(error).__name__}: {error}.") from error


@contextmanager
def _current_folder_first() -> Iterator[None]:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
