"""Localisation: does a map point to where the finding is?

Films and maps meet at the film's resolution: the map is interpolated up, the mask stays as drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import hypergeom

from data.raster import resize
from data.reference import ReferenceSet
from explainers.archive import ExplanationArchive
from explainers.base import ExplainerError


@dataclass(frozen=True)
class Localisation:
    """How well one map of one case agrees with the mask of its finding.

    Parameters
    ----------
    map
        Name of the map, e.g. ``"latent_shift-max"``.
    iou
        In [0, 1]; see :func:`iou_at_matched_area`.
    mask_share
        Share of the film that the mask covers, in (0, 1]; a random map scores about
        share / (2 − share).
    """

    case_id: str
    finding: str
    map: str
    iou: float
    mask_share: float


COLUMNS = tuple(field.name for field in fields(Localisation))


def iou_at_matched_area(values: NDArray[np.floating], mask: NDArray[np.bool_]) -> float:
    """Intersection over union of a mask and as many of the map's strongest pixels.

    The k pixels with the largest absolute values are chosen by rank, k being the number of pixels
    in the mask. (``map >= percentile`` would choose every pixel of a map that is zero almost
    everywhere.) Since both areas are k, IoU = r / (2 − r), r the share of the mask that is covered.

    Where pixels tie at the k-th rank, the result is the expected IoU if the tie is broken at random
    (hypergeometric): it depends on no order of pixels, and a constant map scores exactly chance.

    Parameters
    ----------
    values
        (h, w), at any resolution; interpolated bilinearly to the mask's size where they differ.
        Absolute values count.
    mask
        (H, W), bool, at the film's resolution.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ExplainerError
        If the mask is empty or the map holds NaN.
    """
    _check(values, mask)
    magnitude = np.abs(values)
    if magnitude.shape != mask.shape:
        magnitude = resize(magnitude, (mask.shape[0], mask.shape[1]))
    return overlap(magnitude, mask, int(mask.sum())).iou


@dataclass(frozen=True)
class Overlap:
    """A mask and the strongest pixels of a map; expectations over the ways to break a tie.

    Parameters
    ----------
    n_chosen, n_mask
        Pixels chosen, and in the mask.
    hits
        Chosen pixels inside the mask.
    iou
        Intersection over union.
    """

    n_chosen: int
    n_mask: int
    hits: float
    iou: float


def overlap(magnitude: NDArray[np.floating], mask: NDArray[np.bool_], n_chosen: int) -> Overlap:
    """Compare the ``n_chosen`` largest values with a mask of the same shape (H, W), not empty."""
    n_mask = int(mask.sum())
    threshold = np.partition(magnitude, -n_chosen, axis=None)[-n_chosen]
    above, tied = magnitude > threshold, magnitude == threshold
    n_sure, sure_hits = int(above.sum()), int((above & mask).sum())
    n_tied, tied_in_mask = int(tied.sum()), int((tied & mask).sum())
    iou = _expected_iou(
        n_mask,
        n_chosen=n_chosen,
        n_sure=n_sure,
        sure_hits=sure_hits,
        n_tied=n_tied,
        tied_in_mask=tied_in_mask,
    )
    hits = sure_hits + (n_chosen - n_sure) * tied_in_mask / n_tied
    return Overlap(n_chosen, n_mask, hits, iou)


def chance_iou(mask: NDArray[np.bool_]) -> float:
    """Return the expected IoU of a map that ranks the pixels at random.

    Parameters
    ----------
    mask
        (H, W), bool.

    Raises
    ------
    ExplainerError
        If the mask is empty.
    """
    _check(np.zeros((1, 1)), mask)
    return overlap(np.zeros(mask.shape), mask, int(mask.sum())).iou


def _expected_iou(
    n_mask: int, *, n_chosen: int, n_sure: int, sure_hits: int, n_tied: int, tied_in_mask: int
) -> float:
    """Average IoU over all ways to choose the missing pixels among the tied ones."""
    missing, areas = n_chosen - n_sure, n_chosen + n_mask
    if n_tied == missing:
        return (sure_hits + tied_in_mask) / (areas - sure_hits - tied_in_mask)
    chosen = hypergeom(n_tied, tied_in_mask, missing)
    low, high = chosen.support()
    hits = np.arange(low, high + 1)
    shared = sure_hits + hits
    return float(np.dot(chosen.pmf(hits), shared / (areas - shared)))


def _check(values: NDArray[np.floating], mask: NDArray[np.bool_]) -> None:
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ExplainerError(
            f"The mask is {mask.dtype} of shape {mask.shape}; expected bool of shape "
            "(rows, columns)."
        )
    if not mask.any():
        raise ExplainerError(
            "The mask is empty, so nothing can be localised; leave out cases without the finding."
        )
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ExplainerError(
            f"The map has shape {values.shape} and {int((~np.isfinite(values)).sum())} values that "
            "are NaN or infinite; expected finite numbers of shape (rows, columns)."
        )


def measure(
    archive: ExplanationArchive,
    references: ReferenceSet,
    pairs: Iterable[tuple[str, str]],
    maps: Sequence[str],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Localisation, ...]:
    """Measure maps of an archive against the masks of a case set.

    The archived maps are measured, so that a later run gives the same numbers.

    Parameters
    ----------
    archive
        Holds every map of every pair.
    references
        Reference standard; pairs without a mask, or with an empty one, are left out.
    pairs
        (case_id, finding).
    maps
        Names of maps.
    on_progress
        Called with pairs done and their number.

    Raises
    ------
    ExplainerError
        If a map is missing or damaged.
    """
    chosen = tuple(pairs)
    found: list[Localisation] = []
    for done, (case_id, finding) in enumerate(chosen, start=1):
        mask = references.mask(case_id, finding) if case_id in references else None
        if mask is not None and mask.any():
            share = float(mask.mean())
            for name in maps:
                iou = iou_at_matched_area(archive.load_map(case_id, finding, name), mask)
                found.append(Localisation(case_id, finding, name, iou, share))
        if on_progress is not None:
            on_progress(done, len(chosen))
    return tuple(found)


def table(localisations: Iterable[Localisation]) -> pd.DataFrame:
    """Return measurements as a table: case_id, finding, map, iou, mask_share."""
    return pd.DataFrame([astuple(each) for each in localisations], columns=list(COLUMNS))
