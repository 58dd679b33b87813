"""torchxrayvision's ResNet-101 autoencoder (Cohen et al. 2021, arXiv:2102.09475): 4608 numbers."""

from __future__ import annotations

import importlib

import torch

from explainers.base import ExplainerError
from explainers.classifiers.torchxrayvision import (
    INPUT_RANGE,
    import_torchxrayvision,
    split_name,
)
from explainers.classifiers.weightsfile import fill, read_state
from explainers.generators.adapted import AdaptedAutoencoder

NAME = "101-elastic"
SIZE = (224, 224)


def open_torchxrayvision_autoencoder(text: str) -> AdaptedAutoencoder:
    """Open ``101-elastic@<weights file>``; nothing is downloaded.

    Raises
    ------
    ExplainerError
        If the package is not installed, the name is unknown, or the file is missing or unfit.
    """
    name, path = split_name(text)
    if name != NAME:
        raise ExplainerError(f"torchxrayvision has no autoencoder {name!r}; write {NAME}@<file>.")
    package = import_torchxrayvision()
    module = importlib.import_module(f"{package.__name__}.autoencoders")
    if not path.is_file():
        raise ExplainerError(
            f"There are no weights at {path}; download {module.model_urls[NAME]['weights_url']} "
            "yourself, put it there or name the file that you have. Nothing is downloaded for you."
        )
    with torch.random.fork_rng(devices=[]):
        network = module.ResNetAE(weights=None)
    fill(network, read_state(path), path)
    network.weights = NAME  # its own repr asks for it
    return AdaptedAutoencoder(network, SIZE, INPUT_RANGE)
