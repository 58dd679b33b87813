"""What can be planted into a real film, and everything that determines one planted finding."""

from __future__ import annotations

from dataclasses import dataclass

from data.case import DataError

PLANTABLE = ("Atelectasis", "Effusion", "Lung Opacity", "Mass", "Pneumothorax")
"""Findings that can be planted: those that only change the lung."""
MIN_SEVERITY, MAX_SEVERITY = 0.05, 1.0


class UnknownFinding(DataError):
    """A finding that cannot be planted."""


class CannotPlant(DataError):
    """A film in whose lungs a finding finds no place."""


@dataclass(frozen=True)
class Planting:
    """Everything that determines a planted finding.

    Parameters
    ----------
    finding
        One of :data:`PLANTABLE`.
    severity
        In [0.05, 1]: how large and dense.
    side
        ``"R"`` or ``"L"``, the patient's.
    lateral, height
        Where in the lung, in [0, 1]: 0 medial to 1 lateral, 0 apex to 1 base. Effusion and
        pneumothorax have their own place.
    angle_deg
        Tilt of a plate-like atelectasis.
    seed
        Draws outlines and texture.

    Raises
    ------
    UnknownFinding
        If ``finding`` is not known.
    CannotPlant
        If a number is out of range.
    """

    finding: str
    severity: float
    side: str
    lateral: float = 0.5
    height: float = 0.5
    angle_deg: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_finding(self.finding)
        if not MIN_SEVERITY <= self.severity <= MAX_SEVERITY:
            raise CannotPlant(
                f"The severity is {self.severity:g}; expected {MIN_SEVERITY:g} to {MAX_SEVERITY:g}."
            )
        if self.side not in ("R", "L") or not (0 <= self.lateral <= 1 and 0 <= self.height <= 1):
            raise CannotPlant(
                f"Side {self.side!r}, lateral {self.lateral:g}, height {self.height:g}: expected "
                "R or L and positions from 0 to 1."
            )


def check_finding(finding: str) -> str:
    """Return the finding if it can be planted.

    Raises
    ------
    UnknownFinding
        Otherwise.
    """
    if finding not in PLANTABLE:
        raise UnknownFinding(
            f"{finding!r} cannot be planted; expected one of {', '.join(PLANTABLE)}."
        )
    return finding
