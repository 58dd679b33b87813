"""A world of one finding: a bright square in the middle of a grey image, and who sees it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from explainers.training.images import ArrayImages

SIDE = 16
FINDING = "Square"
_HALF = SIDE // 4


class SquareSeer(nn.Module):
    """Logit = 20 · (mean brightness of the middle − 0.5); the second finding is never there."""

    findings = (FINDING, "Nothing")
    input_size = (SIDE, SIDE)
    input_range = (0.0, 1.0)
    weights_digest = "square-seer"

    def logits(self, images: Tensor) -> Tensor:
        middle = slice(SIDE // 2 - _HALF // 2, SIDE // 2 + _HALF // 2)
        seen = 20 * (images[:, 0, middle, middle].mean(dim=(1, 2)) - 0.5)
        return torch.stack([seen, torch.full_like(seen, -3.0)], dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)


def squares(n: int = 64, seed: int = 0) -> ArrayImages:
    """Noisy grey images, every second one with the square."""
    rng = np.random.default_rng(seed)
    images = rng.integers(60, 90, (n, SIDE, SIDE)).astype(np.uint8)
    middle = slice(SIDE // 2 - _HALF // 2, SIDE // 2 + _HALF // 2)
    images[1::2, middle, middle] = 230
    splits = np.array(["val" if number % 8 > 5 else "train" for number in range(n)])
    return ArrayImages(images, splits, np.arange(n) % 2)
