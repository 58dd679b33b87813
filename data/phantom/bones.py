"""Ribs, clavicles, scapulae and spine as millimetres of bone along the ray."""

from __future__ import annotations

import numpy as np

from data.phantom.anatomy import Thorax, side_sign
from data.phantom.streams import FloatArray, smooth_field, smoothstep, stream

N_RIBS = 10
CORTEX_MM = 1.7
MARROW_SHARE = 0.34


def bone_depth(thorax: Thorax) -> FloatArray:
    """Bone crossed by each ray, in mm of cortical bone, (H, W)."""
    p = thorax.frame.parameters
    out = _ribs(thorax)
    out += _clavicles(thorax)
    out += _scapulae(thorax)
    out += _spine(thorax)
    return (out * np.float32(p.bone_density)).astype(np.float32)


def tube(distance: FloatArray, radius: FloatArray | float, cortex: float) -> FloatArray:
    """Bone in mm through a hollow tube at ``distance`` mm from its axis."""
    outer = np.sqrt(np.clip(radius**2 - distance**2, 0, None))
    inner = np.sqrt(np.clip((np.maximum(radius - cortex, 0)) ** 2 - distance**2, 0, None))
    return (2 * (outer - inner) + 2 * MARROW_SHARE * inner).astype(np.float32)


def rib_ellipse(thorax: Thorax, side: str, i: int) -> tuple[float, float, float, float, float]:
    """Centre x, centre y, semi-axes and tilt (rad) of the arcs of rib ``i`` (0 is the first)."""
    layout, p = thorax.layout, thorax.frame.parameters
    rng = stream(p.anatomy_seed, f"rib-{side}-{i}")
    spacing = p.lung_length_mm * (0.081 + 0.012 * p.inspiration)
    inner = 14.0
    y_spine = layout.apex_y + 4 + spacing * i + rng.normal(0, 1.2)
    share = (i + 1) / N_RIBS
    tilt = np.deg2rad(9 + 17 * share**0.8 + 8 * (1 - p.inspiration) + rng.normal(0, 1.0))
    outer = float(layout.wall(np.array(y_spine + 26 + 10 * share))) + 5
    if i == 0:
        outer = layout.centre_x + 30
    a = (outer - inner) / 2 / np.cos(tilt)
    b = (13 + 19 * min(share * 1.5, 1.0)) * (0.9 + 0.2 * p.kyphosis) + rng.normal(0, 0.8)
    cx = inner + a * np.cos(tilt)
    cy = y_spine + a * np.sin(tilt)
    return cx, cy, a, b, float(tilt)


def _ribs(thorax: Thorax) -> FloatArray:
    frame = thorax.frame
    out = np.zeros_like(frame.x)
    for side in ("L", "R"):
        sign = side_sign(side)
        for i in range(N_RIBS):
            cx, cy, a, b, tilt = rib_ellipse(thorax, side, i)
            reach = a + 16
            box = _box(frame.film_x, frame.film_y, thorax, sign * cx, cy, reach, b + 0.45 * a + 16)
            if box is None:
                continue
            u = sign * frame.x[box] - np.float32(cx)
            v = frame.y[box] - np.float32(cy)
            c, s = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
            out[box] += _rib(c * u + s * v, -s * u + c * v, a, b, i)
    return out


def _rib(along: FloatArray, across: FloatArray, a: float, b: float, i: int) -> FloatArray:
    """One rib: posterior arc (upper half of the ellipse) and anterior arc (lower half)."""
    u, v = along / np.float32(a), across / np.float32(b)
    rho = np.sqrt(u * u + v * v) + 1e-6
    gradient = np.sqrt((u / a) ** 2 + (v / b) ** 2) / rho
    distance = (rho - 1) / np.maximum(gradient, 1e-4)
    front = smoothstep(across, -4, 6)
    radius = (5.6 + 1.6 * front) * (1.15 if i == 0 else 1.0)
    end = -0.35 + 0.16 * max(i - 5, 0)  # the costal cartilage begins further out below
    bone = tube(np.clip(distance, -14, 14), radius, CORTEX_MM)
    fade = 1 - front * (0.25 + 0.75 * (1 - smoothstep(u, end, end + 0.45)))
    spine_end = smoothstep(u, -1.06, -0.9)
    return (0.80 * bone * fade * np.maximum(spine_end, front)).astype(np.float32)


