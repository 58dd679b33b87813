"""Mimics and congestion: things that are no finding of the list but look like one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.phantom.anatomy import Thorax, side_sign
from data.phantom.bones import rib_ellipse
from data.phantom.canvas import Canvas
from data.phantom.streams import FloatArray, smooth_field, smoothstep, stream
from data.phantom.vessels import hilum


@dataclass(frozen=True, eq=False)
class Mimics:
    """Maps (H, W) of everything that imitates a finding.

    Parameters
    ----------
    share
        Share of the lung's air replaced by tissue, in [0, 1].
    depth
        Tissue in mm that replaces lung along the ray.
    skin
        Tissue in mm in the chest wall (nipples, skin folds).
    calcium
        Bone in mm.
    lucency
        Factor on the density of the lung (bullae).
    """

    share: FloatArray
    depth: FloatArray
    skin: FloatArray
    calcium: FloatArray
    lucency: FloatArray


def mimics(thorax: Thorax) -> Mimics:
    """Draw all mimics of a film."""
    shape = thorax.frame.x.shape
    zero = np.zeros(shape, dtype=np.float32)
    share = zero.copy()
    for part in (_congestion, _blunted_angle, _apical_cap, _scar, _haze):
        share = 1 - (1 - share) * (1 - part(thorax))
    lucency, wall = _bulla(thorax)
    return Mimics(
        share=share.astype(np.float32),
        depth=(_end_on_vessels(thorax) + wall + _septal_lines(thorax)).astype(np.float32),
        skin=(_nipples(thorax) + _skin_fold(thorax)).astype(np.float32),
        calcium=(_granuloma(thorax) + _first_rib(thorax)).astype(np.float32),
        lucency=lucency,
    )


def _zero(thorax: Thorax) -> FloatArray:
    return np.zeros_like(thorax.frame.x)


def _half(thorax: Thorax, side: str) -> np.ndarray:
    return thorax.left if side == "L" else ~thorax.left


def _congestion(thorax: Thorax) -> FloatArray:
    """Perihilar haze and ground glass towards the bases."""
    p, frame = thorax.frame.parameters, thorax.frame
    if p.congestion <= 0.02:
        return _zero(thorax)
    out = _zero(thorax)
    uneven = 1 + 0.25 * smooth_field(p.anatomy_seed, "congestion", 20, frame.size)
    for side in ("L", "R"):
        x0, y0 = hilum(thorax, side)
        u = (frame.x - (x0 + side_sign(side) * 14)) / 46
        v = (frame.y - (y0 + 14)) / 62
        out += np.exp(-(u * u + v * v)) * _half(thorax, side)
    low = smoothstep(frame.y, thorax.layout.apex_y + 70, thorax.layout.angle_y)
    return (np.clip(p.congestion * uneven * (0.36 * out + 0.10 * low), 0, 0.6)).astype(np.float32)


def _septal_lines(thorax: Thorax) -> FloatArray:
    """Short horizontal lines at the lateral bases (Kerley B), tissue in mm."""
    p, layout = thorax.frame.parameters, thorax.layout
    if p.congestion < 0.35:
        return _zero(thorax)
    rng = stream(p.anatomy_seed, "septal lines")
    canvas = Canvas()
    for side in ("L", "R"):
        for k in range(9):
            y = layout.angle_y - 24 - 6.5 * k
            wall = float(layout.wall(np.array(y))) - 3
            reach = rng.uniform(9, 18)
            points = np.array([[wall, y], [wall - reach, y + rng.normal(0, 1.5)]])
            points[:, 0] *= side_sign(side)
            canvas.line(thorax.frame.to_film(points), 1.0, 120)
    return canvas.averaged(thorax.frame.size) / np.float32(255) * np.float32(14 * p.congestion)


def _blunted_angle(thorax: Thorax) -> FloatArray:
    """Old pleural thickening that fills one costophrenic angle, with a straight border."""
    p, layout, frame = thorax.frame.parameters, thorax.layout, thorax.frame
    if p.blunted_angle_mm <= 0:
        return _zero(thorax)
    size = p.blunted_angle_mm
    depth = (thorax.wall - thorax.distance) + 0.75 * (layout.angle_y - frame.y)
    angle = 1 - smoothstep(depth, 0.75 * size, 0.75 * size + 7)
    lateral = smoothstep(thorax.distance, 0.6 * layout.half_width, 0.72 * layout.half_width)
    return (0.75 * angle * lateral * _half(thorax, p.blunted_side)).astype(np.float32)


def _apical_cap(thorax: Thorax) -> FloatArray:
    p, layout, frame = thorax.frame.parameters, thorax.layout, thorax.frame
    if p.apical_cap_mm <= 0:
        return _zero(thorax)
    uneven = 1.5 * smooth_field(p.anatomy_seed, "cap", 18, frame.size)
    depth = frame.y - layout.apex_y - 0.0016 * (thorax.distance - layout.centre_x) ** 2
    return (0.5 * (1 - smoothstep(depth + uneven, p.apical_cap_mm, p.apical_cap_mm + 5))).astype(
        np.float32
    )


def _scar(thorax: Thorax) -> FloatArray:
    """Thin fibrotic band without loss of volume."""
    p, frame = thorax.frame.parameters, thorax.frame
    if p.scar <= 0:
        return _zero(thorax)
    x0, y0 = thorax.layout.point(p.scar_side, 0.58, p.scar_height)
    angle = np.deg2rad(p.scar_angle_deg)
    u = side_sign(p.scar_side) * (frame.x - np.float32(x0))
    v = frame.y - np.float32(y0)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = c * u + s * v, -s * u + c * v
    half = 16 + 20 * p.scar
    ends = 1 - smoothstep(np.abs(along), 0.4 * half, half)
    thick = 1.2 + 2.0 * p.scar
    return ((0.15 + 0.3 * p.scar) * ends * np.exp(-((across / thick) ** 2))).astype(np.float32)


def _haze(thorax: Thorax) -> FloatArray:
    """Crowding of the bases at low inspiration, and streaks of subsegmental under-aeration."""
    p, layout, frame = thorax.frame.parameters, thorax.layout, thorax.frame
    amount = 0.55 * p.basal_haze + 0.4 * max(0.55 - p.inspiration, 0)
    if amount <= 0:
        return _zero(thorax)
    coarse = smooth_field(p.anatomy_seed, "haze", 16, frame.size)
    out = _zero(thorax)
    for side in ("L", "R"):
        part = 1.0 if p.haze_side in (side, "B") else 0.35
        rise = frame.y - (layout.dome_y(side) - 52)
        out += part * smoothstep(rise, 0, 70) * _half(thorax, side)
    return np.clip(0.45 * amount * out * (1 + 0.35 * coarse), 0, 0.6).astype(np.float32)


def _bulla(thorax: Thorax) -> tuple[FloatArray, FloatArray]:
    """Lucent apical air space; returns the factor on lung density and its wall in mm."""
    p, layout, frame = thorax.frame.parameters, thorax.layout, thorax.frame
    factor = np.full_like(frame.x, 1 - 0.35 * p.emphysema)
    if p.bulla <= 0:
        return factor, _zero(thorax)
    radius = 17 + 24 * p.bulla
    x0 = side_sign(p.bulla_side) * (layout.centre_x + 10)
    y0 = layout.apex_y + 0.45 * radius
    r = np.hypot((frame.x - x0) / 1.25, frame.y - y0) - radius
    half = _half(thorax, p.bulla_side)
    inside = (1 - smoothstep(r.astype(np.float32), -2, 2)) * half
    wall = np.exp(-((r / 0.9) ** 2)) * half * (2.0 + 1.5 * p.bulla)
    return (factor * (1 - 0.75 * p.bulla * inside)).astype(np.float32), wall.astype(np.float32)


def _disc(thorax: Thorax, x: float, y: float, radius: float) -> FloatArray:
    """Depth in mm of a ball of ``radius`` mm at a patient position."""
    frame = thorax.frame
    squared = (frame.x - np.float32(x)) ** 2 + (frame.y - np.float32(y)) ** 2
    return (2 * np.sqrt(np.clip(np.float32(radius**2) - squared, 0, None))).astype(np.float32)


def _end_on_vessels(thorax: Thorax) -> FloatArray:
    p = thorax.frame.parameters
    rng = stream(p.anatomy_seed, "end-on vessels")
    out = _zero(thorax)
    for _ in range(p.end_on_vessels):
        side = "L" if rng.random() < 0.5 else "R"
        x0, y0 = hilum(thorax, side)
        x = x0 + side_sign(side) * rng.uniform(2, 45)
        y = y0 + rng.normal(0, 26)
        radius = rng.uniform(2.2, 5.5) * p.vessel_prominence
        out = np.maximum(out, 2.0 * _disc(thorax, x, y, radius))
    return out


def _nipples(thorax: Thorax) -> FloatArray:
    p, layout = thorax.frame.parameters, thorax.layout
    if p.nipple_shadows <= 0:
        return _zero(thorax)
    rng = stream(p.anatomy_seed, "nipples")
    out = _zero(thorax)
    for side, strength in (("L", rng.uniform(0.4, 1)), ("R", rng.uniform(0.4, 1))):
        x = side_sign(side) * (layout.half_width * 0.62 + rng.normal(0, 4))
        y = layout.apex_y + (0.72 + 0.08 * p.breast_size) * 0.95 * p.lung_length_mm
        out += 1.7 * strength * p.nipple_shadows * _disc(thorax, x, y, rng.uniform(5, 8.5))
    return out


def _skin_fold(thorax: Thorax) -> FloatArray:
    """A fold: a wide gentle ramp that ends at one sharp edge, running past the lung's borders."""
    p, layout, frame = thorax.frame.parameters, thorax.layout, thorax.frame
    if p.skin_fold <= 0:
        return _zero(thorax)
    u = side_sign(p.skin_fold_side) * frame.x
    middle = layout.apex_y + 0.45 * p.lung_length_mm
    dy = frame.y - middle
    edge = p.skin_fold_lateral * layout.half_width + 0.12 * dy - 0.0012 * dy**2
    inside = edge - u
    ramp = smoothstep(inside, -0.6, 0.9) * (1 - smoothstep(inside, 2, 34))
    ends = 1 - smoothstep(np.abs(dy), 70, 120)
    return (11 * p.skin_fold * ramp * ends).astype(np.float32)


