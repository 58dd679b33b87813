"""The two lungs of a real film: a lung mask taken apart, and what is measured inside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_erosion,
    distance_transform_edt,
    gaussian_filter,
    label,
    median_filter,
)

from data.case import DataError

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

SIDES = ("R", "L")
"""The patient's sides; on a film in its usual orientation R is on the left of the image."""
MIN_SHARE = 0.02
"""Least share of the film that one lung must cover."""
MIN_SIDE_PX = 12
"""Least width and height of one lung in pixels."""
_NOTCH = 0.7  # height of the mask between touching lungs over that of the lower lung
_LOW, _HIGH = 0.02, 0.98  # grey levels outside lie in the toe and shoulder of the film curve


class UnusableLungs(DataError):
    """A lung mask that is missing, too small, or in which two lungs cannot be told apart."""


@dataclass(frozen=True, eq=False)
class Lung:
    """One lung of a film.

    Parameters
    ----------
    side
        ``"R"`` or ``"L"``, the patient's.
    mask
        (H, W) bool.
    top, bottom, left, right
        First and last row and column of the mask.
    inner
        Distance to the lung's border in pixels, (H, W) float32, 0 outside.
    """

    side: str
    mask: BoolArray
    top: int
    bottom: int
    left: int
    right: int
    inner: FloatArray

    @property
    def width(self) -> int:
        """Columns from one edge to the other."""
        return self.right - self.left + 1

    @property
    def height(self) -> int:
        """Rows from the apex to the lowest point."""
        return self.bottom - self.top + 1

    def coordinates(self) -> tuple[FloatArray, FloatArray]:
        """Position of every pixel: 0 medial to 1 lateral, 0 apex to 1 base; (H, W) each.

        The first runs along each row of the mask; rows beyond the mask repeat the nearest one.
        """
        rows = np.arange(self.mask.shape[0])
        inside = np.clip(rows, self.top, self.bottom)
        filled = self.mask.any(axis=1)
        rows_filled = np.flatnonzero(filled)
        nearest = rows_filled[np.abs(inside[:, None] - rows_filled[None, :]).argmin(axis=1)]
        first = self.mask.argmax(axis=1)[nearest].astype(np.float32)
        last = (self.mask.shape[1] - 1 - self.mask[:, ::-1].argmax(axis=1))[nearest]
        first, last = (gaussian_filter(np.float32(edge), 2.0) for edge in (first, last))
        columns = np.arange(self.mask.shape[1], dtype=np.float32)[None, :]
        across = (columns - first[:, None]) / np.maximum(last - first, 1)[:, None]
        lateral = 1 - across if self.side == "R" else across
        down = (rows - self.top) / max(self.height - 1, 1)
        return lateral.astype(np.float32), np.broadcast_to(
            down[:, None].astype(np.float32), self.mask.shape
        )


@dataclass(frozen=True, eq=False)
class Chest:
    """A real film in units of attenuation, with its lungs.

    Parameters
    ----------
    attenuation
        (H, W) float32, the logit of the grey level: a film's characteristic curve is about a
        sigmoid of log exposure, so sums of attenuation are sums here.
    smooth
        ``attenuation`` without noise and fine texture.
    sharp
        The same by a median, which keeps edges.
    texture
        The band that holds the vessels, as grey levels, about zero on average.
    lungs
        By side, the right one first.
    air, tissue
        Typical attenuation of aerated lung and of the mediastinum.
    """

    attenuation: FloatArray
    smooth: FloatArray
    sharp: FloatArray
    texture: FloatArray
    lungs: Mapping[str, Lung]
    air: float
    tissue: float

    @property
    def contrast(self) -> float:
        """Attenuation that separates mediastinum from aerated lung."""
        return self.tissue - self.air

    @property
    def unit(self) -> float:
        """Length in pixels that lungs of any film share: a hundredth of their mean width."""
        return float(np.mean([lung.width for lung in self.lungs.values()])) / 100

    def aerated(self, lung: Lung) -> BoolArray:
        """(H, W) bool: where the lung is not hidden behind heart or diaphragm."""
        return lung.mask & (self.smooth < self.air + 0.62 * self.contrast)


