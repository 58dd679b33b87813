"""SmoothGrad: input gradients averaged over noisy copies of the image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from captum.attr import NoiseTunnel, Saliency
from torch import Tensor

from explainers.attribution.batches import (
    IMAGES_AT_ONCE,
    BatchedMethod,
    check_at_least,
)
from explainers.attribution.seeding import seeded
from explainers.classifiers.base import Classifier
from explainers.differentiation import Logits


@dataclass(frozen=True)
class SmoothGrad(BatchedMethod):
    """Mean of ∂f/∂x over copies of the image with Gaussian noise (Smilkov et al. 2017,
    arXiv:1706.03825).

    The sign is kept; the paper shows absolute values, of the mean as well.

    Maps: values in logits per unit of brightness (black 0, white 1), signed.

    Parameters
    ----------
    classifier
        Whose logit is differentiated.
    n_samples
        Noisy copies.
    noise
        Standard deviation of the noise as a share of the range from black to white; the paper
        advises 0.1 to 0.2 on photographs. Noisy pixels may leave the range. 0 gives the input
        gradient.
    seed
        Of the noise, which is the same for every image.
    batch_size
        Images per batch; no influence on the result.
    """

    name: ClassVar[str] = "smoothgrad"

    classifier: Classifier = field(repr=False)
    n_samples: int = 32
    noise: float = 0.1
    seed: int = 0
    batch_size: int = field(default=8, repr=False)

    def __post_init__(self) -> None:
        check_at_least(1, n_samples=self.n_samples)
        check_at_least(0, noise=self.noise, seed=self.seed)

    def _attribute(self, logits: Logits, images: Tensor, targets: Tensor) -> tuple[Tensor, None]:
        tunnel = NoiseTunnel(Saliency(logits))
        maps = []
        for image, target in zip(images.split(1), targets.tolist(), strict=True):
            with seeded(self.seed, images.device):
                maps.append(
                    tunnel.attribute(
                        image,
                        nt_samples=self.n_samples,
                        nt_samples_batch_size=IMAGES_AT_ONCE,
                        stdevs=float(self.noise),
                        target=target,
                        abs=False,
                    )
                )
        return torch.cat(maps), None
