"""Input gradients: how the logit changes with the brightness of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from captum.attr import Saliency
from torch import Tensor

from explainers.attribution.batches import attribute_in_batches
from explainers.base import Cancelled, OnProgress
from explainers.classifiers.base import Classifier
from explainers.differentiation import Logits
from explainers.record import Attribution, Goal


@dataclass(frozen=True)
class InputGradients:
    """∂f/∂x of the logit, signed (Simonyan et al. 2013, arXiv:1312.6034).

    The Latent Shift study shows its absolute value; the sign is kept here and dropped on display.

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

    def explain(
        self,
        images: Tensor,
        goals: Sequence[Goal],
        *,
        on_progress: OnProgress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Sequence[Attribution]:
        """Explain one goal per image of (N, 1, H, W) in [0, 1], as every explainer does.

        Returns
        -------
        sequence of Attribution
            Values in logits per unit of brightness (black 0, white 1).

        Raises
        ------
        ExplainerError
            If images or goals are not what the classifier takes.
        """
        return attribute_in_batches(
            _gradients,
            self.classifier,
            images,
            goals,
            batch_size=self.batch_size,
            on_progress=on_progress,
            cancelled=cancelled,
        )


def _gradients(logits: Logits, images: Tensor, targets: Tensor) -> tuple[Tensor, None]:
    return Saliency(logits).attribute(images, target=targets, abs=False), None
