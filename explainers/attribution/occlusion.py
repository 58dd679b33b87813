"""Occlusion: how far the logit falls when a patch of the image is covered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from captum.attr import Occlusion as CaptumOcclusion
from torch import Tensor

from explainers.attribution.batches import (
    IMAGES_AT_ONCE,
    BatchedMethod,
    Method,
    check_at_least,
    check_brightness,
)
from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.differentiation import Logits


@dataclass(frozen=True)
class Occlusion(BatchedMethod):
    """f(x) − f(x with a square covered), square by square (Zeiler & Fergus 2014,
    arXiv:1311.2901).

    A pixel under several squares has the mean of their values. Positive: covering it lowers the
    logit. Needs predictions only, no gradients.

    Maps: values in logits per window, signed.

    Parameters
    ----------
    classifier
        Whose logit is watched.
    window
        Side of the square in pixels of the classifier's input.
    stride
        Pixels from one square to the next, at most ``window``.
    baseline
        Brightness of the cover, in [0, 1]. A quarter is about that of a lung filled with air; a
        brighter cover would draw an opacity there.
    batch_size
        Images per batch; no influence on the result.
    """

    name: ClassVar[str] = "occlusion"
    differentiates: ClassVar[bool] = False

    classifier: Classifier = field(repr=False)
    window: int = 8
    stride: int = 4
    baseline: float = 0.25
    batch_size: int = field(default=8, repr=False)

    def __post_init__(self) -> None:
        check_at_least(1, window=self.window, stride=self.stride)
        check_brightness(self.baseline)
        if self.stride > self.window:
            raise ExplainerError(
                f"A stride of {self.stride} px leaves gaps between windows of {self.window} px; "
                "expected a stride of at most the window."
            )

    def _prepared(self) -> tuple[Classifier, Method]:
        if self.window > min(self.classifier.input_size):
            rows, columns = self.classifier.input_size
            raise ExplainerError(
                f"A window of {self.window} px does not fit the classifier's images of {rows} × "
                f"{columns} pixels; choose a smaller one."
            )
        return super()._prepared()

    def _attribute(self, logits: Logits, images: Tensor, targets: Tensor) -> tuple[Tensor, None]:
        found = CaptumOcclusion(logits).attribute(
            images,
            sliding_window_shapes=(1, self.window, self.window),
            strides=(1, self.stride, self.stride),
            baselines=float(self.baseline),
            target=targets,
            perturbations_per_eval=max(1, 2 * IMAGES_AT_ONCE // len(images)),
        )
        return found, None
