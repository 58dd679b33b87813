"""Encoding of the pictures that readers see: lossless, grey, without metadata."""

from __future__ import annotations

import io
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.raster import quantise, to_unit
from explainers.overlay import shown_values
from pages.parts.display_files import Bits

PNG_END: Final = b"IEND\xaeB`\x82"
"""Type and checksum of the last chunk of every PNG."""

SIGNED_ZERO: Final = 128
"""Level of a signed map that stands for zero; 1 … 255 are -1 … +1 of its scale."""


def bits_of(image: NDArray[np.floating]) -> Bits:
    """Return the bits a pixel that hold an image (H, W) in [0, 1] without loss: 8, else 16."""
    return 8 if np.array_equal(to_unit(quantise(image, 8)), image.astype(np.float32)) else 16


def grey_picture(image: NDArray[np.floating], bits: Bits = 8) -> bytes:
    """Encode a grey image (H, W) in [0, 1]: as PNG, or as a compressed block of 16-bit samples."""
    samples = quantise(image, bits)
    if bits == 8:
        return _png(samples)
    return zlib.compress(samples.astype("<u2").tobytes(), 6)


def map_picture(values: NDArray[np.floating], *, signed: bool = False) -> bytes:
    """Encode a map (H, W) as 8-bit grey PNG, smoothed and scaled as every overlay is.

    Parameters
    ----------
    values
        Of any scale; the strongest get the ends of the grey scale.
    signed
        Whether the sign is kept: then 128 is zero and 1 … 255 are -1 … +1; else |values| from 0
        to 255.

    Raises
    ------
    ExplainerError
        If the map is not two-dimensional and finite.
    """
    scaled = shown_values(values, signed=signed).astype(np.float64)
    levels = SIGNED_ZERO + np.rint(127 * scaled) if signed else np.rint(255 * scaled)
    return _png(levels.astype(np.uint8))


def is_whole(picture: bytes, bits: Bits, width: int, height: int) -> bool:
    """Say whether the content of a picture's file is not cut off or damaged.

    Parameters
    ----------
    picture
        Content of the file.
    bits, width, height
        As its panel's record says.
    """
    if bits == 8:
        return picture.endswith(PNG_END)
    try:
        return len(zlib.decompress(picture)) == 2 * width * height
    except zlib.error:
        return False


def _png(samples: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(samples)).save(stream, format="PNG", compress_level=6)
    return stream.getvalue()
