"""Adaptive augmentation of what a discriminator sees (Karras et al. 2020, arXiv:2006.06676).

Real and generated images pass through the same random, differentiable changes, each applied with
probability p; p rises while the discriminator tells training images apart too surely. Films are
never mirrored: the heart is on the left.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def augmented(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Change images (N, 1, H, W), about [−1, 1]; each change happens with probability ``strength``.

    Shift by up to an eighth of the side, rotation by up to 10°, zoom by up to a fifth, brightness
    and contrast.
    """
    if strength <= 0:
        return images
    n_images = len(images)

    def drawn(spread: float) -> Tensor:
        value = (torch.rand(n_images, generator=generator) * 2 - 1) * spread
        return value * (torch.rand(n_images, generator=generator) < strength)

    angle, zoom = drawn(math.radians(10)), torch.exp2(drawn(0.26))
    cosine, sine = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    across, down = drawn(0.25), drawn(0.25)
    matrix = torch.stack([cosine, -sine, across, sine, cosine, down], dim=1).reshape(-1, 2, 3)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    moved = functional.grid_sample(
        images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    contrast = torch.exp2(drawn(0.5)).reshape(-1, 1, 1, 1)
    return moved * contrast + drawn(0.2).reshape(-1, 1, 1, 1)


def adapted(strength: float, sign: float, *, target: float, step: float) -> float:
    """Move the strength towards where the mean sign of D on real images is ``target``.

    Parameters
    ----------
    strength
        Probability of each change, in [0, 1].
    sign
        Mean sign of the discriminator's scores of real images, in [−1, 1]; 1: it knows them all.
    target
        0.6 in the paper.
    step
        Largest change.
    """
    moved = strength + math.copysign(step, sign - target)
    return min(max(moved, 0.0), 0.8)
