"""One reading on the screen: the bar above, the viewer at the left, the form at the right.

Used by the pages that read, practise and revise. Everything is derived from the store at every
run; every key holds the assignment's identifier. Condition, method and source are never sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Final, Literal, TypeAlias

import streamlit as st

from pages.parts.answer_words import percent as percent
from pages.parts.chrome import bar, reading_menu, style
from pages.parts.context import Visit
from pages.parts.display_files import (
    SUFFIXES,
    DisplayRecord,
    PanelRecord,
    display_folder,
    read_record,
)
from pages.parts.form.component import FormSettings, show_form
from pages.parts.viewer.component import Switches, ViewerPanel, ViewerSettings, show_viewer
from study.allocation import Assignment
from study.clock import moment
from study.errors import StudyError
from study.protocol import Condition, StudyProtocol
from study.session import ReadingDesk

ReadingMode: TypeAlias = Literal["read", "practice", "revise"]

UNCHANGED_WORD: Final = "unchanged"
CHANGED_WORD: Final = "changed"
"""Ends of the slider where frames lead from the film to its change, whichever way that goes."""

RESERVED_PX: Final = 56
"""Height of the page around viewer and form: bar, gap and margins."""

DESK_CSS: Final = """
  /* In px, so that all this takes RESERVED_PX whatever the size of the letters is. */
  [data-testid="stMainBlockContainer"] { padding: 5.6px 8px; }
  [data-testid="stMainBlockContainer"] > [data-testid="stVerticalBlock"] { gap: 4px; }
  .bar { height: 33.6px; min-height: 0; padding: 0 5px; font-size: 15.2px; }
  @media (min-width: 2400px) and (min-height: 1300px) { .bar { font-size: 21px; }
                                                        .bar .simulated { font-size: 18px; } }
  .st-key-desk { flex-wrap: nowrap; gap: 12px; }
  /* The form has a fixed width, so that the films take the rest at every size of the window. */
  .st-key-desk > :first-child { flex: 1 1 auto !important; width: auto !important; min-width: 0; }
  .st-key-desk > :last-child { flex: 0 0 clamp(300px, 22vw, 460px) !important; min-width: 0;
                               width: clamp(300px, 22vw, 460px) !important; }
  @media (min-width: 2400px) and (min-height: 1300px) {
    .st-key-desk > :last-child { flex-basis: 600px !important; width: 600px !important; } }
  .bar .practice { padding: 0 .5rem; border: 1px solid #5b6672; border-radius: 4px;
                   color: #c9ced6; }
  @media (prefers-reduced-motion: reduce) { * { animation: none !important;
                                                transition: none !important; } }
"""
"""Viewer at the left, form or words at the right; what is around them takes ``RESERVED_PX``."""


def show_reading(visit: Visit, assignment: Assignment, mode: ReadingMode = "read") -> None:
    """Show an assignment with its viewer and its form.

    Parameters
    ----------
    visit
        The reader's visit.
    assignment
        What is read; the current one in ``"read"`` and ``"practice"``, a done one in ``"revise"``.
    mode
        What is done with it.

    Raises
    ------
    StudyError
        If its pictures are missing, it is not its turn, or it may not be revised.
    """
    desk = visit.desk()
    record = read_record(folder_of(visit, assignment))
    settings = _form_settings(visit, desk, assignment, record, mode)
    following = desk.following() if mode != "revise" else None
    style(DESK_CSS)
    _bar(visit, assignment, mode)
    if mode != "revise":
        desk.display(assignment.assignment_id)
    aid = assignment.assignment_id
    with st.container(key="desk", horizontal=True):
        with st.container(key="films"):
            show_films(visit, assignment, record, following)
        with st.container(key="questions"):
            items = visit.protocol.items_of(assignment.condition)
            on_done = _leave_revision if mode == "revise" else _go_on
            show_form(aid, items, settings, key=f"form_{mode}_{aid}", on_done=on_done)


def folder_of(visit: Visit, assignment: Assignment) -> Path:
    """Return the folder with the pictures of an assignment."""
    displays = visit.site.folder.displays
    return display_folder(displays, assignment.case_id, assignment.finding, assignment.condition)


def addresses(assignment_id: str, record: DisplayRecord) -> tuple[tuple[str, ...], ...]:
    """Return the addresses of the pictures of a display: for each panel its frames in order."""
    return tuple(
        tuple(_address(assignment_id, number, frame, panel) for frame in range(panel.n_frames))
        for number, panel in enumerate(record.panels)
    )


def _address(assignment_id: str, number: int, frame: int, panel: PanelRecord) -> str:
    return f"/frames/{assignment_id}/{number}/{frame}{SUFFIXES[panel.bits]}"


def place(
    protocol: StudyProtocol, assignment: Assignment, n_session: int, number: int | None = None
) -> str:
    """Return where a reading stands in words, e.g. ``"case 37 of 120"``; without its condition.

    Parameters
    ----------
    protocol
        The study; in a sequential design two readings in a row are about one case.
    assignment
        The reading.
    n_session
        Number of readings in its session.
    number
        Place of a practice case among the reader's own, if it differs from its position: in a
        parallel study a group practises some of the protocol's cases only.
    """
    if assignment.purpose == "practice":
        return f"practice case {number or assignment.position} of {n_session}"
    if protocol.design.kind == "sequential":
        stage = "first" if assignment.position % 2 else "second"
        case, n_cases = (assignment.position + 1) // 2, (n_session + 1) // 2
        return f"case {case} of {n_cases}, {stage} answer"
    if protocol.design.kind == "review":
        return f"card {assignment.position} of {n_session}"
    return f"case {assignment.position} of {n_session}"


def _bar(visit: Visit, assignment: Assignment, mode: ReadingMode) -> None:
    protocol = visit.protocol
    mine = visit.site.store().assignments(assignment.reader_id)
    inside = [a.assignment_id for a in mine if a.session == assignment.session]
    n_session, done = len(inside), inside.index(assignment.assignment_id)
    words = escape(place(protocol, assignment, n_session, done + 1))
    if mode == "practice":
        middle = f'<span class="practice">{words}, does not count</span>'
    else:
        session = f"<span>Session {assignment.session} of {protocol.n_sessions}</span>"
        middle = f"{session}<span>{words}</span>" if protocol.n_sessions > 1 else words
    if mode == "revise":
        middle += '<span class="practice">changing an earlier answer</span>'
    else:
        middle += f'<progress value="{done}" max="{n_session}" aria-label="cases read"></progress>'
    bar(protocol.study, middle, reading_menu(*_ways(protocol, assignment, mode)))


def _ways(
    protocol: StudyProtocol, assignment: Assignment, mode: ReadingMode
) -> tuple[tuple[str, str], ...]:
    """Return the links beside “Report a problem” and “?”."""
    if mode == "revise":
        return (("/revise", "Earlier answers"), ("/reading", "Go on reading"))
    ways = [("/pause", "Pause")]
    if protocol.design.revisions and assignment.purpose != "practice" and assignment.position > 1:
        ways.insert(0, ("/revise", "Go back"))
    return tuple(ways)


def show_films(
    visit: Visit, assignment: Assignment, record: DisplayRecord, following: Assignment | None
) -> None:
    """Show the viewer with the pictures of an assignment.

    Parameters
    ----------
    visit
        The reader's visit.
    assignment
        What is shown.
    record
        Its display.
    following
        The assignment whose pictures are fetched ahead, if there is one.
    """
    protocol, aid = visit.protocol, assignment.assignment_id
    condition = protocol.condition(assignment.condition)
    urls = addresses(aid, record)
    panels = tuple(
        _panel(record, number, urls) for number, p in enumerate(record.panels) if not p.hidden
    )
    outward = any(panel.outward for panel in record.panels)
    origins = [panel.origin for panel in record.panels if panel.kind in ("frames", "toggles")]
    settings = ViewerSettings(
        slider="slider" in condition.controls,
        play="play" in condition.controls,
        autoplay=condition.autoplay,
        low=UNCHANGED_WORD if outward else protocol.display.slider_low,
        high=CHANGED_WORD if outward else protocol.display.slider_high,
        origin=origins[0] if origins else 0,
        fps=protocol.display.frames_per_second,
        aspect=record.aspect,
        cells=max(len(c.panels) for c in protocol.conditions),
        control_row=any(_has_controls(each) for each in protocol.conditions),
        switches=switches_of(record, protocol.display.show_probability),
        stacked=protocol.design.kind == "review",
        origin_word="start" if protocol.design.kind == "review" else "original",
        reserved_px=RESERVED_PX,
        spacing_mm=record.pixel_spacing_mm,
        side_labels=protocol.display.side_labels,
        prefetch=_prefetch(visit, following),
        log_url=f"/readings/{aid}/events",
        csrf=visit.csrf,
    )
    show_viewer(aid, panels, settings, key=f"viewer_{aid}")


def _has_controls(condition: Condition) -> bool:
    return bool(condition.controls) or any(p.show == "toggles" for p in condition.panels)


def switches_of(record: DisplayRecord, show_probability: bool) -> Switches | None:
    """Return the switches of a display, or ``None``.

    Parameters
    ----------
    record
        The display.
    show_probability
        Whether the protocol shows what the classifier says.
    """
    for panel in record.panels:
        if panel.kind == "toggles":
            says = [f"this setting: {percent(p)}" for p in panel.probabilities]
            texts = tuple(says) if show_probability and not panel.note else ()
            return Switches(panel.switches, texts, panel.laid, panel.note)
    return None


def _panel(record: DisplayRecord, number: int, urls: tuple[tuple[str, ...], ...]) -> ViewerPanel:
    panel = record.panels[number]
    below = record.panels[panel.under] if panel.under is not None else None
    return ViewerPanel(
        title=_title(panel),
        kind="frames" if panel.kind == "toggles" else panel.kind,
        urls=urls[number],
        under=urls[panel.under][0] if panel.under is not None else None,
        bits=panel.bits,
        signed=panel.signed,
        width=panel.width,
        height=panel.height,
        under_size=(below.width, below.height) if below is not None else None,
    )


def _title(panel: PanelRecord) -> str:
    """Return the heading of a panel, with what has to be said of pictures that do not move."""
    said = panel.note if panel.kind in ("frames", "map") else ""
    return ": ".join(part for part in (panel.title, said) if part)


def _prefetch(visit: Visit, following: Assignment | None) -> tuple[str, ...]:
    """Return the addresses of the next reading's pictures; none if they are not there."""
    if following is None:
        return ()
    try:
        record = read_record(folder_of(visit, following))
    except StudyError:  # said when its turn has come
        return ()
    return tuple(url for panel in addresses(following.assignment_id, record) for url in panel)


def _form_settings(
    visit: Visit,
    desk: ReadingDesk,
    assignment: Assignment,
    record: DisplayRecord,
    mode: ReadingMode,
) -> FormSettings:
    protocol, aid = visit.protocol, assignment.assignment_id
    shown = protocol.display.show_probability
    answers: Mapping[str, object] = {}
    number, saved_at, supersedes = 0, None, None
    if mode == "revise":
        found = next((each for each in desk.done() if each.assignment.assignment_id == aid), None)
        if found is None or not found.revisable:
            raise StudyError("This answer cannot be changed any more; go on reading.")
        answers, saved_at, supersedes = found.answers, found.submitted_at, found.seq
    elif (draft := desk.draft(aid)) is not None:
        answers, number, saved_at = draft.answers, draft.number, draft.saved_at
    else:
        saved_at = _last_saved(visit, assignment.reader_id)
    return FormSettings(
        csrf=visit.csrf,
        mode=mode,
        finding=assignment.finding,
        probability=f"model says {percent(record.probability)}" if shown else "",
        answers=answers,
        number=number,
        saved_at=saved_at,
        skips=protocol.design.skips,
        supersedes=supersedes,
        reserved_px=RESERVED_PX,
    )


def _last_saved(visit: Visit, reader_id: str) -> datetime | None:
    """Return when this reader's last reading was stored, or ``None``."""
    with visit.site.store().reading() as view:
        done = view.progress(reader_id).done.values()
    return moment(max(mark.created_at for mark in done)) if done else None


def _go_on() -> None:
    """Do nothing: the run that follows derives from the store what comes next."""


def _leave_revision() -> None:
    """Close the reading that was opened again; the list comes back."""
    if "reading" in st.query_params:
        del st.query_params["reading"]
