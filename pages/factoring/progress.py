"""A desk that is there, or how far its preparation is."""

from __future__ import annotations

from functools import partial
from html import escape

import streamlit as st

from pages.exploring.films import Film
from pages.factoring.factors import FactorFiles
from pages.factoring.preparing import Desk, Wanted, maker
from pages.factoring.state import FactorState
from pages.factoring.styles import styles_folder
from pages.factoring.work import Preparation
from study.folder import StudyFolder

POLL_S = 0.5


def desk_of(
    folder: StudyFolder, film: Film, wanted: Wanted, files: FactorFiles, state: FactorState
) -> Desk | None:
    """Return a prepared desk, or ``None`` and have it prepared.

    What is being prepared for another film or finding is stopped.
    """
    work = state.work
    if work is not None and work.key == wanted and work.made is not None:
        state.keep(wanted, work.made)
        state.prepare(None)
    if wanted in state.desks:
        state.prepare(None)
        state.keep(wanted, state.desks[wanted])
        return state.desks[wanted]
    if work is None or work.key != wanted:
        same = [
            desk.subject
            for made, desk in state.desks.items()
            if (made.film, made.stamp) == (wanted.film, wanted.stamp)
        ]
        make = maker(
            film,
            wanted.finding,
            files,
            styles_folder(folder),
            same[-1] if same else None,
        )
        state.prepare(Preparation(wanted, make))
    return None


def show_progress(state: FactorState) -> None:
    """Show how far the preparation is, with a button that stops it; or what became of it."""
    work = state.work
    if work is None:
        return
    again = partial(state.prepare, None)
    if work.problem:
        st.html(f'<div class="remark" role="alert">{escape(work.problem)}</div>')
        st.button("Try again", key="factor_again", on_click=again)
    elif work.stopped:
        st.html('<div class="faithful" role="status">Stopped; nothing of it was kept.</div>')
        st.button("Go on", key="factor_again", on_click=again)
    else:
        _watch()


def begin(state: FactorState) -> None:
    """Start what is to be prepared; called when the page is drawn, which it would slow down."""
    work = state.work
    if work is not None and not work.stopped:
        work.start()


@st.fragment(run_every=POLL_S)
def _watch() -> None:
    work = FactorState(st.session_state).work
    if work is None or work.made is not None or work.problem or work.stopped:
        st.rerun()
    share, doing = work.state()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, doing)
        st.button("Stop", key="factor_stop", on_click=work.stop)
