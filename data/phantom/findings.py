"""The six findings as changes of the thorax, each with its mask.

A finding acts on the lung: it replaces air by tissue (share of the lung's depth, or a depth in mm),
moves a border (heart, diaphragm) or collapses the lung. Nothing here knows about film effects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from data.phantom.anatomy import Thorax, side_sign
from data.phantom.streams import FloatArray, smooth_field, smoothstep, stream


@dataclass(frozen=True, eq=False)
class Effect:
    """What one finding does to the thorax; absent parts are ``None``.

    Parameters
    ----------
    share
        Share of the remaining air replaced by tissue, (H, W), in [0, 1].
    fluid
        Like ``share`` but outside the lung: also replaces pleural air.
    depth
        Tissue in mm that replaces lung along the ray, (H, W).
    expanded
        Share of the cavity's depth that is still lung, (H, W), in [0, 1] (pneumothorax).
    pleura
        Tissue in mm of the visceral pleural line, (H, W).
    raised
        Elevation of the hemidiaphragm in mm by side.
    heart_ratio
        Cardiothoracic ratio that replaces the patient's own.
    mask
        Where the finding is, (H, W) bool, before it is limited to the body.
    """

    mask: np.ndarray
    share: FloatArray | None = None
    fluid: FloatArray | None = None
    depth: FloatArray | None = None
    expanded: FloatArray | None = None
    pleura: FloatArray | None = None
    raised: dict[str, float] = field(default_factory=dict)
    heart_ratio: float | None = None


def finding_effects(thorax: Thorax, cavity: FloatArray, lung: FloatArray) -> dict[str, Effect]:
    """Effects of the findings present, by name.

    Parameters
    ----------
    thorax
        The patient.
    cavity
        Depth of the thoracic cavity in mm, (H, W), the diaphragm left out of account.
    lung
        Depth of lung in mm in the healthy patient, (H, W).
    """
    present = thorax.frame.parameters.findings_present
    return {name: _EFFECTS[name](thorax, cavity, lung) for name in present}


def _atelectasis(thorax: Thorax, cavity: FloatArray, lung: FloatArray) -> Effect:
    p = thorax.frame.parameters
    severity, side = p.atelectasis_severity, p.atelectasis_side
    sign = side_sign(side)
    here = thorax.left if sign > 0 else ~thorax.left
    rise = 1.5 + 15 * severity
    plate = p.atelectasis_kind == "plate"
    share = _bands(thorax, sign) if plate else _wedge(thorax, sign)
    raised = {side: float(rise * (1.0 if not plate else 0.7))}
    share = (share * here).astype(np.float32)
    before, after = thorax.healthy_aeration, thorax.aeration(raised)
    kept = after / np.maximum(before, 1e-3) * (1 - share)
    lost = lung * np.clip(1 - kept, 0, 1) * here  # mm of lung that is no longer aerated
    return Effect(mask=lost > 0.25 * np.percentile(lost, 99.9), share=share, raised=raised)


def _bands(thorax: Thorax, sign: int) -> FloatArray:
    """Plate-like bands: thin, slightly curved, fading towards their ends."""
    p, frame = thorax.frame.parameters, thorax.frame
    severity = p.atelectasis_severity
    rng = stream(p.anatomy_seed, "atelectasis")
    out = np.zeros_like(frame.x)
    for k in range(p.atelectasis_bands):
        x0, y0 = thorax.layout.point(
            p.atelectasis_side, p.atelectasis_lateral, p.atelectasis_height - 0.11 * k
        )
        x0 += float(rng.normal(0, 6)) * (k > 0)
        angle = np.deg2rad(p.atelectasis_angle_deg + float(rng.normal(0, 5)))
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        u = sign * (frame.x - np.float32(x0))
        v = frame.y - np.float32(y0)
        along, across = c * u + s * v, -s * u + c * v
        half = 0.5 * p.atelectasis_length_mm * (0.6 + 0.4 * severity) * (0.8**k)
        across = across + 5 * (along / half) ** 2 * float(rng.uniform(-1, 1))
        thick = (2.8 + 4.8 * severity) * (0.75**k)
        ends = 1 - smoothstep(np.abs(along), 0.62 * half, half)
        profile = np.exp(-(np.abs(across / thick) ** 2.6))
        out = np.maximum(out, (0.32 + 0.38 * severity) * ends * profile * (0.85**k))
    return out.astype(np.float32)


def _wedge(thorax: Thorax, sign: int) -> FloatArray:
    """Collapsed basal segment: triangular density with a sharp fissural border."""
    p, frame, layout = thorax.frame.parameters, thorax.frame, thorax.layout
    severity = p.atelectasis_severity
    top = layout.dome_y(p.atelectasis_side) - (26 + 44 * severity)
    x0, _ = layout.point(p.atelectasis_side, 0.14, 0.5)
    u = sign * (frame.x - np.float32(x0))
    v = frame.y - np.float32(top)
    angle = np.deg2rad(34 + 16 * (p.atelectasis_lateral - 0.4) / 0.3 + 8 * severity)
    fissure = (v * np.sin(angle) - u * np.cos(angle)).astype(np.float32)
    fissure = fissure - 4 * np.sin(np.clip(v, 0, 200) / 45)
    inside = smoothstep(fissure, -1.6, 2.4) * smoothstep(v, -4, 12)
    depth = 1 - 0.45 * smoothstep(fissure, 5, 45)
    return ((0.24 + 0.46 * severity) * inside * depth).astype(np.float32)


def _cardiomegaly(thorax: Thorax, cavity: FloatArray, lung: FloatArray) -> Effect:
    ratio = thorax.frame.parameters.heart_ratio
    return Effect(mask=thorax.heart(ratio), heart_ratio=ratio)


def _effusion(thorax: Thorax, cavity: FloatArray, lung: FloatArray) -> Effect:
    p, layout, frame = thorax.frame.parameters, thorax.layout, thorax.frame
    fluid = np.zeros_like(frame.x)
    minor = p.effusion_asymmetry
    for side in ("L", "R"):
        if p.effusion_side not in (side, "B"):
            continue
        share = minor if p.effusion_side == "B" and side == "L" else 1.0
        severity = p.effusion_severity * share
        wall_height = 6 + 125 * severity**1.25
        low = layout.angle_y + 3 - 0.66 * wall_height + 22 * (1 - severity)
        high = layout.angle_y + 3 - wall_height
        q = np.clip(thorax.distance / thorax.wall, 0, 1.05)
        climb = q ** (5.5 - 2.0 * severity)
        rise_medial = 0.22 * (1 - smoothstep(q, 0.1, 0.45)) * min(severity, 0.7)
        level = low + (high - low) * (climb + rise_medial)
        soft = 5 + 7 * severity
        here = thorax.left if side == "L" else ~thorax.left
        body = smoothstep(frame.y - level, -soft, 0.7 * soft)
        # along the wall the fluid thins out upwards
        rim = smoothstep(q, 0.93, 1.0) * smoothstep(frame.y - (high - 26 * severity), -10, 16)
        fluid = np.maximum(fluid, np.maximum(body, 0.6 * rim) * here)
    strength = 0.5 + 0.43 * p.effusion_severity**0.7
    mask = (fluid > 0.45) & (lung > 8) & (thorax.healthy_aeration > 0.4)
    return Effect(mask=mask, fluid=(strength * fluid).astype(np.float32))


def _lung_opacity(thorax: Thorax, cavity: FloatArray, lung: FloatArray) -> Effect:
    p, frame = thorax.frame.parameters, thorax.frame
    severity, side = p.lung_opacity_severity, p.lung_opacity_side
    x0, y0 = thorax.layout.point(side, p.lung_opacity_lateral, p.lung_opacity_height)
    rng = stream(p.anatomy_seed, "lung opacity")
    extent = p.lung_opacity_extent_mm * (0.72 + 0.28 * severity)
    density = np.zeros_like(frame.x)
    for _ in range(p.lung_opacity_patches):
        dx, dy = rng.normal(0, 0.45 * extent, 2)
        radius = extent * rng.uniform(0.36, 0.75)
        squared = (frame.x - np.float32(x0 + dx)) ** 2 + (frame.y - np.float32(y0 + dy)) ** 2
        density += rng.uniform(0.5, 1.0) * np.exp(-squared / np.float32(radius**2))
    uneven = 0.26 * smooth_field(p.anatomy_seed, "opacity coarse", 24, frame.size)
    fine = 0.12 * smooth_field(p.anatomy_seed, "opacity fine", 56, frame.size)
    filled = smoothstep((density * (1 + uneven + fine)).astype(np.float32), 0.02, 1.5)
    here = thorax.left if side == "L" else ~thorax.left
    share = (filled * here * (0.15 + 0.48 * severity)).astype(np.float32)
    solid = smoothstep(density.astype(np.float32), 0.02, 1.5) * here
    mask = (solid > 0.3) & (lung > 14)
    mask &= ~thorax.heart(p.heart_ratio)
    return Effect(mask=mask, share=share)


def mass_outline(thorax: Thorax) -> tuple[FloatArray, float]:
    """Distance from the centre in units of the outline of the mass, (H, W), and its radius."""
    p, frame = thorax.frame.parameters, thorax.frame
    x0, y0 = thorax.layout.point(p.mass_side, p.mass_lateral, p.mass_height)
    radius = 0.5 * p.mass_diameter_mm
    dx, dy = frame.x - np.float32(x0), frame.y - np.float32(y0)
    distance = np.hypot(dx, dy)
    angle = np.arctan2(dy, dx)
    rng = stream(p.anatomy_seed, "mass")
    outline = np.ones_like(distance)
    for k in (2, 3, 4, 5):
        size = 0.11 * p.mass_lobulation * float(rng.uniform(0.3, 1)) / (k - 0.5) * 1.5
        outline += size * np.cos(k * angle + float(rng.uniform(0, 2 * np.pi)))
    return (distance / (radius * outline)).astype(np.float32), radius


def _mass(thorax: Thorax, cavity: FloatArray, lung: FloatArray) -> Effect:
    p = thorax.frame.parameters
    rho, radius = mass_outline(thorax)
    soft = 1.6 / radius
    ball = np.sqrt(np.clip(1 - rho**2, 0, 1))
    veil = np.exp(-(np.clip((rho - 1) / (4 * soft), 0, 8) ** 2)) * 0.10
    depth = 2 * radius * (0.75 + 0.35 * p.mass_severity) * (ball**1.2 * 0.9 + veil)
    side = thorax.left if p.mass_side == "L" else ~thorax.left
    return Effect(mask=(rho < 1) & (lung > 8), depth=(depth * side).astype(np.float32))


def _pneumothorax(thorax: Thorax, cavity: FloatArray, lung: FloatArray) -> Effect:
    p, layout, frame = thorax.frame.parameters, thorax.layout, thorax.frame
    severity, side = p.pneumothorax_severity, p.pneumothorax_side
    here = thorax.left if side == "L" else ~thorax.left
    t = np.clip((frame.y - layout.apex_y) / (layout.angle_y - layout.apex_y), 0, 1)
    drop = 5 + 62 * severity
    lateral = (1.5 + 42 * severity) * p.pneumothorax_lateral_share
    uneven = 1.2 * smooth_field(p.anatomy_seed, "pleura", 7, frame.size)
    inset = (lateral * (1 - 0.75 * t**1.5) + uneven * (0.3 + severity)).astype(np.float32)
    inset = np.maximum(inset, 0.6 * severity)
    collapsed = thorax.cavity(inset=inset, drop=drop)
    part = np.clip((collapsed + 0.5) / (cavity + 0.5), 0, 1)  # 1 where nothing has collapsed
    inside = part**0.6 * smoothstep(part, 0.0, 0.3)
    # a small pneumothorax is thin in depth too: some lung is still behind it
    left = 0.45 * (1 - severity) ** 1.5
    expanded = np.where(here, left + (1 - left) * inside, 1.0).astype(np.float32)
    line = _pleural_line(collapsed, frame.pixel_mm) * here * (lung > 6)
    # where lung and wall touch there is no visible space
    gap = np.clip((cavity - collapsed) / 14, 0, 1)
    space = here & (collapsed <= 2.0) & (lung > 8) & (thorax.healthy_aeration > 0.5)
    return Effect(
        mask=space, expanded=expanded, pleura=(line * gap * (3 + 5 * severity)).astype(np.float32)
    )


def _pleural_line(collapsed: FloatArray, pixel_mm: float) -> FloatArray:
    """Unit line about 1.5 mm wide along the edge of the collapsed lung."""
    gy, gx = np.gradient(collapsed, pixel_mm)
    slope = np.maximum(np.hypot(gx, gy), 1.5)
    distance = (collapsed - 10.0) / slope
    near = (collapsed > 0.05) & (collapsed < 60)
    return (np.exp(-((distance / 1.1) ** 2)) * near).astype(np.float32)


_EFFECTS: dict[str, Callable[[Thorax, FloatArray, FloatArray], Effect]] = {
    "Atelectasis": _atelectasis,
    "Cardiomegaly": _cardiomegaly,
    "Effusion": _effusion,
    "Lung Opacity": _lung_opacity,
    "Mass": _mass,
    "Pneumothorax": _pneumothorax,
}
