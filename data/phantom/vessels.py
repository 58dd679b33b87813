"""Pulmonary vessels: branching trees that replace lung by blood."""

from __future__ import annotations

import numpy as np

from data.phantom.anatomy import Thorax, side_sign
from data.phantom.canvas import Canvas
from data.phantom.streams import FloatArray, stream

DEPTH_PER_LEVEL = 16.0
"""Canvas levels per mm of blood."""
GENERATIONS = 7
"""Depth of the branching, the trunks included."""
VISIBILITY = 2.3
"""Factor on the depth of vessels; veins and arteries that run along the ray overlap."""


def vessel_depth(thorax: Thorax) -> FloatArray:
    """Blood in mm along each ray in vessels of drawn calibre, (H, W)."""
    canvas = Canvas()
    trees = [_tree(thorax, side) for side in ("L", "R")]
    widths = np.concatenate([widths for widths, _ in trees])  # (n,)
    points = np.concatenate([points for _, points in trees])  # (n, 4, 2)
    film = thorax.frame.to_film(points.reshape(-1, 2)).reshape(points.shape)
    for k in np.argsort(widths):
        width = float(widths[k])
        depth = min(width * DEPTH_PER_LEVEL, 250.0)
        levels = (0.62, 0.86, 1.0) if width > 1.6 else (0.9,)
        canvas.tube(film[k], width, [max(int(depth * level), 4) for level in levels])
    blood = canvas.averaged(thorax.frame.size) * np.float32(VISIBILITY / DEPTH_PER_LEVEL)
    return blood + _hilar_cuff(thorax)


def _hilar_cuff(thorax: Thorax) -> FloatArray:
    """Soft sum of the proximal vessels, bronchial walls and nodes, tissue in mm."""
    p, frame = thorax.frame.parameters, thorax.frame
    out = np.zeros_like(frame.x)
    for side in ("L", "R"):
        x0, y0 = hilum(thorax, side)
        u = (frame.x - np.float32(x0 + side_sign(side) * 3)) / 17
        v = (frame.y - np.float32(y0 + 6)) / 27
        out += np.exp(-(u * u + v * v))
    return (13 * p.vessel_prominence * out).astype(np.float32)


def hilum(thorax: Thorax, side: str) -> tuple[float, float]:
    """Patient coordinates of the hilum of ``side``; the left one is higher."""
    layout = thorax.layout
    middle = layout.apex_y + 0.49 * (layout.dome_y("R") - layout.apex_y)
    sign = side_sign(side)
    y = middle - 9 if side == "L" else middle
    return sign * 31 + 0.7 * layout.front_shift, y


def _tree(thorax: Thorax, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Widths (n,) in mm and curves (n, 4, 2) in patient mm of all segments of one lung."""
    p = thorax.frame.parameters
    rng = stream(p.anatomy_seed, f"vessels-{side}")
    sign = side_sign(side)
    x0, y0 = hilum(thorax, side)
    angles = np.array([18, 42, 66, 92, 112, 132, 150, 166])  # 0 is up, 90 lateral, 180 down
    n = len(angles)
    lower = angles > 80
    widths = np.where(lower, 6.6, 4.4 + 4.0 * p.congestion) * p.vessel_prominence
    widths = widths * rng.uniform(0.8, 1.1, n)
    headings = np.deg2rad(angles + rng.normal(0, 6, n))
    starts = np.stack([x0 + sign * rng.uniform(-8, 6, n), y0 + (np.arange(n) - 3.5) * 4.5], axis=1)
    lengths = np.where(lower, 30.0, 26.0)
    finest = 0.95 - 0.35 * p.congestion
    all_widths, all_points = [], []
    for _ in range(GENERATIONS):
        points, ends = _segments(rng, starts, headings, lengths, sign)
        all_widths.append(widths)
        all_points.append(points)
        n = len(widths)
        split = rng.uniform(0.25, 0.5, n) * rng.choice([-1, 1], n)
        thinner = rng.uniform(0.85, 1.0, (2, n))
        starts = np.concatenate([points[:, -1], points[:, -1]])
        headings = np.concatenate([ends - 0.5 * split, ends + 1.1 * split])
        widths = np.concatenate([0.86 * widths * thinner[0], 0.66 * widths * thinner[1]])
        lengths = np.concatenate([lengths, lengths]) * 0.88
        kept = widths >= finest
        starts, headings, widths = starts[kept], headings[kept], widths[kept]
        lengths = lengths[kept]
    return np.concatenate(all_widths), np.concatenate(all_points)


def _segments(
    rng: np.random.Generator,
    starts: np.ndarray,
    headings: np.ndarray,
    lengths: np.ndarray,
    sign: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Curved segments (n, 4, 2) from their starts, and their final headings (n,)."""
    n = len(headings)
    step = lengths * rng.uniform(0.75, 1.25, n) / 3
    bend = rng.normal(0, 0.32, n)
    points = [starts]
    for k in range(1, 4):
        angle = headings + bend * k / 3
        move = np.stack([sign * np.sin(angle), -np.cos(angle)], axis=1)
        points.append(points[-1] + step[:, None] * move)
    return np.stack(points, axis=1), headings + bend
