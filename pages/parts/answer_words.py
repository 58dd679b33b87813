"""Answers and places in words, where a reader meets again what was read and answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Final

from study.allocation import Assignment
from study.items import Item
from study.protocol import StudyProtocol

NOT_ANSWERED = "no answer"


def percent(probability: float) -> str:
    """Return whole percent; no prediction is said to be certain."""
    if probability > 0.99:
        return "over 99 %"
    if probability < 0.01:
        return "under 1 %"
    return f"{100 * probability:.0f} %"


def answer_words(item: Item, answer: object) -> str:
    """Return one answer as a reader would say it.

    Parameters
    ----------
    item
        The question.
    answer
        As stored: a number, a text, identifiers of options, or marks on the film; ``None`` where
        nothing was answered.
    """
    if answer is None:
        return NOT_ANSWERED
    if item.kind == "likert":
        return f"{answer} of {item.points}"
    if item.kind == "scale":
        return f"{answer} of 100"
    labels = {option.id: option.label for option in item.options}
    if item.kind == "choice":
        return labels.get(str(answer), str(answer))
    if item.kind == "multi_choice" and isinstance(answer, list | tuple):
        return ", ".join(labels.get(str(one), str(one)) for one in answer) or "none of them"
    if item.kind in ("point", "box") and isinstance(answer, list | tuple):
        return count_words(len(answer), "mark")
    return str(answer)


def answer_list(items: Sequence[Item], answers: Mapping[str, object]) -> str:
    """Return questions with their answers as an HTML list of terms.

    Parameters
    ----------
    items
        Questions in the order in which they were asked.
    answers
        Item identifier to answer.
    """
    lines = "".join(
        f"<dt>{escape(item.question)}</dt>"
        f"<dd>{escape(answer_words(item, answers.get(item.id)))}</dd>"
        for item in items
    )
    return f'<dl class="answers">{lines}</dl>'


def place_words(protocol: StudyProtocol, assignment: Assignment) -> str:
    """Return where a reading stands in its reader's study, without its condition.

    In a sequential design two readings in a row are about one case.
    """
    if assignment.purpose == "practice":
        return f"practice case {assignment.position}"
    place, stage = assignment.position, ""
    if protocol.design.kind == "sequential":
        place = (assignment.position + 1) // 2
        stage = ", first answer" if assignment.position % 2 else ", second answer"
    if protocol.design.kind == "review":
        return f"card {place}"
    return f"session {assignment.session}, case {place}{stage}"


_THINGS: Final = MappingProxyType({"sequential": "reading", "review": "card"})
"""What a reading is called, by the kind of design; in all others it is a case."""


def counted(protocol: StudyProtocol, number: int) -> str:
    """Return a number of readings in words; a sequential design has two to a case."""
    return count_words(number, _THINGS.get(protocol.design.kind, "case"))


def seen_thing(protocol: StudyProtocol) -> str:
    """Return what a reader sees one of at a time: a card of a review, else a case."""
    return "card" if protocol.design.kind == "review" else "case"


def count_words(number: int, thing: str) -> str:
    """Return a number with its thing, in the plural unless it is one."""
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"
