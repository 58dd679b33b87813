"""Gradient SHAP: expected gradients between random grey baselines and the image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from captum.attr import GradientShap as CaptumGradientShap
from torch import Tensor

from explainers.attribution.batches import (
    IMAGES_AT_ONCE,
    BatchedMethod,
    check_at_least,
    check_brightness,
)
from explainers.attribution.seeding import seeded
from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.differentiation import Logits

_N_BASELINES = 11


@dataclass(frozen=True)
class GradientShap(BatchedMethod):
    """Mean of (x − b) · ∂f/∂x at random points between random baselines b and x (Lundberg & Lee
    2017, arXiv:1705.07874; as expected gradients, Erion et al. 2021,
    doi:10.1038/s42256-021-00343-w).

    The baselines are uniform grey images: eleven levels evenly spaced between ``darkest`` and
    ``brightest``, drawn with equal chance. The attributions sum to f(x) − mean f(b), in logits, up
    to the error of sampling, which is kept as the ``method_error`` of each map.

    Maps: values in logits; ``method_error`` is their sum minus (f(x) − mean f(b)).

    Parameters
    ----------
    classifier
        Whose logit is differentiated.
    n_samples
        Pairs of a baseline and a point on the way to it.
    darkest, brightest
        Brightness of the outermost baselines, in [0, 1]; by default from black, our zero, to
        mid-grey, that of torchxrayvision.
    seed
        Of the pairs, which are the same for every image.
    batch_size
        Images per batch; no influence on the result.
    """

    name: ClassVar[str] = "gradient_shap"

    classifier: Classifier = field(repr=False)
    n_samples: int = 64
    darkest: float = 0.0
    brightest: float = 0.5
    seed: int = 0
    batch_size: int = field(default=8, repr=False)

    def __post_init__(self) -> None:
        check_at_least(1, n_samples=self.n_samples)
        check_at_least(0, seed=self.seed)
        check_brightness(self.darkest)
        check_brightness(self.brightest)
        if self.darkest > self.brightest:
            raise ExplainerError(
                f"The darkest baseline is {self.darkest} and the brightest {self.brightest}; "
                "exchange them."
            )

    def _attribute(self, logits: Logits, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        levels = torch.linspace(self.darkest, self.brightest, _N_BASELINES).to(images)
        baselines = levels.view(-1, 1, 1, 1).expand(-1, *images.shape[1:])  # (B, 1, H, W)
        shap = CaptumGradientShap(logits)
        maps = []
        for image, target in zip(images.split(1), targets.tolist(), strict=True):
            total = torch.zeros_like(image, requires_grad=False)
            with seeded(self.seed, images.device):
                for start in range(0, self.n_samples, IMAGES_AT_ONCE):
                    n = min(IMAGES_AT_ONCE, self.n_samples - start)
                    part = shap.attribute(image, baselines, n_samples=n, stdevs=0.0, target=target)
                    total += n / self.n_samples * part
            maps.append(total)
        values = torch.cat(maps)
        with torch.no_grad():
            start_logits = logits(baselines).mean(dim=0)[targets]
            end_logits = logits(images).gather(1, targets[:, None]).squeeze(1)
        return values, values.sum(dim=(1, 2, 3)) - (end_logits - start_logits)
