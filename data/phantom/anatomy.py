"""Thorax geometry: where things are, and how many millimetres of tissue each ray crosses.

All lengths are millimetres in the plane of the film, origin at its centre, x to the right of the
image (the patient's left), y downwards. Thicknesses are millimetres of water equivalent along the
ray. The shapes are analytic; proportions follow the ordinary erect postero-anterior chest film.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from data.phantom.parameters import FIELD_MM, FilmParameters
from data.phantom.streams import FloatArray, smooth_field, smoothstep

LUNG_DENSITY = 0.27
"""Density of aerated lung relative to water, blood vessels of drawn calibre excluded."""


def side_sign(side: str) -> int:
    """Return +1 for the patient's left (right half of the image), -1 for the right."""
    return 1 if side == "L" else -1


@dataclass(frozen=True, eq=False)
class Frame:
    """Patient coordinates of every pixel centre, after positioning and a smooth warp."""

    parameters: FilmParameters
    size: int
    film_x: FloatArray  # (1, W) mm on the film
    film_y: FloatArray  # (H, 1) mm on the film
    x: FloatArray  # (H, W) mm in the patient
    y: FloatArray  # (H, W) mm in the patient

    @property
    def pixel_mm(self) -> float:
        """Pixel spacing in millimetres."""
        return FIELD_MM / self.size

    def to_film(self, points: np.ndarray) -> np.ndarray:
        """Film coordinates (n, 2) in mm of patient coordinates (n, 2); the warp is left out."""
        p = self.parameters
        angle = np.deg2rad(p.tilt_deg)
        c, s = np.cos(angle), np.sin(angle)
        rotated = points @ np.array([[c, s], [-s, c]])
        return rotated * p.magnification + np.array([p.offset_x_mm, p.offset_y_mm])


