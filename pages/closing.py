"""Closing feedback: once for each condition that the reader has read in, at the end.

Only here a condition has its name. The words come from the protocol; nothing on this page says how
often the reader or the model was right.
"""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.parts.context import Visit, enter, spoken
from pages.parts.steps import at, frame, go, refusal
from study.errors import InvalidAnswer, StudyError
from study.items import Item
from study.protocol import Condition

_CSS = """
  .st-key-column [data-testid="stForm"] { border: 0; padding: 0; }
  .st-key-column .way { color: #dfe3e8; font-size: 1.12rem; margin: 0; }
  .st-key-column .ends { display: flex; justify-content: space-between; color: #98a1ad;
                         font-size: .88rem; margin-top: -.4rem; }
"""


def _page() -> None:
    visit = enter("reader")
    step = at(visit, "closing")
    if step.condition is None:
        raise StudyError("No condition is left to be asked about; go back to the worklist.")
    condition = visit.protocol.condition(step.condition)
    frame(visit, ("/", "Worklist"), css=_CSS)
    number, n_conditions = step.sequence or (1, 1)
    with st.container(key="column"):
        st.subheader(f"Looking back, {number} of {n_conditions}", anchor=False)
        st.html(
            '<p class="quiet">Answer for the cases that were shown with</p>'
            f'<p class="way">{escape(condition.label)}</p>'
        )
        _ask(visit, condition)


def _ask(visit: Visit, condition: Condition) -> None:
    # The place and not the identifier in the keys: identifiers of conditions stay on the server.
    place = visit.protocol.conditions.index(condition) + 1
    with st.form(f"closing_{place}", border=False):
        answers = {item.id: _answer(item, place) for item in visit.protocol.closing}
        with st.container(key="action", horizontal=True):
            sent = st.form_submit_button("Save and go on", key=f"send_{place}", type="primary")
            if sent:
                _keep(visit, condition, answers, place)


def _keep(visit: Visit, condition: Condition, answers: dict[str, object], place: int) -> None:
    try:
        visit.desk().close_condition(condition.id, answers)
    except InvalidAnswer as error:
        refusal(str(error), f"closing_{place}_{error.item}")
        return
    go(visit)


def _answer(item: Item, place: int) -> object:
    """Show one question and return its answer as it stands."""
    key = f"closing_{place}_{item.id}"
    label = item.question if item.required else f"{item.question} (optional)"
    if item.kind == "likert":
        value = st.segmented_control(label, range(1, item.points + 1), key=key, width="stretch")
        _ends(item)
        return value
    if item.kind == "scale":
        value = st.number_input(label, 0, 100, value=None, step=1, key=key, placeholder="0 to 100")
        _ends(item)
        return value
    if item.kind == "text":
        return st.text_area(label, key=key, max_chars=item.max_length, height=90)
    labels = {option.id: option.label for option in item.options}
    if item.kind == "choice":
        return st.radio(label, list(labels), index=None, key=key, format_func=labels.__getitem__)
    return st.pills(
        label,
        list(labels),
        selection_mode="multi",
        key=key,
        format_func=labels.__getitem__,
    )


def _ends(item: Item) -> None:
    if item.low or item.high:
        st.html(
            f'<div class="ends"><span>{escape(item.low)}</span>'
            f"<span>{escape(item.high)}</span></div>"
        )


spoken(_page)
