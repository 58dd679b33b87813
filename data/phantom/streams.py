"""Random streams that do not disturb one another, and small array tools."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FloatArray = NDArray[np.float32]


def stream(seed: int, name: str) -> np.random.Generator:
    """Generator for one component of a film; adding a component leaves the others unchanged."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def resized(grid: FloatArray, size: int) -> FloatArray:
    """Bring a square grid to ``size``: bicubic upwards, area average downwards (same field)."""
    if grid.shape[0] == size:
        return grid
    method = Image.Resampling.BICUBIC if grid.shape[0] < size else Image.Resampling.BOX
    image = Image.fromarray(np.ascontiguousarray(grid, dtype=np.float32), mode=None)
    return np.asarray(image.resize((size, size), method), dtype=np.float32)


def smooth_field(seed: int, name: str, knots: int, size: int) -> FloatArray:
    """Return a smooth random field (size, size) of about unit variance from ``knots`` squared."""
    values = stream(seed, name).standard_normal((knots, knots)).astype(np.float32)
    return resized(values, size)


def smoothstep(value: np.ndarray, low: FloatArray | float, high: FloatArray | float) -> FloatArray:
    """Cubic step from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((value - low) / (high - low), 0, 1).astype(np.float32)
    return t * t * (3 - 2 * t)
