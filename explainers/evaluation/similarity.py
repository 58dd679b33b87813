"""How alike two maps are: rank correlation and structural similarity of their absolute values.

A constant map ranks no pixel above another, so that nothing can be alike or unlike: both measures
are then NaN, which means and intervals leave out, and never 0 or 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from skimage.metrics import structural_similarity as skimage_ssim

from explainers.base import ExplainerError
from explainers.overlay import relative_scale

GAUSSIAN_SIGMA_PX = 1.5
"""Width of the window of SSIM (Wang et al. 2004)."""

MINIMUM_SIDE_PX = 11
"""SSIM needs at least its window: 11 pixels at that width."""


def rank_correlation(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Spearman's rank correlation of the absolute values of two maps; ties share their mean rank.

    Parameters
    ----------
    first, second
        (H, W), finite, of one shape.

    Returns
    -------
    float
        In [-1, 1]; NaN if a map is constant in absolute value.

    Raises
    ------
    ExplainerError
        If the maps differ in shape or hold NaN.
    """
    _check(first, second)
    if _is_constant(first) or _is_constant(second):
        return float("nan")
    ranks = [rankdata(np.abs(each), axis=None) for each in (first, second)]
    centred = [each - each.mean() for each in ranks]
    product = float(np.dot(*centred) / np.linalg.norm(centred[0]) / np.linalg.norm(centred[1]))
    return min(1.0, max(-1.0, product))


def structural_similarity(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Structural similarity (SSIM) of the absolute values of two maps, as they are displayed.

    Each map is scaled to [0, 1] as its overlay is (99.5th percentile of the absolute values, see
    :func:`explainers.overlay.relative_scale`): a map has no unit in common with the map of another
    network. Gaussian window of 1.5 px, K1 = 0.01, K2 = 0.03, dynamic range 1 (Wang et al. 2004,
    doi:10.1109/TIP.2003.819861). Two maps that are dark almost everywhere are alike there, so that
    SSIM of sparse maps is high whatever they show; read it beside the rank correlation.

    Parameters
    ----------
    first, second
        (H, W), finite, of one shape, at least 11 pixels each way.

    Returns
    -------
    float
        In [-1, 1]; NaN if a map is constant in absolute value.

    Raises
    ------
    ExplainerError
        If the maps differ in shape, hold NaN or are smaller than the window.
    """
    _check(first, second)
    if min(first.shape) < MINIMUM_SIDE_PX:
        raise ExplainerError(
            f"Maps of {first.shape[0]} × {first.shape[1]} pixels were given; structural similarity "
            f"needs at least {MINIMUM_SIDE_PX} each way."
        )
    if _is_constant(first) or _is_constant(second):
        return float("nan")
    return image_similarity(relative_scale(first), relative_scale(second))


def image_similarity(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """SSIM of two images in [0, 1], (H, W), as they are; constants as above."""
    return float(
        skimage_ssim(
            first.astype(np.float64),
            second.astype(np.float64),
            gaussian_weights=True,
            sigma=GAUSSIAN_SIGMA_PX,
            use_sample_covariance=False,
            data_range=1.0,
        )
    )


def _is_constant(values: NDArray[np.floating]) -> bool:
    magnitude = np.abs(values)
    return bool(magnitude.max() == magnitude.min())


def _check(first: NDArray[np.floating], second: NDArray[np.floating]) -> None:
    if first.ndim != 2 or first.shape != second.shape or first.size == 0:
        raise ExplainerError(
            f"Maps of shapes {first.shape} and {second.shape} were given; expected two of one "
            "shape (rows, columns)."
        )
    for each in (first, second):
        if not np.isfinite(each).all():
            raise ExplainerError(
                f"A map holds {int((~np.isfinite(each)).sum())} values that are NaN or infinite; "
                "check the classifier's weights."
            )
