"""BBMP: the smallest smooth region whose blurring takes the finding away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional

from explainers.attribution.batches import BatchedMethod, check_at_least
from explainers.classifiers.base import Classifier
from explainers.differentiation import Logits


@dataclass(frozen=True)
class Bbmp(BatchedMethod):
    """Black-box meaningful perturbation: a deletion mask found by gradient descent (Fong & Vedaldi
    2017, arXiv:1704.03296, Eqs. 3 and 5).

    With d the share of every pixel that is replaced by its blurred neighbourhood, on a coarse grid
    and interpolated, Adam minimises ::

        max(f(x − d · (x − blur(x))) − f(x) + s, 0) / s
        + sparsity · mean |d| + smoothness · mean |∇d|³

    from d = 0.5. What is wanted is a fall of the logit by s = max(f(x) − f(blur(x)), 1): what
    blurring all of the image would do. The paper has the probability in this place, which cannot
    fall below 0; a logit without such a floor rewards masks that drive it down by artefacts. In
    every iteration the image is moved a little against the mask, so that no single pixel is singled
    out.

    Maps: d, in [0, 1], never negative: 1 where blurring takes evidence for the finding away, 0
    where the image may stay as it is.

    Parameters
    ----------
    classifier
        Whose logit is lowered.
    mask_size
        Rows and columns of the mask's grid (Charachon et al. 2021 use 56), at most those of the
        image.
    n_iterations
        Steps of Adam.
    learning_rate
        Of Adam.
    blur
        Standard deviation of the blur as a share of the image's shorter side; the paper's 10 px on
        224 is 0.045.
    sparsity, smoothness
        Weights of the penalties.
    jitter_px
        Largest move of the image against the mask, in pixels of the classifier's input.
    seed
        Of the moves, which are the same for every image.
    batch_size
        Images per pass; no influence on the result.
    """

    name: ClassVar[str] = "bbmp"

    classifier: Classifier = field(repr=False)
    mask_size: int = 56
    n_iterations: int = 150
    learning_rate: float = 0.1
    blur: float = 0.045
    sparsity: float = 3.0
    smoothness: float = 10.0
    jitter_px: int = 2
    seed: int = 0
    batch_size: int = field(default=8, repr=False)

    def __post_init__(self) -> None:
        check_at_least(1, mask_size=self.mask_size, n_iterations=self.n_iterations)
        check_at_least(
            0,
            learning_rate=self.learning_rate,
            blur=self.blur,
            sparsity=self.sparsity,
            smoothness=self.smoothness,
            jitter_px=self.jitter_px,
            seed=self.seed,
        )

    def _attribute(self, logits: Logits, images: Tensor, targets: Tensor) -> tuple[Tensor, None]:
        images = images.detach()
        blurred = _blurred(images, self.blur)
        chosen = targets[:, None]
        with torch.no_grad():
            whole = logits(images).gather(1, chosen)  # (n, 1)
            scale = (whole - logits(blurred).gather(1, chosen)).clamp(min=1)
        rows, columns = (min(self.mask_size, side) for side in images.shape[2:])
        mask = torch.full((len(images), 1, rows, columns), 0.5).to(images).requires_grad_()
        optimiser = torch.optim.Adam([mask], lr=self.learning_rate)
        for move in self._moves():
            x, b = _moved(images, move), _moved(blurred, move)
            deleted = _interpolated(mask, images)
            predicted = logits(x - deleted * (x - b)).gather(1, chosen)
            loss = ((predicted - whole + scale).clamp(min=0) / scale).sum()
            loss = loss + self.sparsity * mask.mean(dim=(1, 2, 3)).sum()
            loss = loss + self.smoothness * _roughness(mask)
            [mask.grad] = torch.autograd.grad(loss, [mask])
            optimiser.step()
            with torch.no_grad():
                mask.clamp_(0, 1)
        return _interpolated(mask.detach(), images), None

    def _moves(self) -> list[tuple[int, int]]:
        """Draw rows and columns to move by, one pair per iteration."""
        generator = torch.Generator().manual_seed(self.seed)
        shape = (self.n_iterations, 2)
        drawn = torch.randint(-self.jitter_px, self.jitter_px + 1, shape, generator=generator)
        return [(down, right) for down, right in drawn.tolist()]


def _blurred(images: Tensor, share: float) -> Tensor:
    sigma = share * min(images.shape[2:])
    smooth = gaussian_filter(images.cpu().numpy(), sigma, mode="nearest", axes=(2, 3))
    return torch.from_numpy(np.clip(smooth, 0, 1)).to(images)


def _moved(images: Tensor, move: tuple[int, int]) -> Tensor:
    """Shift images, with their edges repeated."""
    down, right = move
    if not down and not right:
        return images
    border = max(abs(down), abs(right))
    padded = functional.pad(images, (border,) * 4, mode="replicate")
    rows, columns = images.shape[2:]
    return padded[..., border - down :, border - right :][..., :rows, :columns]


def _interpolated(mask: Tensor, images: Tensor) -> Tensor:
    """Bring masks to the size of the images, differentiably."""
    return functional.interpolate(mask, images.shape[2:], mode="bilinear", align_corners=False)


def _roughness(mask: Tensor) -> Tensor:
    """Total variation Σ|∇d|³ of every mask over its number of cells, summed over the masks."""
    total = mask.diff(dim=2).abs().pow(3).sum() + mask.diff(dim=3).abs().pow(3).sum()
    return total / mask[0].numel()
