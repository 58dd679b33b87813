"""Where the reader stands: sessions, cases done, and when the next session opens."""

from __future__ import annotations

from datetime import timedelta
from html import escape

import streamlit as st

from pages.parts.chrome import bar, local_time, menu, style
from pages.parts.context import Visit, enter, spoken
from study.session import Overview

_CSS = """
  .st-key-worklist { max-width: 46rem; margin: 6vh auto 0; }
  .session { display: grid; grid-template-columns: 8rem 1fr 9rem; gap: 1rem; align-items: center;
             padding: .8rem 1rem; background: #12161b; border: 1px solid #2a3038;
             border-radius: 8px; color: #c9ced6; margin-bottom: .6rem; }
  .session.current { border-color: #5b9bd5; }
  .session progress { width: 100%; }
  .session .state { text-align: right; color: #98a1ad; }
  .standing { font-size: 1.35rem; font-weight: 600; color: #dfe3e8; margin-bottom: .3rem; }
  .explain { color: #aeb6c1; margin-bottom: 1.2rem; }
"""


def _page() -> None:
    visit = enter("reader")
    desk = visit.desk()
    style(_CSS)
    if not desk.instructions_accepted:
        st.switch_page("instructions.py")
    overview = desk.overview()
    bar(visit.protocol.study, right=menu(("/instructions", "Instructions")))
    with st.container(key="worklist"):
        heading, sentence = _standing(overview)
        st.html(
            f'<div class="standing">{escape(heading)}</div>'
            f'<div class="explain">{escape(sentence)}</div>'
        )
        st.html("".join(_session(visit, overview, s + 1) for s in range(overview.n_sessions)))
        if overview.state == "open":
            words = "Go on reading" if overview.n_done else f"Start session {overview.session}"
            if st.button(words, type="primary", shortcut="Enter"):
                st.switch_page("reading.py")


def _standing(overview: Overview) -> tuple[str, str]:
    """Say in a heading and a sentence where the reader stands."""
    if overview.state == "finished":
        return "All cases are read", "Thank you. Nothing is left to do; you may sign out."
    if overview.state == "washout" and overview.opens_at is not None:
        opens = local_time(overview.opens_at + timedelta(seconds=59))
        return (
            f"Session {overview.session} opens on {opens:%d %B %Y at %H:%M}",
            "The time between the sessions is part of the study. Come back then.",
        )
    left = overview.n_total - overview.n_done
    cases = "1 case" if left == 1 else f"{left} cases"
    return (
        f"{cases} left in session {overview.session} of {overview.n_sessions}",
        "You may stop after any case; every submitted answer is saved.",
    )


def _session(visit: Visit, overview: Overview, session: int) -> str:
    """Return one line of the list of sessions."""
    mine = visit.site.store().assignments(visit.account.reader_id)
    total = sum(a.session == session for a in mine)
    if session < overview.session or overview.state == "finished":
        done, state = total, "finished"
    elif session == overview.session:
        done = overview.n_done
        state = "waiting" if overview.state == "washout" else "open"
    else:
        done, state = 0, "later"
    current = " current" if state == "open" else ""
    return (
        f'<div class="session{current}"><span>Session {session}</span>'
        f'<progress value="{done}" max="{total}" aria-label="cases read"></progress>'
        f'<span class="state">{done} of {total} · {state}</span></div>'
    )


spoken(_page)
