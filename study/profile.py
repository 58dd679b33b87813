"""What is asked about a reader, once, before the first case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from study.errors import StudyError

Role: TypeAlias = Literal["radiologist", "resident", "other physician", "other"]
AiUse: TypeAlias = Literal["never", "tried", "regularly"]
DisplayGrade: TypeAlias = Literal["diagnostic", "clinical review", "consumer"]

_EXPECTED: Mapping[str, str] = {
    "role": "radiologist, resident, other physician or other",
    "years_of_practice": "a whole number from 0 to 70",
    "subspecialty": "a text of at most 120 characters",
    "prior_ai_use": "never, tried or regularly",
    "display": "diagnostic, clinical review or consumer",
    "attested": "the reader's confirmation",
}


class ReaderProfile(BaseModel):
    """Who reads, as far as an analysis needs it; no name, no address, no institution.

    Parameters
    ----------
    role
        What the reader is.
    years_of_practice
        Years of reading such films, 0 to 70.
    subspecialty
        In the reader's words; may be empty.
    prior_ai_use
        Use of software that reads films, before this study.
    display
        Grade of the display that is used for this study.
    attested
        That the reader has confirmed the display and the surroundings; nothing but ``True`` is
        kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, str_strip_whitespace=True)

    role: Role
    years_of_practice: Annotated[int, Field(ge=0, le=70)]
    subspecialty: Annotated[str, Field(max_length=120)] = ""
    prior_ai_use: AiUse
    display: DisplayGrade
    attested: Literal[True]


def read_profile(given: Mapping[str, object]) -> ReaderProfile:
    """Read a profile from untrusted values.

    Raises
    ------
    StudyError
        If an entry is missing, unknown or not allowed; one sentence that names it.
    """
    try:
        return ReaderProfile.model_validate(dict(given))
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        if name not in _EXPECTED:
            raise StudyError(
                f"The profile has no entry {name[:40]!r}; its entries are {', '.join(_EXPECTED)}."
            ) from error
        raise StudyError(
            f"The entry {name!r} of the profile is missing or not allowed; expected "
            f"{_EXPECTED[name]}."
        ) from error
