"""Input gradients: how the logit changes with the brightness of every pixel."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from captum.attr import Saliency
from torch import Tensor

from explainers.attribution.batches import BatchedMethod
from explainers.classifiers.base import Classifier
from explainers.differentiation import Logits


@dataclass(frozen=True)
class InputGradients(BatchedMethod):
    """∂f/∂x of the logit, signed (Simonyan et al. 2013, arXiv:1312.6034).

    The Latent Shift study shows its absolute value; the sign is kept here and dropped on display.

    Maps: values in logits per unit of brightness (black 0, white 1).

    Parameters
    ----------
    classifier
        Whose logit is differentiated.
    batch_size
        Images per pass; no influence on the result.
    """

    name: ClassVar[str] = "input_gradients"

    classifier: Classifier = field(repr=False)
    batch_size: int = field(default=8, repr=False)

    def _attribute(self, logits: Logits, images: Tensor, targets: Tensor) -> tuple[Tensor, None]:
        return Saliency(logits).attribute(images, target=targets, abs=False), None
