"""The common frame of the gradient methods: batches in, signed maps out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

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


def attribute_in_batches(
    method: Method,
    classifier: Classifier,
    images: Tensor,
    goals: Sequence[Goal],
    *,
    batch_size: int,
    on_progress: OnProgress | None,
    cancelled: Cancelled | None,
) -> list[Attribution]:
    """Run a gradient method over images in batches.

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

    Returns
    -------
    list of Attribution
        N maps, signed, at the resolution of the images.

    Raises
    ------
    ExplainerError
        If the input is not as said, or a gradient is NaN.
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
        with left_as_found(classifier), torch.enable_grad():
            values, errors = method(Logits(classifier), batch.clone().requires_grad_(), index)
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
