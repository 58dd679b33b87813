"""Consent: its text and version, and the moment it was given."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from pages.parts.context import Visit, enter, spoken
from pages.parts.steps import at, frame, go, moment_words


def _page() -> None:
    visit = enter("reader")
    study = visit.protocol.study
    if not study.consent:
        go(visit)
    given = consented_at(visit)
    if given is None:
        at(visit, "consent")
    frame(visit, *(() if given is None else (("/", "Worklist"),)))
    with st.container(key="column"):
        st.subheader("Consent", anchor=False)
        st.html(f'<p class="quiet">Version {study.consent_version}</p>')
        st.markdown(study.consent.strip().replace("\n", "  \n"), unsafe_allow_html=False)
    with st.container(key="action", horizontal=True):
        if given is None:
            _ask(visit)
        else:
            _say(visit, given)


def consented_at(visit: Visit) -> datetime | None:
    """Return when this reader consented, or ``None``."""
    given = visit.site.store().events("consented", visit.desk().reader_id)
    return given[0].created_at if given else None


def _ask(visit: Visit) -> None:
    if st.button("I consent", key="consent", type="primary"):
        visit.desk().consent()
        go(visit)
    st.html(
        '<p class="quiet">Your consent is kept with its version and time. '
        "If you do not want to take part, sign out.</p>"
    )


def _say(visit: Visit, given: datetime) -> None:
    if st.button("Go on", key="consent_on", type="primary", shortcut="Enter"):
        go(visit)
    st.html(f'<p class="quiet">You consented on {moment_words(given)}.</p>')


spoken(_page)
