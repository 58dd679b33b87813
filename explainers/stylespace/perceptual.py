"""Features in which a projection compares a film with its reconstruction.

Our own networks know films: :func:`classifier_features`, :func:`autoencoder_features`. Their
features are compared at unit length, every channel alike; that is no LPIPS and is not called so.
:func:`lpips_features` is LPIPS (Zhang et al., CVPR 2018), whose network has seen photographs; it
is there for those who have the package and its weights, and nothing is downloaded.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.classifiers.networks import SmallNet
from explainers.generators.base import Autoencoder
from explainers.stylespace.clamped import enlarged

Features = Callable[[Tensor], Sequence[Tensor]]
"""Feature maps (N, C, h, w) of images (N, 1, H, W) in [0, 1], of as many stages as it likes."""

_BACKBONE, _FILE = "alex", "alexnet-owt-*.pth"


@dataclass(frozen=True, eq=False)
class LearnedFeatures:
    """Feature maps whose channels count differently.

    Parameters
    ----------
    maps
        The features.
    scales
        One (C, 1, 1) for each stage: square roots of the channels' weights.
    """

    maps: Features
    scales: tuple[Tensor, ...]

    def __call__(self, images: Tensor) -> Sequence[Tensor]:
        """Feature maps of images (N, 1, H, W) in [0, 1], not yet scaled."""
        return self.maps(images)


def classifier_features(classifier: Classifier) -> Features:
    """Return the maps of all stages of a classifier of ours.

    Raises
    ------
    ExplainerError
        If the classifier is of another architecture than small or smaller.
    """
    network = getattr(classifier, "network", None)
    if not isinstance(network, SmallNet):
        raise ExplainerError(
            "Features of a classifier are known for the small and smaller architectures; got "
            f"{getattr(classifier, 'architecture', type(classifier).__name__)!r}. Use an "
            "autoencoder's, or project without features."
        )
    size = classifier.input_size
    return lambda images: network.features_and_logits(enlarged(images, size))[0]


def autoencoder_features(autoencoder: Autoencoder) -> Features:
    """Return the one map that an autoencoder's encoder makes."""
    size = autoencoder.input_size
    return lambda images: [autoencoder.encode(enlarged(images, size))]


def lpips_features(backbones: Path) -> LearnedFeatures:
    """Return LPIPS with its AlexNet, if package and weights lie on this machine.

    Parameters
    ----------
    backbones
        Folder in which torch keeps downloaded weights: ``torch.hub.get_dir()`` / checkpoints.

    Raises
    ------
    ExplainerError
        If the package or the weights are not there.
    """
    if importlib.util.find_spec("lpips") is None:
        raise ExplainerError(
            "LPIPS was asked for, but the package lpips is not installed; install it, or use the "
            "features of a classifier or an autoencoder."
        )
    if not any(backbones.glob(_FILE)):
        raise ExplainerError(
            f"LPIPS was asked for, but its AlexNet is not in {backbones} ({_FILE}); put the file "
            "there (nothing is downloaded), or use the features of a classifier or an autoencoder."
        )
    package = importlib.import_module("lpips")
    measure = package.LPIPS(net=_BACKBONE, verbose=False).eval().requires_grad_(False)

    def maps(images: Tensor) -> Sequence[Tensor]:
        if images.shape[-1] < 64:  # AlexNet has nothing left of smaller ones
            images = functional.interpolate(images, size=64, mode="bilinear", antialias=True)
        photographs = (images * 2 - 1).expand(-1, 3, -1, -1)
        return list(measure.net(measure.scaling_layer(photographs)))

    with torch.no_grad():
        weights = [layer.model[-1].weight[0].clamp(min=0).sqrt() for layer in measure.lins]
    return LearnedFeatures(maps, tuple(weights))
