"""Names and constants of the simulator that its other modules share."""

from __future__ import annotations

from data.case import DataError

FINDINGS: tuple[str, ...] = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Lung Opacity",
    "Mass",
    "Pneumothorax",
)
"""Finding names, in the order of every vector of labels."""

SIMULATOR = "phantom/1"
"""Version of the simulator; the same parameters under another version may draw another film."""

FIELD_MM = 400.0
"""Side of the square film in millimetres."""

SEVERITY_FIELD: dict[str, str] = {
    "Atelectasis": "atelectasis_severity",
    "Cardiomegaly": "cardiomegaly_severity",
    "Effusion": "effusion_severity",
    "Lung Opacity": "lung_opacity_severity",
    "Mass": "mass_severity",
    "Pneumothorax": "pneumothorax_severity",
}
"""Finding name to the field that holds its severity."""


class InvalidParameters(DataError):
    """A parameter is unknown, missing or outside its documented range."""


def severity_field(finding: str) -> str:
    """Name of the field that holds the severity of ``finding``.

    Raises
    ------
    InvalidParameters
        If ``finding`` is not one of :data:`FINDINGS`.
    """
    try:
        return SEVERITY_FIELD[finding]
    except KeyError:
        known = ", ".join(FINDINGS)
        raise InvalidParameters(f"unknown finding {finding!r}; expected one of {known}") from None
