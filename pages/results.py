"""What came out: the declared primary endpoint first, then figures, tables and downloads.

While readings are missing the page shows counts only, until the coordinator asks for interim
results and has read what that costs. Mixed models and files are made beside the page and kept for
as long as the record stays as it is.
"""

from __future__ import annotations

import streamlit as st

from pages.outcome.review import show_review
from pages.outcome.view import (
    STYLE,
    WARNING,
    show_counts,
    show_downloads,
    show_figures,
    show_primary,
    show_sections,
    show_words,
)
from pages.outcome.work import ReportWork
from pages.parts.chrome import bar, menu, notice, style
from pages.parts.context import enter, spoken
from study.analysis.estimate import AnalysisError
from study.audit import verify
from study.clock import utc_now
from study.environment import this_environment
from study.folder import StudyFolder
from study.reporting import Gathered, gather, material_of
from study.store import StudyStore


def _page() -> None:
    visit = enter("coordinator")
    if visit.protocol.design.kind == "review":
        show_review(visit)
        return
    style(STYLE)
    bar(visit.protocol.study, right=menu(("/", "Progress"), ("/planning", "Planning")))
    root, store = str(visit.site.folder.root), visit.site.store()
    head = store.head
    gathered = _gathered(root, head, store)
    if gathered.ratings.empty:
        notice("No ratings yet", "The results appear as soon as a case is read in both conditions.")
        return
    with st.container(key="sheet"):
        if gathered.counts.missing and not _confirmed(gathered):
            return
        try:
            work = _work(root, head, gathered)
        except AnalysisError as error:
            notice("Not enough ratings yet", str(error))
            show_downloads(gathered, None, None)
            return
        if work.given_up:
            _work.clear()
            work = _work(root, head, gathered)
        _show(work, root, head)


def _confirmed(gathered: Gathered) -> bool:
    """Show counts, and let the coordinator ask for more."""
    if st.session_state.get("interim"):
        return True
    show_counts(gathered)
    st.warning(WARNING, icon="⚠️")
    understood = st.checkbox("I have read this and want to see interim results", key="understood")
    if st.button("Show interim results", disabled=not understood, key="show_interim"):
        st.session_state["interim"] = True
        st.rerun()
    return False


def _show(work: ReportWork, root: str, head: str) -> None:
    show_primary(work.material)
    if work.running:
        _progress(work, work.stage)
    if work.problem:
        st.error(work.problem)
    report = work.report
    show_figures(work.material.analysis, root, head)
    if report is not None:
        show_sections(report)
        show_words(report)
    show_downloads(work.gathered, report, work.archive)


@st.fragment(run_every=1.0)
def _progress(work: ReportWork, shown: int) -> None:
    """Show what is being made, and the page anew when there is more to be shown."""
    share, doing = work.state()
    if work.stage > shown or not work.running:
        st.rerun()
    st.progress(share, text=f"{doing} …")


@st.cache_resource(max_entries=2, show_spinner="Reading the record …")
def _gathered(root: str, head: str, _store: StudyStore) -> Gathered:
    """Read the record once for each of its states; ``head`` stands for the state."""
    folder = StudyFolder.open(root)
    return gather(folder, _store, verify(folder.database).problems)


@st.cache_resource(max_entries=2, show_spinner="Analysing the ratings …")
def _work(root: str, head: str, _gathered: Gathered) -> ReportWork:
    """Analyse once for each state of the record, and begin with the rest of the report."""
    work = ReportWork(_gathered, material_of(_gathered), this_environment(utc_now()))
    work.start()
    return work


spoken(_page)
