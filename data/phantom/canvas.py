"""Antialiased drawing of thin things on one fixed grid, so that size does not change them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from data.phantom.parameters import FIELD_MM
from data.phantom.streams import FloatArray

CANVAS = 1024
"""Side of the drawing grid in pixels; area-averaged to the size of the film."""
MM = CANVAS / FIELD_MM


class Canvas:
    """Grey canvas in film millimetres; later strokes cover earlier ones."""

    def __init__(self) -> None:
        self.image = Image.new("L", (CANVAS, CANVAS), 0)
        self._draw = ImageDraw.Draw(self.image)

    def line(self, points: np.ndarray, width_mm: float, value: int) -> None:
        """Draw a polyline through film points (n, 2) in mm."""
        pixels = points * MM + CANVAS / 2
        width = max(1, round(width_mm * MM))
        self._draw.line(
            pixels.ravel().tolist(), fill=value, width=width, joint="curve" if width > 4 else None
        )

    def tube(self, points: np.ndarray, width_mm: float, values: Sequence[int]) -> None:
        """Draw concentric strokes from the widest (first value) to the narrowest."""
        for k, value in enumerate(values):
            self.line(points, width_mm * (1 - k / len(values)), value)

    def disc(self, centre: np.ndarray, radius_mm: float, value: int) -> None:
        """Draw a filled disc around a film point in mm."""
        x, y = centre * MM + CANVAS / 2
        r = radius_mm * MM
        self._draw.ellipse([x - r, y - r, x + r, y + r], fill=value)

    def polygon(self, points: np.ndarray, value: int) -> None:
        """Draw a filled polygon through film points (n, 2) in mm."""
        self._draw.polygon([tuple(q) for q in (points * MM + CANVAS / 2).tolist()], fill=value)

    def averaged(self, size: int) -> FloatArray:
        """Area average of the canvas, (size, size), in [0, 255]."""
        if size <= CANVAS and CANVAS % size == 0:
            small = self.image if size == CANVAS else self.image.reduce(CANVAS // size)
        else:
            small = self.image.resize((size, size), Image.Resampling.BOX)
        return np.asarray(small, dtype=np.float32)


def smooth_curve(knots: np.ndarray, n: int = 40) -> np.ndarray:
    """Sample a Catmull-Rom curve through ``knots`` (k, 2); ``n`` points per segment."""
    padded = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    t = np.linspace(0, 1, n, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True):
        parts.append(
            0.5
            * (
                2 * b
                + (c - a) * t
                + (2 * a - 5 * b + 4 * c - d) * t**2
                + (3 * b - a - 3 * c + d) * t**3
            )
        )
    return np.vstack([*parts, knots[-1:]])
