"""Tiny networks whose explanations are known in closed form: 8 × 8 images, linear maps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

FINDINGS = ("Mass", "Lung Opacity")
SIDE = 8


class LinearClassifier(nn.Module):
    """Logits = w · x + b; probability = sigmoid(slope · logit)."""

    findings = FINDINGS
    input_size = (SIDE, SIDE)
    weights_digest = "linear-classifier"

    def __init__(self, input_range: tuple[float, float] = (0.0, 1.0), seed: int = 1) -> None:
        super().__init__()
        self.input_range = input_range
        self.head = nn.Linear(SIDE * SIDE, len(FINDINGS))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.head.weight.copy_(torch.randn(len(FINDINGS), SIDE * SIDE, generator=generator))
            self.head.bias.copy_(-self.head.weight.sum(dim=1) / 2 + 0.3)

    def logits(self, images: Tensor) -> Tensor:
        return self.head(images.flatten(1))

    def probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)


class ReluClassifier(LinearClassifier):
    """Two layers with a rectifier, a batch norm and dropout: mode and hooks matter."""

    weights_digest = "relu-classifier"

    def __init__(self, seed: int = 2) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = nn.Sequential(
                nn.Linear(SIDE * SIDE, 16),
                nn.BatchNorm1d(16),
                nn.ReLU(),
                nn.Dropout(0.5),
                nn.Linear(16, len(FINDINGS)),
            )


@dataclass(frozen=True, eq=False)
class WrappedClassifier:
    """A classifier that is no module but has one as its attribute ``module``, or has none."""

    inner: LinearClassifier
    module: nn.Module | None = None
    findings: tuple[str, ...] = FINDINGS
    input_size: tuple[int, int] = (SIDE, SIDE)
    input_range: tuple[float, float] = (0.0, 1.0)
    weights_digest: str = "wrapped"

    def logits(self, images: Tensor) -> Tensor:
        return self.inner.logits(images)

    def probabilities(self, logits: Tensor) -> Tensor:
        return self.inner.probabilities(logits)


class LinearAutoencoder(nn.Module):
    """D(z) = 0.5 + Wz with orthonormal columns, E its transpose: D(E(x)) is a projection of x."""

    input_size = (SIDE, SIDE)
    latent_shape = (12,)
    weights_digest = "linear-autoencoder"

    def __init__(self, seed: int = 3) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        basis = torch.linalg.qr(torch.randn(SIDE * SIDE, 12, generator=generator)).Q
        self.basis = nn.Parameter(basis)

    def encode(self, images: Tensor) -> Tensor:
        return (images.flatten(1) - 0.5) @ self.basis

    def decode(self, latents: Tensor) -> Tensor:
        return (0.5 + latents @ self.basis.T).reshape(-1, 1, SIDE, SIDE)


class SquashedAutoencoder(LinearAutoencoder):
    """A decoder whose images cannot leave [0, 1]."""

    def decode(self, latents: Tensor) -> Tensor:
        return torch.sigmoid(4 * (super().decode(latents) - 0.5))


def grey_images(n: int, seed: int = 4) -> Tensor:
    """Return (n, 1, 8, 8) images around mid-grey."""
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + 0.1 * (torch.rand(n, 1, SIDE, SIDE, generator=generator) - 0.5)
