"""What all records of a protocol share: frozen, strict, and only entries that are known."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
Sentence = Annotated[str, Field(min_length=1, max_length=4000)]


def _tuple(value: object) -> object:
    """TOML arrays arrive as lists; the frozen records hold tuples."""
    return tuple(value) if isinstance(value, list) else value


FromList = BeforeValidator(_tuple)
"""Annotation of a tuple that is written as a list."""


class Record(BaseModel):
    """A frozen record that refuses unknown entries and silent conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, str_strip_whitespace=True, allow_inf_nan=False
    )
