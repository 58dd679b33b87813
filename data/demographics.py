"""Age, sex and view as manifests and headers write them, reduced to what a study may keep."""

from __future__ import annotations

import re

SEXES = {
    "M": "M", "MALE": "M", "F": "F", "FEMALE": "F", "O": "O", "OTHER": "O",
    "": "", "U": "", "UNKNOWN": "", "NA": "", "N/A": "", "NAN": "",
}  # fmt: skip
LATERAL_VIEWS = frozenset({"LL", "RL", "LATERAL"})
VIEWS = {
    "PA": "PA", "POSTERO-ANTERIOR": "PA", "POSTEROANTERIOR": "PA",
    "AP": "AP", "ANTERO-POSTERIOR": "AP", "ANTEROPOSTERIOR": "AP",
    "LL": "LL", "LEFT LATERAL": "LL", "LLAT": "LL", "LEFT-RIGHT LATERAL": "LL",
    "RL": "RL", "RIGHT LATERAL": "RL", "RLAT": "RL", "RIGHT-LEFT LATERAL": "RL",
    "L": "LATERAL", "LAT": "LATERAL", "LATERAL": "LATERAL",
    "LLD": "LLD", "RLD": "RLD", "LLO": "LLO", "RLO": "RLO",
}  # fmt: skip
AGE = re.compile(
    r"(?P<low>\d{1,3})(?:\.\d+)?\s*(?:(?:-|–|to)\s*(?P<high>\d{1,3})\s*)?"
    r"(?P<unit>[YMWD]|YEARS?|MONTHS?|WEEKS?|DAYS?)?(?:\s*\(.*\))?\.?"
)
PER_YEAR = {"Y": 1, "M": 12, "W": 52, "D": 365}
OLDEST_BAND = 90  # ages above 89 identify people, so they share one band


def age_band(text: str) -> str | None:
    """Reduce an age to its decade.

    Parameters
    ----------
    text
        ``"67"``, ``"67.0"``, ``"067Y"``, ``"8 months"``, ``"1-5 y (cohort)"``, ``"60-69"``,
        ``"90+"`` or empty.

    Returns
    -------
    str or None
        ``"60-69"``, ``"90+"``, ``""`` for an empty text or a range over several decades, and
        ``None`` if the text is not an age.
    """
    cleaned = text.strip().upper()
    if cleaned in ("", "NA", "N/A", "NAN", "UNKNOWN"):
        return ""
    match = AGE.fullmatch(cleaned.removesuffix("+").replace("TO", "to"))
    if match is None:
        return None
    per_year = PER_YEAR[(match["unit"] or "Y")[0]]
    low = int(match["low"]) // per_year
    high = int(match["high"] or match["low"]) // per_year
    if not low <= high <= 130:
        return None
    if low >= OLDEST_BAND:
        return f"{OLDEST_BAND}+"
    decade = low // 10 * 10
    return f"{decade}-{decade + 9}" if high <= decade + 9 else ""


def normalise_sex(text: str) -> str | None:
    """Reduce to ``"M"``, ``"F"``, ``"O"`` or ``""``; ``None`` if the text is none of these."""
    return SEXES.get(text.strip().upper())


def normalise_view(text: str) -> str:
    """Reduce a projection to its DICOM code; ``""`` if it is not one that is known."""
    return VIEWS.get(" ".join(text.strip().upper().split()), "")


def is_lateral(view: str) -> bool:
    """Say whether a projection, as written or as a code, is a lateral one."""
    return normalise_view(view) in LATERAL_VIEWS
