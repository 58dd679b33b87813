"""Explanation → picture: what is drawn over a film, and its legend.

NumPy only. Numbers are scaled per map: colours say where a map is strong, never how strong it is
in comparison with another map. The same smoothing and clipping serve every method, so that
conditions differ in the explanation and not in the way it is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeAlias

import matplotlib
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from data.raster import resize
from explainers.base import ExplainerError

Colormap: TypeAlias = Literal["inferno", "PuOr"]
"""``"inferno"`` for magnitudes; ``"PuOr"`` for signs: purple = positive (brightness added, evidence
for the finding), orange = negative (brightness removed, evidence against it)."""

SignMeaning: TypeAlias = Literal["change", "evidence"]
"""What a sign says: brightness removed or added (films), or evidence against or for the finding
(attributions)."""

TableName: TypeAlias = Literal["inferno", "viridis", "cividis", "PuOr", "RdBu"]
"""Colours that a viewer may choose from: three for magnitudes, two for signs."""

MAGNITUDE_TABLES: Final[tuple[TableName, ...]] = ("inferno", "viridis", "cividis")
SIGN_TABLES: Final[tuple[TableName, ...]] = ("PuOr", "RdBu")
SIGN_ZERO: Final = 128
"""Level of a signed map at which it is 0; 1 is the most negative, 255 the most positive."""

_LEVELS = 256


@dataclass(frozen=True, eq=False)
class Legend:
    """The colours of an overlay from one end of its scale to the other.

    Parameters
    ----------
    colours
        (256, 4), uint8, RGBA, from the lowest to the highest value.
    positions
        Of the ticks, 0 at the lowest and 1 at the highest value.
    labels
        Of the ticks.
    """

    colours: NDArray[np.uint8]
    positions: tuple[float, ...]
    labels: tuple[str, ...]


def relative_scale(
    values: NDArray[np.floating],
    *,
    signed: bool = False,
    clip_percentile: float = 99.5,
    separate: bool = False,
) -> NDArray[np.float32]:
    """Scale a map by a percentile of its absolute values, and clip.

    Parameters
    ----------
    values
        (H, W), finite.
    signed
        Keep the sign, with one scale for both sides; else the absolute value is taken.
    clip_percentile
        In (0, 100]. Where that percentile is 0 (a sparse map) the largest absolute value is used.
    separate
        Scale what is positive and what is negative each by itself, so that the strongest of both
        become +1 and −1; only for signed maps. Published with visual rationales; it hides how much
        weaker one side is than the other.

    Returns
    -------
    ndarray
        (H, W), float32, in [0, 1], or [-1, 1] if signed; all 0 for a map of zeros.

    Raises
    ------
    ExplainerError
        If the map is not two-dimensional and finite, the percentile is out of range, or a map
        without signs is to have two scales.
    """
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ExplainerError(
            f"A map of shape {values.shape} with "
            f"{int((~np.isfinite(values)).sum())} values that are NaN or infinite cannot be drawn; "
            "expected finite numbers of shape (rows, columns)."
        )
    if not 0 < clip_percentile <= 100:
        raise ExplainerError(f"clip_percentile is {clip_percentile}; expected (0, 100].")
    if separate and not signed:
        raise ExplainerError(
            "Only maps that keep their signs can have a scale for each side; draw this one in "
            "'PuOr', or with one scale."
        )
    if separate:
        up, down = (np.maximum(side, 0) for side in (values, -values))
        return relative_scale(up, clip_percentile=clip_percentile) - relative_scale(
            down, clip_percentile=clip_percentile
        )
    magnitude = np.abs(values.astype(np.float64))
    top = np.percentile(magnitude, clip_percentile) or magnitude.max(initial=0)
    if top == 0:
        return np.zeros(values.shape, np.float32)
    scaled = (values if signed else magnitude) / top
    return np.clip(scaled, -1, 1).astype(np.float32)


def shown_values(
    values: NDArray[np.floating],
    *,
    signed: bool = False,
    smoothing_px: float = 1.0,
    clip_percentile: float = 99.5,
    separate: bool = False,
) -> NDArray[np.float32]:
    """Return what every drawing of a map shows: smoothed, then scaled; see :func:`overlay_rgba`.

    Returns
    -------
    ndarray
        (H, W), float32, in [0, 1], or [-1, 1] if signed.

    Raises
    ------
    ExplainerError
        As :func:`relative_scale`.
    """
    shown = values.astype(np.float64) if signed else np.abs(values.astype(np.float64))
    if smoothing_px > 0 and np.isfinite(shown).all() and shown.ndim == 2:
        shown = gaussian_filter(shown, smoothing_px, mode="nearest")
    return relative_scale(shown, signed=signed, clip_percentile=clip_percentile, separate=separate)


def overlay_rgba(
    values: NDArray[np.floating],
    *,
    colormap: Colormap = "inferno",
    size: tuple[int, int] | None = None,
    smoothing_px: float = 1.0,
    clip_percentile: float = 99.5,
    alpha: float = 0.85,
    separate: bool = False,
) -> NDArray[np.uint8]:
    """Draw a map as a picture to be laid over the film; opacity grows with magnitude.

    Parameters
    ----------
    values
        (H, W), at the resolution of the explanation.
    colormap
        ``"inferno"`` shows |values|, ``"PuOr"`` their sign. Both are perceptually ordered and can
        be read with any colour vision.
    size
        Rows and columns of the picture, by default those of the map. The numbers are resampled,
        then coloured.
    smoothing_px
        Standard deviation of a Gaussian in pixels of the map, for display only: gradients change
        from pixel to pixel, and on a film they read as noise. 0 draws them as they are. Measures
        of localisation are taken from the unsmoothed map.
    clip_percentile, separate
        As in :func:`relative_scale`.
    alpha
        Opacity of the strongest pixels, in [0, 1].

    Returns
    -------
    ndarray
        (rows, columns, 4), uint8, RGBA, colours not premultiplied.

    Raises
    ------
    ExplainerError
        If a parameter or the map is not as said.
    """
    if smoothing_px < 0 or not 0 <= alpha <= 1:
        raise ExplainerError(
            f"smoothing_px is {smoothing_px} and alpha {alpha}; expected at least 0, and [0, 1]."
        )
    scaled = shown_values(
        values,
        signed=_is_signed(colormap),
        smoothing_px=smoothing_px,
        clip_percentile=clip_percentile,
        separate=separate,
    )
    if size is not None and size != scaled.shape:
        scaled = resize(scaled, size)
    return _coloured(scaled, colormap, alpha)


def blend(image: NDArray[np.floating], overlay: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay an overlay over a film.

    Parameters
    ----------
    image
        (H, W), in [0, 1].
    overlay
        (H, W, 4), uint8, of the same size.

    Returns
    -------
    ndarray
        (H, W, 3), uint8, RGB.

    Raises
    ------
    ExplainerError
        If the sizes differ.
    """
    if overlay.shape != (*image.shape, 4):
        raise ExplainerError(
            f"An overlay of shape {overlay.shape} does not fit a film of {image.shape}; draw it "
            "with size=film.shape."
        )
    opacity = overlay[..., 3:].astype(np.float32) / 255  # (H, W, 1)
    grey = (np.clip(image, 0, 1) * 255).astype(np.float32)[..., None]
    mixed = (1 - opacity) * grey + opacity * overlay[..., :3]
    return np.rint(mixed).astype(np.uint8)


