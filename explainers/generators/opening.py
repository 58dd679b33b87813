"""An autoencoder by what a person typed."""

from __future__ import annotations

from explainers.generators.autoencoder import load_autoencoder
from explainers.generators.base import Autoencoder


def open_autoencoder(text: str) -> Autoencoder:
    """Open a shipped autoencoder by name, or one of ours from a .safetensors file.

    Raises
    ------
    ExplainerError
        If there is no such network, or the file is unreadable.
    """
    return load_autoencoder(text)
