"""From attenuation to a grey film: scatter, noise, processing and look-up table.

Everything that depends on a neighbourhood larger than a few millimetres (scatter, equalisation,
windowing) is computed from the healthy film of the same patient, so that a film and its
counterfactual differ where the finding is and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from data.phantom.anatomy import Frame
from data.phantom.parameters import FIELD_MM, FilmParameters
from data.phantom.streams import FloatArray, resized, stream

MU_WATER = 0.0200
"""Effective linear attenuation of soft tissue per mm, beam hardening included."""
MU_BONE = 0.0340
"""Effective attenuation of bone per mm of cortical bone."""
NOISE_GRID = 512
"""The noise is drawn on this grid whatever the size of the film."""


def blurred(image: FloatArray, sigma_mm: float) -> FloatArray:
    """Gaussian blur; wide ones are computed on a coarse grid."""
    size = image.shape[0]
    coarse = size
    while coarse > 64 and sigma_mm / (FIELD_MM / coarse) > 4:
        coarse //= 2
    small = resized(image, coarse)
    out = gaussian_filter(small, sigma_mm / (FIELD_MM / coarse), mode="nearest", truncate=3.0)
    return resized(out, size)


@dataclass(frozen=True, eq=False)
class Chain:
    """The part of the imaging chain shared by a film and its counterfactuals."""

    parameters: FilmParameters
    scatter: FloatArray  # scattered intensity added to the primary
    low_pass: FloatArray  # subtracted from log attenuation
    noise: FloatArray  # unit noise
    field: FloatArray  # slow gradient of the exposure in log units
    low: float  # processed value of healthy lung
    high: float  # processed value of the mediastinum
    exposed: FloatArray  # 1 inside the collimated field, 0 outside
    text: FloatArray | None

    def develop(self, attenuation: FloatArray) -> FloatArray:
        """Grey film (H, W) float32 in [0, 1] of an attenuation map (H, W)."""
        p = self.parameters
        signal = _processed(p, attenuation, self.scatter, self.noise, self.low_pass)
        z = (signal + self.field - self.low) / (self.high - self.low)
        z = np.where(z > 0.9, 0.9 + 0.55 * (z - 0.9), z)  # the shoulder of the film curve
        logit = 2.75 * p.contrast * (z - 0.38) - 0.05 - 0.75 * p.exposure
        film = 1 / (1 + np.exp(-logit))
        film = (film - 0.03) / 0.94 * self.exposed + 0.01
        if self.text is not None:
            film = np.maximum(film, 0.97 * self.text)
        return np.clip(film, 0, 1).astype(np.float32)


def make_chain(
    frame: Frame,
    healthy: FloatArray,
    lungs: np.ndarray,
    centre: np.ndarray,
    text: FloatArray | None,
) -> Chain:
    """Set up the chain from the healthy attenuation, its lung field and its mediastinum."""
    p = frame.parameters
    primary = np.exp(-healthy)
    scatter = np.float32(p.scatter) * blurred(np.minimum(primary, 0.12), 24.0)
    noise = _noise(p, frame.size)
    silent = np.zeros_like(healthy)
    logs = -np.log(primary + scatter)
    low_pass = np.float32(p.equalisation) * blurred(np.minimum(logs, 6).astype(np.float32), 17.0)
    signal = _processed(p, healthy, scatter, silent, low_pass)
    low = float(np.median(signal[lungs])) if lungs.any() else 0.0
    high = float(np.percentile(signal[centre], 80)) if centre.any() else low + 1.0
    return Chain(
        parameters=p,
        scatter=scatter.astype(np.float32),
        low_pass=low_pass.astype(np.float32),
        noise=noise,
        field=_field(frame),
        low=low,
        high=max(high, low + 0.4),
        exposed=_collimation(frame),
        text=text,
    )


def _processed(
    p: FilmParameters,
    attenuation: FloatArray,
    scatter: FloatArray,
    noise: FloatArray,
    low_pass: FloatArray,
) -> FloatArray:
    primary = blurred(np.exp(-attenuation), p.blur_mm)
    intensity = primary + scatter
    logs = -np.log(intensity)
    sharp = logs + np.float32(p.edge_enhancement) * (logs - blurred(logs, 2.2))
    grain = 0.0045 * p.noise_level * noise / np.sqrt(np.clip(intensity, 0.02, 1))
    return (sharp + grain - low_pass).astype(np.float32)


def _noise(p: FilmParameters, size: int) -> FloatArray:
    """Quantum noise of unit variance on the fixed grid, slightly correlated by the detector."""
    white = stream(p.film_seed, "quantum noise").standard_normal(
        (NOISE_GRID, NOISE_GRID), dtype=np.float32
    )
    soft = gaussian_filter(white, 0.7, mode="wrap")
    return resized((soft / soft.std()).astype(np.float32), size)


def _field(frame: Frame) -> FloatArray:
    """Vignetting and heel effect in log units; positive is brighter on the film."""
    p = frame.parameters
    u, v = frame.film_x / (FIELD_MM / 2), frame.film_y / (FIELD_MM / 2)
    return (0.12 * p.vignetting * (u * u + v * v) + 0.12 * p.heel_effect * u).astype(np.float32)


def _collimation(frame: Frame) -> FloatArray:
    p = frame.parameters
    edge = FIELD_MM / 2 - p.collimation_mm
    ramp = 1.2
    inside_x = np.clip((edge - np.abs(frame.film_x)) / ramp + 0.5, 0, 1)
    inside_y = np.clip((edge - np.abs(frame.film_y)) / ramp + 0.5, 0, 1)
    if p.collimation_mm <= 0:
        return np.ones((frame.size, frame.size), dtype=np.float32)
    return (inside_x * inside_y).astype(np.float32)
