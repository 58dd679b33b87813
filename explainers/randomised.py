"""A classifier that has learnt nothing, to explain for a sham: as lively as the trained one.

Fresh weights alone give a network whose output hardly moves, so that a counterfactual search
leaves every plausible image behind. Here batch normalisation takes its statistics from the films,
and the calibration gives every finding the mean and spread that the trained classifier has on
them: what such a network is explained by looks like an explanation and speaks of nothing learnt.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.classifiers.calibration import Calibration
from explainers.classifiers.ours import OurClassifier
from explainers.differentiation import predict
from explainers.evaluation.weight_reset import cascade


def randomised_classifier(classifier: OurClassifier, images: Tensor, seed: int) -> OurClassifier:
    """Return a copy of a classifier with fresh weights in every layer.

    Parameters
    ----------
    classifier
        Is left as it is.
    images
        (N, 1, H, W), in [0, 1], at least 2, of the classifier's size: they set the statistics of
        batch normalisation and the calibration.
    seed
        The same seed gives the same weights.

    Returns
    -------
    OurClassifier
        Calibrated so that a · logit + b of every finding has the mean and standard deviation over
        ``images`` that the trained classifier's has.

    Raises
    ------
    ExplainerError
        If there are fewer than 2 images, or the fresh network does not tell them apart.
    """
    if len(images) < 2:
        raise ExplainerError(
            f"{len(images)} films were given to set up a randomised classifier; it takes at least "
            "2. Add cases, or take the sham condition out of the protocol."
        )
    *_, last = cascade(classifier, images[:1], 1, seed)
    copy = last.classifier
    if not isinstance(copy, OurClassifier):
        raise ExplainerError(
            f"A randomised copy is made of our own classifiers only, not of a "
            f"{type(classifier).__name__}; prepare the study with a .safetensors classifier."
        )
    network = copy.network
    _estimate_statistics(network, images)
    fresh, trained = (predict(each, images)[0].double() for each in (copy, classifier))
    trained = trained * classifier.slopes + classifier.intercepts  # (N, F), as calibrated
    spread = fresh.std(dim=0)
    if not (spread > 0).all():
        raise ExplainerError(
            "A classifier with fresh weights gives all films the same prediction, so nothing can "
            "be explained; give another study seed, or films that differ."
        )
    slopes = trained.std(dim=0) / spread
    intercepts = trained.mean(dim=0) - slopes * fresh.mean(dim=0)
    return OurClassifier(
        network,
        classifier.findings,
        classifier.input_size,
        Calibration(tuple(slopes.tolist()), tuple(intercepts.tolist())),
        architecture=classifier.architecture,
    )


def _estimate_statistics(network: nn.Module, images: Tensor) -> None:
    """Let every batch normalisation take its running statistics from the images, in one pass."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average over the pass
        layer.train()
    with torch.no_grad():
        network(images)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
