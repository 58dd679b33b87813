"""Grey raster files to arrays and back, and the only place that resamples images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.case import DataError, InvalidCase
from data.rasterfile import read_samples

Size = tuple[int, int]  # (rows, columns)


def read_image(path: Path) -> NDArray[np.float32]:
    """Read a PNG, JPEG or TIFF file as a grey image.

    Parameters
    ----------
    path
        An 8- or 16-bit grey file; colour only if its three channels are equal.

    Returns
    -------
    ndarray
        Shape (H, W), float32, in [0, 1], higher is brighter: the stored integer divided by 255
        (8-bit) or 65535 (16-bit).

    Raises
    ------
    InvalidCase
        If the file is missing, damaged, in colour, or of a kind that is not read.
    """
    return to_unit(read_samples(path))


def to_unit(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Scale stored samples to [0, 1].

    Parameters
    ----------
    samples
        uint8, uint16, or float already in [0, 1]; any shape.

    Returns
    -------
    ndarray
        float32 of the same shape.
    """
    if samples.dtype == np.uint8:
        return samples.astype(np.float32) / np.float32(255)
    if samples.dtype == np.uint16:
        return samples.astype(np.float32) / np.float32(65535)
    return samples.astype(np.float32)


def quantise(image: NDArray[np.floating], bits: Literal[8, 16]) -> NDArray[Any]:
    """Round an image in [0, 1] to 8- or 16-bit integers.

    Values outside [0, 1] by rounding (up to 1e-3) are clipped.

    Returns
    -------
    ndarray
        uint8 or uint16 of the same shape.

    Raises
    ------
    InvalidCase
        If a value is not finite or lies farther outside [0, 1].
    """
    if not np.isfinite(image).all():
        raise InvalidCase("The image holds NaN or infinite pixels; expected values in [0, 1].")
    low, high = float(image.min()), float(image.max())
    if low < -1e-3 or high > 1 + 1e-3:
        raise InvalidCase(
            f"Pixel values run from {low:.3g} to {high:.3g}; expected [0, 1]. Rescale the image."
        )
    top = 255 if bits == 8 else 65535
    scaled = np.rint(np.clip(image.astype(np.float64), 0, 1) * top)
    return scaled.astype(np.uint8 if bits == 8 else np.uint16)


