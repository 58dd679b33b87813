"""Chest tube, pacemaker, central line, electrodes, sternal wires and burned-in text."""

from __future__ import annotations

import numpy as np
from PIL import ImageDraw, ImageFont

from data.phantom.anatomy import Thorax, side_sign
from data.phantom.canvas import CANVAS, MM, Canvas, smooth_curve
from data.phantom.parameters import FIELD_MM, FilmParameters
from data.phantom.streams import FloatArray, stream

FULL = 255


def device_attenuation(thorax: Thorax) -> FloatArray | None:
    """Attenuation of all devices, (H, W), or ``None`` when there are none."""
    p = thorax.frame.parameters
    if not (p.chest_tube or p.pacemaker or p.central_line or p.ecg_leads or p.sternal_wires):
        return None
    canvas = Canvas()
    if p.chest_tube:
        _chest_tube(canvas, thorax)
    if p.central_line:
        _central_line(canvas, thorax)
    if p.ecg_leads:
        _ecg(canvas, thorax)
    if p.sternal_wires:
        _sternal_wires(canvas, thorax)
    if p.pacemaker:
        _pacemaker(canvas, thorax)
    return canvas.averaged(thorax.frame.size) * np.float32(2.2 / FULL)


def _film(thorax: Thorax, knots: list[tuple[float, float]]) -> np.ndarray:
    return thorax.frame.to_film(smooth_curve(np.array(knots, dtype=float)))


def _chest_tube(canvas: Canvas, thorax: Thorax) -> None:
    p, layout = thorax.frame.parameters, thorax.layout
    sign = side_sign(p.tube_side)
    x, y = layout.point(p.tube_side, 1.0, p.tube_height)
    tip_x, tip_y = layout.point(p.tube_side, 0.62, p.tube_tip_height)
    middle_y = 0.5 * (y + tip_y)
    path = _film(
        thorax,
        [
            (x + sign * 60, y + 34),
            (x + sign * 14, y + 12),
            (x - sign * 14, y - 8),
            (x - sign * 26, middle_y),
            (tip_x, tip_y),
        ],
    )
    canvas.line(path, 8.5, 38)
    canvas.line(path, 6.0, 22)
    canvas.line(path + np.array([2.6 * sign, 0.0]), 1.3, 125)


def _pacemaker(canvas: Canvas, thorax: Thorax) -> None:
    p, layout = thorax.frame.parameters, thorax.layout
    rng = stream(p.anatomy_seed, "pacemaker")
    sign = side_sign(p.pacemaker_side)
    cx = sign * (0.66 * layout.half_width + rng.normal(0, 5))
    cy = layout.apex_y + 44 + rng.normal(0, 6)
    heart_y = layout.angle_y - 34
    ends = [(58.0, heart_y + 12), (-34.0, heart_y - 26), (72.0, heart_y - 24)]
    for k in range(p.pacemaker_leads):
        x_end, y_end = ends[k]
        path = _film(
            thorax,
            [
                (cx, cy - 18),
                (cx - sign * 20, cy - 22),
                (sign * 26, layout.apex_y + 38 + 2 * k),
                (-17 - 2 * k, layout.apex_y + 72),
                (-23 - 3 * k, heart_y - 45),
                (0.4 * x_end - 14, heart_y + 2 - 9 * k),
                (x_end + layout.front_shift, y_end),
            ],
        )
        canvas.line(path, 1.5, 190)
        canvas.line(path[-14:], 2.6, 235)
    turn = np.linspace(0, 2 * np.pi, 60)
    power = 0.55
    outline = np.stack(
        [
            cx + 23 * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power,
            cy + 20 * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power,
        ],
        axis=1,
    )
    centre = outline.mean(axis=0)
    canvas.polygon(thorax.frame.to_film(outline), 225)
    canvas.polygon(thorax.frame.to_film(centre + 0.86 * (outline - centre)), 185)
    battery = centre + (outline - centre) * np.array([0.72, 0.42]) + np.array([0.0, 6.0])
    canvas.polygon(thorax.frame.to_film(battery), 250)


def _central_line(canvas: Canvas, thorax: Thorax) -> None:
    p, layout = thorax.frame.parameters, thorax.layout
    sign = side_sign(p.central_line_side)
    path = _film(
        thorax,
        [
            (sign * 58, layout.apex_y - 44),
            (sign * 46, layout.apex_y - 12),
            (sign * 26, layout.apex_y + 26),
            (-18, layout.apex_y + 62),
            (-23, layout.apex_y + 98),
        ],
    )
    canvas.line(path, 2.0, 85)


def _ecg(canvas: Canvas, thorax: Thorax) -> None:
    p, layout = thorax.frame.parameters, thorax.layout
    rng = stream(p.film_seed, "electrodes")
    places = [(-0.8, 0.16), (0.8, 0.16), (-0.85, 0.92), (0.88, 0.9), (0.4, 0.8)]
    for u, v in places[: p.ecg_leads]:
        x = u * layout.half_width + rng.normal(0, 9)
        y = layout.apex_y + v * p.lung_length_mm + rng.normal(0, 9)
        away = np.sign(u) * (layout.half_width + 60)
        path = _film(
            thorax,
            [
                (x, y),
                (x + rng.normal(0, 14), y + 30),
                (0.5 * (x + away), y + rng.uniform(20, 70)),
                (away, y + rng.uniform(30, 90)),
            ],
        )
        canvas.line(path, 1.3, 130)
        centre = thorax.frame.to_film(np.array([[x, y]]))[0]
        canvas.disc(centre, 6.5, 40)
        canvas.disc(centre, 3.2, 190)


def _sternal_wires(canvas: Canvas, thorax: Thorax) -> None:
    p, layout = thorax.frame.parameters, thorax.layout
    rng = stream(p.anatomy_seed, "sternal wires")
    turn = np.linspace(0, 2 * np.pi, 24)
    for k in range(6):
        y = layout.apex_y + 62 + 19 * k
        x = layout.front_shift + rng.normal(0, 1.2)
        loop = np.stack(
            [x + 7.5 * np.cos(turn), y + 4.0 * np.sin(turn) + rng.normal(0, 0.8)], axis=1
        )
        canvas.line(thorax.frame.to_film(loop), 1.1, 170)


def text_layer(p: FilmParameters, size: int) -> FloatArray | None:
    """Burned-in marker and text, (H, W) in [0, 1], or ``None``; does not turn with the patient."""
    if not p.text_marker:
        return None
    canvas = Canvas()
    draw = ImageDraw.Draw(canvas.image)
    margin = p.collimation_mm + 16
    sign = side_sign(p.marker_side)
    x = CANVAS / 2 + sign * (FIELD_MM / 2 - margin - 12) * MM
    y = (margin + 2) * MM
    draw.text((x, y), p.marker_side, fill=FULL, font=ImageFont.load_default(46), anchor="mt")
    if p.marker_text:
        draw.text(
            (x, y + 50), p.marker_text, fill=215, font=ImageFont.load_default(20), anchor="mt"
        )
    return canvas.averaged(size) / np.float32(FULL)
