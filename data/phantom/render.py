"""Film parameters in, radiograph and its true counterfactuals out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from data.phantom.anatomy import LUNG_DENSITY, Layout, Thorax, make_frame
from data.phantom.bones import bone_depth
from data.phantom.confounders import Mimics, mimics
from data.phantom.devices import device_attenuation, text_layer
from data.phantom.film import MU_BONE, MU_WATER, Chain, make_chain
from data.phantom.findings import Effect, finding_effects
from data.phantom.parameters import FilmParameters, InvalidParameters
from data.phantom.streams import FloatArray, resized, smooth_field
from data.phantom.vessels import vessel_depth

SIZES = (64, 128, 256, 512, 1024)
"""Sizes a film can have, in pixels."""
SMALLEST_GRID = 256
"""Films smaller than this are rendered here and area-averaged."""


@dataclass(frozen=True, eq=False)
class Film:
    """A simulated radiograph.

    Parameters
    ----------
    image
        (H, W) float32 in [0, 1], higher is brighter.
    masks
        Finding present to (H, W) bool. The mask of cardiomegaly is the whole heart; that of
        atelectasis includes the crescent by which the diaphragm is raised.
    lungs
        (H, W) bool, the lung fields of the healthy patient.
    counterfactuals
        Finding present to (H, W) float32, the film without that finding.
    """

    image: FloatArray
    masks: Mapping[str, np.ndarray]
    lungs: np.ndarray
    counterfactuals: Mapping[str, FloatArray]


def render(parameters: FilmParameters, size: int = 512, *, counterfactuals: bool = True) -> Film:
    """Render a film, the masks of its findings and its true counterfactuals.

    Parameters
    ----------
    parameters
        Everything that makes the film.
    size
        Side in pixels, one of :data:`SIZES`; the field is always 400 mm wide.
    counterfactuals
        Whether to render the film without each finding present.

    Raises
    ------
    InvalidParameters
        If ``size`` is not one of :data:`SIZES`.
    """
    if size not in SIZES:
        raise InvalidParameters(f"film size is {size}; expected one of {SIZES}")
    grid = max(size, SMALLEST_GRID)
    patient = _Patient.made(parameters, grid)
    present = parameters.findings_present
    healthy = patient.attenuation(())
    chain = patient.chain(healthy)
    whole = chain.develop(patient.attenuation(present) if present else healthy)
    others: dict[str, FloatArray] = {}
    if counterfactuals:
        for name in present:
            rest = tuple(other for other in present if other != name)
            others[name] = resized(
                chain.develop(patient.attenuation(rest) if rest else healthy), size
            )
    masks = {
        name: _reduced(effect.mask & patient.inside, size)
        for name, effect in patient.effects.items()
    }
    return Film(resized(whole, size), masks, _reduced(patient.lungs, size), others)


def _reduced(mask: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(resized(mask.astype(np.float32), size) >= 0.5)


@dataclass(frozen=True, eq=False)
class _Patient:
    """Maps shared by a film and its counterfactuals, all (H, W)."""

    thorax: Thorax
    cavity: FloatArray
    lung: FloatArray  # mm of lung in the healthy patient
    fixed: FloatArray  # attenuation of everything but the cavity
    vessels: FloatArray
    density: FloatArray
    mimics: Mimics
    effects: Mapping[str, Effect]

    @classmethod
    def made(cls, parameters: FilmParameters, grid: int) -> _Patient:
        """Build the shared maps of one film."""
        frame = make_frame(parameters, grid)
        thorax = Thorax(frame, Layout(parameters))
        copies = mimics(thorax)
        bone = bone_depth(thorax) + copies.calcium
        soft = thorax.body + copies.skin - thorax.trachea
        fixed = MU_WATER * soft + MU_BONE * bone
        devices = device_attenuation(thorax)
        if devices is not None:
            fixed = fixed + devices
        cavity = np.minimum(thorax.cavity(), 0.86 * thorax.body).astype(np.float32)
        texture = sum(
            weight * smooth_field(parameters.anatomy_seed, f"texture-{knots}", knots, grid)
            for knots, weight in ((24, 0.04), (72, 0.045), (128, 0.045))
        )
        density = LUNG_DENSITY * (1 + parameters.lung_texture * texture) * copies.lucency
        solid = thorax.mediastinum(parameters.heart_ratio_healthy)
        lung = np.clip(cavity * thorax.healthy_aeration - solid, 0, None).astype(np.float32)
        return cls(
            thorax=thorax,
            lung=lung,
            cavity=cavity,
            fixed=fixed.astype(np.float32),
            vessels=vessel_depth(thorax),
            density=np.asarray(density, dtype=np.float32),
            mimics=copies,
            effects=finding_effects(thorax, cavity, lung),
        )

    @property
    def inside(self) -> np.ndarray:
        """Whether a pixel is within the body."""
        return np.asarray(self.thorax.body > 20)

    @property
    def lungs(self) -> np.ndarray:
        """Lung fields of the healthy patient."""
        return np.asarray((self.lung > 16) & (self.thorax.healthy_aeration > 0.62))

    def attenuation(self, present: Collection[str]) -> FloatArray:
        """Attenuation (H, W) with the findings ``present`` and no other."""
        effects = [effect for name, effect in self.effects.items() if name in present]
        p = self.thorax.frame.parameters
        raised: dict[str, float] = {}
        ratio = p.heart_ratio_healthy
        for effect in effects:
            raised |= effect.raised
            ratio = effect.heart_ratio or ratio
        aeration = self.thorax.aeration(raised) if raised else self.thorax.healthy_aeration
        space = self.cavity * aeration
        solid = np.minimum(self.thorax.mediastinum(ratio), 0.97 * space)
        path = space - solid  # mm of lung, pleural air included
        expanded: FloatArray | float = 1.0
        pleura: FloatArray | float = 0.0
        for effect in effects:
            if effect.expanded is not None and effect.pleura is not None:
                expanded, pleura = effect.expanded, effect.pleura
        tissue = path * self.density * (0.15 + 0.85 * expanded) * (expanded > 0.02)
        vessels = (self.vessels + self.mimics.depth) * expanded
        tissue = tissue + (1 - self.density) * np.minimum(vessels, path)
        air_left = 1 - self.mimics.share * expanded
        for effect in effects:
            if effect.share is not None:
                air_left = air_left * (1 - effect.share * expanded)
            if effect.depth is not None:
                depth = np.minimum(effect.depth, 0.9 * path)
                air_left = air_left * (1 - depth / np.maximum(path, 1) * expanded)
            if effect.fluid is not None:
                air_left = air_left * (1 - effect.fluid)
        air = np.clip(path - tissue, 0, None) * air_left - pleura
        gas = self.thorax.gas * (1 - aeration)
        return (self.fixed - MU_WATER * (air + gas)).astype(np.float32)

    def chain(self, healthy: FloatArray) -> Chain:
        """Imaging chain windowed on the healthy film."""
        thorax = self.thorax
        p = thorax.frame.parameters
        heart = thorax.heart(p.heart_ratio_healthy)
        return make_chain(
            thorax.frame, healthy, self.lungs, heart, text_layer(p, thorax.frame.size)
        )
