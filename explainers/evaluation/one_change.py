"""One change for all images: the row that an explanation of an image has to beat.

A pair of generators can turn every prediction by laying one and the same pattern over every image
(a universal adversarial perturbation, Moosavi-Dezfooli et al. 2017, arXiv:1610.08401). Its figures
of agreement are then perfect and its explanation says nothing of the image. This method lays the
mean of the pair's changes on other images over an image: where it turns as many predictions as the
pair itself, the pair draws a pattern and no finding.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.evaluation.translators import Method, Translated
from explainers.generators.paired import Contrast, PairedGenerators
from explainers.training.contrasts import Judge, logits_of, on_side
from explainers.training.films import Split
from explainers.training.images import ImageSource
from explainers.training.loop import batches

ONE_CHANGE = "{}, one change for all"
_BATCH = 32

Changes = Mapping[tuple[str, int], Tensor]
"""By name of the contrast and side: (1, S, S), in units of the images."""


def mean_changes(
    pair: PairedGenerators,
    classifier: Classifier,
    images: ImageSource,
    contrasts: Sequence[Contrast],
    *,
    split: Split = "val",
    limit: int = 200,
) -> Changes:
    """Mean of what a pair adds to images, per contrast and side.

    Parameters
    ----------
    pair, classifier
        The pair, and who says on which side an image is.
    contrasts
        Those of the pair that are wanted.
    images, split
        Which images; take a split that the tables are not of.
    limit
        Images per contrast and side at most.

    Raises
    ------
    ExplainerError
        If a side has no image.
    """
    judge, rows = Judge(classifier, contrasts), images.rows(split)
    found: dict[tuple[str, int], Tensor] = {}
    logits = logits_of(classifier, images, rows)
    with torch.no_grad():
        for number, contrast in enumerate(contrasts):
            for side in (0, 1):
                here = rows[on_side(judge, logits, number, side)][:limit]
                if not len(here):
                    raise ExplainerError(
                        f"No image of the {split} split is on side {side} of {contrast.name!r}; "
                        "the mean change of a pair needs some. Use more images or another split."
                    )
                total = torch.zeros(1, images.size, images.size)
                for part in batches(here, _BATCH):
                    x = images.image_batch(part)
                    which = torch.full((len(x),), pair.index(contrast.name))
                    a = pair.adversarial(x, which, side).float()
                    total += (a - x).sum(dim=0)
                found[contrast.name, side] = total / len(here)
    return found


def one_change_method(
    label: str,
    pair: PairedGenerators,
    classifier: Classifier,
    images: ImageSource,
    contrasts: Sequence[Contrast],
    *,
    split: Split = "val",
) -> Method:
    """The row of a pair's mean change; its map is the same for every image.

    The changes are measured with the first image that is translated, not for what was measured
    before. The row's ``translate`` raises an ExplainerError if a side has no image.

    Parameters
    ----------
    label
        Of the pair's own row.
    pair, classifier, images, contrasts, split
        As for :func:`mean_changes`.
    """

    @functools.cache
    def changes() -> Changes:
        return mean_changes(pair, classifier, images, contrasts, split=split)

    def translate(x: Tensor, contrast: Contrast, side: int) -> Translated:
        change = changes()[contrast.name, side]
        maps = np.repeat(change.abs().numpy(), len(x), axis=0)
        return Translated((x + change).clamp(0, 1), x, maps)

    return Method(
        ONE_CHANGE.format(label),
        "",
        f"one change/1:{pair.weights_digest}:{images.digest}:{classifier.weights_digest}:{split}",
        translate,
        f"The mean of the pair's changes on images of the {split} split, laid over every image: a "
        "pair that turns no more predictions than this draws a pattern and no finding.",
    )
