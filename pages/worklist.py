"""Where the reader stands: what is done, what comes next, and when the next session opens."""

from __future__ import annotations

from datetime import datetime, timedelta
from html import escape

import streamlit as st

from pages.parts.answer_words import count_words, counted, seen_thing
from pages.parts.context import Visit, enter, spoken
from pages.parts.steps import frame, go, moment_words, n_practice, past_the_start
from study.steps import Overview, Step

_CSS = """
  .st-key-column .sessions { list-style: none; margin: 1rem 0 0; padding: 0; max-height: 46vh;
                             overflow-y: auto; }
  .st-key-column .sessions li { display: grid; grid-template-columns: 8rem 1fr 11rem;
                 gap: 1rem; align-items: center; padding: .7rem 1rem; margin: 0 0 .5rem;
                 color: #c9ced6; background: #12161b; border: 1px solid #2a3038;
                 border-radius: 8px; }
  .sessions li.current { border-color: #5b9bd5; }
  .sessions progress { width: 100%; }
  .sessions .state { text-align: right; color: #aeb6c1; }
"""


def _page() -> None:
    visit = enter("reader")
    step = past_the_start(visit)
    overview = visit.desk().overview()
    frame(visit, *_links(visit, overview), css=_CSS)
    with st.container(key="column"):
        heading, sentence = standing(visit, step, overview)
        st.subheader(heading, anchor=False)
        st.html(f"<p>{escape(sentence)}</p>{_sessions(visit, step, overview)}")
    words = next_words(step, overview)
    if words is not None:
        with st.container(key="action", horizontal=True):
            if st.button(words, key=f"next_{step.kind}", type="primary", shortcut="Enter"):
                go(visit)


def _links(visit: Visit, overview: Overview) -> tuple[tuple[str, str], ...]:
    links = [("/instructions", "Instructions")]
    if visit.desk().profile()[1]:
        links.append(("/profile?correct=yes", "About you"))
    if visit.protocol.study.consent:
        links.append(("/consent", "Consent"))
    if visit.protocol.design.revisions and overview.n_done_study:
        links.insert(0, ("/revise", "Earlier answers"))
    return tuple(links)


def standing(visit: Visit, step: Step, overview: Overview) -> tuple[str, str]:
    """Say in a heading and a sentence where the reader stands."""
    thing = seen_thing(visit.protocol)
    if step.kind == "finished":
        return (
            "Thank you",
            f"{_done(visit, overview)} Nothing is left to do. You may sign out.",
        )
    if step.kind == "closing":
        return f"All {thing}s are read", "A few questions about the study as a whole are left."
    if step.kind == "washout" and step.opens_at is not None:
        return (
            f"Session {overview.session} opens on {moment_words(to_the_minute(step.opens_at))}",
            "The time between the sessions is part of the study. Come back then.",
        )
    if step.kind in ("practice", "practice_feedback"):
        cases = count_words(n_practice(visit), "practice case")
        return "Practice comes first", f"You begin with {cases}. Practice does not count."
    if step.kind == "break":
        return "You are on a break", f"{_left(visit, overview)}. The break ends when you go on."
    return (
        _left(visit, overview),
        f"You may stop after any {thing}. Every submitted answer is saved.",
    )


def next_words(step: Step, overview: Overview) -> str | None:
    """Return the words of the way on; ``None`` while there is none."""
    if step.kind in ("washout", "finished"):
        return None
    if step.kind == "closing":
        return "Answer the last questions"
    if step.kind == "practice":
        return "Go to practice"
    if step.kind == "practice_feedback":
        return "Go on with practice"
    return "Go on reading" if overview.n_done else f"Start session {overview.session}"


def to_the_minute(moment: datetime) -> datetime:
    """Round up to a whole minute, so that nobody is told to come too early."""
    return (moment + timedelta(minutes=1, microseconds=-1)).replace(second=0, microsecond=0)


def _done(visit: Visit, overview: Overview) -> str:
    done = counted(visit.protocol, overview.n_total_study)
    skipped = f", {overview.n_skipped} of them skipped" if overview.n_skipped else ""
    return f"You have done {done}{skipped}."


def _left(visit: Visit, overview: Overview) -> str:
    left = counted(visit.protocol, overview.n_total - overview.n_done)
    if overview.n_sessions == 1:
        return f"{left} left"
    return f"{left} left in session {overview.session} of {overview.n_sessions}"


def _sessions(visit: Visit, step: Step, overview: Overview) -> str:
    planned = sessions_planned(visit)
    lines = "".join(
        _session(session, total, step, overview) for session, total in sorted(planned.items())
    )
    return f'<ul class="sessions" aria-label="Sessions">{lines}</ul>'


def sessions_planned(visit: Visit) -> dict[int, int]:
    """Return the number of readings that count in each session of this reader."""
    planned: dict[int, int] = {}
    for assignment in visit.site.store().assignments(visit.desk().reader_id):
        if assignment.purpose != "practice":
            planned[assignment.session] = planned.get(assignment.session, 0) + 1
    return planned


def _session(session: int, total: int, step: Step, overview: Overview) -> str:
    if session < overview.session or overview.state == "finished":
        done, state = total, "finished"
    elif session == overview.session:
        done = overview.n_done
        state = "waiting" if step.kind == "washout" else "open"
    else:
        done, state = 0, "later"
    current = ' class="current" aria-current="step"' if state == "open" else ""
    return (
        f"<li{current}><span>Session {session}</span>"
        f'<progress value="{done}" max="{total}" aria-label="Cases done in session {session}">'
        f'</progress><span class="state">{done} of {total} · {state}</span></li>'
    )


spoken(_page)
