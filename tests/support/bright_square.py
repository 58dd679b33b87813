"""A world of one finding: a bright square in the middle of a grey image, and who sees it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from explainers.training.films import Films
from explainers.training.images import ArrayImages

SIDE = 16
FINDING = "Square"
_HALF = SIDE // 4
MIDDLE = slice(SIDE // 2 - _HALF // 2, SIDE // 2 + _HALF // 2)


class SquareSeer(nn.Module):
    """Logit = 20 · (mean brightness of the middle − 0.5); the second finding is never there."""

    findings = (FINDING, "Nothing")
    input_size = (SIDE, SIDE)
    input_range = (0.0, 1.0)
    weights_digest = "square-seer"

    def logits(self, images: Tensor) -> Tensor:
        seen = 20 * (images[:, 0, MIDDLE, MIDDLE].mean(dim=(1, 2)) - 0.5)
        return torch.stack([seen, torch.full_like(seen, -3.0)], dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)


def squares(n: int = 64, seed: int = 0) -> ArrayImages:
    """Noisy grey images, every second one with the square."""
    rng = np.random.default_rng(seed)
    images = rng.integers(60, 90, (n, SIDE, SIDE)).astype(np.uint8)
    images[1::2, MIDDLE, MIDDLE] = 230
    splits = np.array(["val" if number % 8 > 5 else "train" for number in range(n)])
    return ArrayImages(images, splits, np.arange(n) % 2)


def square_films(n: int, *, masked: bool, simulated: bool) -> Films:
    """The same as films for testing; cases c0, c1, … of patients p0, p0, p1, …"""
    images = squares(n).images
    masks = np.zeros((n, SIDE, SIDE), np.uint16)
    if masked:
        masks[1::2, MIDDLE, MIDDLE] = 1
    return Films(
        findings=(FINDING,),
        images=images,
        masks=masks,
        labels=(np.arange(n) % 2).astype(np.float32)[:, None],
        case_ids=np.array([f"c{k}" for k in range(n)]),
        patient_ids=np.array([f"p{k // 2}" for k in range(n)]),
        splits=np.full(n, "test"),
        removed=np.full(n, -1),
        digest="films",
        sources=("phantom/1" if simulated else "real",),
        simulated=simulated,
    )
