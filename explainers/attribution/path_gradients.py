"""Gradients integrated along the path that a generator draws (medXGAN, arXiv:2204.05376, §3.3).

Integrated gradients run along the straight line from a black image, past images that are no films.
Here the way leads through generated films, from the one without the finding to the one with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from explainers.attribution.batches import BatchedMethod, check_at_least
from explainers.classifiers.base import Classifier
from explainers.counterfactual.inversion import SearchSettings
from explainers.counterfactual.traversal import StructureClassTraversal
from explainers.differentiation import Logits
from explainers.generators.structure_class import StructureClass

_POINTS_AT_ONCE = 16


@dataclass(frozen=True)
class PathGradients(BatchedMethod):
    """Σ ∂f/∂x · Δx along G(z1, λ z2), λ from 0 (finding absent) to 1 (present).

    The latents are those of :class:`explainers.counterfactual.traversal.StructureClassTraversal`:
    of a positive film the way ends at its reconstruction, of a negative one it begins there. Each
    step takes the mean of the gradients at its ends (trapezium rule).

    The attributions sum to f(G(z1, z2)) − f(G(z1, 0)), in logits; by how much they miss it is kept
    as the ``method_error`` of each map.

    Maps: values in logits.

    Parameters
    ----------
    classifier
        Whose logit is differentiated.
    structure_class
        The generator.
    n_steps
        Steps along the way.
    restarts, iterations, rate, mse_weight, class_weight, feature_weight, prior_weight, seed
        Of the search for the latents.
    batch_size
        Images per search; no influence on the result beyond rounding.
    """

    name: ClassVar[str] = "path_gradients"

    classifier: Classifier = field(repr=False)
    structure_class: StructureClass = field(repr=False)
    n_steps: int = 50
    restarts: int = SearchSettings.restarts
    iterations: int = SearchSettings.iterations
    rate: float = SearchSettings.rate
    mse_weight: float = SearchSettings.mse_weight
    class_weight: float = SearchSettings.class_weight
    feature_weight: float = SearchSettings.feature_weight
    prior_weight: float = SearchSettings.prior_weight
    seed: int = 0
    batch_size: int = field(default=8, repr=False)

    def __post_init__(self) -> None:
        check_at_least(1, n_steps=self.n_steps)
        self._traversal()

    def _traversal(self) -> StructureClassTraversal:
        return StructureClassTraversal(
            self.classifier,
            self.structure_class,
            restarts=self.restarts,
            iterations=self.iterations,
            rate=self.rate,
            mse_weight=self.mse_weight,
            class_weight=self.class_weight,
            feature_weight=self.feature_weight,
            prior_weight=self.prior_weight,
            seed=self.seed,
            batch_size=self.batch_size,
        )

    def _attribute(self, logits: Logits, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        findings = [self.classifier.findings[target] for target in targets.tolist()]
        for finding in findings:
            self.structure_class.target(finding)
        cancelled = getattr(logits, "cancelled", None)
        paths = self._traversal().paths(images.detach(), findings, cancelled=cancelled)
        lambdas = np.linspace(0, 1, self.n_steps + 1)
        values, errors = [], []
        for path, target in zip(paths, targets.tolist(), strict=True):
            frames = path.at(self.structure_class, lambdas)
            value, error = integrated_along(logits, frames, target)
            values.append(value)
            errors.append(error)
        return torch.stack(values), torch.stack(errors)


def integrated_along(logits: Logits, frames: Tensor, target: int) -> tuple[Tensor, Tensor]:
    """Integrate the gradient of a logit along a chain of images.

    Parameters
    ----------
    logits
        Logits (T, F) of images (T, 1, H, W).
    frames
        (T, 1, H, W); T ≥ 2.
    target
        Index of the finding.

    Returns
    -------
    Tensor, Tensor
        Attribution (1, H, W), in logits, and its sum minus f(last) − f(first), a scalar.
    """
    gradients, heights = [], []
    for part in frames.split(_POINTS_AT_ONCE):
        points = part.detach().clone().requires_grad_()
        with torch.enable_grad():
            f = logits(points)[:, target]
        gradients.append(torch.autograd.grad(f.sum(), points)[0])
        heights.append(f.detach())
    gradient, f = torch.cat(gradients), torch.cat(heights)  # (T, 1, H, W), (T,)
    between = (gradient[1:] + gradient[:-1]) / 2
    values = (between * frames.diff(dim=0)).sum(dim=0)
    return values, values.sum() - (f[-1] - f[0])
