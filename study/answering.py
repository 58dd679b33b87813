"""What is kept of one reading: receipts, reasons for skipping, timings of the browser."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias, get_args

from study.allocation import Assignment
from study.audit import canonical_json
from study.errors import AlreadyRated, StudyError
from study.events import Event
from study.rating import Answer

SkipReason: TypeAlias = Literal["image_quality", "technical", "not_my_field", "other"]

SKIP_REASONS: Final[tuple[SkipReason, ...]] = get_args(SkipReason)
MAXIMUM_TIMING: Final = 1e9
MAXIMUM_TIMINGS: Final = 32
MAXIMUM_WORDS: Final = 2000

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Receipt:
    """Proof that something is in the record.

    Parameters
    ----------
    saved_at
        Server time of the event that holds it.
    seq
        Place of that event in the chain.
    """

    saved_at: datetime
    seq: int

    @classmethod
    def of(cls, event: Event) -> Receipt:
        """Return the receipt of an event."""
        return cls(event.created_at, event.seq)


@dataclass(frozen=True)
class DoneReading:
    """A reading that its reader has done, as it stands now.

    Parameters
    ----------
    assignment
        What was read.
    state
        Whether it was answered or skipped.
    answers
        Item identifier to answer; empty if skipped.
    seq
        Place in the chain of the latest answer, which a revision supersedes.
    submitted_at
        Server time of the latest answer.
    revisable
        Whether the reader may still replace it.
    """

    assignment: Assignment
    state: Literal["submitted", "skipped"]
    answers: Mapping[str, Answer]
    seq: int
    submitted_at: datetime
    revisable: bool


def valid_timings(client: Mapping[str, object]) -> tuple[dict[str, float], int]:
    """Keep the browser's timings that are what they should be.

    Parameters
    ----------
    client
        Untrusted names and values.

    Returns
    -------
    timings
        At most 32 short lower-case names with finite numbers from 0 to 1e9 (milliseconds: eleven
        days), as given.
    n_discarded
        Number of entries left out.
    """
    timings: dict[str, float] = {}
    for name, value in client.items():
        fits = (
            isinstance(name, str)
            and re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) is not None
            and isinstance(value, int | float)
            and not isinstance(value, bool)
            and 0 <= value <= MAXIMUM_TIMING
            and math.isfinite(value)
        )
        if fits and len(timings) < MAXIMUM_TIMINGS:
            timings[name] = value  # type: ignore[assignment]
    return timings, len(client) - len(timings)


def plain_words(text: object) -> str:
    """Return an untrusted text without control characters and surrounding blanks.

    Raises
    ------
    StudyError
        If it is no text or longer than 2000 characters.
    """
    if not isinstance(text, str):
        raise StudyError(f"Expected words, not {type(text).__name__}; write a text.")
    words = text.replace("\r\n", "\n").replace("\r", "\n")
    words = _CONTROLS.sub("", words.encode("utf-8", "replace").decode("utf-8")).strip()
    if len(words) > MAXIMUM_WORDS:
        raise StudyError(f"The text has {len(words)} characters; shorten it to {MAXIMUM_WORDS}.")
    return words


def same_answers(event: Event, given: Mapping[str, object]) -> bool:
    """Tell whether an event holds exactly these answers."""
    return canonical_json(event.payload.get("answers")) == canonical_json(given)


def repeated(earlier: Sequence[Event], given: Mapping[str, object]) -> Receipt | None:
    """Return the receipt of the same answers, if they are stored already.

    Parameters
    ----------
    earlier
        What was answered about the reading so far, oldest first.
    given
        Checked answers now submitted.

    Returns
    -------
    Receipt or None
        ``None`` if nothing was answered yet.

    Raises
    ------
    AlreadyRated
        If the reading is skipped or has different answers.
    """
    for event in earlier:
        if same_answers(event, given):
            return Receipt.of(event)
    if not earlier:
        return None
    if earlier[-1].kind == "skipped":
        raise AlreadyRated("This reading was skipped and stays skipped; go on with the next case.")
    raise AlreadyRated(
        "This reading is already rated and its answers stay as they are; go on with the next case."
    )