def make_frame(parameters: FilmParameters, size: int) -> Frame:
    """Build the coordinate frame of a film of ``size`` pixels squared."""
    p = parameters
    step = FIELD_MM / size
    axis = ((np.arange(size) + 0.5) * step - FIELD_MM / 2).astype(np.float32)
    film_x, film_y = axis[None, :], axis[:, None]
    angle = np.deg2rad(p.tilt_deg)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u = (film_x - np.float32(p.offset_x_mm)) / np.float32(p.magnification)
    v = (film_y - np.float32(p.offset_y_mm)) / np.float32(p.magnification)
    x = c * u + s * v + 2.4 * smooth_field(p.anatomy_seed, "warp-x", 6, size)
    y = -s * u + c * v + 2.6 * smooth_field(p.anatomy_seed, "warp-y", 6, size)
    return Frame(p, size, film_x, film_y, x.astype(np.float32), y.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Layout:
    """Landmarks of the patient in mm, computed from the parameters alone."""

    parameters: FilmParameters

    @property
    def half_width(self) -> float:
        """Half of the inner thoracic width at its widest level."""
        return self.parameters.thorax_width_mm / 2

    @property
    def apex_y(self) -> float:
        """Level of the lung apices."""
        return -0.57 * self.parameters.lung_length_mm + 8

    @property
    def angle_y(self) -> float:
        """Level of the costophrenic angles."""
        p = self.parameters
        return self.apex_y + p.lung_length_mm * (0.79 + 0.21 * p.inspiration)

    def dome_y(self, side: str) -> float:
        """Level of the top of the hemidiaphragm of ``side`` without atelectasis."""
        p = self.parameters
        height = 46 - 16 * p.emphysema + 10 * (1 - p.inspiration)
        raised = p.raised_diaphragm_mm if side == p.raised_side else 0.0
        return self.angle_y - height + (9 if side == "L" else 0) - raised

    @property
    def rotation(self) -> float:
        """Sine of the rotation of the patient."""
        return float(np.sin(np.deg2rad(self.parameters.rotation_deg)))

    @property
    def front_shift(self) -> float:
        """Lateral shift of anterior structures (heart, sternum) by rotation."""
        return 55 * self.rotation

    @property
    def back_shift(self) -> float:
        """Lateral shift of the spine by rotation."""
        return -25 * self.rotation

    @property
    def centre_x(self) -> float:
        """Centre of the ellipses that close the lung apices, as a distance from the midline."""
        return 0.37 * self.half_width

    def wall(self, y: np.ndarray) -> FloatArray:
        """Distance of the inner chest wall from the midline at level ``y``."""
        t = np.clip((y - self.apex_y) / (self.angle_y - self.apex_y), 0, 1.3)
        rise = np.sqrt(1 - (1 - np.minimum(t / 0.66, 1)) ** 2) ** 0.92
        taper = 1 - 0.05 * np.clip((t - 0.72) / 0.28, 0, 1) ** 2
        out = (self.centre_x + (self.half_width - self.centre_x) * rise) * taper
        return np.asarray(out, dtype=np.float32)

    def point(self, side: str, lateral: float, height: float) -> tuple[float, float]:
        """Patient coordinates of an in-lung position given as fractions."""
        y = self.apex_y + height * (self.dome_y(side) - self.apex_y)
        x = lateral * float(self.wall(np.array(y)))
        return side_sign(side) * x, y


@dataclass(frozen=True, eq=False)
class Thorax:
    """Maps of a patient that no finding changes, and functions for those that findings change."""

    frame: Frame
    layout: Layout

    @cached_property
    def distance(self) -> FloatArray:
        """Distance from the midline, unsigned, (H, W)."""
        return np.abs(self.frame.x)

    @cached_property
    def left(self) -> np.ndarray:
        """Whether a pixel is in the patient's left half, (H, W) bool."""
        return self.frame.x >= 0

    @cached_property
    def wall(self) -> FloatArray:
        """Inner chest wall's distance from the midline at each pixel's level."""
        return self.layout.wall(self.frame.y)

    @cached_property
    def side_depth(self) -> FloatArray:
        """Factor (H, W) on lung depth: rotation makes one side deeper."""
        turn = 0.55 * self.layout.rotation
        lateral = np.clip(self.frame.x / self.layout.half_width, -1, 1)
        return (1 + turn * lateral).astype(np.float32)

    def cavity(self, *, inset: FloatArray | float = 0.0, drop: float = 0.0) -> FloatArray:
        """Depth in mm of the thoracic cavity above the diaphragm, both sides, (H, W).

        Parameters
        ----------
        inset
            Distance in mm by which the lateral boundary is moved inwards (collapsed lung).
        drop
            Distance in mm by which the apex is moved down; less and less below it.
        """
        layout, p = self.layout, self.frame.parameters
        span = layout.angle_y - layout.apex_y
        t = np.clip((self.frame.y - layout.apex_y) / span, 0, 1.4)
        top, wall = t, self.wall
        if drop:
            lowered = self.frame.y - drop * np.clip(1 - t, 0, 1) ** 1.5
            wall = layout.wall(lowered)
            top = np.clip((lowered - layout.apex_y) / span, 0, 1.4)
        wall = wall - inset
        c0 = layout.centre_x
        medial = c0 * (1 - np.sqrt(1 - (1 - np.minimum(top / 0.2, 1)) ** 2))
        beyond = np.clip((self.distance - c0) / np.maximum(wall - c0, 1e-3), 0, 1)
        within = np.clip((c0 - self.distance) / np.maximum(c0 - medial, 1e-3), 0, 1)
        lateral_profile = (1 - beyond**2.6) ** 0.55
        medial_profile = np.where(medial > 0.5, np.sqrt(1 - within**4), 1.0)
        full = 0.22 + 0.78 * np.sin(np.pi / 2 * np.minimum(t / 0.48, 1))
        depth = 0.74 * p.body_depth_mm * full * lateral_profile * medial_profile
        return (depth * np.clip(top / 0.004, 0, 1) * self.side_depth).astype(np.float32)

    @cached_property
    def healthy_aeration(self) -> FloatArray:
        """:meth:`aeration` without loss of volume."""
        return self.aeration({})

    def aeration(self, raised: dict[str, float]) -> FloatArray:
        """Share of the cavity's depth above the diaphragm's surface, in [0, 1], (H, W).

        Parameters
        ----------
        raised
            Elevation of the hemidiaphragm in mm by side, from loss of volume.
        """
        layout = self.layout
        half = layout.half_width
        xc = 0.5 * half
        lateral = np.clip((self.distance - xc) / (half - xc), 0, 1.2)
        medial = np.clip((xc - self.distance) / xc, 0, 1)
        out = np.empty_like(self.distance)
        for side in ("L", "R"):
            dome = layout.dome_y(side) - raised.get(side, 0.0)
            edge = dome + (layout.angle_y - dome + 4) * lateral**2.3 + 20 * medial**2
            depth = np.clip((self.frame.y - edge) / 44, 0, 1)
            here = self.left if side == "L" else ~self.left
            np.copyto(out, 1 - np.sqrt(depth), where=here)
        return out

    def mediastinum(self, heart_ratio: float) -> FloatArray:
        """Depth in mm of heart, great vessels and other mediastinal tissue, (H, W)."""
        right, left = self.borders(heart_ratio)
        x = self.frame.x - np.float32(self.layout.front_shift) * self._cardiac_weight
        s = np.where(x < 0, -x / right, x / left)
        weight = self._cardiac_weight
        edge = np.sqrt(np.clip(1 - s * s, 0, 1))
        # the heart lies on the diaphragm, not behind it
        above = np.clip((self.healthy_aeration - 0.1) / 0.5, 0, 1)
        # towards the midline spine, oesophagus and great vessels leave less and less lung
        core = 1 - smoothstep(self.distance, 3, 30 + 22 * weight)
        return ((66 + 58 * weight) * edge * above + 85 * core).astype(np.float32)

    def heart(self, heart_ratio: float) -> np.ndarray:
        """Cardiac silhouette between base and diaphragm, (H, W) bool."""
        right, left = self.borders(heart_ratio)
        x = self.frame.x - np.float32(self.layout.front_shift) * self._cardiac_weight
        inside = (x > -right) & (x < left)
        layout = self.layout
        share = smoothstep(self.frame.x, -40, 60)
        bottom = layout.dome_y("R") + share * (layout.dome_y("L") - layout.dome_y("R")) + 8
        return np.asarray(inside & (self._cardiac_weight > 0.35) & (self.frame.y < bottom))

    @cached_property
    def _cardiac_weight(self) -> FloatArray:
        """0 above the heart, 1 at its level."""
        return smoothstep(self.frame.y, self._base_y - 25, self._base_y + 35)

    @cached_property
    def _base_y(self) -> float:
        """Level of the base of the heart."""
        layout = self.layout
        dome = layout.dome_y("L") + self.frame.parameters.raised_diaphragm_mm * (
            self.frame.parameters.raised_side == "L"
        )
        return layout.apex_y + 0.5 * (dome - layout.apex_y)

    def borders(self, heart_ratio: float) -> tuple[FloatArray, FloatArray]:
        """Right and left border of the mediastinal shadow, distances from its axis, (H, W)."""
        p, layout = self.frame.parameters, self.layout
        y = self.frame.y
        bottom = layout.angle_y - 26
        base = self._base_y
        total = heart_ratio * 2 * layout.half_width
        if p.view == "AP":
            total *= 1.07
        total *= 1 + 0.10 * (0.75 - p.inspiration)  # the raised diaphragm tips the heart over
        reach_left = total * (0.685 - 0.03 * p.heart_globularity)
        reach_right = total - reach_left
        # left: arch, aortic knuckle, pulmonary trunk, left ventricle
        knob_y = base - 38 - 8 * p.aorta_unfolding
        knob = (9 + 11 * p.aorta_unfolding) * _bump(y, knob_y, 13 + 3 * p.aorta_unfolding)
        trunk = (11 + 4 * p.vessel_prominence) * _bump(y, base - 4, 15)
        along = np.clip((y - (base - 12)) / (bottom - base + 12), 0, 1.35)
        shape = 1.5 - 0.4 * p.heart_globularity
        ventricle = np.sin(np.pi / 2 * np.minimum(along, 1)) ** shape
        ventricle = ventricle * (1 - 0.55 * np.clip(along - 1, 0, 1) ** 1.3)
        left = 23 + knob + trunk * (1 - ventricle) + (reach_left - 23) * ventricle
        # the fat pad fills the cardiophrenic angle on the left
        left = left + p.fat_pad_mm * _bump(y, bottom + 12, 16)
        # right: superior vena cava, right atrium
        cava = 24 + 5 * p.aorta_unfolding + 5 * (p.view == "AP")
        atrium = _bump(y, bottom - 22, 36 + 6 * p.heart_globularity)
        top = np.clip((layout.apex_y + 30 - y) / 40, 0, 1)
        right = cava + np.maximum(reach_right - cava, 4) * atrium
        return (
            np.maximum(right - 4 * top, 8).astype(np.float32),
            np.maximum(left - 3 * top, 8).astype(np.float32),
        )

    @cached_property
    def body(self) -> FloatArray:
        """Depth in mm of the whole body without its cavities, breasts included, (H, W)."""
        p, layout = self.frame.parameters, self.layout
        x, y = self.distance, self.frame.y
        chest = layout.half_width + 9 + p.chest_wall_mm
        neck = 57 + 0.25 * p.chest_wall_mm
        shoulder = layout.apex_y - 2 + 26 * p.shoulder_drop - 8 * p.kyphosis
        slope = np.clip((y - (shoulder - 46)) / 46, 0, 1)
        trunk = neck + (255 - neck) * slope ** (2.6 - 0.8 * p.shoulder_drop)
        axilla = smoothstep(y, layout.apex_y + 55, layout.apex_y + 135)
        half = trunk * (1 - axilla) + chest * axilla
        s = np.clip(x / half, 0, 1)
        upper = 1 - 0.36 * smoothstep(-y, -layout.apex_y - 70, -layout.apex_y + 25)
        girdle = 1 - 0.34 * (1 - axilla) * smoothstep(x, 0.8 * layout.half_width, chest + 20)
        depth = p.body_depth_mm * upper * girdle * (1 - s**4.5) ** 0.5
        arm = 0.3 * p.body_depth_mm * np.sqrt(np.clip(1 - s**6, 0, 1)) * (s > 0)
        soft = self._breasts() + self._muscle() * (s < 1)
        return np.maximum(np.maximum(depth, arm) + soft, 0).astype(np.float32)

    def _breasts(self) -> FloatArray:
        p, layout = self.frame.parameters, self.layout
        if p.breast_size <= 0:
            return np.zeros_like(self.frame.x)
        size = p.breast_size
        out = np.zeros_like(self.frame.x)
        for side in ("L", "R"):
            sign = side_sign(side)
            share = np.clip(1 + sign * p.breast_asymmetry, 0, 1)
            cx = sign * layout.half_width * 0.62 + 0.6 * layout.front_shift
            cy = layout.apex_y + (0.56 + 0.12 * size) * p.lung_length_mm
            u = (self.frame.x - cx) / (58 + 26 * size)
            v = (self.frame.y - cy) / (44 + 30 * size)
            v = np.where(v > 0, v * 1.35, v * 0.72)  # ends sharply below, fades above
            out += share * 62 * size * (1 - np.clip(u * u + v * v, 0, 1)) ** 0.75
        return out.astype(np.float32)

    def _muscle(self) -> FloatArray:
        """Pectoral and axillary soft tissue with some irregularity."""
        p, layout = self.frame.parameters, self.layout
        cx = self.distance - 0.72 * layout.half_width
        cy = self.frame.y - (layout.apex_y + 62)
        pectoral = (5 + 6 * (p.sex == "M")) * np.exp(-((cx / 52) ** 2) - (cy / 44) ** 2)
        uneven = smooth_field(p.anatomy_seed, "soft tissue", 9, self.frame.size)
        return (pectoral + 2.2 * uneven).astype(np.float32)

    @cached_property
    def trachea(self) -> FloatArray:
        """Depth in mm of air in trachea and main bronchi, (H, W)."""
        layout, p = self.layout, self.frame.parameters
        y = self.frame.y
        carina = self._base_y - 22
        shift = 0.6 * layout.front_shift + 5 * p.aorta_unfolding * _bump(y, carina - 18, 20)
        x = self.frame.x - shift
        half = 8.8
        column = np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1)) * 15
        air = column * smoothstep(-y, -carina - 4, -carina + 4)
        for sign, slope, reach in ((-1, 1.35, 38), (1, 0.85, 46)):
            along = sign * x
            offset = np.abs((y - carina) - slope * along) / np.sqrt(1 + slope**2)
            branch = 15 * np.sqrt(np.clip(1 - (offset / 6.0) ** 2, 0, 1))
            branch *= smoothstep(along, -2, 3) * (1 - smoothstep(along, 14, reach))
            air = np.maximum(air, branch)
        return air.astype(np.float32)

    @cached_property
    def gas(self) -> FloatArray:
        """Depth in mm of gas in the stomach under the left hemidiaphragm, (H, W)."""
        p, layout = self.frame.parameters, self.layout
        if p.gastric_bubble <= 0:
            return np.zeros_like(self.frame.x)
        size = 13 + 15 * p.gastric_bubble
        u = (self.frame.x - 0.45 * layout.half_width) / (1.25 * size)
        v = (self.frame.y - layout.dome_y("L") - 10 - 0.75 * size) / (0.75 * size)
        return (42 * p.gastric_bubble * (1 - np.clip(u * u + v * v, 0, 1)) ** 0.6).astype(
            np.float32
        )


def _bump(y: FloatArray, centre: float, width: float) -> FloatArray:
    """Gaussian in y with unit height."""
    return np.exp(-(((y - centre) / width) ** 2)).astype(np.float32)
