"""An autoencoder by what a person typed."""

from __future__ import annotations

from explainers.generators.autoencoder import load_autoencoder
from explainers.generators.base import Autoencoder

TORCHXRAYVISION = "torchxrayvision:"


def open_autoencoder(text: str) -> Autoencoder:
    """Open an autoencoder.

    Parameters
    ----------
    text
        The name of a shipped one, a ``.safetensors`` file of ours, ``module:factory`` for one's
        own (see :mod:`explainers.classifiers.usermodule`), or
        ``torchxrayvision:101-elastic@<weights file>``.

    Raises
    ------
    ExplainerError
        If there is no such network, or it cannot be read or differentiated.
    """
    if text.startswith(TORCHXRAYVISION):
        from explainers.generators.torchxrayvision import open_torchxrayvision_autoencoder

        return open_torchxrayvision_autoencoder(text.removeprefix(TORCHXRAYVISION))
    if ":" in text and not text.endswith(".safetensors"):
        from explainers.generators.adapted import open_user_autoencoder

        return open_user_autoencoder(text)
    return load_autoencoder(text)
