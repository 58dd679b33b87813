"""What a film does to one image, and how far that is from the image without the finding.

Pure functions of arrays. Errors and changes are in grey levels of 255; images are in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data.raster import resize
from explainers.base import ExplainerError

GREY_LEVELS = 255
OPERATING_POINT = 0.5
"""Calibrated probability above which a prediction is positive."""

CHANGED_LEVELS = 5.0
"""A pixel counts as changed if it changed by more than so many grey levels of 255."""

MONOTONE_TOLERANCE = 1e-3
"""A step counts as going the wrong way if the probability moves back by more than this."""

FINE_CYCLES_PER_PX = 1 / 16
"""Spatial frequencies above this count as fine: structures narrower than 8 pixels."""

SPOT_SHARE = 0.05
"""Share of the film's pixels that are counted as the strongest of a map."""


@dataclass(frozen=True)
class Change:
    """How much was changed.

    Parameters
    ----------
    l1
        Mean absolute change, grey levels.
    l2
        Root of the mean squared change, grey levels.
    share
        Share of the pixels that changed by more than :data:`CHANGED_LEVELS`.
    """

    l1: float
    l2: float
    share: float


@dataclass(frozen=True)
class Errors:
    """Mean absolute difference to the true counterfactual, in grey levels.

    Parameters
    ----------
    inside, outside
        Averaged over the finding's mask and over the rest; NaN where there is no mask, or where
        it leaves nothing of the film.
    film
        Averaged over the whole film.
    """

    inside: float
    outside: float
    film: float


def first_below(
    probabilities: NDArray[np.floating], threshold: float = OPERATING_POINT
) -> int | None:
    """Return the index of the first probability at or below ``threshold``, ``None`` if none is.

    At the threshold itself a prediction is negative, as it is in the rest of the product.
    """
    hits = np.flatnonzero(np.asarray(probabilities) <= threshold)
    return int(hits[0]) if len(hits) else None


def monotone_share(
    probabilities: NDArray[np.floating], tolerance: float = MONOTONE_TOLERANCE
) -> float:
    """Return the share of steps that do not raise a prediction that is to fall.

    Parameters
    ----------
    probabilities
        (K,), f of successive frames, from the unchanged one to the one that was wanted.
    tolerance
        Rise that is not counted, in probability.

    Returns
    -------
    float
        In [0, 1]; NaN where there is no step.
    """
    steps = np.diff(np.asarray(probabilities, np.float64))
    return float((steps <= tolerance).mean()) if len(steps) else float("nan")


def change_of(image: NDArray[np.floating], other: NDArray[np.floating]) -> Change:
    """Measure the change from ``image`` to ``other``, both (H, W) in [0, 1]."""
    _check_shapes(image, other)
    change = np.abs(other.astype(np.float64) - image) * GREY_LEVELS
    return Change(
        l1=float(change.mean()),
        l2=float(np.sqrt(np.square(change).mean())),
        share=float((change > CHANGED_LEVELS).mean()),
    )


def coverage(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the share of every pixel of an image of ``size`` that a mask covers.

    A share, not a majority: a pleural line narrower than a network's pixel would disappear.

    Parameters
    ----------
    mask
        (H, W), bool, at the film's resolution.
    size
        Rows and columns of the images that are compared.

    Returns
    -------
    ndarray
        ``size``, in [0, 1].
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ExplainerError(
            f"The mask is {mask.dtype} of shape {mask.shape}; expected bool of shape "
            "(rows, columns)."
        )
    return np.clip(resize(mask.astype(np.float32), size).astype(np.float64), 0, 1)


def errors(
    image: NDArray[np.floating],
    truth: NDArray[np.floating],
    covered: NDArray[np.float64] | None,
) -> Errors:
    """Measure how far an image is from the true counterfactual.

    Parameters
    ----------
    image, truth
        (H, W), in [0, 1].
    covered
        (H, W), from :func:`coverage`, or ``None`` where the finding has no mask. A pixel that is
        covered by a quarter counts a quarter inside and three quarters outside.
    """
    _check_shapes(image, truth)
    difference = np.abs(image.astype(np.float64) - truth) * GREY_LEVELS
    film = float(difference.mean())
    if covered is None:
        return Errors(float("nan"), float("nan"), film)
    _check_shapes(image, covered)
    return Errors(_average(difference, covered), _average(difference, 1 - covered), film)


def fine_share(change: NDArray[np.floating]) -> float:
    """Return the share of a change's energy in structures narrower than 8 pixels.

    The energy of the Fourier spectrum above :data:`FINE_CYCLES_PER_PX`, over all but the mean. The
    change is mirrored at its borders, so that these count as no edges. White noise scores about
    0.99, a change as wide as a lung nearly 0.

    Parameters
    ----------
    change
        (H, W), signed.

    Returns
    -------
    float
        In [0, 1]; NaN where nothing changed.
    """
    whole = np.pad(
        np.asarray(change, np.float64), [(0, side) for side in change.shape], "symmetric"
    )
    energy = np.square(np.abs(np.fft.fft2(whole - whole.mean())))
    rows, columns = (np.fft.fftfreq(side) for side in whole.shape)
    radius = np.hypot(rows[:, None], columns[None, :])
    total = float(energy.sum())
    if total <= 1e-12 * whole.size:
        return float("nan")
    return float(energy[radius > FINE_CYCLES_PER_PX].sum() / total)


def n_spots(values: NDArray[np.floating], share: float = SPOT_SHARE) -> int:
    """Return into how many pieces the strongest pixels of a map fall.

    Parameters
    ----------
    values
        (H, W); absolute values count.
    share
        Share of the pixels, the strongest ones by rank.

    Returns
    -------
    int
        Components of touching pixels, corners included; 0 where the map is 0 everywhere.
    """
    magnitude = np.abs(values)
    n_pixels = max(round(share * magnitude.size), 1)
    threshold = np.partition(magnitude, -n_pixels, axis=None)[-n_pixels]
    chosen = (magnitude >= threshold) & (magnitude > 0)
    return int(ndimage.label(chosen, structure=np.ones((3, 3)))[1])


def _average(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    total = float(weights.sum())
    return float((values * weights).sum() / total) if total > 1e-9 else float("nan")


def _check_shapes(image: NDArray[np.floating], other: NDArray[np.floating]) -> None:
    if image.shape != other.shape or image.ndim != 2:
        raise ExplainerError(
            f"Images of shape {image.shape} and {other.shape} were to be compared; expected one "
            "shape (rows, columns). Resample both to the network's size."
        )
