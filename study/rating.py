"""Answers: what one is, and which ones a protocol allows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from numbers import Integral

from study.errors import InvalidAnswer
from study.protocol import Item, StudyProtocol

Answer = int | str | None

# C0 and C1 controls except tab and newline: they cannot be typed and break tables.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Rating:
    """One item's answer in one reading.

    Parameters
    ----------
    assignment_id
        The reading.
    reader_id
        Pseudonym of the reader.
    item
        Identifier of the item.
    value
        Integer from 1 to the item's points, text, or ``None`` where an optional item was left out.
    revision
        0 for the first answer, 1 for the first revision, and so on.
    supersedes
        Sequence number of the submission that this one replaces, or ``None``.
    submitted_at
        Server time, aware.
    reading_time_s
        Seconds from the first display to the first submission, by the server's clock.
    simulated
        Whether a simulated reader gave it.
    seq
        Sequence number of the event that holds the submission.
    """

    assignment_id: str
    reader_id: str
    item: str
    value: Answer
    revision: int
    supersedes: int | None
    submitted_at: datetime
    reading_time_s: float
    simulated: bool
    seq: int


def validate_answers(protocol: StudyProtocol, answers: Mapping[str, object]) -> dict[str, Answer]:
    """Check the answers of one reading and bring them into their stored form.

    Parameters
    ----------
    protocol
        Declares the items.
    answers
        Item identifier to answer. Likert answers are integers; blank texts count as not given.

    Returns
    -------
    dict
        One entry for every item of the protocol, in its order; ``None`` where nothing was answered.

    Raises
    ------
    InvalidAnswer
        Names the first item whose answer is missing or not allowed, or that does not exist.
    """
    known = {item.id for item in protocol.items}
    for name in answers:
        if name not in known:
            raise InvalidAnswer(
                str(name),
                f"{name!r} is not an item of this study; its items are {', '.join(sorted(known))}.",
            )
    return {item.id: _validated(item, answers.get(item.id)) for item in protocol.items}


def _validated(item: Item, answer: object) -> Answer:
    value = _scale_value(item, answer) if item.kind == "likert" else _text_value(item, answer)
    if value is None and item.required:
        wanted = f"choose 1 to {item.points}" if item.kind == "likert" else "write an answer"
        raise InvalidAnswer(item.id, f"“{item.question}” has no answer; {wanted}.")
    return value


def _scale_value(item: Item, answer: object) -> int | None:
    if answer is None:
        return None
    whole = isinstance(answer, Integral) and not isinstance(answer, bool)
    if not whole or not 1 <= int(answer) <= item.points:  # type: ignore[call-overload]
        raise InvalidAnswer(
            item.id,
            f"The answer to “{item.question}” is {_shown(answer)}; expected a whole number from 1 "
            f"to {item.points}.",
        )
    return int(answer)  # type: ignore[call-overload]


def _text_value(item: Item, answer: object) -> str | None:
    if answer is None:
        return None
    if not isinstance(answer, str):
        raise InvalidAnswer(
            item.id, f"The answer to “{item.question}” is {_shown(answer)}; expected a text."
        )
    text = answer.replace("\r\n", "\n").replace("\r", "\n")
    # Lone surrogates can come from a browser and cannot be written as UTF-8.
    text = _CONTROLS.sub("", text.encode("utf-8", "replace").decode("utf-8")).strip()
    if len(text) > item.max_length:
        raise InvalidAnswer(
            item.id,
            f"The answer to “{item.question}” has {len(text)} characters; shorten it to "
            f"{item.max_length}.",
        )
    return text or None


def _shown(answer: object) -> str:
    text = repr(answer)
    return text if len(text) <= 40 else f"{text[:37]}…"
