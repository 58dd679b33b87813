"""LIME: a linear model of which superpixels the logit needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr import Lime as CaptumLime
from numpy.typing import NDArray
from skimage.segmentation import slic
from torch import Tensor

from explainers.attribution.batches import (
    IMAGES_AT_ONCE,
    BatchedMethod,
    check_at_least,
    check_brightness,
)
from explainers.attribution.seeding import seeded
from explainers.classifiers.base import Classifier
from explainers.differentiation import Logits

_KERNEL_WIDTH = 0.25
"""Of the weights of samples, on the cosine distance of which superpixels they show; as published
with the method for images."""


@dataclass(frozen=True)
class Lime(BatchedMethod):
    """Weight of every superpixel in a linear model of the logit (Ribeiro et al. 2016,
    doi:10.1145/2939672.2939778).

    Superpixels are found by SLIC. In every sample each of them is shown or covered with equal
    chance; a ridge regression, in which samples that show more count more, predicts the logit
    from what is shown. Needs predictions only, no gradients.

    Maps: every pixel has the weight of its superpixel: the change of the logit, in logits, when
    the superpixel is shown and not covered.

    Parameters
    ----------
    classifier
        Whose logit is watched.
    n_samples
        Images with covered superpixels.
    n_segments
        Superpixels wanted; SLIC may find a few more or fewer.
    baseline
        Brightness of the cover, in [0, 1]. A quarter is about that of a lung filled with air; a
        brighter cover would draw an opacity there.
    ridge
        Penalty on the squared weights.
    seed
        Of the samples.
    batch_size
        Images per batch; no influence on the result.
    """

    name: ClassVar[str] = "lime"
    differentiates: ClassVar[bool] = False

    classifier: Classifier = field(repr=False)
    n_samples: int = 500
    n_segments: int = 100
    baseline: float = 0.25
    ridge: float = 1.0
    seed: int = 0
    batch_size: int = field(default=8, repr=False)

    def __post_init__(self) -> None:
        check_at_least(1, n_samples=self.n_samples, n_segments=self.n_segments)
        check_at_least(0, ridge=self.ridge, seed=self.seed)
        check_brightness(self.baseline)

    def _attribute(self, logits: Logits, images: Tensor, targets: Tensor) -> tuple[Tensor, None]:
        lime = CaptumLime(
            logits,
            interpretable_model=SkLearnRidge(alpha=self.ridge),
            similarity_func=_closeness,
        )
        maps = []
        for image, target in zip(images.split(1), targets.tolist(), strict=True):
            segments = superpixels(image[0, 0].cpu().numpy(), self.n_segments)
            with seeded(self.seed, images.device):
                maps.append(
                    lime.attribute(
                        image,
                        baselines=float(self.baseline),
                        target=target,
                        feature_mask=torch.from_numpy(segments).to(image.device)[None, None],
                        n_samples=self.n_samples,
                        perturbations_per_eval=2 * IMAGES_AT_ONCE,
                    )
                )
        return torch.cat(maps), None


def superpixels(image: NDArray[np.float32], n_segments: int) -> NDArray[np.int64]:
    """Cut an image (H, W) in [0, 1] into about ``n_segments`` compact pieces, numbered from 0."""
    labels = slic(image, n_segments, compactness=0.1, channel_axis=None, start_label=0)
    return np.unique(labels, return_inverse=True)[1].reshape(image.shape).astype(np.int64)


def _closeness(_image: Tensor, _covered: Tensor, shown: Tensor, **_kwargs: object) -> Tensor:
    """Weight of a sample that shows some of the superpixels; shown (1, S) -> (1,)."""
    cosine = shown.float().mean(dim=1).sqrt()  # between ``shown`` and a vector of ones
    return torch.exp(-((1 - cosine) ** 2) / (2 * _KERNEL_WIDTH**2))
