"""Answers of a reading that is not submitted yet, kept in the store as they are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from study.allocation import Assignment
from study.store import StudyStore

_KIND: Final = "draft"


@dataclass(frozen=True)
class Draft:
    """Answers as they stood at some moment.

    Parameters
    ----------
    answers
        Item identifier to answer; only those given.
    saved_at
        When the store had them.
    """

    answers: Mapping[str, object]
    saved_at: datetime


def latest_draft(store: StudyStore, assignment: Assignment) -> Draft | None:
    """Return the answers last kept for a reading by its reader, or ``None``."""
    events = store.events(_KIND, actor=assignment.reader_id, subject=assignment.assignment_id)
    if not events:
        return None
    answers = events[-1].payload.get("answers")
    return Draft(answers if isinstance(answers, Mapping) else {}, events[-1].created_at)


def keep_draft(
    store: StudyStore,
    assignment: Assignment,
    answers: Mapping[str, object],
    known: Draft | None,
) -> datetime | None:
    """Keep the answers if they differ from what is known, and return when they were kept.

    Parameters
    ----------
    store
        The study's store.
    assignment
        The reading they belong to.
    answers
        As the form has them now.
    known
        What :func:`latest_draft` returned.
    """
    given = {name: value for name, value in answers.items() if value not in (None, "")}
    if known is None and not given:
        return None
    if known is not None and dict(known.answers) == given:
        return known.saved_at
    event = store.append(
        _KIND, assignment.reader_id, {"answers": given}, subject=assignment.assignment_id
    )
    return event.created_at