def separate_lungs(mask: BoolArray) -> dict[str, Lung]:
    """Take a lung mask apart into the right and the left lung.

    Two parts that do not touch are taken as they are; lungs that touch are cut along the column
    between them that holds the fewest pixels. Specks are dropped.

    Parameters
    ----------
    mask
        (H, W) bool, both lungs.

    Raises
    ------
    UnusableLungs
        If the mask is empty, covers too little, or does not show two lungs.
    """
    if not mask.any():
        raise UnusableLungs("the lung mask is empty; expected both lungs filled.")
    parts, n_parts = label(mask)
    areas = np.bincount(parts.ravel())[1:]
    order = np.argsort(areas)[::-1]
    if n_parts >= 2 and areas[order[1]] >= 0.2 * areas[order[0]]:
        halves = [parts == order[0] + 1, parts == order[1] + 1]
    else:
        halves = _cut(parts == order[0] + 1)
    halves.sort(key=lambda half: float(np.nonzero(half)[1].mean()))
    return {side: _lung(side, half) for side, half in zip(SIDES, halves, strict=True)}


def _cut(both: BoolArray) -> list[BoolArray]:
    """Cut one part between the lungs, at the emptiest column of its middle third."""
    columns = np.flatnonzero(both.any(axis=0))
    left, width = columns[0], columns[-1] - columns[0] + 1
    third = slice(left + width // 3, left + max(width // 3 + 1, 2 * width // 3))
    heights = both.sum(axis=0)
    cut = third.start + int(heights[third].argmin())
    if heights[cut] > _NOTCH * min(heights[:cut].max(initial=0), heights[cut:].max()):
        raise UnusableLungs(
            "the lung mask shows one part without a waist; expected both lungs. Give a mask of "
            "both, or leave the film out."
        )
    first, second = both.copy(), both.copy()
    first[:, cut:] = False
    second[:, : cut + 1] = False
    return [first, second]


def _lung(side: str, mask: BoolArray) -> Lung:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if (
        mask.mean() < MIN_SHARE
        or len(rows) < MIN_SIDE_PX
        or len(columns) < MIN_SIDE_PX
        or not binary_erosion(mask, iterations=2).any()
    ):
        name = "right" if side == "R" else "left"
        raise UnusableLungs(
            f"the {name} lung of the mask covers {100 * mask.mean():.1f} % of the film "
            f"({len(rows)} rows, {len(columns)} columns); expected two lungs of at least "
            f"{100 * MIN_SHARE:g} % and {MIN_SIDE_PX} pixels each way. Give a mask of both lungs, "
            "or leave the film out."
        )
    padded = np.pad(mask, 1)  # the film's edge is a border of the lung, too
    inner = distance_transform_edt(padded)[1:-1, 1:-1].astype(np.float32)
    return Lung(side, mask, int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1]), inner)


def open_chest(film: FloatArray, lung_mask: BoolArray) -> Chest:
    """Bring a film into units of attenuation and find its lungs.

    Parameters
    ----------
    film
        (H, W) float32 in [0, 1], higher is brighter (more attenuation).
    lung_mask
        (H, W) bool, both lungs.

    Raises
    ------
    UnusableLungs
        If sizes differ, the lungs cannot be used, or they are not darker than what lies between
        them (an inverted film).
    """
    if film.shape != lung_mask.shape:
        raise UnusableLungs(
            f"the lung mask has {lung_mask.shape[0]} × {lung_mask.shape[1]} pixels, the film "
            f"{film.shape[0]} × {film.shape[1]}; expected the same size."
        )
    lungs = separate_lungs(lung_mask)
    level = np.clip(film.astype(np.float32), _LOW, _HIGH)
    attenuation = np.log(level / (1 - level)).astype(np.float32)
    unit = float(np.mean([lung.width for lung in lungs.values()])) / 100
    smooth = gaussian_filter(attenuation, max(1.0, 3.0 * unit)).astype(np.float32)
    sharp = median_filter(attenuation, size=2 * max(2, round(3 * unit)) + 1)
    texture = gaussian_filter(level, max(0.5, 0.7 * unit)) - 1 / (1 + np.exp(-sharp))
    right, left = lungs["R"], lungs["L"]
    rows = slice(max(right.top, left.top), min(right.bottom, left.bottom) + 1)
    between = np.zeros_like(lung_mask)
    between[rows, (right.left + right.right) // 2 : (left.left + left.right) // 2 + 1] = True
    between &= ~lung_mask
    air = float(np.percentile(smooth[lung_mask], 30))
    tissue = float(np.percentile(smooth[between], 60)) if between.any() else air
    if tissue < air + 0.25:
        raise UnusableLungs(
            "the lungs are not darker than what lies between them; expected a film with bright "
            "bones (MONOCHROME2) and a mask that fits it."
        )
    return Chest(attenuation, smooth, sharp, texture.astype(np.float32), lungs, air, tissue)
