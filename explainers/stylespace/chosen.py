"""Which held-out films factors are found on: right, with confidence, some of every finding."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from data.raster import resize
from explainers.base import ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.stylespace.clamped import seen_logits
from explainers.stylespace.thorax import nominal_lungs, regions_of
from explainers.training.films import Films, Split

_BATCH = 64

LungMask = Callable[[str], NDArray[np.bool_] | None]
"""Case to its lung fields, or ``None`` where there are none."""


@dataclass(frozen=True, eq=False)
class ChosenFilms:
    """N held-out films.

    Parameters
    ----------
    case_ids
        N cases.
    digests
        N SHA-256 of the images.
    images
        (N, S, S) in [0, 1], of the generator's size.
    regions
        N maps (S, S), see :mod:`explainers.stylespace.thorax`.
    labels
        (N, F): 1, 0 or NaN.
    probabilities
        (N, F) of the classifier.
    sure
        (N, F): right about the finding with the confidence asked for.
    """

    case_ids: tuple[str, ...]
    digests: tuple[str, ...]
    images: NDArray[np.float32]
    regions: tuple[NDArray[np.uint8], ...]
    labels: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    sure: NDArray[np.bool_]


@torch.no_grad()
def choose_films(
    films: Films,
    classifier: Classifier,
    *,
    n_films: int = 70,
    confidence: float = 0.9,
    split: Split = "test",
    lungs: LungMask | None = None,
    on_progress: OnProgress | None = None,
) -> ChosenFilms:
    """Choose films in turn: one of each finding, one without any, and again.

    A film is taken for a finding that it shows if the classifier gives it at least ``confidence``,
    for health if it gives every finding at most 1 − ``confidence``; and in either case only if the
    classifier decides rightly on every finding whose truth is known.

    Parameters
    ----------
    films
        Case set at the generator's size.
    classifier
        To be explained; must know the same findings.
    n_films
        At most so many.
    confidence
        In [0.5, 1).
    split
        Held-out films.
    lungs
        Lung fields by case; nominal lungs where absent.
    on_progress
        Films predicted and in all.

    Raises
    ------
    ExplainerError
        If findings differ or no film qualifies.
    """
    if not 0.5 <= confidence < 1 or n_films < 1:
        raise ExplainerError(
            f"confidence is {confidence:g} and n_films {n_films}; expected [0.5, 1) and at least 1."
        )
    if set(classifier.findings) - set(films.findings):
        missing = sorted(set(classifier.findings) - set(films.findings))[0]
        raise ExplainerError(
            f"The case set says nothing about {missing!r}, which the classifier predicts; factors "
            "are found on films whose truth is known."
        )
    rows = films.rows(split)
    columns = [films.findings.index(finding) for finding in classifier.findings]
    labels = films.labels[rows][:, columns]
    predicted = []
    for start in range(0, len(rows), _BATCH):
        batch = films.image_batch(rows[start : start + _BATCH])
        predicted.append(classifier.probabilities(seen_logits(classifier, batch)))
        if on_progress is not None:
            on_progress(min(start + _BATCH, len(rows)), len(rows))
    probabilities = np.zeros((0, len(columns)), np.float32)
    if predicted:
        probabilities = torch.cat(predicted).numpy()
    sure = ((labels == 1) & (probabilities >= confidence)) | (
        (labels == 0) & (probabilities <= 1 - confidence)
    )
    chosen = _in_turn(labels, probabilities, sure, n_films)
    if not chosen:
        raise ExplainerError(
            f"The classifier is right with a confidence of {confidence:g} on none of the "
            f"{len(rows)} films of the {split} split; give more films or lower --confidence."
        )
    images = films.images[rows[chosen]].astype(np.float32) / np.float32(255)
    case_ids = tuple(str(name) for name in films.case_ids[rows[chosen]])
    return ChosenFilms(
        case_ids=case_ids,
        digests=tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in images),
        images=images,
        regions=tuple(_regions(case_id, films.size, lungs) for case_id in case_ids),
        labels=labels[chosen],
        probabilities=probabilities[chosen].astype(np.float32),
        sure=sure[chosen],
    )


def _in_turn(
    labels: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    sure: NDArray[np.bool_],
    n_films: int,
) -> list[int]:
    known = np.isfinite(labels)
    right = (~known | ((probabilities > 0.5) == (labels == 1))).all(axis=1)
    queues = [
        list(np.flatnonzero(right & sure[:, f] & (labels[:, f] == 1)))
        for f in range(labels.shape[1])
    ]
    queues.append(list(np.flatnonzero((sure | ~known).all(axis=1) & ~(labels == 1).any(axis=1))))
    chosen: list[int] = []
    while len(chosen) < n_films and any(queues):
        for queue in queues:
            while queue and queue[0] in chosen:
                queue.pop(0)
            if queue and len(chosen) < n_films:
                chosen.append(int(queue.pop(0)))
    return chosen


def _regions(case_id: str, size: int, lungs: LungMask | None) -> NDArray[np.uint8]:
    mask = None if lungs is None else lungs(case_id)
    if mask is None:
        return regions_of(nominal_lungs((size, size)))
    return regions_of(resize(mask.astype(np.float32), (size, size)) > 0.5)
