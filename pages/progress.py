"""Who has read how much: one row a reader, what went wrong, and no ratings.

The coordinator sees counts, times and what readers report. Answers and the reference standard are
not read here at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from statistics import median
from typing import Final

import streamlit as st

from pages.parts.answer_words import place_words
from pages.parts.chrome import bar, local_time, menu, style
from pages.parts.context import Visit, enter, spoken
from study.clock import utc_now
from study.events import Event
from study.session import ReadingDesk
from study.steps import Overview, Step

RECENT: Final = 20  # readings that the pace is taken from
REFRESH_S: Final = 30

_CSS = """
  .st-key-sheet { max-width: 78rem; margin: 2vh auto 0; }
  .st-key-sheet h3 { font-size: 1.4rem; }
  .sheet { overflow-x: auto; }
  table.readers { width: 100%; border-collapse: collapse; color: #c9ced6; font-size: .95rem;
                  margin: 0 0 1.4rem; }
  table.readers caption { text-align: left; color: #98a1ad; padding: 0 0 .5rem; }
  table.readers th, table.readers td { text-align: left; padding: .45rem .7rem; vertical-align: top;
                                       border-bottom: 1px solid #2a3038; }
  table.readers thead th { color: #98a1ad; font-weight: 600; }
  table.readers tbody th { color: #dfe3e8; font-weight: 600; }
  table.readers td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
  table.readers td.said { white-space: pre-line; overflow-wrap: anywhere; }
  table.readers progress { width: 7rem; vertical-align: middle; margin-right: .5rem; }
  .quiet { color: #98a1ad; font-size: .92rem; margin: 0; }
"""

_STATES: Final = {
    "consent": "has not consented yet",
    "profile": "has not told the profile yet",
    "instructions": "has not accepted the instructions yet",
    "practice": "practising",
    "practice_feedback": "practising",
    "reading": "reading",
    "break": "on a break",
    "closing": "closing questions are left",
    "finished": "finished",
}
_REASONS: Final = {
    "image_quality": "image quality",
    "technical": "technical failure",
    "not_my_field": "not the reader's field",
    "other": "other",
}


@dataclass(frozen=True)
class SessionProgress:
    """Readings done and planned in one session.

    Parameters
    ----------
    session
        Number of the session, from 1.
    n_done, n_total
        Readings done, skipped ones included, and planned.
    """

    session: int
    n_done: int
    n_total: int


@dataclass(frozen=True)
class Report:
    """A problem that a reader reported, or a reading that was skipped.

    Parameters
    ----------
    at
        Server time, aware.
    reader_id
        Pseudonym.
    what
        ``"problem"`` or ``"skipped: <reason>"``.
    where
        The reading: its session, place and case; empty if it was about none.
    text
        In the reader's words; may be empty.
    """

    at: datetime
    reader_id: str
    what: str
    where: str
    text: str


@dataclass(frozen=True)
class ReaderProgress:
    """How far one reader is.

    Parameters
    ----------
    reader_id
        Pseudonym.
    overview, step
        Where the reader stands and what comes next.
    sessions
        One entry for each session.
    pace_s
        Median reading time of the last readings, in seconds; ``None`` before the first.
    last_seen
        When the reader last signed in, saw a case, answered, paused or reported; ``None`` before.
    n_breaks, break_s
        Breaks begun, and the time spent in those that have ended, in seconds.
    reports
        Problems and skips, in order.
    simulated
        Whether any reading was submitted by a simulated reader.
    """

    reader_id: str
    overview: Overview
    step: Step
    sessions: tuple[SessionProgress, ...]
    pace_s: float | None
    last_seen: datetime | None
    n_breaks: int
    break_s: float
    reports: tuple[Report, ...]
    simulated: bool

    @property
    def n_skips(self) -> int:
        """Readings skipped."""
        return self.overview.n_skipped

    @property
    def n_problems(self) -> int:
        """Problems reported."""
        return sum(report.what == "problem" for report in self.reports)


def reader_progress(visit: Visit, reader_id: str, now: datetime) -> ReaderProgress:
    """Collect the progress of one reader."""
    store = visit.site.store()
    desk = ReadingDesk(store, reader_id, lambda: now)
    with store.reading() as view:
        submitted = view.events("submitted", reader_id)
        skipped = view.events("skipped", reader_id)
        problems = view.events("problem_reported", reader_id)
        started = view.events("break_started", reader_id)
        ended = view.events("break_ended", reader_id)
        shown = view.events("displayed", reader_id)
        entered = view.events("signed_in", reader_id)
    known = (*submitted, *skipped, *problems, *started, *ended, *shown, *entered)
    done = {event.subject for event in (*submitted, *skipped)}
    recent = [float(event.payload["reading_time_s"]) for event in submitted[-RECENT:]]
    return ReaderProgress(
        reader_id,
        desk.overview(),
        desk.step(),
        _sessions(visit, reader_id, done),
        median(recent) if recent else None,
        max((event.created_at for event in known), default=None),
        len(started),
        break_seconds(started, ended),
        _reports(visit, problems, skipped),
        any(event.payload["simulated"] for event in submitted),
    )


def break_seconds(started: Sequence[Event], ended: Sequence[Event]) -> float:
    """Return the time spent in breaks that have ended, in seconds.

    Parameters
    ----------
    started, ended
        Beginnings and ends of breaks, oldest first; an end belongs to the last beginning before it.
    """
    total, began = 0.0, None
    for event in sorted((*started, *ended), key=lambda event: event.seq):
        if event.kind == "break_started":
            began = event.created_at
        elif began is not None:
            total, began = total + (event.created_at - began).total_seconds(), None
    return total


def _sessions(visit: Visit, reader_id: str, done: set[str | None]) -> tuple[SessionProgress, ...]:
    mine = [a for a in visit.site.store().assignments(reader_id) if a.purpose != "practice"]
    planned = Counter(a.session for a in mine)
    read = Counter(a.session for a in mine if a.assignment_id in done)
    return tuple(SessionProgress(s, read[s], planned[s]) for s in sorted(planned))


def _reports(
    visit: Visit, problems: Sequence[Event], skipped: Sequence[Event]
) -> tuple[Report, ...]:
    found = []
    for event in sorted((*problems, *skipped), key=lambda event: event.seq):
        problem = event.kind == "problem_reported"
        reason = str(event.payload.get("reason", "other"))
        what = "problem" if problem else f"skipped: {_REASONS.get(reason, reason)}"
        text = event.payload.get("text" if problem else "comment") or ""
        found.append(
            Report(event.created_at, event.actor, what, _where(visit, event.subject), str(text))
        )
    return tuple(found)


def _where(visit: Visit, assignment_id: str | None) -> str:
    if assignment_id is None:
        return ""
    about = visit.site.store().assignment(assignment_id)
    return f"{place_words(visit.protocol, about)} ({about.case_id}, {about.finding})"


def _page() -> None:
    visit = enter("coordinator")
    style(_CSS)
    bar(visit.protocol.study, right=menu(*_ways(visit)))
    with st.container(key="sheet"):
        st.subheader("Progress", anchor=False)
        _sheet(visit)


def _ways(visit: Visit) -> tuple[tuple[str, str], ...]:
    """Return where the menu leads; a review compares nothing, so it has no power to plan."""
    planning = () if visit.protocol.design.kind == "review" else (("/planning", "Planning"),)
    return (*planning, ("/results", "Results"))


@st.fragment(run_every=REFRESH_S)
def _sheet(visit: Visit) -> None:
    """Show the tables; drawn again by itself, and the right to see them is checked each time."""
    spoken(lambda: _tables(visit))


def _tables(visit: Visit) -> None:
    now = utc_now()
    # Not enter(): a page that draws itself again must not keep an idle login alive.
    account = visit.site.accounts().account_of(str(st.user.get("login")), now, touch=False)
    if account is None or account.role != "coordinator":
        enter("coordinator")
    rows = [reader_progress(visit, name, now) for name in visit.site.store().reader_ids]
    done = sum(row.overview.n_done_study for row in rows)
    total = sum(row.overview.n_total_study for row in rows)
    tag = '<span class="simulated">includes simulated readers</span>'
    st.html(
        f'<p class="quiet">{done} of {total} readings are done. '
        f"As of {local_time(now):%H:%M}; drawn again every {REFRESH_S} seconds. "
        f"{tag if any(row.simulated for row in rows) else ''}</p>"
    )
    st.html(_readers(rows))
    reports = sorted((r for row in rows for r in row.reports), key=lambda r: r.at, reverse=True)
    st.html(_reported(reports))
    st.html(
        f'<p class="quiet">Pace: median time of a reader\'s last {RECENT} readings. '
        "Ratings are not shown while the study runs.</p>"
    )


def _readers(rows: Sequence[ReaderProgress]) -> str:
    names = ("Reader", "Done", "Sessions", "State", "Pace", "Last seen", "Breaks")
    body = "".join(_row(row) for row in rows)
    return _table("Readers", (*names, "Skipped", "Problems"), body)


def _row(row: ReaderProgress) -> str:
    overview = row.overview
    bar_ = (
        f'<progress value="{overview.n_done_study}" max="{overview.n_total_study}" '
        f'aria-label="Readings done by {escape(row.reader_id)}"></progress>'
    )
    sessions = "<br>".join(f"{s.session}: {s.n_done} of {s.n_total}" for s in row.sessions)
    cells = (
        f"{bar_}{overview.n_done_study} of {overview.n_total_study}",
        sessions,
        escape(state_words(row.step)),
        "–" if row.pace_s is None else f"{row.pace_s / 60:.1f} min",
        _when(row.last_seen) if row.last_seen else "never",
        _breaks(row),
        str(row.n_skips),
        str(row.n_problems),
    )
    inner = "".join(f'<td class="number">{cell}</td>' for cell in cells)
    return f'<tr><th scope="row">{escape(row.reader_id)}</th>{inner}</tr>'


def _breaks(row: ReaderProgress) -> str:
    return f"{row.n_breaks} ({row.break_s / 60:.0f} min)" if row.n_breaks else "0"


def state_words(step: Step) -> str:
    """Return in words what a reader is at."""
    if step.kind == "washout" and step.opens_at is not None:
        return f"washout until {_when(step.opens_at)}"
    return _STATES.get(step.kind, step.kind)


def _reported(reports: Sequence[Report]) -> str:
    if not reports:
        return '<p class="quiet">No problem is reported and no case is skipped.</p>'
    body = "".join(
        f'<tr><td class="number">{_when(r.at)}</td><th scope="row">{escape(r.reader_id)}</th>'
        f"<td>{escape(r.what)}</td><td>{escape(r.where)}</td>"
        f'<td class="said">{escape(r.text)}</td></tr>'
        for r in reports
    )
    caption = "Problems and skipped cases, newest first"
    return _table(caption, ("When", "Reader", "What", "Where", "In the reader's words"), body)


def _table(caption: str, names: Sequence[str], body: str) -> str:
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    return (
        f'<div class="sheet" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="readers"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _when(moment: datetime) -> str:
    return f"{local_time(moment):%d %b %Y, %H:%M}"


spoken(_page)
