"""Optical flow of a film: where the picture moves as the prediction rises, drawn as arrows.

NumPy, scikit-image and Pillow only. Latent Shift's authors show the flow over the sequence in
their Fig. 1 (Cohen et al., MIDL 2021, arXiv:2102.09475). A border that moves, such as that of a
growing heart, has a flow; a shadow that only fades has none, and needs the difference of frames.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import maximum_filter
from skimage.registration import optical_flow_tvl1

from explainers.base import ExplainerError

_SUPERSAMPLING = 4
_NEIGHBOURHOOD_PX = 9
_LEAST_CHANGE = 0.02
_ARROW = (255, 159, 28)  # orange: stands out from grey with any colour vision
_HEAD_ANGLE = 0.45
_HEAD_SHARE = 0.35


@dataclass(frozen=True, eq=False)
class FlowOverlay:
    """Arrows to be laid over a film, and what they mean.

    Parameters
    ----------
    picture
        (rows, columns, 4), uint8, RGBA, colours not premultiplied.
    magnification
        Length of an arrow in pixels of the picture per pixel of movement in the picture.
    longest_px
        The strongest movement drawn, in pixels of the frames.
    legend
        One sentence for readers.
    """

    picture: NDArray[np.uint8]
    magnification: float
    longest_px: float
    legend: str


def optical_flow(frames: NDArray[np.floating]) -> NDArray[np.float32]:
    """Estimate how far each point moves from the first to the last frame (TV-L1).

    Total variation keeps the flow piecewise smooth and the absolute difference forgives what
    brightens without moving (Zach et al. 2007, as in ``skimage.registration``). Where nothing
    changes nearby the flow is 0: what the smoothness carries into empty air is no movement.

    Parameters
    ----------
    frames
        (T, H, W), T ≥ 2, finite; of a counterfactual from the lowest to the highest prediction.

    Returns
    -------
    ndarray
        (H, W, 2), float32, pixels: down and right, of the point that is at (row, column) in the
        first frame.

    Raises
    ------
    ExplainerError
        If there are fewer than two frames, or they are not as said.
    """
    if frames.ndim != 3 or len(frames) < 2 or min(frames.shape[1:]) < 8:
        raise ExplainerError(
            f"Frames of shape {frames.shape} were given; a flow needs at least two frames of at "
            "least 8 × 8 pixels, (frames, rows, columns)."
        )
    if not np.isfinite(frames).all():
        raise ExplainerError("The frames hold NaN or infinite values; a flow needs finite ones.")
    first, last = frames[0].astype(np.float32), frames[-1].astype(np.float32)
    low, high = min(first.min(), last.min()), max(first.max(), last.max())
    if np.array_equal(first, last) or high <= low:
        return np.zeros((*first.shape, 2), np.float32)
    span = high - low
    # The weight of the data term belongs to a picture that uses the whole range of brightness.
    down, right = optical_flow_tvl1((first - low) / span, (last - low) / span)
    flow = np.stack([down, right], axis=-1).astype(np.float32)
    changed = maximum_filter(np.abs(last - first), _NEIGHBOURHOOD_PX) >= _LEAST_CHANGE * span
    return np.where(changed[..., None], flow, np.float32(0))


def flow_overlay(
    flow: NDArray[np.floating],
    *,
    size: tuple[int, int] | None = None,
    n_arrows: int = 20,
    least_px: float = 0.1,
) -> FlowOverlay:
    """Draw a flow as arrows on a grid; they are longer than the movement, by a stated factor.

    Parameters
    ----------
    flow
        (H, W, 2), as from :func:`optical_flow`.
    size
        Rows and columns of the picture, by default those of the flow.
    n_arrows
        Arrows along the longer side, ≥ 2. Each shows the mean flow of its cell.
    least_px
        Movements below this, in pixels of the frames, are not drawn.

    Raises
    ------
    ExplainerError
        If the flow or a parameter is not as said.
    """
    if flow.ndim != 3 or flow.shape[2:] != (2,) or not np.isfinite(flow).all():
        raise ExplainerError(
            f"A flow of shape {flow.shape} was given; expected finite numbers of shape "
            "(rows, columns, 2)."
        )
    if n_arrows < 2 or least_px < 0:
        raise ExplainerError(
            f"n_arrows is {n_arrows} and least_px {least_px}; expected at least 2, and at least 0."
        )
    rows, columns = size or flow.shape[:2]
    centres, means = _cells(flow, n_arrows)
    lengths = np.hypot(means[:, 0], means[:, 1])
    drawn = lengths >= least_px
    if not drawn.any():
        empty = np.zeros((rows, columns, 4), np.uint8)
        said = f"No movement of {least_px:g} pixels or more."
        return FlowOverlay(empty, 1.0, 0.0, said)
    longest = float(lengths[drawn].max())
    scale = np.array([rows / flow.shape[0], columns / flow.shape[1]])
    cell = max(rows, columns) / n_arrows
    magnification = 1.3 * cell / (longest * float(scale.max()))
    starts = centres[drawn] * scale
    ends = starts + means[drawn] * scale * magnification
    picture = _arrows((rows, columns), starts, ends)
    said = (
        "Arrows: movement from the lowest to the highest prediction, drawn "
        f"{magnification:.0f} times as long; the longest is {longest:.1f} pixels."
        if magnification >= 1.5
        else "Arrows: movement from the lowest to the highest prediction; the longest is "
        f"{longest:.1f} pixels."
    )
    return FlowOverlay(picture, magnification, longest, said)


def _cells(
    flow: NDArray[np.floating], n_arrows: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centres (A, 2) and mean flows (A, 2) of square cells."""
    height, width = flow.shape[:2]
    side = max(height, width) / n_arrows
    row_edges = np.linspace(0, height, max(1, round(height / side)) + 1).astype(int)
    column_edges = np.linspace(0, width, max(1, round(width / side)) + 1).astype(int)
    centres, means = [], []
    for top, bottom in itertools.pairwise(row_edges):
        for left, right in itertools.pairwise(column_edges):
            if bottom > top and right > left:
                centres.append(((top + bottom) / 2, (left + right) / 2))
                means.append(flow[top:bottom, left:right].mean(axis=(0, 1), dtype=np.float64))
    return np.array(centres), np.array(means)


def _arrows(
    size: tuple[int, int], starts: NDArray[np.float64], ends: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Draw arrows between (row, column) points; (rows, columns, 4), uint8."""
    rows, columns = size
    mask = Image.new("L", (columns * _SUPERSAMPLING, rows * _SUPERSAMPLING))
    pen = ImageDraw.Draw(mask)
    width = max(2, round(max(size) * _SUPERSAMPLING / 220))
    for start, end in zip(starts * _SUPERSAMPLING, ends * _SUPERSAMPLING, strict=True):
        along = end - start
        pen.line([*start[::-1], *end[::-1]], fill=255, width=width)
        for turn in (_HEAD_ANGLE, -_HEAD_ANGLE):
            cos, sin = np.cos(turn), np.sin(turn)
            back = np.array([cos * along[0] - sin * along[1], sin * along[0] + cos * along[1]])
            wing = end - _HEAD_SHARE * back
            pen.line([*end[::-1], *wing[::-1]], fill=255, width=width)
    picture = np.empty((rows, columns, 4), np.uint8)
    picture[..., :3] = _ARROW
    picture[..., 3] = np.asarray(mask.resize((columns, rows), Image.Resampling.BOX))
    return picture
