"""The common frame of the attribution methods: batches in, signed maps out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.differentiation import (
    Logits,
    checked_targets,
    device_of,
    left_as_found,
    predict,
    stop_if,
)
from explainers.record import Attribution, Goal

Method: TypeAlias = Callable[[Logits, Tensor, Tensor], tuple[Tensor, Tensor | None]]
"""Logits of a classifier, images (n, 1, H, W), targets (n,) -> values (n, 1, H, W), errors (n,)."""

IMAGES_AT_ONCE = 8
"""Images that a method sends through the network at once, beside those of its batch. On one core
larger passes are no faster, and on films of 224 px and more they outgrow the caches."""

_NO_GRADIENT = (
    "does not require grad",
    "not have been used in the graph",
    "not differentiable",
    "derivative for",
    "nference tensor",
    "Can't call numpy",
)
"""What torch says where a gradient was asked for and there is none."""


class WatchedLogits(Logits):
    """Logits that end a long computation between two passes, and never are NaN."""

    def __init__(self, classifier: Classifier, cancelled: Cancelled | None) -> None:
        super().__init__(classifier)
        self.cancelled = cancelled

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, F) of images (N, 1, H, W); raises as :func:`attribute_in_batches`."""
        stop_if(self.cancelled)
        logits = super().forward(images)
        if not torch.isfinite(logits).all():
            raise ExplainerError(
                "The classifier predicts NaN or infinite values for a changed image (noise, a "
                "covered patch, a point between baseline and image); check its weights and its "
                "input range."
            )
        return logits

    def on(self, classifier: Classifier) -> WatchedLogits:
        """Return the logits of another classifier, watched in the same way."""
        return WatchedLogits(classifier, self.cancelled)


class BatchedMethod:
    """An attribution method that works in batches; implementations are frozen dataclasses.

    They have the fields below and implement :meth:`_attribute`, or :meth:`_prepared` where the
    method has to look at the classifier first, or to run on a copy of it.

    Attributes
    ----------
    name
        As in the registry.
    differentiates
        Whether the method needs gradients, which not every classifier has.
    classifier
        Whose logit is explained.
    batch_size
        Images per batch; no influence on the result.
    """

    name: ClassVar[str]
    differentiates: ClassVar[bool] = True

    classifier: Classifier
    batch_size: int

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
            Maps at the resolution of the images, in the unit that the method states.

        Raises
        ------
        ExplainerError
            If images or goals are not what the classifier takes, or the classifier is not what the
            method needs: differentiable, with layers of a kind, large enough.
        """
        classifier, method = self._prepared()
        return attribute_in_batches(
            method,
            classifier,
            images,
            goals,
            batch_size=self.batch_size,
            on_progress=on_progress,
            cancelled=cancelled,
            differentiates=self.differentiates,
        )

    def _prepared(self) -> tuple[Classifier, Method]:
        """Return the network to run on and what to do on it; refuse what the method cannot."""
        return self.classifier, self._attribute

    def _attribute(
        self, logits: Logits, images: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Return values (n, 1, H, W) and errors (n,) of a batch; see :data:`Method`."""
        raise NotImplementedError


def attribute_in_batches(
    method: Method,
    classifier: Classifier,
    images: Tensor,
    goals: Sequence[Goal],
    *,
    batch_size: int,
    on_progress: OnProgress | None,
    cancelled: Cancelled | None,
    differentiates: bool = True,
) -> list[Attribution]:
    """Run a method over images in batches.

    Parameters
    ----------
    method
        Gets images that require gradients; the classifier is in evaluation mode with frozen
        weights while it runs, and afterwards as it was.
    images
        (N, 1, H, W), in [0, 1].
    goals
        N goals.
    batch_size
        Images per batch; results do not depend on it.
    cancelled
        Asked before every pass through the network.
    differentiates
        Whether the method needs gradients, which not every classifier has.

    Returns
    -------
    list of Attribution
        N maps, signed, at the resolution of the images.

    Raises
    ------
    ExplainerError
        If the input is not as said, a prediction or gradient is NaN, or the method needs gradients
        and the classifier has none.
    """
    targets = checked_targets(classifier, images, goals)
    device = device_of(classifier)
    found: list[Attribution] = []
    for start in range(0, len(images), check_batch_size(batch_size)):
        stop_if(cancelled)
        part = slice(start, start + batch_size)
        batch = images[part].detach().to(device, torch.float32)
        index = targets[part].to(device)
        logits, probabilities = predict(classifier, batch)
        watched = WatchedLogits(classifier, cancelled)
        with left_as_found(classifier), torch.set_grad_enabled(differentiates):
            if differentiates:
                values, errors = _differentiated(method, watched, batch, index)
            else:
                values, errors = method(watched, batch, index)
        maps = values.detach().squeeze(1).cpu().numpy().astype(np.float32)  # (n, H, W)
        rows = torch.arange(len(batch), device=device)
        chosen = zip(
            maps,
            goals[part],
            logits[rows, index].tolist(),
            probabilities[rows, index].tolist(),
            [None] * len(batch) if errors is None else errors.tolist(),
            strict=True,
        )
        found += [
            Attribution(each, goal.finding, logit, probability, error)
            for each, goal, logit, probability, error in chosen
        ]
        if on_progress is not None:
            on_progress(len(found), len(images))
    return found


def _differentiated(
    method: Method, logits: Logits, images: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Run a method that needs gradients; say so in a sentence where there are none."""
    try:
        values, errors = method(logits, images.clone().requires_grad_(), targets)
        reacts = bool(values.any()) or _has_gradients(logits, images, targets)
    except RuntimeError as error:
        if any(each in str(error) for each in _NO_GRADIENT):
            raise _not_differentiable(logits, "torch finds no gradient") from error
        raise
    if not reacts:
        raise _not_differentiable(logits, "its gradient is 0 everywhere")
    return values, errors


def _has_gradients(logits: Logits, images: Tensor, targets: Tensor) -> bool:
    """Say whether the logits react to small changes of images of noise.

    A map of zeros alone proves nothing: integrated gradients of the baseline itself are zero.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(images.shape, generator=generator).to(images).requires_grad_()
    rows = torch.arange(len(images), device=images.device)
    [gradient] = torch.autograd.grad(logits(noise)[rows, targets].sum(), noise)
    return bool(gradient.any())


def _not_differentiable(logits: Logits, why: str) -> ExplainerError:
    return ExplainerError(
        f"The classifier {type(logits.classifier).__name__} is not differentiable ({why}); use "
        "occlusion or LIME, which only need its predictions."
    )


def check_brightness(baseline: float) -> None:
    """Refuse a baseline that is no brightness in [0, 1] with an ExplainerError."""
    if not 0 <= baseline <= 1:
        raise ExplainerError(f"The baseline is {baseline}; expected a brightness in [0, 1].")


def check_at_least(least: float, **parameters: float) -> None:
    """Refuse parameters that are smaller than ``least``, or NaN, with an ExplainerError."""
    for name, value in parameters.items():
        if not value >= least:
            raise ExplainerError(f"{name} is {value}; expected at least {least:g}.")


def check_batch_size(batch_size: int) -> int:
    """Return a batch size of at least 1.

    Raises
    ------
    ExplainerError
        If it is smaller.
    """
    if batch_size < 1:
        raise ExplainerError(f"A batch holds at least one image; {batch_size} was given.")
    return batch_size
