"""A LeNet that tells ten handwritten digits apart: what the multiclass algorithm is tried on."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from data.digits import DIGITS
from explainers.base import ExplainerError
from explainers.checkpoint import read_network, write_network

KIND = "digits_classifier"
DIGIT_SIZE = 32
"""Rows and columns: digits of 28 × 28 with a black margin of 2, as LeNet and generators take."""


class LeNet(nn.Module):
    """Two convolutions and three linear layers (LeCun et al. 1998, Fig. 2), with ReLU.

    Maps images (N, 1, 32, 32) in [0, 1] to logits (N, 10).
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 6, 5),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, 10),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 32, 32)."""
        return self.layers(images)


class DigitClassifier(nn.Module):
    """A frozen LeNet as a :class:`explainers.classifiers.base.Classifier` of ten digits.

    Its probabilities are the softmax of the logits: they add up to 1 over the digits, unlike those
    of a classifier of films, whose findings do not exclude one another.

    Parameters
    ----------
    network
        Put into evaluation mode; its parameters stop recording gradients.
    weights_digest
        SHA-256 of the weights file, empty for a network that was never saved.
    """

    def __init__(self, network: LeNet, weights_digest: str = "") -> None:
        super().__init__()
        self.network = network
        self.findings = DIGITS
        self.input_size = (DIGIT_SIZE, DIGIT_SIZE)
        self.input_range = (0.0, 1.0)
        self.weights_digest = weights_digest
        self.eval().requires_grad_(False)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 32, 32) in [0, 1].

        Raises
        ------
        ExplainerError
            If the images have another shape.
        """
        if tuple(images.shape[1:]) != (1, DIGIT_SIZE, DIGIT_SIZE):
            raise ExplainerError(
                f"The classifier of digits takes images of shape (N, 1, {DIGIT_SIZE}, "
                f"{DIGIT_SIZE}); got {tuple(images.shape)}."
            )
        return self.network(images)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax over the digits, (N, 10) in [0, 1]."""
        return torch.softmax(logits, dim=1)


def save_digit_classifier(path: Path, network: LeNet, header: dict[str, object]) -> str:
    """Write a LeNet with what it was trained on; return its digest.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.
    """
    return write_network(path, network, KIND, {"architecture": "lenet", **header})


def load_digit_classifier(path: str | Path) -> DigitClassifier:
    """Read a LeNet that :func:`save_digit_classifier` wrote.

    Raises
    ------
    ExplainerError
        If the file is missing or holds something else.
    """
    saved = read_network(path, KIND)
    network = LeNet()
    saved.fill(network)
    return DigitClassifier(network, saved.digest)
