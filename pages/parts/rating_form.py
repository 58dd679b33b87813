"""The questions of a reading, made from the protocol's items."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import streamlit as st

from study.protocol import Item, StudyProtocol
from study.rating import Answer


def item_key(assignment_id: str, item: Item) -> str:
    """Return the Streamlit key of an item's widget; it belongs to one reading."""
    return f"answer_{assignment_id}_{item.id}"


def digit_keys(assignment_id: str, protocol: StudyProtocol) -> tuple[str, ...]:
    """Return the keys of the items that the digits on the keyboard answer, in order."""
    return tuple(item_key(assignment_id, i) for i in protocol.items if i.kind == "likert")


def ask(
    assignment_id: str,
    protocol: StudyProtocol,
    drafted: Mapping[str, object],
    missing: frozenset[str],
) -> dict[str, object]:
    """Show every item and return the answers as they stand.

    Parameters
    ----------
    assignment_id
        The reading; part of every key, so that no answer can pass to another case.
    protocol
        Declares the items.
    drafted
        Answers kept from before a reload, by item identifier.
    missing
        Identifiers of items to be marked.

    Returns
    -------
    dict
        Item identifier to answer, ``None`` where there is none yet.
    """
    answers: dict[str, object] = {}
    number = 0
    for item in protocol.items:
        key = item_key(assignment_id, item)
        with st.container(key=f"item_{key}", gap=None):
            if item.kind == "likert":
                number += 1
                answers[item.id] = _scale(item, key, number, drafted.get(item.id))
            else:
                answers[item.id] = _text(item, key, drafted.get(item.id))
            needed = item.id in missing and answers[item.id] in (None, "")
            _line_below(item, f"item_{key}", needed)
    return answers


def _scale(item: Item, key: str, number: int, drafted: object) -> Answer:
    options = list(range(1, item.points + 1))
    _restore(key, drafted if drafted in options else None)
    return st.segmented_control(
        f"{number}  {item.question}", options, key=key, required=True, width="stretch"
    )


def _text(item: Item, key: str, drafted: object) -> Answer:
    _restore(key, drafted if isinstance(drafted, str) else None)
    label = item.question if item.required else f"{item.question} (optional)"
    return st.text_area(label, key=key, max_chars=item.max_length, height=90)


def _restore(key: str, drafted: object) -> None:
    """Put a kept answer back; only where the widget has no value of its own in this login."""
    if drafted is not None and key not in st.session_state:
        st.session_state[key] = drafted


def _line_below(item: Item, container: str, needed: bool) -> None:
    """Show the ends of the scale, and between them what is missing; the form never moves."""
    if item.kind == "text" and not item.required:
        return
    middle = '<span class="needed" role="alert">needs an answer</span>' if needed else ""
    outline = ""
    if needed:
        rule = "outline: 2px solid #d98a4b; outline-offset: 3px;"
        outline = f"<style>.st-key-{container} {{ {rule} }}</style>"
    st.html(
        f'<div class="anchors"><span>{escape(item.low)}</span>{middle}'
        f"<span>{escape(item.high)}</span></div>{outline}"
    )
