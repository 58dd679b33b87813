"""Integrated gradients: gradients collected on the way from a baseline to the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from torch import Tensor

from explainers.attribution.batches import attribute_in_batches
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.differentiation import Logits
from explainers.record import Attribution, Goal


@dataclass(frozen=True)
class IntegratedGradients:
    """(x − b) · mean of ∂f/∂x between b and x (Sundararajan et al. 2017, arXiv:1703.01365, Eq. 1).

    The attributions sum to f(x) − f(b), in logits; by how much they miss it is kept as the
    ``method_error`` of each map.

    Parameters
    ----------
    classifier
        Whose logit is differentiated.
    n_steps
        Points on the way (Gauss–Legendre nodes); 100 in the Latent Shift study.
    baseline
        Brightness of the baseline image: 0 is black. (Zero in the units of torchxrayvision, which
        the study used, is mid-grey: 0.5 here.)
    batch_size
        Images per pass; no influence on the result.
    internal_batch_size
        Gradients computed at once; no influence on the result.
    """

    name: ClassVar[str] = "integrated_gradients"

    classifier: Classifier = field(repr=False)
    n_steps: int = 100
    baseline: float = 0.0
    batch_size: int = field(default=8, repr=False)
    internal_batch_size: int = field(default=64, repr=False)

    def __post_init__(self) -> None:
        if self.n_steps < 1:
            raise ExplainerError(f"n_steps is {self.n_steps}; expected at least 1.")
        if not 0 <= self.baseline <= 1:
            raise ExplainerError(
                f"The baseline is {self.baseline}; expected a brightness in [0, 1]."
            )

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
            Values in logits; ``method_error`` is their sum minus f(x) − f(b).

        Raises
        ------
        ExplainerError
            If images or goals are not what the classifier takes.
        """
        return attribute_in_batches(
            self._integrate,
            self.classifier,
            images,
            goals,
            batch_size=self.batch_size,
            on_progress=on_progress,
            cancelled=cancelled,
        )

    def _integrate(self, logits: Logits, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return CaptumIntegratedGradients(logits).attribute(
            images,
            baselines=self.baseline,
            target=targets,
            n_steps=self.n_steps,
            internal_batch_size=max(self.internal_batch_size, len(images)),
            return_convergence_delta=True,
        )
