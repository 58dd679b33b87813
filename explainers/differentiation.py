"""What every method that differentiates a classifier needs: inputs checked, logits, clean-up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from explainers.base import Cancelled, ExplainerError
from explainers.classifiers.base import Classifier
from explainers.record import Goal

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


class ExplanationCancelled(ExplainerError):
    """The caller asked to stop; nothing half-done was kept."""


class Logits(nn.Module):
    """A classifier as a module of images in [0, 1], whatever range it works in.

    Gradients with respect to its input are therefore per unit of brightness, with black 0 and
    white 1.

    Parameters
    ----------
    classifier
        Any :class:`explainers.classifiers.base.Classifier`; where it is a module, or has one as
        its attribute ``module``, the layers are found by ``modules()``.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier
        inner = module_of(classifier)
        if inner is not None and inner is not classifier:
            self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, F) of images (N, 1, H, W) in [0, 1]."""
        return self.classifier.logits(to_input_range(images, self.classifier))


def to_input_range(images: Tensor, classifier: Classifier) -> Tensor:
    """Bring images from [0, 1] into the range that a classifier expects."""
    black, white = classifier.input_range
    if (black, white) == (0.0, 1.0):
        return images
    return black + (white - black) * images


def module_of(network: object) -> nn.Module | None:
    """Return the torch module behind a classifier or an autoencoder, or ``None``."""
    if isinstance(network, nn.Module):
        return network
    inner = getattr(network, "module", None)
    return inner if isinstance(inner, nn.Module) else None


def device_of(network: object) -> torch.device:
    """Return where a network computes; the CPU where that is unknown."""
    module = module_of(network)
    first = next(module.parameters(), None) if module is not None else None
    return torch.device("cpu") if first is None else first.device


@contextmanager
def left_as_found(*networks: object) -> Iterator[None]:
    """Put networks into evaluation mode for a while, with frozen weights, and undo it after.

    Mode of every layer, ``requires_grad`` and gradient of every parameter, and all hooks are
    afterwards what they were before, also after an exception.
    """
    modules = [layer for each in networks for layer in _layers(each)]
    modes = [(layer, layer.training) for layer in modules]
    weights = [
        (weight, weight.requires_grad, weight.grad)
        for layer in modules
        for weight in layer.parameters(recurse=False)
    ]
    hooks = [
        (table, dict(table))
        for layer in modules
        for name in _HOOKS
        for table in [vars(layer)[name]]
    ]
    try:
        for layer, _ in modes:
            layer.training = False
        for weight, _, _ in weights:
            weight.requires_grad_(False)
        yield
    finally:
        for layer, training in modes:
            layer.training = training
        for weight, required, gradient in weights:
            weight.requires_grad_(required)
            weight.grad = gradient
        for table, before in hooks:
            for key in [key for key in table if key not in before]:
                del table[key]


def _layers(network: object) -> Sequence[nn.Module]:
    module = module_of(network)
    return [] if module is None else list(module.modules())


def checked_targets(classifier: Classifier, images: Tensor, goals: Sequence[Goal]) -> Tensor:
    """Check what an explainer was given and return the index of every goal's finding.

    Returns
    -------
    Tensor
        (N,), int64.

    Raises
    ------
    ExplainerError
        If the images are not finite (N, 1, H, W) in [0, 1] of the classifier's size, if there is
        not one goal per image, or if the classifier does not know a finding.
    """
    if images.ndim != 4 or images.shape[1] != 1:
        raise ExplainerError(
            f"Images of shape {tuple(images.shape)} were given; expected (N, 1, rows, columns)."
        )
    if tuple(images.shape[2:]) != tuple(classifier.input_size):
        rows, columns = classifier.input_size
        raise ExplainerError(
            f"Images of {images.shape[2]} × {images.shape[3]} pixels were given, the classifier "
            f"takes {rows} × {columns}; resample them first."
        )
    if not torch.isfinite(images).all() or (
        images.numel() and (images.min() < 0 or images.max() > 1)
    ):
        raise ExplainerError(
            "The images hold NaN, infinite values or values outside [0, 1]; read them through a "
            "case set, which scales them."
        )
    if len(goals) != len(images):
        raise ExplainerError(
            f"{len(goals)} goals for {len(images)} images were given; expected one per image."
        )
    for goal in goals:
        if goal.finding not in classifier.findings:
            raise ExplainerError(
                f"The classifier does not know {goal.finding!r}; it predicts "
                f"{', '.join(classifier.findings)}."
            )
    return torch.tensor([classifier.findings.index(goal.finding) for goal in goals]).long()


def predict(classifier: Classifier, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits and calibrated probabilities, both (N, F), of images (N, 1, H, W) in [0, 1].

    Raises
    ------
    ExplainerError
        If a prediction is NaN or infinite.
    """
    with left_as_found(classifier), torch.no_grad():
        logits = classifier.logits(to_input_range(images, classifier))
        probabilities = classifier.probabilities(logits)
    if not torch.isfinite(logits).all():
        raise ExplainerError(
            "The classifier predicts NaN or infinite values; its weights or its input range "
            f"({classifier.input_range[0]:g} to {classifier.input_range[1]:g}) are wrong."
        )
    return logits, probabilities


def stop_if(cancelled: Cancelled | None) -> None:
    """Raise :class:`ExplanationCancelled` if the caller wants to stop."""
    if cancelled is not None and cancelled():
        raise ExplanationCancelled("The explanation was cancelled.")
