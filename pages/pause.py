"""A break: offered by the protocol or taken by the reader; its time is recorded."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from pages.parts.answer_words import counted, seen_thing
from pages.parts.chrome import local_time
from pages.parts.context import Visit, enter, spoken
from pages.parts.steps import at, frame, go


def _page() -> None:
    visit = enter("reader")
    step = at(visit, "break", "reading", "practice")
    frame(visit, ("/instructions", "Instructions"))
    since = break_since(visit) if step.kind == "break" else None
    with st.container(key="column"):
        if since is not None:
            _during(visit, since)
        elif step.kind == "break":
            _offered(visit)
        else:
            _wanted(visit)


def break_since(visit: Visit) -> datetime | None:
    """Return when the break began that the reader is in, or ``None`` outside of one."""
    reader_id = visit.desk().reader_id
    with visit.site.store().reading() as view:
        started = view.events("break_started", reader_id)
        ended = view.events("break_ended", reader_id)
    if not started or (ended and ended[-1].seq > started[-1].seq):
        return None
    return started[-1].created_at


def _during(visit: Visit, since: datetime) -> None:
    st.subheader("You are on a break", anchor=False)
    st.html(
        f"<p>Since {local_time(since):%H:%M}. The time is recorded as a break. "
        "You may sign out and come back later.</p>"
    )
    with st.container(key="action", horizontal=True):
        _go_on(visit)


def _offered(visit: Visit) -> None:
    st.subheader("Time for a break", anchor=False)
    st.html(f"<p>{standing(visit)} You may rest now, or go on at once.</p>")
    with st.container(key="action", horizontal=True):
        _go_on(visit)
        _begin(visit, "Take a break")


def _wanted(visit: Visit) -> None:
    st.subheader("Take a break?", anchor=False)
    thing = seen_thing(visit.protocol)
    st.html(
        f"<p>{standing(visit)} Your {thing} waits; answers given so far are kept. "
        "The time of the break is recorded.</p>"
    )
    with st.container(key="action", horizontal=True):
        _begin(visit, "Begin the break", primary=True)
        if st.button("Go on reading", key="no_break"):
            go(visit)


def standing(visit: Visit) -> str:
    """Return in a sentence how far the session has come."""
    overview = visit.desk().overview()
    done = counted(visit.protocol, overview.n_done)
    return f"Done in this session: {done} of {overview.n_total}."


def _go_on(visit: Visit) -> None:
    if st.button("Go on reading", key="end_break", type="primary", shortcut="Enter"):
        visit.desk().end_break()
        go(visit)


def _begin(visit: Visit, words: str, *, primary: bool = False) -> None:
    if st.button(
        words,
        key="start_break",
        type="primary" if primary else "secondary",
        shortcut="Enter" if primary else None,
    ):
        visit.desk().start_break()
        st.rerun()


spoken(_page)
