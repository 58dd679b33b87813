"""MGen: the evidence for a prediction, drawn by a mask network in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from explainers.attribution.batches import BatchedMethod, check_batch_size
from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.differentiation import Logits, left_as_found
from explainers.generators.mgen import MaskGenerator

_OPERATING_POINT = 0.5


@dataclass(frozen=True, kw_only=True)
class Mgen(BatchedMethod):
    """Mask network (Dabkowski & Gal 2017, arXiv:1705.07857).

    Maps: m where the finding is predicted, in [0, 1]: 1 where blurring would take evidence for it
    away. Where it is not predicted, −m, in [−1, 0]: evidence against it.

    Parameters
    ----------
    classifier
        What is explained; it says on which side an image stands.
    mgen
        Trained with this classifier.
    batch_size
        Images per pass; no influence on the result.

    Raises
    ------
    ExplainerError
        If the mask network takes images of another size.
    """

    name: ClassVar[str] = "mgen"
    differentiates: ClassVar[bool] = False

    classifier: Classifier = field(repr=False)
    mgen: MaskGenerator = field(repr=False)
    batch_size: int = field(default=32, repr=False)

    def __post_init__(self) -> None:
        check_batch_size(self.batch_size)
        if tuple(self.mgen.input_size) != tuple(self.classifier.input_size):
            raise ExplainerError(
                f"The mask network takes images of {self.mgen.input_size} pixels, the classifier "
                f"of {self.classifier.input_size}; use two of the same size."
            )

    def _attribute(self, logits: Logits, images: Tensor, targets: Tensor) -> tuple[Tensor, None]:
        findings = self.classifier.findings
        numbers = [self.mgen.index(findings[target]) for target in targets.tolist()]
        with torch.no_grad(), left_as_found(self.mgen):
            probabilities = self.classifier.probabilities(logits(images))
            present = probabilities.gather(1, targets[:, None])[:, 0] >= _OPERATING_POINT
            which = torch.tensor(numbers, device=images.device)
            masks = self.mgen.masks(images, which, present.long())
        signs = torch.where(present, 1.0, -1.0)[:, None, None, None]
        return masks * signs, None
