"""Answers that are not submitted yet: kept as they are given, gone once they are submitted.

A draft is no part of the record. It is changed in place, is not hashed, is not exported, and the
transaction that stores the answers of a reading removes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from study.audit import canonical_json
from study.clock import moment, timestamp
from study.errors import StudyError
from study.events import View, Writer
from study.schema import drafts as drafts_table

MAXIMUM_DRAFT: Final = 100_000
MAXIMUM_NUMBER: Final = 2**53
_DEPTH: Final = 3
_LENGTH: Final = 64


@dataclass(frozen=True)
class Draft:
    """Answers as they stood at some moment.

    Parameters
    ----------
    answers
        Item identifier to answer as the form sent it; only those given, and not yet checked
        against the items.
    number
        Number of the change, by the form's count.
    saved_at
        When the store had it.
    """

    answers: Mapping[str, object]
    number: int
    saved_at: datetime


def read_draft(view: View, assignment_id: str, reader_id: str) -> Draft | None:
    """Return the draft of a reader's reading, or ``None``."""
    columns = drafts_table.c
    query = select(columns.answers, columns.number, columns.saved_at).where(
        columns.assignment_id == assignment_id, columns.reader_id == reader_id
    )
    row = view.connection.execute(query).first()
    return None if row is None else Draft(json.loads(row[0]), row[1], moment(row[2]))


def write_draft(
    writer: Writer, assignment_id: str, reader_id: str, answers: Mapping[str, object], number: int
) -> datetime:
    """Keep a draft, unless a later one is there already.

    Returns
    -------
    datetime
        When the draft that is now stored was saved.
    """
    known = read_draft(writer, assignment_id, reader_id)
    if known is not None and known.number > number:
        return known.saved_at
    row = {
        "assignment_id": assignment_id,
        "reader_id": reader_id,
        "number": number,
        "answers": canonical_json(answers),
        "saved_at": timestamp(writer.now),
    }
    writer.connection.execute(
        upsert(drafts_table)
        .values(row)
        .on_conflict_do_update(index_elements=["assignment_id"], set_=row)
    )
    return writer.now


def remove_draft(writer: Writer, assignment_id: str) -> None:
    """Remove the draft of a reading, if there is one."""
    writer.connection.execute(
        delete(drafts_table).where(drafts_table.c.assignment_id == assignment_id)
    )


def checked_draft(
    answers: Mapping[str, object], number: object, known_items: Collection[str]
) -> tuple[dict[str, object], int]:
    """Check an untrusted draft as far as it must be: size, plain values, its number.

    Unknown items and values that no answer can have are left out, and so are empty answers.

    Raises
    ------
    StudyError
        If the number is no whole number from 0 on, or the draft is too long.
    """
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < MAXIMUM_NUMBER:
        raise StudyError(
            f"The draft has the number {str(number)[:40]!r}; expected a whole number from 0 on, "
            "one higher with every change."
        )
    kept = {
        name: _writable(value)
        for name, value in answers.items()
        if name in known_items and value not in (None, "", [], ()) and _is_plain(value, _DEPTH)
    }
    if len(canonical_json(kept)) > MAXIMUM_DRAFT:
        raise StudyError(
            f"The draft is longer than {MAXIMUM_DRAFT} characters; shorten its texts to keep it."
        )
    return kept, number


def _is_plain(value: object, depth: int) -> bool:
    if isinstance(value, str):
        return True
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value) <= MAXIMUM_NUMBER and math.isfinite(value)
    if isinstance(value, list | tuple) and depth:
        return len(value) <= _LENGTH and all(_is_plain(each, depth - 1) for each in value)
    return False


def _writable(value: object) -> object:
    """Replace lone surrogates, which a browser can send and nothing can write as UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return [_writable(each) for each in value] if isinstance(value, list | tuple) else value
