"""Convolutional classifiers for one-channel images, in plain torch.

Every rectifier is a module of its own, used once per forward pass and never in place, and every
pooling adapts to the input, so that guided backpropagation and layer-wise relevance propagation
can hook single layers and images from 28 to 512 px pass through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.classifiers.densenet import densenet121
from explainers.classifiers.resnet import resnet50


class SmallNet(nn.Module):
    """Compact residual network: the default, about 0.8 million parameters.

    A strided 5 × 5 stem, three residual stages that each halve the resolution, and a linear head
    on the mean and the maximum of every channel: the mean serves diffuse findings, the maximum
    small ones.

    Parameters
    ----------
    n_findings
        Number of outputs F.
    widths
        Channels of the stem and of the three stages.
    """

    def __init__(self, n_findings: int, widths: tuple[int, int, int, int] = (24, 48, 96, 192)):
        super().__init__()
        stem, first, second, third = widths
        self.stem = nn.Sequential(
            nn.Conv2d(1, stem, 5, 2, 2, bias=False), nn.BatchNorm2d(stem), nn.ReLU()
        )
        self.stages = nn.Sequential(
            ResidualBlock(stem, first), ResidualBlock(first, second), ResidualBlock(second, third)
        )
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.maximum = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(2 * third, n_findings)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, F) of images (N, 1, H, W) in [0, 1]."""
        return self.features_and_logits(images)[1]

    def features_and_logits(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Maps behind the stem and every stage, from 1/2 to 1/16 of the sides, and the logits."""
        maps = [self.stem(images)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        pooled = torch.cat([self.mean(maps[-1]), self.maximum(maps[-1])], dim=1)
        return maps, self.head(pooled.flatten(1))


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions that halve the resolution, with a projected shortcut."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, 2, 1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(n_in, n_out, 1, 2, bias=False), nn.BatchNorm2d(n_out)
        )
        self.relu = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """(N, n_in, H, W) to (N, n_out, H/2, W/2)."""
        return self.relu(self.main(maps) + self.shortcut(maps))


class LeNet(nn.Module):
    """LeNet-5 (LeCun et al. 1998, doi:10.1109/5.726791) with rectifiers and max pooling.

    The map in front of the dense layers is pooled to 5 × 5, its size in the original on 32 px
    digits; rectifiers and maximum replace the original's tanh and trainable average.
    """

    def __init__(self, n_findings: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d(5),
        )
        self.head = nn.Sequential(
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, n_findings)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, F) of images (N, 1, H, W) in [0, 1]."""
        return self.head(self.features(images).flatten(1))


_VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)


class VGG16(nn.Module):
    """VGG-16, configuration D (Simonyan & Zisserman 2015, arXiv:1409.1556), batch-normalised.

    A global mean and one linear layer stand in for the three dense layers, which would hold nine
    tenths of the weights and fix the input size.
    """

    def __init__(self, n_findings: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 1
        for width in _VGG16:
            if width == 0:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
                continue
            convolution = nn.Conv2d(n_in, width, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
            n_in = width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(512, n_findings)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, F) of images (N, 1, H, W) in [0, 1]."""
        return self.head(self.pool(self.features(images)).flatten(1))


def _smaller_net(n_findings: int) -> SmallNet:
    return SmallNet(n_findings, (16, 32, 64, 128))


ARCHITECTURES: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {
        "small": SmallNet,
        "smaller": _smaller_net,
        "lenet": LeNet,
        "vgg16": VGG16,
        "resnet50": resnet50,
        "densenet121": densenet121,
    }
)
"""Name of an architecture to the function that builds it for F findings."""


def build_classifier(architecture: str, n_findings: int) -> nn.Module:
    """Build a network with fresh weights from the global random state.

    Parameters
    ----------
    architecture
        One of :data:`ARCHITECTURES`.
    n_findings
        Number of outputs F, at least 1.

    Raises
    ------
    ExplainerError
        If the architecture is unknown or there is no finding.
    """
    if architecture not in ARCHITECTURES:
        raise ExplainerError(
            f"Unknown classifier architecture {architecture!r}; "
            f"choose one of {', '.join(ARCHITECTURES)}."
        )
    if n_findings < 1:
        raise ExplainerError("A classifier needs at least one finding; the case set names none.")
    network = ARCHITECTURES[architecture](n_findings)
    _initialise(network)
    return network


def _initialise(network: nn.Module) -> None:
    """He initialisation for rectifiers (arXiv:1502.01852); biases start at zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
