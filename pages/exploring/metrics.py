"""What the reference standard says of an explanation; the one module of the explorer that reads it.

The explorer is not a reading page. Reading pages may not import this module: the import contract
that keeps the reference standard from them covers it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.case import DataError
from data.raster import resize
from data.reference import REFERENCE_FILE, ReferenceSet
from explainers.evaluation.counterfactual_measures import coverage, errors
from explainers.evaluation.localisation import chance_iou, iou_at_matched_area
from pages.exploring.explanations import Explained
from pages.exploring.films import Film


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known about a finding in a film.

    Parameters
    ----------
    present
        Whether the film has the finding; ``None`` if unknown.
    mask
        (H, W), bool, or ``None``.
    counterfactual
        (H, W), in [0, 1], the film of the same patient without the finding, or ``None``.
    """

    present: bool | None
    mask: NDArray[np.bool_] | None
    counterfactual: NDArray[np.float32] | None


@dataclass(frozen=True)
class MapMeasures:
    """How well a map agrees with the mask.

    Parameters
    ----------
    iou
        At matched area, by rank, in [0, 1].
    hit
        Whether the strongest pixel lies in the mask (pointing game).
    ncc
        Correlation of |map| and mask over the film, in [-1, 1]; NaN for a constant map.
    """

    iou: float
    hit: bool
    ncc: float


@dataclass(frozen=True)
class FilmErrors:
    """Mean absolute error of the lowest frame against the true counterfactual, grey levels of 255.

    Parameters
    ----------
    frame_inside, frame_film
        Of the lowest decoded frame, inside the mask and over the whole film.
    residual_inside, residual_film
        Of the lowest residual frame.
    nothing_inside, nothing_film
        Of the film itself, which is what doing nothing costs.
    """

    frame_inside: float
    frame_film: float
    residual_inside: float
    residual_film: float
    nothing_inside: float
    nothing_film: float


def read_truth(film: Film, finding: str) -> Truth | None:
    """Read the reference standard of a film, ``None`` where there is none."""
    if film.cases is None or film.case_id is None:
        return None
    path = film.cases / REFERENCE_FILE
    if not path.is_file():
        return None
    references = _references(film.cases, path.stat().st_mtime_ns)
    if references is None or film.case_id not in references:
        return None
    try:
        mask = references.mask(film.case_id, finding)
        without = references.counterfactual(film.case_id, finding)
    except DataError:
        mask, without = None, None
    if mask is not None and (not mask.any() or mask.shape != film.image.shape):
        mask = None
    if without is not None and without.shape != film.image.shape:
        without = None
    return Truth(references.get(film.case_id).findings.get(finding), mask, without)


def measure_map(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> MapMeasures:
    """Compare a map with the mask of its finding, at film resolution.

    Raises
    ------
    ExplainerError
        If the map holds NaN.
    """
    magnitude = np.abs(values)
    if magnitude.shape != mask.shape:
        magnitude = resize(magnitude, (mask.shape[0], mask.shape[1]))
    iou = iou_at_matched_area(magnitude, mask)
    strongest = np.unravel_index(int(magnitude.argmax()), magnitude.shape)
    return MapMeasures(iou, bool(mask[strongest]), _correlation(magnitude, mask))


def chance(mask: NDArray[np.bool_]) -> float:
    """Return the IoU that a map of random ranks is expected to have."""
    return chance_iou(mask)


def measure_film(explained: Explained, film: Film, truth: Truth) -> FilmErrors | None:
    """Compare the lowest frame with the film without the finding; at the frames' resolution."""
    if explained.film is None or truth.counterfactual is None:
        return None
    frame = explained.film.frames[0]
    size = (frame.shape[0], frame.shape[1])
    wanted = np.clip(resize(truth.counterfactual, size), 0, 1)
    given = np.clip(resize(film.image, size), 0, 1)
    covered = coverage(truth.mask, size) if truth.mask is not None else None
    residual = np.clip(given + frame - explained.film.reconstruction, 0, 1)
    pairs = []
    for image in (frame, residual, given):
        measured = errors(image, wanted, covered)
        pairs += [measured.inside, measured.film]
    return FilmErrors(*pairs)


def _correlation(magnitude: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    if magnitude.max() == magnitude.min() or mask.all():
        return float("nan")
    return float(np.corrcoef(magnitude.ravel().astype(np.float64), mask.ravel())[0, 1])


@functools.lru_cache(maxsize=4)
def _references(root: Path, _stamp: int) -> ReferenceSet | None:
    try:
        return ReferenceSet.open(root)
    except DataError:
        return None