def write_png(
    path: Path, image: NDArray[Any], bits: Literal[8, 16] = 8, compress_level: int = 6
) -> None:
    """Write a grey image as PNG without any metadata.

    Parameters
    ----------
    path
        Where to write; the folder must exist.
    image
        Shape (H, W). Float in [0, 1] is rounded to ``bits``; uint8 and uint16 are stored as they
        are; bool becomes 0 and 255.
    bits
        Depth for float images.
    compress_level
        zlib level, 0 to 9.

    Raises
    ------
    InvalidCase
        If the array is not two-dimensional, not in [0, 1], or of another type.
    OSError
        If the disk refuses.
    """
    if image.ndim != 2:
        raise InvalidCase(f"An array of shape {image.shape} is no grey image; expected (H, W).")
    if image.dtype == np.bool_:
        samples: NDArray[Any] = image.astype(np.uint8) * np.uint8(255)
    elif image.dtype in (np.uint8, np.uint16):
        samples = image
    elif np.issubdtype(image.dtype, np.floating):
        samples = quantise(image.astype(np.float64), bits)
    else:
        raise InvalidCase(
            f"Pixels of type {image.dtype} cannot be written as PNG; expected float in [0, 1], "
            "uint8, uint16 or bool."
        )
    picture = Image.fromarray(np.ascontiguousarray(samples))
    picture.save(path, format="PNG", compress_level=compress_level)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a mask: every pixel above half of full scale is inside, (H, W) bool.

    Raises
    ------
    InvalidCase
        As :func:`read_image`.
    """
    return read_image(path) > 0.5


def resize(image: NDArray[Any], size: Size) -> NDArray[np.float32]:
    """Resample an image: area average where it shrinks, bilinear where it grows.

    Each axis is treated on its own. Shrinking integrates the piecewise-constant image over every
    output pixel, so the mean is preserved exactly (up to rounding) and an integer factor is a box
    filter. Growing interpolates between pixel centres (half-pixel convention), edges repeated.

    Parameters
    ----------
    image
        Shape (..., H, W); leading axes (frames) are kept. Any real values: signed maps too.
    size
        Wanted (rows, columns), each at least 1.

    Returns
    -------
    ndarray
        Shape (..., rows, columns), float32, a new array.

    Raises
    ------
    DataError
        If ``size`` or the image's shape is not positive.
    """
    _check_size(image, size)
    out = image.astype(np.float64)
    for axis, length in ((-2, size[0]), (-1, size[1])):
        out = _resize_axis(out, axis, length)
    return out.astype(np.float32)


def resize_mask(mask: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    """Resample a mask: majority of the covered area where it shrinks, nearest where it grows.

    A structure that fills less than half of every output pixel disappears; measure overlaps at
    the film's resolution.

    Parameters
    ----------
    mask
        Shape (..., H, W), bool.
    size
        Wanted (rows, columns).

    Returns
    -------
    ndarray
        Shape (..., rows, columns), bool.

    Raises
    ------
    DataError
        If ``size`` or the mask's shape is not positive.
    """
    _check_size(mask, size)
    share = mask.astype(np.float64)
    for axis, length in ((-2, size[0]), (-1, size[1])):
        if length < share.shape[axis]:
            share = _shrink(share, axis, length)
        elif length > share.shape[axis]:
            index = ((np.arange(length) + 0.5) * share.shape[axis] / length).astype(np.intp)
            share = np.take(share, index, axis=axis)
    return np.asarray(share >= 0.5 - 1e-9)


def square(
    image: NDArray[Any], size: int, how: Literal["squash", "crop", "pad"] = "squash"
) -> NDArray[np.float32]:
    """Bring an image to ``size`` × ``size`` pixels.

    Parameters
    ----------
    image
        Shape (H, W).
    size
        Side of the result in pixels.
    how
        ``"squash"`` ignores the aspect ratio (the default: padding would tell a classifier the
        original shape, which is confounded with source and label in real collections);
        ``"crop"`` keeps the centred square; ``"pad"`` adds black margins.

    Returns
    -------
    ndarray
        Shape (size, size), float32.

    Raises
    ------
    DataError
        If ``size`` is not positive.
    """
    rows, columns = image.shape
    if how == "crop":
        side = min(rows, columns)
        top, left = (rows - side) // 2, (columns - side) // 2
        image = image[top : top + side, left : left + side]
    elif how == "pad":
        side = max(rows, columns)
        top, left = (side - rows) // 2, (side - columns) // 2
        image = np.pad(image, ((top, side - rows - top), (left, side - columns - left)))
    return resize(image, (size, size))


def _check_size(image: NDArray[Any], size: Size) -> None:
    """Refuse sizes below one pixel and arrays without two axes."""
    if image.ndim < 2 or min(image.shape[-2:]) < 1 or min(size) < 1:
        raise DataError(
            f"An array of shape {image.shape} cannot be resampled to {size[0]} × {size[1]} pixels; "
            "expected at least one pixel each way."
        )


def _resize_axis(image: NDArray[np.float64], axis: int, length: int) -> NDArray[np.float64]:
    """Resample one axis to ``length``."""
    if length < image.shape[axis]:
        return _shrink(image, axis, length)
    if length > image.shape[axis]:
        return _grow(image, axis, length)
    return image


def _shrink(image: NDArray[np.float64], axis: int, length: int) -> NDArray[np.float64]:
    """Average each output pixel's footprint along one axis."""
    moved = np.moveaxis(image, axis, 0)
    n = moved.shape[0]
    factor, rest = divmod(n, length)
    if rest == 0:  # exact box filter
        out = moved.reshape(length, factor, *moved.shape[1:]).mean(axis=1)
        return np.moveaxis(out, 0, axis)
    integral = np.concatenate([np.zeros_like(moved[:1]), np.cumsum(moved, axis=0)])  # (n + 1, ...)
    edges = np.arange(length + 1) * (n / length)
    whole = np.minimum(edges.astype(np.intp), n - 1)
    part = (edges - whole).reshape(-1, *([1] * (moved.ndim - 1)))
    at_edges = integral[whole] + part * moved[whole]  # the integral up to each edge
    return np.moveaxis(np.diff(at_edges, axis=0) * (length / n), 0, axis)


def _grow(image: NDArray[np.float64], axis: int, length: int) -> NDArray[np.float64]:
    """Interpolate linearly between pixel centres along one axis."""
    moved = np.moveaxis(image, axis, 0)
    n = moved.shape[0]
    centres = np.clip((np.arange(length) + 0.5) * (n / length) - 0.5, 0, n - 1)
    low = centres.astype(np.intp)
    high = np.minimum(low + 1, n - 1)
    part = (centres - low).reshape(-1, *([1] * (moved.ndim - 1)))
    return np.moveaxis(moved[low] + part * (moved[high] - moved[low]), 0, axis)
