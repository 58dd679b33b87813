"""Which of the simulator's parameters a meter tries to read off a film, and what each belongs to.

A film of a generator has no parameters. What moved on it is told by a network that has learnt to
read parameters off simulated films; this module names them. No torch here: pages and study tools
read it, too.

A finding that is absent has severity 0, so that severities are one scale over all films. Parameters
of side, position and shape are left out where they say nothing without the finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from explainers.base import ExplainerError

ReadingKind = Literal["continuous", "binary"]
Group = Literal["finding", "anatomy", "mimic", "device", "patient", "examination"]


@dataclass(frozen=True)
class Reading:
    """A parameter of the simulator as a meter reads it.

    Parameters
    ----------
    name
        Unique; the column of ``parameters.csv`` unless ``column`` says otherwise.
    kind
        A number, or present and absent.
    group
        What it is: a finding itself, the anatomy by which a finding shows, what a finding can be
        mistaken for, a device, the patient, the examination.
    about
        The finding that a finding, its anatomy or a mimic belongs to; empty for the others.
    column
        Column of ``parameters.csv``.
    positive
        For ``"binary"``: the text that counts as present; empty for "a number above 0".
    """

    name: str
    kind: ReadingKind
    group: Group
    about: str = ""
    column: str = ""
    positive: str = ""

    @property
    def label(self) -> str:
        """The name for people, e.g. ``"heart ratio"``."""
        return self.name.replace("_mm", "").replace("_deg", "").replace("_", " ")

    @property
    def unit(self) -> str:
        """What a change of it is counted in."""
        return "sd" if self.kind == "continuous" else "log-odds"

    @property
    def is_of_finding(self) -> bool:
        """Whether it is a finding or the anatomy of one."""
        return self.group in ("finding", "anatomy")


_FINDINGS = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Effusion": "effusion",
    "Lung Opacity": "lung_opacity",
    "Mass": "mass",
    "Pneumothorax": "pneumothorax",
}

_ANATOMY = {
    "heart_ratio": "Cardiomegaly",
    "raised_diaphragm_mm": "Atelectasis",
    "blunted_angle_mm": "Effusion",
}
_MIMICS = {
    "fat_pad_mm": "Cardiomegaly",
    "basal_haze": "Lung Opacity",
    "skin_fold": "Pneumothorax",
    "bulla": "Pneumothorax",
    "scar": "Atelectasis",
    "granuloma": "Mass",
    "nipple_shadows": "Mass",
    "first_rib_calcification": "Mass",
}
_PATIENT = (
    "age_years",
    "thorax_width_mm",
    "lung_length_mm",
    "body_depth_mm",
    "chest_wall_mm",
    "shoulder_drop",
    "breast_size",
    "breast_asymmetry",
    "bone_density",
    "kyphosis",
    "scoliosis_mm",
    "heart_globularity",
    "aorta_unfolding",
    "emphysema",
    "lung_texture",
    "vessel_prominence",
    "gastric_bubble",
    "congestion",
    "apical_cap_mm",
)
_EXAMINATION = (
    "inspiration",
    "rotation_deg",
    "tilt_deg",
    "offset_x_mm",
    "offset_y_mm",
    "magnification",
    "exposure",
    "contrast",
    "noise_level",
    "blur_mm",
    "scatter",
    "edge_enhancement",
    "equalisation",
    "vignetting",
    "heel_effect",
    "collimation_mm",
    "scapula_overlap_mm",
)
_DEVICES = ("chest_tube", "pacemaker", "central_line", "sternal_wires", "text_marker")


def _all() -> tuple[Reading, ...]:
    found = []
    for finding, stem in _FINDINGS.items():
        severity = f"{stem}_severity"
        found.append(Reading(severity, "continuous", "finding", finding, severity))
        found.append(Reading(f"{stem}_present", "binary", "finding", finding, severity))
    for name, finding in _ANATOMY.items():
        found.append(Reading(name, "continuous", "anatomy", finding, name))
    for name, finding in _MIMICS.items():
        found.append(Reading(name, "continuous", "mimic", finding, name))
    found += [Reading(name, "continuous", "patient", column=name) for name in _PATIENT]
    found += [Reading(name, "continuous", "examination", column=name) for name in _EXAMINATION]
    found += [Reading(name, "binary", "device", column=name, positive="True") for name in _DEVICES]
    found.append(Reading("ecg_leads_present", "binary", "device", column="ecg_leads"))
    found.append(Reading("male", "binary", "patient", column="sex", positive="M"))
    found.append(Reading("ap_view", "binary", "examination", column="view", positive="AP"))
    return tuple(found)


READINGS: tuple[Reading, ...] = _all()
"""Everything that is tried; what can be read is for held-out films to say."""


def true_values(
    table: pd.DataFrame,
    case_ids: Sequence[str],
    removed: Sequence[str],
    readings: Sequence[Reading] = READINGS,
) -> NDArray[np.float32]:
    """Return the parameters of films (N, R): numbers as they are, 1 and 0 for binary ones.

    Parameters
    ----------
    table
        ``parameters.csv`` indexed by case id.
    case_ids
        N cases.
    removed
        N findings: the one that a counterfactual was drawn without, empty for a film as it is.
        Its severity is then 0, and the heart the healthy one where cardiomegaly is removed.
    readings
        R of them.

    Raises
    ------
    ExplainerError
        If a column or a case is missing, or a number cannot be read.
    """
    columns = {reading.column for reading in readings} | {"heart_ratio_healthy"}
    lacking = sorted(columns - set(table.columns))
    if lacking:
        raise ExplainerError(
            f"parameters.csv lacks the column {lacking[0]!r}; a meter learns from films that "
            "`counterlight phantom` wrote."
        )
    unknown = sorted(set(case_ids) - set(table.index))
    if unknown:
        raise ExplainerError(
            f"parameters.csv has no row for case {unknown[0]!r} ({len(unknown)} missing in all)."
        )
    rows = table.loc[list(case_ids)]
    without = np.asarray(removed)
    values = np.stack([_column(rows, reading) for reading in readings], axis=1)
    for finding in _FINDINGS:
        gone = without == finding
        for place, reading in enumerate(readings):
            if reading.about == finding and reading.group == "finding":
                values[gone, place] = 0
            elif reading.name == "heart_ratio" and finding == "Cardiomegaly":
                healthy = pd.to_numeric(rows["heart_ratio_healthy"]).to_numpy(np.float32)
                values[gone, place] = healthy[gone]
    return values


def readings_by_name(readings: Sequence[Reading] = READINGS) -> Mapping[str, Reading]:
    """Return name to reading."""
    return {reading.name: reading for reading in readings}


def _column(rows: pd.DataFrame, reading: Reading) -> NDArray[np.float32]:
    column = rows[reading.column]
    if reading.positive:
        return (column.astype(str) == reading.positive).to_numpy(np.float32)
    try:
        numbers = pd.to_numeric(column).to_numpy(np.float32)
    except (ValueError, TypeError) as error:
        raise ExplainerError(
            f"parameters.csv: column {reading.column!r} holds something that is no number "
            f"({error}); write the films again."
        ) from error
    if not np.isfinite(numbers).all():
        raise ExplainerError(f"parameters.csv: column {reading.column!r} has empty cells.")
    return (numbers > 0).astype(np.float32) if reading.kind == "binary" else numbers
