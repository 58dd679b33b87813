"""Iterative delete: gradients averaged while the strongest pixels are removed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from captum.attr import Saliency
from torch import Tensor

from explainers.attribution.batches import (
    BatchedMethod,
    check_at_least,
    check_brightness,
)
from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.differentiation import Logits


@dataclass(frozen=True)
class IterativeDelete(BatchedMethod):
    """Mean of ∂f/∂x over rounds, each of which removes the pixels with the largest |∂f/∂x| (a
    baseline of Cohen et al. 2021, arXiv:2102.09475).

    Pixels are chosen by rank among those still there, the same number in every round. Gradients
    at removed pixels count as well. With one round it is the input gradient.

    Maps: values in logits per unit of brightness (black 0, white 1), signed.

    Parameters
    ----------
    classifier
        Whose logit is differentiated.
    n_rounds
        Gradients averaged.
    share
        Of the image's pixels removed after each round, in (0, 1].
    baseline
        Brightness of removed pixels, in [0, 1]. Mid-grey is the zero of torchxrayvision, which the
        study used.
    batch_size
        Images per pass; no influence on the result.
    """

    name: ClassVar[str] = "iterative_delete"

    classifier: Classifier = field(repr=False)
    n_rounds: int = 20
    share: float = 0.02
    baseline: float = 0.5
    batch_size: int = field(default=8, repr=False)

    def __post_init__(self) -> None:
        check_at_least(1, n_rounds=self.n_rounds)
        check_brightness(self.baseline)
        if not 0 < self.share <= 1:
            raise ExplainerError(
                f"The share of pixels removed per round is {self.share}; expected (0, 1]."
            )

    def _attribute(self, logits: Logits, images: Tensor, targets: Tensor) -> tuple[Tensor, None]:
        saliency = Saliency(logits)
        current = images.detach()
        removed = torch.zeros_like(current, dtype=torch.bool).flatten(1)  # (n, H·W)
        n_pixels = removed.shape[1]
        per_round = max(1, round(self.share * n_pixels))
        total = torch.zeros_like(current)
        for done in range(self.n_rounds):
            gradients = saliency.attribute(current.requires_grad_(), target=targets, abs=False)
            total += gradients
            if (done + 1) * per_round > n_pixels:
                continue  # nothing is left to remove: later rounds repeat this gradient
            strength = gradients.abs().flatten(1).masked_fill(removed, -1)
            removed.scatter_(1, strength.topk(per_round, dim=1).indices, True)
            current = images.detach().masked_fill(removed.view_as(images), self.baseline)
        return total / self.n_rounds, None
