"""ResNet-50 for one-channel images (He et al. 2016, arXiv:1512.03385)."""

from __future__ import annotations

from torch import Tensor, nn


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3, 1 × 1 convolutions around a shortcut; the stride sits on the 3 × 3.

    The paper strides the first 1 × 1; the later convention followed here loses less of the map.
    """

    def __init__(self, n_in: int, width: int, stride: int) -> None:
        super().__init__()
        n_out = 4 * width
        self.main = nn.Sequential(
            nn.Conv2d(n_in, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, n_out, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )
        self.relu = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """(N, n_in, H, W) to (N, 4 width, H/stride, W/stride)."""
        return self.relu(self.main(maps) + self.shortcut(maps))


class ResNet(nn.Module):
    """Bottleneck ResNet.

    Parameters
    ----------
    n_findings
        Number of outputs F.
    blocks
        Bottlenecks in each of the four stages; (3, 4, 6, 3) is ResNet-50.
    """

    def __init__(self, n_findings: int, blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        layers: list[nn.Module] = []
        n_in = 64
        for stage, count in enumerate(blocks):
            width = 64 * 2**stage
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                layers.append(Bottleneck(n_in, width, stride))
                n_in = 4 * width
        self.stages = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(n_in, n_findings)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, F) of images (N, 1, H, W) in [0, 1]."""
        return self.head(self.pool(self.stages(self.stem(images))).flatten(1))


def resnet50(n_findings: int) -> ResNet:
    """ResNet-50 with ``n_findings`` outputs."""
    return ResNet(n_findings, (3, 4, 6, 3))
