"""Every number that makes a simulated frontal chest radiograph.

A film is a pure function of one :class:`FilmParameters` and a size. All fields are scalars, so that
a film is one row of ``parameters.csv``; later methods regress on these columns, hence everything
that changes the picture is here, including the mimics that make a classifier err.

Sides follow radiological convention: ``"R"`` is the patient's right, drawn on the left of the
image; ``"L"`` the patient's left. In-lung positions are fractions: ``*_lateral`` runs from the
midline (0) to the chest wall (1), ``*_height`` from the apex (0) to the top of the diaphragm (1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.phantom.names import (
    FIELD_MM,
    FINDINGS,
    SEVERITY_FIELD,
    SIMULATOR,
    InvalidParameters,
    severity_field,
)
from data.phantom.sampling import (
    drawn_devices,
    drawn_examination,
    drawn_findings,
    drawn_mimics,
    drawn_pathology,
    drawn_patient,
)

__all__ = [
    "FIELD_MM",
    "FINDINGS",
    "SEVERITY_FIELD",
    "SIMULATOR",
    "FilmParameters",
    "InvalidParameters",
    "sample_parameters",
    "without",
]


@dataclass(frozen=True)
class FilmParameters:
    """Parameters of one film; each line gives unit and range.

    Severities are 0 when the finding is absent, else in (0, 1]; side, position and shape of an
    absent finding are still recorded (where it would be), so that :func:`without` changes one
    number only.
    """

    # Identity and random streams
    patient_id: str  # "p" and six digits; unique within one seed
    anatomy_seed: int  # vessels, warp, rib irregularity: one per patient
    film_seed: int  # quantum noise and lung texture of this exposure

    # Patient
    sex: str  # "F" or "M"
    age_years: float  # 20 to 90
    thorax_width_mm: float  # inner width at the widest level, 235 to 315
    lung_length_mm: float  # apex to costophrenic angle at full inspiration, 215 to 275
    body_depth_mm: float  # antero-posterior, 175 to 280
    chest_wall_mm: float  # soft tissue lateral to the ribs, 12 to 48
    shoulder_drop: float  # slope of the shoulders, 0 (square) to 1 (sloping)
    breast_size: float  # 0 (none) to 1
    breast_asymmetry: float  # -1 (right larger) to 1 (left larger); a mastectomy at the ends
    bone_density: float  # factor on rib and spine attenuation, 0.6 to 1.25
    kyphosis: float  # 0 to 1; lowers the clavicles' projection and shortens the chest
    scoliosis_mm: float  # lateral bow of the spine, -14 to 14
    heart_ratio_healthy: float  # cardiothoracic ratio without cardiomegaly, 0.35 to 0.56
    heart_globularity: float  # 0 (left ventricular shape) to 1 (globular)
    aorta_unfolding: float  # 0 to 1; prominent aortic knuckle, grows with age
    emphysema: float  # 0 to 1; more lucent lungs, flatter diaphragm
    lung_texture: float  # interstitial texture, factor 0.5 to 2.0
    vessel_prominence: float  # factor on vessel calibre, 0.75 to 1.35
    gastric_bubble: float  # 0 (none) to 1

    # Examination
    view: str  # "PA" or "AP" (magnified heart, scapulae over the lungs)
    inspiration: float  # 0 (expiration) to 1 (full); 0.75 shows about ten posterior ribs
    rotation_deg: float  # about the long axis, -9 to 9; positive turns the patient to the left
    tilt_deg: float  # in the plane of the film, -4 to 4
    offset_x_mm: float  # centring error, -14 to 14
    offset_y_mm: float  # centring error, -14 to 14
    magnification: float  # 0.93 to 1.09
    exposure: float  # brightness in LUT units, -1 (light) to 1 (dark)
    contrast: float  # LUT slope factor, 0.75 to 1.3
    noise_level: float  # quantum noise factor, 0.3 to 2.5
    blur_mm: float  # unsharpness, standard deviation, 0.25 to 1.3
    scatter: float  # scatter-to-primary ratio, 0.05 to 0.6
    edge_enhancement: float  # unsharp mask gain, 0 to 1.2
    equalisation: float  # low-pass subtraction, 0.15 to 0.5
    vignetting: float  # 0 to 1
    heel_effect: float  # -1 to 1, left to right gradient
    collimation_mm: float  # width of the unexposed margin, 0 to 16

    # Congestion
    congestion: float  # 0 to 1; wide upper-lobe vessels, perihilar haze, septal lines

    # Findings
    atelectasis_severity: float
    atelectasis_side: str  # "L" or "R"
    atelectasis_kind: str  # "plate" (linear bands) or "lobar" (wedge at the base)
    atelectasis_height: float  # 0.5 to 0.95
    atelectasis_lateral: float  # centre of the band, 0.35 to 0.75
    atelectasis_length_mm: float  # 40 to 110
    atelectasis_angle_deg: float  # -25 to 25
    atelectasis_bands: int  # 1 to 3
    cardiomegaly_severity: float
    effusion_severity: float
    effusion_side: str  # "L", "R" or "B" (both)
    effusion_asymmetry: float  # 0.4 to 1; share of the smaller side when both
    lung_opacity_severity: float
    lung_opacity_side: str  # "L" or "R"
    lung_opacity_height: float  # 0.2 to 0.9
    lung_opacity_lateral: float  # 0.35 to 0.8
    lung_opacity_extent_mm: float  # radius of the cluster, 22 to 60
    lung_opacity_patches: int  # 3 to 9
    mass_severity: float
    mass_side: str  # "L" or "R"
    mass_height: float  # 0.12 to 0.9
    mass_lateral: float  # 0.35 to 0.85
    mass_diameter_mm: float  # 18 to 80 (implied by the severity and a factor of its own)
    mass_lobulation: float  # 0 (round) to 1
    pneumothorax_severity: float
    pneumothorax_side: str  # "L" or "R"
    pneumothorax_lateral_share: float  # lateral against apical extent, 0.2 to 1

    # Devices
    chest_tube: bool
    tube_side: str  # "L" or "R"
    tube_height: float  # entry level, 0.55 to 0.95
    tube_tip_height: float  # 0.1 to 0.7
    pacemaker: bool
    pacemaker_side: str  # "L" or "R"
    pacemaker_leads: int  # 1 to 3
    central_line: bool
    central_line_side: str  # "L" or "R"
    ecg_leads: int  # 0 to 5 electrodes with their wires
    sternal_wires: bool
    text_marker: bool  # burned-in side marker and text
    marker_side: str  # "L" or "R": which letter is burned in, on its own side
    marker_text: str  # further burned-in text, may be empty

    # Mimics: what a finding can be mistaken for
    nipple_shadows: float  # 0 to 1 (mass)
    end_on_vessels: int  # 0 to 6 (mass)
    first_rib_calcification: float  # 0 to 1 (mass)
    calcified_side: str  # "L" or "R": the more calcified first rib
    granuloma: float  # 0 to 1, one small dense nodule (mass)
    granuloma_side: str  # "L" or "R"
    granuloma_height: float  # 0.1 to 0.9
    granuloma_lateral: float  # 0.35 to 0.9
    skin_fold: float  # 0 to 1 (pneumothorax)
    skin_fold_side: str  # "L" or "R"
    skin_fold_lateral: float  # 0.6 to 0.95
    bulla: float  # 0 to 1, lucent apex with a curved wall (pneumothorax)
    bulla_side: str  # "L" or "R"
    scapula_overlap_mm: float  # medial border inside (+) or outside (-) the rib cage, -30 to 28
    apical_cap_mm: float  # apical pleural thickening, 0 to 9
    blunted_angle_mm: float  # old pleural thickening at one angle, 0 to 32 (effusion)
    blunted_side: str  # "L" or "R"
    scar: float  # 0 to 1, thin fibrotic band without volume loss (atelectasis)
    scar_side: str  # "L" or "R"
    scar_height: float  # 0.3 to 0.95
    scar_angle_deg: float  # -35 to 35
    raised_diaphragm_mm: float  # eventration of one side, 0 to 18 (atelectasis)
    raised_side: str  # "L" or "R"
    basal_haze: float  # 0 to 1, crowding of the bases (atelectasis, opacity)
    haze_side: str  # "L", "R" or "B"
    fat_pad_mm: float  # pericardial fat at the cardiac apex, 0 to 22 (cardiomegaly)

    @property
    def findings_present(self) -> tuple[str, ...]:
        """Findings with severity above 0, in the order of :data:`FINDINGS`."""
        return tuple(name for name in FINDINGS if self.severity(name) > 0)

    def severity(self, finding: str) -> float:
        """Severity of ``finding`` in [0, 1].

        Raises
        ------
        InvalidParameters
            If ``finding`` is not one of :data:`FINDINGS`.
        """
        return float(getattr(self, severity_field(finding)))

    @property
    def heart_ratio(self) -> float:
        """Cardiothoracic ratio drawn, cardiomegaly included."""
        severity = self.cardiomegaly_severity
        if severity <= 0:
            return self.heart_ratio_healthy
        start = max(self.heart_ratio_healthy, 0.462)
        return min(start + 0.012 + 0.138 * severity, 0.74)

    def to_row(self) -> dict[str, Any]:
        """Field values by name, in order of declaration, then ``heart_ratio``."""
        return {**dataclasses.asdict(self), "heart_ratio": self.heart_ratio}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> FilmParameters:
        """Parameters from a row of ``parameters.csv``; columns that are no field are ignored.

        Raises
        ------
        InvalidParameters
            If a field is missing or cannot be read as its type.
        """
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            if field.name not in row:
                raise InvalidParameters(
                    f"parameters lack the column {field.name!r}; write them with {SIMULATOR}"
                )
            values[field.name] = _parsed(field.name, str(field.type), row[field.name])
        return cls(**values)


def without(parameters: FilmParameters, finding: str) -> FilmParameters:
    """Parameters of the true counterfactual: the same film without ``finding``.

    Raises
    ------
    InvalidParameters
        If ``finding`` is not one of :data:`FINDINGS`.
    """
    change: dict[str, Any] = {severity_field(finding): 0.0}
    return dataclasses.replace(parameters, **change)


def _parsed(name: str, kind: str, value: Any) -> Any:
    text = "" if value is None else str(value)
    try:
        if kind == "bool":
            return {"true": True, "false": False, "1": True, "0": False}[text.strip().lower()]
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except (KeyError, ValueError):
        raise InvalidParameters(f"{name} is {text!r}; expected a value of type {kind}") from None
    return text


def sample_parameters(
    seed: int,
    index: int,
    *,
    prevalence: float | Mapping[str, float] = 0.23,
    healthy_share: float = 0.33,
    findings: Sequence[str] | None = None,
    films_per_patient: int = 1,
) -> FilmParameters:
    """Draw the film ``index`` of the population ``seed``; independent of any other film.

    Parameters
    ----------
    seed, index
        Non-negative; the pair determines every field.
    prevalence
        Expected share of films with each finding, one number or one per finding. At most three
        findings share a film; with unequal numbers the shares are met approximately.
    healthy_share
        Share of films without any finding, raised where the prevalence does not allow it.
    findings
        Findings to draw on this film instead of random ones (may be empty).
    films_per_patient
        Consecutive films of the same patient (same anatomy, new examination and findings).

    Raises
    ------
    InvalidParameters
        If a number is out of range or a finding unknown.
    """
    if seed < 0 or index < 0 or films_per_patient < 1:
        raise InvalidParameters(
            f"seed {seed}, index {index}, films_per_patient {films_per_patient}: "
            "expected seed and index >= 0 and films_per_patient >= 1"
        )
    patient = index // films_per_patient
    body = np.random.default_rng([seed, patient, 1])
    film = np.random.default_rng([seed, index, 2])
    if findings is None:
        present = drawn_findings(film, prevalence, healthy_share)
    else:
        for name in findings:
            severity_field(name)
        present = frozenset(findings)
    values: dict[str, Any] = {
        "patient_id": f"p{patient:06d}",
        "anatomy_seed": int(body.integers(2**53)),
        "film_seed": int(film.integers(2**53)),
    }
    values |= drawn_patient(body)
    values |= drawn_examination(np.random.default_rng([seed, index, 3]), values)
    values |= drawn_pathology(np.random.default_rng([seed, index, 4]), present, values)
    values |= drawn_devices(np.random.default_rng([seed, index, 5]), present, values)
    values |= drawn_mimics(np.random.default_rng([seed, index, 6]), values)
    return FilmParameters(**values)
