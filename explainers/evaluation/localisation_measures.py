"""How one map agrees with one mask, by the measures of the localisation bench.

The absolute value of a map counts. Where pixels tie, every measure is its expectation over all ways
to break the tie, so that a constant map scores exactly chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import average_precision_score

from data.raster import resize
from explainers.base import ExplainerError
from explainers.evaluation.localisation import Overlap, iou_at_matched_area, overlap

PERCENTILES = (85.0, 90.0, 95.0, 98.0)
RIM_MM = 10.0
RIM_SHARE = 0.025
TOLERANCE_SHARE = 0.03
ONE_SIDED = 0.95
MAX_MASK_SHARE = 0.5
"""A mask of more than half the film marks no place; what it overlaps with says nothing."""


@dataclass(frozen=True, eq=False)
class Regions:
    """A mask and what lies around it; all (H, W), bool.

    Parameters
    ----------
    mask
        Of the finding; not empty.
    near
        Mask and all pixels within the tolerance of the pointing game.
    rim
        Ring around the mask.
    other_lung
        Lung of the other side, ``None`` where the finding lies on both.
    """

    mask: NDArray[np.bool_]
    near: NDArray[np.bool_]
    rim: NDArray[np.bool_]
    other_lung: NDArray[np.bool_] | None


def regions(
    mask: NDArray[np.bool_],
    lungs: NDArray[np.bool_] | None = None,
    spacing_mm: tuple[float, float] | None = None,
) -> Regions:
    """Find tolerance, rim and other lung of a mask.

    Parameters
    ----------
    mask, lungs
        (H, W), bool; without lungs the other half of the film stands for the other lung.
    spacing_mm
        Between rows and columns; without it the rim is 2.5 % of the film's width instead of 10 mm.
        The tolerance of the pointing game is 3 % of the width.

    Raises
    ------
    ExplainerError
        If the mask is empty, or larger than half the film.
    """
    share = float(mask.mean())
    if not 0 < share <= MAX_MASK_SHARE:
        what = "is empty" if share == 0 else f"covers {share:.0%} of the film"
        raise ExplainerError(
            f"The mask {what}; expected one of at most half the film, without which a map cannot "
            "be called right or wrong. Leave the case out."
        )
    width = mask.shape[1]
    away_px = distance_transform_edt(~mask)
    if spacing_mm is None:
        rim = away_px <= max(RIM_SHARE * width, 1.0)
    else:
        rim = distance_transform_edt(~mask, sampling=spacing_mm) <= RIM_MM
    near = away_px <= TOLERANCE_SHARE * width
    return Regions(mask, near, rim & ~mask, _other_lung(mask, lungs))


def _other_lung(
    mask: NDArray[np.bool_], lungs: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    columns = np.arange(mask.shape[1])
    usable = lungs is not None and lungs.shape == mask.shape and bool(lungs.any())
    field = lungs if usable and lungs is not None else np.ones_like(mask)
    occupied = np.flatnonzero(field.any(axis=0))
    middle = (occupied[0] + occupied[-1]) / 2
    left = np.broadcast_to(columns < middle, mask.shape)
    share = float((mask & left).sum() / mask.sum())
    if share >= ONE_SIDED:
        return field & ~left & ~mask
    if share <= 1 - ONE_SIDED:
        return field & left & ~mask
    return None


def measures(values: NDArray[np.floating], around: Regions) -> Mapping[str, float]:
    """Measure a map against a mask.

    Parameters
    ----------
    values
        (h, w), signed or not; interpolated to the mask's size where they differ.

    Returns
    -------
    mapping
        Quantity to number, NaN where undefined; see ``localisation_bench.QUANTITIES``.

    Raises
    ------
    ExplainerError
        If the map holds NaN.
    """
    mask = around.mask
    iou = iou_at_matched_area(values, mask)
    size = (mask.shape[0], mask.shape[1])
    strength = np.abs(values) if values.shape == size else resize(np.abs(values), size)
    strength = strength.astype(np.float64)
    matched = overlap(strength, mask, int(mask.sum()))
    found = {"iou": iou, "precision": matched.hits / matched.n_chosen}
    for percentile in PERCENTILES:
        each = overlap(strength, mask, chosen_at(percentile, mask.size))
        found |= _at_percentile(percentile, each)
    top = strength == strength.max()
    total = float(strength.sum())
    found["pointing"] = float(around.near[top].mean())
    for name, region in (
        ("share_inside", mask),
        ("share_rim", around.rim),
        ("share_other_lung", around.other_lung),
    ):
        known = total > 0 and region is not None
        found[name] = float(strength[region].sum() / total) if known else float("nan")
    found["auprc"] = float(average_precision_score(mask.ravel(), strength.ravel()))
    found["ncc"] = ncc(strength, mask)
    return found


def _at_percentile(percentile: float, each: Overlap) -> dict[str, float]:
    return {
        f"iou_p{percentile:g}": each.iou,
        f"precision_p{percentile:g}": each.hits / each.n_chosen,
        f"recall_p{percentile:g}": each.hits / each.n_mask,
    }


def chosen_at(percentile: float, n_pixels: int) -> int:
    """Return how many pixels lie above a percentile by rank, at least one."""
    return max(round((1 - percentile / 100) * n_pixels), 1)


def ncc(strength: NDArray[np.floating], mask: NDArray[np.bool_]) -> float:
    """Correlate a map with a mask (Pearson over pixels); 0 where the map is constant."""
    a = strength - strength.mean()
    b = mask - mask.mean()
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    level = float(np.abs(strength).max())
    return 0.0 if scale <= 1e-12 * max(level, 1e-300) * mask.size else float((a * b).sum() / scale)
