"""Distributions of the parameters over a population of films."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from data.phantom.names import FINDINGS, SEVERITY_FIELD, InvalidParameters, severity_field


def drawn_findings(
    rng: np.random.Generator, prevalence: float | Mapping[str, float], healthy_share: float
) -> frozenset[str]:
    """Choose none to three findings whose expected shares are the prevalences."""
    if isinstance(prevalence, Mapping):
        for name in prevalence:
            severity_field(name)
        weights = np.array([float(prevalence.get(name, 0.0)) for name in FINDINGS])
    else:
        weights = np.full(len(FINDINGS), float(prevalence))
    total = float(weights.sum())
    if (weights < 0).any() or total > 3 or not 0 <= healthy_share < 1:
        raise InvalidParameters(
            f"prevalences {weights.tolist()} and healthy share {healthy_share}: expected "
            "prevalences >= 0 that add up to at most 3 and a share in [0, 1)"
        )
    if total == 0:
        return frozenset()
    healthy = min(max(healthy_share, 1 - total), 1 - total / 3)
    if rng.random() < healthy:
        return frozenset()
    largest = min(3, int((weights > 0).sum()))
    count = 1 + int(rng.choice(largest, p=_count_probabilities(total / (1 - healthy), largest)))
    chosen = rng.choice(len(FINDINGS), size=count, replace=False, p=weights / total)
    return frozenset(FINDINGS[i] for i in chosen)


def _count_probabilities(mean: float, largest: int) -> np.ndarray:
    """Probabilities of 1 to ``largest`` findings with the given mean (exponentially tilted)."""
    counts = np.arange(1, largest + 1)
    low, high = -20.0, 20.0
    for _ in range(60):
        tilt = (low + high) / 2
        p = np.exp(tilt * (counts - counts.mean()))
        p /= p.sum()
        low, high = (tilt, high) if float(p @ counts) < mean else (low, tilt)
    return p


def _side(rng: np.random.Generator) -> str:
    return "L" if rng.random() < 0.5 else "R"


def _clipped(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, sd), low, high))


def _some(rng: np.random.Generator, share: float, low: float = 0.15, high: float = 1.0) -> float:
    """Return a value in [low, high] with probability ``share``, else 0."""
    value = float(rng.uniform(low, high))
    return value if rng.random() < share else 0.0


def drawn_patient(rng: np.random.Generator) -> dict[str, Any]:
    """Draw body and anatomy; the same for all films of a patient."""
    female = rng.random() < 0.5
    age = float(np.clip(rng.normal(58, 17), 20, 90))
    old = (age - 20) / 70
    stout = float(rng.normal())
    size = float(rng.normal())
    asymmetry = _clipped(rng, 0, 0.12, -0.5, 0.5)
    if rng.random() < 0.04:
        asymmetry = float(rng.choice([-0.9, 0.9]))
    return {
        "sex": "F" if female else "M",
        "age_years": age,
        "thorax_width_mm": float(
            np.clip((262 if female else 284) + 10 * size + 5 * stout, 235, 315)
        ),
        "lung_length_mm": float(np.clip((236 if female else 254) + 9 * size - 4 * old, 215, 275)),
        "body_depth_mm": float(np.clip(215 + 20 * stout + 5 * size, 175, 280)),
        "chest_wall_mm": float(np.clip(24 + 7 * stout, 12, 48)),
        "shoulder_drop": float(rng.uniform(0, 1)),
        "breast_size": float(np.clip(rng.normal(0.5, 0.22), 0.08, 1))
        if female
        else float(np.clip(rng.normal(0.02, 0.08), 0, 0.3)),
        "breast_asymmetry": asymmetry,
        "bone_density": float(np.clip(rng.normal(1.1 - 0.25 * old, 0.1), 0.6, 1.25)),
        "kyphosis": float(np.clip(rng.normal(0.15 + 0.4 * old, 0.15), 0, 1)),
        "scoliosis_mm": _clipped(rng, 0, 4, -14, 14),
        "heart_ratio_healthy": float(np.clip(rng.normal(0.44 + 0.03 * old, 0.038), 0.35, 0.56)),
        "heart_globularity": float(rng.uniform(0, 1)),
        "aorta_unfolding": float(np.clip(rng.normal(0.1 + 0.6 * old, 0.15), 0, 1)),
        "emphysema": _some(rng, 0.06 + 0.16 * old, 0.15, 0.9),
        "lung_texture": float(np.clip(rng.lognormal(0, 0.25), 0.5, 2.0)),
        "vessel_prominence": float(np.clip(rng.lognormal(0, 0.12), 0.75, 1.35)),
        "gastric_bubble": _some(rng, 0.6),
    }


def drawn_examination(rng: np.random.Generator, values: Mapping[str, Any]) -> dict[str, Any]:
    """Draw positioning, exposure, processing and congestion of one film."""
    portable = rng.random() < 0.3
    spread = 1.5 if portable else 1.0
    return {
        "view": "AP" if portable else "PA",
        "inspiration": _clipped(rng, 0.55 if portable else 0.74, 0.17, 0, 1),
        "rotation_deg": _clipped(rng, 0, 2.4 * spread, -9, 9),
        "tilt_deg": _clipped(rng, 0, 1.2 * spread, -4, 4),
        "offset_x_mm": _clipped(rng, 0, 4.5 * spread, -14, 14),
        "offset_y_mm": _clipped(rng, 0, 5 * spread, -14, 14),
        "magnification": _clipped(rng, 1.01 if portable else 0.99, 0.025, 0.93, 1.09),
        "exposure": _clipped(rng, 0, 0.35, -1, 1),
        "contrast": _clipped(rng, 1.0, 0.1, 0.75, 1.3),
        "noise_level": float(np.clip(rng.lognormal(0.25 if portable else 0, 0.3), 0.3, 2.5)),
        "blur_mm": float(np.clip(rng.lognormal(math.log(0.5), 0.3), 0.25, 1.3)),
        "scatter": _clipped(rng, 0.32 if portable else 0.22, 0.07, 0.05, 0.6),
        "edge_enhancement": float(rng.uniform(0.1, 1.0)),
        "equalisation": float(rng.uniform(0.2, 0.45)),
        "vignetting": float(rng.uniform(0, 0.7)),
        "heel_effect": _clipped(rng, 0, 0.35, -1, 1),
        "collimation_mm": _some(rng, 0.35, 2.0, 16.0),
        "congestion": float(np.clip(_some(rng, 0.22, 0.1, 1.0) + abs(rng.normal(0, 0.05)), 0, 1)),
    }


_SEVERITY_SHAPE: dict[str, tuple[float, float]] = {
    "Atelectasis": (1.3, 1.1),
    "Cardiomegaly": (1.1, 1.3),
    "Effusion": (0.85, 1.7),
    "Lung Opacity": (1.15, 1.2),
    "Mass": (1.3, 1.1),
    "Pneumothorax": (0.85, 1.7),
}
"""Shape of the beta distribution of each severity: conspicuous findings are milder."""


def _drawn_severity(rng: np.random.Generator, name: str, present: bool) -> float:
    severity = 0.05 + 0.95 * float(rng.beta(*_SEVERITY_SHAPE[name]))
    return severity if present else 0.0


def drawn_pathology(
    rng: np.random.Generator, present: frozenset[str], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Draw severity, side, position and shape of every finding, present or not."""
    severity = {name: _drawn_severity(rng, name, name in present) for name in FINDINGS}
    mass_reference = severity["Mass"] or 0.5
    both = rng.random() < 0.25
    return {field: severity[name] for name, field in SEVERITY_FIELD.items()} | {
        "atelectasis_side": _side(rng),
        "atelectasis_kind": "plate" if rng.random() < 0.6 else "lobar",
        "atelectasis_height": float(rng.uniform(0.5, 0.95)),
        "atelectasis_lateral": float(rng.uniform(0.4, 0.7)),
        "atelectasis_length_mm": float(rng.uniform(45, 105)),
        "atelectasis_angle_deg": _clipped(rng, 0, 10, -25, 25),
        "atelectasis_bands": int(rng.integers(1, 4)),
        "effusion_side": "B" if both else _side(rng),
        "effusion_asymmetry": float(rng.uniform(0.4, 1)),
        "lung_opacity_side": _side(rng),
        "lung_opacity_height": float(rng.uniform(0.2, 0.9)),
        "lung_opacity_lateral": float(rng.uniform(0.38, 0.75)),
        "lung_opacity_extent_mm": float(rng.uniform(28, 60)),
        "lung_opacity_patches": int(rng.integers(3, 10)),
        "mass_side": _side(rng),
        "mass_height": float(rng.uniform(0.15, 0.88)),
        "mass_lateral": float(rng.uniform(0.38, 0.82)),
        "mass_diameter_mm": float(
            np.clip((26 + 44 * mass_reference) * rng.lognormal(0, 0.14), 18, 80)
        ),
        "mass_lobulation": float(rng.uniform(0, 1)),
        "pneumothorax_side": _side(rng),
        "pneumothorax_lateral_share": float(rng.uniform(0.25, 1)),
    }


