"""The findings that can be planted, each as attenuation added to a real lung and vessels lost.

Lengths are shares of the lung's width, since real films seldom state millimetres.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from data.phantom.streams import smoothstep
from data.planted.lungs import BoolArray, Chest, FloatArray, Lung
from data.planted.recipe import CannotPlant, Planting


@dataclass(frozen=True, eq=False)
class Change:
    """What a finding does: attenuation added, share of vessels lost, and its own extent."""

    added: FloatArray  # (H, W), logits
    quiet: FloatArray  # (H, W), share of the vessels' texture taken away, in [0, 1]
    shape: BoolArray  # (H, W)
    spills: bool = False  # over the drawn border of the lung, as far as the film is dark there


def _solid(chest: Chest, share: float) -> FloatArray:
    """Attenuation of solid tissue, (H, W): no brighter than what surrounds the lung allows.

    ``share`` of the contrast between lung and mediastinum, but at most a little more than the
    neighbourhood outside the lungs (a child's chest wall is darker than its heart).
    """
    outside = np.ones_like(chest.smooth)
    for lung in chest.lungs.values():
        outside[lung.mask] = 0
    outside *= smoothstep(chest.smooth, chest.air - 0.5 * chest.contrast, chest.air)
    sigma = 14 * chest.unit
    weight = gaussian_filter(outside, sigma) + np.float32(1e-3)
    around = (gaussian_filter(outside * chest.smooth, sigma) + 1e-3 * chest.tissue) / weight
    top = np.float32(chest.air + share * chest.contrast)
    floor = np.float32(chest.air + 0.55 * chest.contrast)
    return np.clip(around + 0.15 * chest.contrast, floor, top).astype(np.float32)


def _grid(chest: Chest) -> tuple[FloatArray, FloatArray]:
    rows, columns = chest.attenuation.shape
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    return y, x


def _field(rng: np.random.Generator, shape: tuple[int, int], grain_px: float) -> FloatArray:
    """Smooth random field of unit variance with structures of about ``grain_px``."""
    field = gaussian_filter(rng.standard_normal(shape).astype(np.float32), grain_px, mode="wrap")
    return (field / max(float(field.std()), 1e-6)).astype(np.float32)


def _place(chest: Chest, lung: Lung, planting: Planting, margin: float) -> tuple[float, float]:
    """Row and column of the aerated pixel, ``margin`` pixels from the border, nearest to a place.

    ``lateral`` and ``height`` count within what is aerated.
    """
    aerated = chest.aerated(lung)
    depth = distance_transform_edt(np.pad(aerated, 1))[1:-1, 1:-1]
    allowed = depth >= min(margin, 0.8 * float(depth.max()))
    if not allowed.any() or depth.max() < 3:
        raise CannotPlant(
            "hardly any of the lung is aerated, so nothing can be planted there; use another film."
        )
    lateral, down = lung.coordinates()
    rows = np.nonzero(aerated)[0]
    low, high = down[rows.min(), 0], down[rows.max(), 0]
    wanted = low + planting.height * (high - low)
    far = (lateral - planting.lateral) ** 2 + 1.5 * (down - wanted) ** 2
    index = int(np.where(allowed, far, np.inf).argmin())
    row, column = divmod(index, aerated.shape[1])
    return float(row), float(column)


def _towards_tissue(
    chest: Chest, lung: Lung, share: FloatArray, level: FloatArray | float
) -> FloatArray:
    """Attenuation that fills a share of the way from the film to solid tissue.

    Some of the way starts from the lung without its ribs, so that they stay to be seen. Both
    starting points keep the edge of the diaphragm sharp: fluid must not leave a seam there.
    """
    inside = lung.mask.astype(np.float32)
    sigma = 9 * chest.unit
    weight = gaussian_filter(inside, sigma)
    broad = gaussian_filter(inside * chest.smooth, sigma) / np.maximum(weight, 1e-4)
    broad = np.where(weight > 1e-3, broad, chest.smooth)
    part = 0.3 * smoothstep(lung.inner, 0.0, 4 * chest.unit)
    way = np.clip(level - (1 - part) * chest.sharp - part * broad, 0, None)
    below = smoothstep((level - chest.sharp) / chest.contrast, -0.05, 0.30)  # not over solids
    return (share * way * below).astype(np.float32)


def _mass(chest: Chest, lung: Lung, planting: Planting) -> Change:
    """A lobulated ball: added attenuation follows the chord of the ray through it."""
    rng = np.random.default_rng([planting.seed, 1])
    radius = lung.width * (0.075 + 0.115 * planting.severity)
    row, column = _place(chest, lung, planting, 0.9 * radius)
    y, x = _grid(chest)
    dy, dx = y - row, x - column
    angle = np.arctan2(dy, dx)
    stretch = 1 + 0.12 * np.cos(2 * (angle - rng.uniform(0, np.pi)))
    outline = stretch.astype(np.float32)
    for k in (3, 4, 5, 7):
        size = rng.uniform(0.15, 0.6) * 0.14 / k**0.7
        outline += size * np.cos(k * angle + rng.uniform(0, 2 * np.pi)).astype(np.float32)
    rho = np.hypot(dy, dx) / (radius * outline)
    blur = max(0.6, 1.1 * chest.unit)
    # a real mass is a rough ball: flatter on top than a perfect one
    chord = gaussian_filter(np.clip(1 - rho**2, 0, 1) ** 0.42, blur)
    uneven = 1 + 0.07 * _field(rng, rho.shape, max(1.5, 5 * chest.unit))
    peak = chest.contrast * (0.40 + 0.42 * planting.severity)
    room = np.clip((chest.tissue + 0.5 - chest.smooth) / chest.contrast, 0.15, 1)
    added = peak * chord * uneven * room
    return Change(added.astype(np.float32), (0.5 * chord).astype(np.float32), rho < 1)


def _opacity(chest: Chest, lung: Lung, planting: Planting) -> Change:
    """Confluent patches with ill-defined edges that stop at the lung's border."""
    rng = np.random.default_rng([planting.seed, 2])
    extent = lung.width * (0.20 + 0.20 * planting.severity)
    row, column = _place(chest, lung, planting, 0.45 * extent)
    y, x = _grid(chest)
    density = np.zeros_like(x)
    for _ in range(int(rng.integers(5, 10))):
        dy, dx = rng.normal(0, 0.42 * extent, 2)
        size = extent * rng.uniform(0.28, 0.62)
        squared = (y - row - 1.2 * dy) ** 2 + (x - column - 0.8 * dx) ** 2
        density += rng.uniform(0.4, 1.0) * np.exp(-squared / np.float32(size**2))
    warp = 0.30 * _field(rng, x.shape, max(2, 8 * chest.unit))
    warp += 0.20 * _field(rng, x.shape, max(2, 3 * chest.unit))
    filled = smoothstep(density * (1 + warp), 0.10, 1.7)
    filled = filled * (1 - smoothstep(np.hypot(y - row, x - column), 1.5 * extent, 2.1 * extent))
    share = (0.36 + 0.34 * planting.severity) * filled
    added = _towards_tissue(chest, lung, share, _solid(chest, 0.90))
    return Change(added, 0.6 * filled, filled > 0.30, spills=True)


def _effusion(chest: Chest, lung: Lung, planting: Planting) -> Change:
    """Fluid in the pleural space: fills the base and climbs the lateral wall (meniscus)."""
    rng = np.random.default_rng([planting.seed, 3])
    lateral, _ = lung.coordinates()
    y, _ = _grid(chest)
    outer = chest.aerated(lung) & (lateral > 0.55)
    if not outer.any():
        raise CannotPlant(
            "the lateral lung is not aerated, so no fluid would be seen; use another film."
        )
    rows = np.nonzero(outer)[0]
    base, height = float(np.percentile(rows, 99)), lung.height
    wall = base - height * (0.10 + 0.46 * planting.severity)
    floor = base + height * (0.10 - 0.40 * planting.severity)
    power = 3.2 - 1.4 * planting.severity + rng.uniform(-0.3, 0.3)
    climb = np.clip(lateral, 0, 1.0) ** power
    medial = 0.18 * (1 - smoothstep(lateral, 0.0, 0.35))
    level = floor + (wall - floor) * np.clip(climb + medial, 0, 1)
    level = level + 0.012 * height * _field(rng, y.shape, max(2, 9 * chest.unit))
    soft = height * (0.035 + 0.03 * planting.severity)
    body = smoothstep(y - level, -soft, 1.1 * soft)
    share = (0.60 + 0.34 * planting.severity) * body
    added = _towards_tissue(chest, lung, share, _solid(chest, 0.95))
    return Change(added, 0.6 * body, body > 0.4, spills=True)


def _pneumothorax(chest: Chest, lung: Lung, planting: Planting) -> Change:
    """Air round a lung that has shrunk towards its hilum: no vessels, a thin pleural line."""
    severity = planting.severity
    rng = np.random.default_rng([planting.seed, 4])
    y, x = _grid(chest)
    lateral, down = lung.coordinates()
    medial = lung.right if lung.side == "R" else lung.left
    hilum_row = lung.top + 0.52 * lung.height
    uneven = 0.006 * lung.width * _field(rng, x.shape, max(3, 16 * chest.unit))
    gap = lung.width * (0.07 + 0.30 * severity)
    drop = lung.height * (0.05 + 0.17 * severity)
    # where a pixel of the shrunken lung came from
    outward = -1.0 if lung.side == "R" else 1.0
    pull = gap * np.clip(lateral, 0, 1) ** 0.7 * (1 - 0.85 * smoothstep(down, 0.45, 1.0))
    sink = drop * np.clip((hilum_row - y) / max(hilum_row - lung.top, 1), 0, 1.2) ** 0.8
    signed = lung.inner - distance_transform_edt(~lung.mask).astype(np.float32)
    source_x = (x + outward * pull).astype(np.float32)
    source_y = (y - sink).astype(np.float32)
    shrunk = _sampled(gaussian_filter(signed, 1.0), source_y, source_x) + uneven
    away = smoothstep(np.abs(x - medial) / lung.width, 0.10, 0.30)  # attached at the hilum
    away = np.maximum(away, 1 - smoothstep(down, 0.10, 0.25))
    edge = max(0.6, 0.6 * chest.unit)
    outside = (1 - smoothstep(shrunk, -edge, edge)) * away
    line_px = max(0.75, 1.0 * chest.unit)
    line = np.exp(-(((shrunk - line_px) / line_px) ** 2)) * away
    line = line * smoothstep(lung.inner, 1.0, 3.5)  # where lung and wall touch there is no line
    line = line * (1 - smoothstep(down, 0.72, 0.95))
    dark = chest.contrast * (0.18 + 0.14 * severity)
    bright = chest.contrast * (0.16 + 0.10 * severity)
    aerated = 1 - smoothstep(chest.smooth, chest.air + 0.5 * chest.contrast, chest.tissue)
    added = (bright * line - dark * outside) * aerated
    return Change(added.astype(np.float32), 0.7 * outside * aerated, outside > 0.5)


def _sampled(image: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Bilinear look-up at real positions, edges repeated."""
    height, width = image.shape
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top = np.minimum(rows.astype(np.intp), height - 2)
    left = np.minimum(columns.astype(np.intp), width - 2)
    v, h = rows - top, columns - left
    upper = image[top, left] * (1 - h) + image[top, left + 1] * h
    lower = image[top + 1, left] * (1 - h) + image[top + 1, left + 1] * h
    return np.asarray(upper * (1 - v) + lower * v, dtype=np.float32)


def _atelectasis(chest: Chest, lung: Lung, planting: Planting) -> Change:
    """Plate-like atelectasis: one or two thin, slightly curved bands in the lower lung."""
    severity = planting.severity
    rng = np.random.default_rng([planting.seed, 5])
    half = 0.5 * lung.width * (0.40 + 0.30 * severity)
    thick = lung.width * (0.018 + 0.022 * severity)
    row, column = _place(chest, lung, planting, 2.0 * thick)
    y, x = _grid(chest)
    outward = -1.0 if lung.side == "R" else 1.0
    filled = np.zeros_like(x)
    bend = rng.uniform(-1.3, 1.3) * thick
    for band in range(1 + int(rng.random() < 0.25 + 0.4 * severity)):
        angle = np.deg2rad(planting.angle_deg + band * rng.normal(0, 6))
        u = outward * (x - column) - band * rng.normal(0, 0.2) * half
        v = y - row + band * rng.choice([-1, 1]) * rng.uniform(3.5, 5.5) * thick
        along = np.cos(angle) * u + np.sin(angle) * v
        across = -np.sin(angle) * u + np.cos(angle) * v
        reach = half * 0.75**band
        across = across + bend * (along / reach) ** 2
        width = thick * 0.75**band * (1 - 0.35 * np.clip(np.abs(along) / reach, 0, 1))
        profile = np.exp(-(np.abs(across / width) ** 2.4))
        ends = 1 - smoothstep(np.abs(along), 0.6 * reach, reach)
        filled = np.maximum(filled, 0.85**band * profile * ends)
    share = (0.42 + 0.38 * severity) * filled
    added = _towards_tissue(chest, lung, share, chest.tissue)
    return Change(added, (0.5 * filled).astype(np.float32), filled > 0.35)


CHANGES: Mapping[str, Callable[[Chest, Lung, Planting], Change]] = MappingProxyType(
    {
        "Atelectasis": _atelectasis,
        "Effusion": _effusion,
        "Lung Opacity": _opacity,
        "Mass": _mass,
        "Pneumothorax": _pneumothorax,
    }
)
