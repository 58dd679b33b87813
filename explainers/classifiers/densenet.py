"""DenseNet-121 for one-channel images (Huang et al. 2017, arXiv:1608.06993)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_GROWTH = 32


class DenseLayer(nn.Module):
    """Normalise, rectify, 1 × 1, normalise, rectify, 3 × 3; the result joins the input."""

    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.BatchNorm2d(n_in),
            nn.ReLU(),
            nn.Conv2d(n_in, 4 * _GROWTH, 1, bias=False),
            nn.BatchNorm2d(4 * _GROWTH),
            nn.ReLU(),
            nn.Conv2d(4 * _GROWTH, _GROWTH, 3, padding=1, bias=False),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(N, n_in, H, W) to (N, n_in + 32, H, W)."""
        return torch.cat([maps, self.main(maps)], dim=1)


class DenseNet(nn.Module):
    """DenseNet with growth rate 32 and compression 0.5.

    Parameters
    ----------
    n_findings
        Number of outputs F.
    blocks
        Layers in each of the four dense blocks; (6, 12, 24, 16) is DenseNet-121.
    """

    def __init__(self, n_findings: int, blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(1, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        ]
        width = 64
        for index, count in enumerate(blocks):
            for _ in range(count):
                layers.append(DenseLayer(width))
                width += _GROWTH
            if index < len(blocks) - 1:
                layers += [
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                    nn.Conv2d(width, width // 2, 1, bias=False),
                    nn.AvgPool2d(2, ceil_mode=True),
                ]
                width //= 2
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(width, n_findings)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, F) of images (N, 1, H, W) in [0, 1]."""
        return self.head(self.pool(self.features(images)).flatten(1))


def densenet121(n_findings: int) -> DenseNet:
    """DenseNet-121 with ``n_findings`` outputs."""
    return DenseNet(n_findings, (6, 12, 24, 16))