def _granuloma(thorax: Thorax) -> FloatArray:
    p = thorax.frame.parameters
    if p.granuloma <= 0:
        return _zero(thorax)
    x, y = thorax.layout.point(p.granuloma_side, p.granuloma_lateral, p.granuloma_height)
    return 0.8 * _disc(thorax, x, y, 3.0 + 4.5 * p.granuloma)


def _first_rib(thorax: Thorax) -> FloatArray:
    """Calcified cartilage at the anterior end of the first ribs."""
    p, frame = thorax.frame.parameters, thorax.frame
    if p.first_rib_calcification <= 0:
        return _zero(thorax)
    out = _zero(thorax)
    uneven = 1 + 0.4 * smooth_field(p.anatomy_seed, "calcium", 60, frame.size)
    for side in ("L", "R"):
        cx, cy, a, b, tilt = rib_ellipse(thorax, side, 0)
        strength = p.first_rib_calcification * (1.0 if side == p.calcified_side else 0.5)
        x = cx - 0.12 * a * np.cos(tilt)
        y = cy + b * 0.98
        u = (side_sign(side) * frame.x - x) / 14
        v = (frame.y - y) / 9
        out += strength * 5.5 * np.sqrt(np.clip(1 - u * u - v * v, 0, 1)) * uneven
    return np.clip(out, 0, None).astype(np.float32)
