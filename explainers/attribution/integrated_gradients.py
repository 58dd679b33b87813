"""Integrated gradients: gradients collected on the way from a baseline to the image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from torch import Tensor, nn

from explainers.attribution.batches import (
    BatchedMethod,
    check_at_least,
    check_brightness,
)
from explainers.attribution.first_layer import cut
from explainers.classifiers.base import Classifier
from explainers.differentiation import Logits

_FIRST_STEPS = 16


@dataclass(frozen=True)
class IntegratedGradients(BatchedMethod):
    """(x − b) · mean of ∂f/∂x between b and x (Sundararajan et al. 2017, arXiv:1703.01365, Eq. 1).

    Where the classifier begins with a convolution, the gradients are averaged behind it and taken
    back through it once: the same map, for less (:mod:`explainers.attribution.first_layer`).

    The attributions sum to f(x) − f(b), in logits; by how much they miss it is kept as the
    ``method_error`` of each map.

    Maps: values in logits; ``method_error`` is their sum minus f(x) − f(b).

    Parameters
    ----------
    classifier
        Whose logit is differentiated.
    n_steps
        Points on the way (Gauss–Legendre nodes); 100 in the Latent Shift study. With a tolerance,
        the most that are used.
    tolerance
        Where above 0, an image gets as few points as it needs: 16, then about as many again as it
        had, weighted by their number, until the attributions miss f(x) − f(b) by no more than
        this share of it (of one logit, where the difference is smaller); 0.2 keeps the map within
        a correlation of 0.99 of that of 300 points. 0 always takes ``n_steps``.
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
    tolerance: float = 0.0
    batch_size: int = field(default=8, repr=False)
    internal_batch_size: int = field(default=4, repr=False)

    def __post_init__(self) -> None:
        check_at_least(1, n_steps=self.n_steps, internal_batch_size=self.internal_batch_size)
        check_at_least(0, tolerance=self.tolerance)
        check_brightness(self.baseline)

    def _attribute(self, logits: Logits, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        baseline = torch.full_like(images[:1].detach(), self.baseline)
        with torch.no_grad():
            *ends, start = logits(torch.cat([images, baseline]))
        difference = (torch.stack(ends) - start).gather(1, targets[:, None]).squeeze(1)  # (n,)
        allowed = self.tolerance * difference.abs().clamp(min=1)
        line = _Line.between(logits, baseline, images, self.internal_batch_size)
        values, errors = torch.zeros_like(images.detach()), -difference
        left = torch.arange(len(images), device=images.device)
        used, new = 0, min(_FIRST_STEPS, self.n_steps) if self.tolerance > 0 else self.n_steps
        while len(left) and new:
            found = line.attributions(left, targets[left], new).to(values)
            values[left] += new / (used + new) * (found - values[left])  # the mean of all so far
            errors[left] = values[left].flatten(1).sum(dim=1) - difference[left]
            left = left[errors[left].abs() > allowed[left]]
            used += new
            new = min(used + 1, self.n_steps - used)  # one more than before: other points
        return values, errors


@dataclass(frozen=True, eq=False)
class _Line:
    """The straight ways from a baseline to n images, cut short behind the first convolution.

    Parameters
    ----------
    network
        Logits of maps behind the cut, or of images where there is none.
    images, maps
        (n, 1, H, W), and what the network is given for them, which depends on them.
    baseline, start
        (1, 1, H, W), and what the network is given for it.
    at_once
        Gradients computed at once.
    """

    network: nn.Module
    images: Tensor
    maps: Tensor
    baseline: Tensor
    start: Tensor
    at_once: int

    @classmethod
    def between(cls, logits: Logits, baseline: Tensor, images: Tensor, at_once: int) -> _Line:
        behind = cut(logits, images, baseline)
        if behind is None:
            return cls(logits, images, images, baseline, baseline, at_once)
        network, maps, start = behind
        return cls(network, images, maps, baseline, start, at_once)

    def attributions(self, which: Tensor, targets: Tensor, n_steps: int) -> Tensor:
        """Return (x − b) · mean gradient of some of the images, (m, 1, H, W)."""
        end = self.maps.detach()[which].requires_grad_()
        mean = CaptumIntegratedGradients(self.network, multiply_by_inputs=False).attribute(
            end,
            baselines=self.start.expand_as(end),
            target=targets,
            n_steps=n_steps,
            internal_batch_size=max(self.at_once, len(end)),
        )
        if self.maps is not self.images:  # once back through the convolution
            behind = torch.zeros_like(self.maps)
            behind[which] = mean.to(behind)
            mean = torch.autograd.grad(self.maps, self.images, behind, retain_graph=True)[0][which]
        return mean.to(self.images) * (self.images.detach()[which] - self.baseline)