def drawn_devices(
    rng: np.random.Generator, present: frozenset[str], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Draw tubes, leads, lines, wires and burned-in text."""
    pneumothorax = "Pneumothorax" in present
    ill = values["view"] == "AP"
    tube_side = _side(rng)
    if pneumothorax and rng.random() < 0.95:
        tube_side = str(values["pneumothorax_side"])
    return {
        "chest_tube": bool(rng.random() < (0.35 if pneumothorax else 0.08)),
        "tube_side": tube_side,
        "tube_height": float(rng.uniform(0.6, 0.95)),
        "tube_tip_height": float(rng.uniform(0.1, 0.6)),
        "pacemaker": bool(rng.random() < (0.16 if "Cardiomegaly" in present else 0.07)),
        "pacemaker_side": "L" if rng.random() < 0.85 else "R",
        "pacemaker_leads": int(rng.integers(1, 4)),
        "central_line": bool(rng.random() < (0.35 if ill else 0.05)),
        "central_line_side": "R" if rng.random() < 0.75 else "L",
        "ecg_leads": int(rng.integers(2, 6)) if rng.random() < (0.5 if ill else 0.06) else 0,
        "sternal_wires": bool(rng.random() < 0.07),
        "text_marker": bool(rng.random() < 0.75),
        "marker_side": "R" if rng.random() < 0.6 else "L",
        "marker_text": ["", "PA", "ERECT", "PORTABLE"][
            int(rng.integers(0, 4)) if not ill else int(rng.choice([0, 3]))
        ],
    }


def drawn_mimics(rng: np.random.Generator, values: Mapping[str, Any]) -> dict[str, Any]:
    """Draw what findings can be mistaken for."""
    portable = values["view"] == "AP"
    old = (values["age_years"] - 20) / 70
    return {
        "nipple_shadows": _some(rng, 0.2),
        "end_on_vessels": int(rng.integers(0, 7)),
        "first_rib_calcification": float(np.clip(rng.normal(0.9 * old - 0.1, 0.25), 0, 1)),
        "calcified_side": _side(rng),
        "granuloma": _some(rng, 0.11),
        "granuloma_side": _side(rng),
        "granuloma_height": float(rng.uniform(0.1, 0.9)),
        "granuloma_lateral": float(rng.uniform(0.4, 0.9)),
        "skin_fold": _some(rng, 0.34 if portable else 0.14),
        "skin_fold_side": _side(rng),
        "skin_fold_lateral": float(rng.uniform(0.62, 0.92)),
        "bulla": _some(rng, 0.16),
        "bulla_side": _side(rng),
        "scapula_overlap_mm": _clipped(rng, 10 if portable else -12, 9, -30, 28),
        "apical_cap_mm": _some(rng, 0.25, 1.0, 9.0),
        "blunted_angle_mm": _some(rng, 0.3, 6.0, 32.0),
        "blunted_side": _side(rng),
        "scar": _some(rng, 0.2),
        "scar_side": _side(rng),
        "scar_height": float(rng.uniform(0.35, 0.95)),
        "scar_angle_deg": _clipped(rng, 0, 15, -35, 35),
        "raised_diaphragm_mm": _some(rng, 0.18, 3.0, 18.0),
        "raised_side": _side(rng),
        "basal_haze": _some(rng, 0.25),
        "haze_side": ["L", "R", "B"][int(rng.integers(0, 3))],
        "fat_pad_mm": _some(rng, 0.3, 4.0, 22.0),
    }