def _box(
    film_x: FloatArray,
    film_y: FloatArray,
    thorax: Thorax,
    x: float,
    y: float,
    half_w: float,
    half_h: float,
) -> tuple[slice, slice] | None:
    """Pixels around a patient position, generous enough for tilt and warp."""
    frame = thorax.frame
    centre = frame.to_film(np.array([[x, y]]))[0]
    margin = 16.0
    columns = np.flatnonzero(np.abs(film_x[0] - centre[0]) < 1.1 * half_w + margin)
    rows = np.flatnonzero(np.abs(film_y[:, 0] - centre[1]) < 1.1 * half_h + margin)
    if not len(columns) or not len(rows):
        return None
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _clavicles(thorax: Thorax) -> FloatArray:
    frame, layout = thorax.frame, thorax.layout
    p = frame.parameters
    out = np.zeros_like(frame.x)
    base = layout.apex_y + 40 + 12 * p.kyphosis - 8 * (p.view == "AP")
    for side in ("L", "R"):
        sign = side_sign(side)
        u = sign * (frame.x - np.float32(layout.front_shift * 0.8)) - 15
        length = layout.half_width + 18
        t = np.clip(u / length, -0.1, 1.3)
        axis = base - (30 - 12 * p.shoulder_drop) * t - 9 * np.sin(2 * np.pi * t)
        slope = (-(30 - 12 * p.shoulder_drop) - 18 * np.pi * np.cos(2 * np.pi * t)) / length
        distance = (frame.y - axis) / np.sqrt(1 + slope**2)
        radius = 5.4 + 3.2 * np.exp(-((t / 0.09) ** 2)) + 1.2 * smoothstep(t, 0.7, 1)
        ends = smoothstep(u, -1.5, 2.0) * (1 - smoothstep(t, 1.02, 1.06))
        out += tube(distance.astype(np.float32), radius, 2.0) * ends * 1.25
    return out


def _scapulae(thorax: Thorax) -> FloatArray:
    frame, layout = thorax.frame, thorax.layout
    p = frame.parameters
    out = np.zeros_like(frame.x)
    top, bottom = layout.apex_y + 18, layout.apex_y + 150
    t = (frame.y - top) / (bottom - top)
    for side in ("L", "R"):
        u = side_sign(side) * frame.x
        edge = (
            layout.wall(np.array(top + 75.0)) - p.scapula_overlap_mm + 16 * np.clip(t, 0, 1)
        ) - 12 * np.sin(np.pi * np.clip(t, 0, 1))
        within = smoothstep(frame.y, top - 4, top + 8)
        within = within * (1 - smoothstep(frame.y, bottom - 14, bottom))
        inside = u - edge
        blade = 2.6 * smoothstep(inside, -0.8, 0.8) * (1 - 0.5 * smoothstep(inside, 20, 60))
        rim = 2.6 * np.exp(-(((inside - 1.6) / 1.5) ** 2))
        out += within * (blade + rim)
        spine_y = top + 14 - 0.28 * inside
        ridge = np.exp(-(((frame.y - spine_y) / 4.0) ** 2)) * smoothstep(inside, 0, 15)
        out += 3.5 * ridge
        r = np.hypot(u - (layout.half_width + 42), frame.y - (layout.apex_y + 26))
        out += 9 * np.sqrt(np.clip(1 - (r / 25) ** 2, 0, 1))
    return out.astype(np.float32)


def _spine(thorax: Thorax) -> FloatArray:
    frame, layout = thorax.frame, thorax.layout
    p = frame.parameters
    bow = p.scoliosis_mm * np.sin(np.pi * (frame.y - layout.apex_y) / 200) + layout.back_shift
    x = frame.x - bow
    period = 0.093 * p.lung_length_mm
    phase = np.mod((frame.y - layout.apex_y) / period, 1.0)
    centre = np.abs(phase - 0.5) * 2  # 0 in the middle of a vertebra, 1 in the disc
    waist = 15.5 + 1.6 * centre**2
    column = np.sqrt(np.clip(1 - (x / waist) ** 4, 0, 1))
    body = 1 - smoothstep(centre, 0.68, 0.86)
    plates = np.exp(-(((centre - 0.70) / 0.09) ** 2))
    out = column * (5.5 + 5.0 * body + 2.5 * plates)
    dy = (phase - 0.42) * period
    for sign in (-1, 1):
        pedicle = ((x - sign * 9.5) / 3.4) ** 2 + (dy / 4.6) ** 2
        out += 4.0 * np.exp(-((pedicle - 0.75) ** 2) / 0.18)
        wing = np.exp(-((dy / 4.2) ** 2)) * smoothstep(sign * x, 12, 16)
        out += 3.2 * wing * (1 - smoothstep(sign * x, 24, 31))
    out += 5 * np.exp(-((x / 2.6) ** 2) - (((phase - 0.75) * period) / 6.5) ** 2)
    uneven = 1 + 0.06 * smooth_field(p.anatomy_seed, "spine", 40, frame.size)
    neck = 1 - 0.45 * smoothstep(-frame.y, -layout.apex_y - 20, -layout.apex_y + 20)
    return (out * uneven * neck).astype(np.float32)
