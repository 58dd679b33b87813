"""The questions of a reading as a Streamlit component, and the data it is given.

The answers live in the browser and go to our own routes (:mod:`pages.web.readings`). Python learns
only that something was finished, through the trigger ``done``, and derives from the store what
comes next: the value of the trigger is never used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import streamlit as st

from study.items import Item

_HERE: Final = Path(__file__).parent

FormMode: TypeAlias = Literal["read", "practice", "revise", "review"]

_mount = st.components.v2.component(
    "counterlight.form",
    html='<div class="form-host"></div>\n',
    css=(_HERE / "form.css").read_text(encoding="utf-8"),
    js=(_HERE / "form.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class FormSettings:
    """What the form needs beside its questions.

    Parameters
    ----------
    csrf
        Token of the login; goes with every post.
    mode
        ``"read"`` and ``"practice"``: answers are autosaved and submitted. ``"revise"``: answers
        of a reading that is done, changed with a reason. ``"review"``: shown only.
    finding
        Heading of the form.
    probability
        Sentence with the classifier's prediction; empty where the protocol shows none.
    answers
        Answers to begin with: the draft, or in ``"revise"`` the answers given.
    number
        Number of the draft; 0 if there is none.
    saved_at
        When the last thing was saved for this reader; aware.
    skips
        Whether the reading may be skipped.
    supersedes
        In ``"revise"``, the ``seq`` of the answer to be replaced.
    reserved_px
        Height kept free on the page for everything above and below the form.
    """

    csrf: str = field(repr=False)
    mode: FormMode
    finding: str
    probability: str = ""
    answers: Mapping[str, object] = field(default_factory=dict)
    number: int = 0
    saved_at: datetime | None = None
    skips: bool = False
    supersedes: int | None = None
    reserved_px: int = 58


def show_form(
    assignment_id: str,
    items: Sequence[Item],
    settings: FormSettings,
    *,
    key: str,
    on_done: Callable[[], None],
) -> None:
    """Mount the form.

    Parameters
    ----------
    assignment_id
        The reading; every address the form posts to holds it.
    items
        What is asked, in order.
    settings
        What else it needs.
    key
        Streamlit key; holds ``assignment_id``, so that no state crosses over to another reading.
    on_done
        Called before the next run of the script, after the server has acknowledged a submission or
        a skip, or when the reading turned out to be over.
    """
    data = form_data(assignment_id, items, settings)
    _mount(key=key, data=data, height="content", on_done_change=on_done)


def form_data(assignment_id: str, items: Sequence[Item], settings: FormSettings) -> dict[str, Any]:
    """Return the JSON that goes to the browser: questions, answers so far, words."""
    return {
        "id": assignment_id,
        "items": [_item_data(item) for item in items],
        "csrf": settings.csrf,
        "mode": settings.mode,
        "finding": settings.finding,
        "probability": settings.probability,
        "answers": dict(settings.answers),
        "number": settings.number,
        "savedAt": settings.saved_at.isoformat() if settings.saved_at is not None else "",
        "skips": settings.skips,
        "supersedes": settings.supersedes,
        "reserved": settings.reserved_px,
    }


def _item_data(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "kind": item.kind,
        "question": item.question,
        "low": item.low,
        "high": item.high,
        "points": item.points,
        "required": item.required,
        "maxLength": item.max_length,
        "options": [{"id": option.id, "label": option.label} for option in item.options],
        "maxMarks": item.max_marks,
        "askedIf": None if item.asked_if is None else item.asked_if.model_dump(),
    }