def legend(
    colormap: Colormap = "inferno", *, alpha: float = 0.85, meaning: SignMeaning = "change"
) -> Legend:
    """Return colours and ticks of an overlay drawn with the same arguments.

    Parameters
    ----------
    meaning
        What the signs of ``"PuOr"`` are called: ``"change"`` of a film, or ``"evidence"`` of a
        signed attribution.

    Raises
    ------
    ExplainerError
        If the colour map or the meaning is unknown.
    """
    if meaning not in ("change", "evidence"):
        raise ExplainerError(
            f"The signs of a map mean 'change' or 'evidence'; {meaning!r} was given."
        )
    signed = _is_signed(colormap)
    scale = np.linspace(-1 if signed else 0, 1, _LEVELS, dtype=np.float32)
    colours = _coloured(scale[None], colormap, alpha)[0]
    if signed:
        named = ("removed", "unchanged", "added")
        if meaning == "evidence":
            named = ("against the finding", "neither", "for the finding")
        return Legend(colours, (0.0, 0.5, 1.0), named)
    return Legend(colours, (0.0, 1.0), ("none", "strongest"))


def colour_table(name: TableName, *, alpha: float = 0.85) -> NDArray[np.uint8]:
    """Return the colours of a map that is stored as 8-bit levels.

    Parameters
    ----------
    name
        One of :data:`MAGNITUDE_TABLES`, for levels from 0 (nothing) to 255 (strongest), or of
        :data:`SIGN_TABLES`, for levels from 1 (most negative) over 128 (zero) to 255 (most
        positive); level 0 is that of 1. ``"inferno"`` and ``"PuOr"`` colour as
        :func:`overlay_rgba`. All can be read with any colour vision.
    alpha
        Opacity of the strongest levels, in [0, 1].

    Returns
    -------
    ndarray
        (256, 4), uint8, RGBA, colours not premultiplied.

    Raises
    ------
    ExplainerError
        If there is no such table.
    """
    levels = np.arange(_LEVELS, dtype=np.float32)
    if name in MAGNITUDE_TABLES:
        return _coloured((levels / np.float32(255))[None], name, alpha)[0]
    if name in SIGN_TABLES:
        signs = (np.maximum(levels, 1) - np.float32(SIGN_ZERO)) / np.float32(SIGN_ZERO - 1)
        return _coloured(signs[None], name, alpha)[0]
    raise ExplainerError(
        f"There is no table of colours {name!r}; expected one of "
        f"{', '.join((*MAGNITUDE_TABLES, *SIGN_TABLES))}."
    )


