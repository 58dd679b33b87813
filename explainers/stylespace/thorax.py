"""Where in the thorax an image changes: shares of the absolute change by region.

Regions come from the lung fields of a case where it has them (``mask:lungs`` of the reference
standard), and from a nominal pair of lungs otherwise. They are places on the film and no organs:
"heart" is what lies between the lower halves of the lungs. NumPy only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, label

from explainers.base import ExplainerError
from explainers.stylespace.factorset import RegionShare

REGIONS = (
    "outside the thorax",
    "right lung, upper",
    "right lung, middle",
    "right lung, lower",
    "left lung, upper",
    "left lung, middle",
    "left lung, lower",
    "upper mediastinum",
    "heart",
    "below the lungs",
)
"""Names by number in :func:`regions_of`; right is the patient's, on the left of the film."""


def regions_of(lungs: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Divide a film into regions.

    Parameters
    ----------
    lungs
        (H, W), the lung fields.

    Returns
    -------
    ndarray
        (H, W), indices into :data:`REGIONS`.

    Raises
    ------
    ExplainerError
        If the mask does not hold a lung on either side.
    """
    right, left = _sides(lungs)
    regions = np.zeros(lungs.shape, np.uint8)
    rows = np.arange(lungs.shape[0])
    inner_right, inner_left = _inner_edges(right, left)
    top = min(np.flatnonzero(right.any(axis=1))[0], np.flatnonzero(left.any(axis=1))[0])
    bottom = max(np.flatnonzero(right.any(axis=1))[-1], np.flatnonzero(left.any(axis=1))[-1])
    columns = np.arange(lungs.shape[1])[None]
    between = (columns > inner_right[:, None]) & (columns < inner_left[:, None])
    between &= ((rows >= top) & (rows <= bottom))[:, None]
    middle = (top + bottom) / 2
    regions[between & (rows < middle)[:, None]] = 7
    regions[between & (rows >= middle)[:, None]] = 8
    spread = np.flatnonzero((right | left).any(axis=0))
    under = (rows > bottom)[:, None] | (
        (rows > middle)[:, None] & (regions == 0) & _below(right | left)
    )
    regions[under & (columns >= spread[0]) & (columns <= spread[-1]) & (regions == 0)] = 9
    for side, first in ((right, 1), (left, 4)):
        own = np.flatnonzero(side.any(axis=1))
        third = np.clip((rows - own[0]) * 3 // max(own[-1] - own[0] + 1, 1), 0, 2)
        for part in range(3):
            regions[side & (third == part)[:, None]] = first + part
    return regions


def nominal_lungs(size: tuple[int, int]) -> NDArray[np.bool_]:
    """Two upright ellipses (H, W) where the lungs of a frontal film usually lie."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    y, x = (rows + 0.5) / size[0], (columns + 0.5) / size[1]
    fields = [((x - centre) / 0.15) ** 2 + ((y - 0.44) / 0.32) ** 2 <= 1 for centre in (0.28, 0.72)]
    return np.asarray(fields[0] | fields[1])


def region_shares(
    changes: Sequence[NDArray[np.floating]], regions: Sequence[NDArray[np.uint8]]
) -> tuple[RegionShare, ...]:
    """Return the mean share of the absolute change in every region, the largest first.

    Parameters
    ----------
    changes
        One (H, W) per film, brightness; films that do not change at all are left out.
    regions
        One (H, W) per film, from :func:`regions_of`.

    Raises
    ------
    ExplainerError
        If a map and its regions differ in shape.
    """
    found = []
    for change, region in zip(changes, regions, strict=True):
        if change.shape != region.shape:
            raise ExplainerError(
                f"A change of shape {change.shape} does not fit regions of {region.shape}; bring "
                "the lung mask to the film's size."
            )
        size = np.abs(change).astype(float)
        if size.sum() > 0:
            sums = np.bincount(region.ravel(), size.ravel(), minlength=len(REGIONS))
            found.append(sums / size.sum())
    if not found:
        return ()
    mean = np.mean(found, axis=0)
    order = np.argsort(-mean, kind="stable")
    return tuple(RegionShare(REGIONS[place], float(mean[place])) for place in order)


def _sides(lungs: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return (patient's right, patient's left) lung, each without small specks."""
    if lungs.ndim != 2 or not lungs.any():
        raise ExplainerError("The lung mask is empty; leave it out to use nominal lungs.")
    parts, n = label(lungs)
    centre = float(np.flatnonzero(lungs.any(axis=0))[[0, -1]].mean())
    right, left = np.zeros_like(lungs), np.zeros_like(lungs)
    for part in range(1, n + 1):
        own = parts == part
        columns = np.flatnonzero(own.any(axis=0))
        if columns[0] < centre < columns[-1] and own.sum() > 0.6 * lungs.sum():
            right |= own & (np.arange(lungs.shape[1]) < centre)
            left |= own & (np.arange(lungs.shape[1]) >= centre)
        elif np.nonzero(own)[1].mean() < centre:
            right |= own
        else:
            left |= own
    if not right.any() or not left.any():
        raise ExplainerError(
            "The lung mask shows a lung on one side only; leave it out to use nominal lungs."
        )
    return np.asarray(binary_fill_holes(right)), np.asarray(binary_fill_holes(left))


def _inner_edges(
    right: NDArray[np.bool_], left: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return per row (H,) where the right lung ends and the left begins, towards the midline."""
    n_rows = len(right)
    ends, begins = np.full(n_rows, np.nan), np.full(n_rows, np.nan)
    for row in range(n_rows):
        if right[row].any():
            ends[row] = np.flatnonzero(right[row])[-1]
        if left[row].any():
            begins[row] = np.flatnonzero(left[row])[0]
    return _filled(ends), _filled(begins)


def _filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.flatnonzero(np.isfinite(values))
    return np.interp(np.arange(len(values)), known, values[known])


def _below(lungs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where a lung lies above, in the same column, and none below."""
    above = np.cumsum(lungs, axis=0) > 0
    none_left = np.cumsum(lungs[::-1], axis=0)[::-1] == 0
    return np.asarray(above & none_left)
