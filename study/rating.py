"""Answers: what one is, and which ones a protocol allows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from numbers import Integral, Real
from typing import Literal, TypeAlias

from study.errors import InvalidAnswer
from study.items import Item, ItemKind

Answer: TypeAlias = int | str | tuple[str, ...] | tuple[tuple[float, ...], ...] | None
"""Number (likert, scale), option id or text, option ids, marks; ``None``: not answered."""

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
        The answer as :func:`validate_answers` returns it, ``None`` where an optional item was left
        out.
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
    purpose
        ``"study"``, or ``"repeat"`` where the reading is done once more.
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
    purpose: Literal["study", "repeat"] = "study"


def validate_answers(items: Sequence[Item], answers: Mapping[str, object]) -> dict[str, Answer]:
    """Check answers and bring them into their stored form.

    Parameters
    ----------
    items
        What was asked, e.g. ``protocol.items_of(condition)`` or ``protocol.closing``.
    answers
        Item identifier to answer; lists, as JSON has them, become tuples. Blank texts count as not
        given.

    Returns
    -------
    dict
        One entry for every item, in order; ``None`` where nothing was answered, and for an item
        that waits for another answer (``asked_if``) than was given, whatever may stand in it.
        Chosen options are in the protocol's order; coordinates are floats in [0, 1].

    Raises
    ------
    InvalidAnswer
        Names the first item whose answer is missing or not allowed, or that was not asked.
    """
    known = {item.id for item in items}
    for name in answers:
        if name not in known:
            raise InvalidAnswer(
                str(name),
                f"{name!r} is not asked here; expected answers to "
                f"{', '.join(item.id for item in items) or 'nothing'}.",
            )
    checked: dict[str, Answer] = {}
    for item in items:
        asked = item.asked_if is None or checked.get(item.asked_if.item) == item.asked_if.equals
        checked[item.id] = _validated(item, answers.get(item.id)) if asked else None
    return checked


def to_text(answer: Answer) -> str | int | None:
    """Return an answer as one cell of a table: marks and several options as JSON."""
    if isinstance(answer, tuple):
        return json.dumps(answer, ensure_ascii=False, allow_nan=False)
    return answer


def _validated(item: Item, answer: object) -> Answer:
    value = None if answer is None else _CHECKS[item.kind](item, answer)
    if item.required and (value is None or value == ()):
        raise InvalidAnswer(item.id, f"“{item.question}” has no answer; {_wanted(item)}.")
    return value


def _wanted(item: Item) -> str:
    """Say what a reader is to do."""
    if item.kind in ("likert", "scale"):
        return f"choose {item.lowest} to {item.highest}"
    return {
        "choice": "choose one answer",
        "multi_choice": "choose at least one answer",
        "point": "mark at least one point on the film",
        "box": "draw at least one box on the film",
    }.get(item.kind, "write an answer")


def _number(item: Item, answer: object) -> int:
    whole = isinstance(answer, Integral) and not isinstance(answer, bool)
    if not whole or not item.lowest <= int(answer) <= item.highest:  # type: ignore[call-overload]
        raise _refused(item, answer, f"a whole number from {item.lowest} to {item.highest}")
    return int(answer)  # type: ignore[call-overload]


def _text(item: Item, answer: object) -> str | None:
    if not isinstance(answer, str):
        raise _refused(item, answer, "a text")
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


def _option(item: Item, answer: object) -> str:
    ids = [option.id for option in item.options]
    if not isinstance(answer, str) or answer not in ids:
        raise _refused(item, answer, f"one of {', '.join(ids)}")
    return str(answer)


def _options(item: Item, answer: object) -> tuple[str, ...]:
    if not isinstance(answer, list | tuple):
        raise _refused(item, answer, "a list of options")
    chosen = [_option(item, each) for each in answer]
    if len(set(chosen)) < len(chosen):
        raise _refused(item, answer, "each option at most once")
    return tuple(option.id for option in item.options if option.id in chosen)


def _points(item: Item, answer: object) -> tuple[tuple[float, ...], ...]:
    return tuple(_mark(item, each, ("x", "y")) for each in _marks(item, answer))


def _boxes(item: Item, answer: object) -> tuple[tuple[float, ...], ...]:
    boxes = [_mark(item, each, ("x0", "y0", "x1", "y1")) for each in _marks(item, answer)]
    for x0, y0, x1, y1 in boxes:
        if not (x0 < x1 and y0 < y1):
            raise _refused(item, (x0, y0, x1, y1), "a box with x0 < x1 and y0 < y1")
    return tuple(boxes)


def _marks(item: Item, answer: object) -> list[object] | tuple[object, ...]:
    if not isinstance(answer, list | tuple):
        raise _refused(item, answer, "a list of marks")
    if len(answer) > item.max_marks:
        raise InvalidAnswer(
            item.id,
            f"“{item.question}” has {len(answer)} marks; remove some, at most {item.max_marks} "
            "are allowed.",
        )
    return answer


def _mark(item: Item, mark: object, names: tuple[str, ...]) -> tuple[float, ...]:
    if not isinstance(mark, list | tuple) or len(mark) != len(names):
        raise _refused(item, mark, f"a mark as ({', '.join(names)})")
    for number in mark:
        real = isinstance(number, Real) and not isinstance(number, bool)
        if not real or not 0 <= number <= 1:  # NaN fails too
            raise _refused(item, mark, "coordinates from 0 to 1")
    return tuple(float(number) + 0.0 for number in mark)  # -0.0 becomes 0.0


_CHECKS: Mapping[ItemKind, Callable[[Item, object], Answer]] = {
    "likert": _number,
    "scale": _number,
    "choice": _option,
    "multi_choice": _options,
    "text": _text,
    "point": _points,
    "box": _boxes,
}


def _refused(item: Item, answer: object, expected: str) -> InvalidAnswer:
    text = repr(answer)
    shown = text if len(text) <= 40 else f"{text[:37]}…"
    return InvalidAnswer(
        item.id, f"The answer to “{item.question}” is {shown}; expected {expected}."
    )
