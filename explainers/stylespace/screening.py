"""Which ends of which dimensions can matter, by the gradient: what a screened sweep measures.

The change of a logit is taken as slope times distance and carried through the calibrated
probability, so that a saturated prediction is judged by where its logit would go and not by the
vanishing slope of its probability. The estimate is poor, so the screening is cautious: an end is
measured where the gradient expects a share of the threshold only. The share is ``_CAUTION`` for the
first layer and falls in a straight line with the layers that are left to run: an image from a late
layer costs a fraction of one from the first, and it is there that the estimate fails most often.
An end that is expected to matter on average over the films is measured on all of them, so that its
mean is no mean of gaps.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explainers.classifiers.base import Classifier
from explainers.generators.stylegan2 import Generator, to_brightness
from explainers.stylespace.clamped import seen_logits
from explainers.stylespace.ranges import StyleRanges

_CAUTION = 0.4
_MEAN_CAUTION = 0.5


def screened_ends(
    generator: Generator,
    classifier: Classifier,
    styles: Tensor,
    ranges: StyleRanges,
    threshold: float,
) -> NDArray[np.bool_]:
    """Return which ends (N, D, 2) a sweep for ``threshold`` has to measure.

    Parameters
    ----------
    generator, classifier, ranges
        As for :func:`explainers.stylespace.sweep.sweep`.
    styles
        (N, D) of the films that are selected from together.
    threshold
        The |Δ| that the selection asks for.
    """
    expected = np.stack([_expected(generator, classifier, film, ranges) for film in styles])
    n_layers = len(generator.layers)
    left = np.empty(generator.n_styles)
    for number, layer in enumerate(generator.layers):
        left[layer.start : layer.stop] = (n_layers - number) / n_layers
    least = threshold * _CAUTION * left[None, :, None]  # (1, D, 1)
    somewhere = expected.max(axis=3) >= least
    on_average = expected.mean(axis=0).max(axis=2) >= threshold * _MEAN_CAUTION
    return np.asarray(somewhere | on_average[None])


def _expected(
    generator: Generator, classifier: Classifier, film: Tensor, ranges: StyleRanges
) -> NDArray[np.float32]:
    """Return |Δ| (D, 2, F) as the gradient expects it."""
    reach = torch.stack([ranges.low, ranges.high]) - film  # (2, D)
    logits, slopes = _slopes(generator, classifier, film)  # (F,), (F, D)
    with torch.no_grad():
        moved = logits[:, None, None] + slopes[:, None, :] * reach  # (F, 2, D)
        at_rest = classifier.probabilities(logits[None])[0]
        there = classifier.probabilities(moved.permute(2, 1, 0).reshape(-1, len(logits)))
    return np.asarray((there.reshape(-1, 2, len(logits)) - at_rest).abs().numpy())


def _slopes(generator: Generator, classifier: Classifier, film: Tensor) -> tuple[Tensor, Tensor]:
    styles = film[None].clone().requires_grad_()
    logits = seen_logits(classifier, to_brightness(generator.synthesise(styles)))[0]
    rows = [
        torch.autograd.grad(logit, styles, retain_graph=number + 1 < len(logits))[0][0]
        for number, logit in enumerate(logits)
    ]
    return logits.detach(), torch.stack(rows)
