"""What every dimension of S does to a classifier: clamped to its lowest and highest value in turn.

Δ⁻ and Δ⁺ are C(G(S with s_d at its lowest or highest)) − C(G(S)), with their sign, for every
finding at once (Sankaranarayanan et al. 2022, §3.2).

Three ways give the same numbers where they give any:

- ``naive`` makes every image from the beginning: what a first implementation does;
- ``exhaustive`` keeps what lies below the changed layer and batches dimensions;
- ``screened`` first asks the gradient which ends of which dimensions can matter
  (:mod:`explainers.stylespace.screening`) and then measures those exactly. What it passes over
  counts as no change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.generators.stylegan2 import Generator, to_brightness
from explainers.stylespace.clamped import clamped_images, known_film, seen_logits
from explainers.stylespace.ranges import StyleRanges
from explainers.stylespace.screening import screened_ends

Mode = Literal["naive", "exhaustive", "screened"]
_BATCH = 8  # more fall out of a processor's cache and take up to three times as long per image


class SweepStopped(ExplainerError):
    """A sweep that was cancelled; what is finished is kept by the caller's parts."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """Changes of the probabilities.

    Parameters
    ----------
    changes
        (N, D, 2, F): films, dimensions, low and high, findings; NaN where not measured.
    probabilities
        (N, F) of the unchanged films.
    findings
        F names.
    mode
        How it was made.
    """

    changes: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    findings: tuple[str, ...]
    mode: Mode

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(N, D, 2): which ends of which dimensions were measured on which film."""
        return np.asarray(np.isfinite(self.changes).all(axis=3))


def sweep(
    generator: Generator,
    classifier: Classifier,
    styles: Tensor,
    ranges: StyleRanges,
    *,
    mode: Mode = "exhaustive",
    threshold: float = 0.3,
    ends: NDArray[np.bool_] | None = None,
    on_progress: OnProgress | None = None,
    cancelled: Cancelled | None = None,
) -> Sweep:
    """Clamp every dimension of every film to both ends of its range.

    Parameters
    ----------
    generator, classifier
        The two networks.
    styles
        (N, D) of the films.
    ranges
        Ends of each dimension.
    mode
        See the module.
    threshold
        The |Δ| that a selection will ask for; only the screening uses it.
    ends
        (N, D, 2): what is measured, where these films are part of a larger screening; ``None`` for
        what the mode says.
    on_progress, cancelled
        Films done and in all.

    Raises
    ------
    ExplainerError
        If sizes do not fit or an image or probability is not finite.
    SweepStopped
        If cancelled.
    """
    _check(generator, styles, ranges)
    if ends is None and mode == "screened":
        ends = screened_ends(generator, classifier, styles, ranges, threshold)
    elif ends is None:
        ends = np.ones((*styles.shape, 2), bool)
    changes, probabilities = [], []
    for number, film in enumerate(styles):
        if cancelled is not None and cancelled():
            raise SweepStopped(f"Stopped after {number} of {len(styles)} films.")
        of_film, at_rest = _film_changes(
            generator, classifier, film, ranges, ends[number], mode == "naive"
        )
        changes.append(of_film)
        probabilities.append(at_rest)
        if on_progress is not None:
            on_progress(number + 1, len(styles))
    return Sweep(np.stack(changes), np.stack(probabilities), tuple(classifier.findings), mode)


@torch.no_grad()
def _film_changes(
    generator: Generator,
    classifier: Classifier,
    film: Tensor,
    ranges: StyleRanges,
    ends: NDArray[np.bool_],
    naive: bool,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (D, 2, F) and (F,)."""
    n_dims, n_findings = len(film), len(classifier.findings)
    known = known_film(generator, film)
    at_rest = _predicted(known.image, classifier)[0]
    changes = np.full((n_dims, 2, n_findings), np.nan, np.float32)
    reach = torch.stack([ranges.low, ranges.high], dim=1)  # (D, 2)
    for number, layer in enumerate(generator.layers):
        chosen = np.argwhere(ends[layer.start : layer.stop])  # (M, 2)
        chosen[:, 0] += layer.start
        for part in _parts(chosen, 2 if naive else _BATCH):
            dims = torch.from_numpy(part[:, 0])
            values = reach[dims, torch.from_numpy(part[:, 1])]
            if naive:
                images = _from_the_start(generator, film, dims, values)
            else:
                images = clamped_images(generator, known, number, dims, values)
            changes[part[:, 0], part[:, 1]] = (_predicted(images, classifier) - at_rest).numpy()
    if not np.isfinite(changes[ends]).all():
        raise ExplainerError(
            "The classifier returned a probability that is not finite on a generated film; check "
            "that it suits the generator's films."
        )
    return changes, at_rest.numpy()


def _from_the_start(
    generator: Generator, film: Tensor, dimensions: Tensor, values: Tensor
) -> Tensor:
    """Return each image by a whole run of its own."""
    images = []
    for dimension, value in zip(dimensions, values, strict=True):
        styles = film.clone()
        styles[dimension] = value
        images.append(generator.synthesise(styles[None]))
    return torch.cat(images)


def _predicted(images: Tensor, classifier: Classifier) -> Tensor:
    return classifier.probabilities(seen_logits(classifier, to_brightness(images)))


def _parts(indices: NDArray[np.int64], size: int) -> Sequence[NDArray[np.int64]]:
    """Cut (M, 2) places into parts of at most ``size``."""
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def _check(generator: Generator, styles: Tensor, ranges: StyleRanges) -> None:
    if styles.ndim != 2 or styles.shape[1] != generator.n_styles or not len(styles):
        raise ExplainerError(
            f"A sweep takes styles of shape (N, {generator.n_styles}); got {tuple(styles.shape)}."
        )
    if ranges.low.shape != (generator.n_styles,):
        raise ExplainerError(
            f"The ranges have {len(ranges.low)} dimensions, the generator {generator.n_styles}; "
            "measure the ranges of this generator."
        )
    if not bool(torch.isfinite(styles).all()):
        raise ExplainerError("The styles hold numbers that are not finite; project the film again.")