def colour_bar(
    colormap: Colormap = "inferno", *, height: int = 160, width: int = 12, alpha: float = 0.85
) -> NDArray[np.uint8]:
    """Draw the colours of an overlay as an upright bar, highest on top.

    Returns
    -------
    ndarray
        (height, width, 4), uint8, RGBA.
    """
    rows = np.rint(np.linspace(_LEVELS - 1, 0, height)).astype(int)
    return np.repeat(legend(colormap, alpha=alpha).colours[rows, None], width, axis=1)


def _is_signed(colormap: Colormap) -> bool:
    if colormap not in ("inferno", "PuOr"):
        raise ExplainerError(f"Overlays are drawn in 'inferno' or 'PuOr'; {colormap!r} was given.")
    return colormap == "PuOr"


def _coloured(scaled: NDArray[np.float32], colormap: TableName, alpha: float) -> NDArray[np.uint8]:
    """Colour numbers in [0, 1] (magnitudes) or [-1, 1] (signs); (H, W) -> (H, W, 4)."""
    magnitude = np.abs(scaled)
    # PuOr is nearly white in the middle, which is transparent here, and nearly black at its ends,
    # which would make the strongest values darker than weaker ones: one colour of each half is
    # used, and opacity alone says how strong a value is.
    at = scaled if colormap in MAGNITUDE_TABLES else 0.5 + 0.3 * np.sign(scaled)
    level = np.rint(at * (_LEVELS - 1)).astype(np.intp)
    picture = np.empty((*scaled.shape, 4), np.uint8)
    picture[..., :3] = _table(colormap)[level]
    # Steeper than linear, so that weak values do not veil the film.
    picture[..., 3] = np.rint(255 * alpha * np.minimum(1, 2 * magnitude**1.5))
    return picture


@lru_cache(maxsize=8)
def _table(colormap: TableName) -> NDArray[np.uint8]:
    """Return the colours of a map, (256, 3), uint8."""
    table = matplotlib.colormaps[colormap](np.arange(_LEVELS) / (_LEVELS - 1), bytes=True)[:, :3]
    table.setflags(write=False)
    return table
