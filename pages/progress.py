"""Who has read how much: one line a reader, and no ratings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Final

import pandas as pd
import streamlit as st

from pages.parts.chrome import bar, local_time, menu, style
from pages.parts.context import Visit, enter, spoken
from study.clock import utc_now
from study.session import Overview, ReadingDesk
from study.store import Event, View

_RECENT: Final = 20  # readings that the pace is taken from


@dataclass(frozen=True)
class ReaderProgress:
    """How far one reader is.

    Parameters
    ----------
    reader_id
        Pseudonym.
    overview
        Where the reader stands.
    pace_s
        Median time of the last readings, in seconds; ``None`` before the first.
    last_seen
        Time of the reader's last event; ``None`` before the first.
    simulated
        Whether any reading was submitted by a simulated reader.
    """

    reader_id: str
    overview: Overview
    pace_s: float | None
    last_seen: datetime | None
    simulated: bool


def reader_progress(visit: Visit, reader_id: str, now: datetime) -> ReaderProgress:
    """Collect the progress of one reader."""
    store = visit.site.store()
    overview = ReadingDesk(store, reader_id, lambda: now).overview()
    with store.reading() as view:
        submitted = view.events("submitted", reader_id)
        seen = _last_seen(view, reader_id)
    recent = [float(event.payload["reading_time_s"]) for event in submitted[-_RECENT:]]
    return ReaderProgress(
        reader_id,
        overview,
        median(recent) if recent else None,
        seen,
        any(event.payload["simulated"] for event in submitted),
    )


def _last_seen(view: View, reader_id: str) -> datetime | None:
    events: tuple[Event, ...] = view.events(actor=reader_id)
    return events[-1].created_at if events else None


def _page() -> None:
    visit = enter("coordinator")
    style(".st-key-sheet { max-width: 70rem; margin: 3vh auto 0; }")
    protocol, now = visit.protocol, utc_now()
    bar(protocol.study, right=menu(("/results", "Results")))
    rows = [reader_progress(visit, name, now) for name in visit.site.store().reader_ids]
    with st.container(key="sheet"):
        st.subheader("Progress", anchor=False)
        done = sum(row.overview.n_done_study for row in rows)
        total = sum(row.overview.n_total_study for row in rows)
        st.markdown(f"{done} of {total} readings are done.")
        st.dataframe(
            pd.DataFrame([_row(row) for row in rows]),
            hide_index=True,
            width="stretch",
            column_config={
                "Done": st.column_config.ProgressColumn(
                    "Done", format="percent", min_value=0, max_value=1
                ),
            },
        )
        if any(row.simulated for row in rows):
            st.html('<span class="simulated">includes simulated readers</span>')
        st.caption(
            f"Pace: median time of a reader's last {_RECENT} readings. "
            "Ratings are not shown while the study runs."
        )


def _row(row: ReaderProgress) -> dict[str, object]:
    overview = row.overview
    return {
        "Reader": row.reader_id,
        "Done": overview.n_done_study / overview.n_total_study,
        "Readings": f"{overview.n_done_study} of {overview.n_total_study}",
        "Session": f"{overview.session} of {overview.n_sessions}",
        "State": _state(overview),
        "Pace": f"{row.pace_s:.0f} s a case" if row.pace_s is not None else "–",
        "Last seen": f"{local_time(row.last_seen):%d %b %Y, %H:%M}" if row.last_seen else "never",
    }


def _state(overview: Overview) -> str:
    if overview.state == "washout" and overview.opens_at is not None:
        return f"waiting until {local_time(overview.opens_at):%d %b %Y}"
    return {"open": "reading", "finished": "finished"}.get(overview.state, overview.state)


spoken(_page)
