"""Earlier answers: a list of what the reader has done, and one reading opened again.

Opening a reading shows the same pictures and the answers given. A change needs a reason and is
stored as a revision beside the earlier answer, which stays on record.
"""

from __future__ import annotations

from html import escape
from typing import Final

import streamlit as st

from pages.parts.answer_words import place_words, seen_thing
from pages.parts.chrome import local_time, notice
from pages.parts.context import Visit, enter, spoken
from pages.parts.desk_view import show_reading
from pages.parts.steps import at, frame, go
from study.answering import DoneReading

ROWS: Final = 8  # rows of the list that fit on a screen of 1366 x 768
_DID: Final = {"submitted": "answered", "revised": "changed", "skipped": "skipped"}
_CSS = """
  .st-key-column { max-width: 60rem; }
  .st-key-action { padding: .7rem max(1rem, calc(50vw - 30rem)); }
  .st-key-column [data-testid="stHorizontalBlock"] { align-items: center; }
  .done { color: #c9ced6; }
  .done b { color: #dfe3e8; font-weight: 600; }
  .done span { color: #98a1ad; }
"""


def _page() -> None:
    visit = enter("reader")
    at(visit, "reading", "washout", "closing", "finished")
    if not visit.protocol.design.revisions:
        frame(visit, ("/", "Worklist"))
        notice(
            "Answers stay as they are",
            "In this study a submitted answer cannot be changed.",
            link=("/", "To the worklist"),
        )
        return
    done = visit.desk().done()
    chosen = _chosen(done)
    if chosen is None:
        _list(visit, done)
    else:
        show_reading(visit, chosen.assignment, mode="revise")


def _chosen(done: tuple[DoneReading, ...]) -> DoneReading | None:
    """Return the reading that the address names, if it is one that may be opened."""
    name = st.query_params.get("reading")
    found = next((reading for reading in done if reading.assignment.assignment_id == name), None)
    return found if found is not None and found.revisable else None


def _list(visit: Visit, done: tuple[DoneReading, ...]) -> None:
    frame(visit, ("/", "Worklist"), css=_CSS)
    n_pages = max(1, -(-len(done) // ROWS))
    page = min(st.session_state.get("revise_page", 0), n_pages - 1)
    with st.container(key="column"):
        st.subheader("Earlier answers", anchor=False)
        st.html(
            '<p class="quiet">This session, newest first. A change needs a reason; '
            "the earlier answer is kept beside it.</p>"
        )
        if not done:
            st.html("<p>No reading is done yet.</p>")
        for reading in done[page * ROWS : (page + 1) * ROWS]:
            _row(visit, reading)
    with st.container(key="action", horizontal=True):
        if st.button("Go on reading", key="back_to_reading", type="primary"):
            go(visit)
        if page + 1 < n_pages and st.button("Older", key="older"):
            _turn_to(page + 1)
        if page > 0 and st.button("Newer", key="newer"):
            _turn_to(page - 1)
        if n_pages > 1:
            st.html(f'<p class="quiet">Page {page + 1} of {n_pages}</p>')


def _turn_to(page: int) -> None:
    st.session_state["revise_page"] = page
    st.rerun()


def _row(visit: Visit, reading: DoneReading) -> None:
    assignment = reading.assignment
    words, way = st.columns([5, 1])
    case = place_words(visit.protocol, assignment)
    with words:
        st.html(
            f'<div class="done"><b>{escape(assignment.finding)}</b> · {case} '
            f"<span>· {escape(_history(visit, reading))}</span></div>"
        )
    with way:
        # Which case in the label, so that the buttons differ for a screen reader.
        label = f"Open {seen_thing(visit.protocol)} {assignment.position}"
        key = f"open_{assignment.assignment_id}"
        if reading.revisable and st.button(label, key=key, width="stretch"):
            st.query_params["reading"] = assignment.assignment_id
            st.rerun()


def _history(visit: Visit, reading: DoneReading) -> str:
    """Return when a reading was answered and changed, and what the reader gave as reason."""
    with visit.site.store().reading() as view:
        events = view.submissions(reading.assignment.assignment_id)
    said = []
    for event in events:
        words = f"{_DID.get(event.kind, event.kind)} {local_time(event.created_at):%d %b, %H:%M}"
        reason = str(event.payload.get("reason", "")) if event.kind == "revised" else ""
        said.append(f"{words} ({reason})" if reason else words)
    return " · ".join(said)


spoken(_page)
