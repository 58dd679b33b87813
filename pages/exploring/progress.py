"""Results of a request: kept ones, archived ones, and those still being computed."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

import streamlit as st

from pages.exploring.explanations import archived, computer, preparer
from pages.exploring.request import Request, Task
from pages.exploring.work import Result, Work
from study.folder import StudyFolder

KEPT = 96  # results that one window keeps, the latest first
POLL_S = 1.0  # polled more often, the page takes the interpreter from the computation


def results(request: Request, folder: StudyFolder) -> Mapping[Task, Result]:
    """Return what there is of a request; :func:`begin` has the rest computed.

    A computation for another request is stopped; one that was stopped by hand stays so until it
    is asked for.
    """
    state = st.session_state
    kept: MutableMapping[Task, Result] = state.setdefault("results", {})
    work: Work | None = state.get("work")
    if work is not None:
        kept.update(work.results())
    wanted = request.tasks()
    for task in wanted:
        if task not in kept and (found := archived(request, folder, task)) is not None:
            kept[task] = found
    missing = [task for task in wanted if task not in kept]
    if work is not None and not set(missing) <= set(work.tasks):
        work.stop()
        work = None
    stopped: set[Task] = state.setdefault("stopped", set())
    if work is not None and missing and not work.running and not work.has_news:
        stopped |= set(missing)  # it ended by itself, since nobody was looking
        work = None
    if missing and work is None and not set(missing) & stopped:
        work = Work(missing, computer(request, kept), preparer(request))
    if not missing and work is not None:
        work.stop()
        work = None
    state["work"] = work
    while len(kept) > KEPT:
        kept.pop(next(iter(kept)))
    return {task: kept[task] for task in wanted if task in kept}


def begin() -> None:
    """Start what is to be computed; called when the page is drawn, which it would slow down."""
    work: Work | None = st.session_state.get("work")
    if work is not None:
        work.start()


def show_progress(request: Request, found: Mapping[Task, Result]) -> None:
    """Show how far the computation is, with a button that stops it; or one that goes on."""
    missing = [task for task in request.tasks() if task not in found]
    work: Work | None = st.session_state.get("work")
    if not missing:
        return
    if work is not None:
        _watch()
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(f'<div class="reached" role="status">Stopped; {_still(missing)}.</div>')
        st.button("Compute the rest", key="resume", on_click=_resume)


@st.fragment(run_every=POLL_S)
def _watch() -> None:
    work: Work | None = st.session_state.get("work")
    if work is None:  # stopped a moment ago; the page says so
        st.rerun()
    if work.has_news or not work.running:
        st.rerun()
    share, doing = work.state()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, f"Computing {doing}")
        st.button("Stop", key="stop", on_click=_stop)


def _stop() -> None:
    work: Work | None = st.session_state.get("work")
    if work is None:
        return
    work.stop()
    kept: MutableMapping[Task, Result] = st.session_state.setdefault("results", {})
    kept.update(work.results())
    st.session_state["stopped"] = {task for task in work.tasks if task not in kept}
    st.session_state["work"] = None


def _resume() -> None:
    st.session_state["stopped"] = set()


def _still(missing: list[Task]) -> str:
    titles = list(dict.fromkeys(task.title for task in missing))
    more = f" and {len(titles) - 2} more" if len(titles) > 2 else ""
    return f"not computed: {', '.join(titles[:2])}{more}"
