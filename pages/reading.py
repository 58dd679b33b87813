"""One reading: the pictures, the questions, the next case.

The page keeps nothing of its own. Which reading is current follows from the store at every run,
and every key holds the reading's identifier: after a reload, a restart of the server or a replayed
click, an answer either reaches the reading it was given for, or nothing.
"""

from __future__ import annotations

from datetime import datetime
from html import escape

import streamlit as st

from pages.parts.chrome import bar, local_time, menu, notice, style
from pages.parts.context import Visit, enter, spoken
from pages.parts.display_files import DisplayRecord, display_folder, read_record
from pages.parts.drafts import keep_draft, latest_draft
from pages.parts.rating_form import ask, digit_keys
from pages.parts.viewer.component import ViewerPanel, ViewerSettings, show_viewer
from study.allocation import Assignment
from study.errors import InvalidAnswer, StudyError
from study.protocol import StudyProtocol
from study.session import ReadingDesk

_CSS = """
  [data-testid="stMainBlockContainer"] [data-testid="stHorizontalBlock"] { gap: 1rem; }
  .finding { font-size: 1.45rem; font-weight: 600; color: #dfe3e8; line-height: 1.2; }
  .model { margin-top: .15rem; font-size: 1.1rem; color: #c9ced6; }
  .anchors { display: flex; justify-content: space-between; height: 1.3rem; margin-top: .2rem;
             font-size: .85rem; line-height: 1.3rem; color: #98a1ad; }
  .needed { color: #f0b483; }
  .saved { color: #98a1ad; font-size: .85rem; }
  [data-testid="stWidgetLabel"] p { font-size: .98rem; color: #c9ced6; }
"""


def _page() -> None:
    visit = enter("reader")
    desk = visit.desk()
    style(_CSS)
    if not desk.instructions_accepted:
        st.switch_page("instructions.py")
    assignment = desk.current()
    overview = desk.overview()
    if assignment is None:
        bar(visit.protocol.study, right=menu(("/", "Worklist")))
        sentence = "You have read every case. Thank you; you may sign out."
        if overview.state == "washout":
            sentence = "This session is complete. The worklist says when the next one opens."
        notice("Nothing to read now", sentence, link=("/", "To the worklist"))
        return
    _top(visit, assignment, overview.n_sessions)
    folder = visit.site.folder
    record = read_record(
        display_folder(
            folder.displays, assignment.case_id, assignment.finding, assignment.condition
        )
    )
    desk.display(assignment.assignment_id)
    pictures, questions = st.columns([3.3, 1], gap="medium")
    with questions:
        _questions(visit, desk, assignment, record)
    with pictures:
        _viewer(visit, assignment, record)


def _top(visit: Visit, assignment: Assignment, n_sessions: int) -> None:
    mine = [
        a
        for a in visit.site.store().assignments(assignment.reader_id)
        if a.session == assignment.session
    ]
    done = assignment.position - 1
    middle = (
        f"<span>Session {assignment.session} of {n_sessions}</span>"
        f"<span>case {assignment.position} of {len(mine)}</span>"
        f'<progress value="{done}" max="{len(mine)}" aria-label="cases read"></progress>'
    )
    bar(visit.protocol.study, middle, menu(("/", "Pause"), ("/instructions", "Help")))


def _viewer(visit: Visit, assignment: Assignment, record: DisplayRecord) -> None:
    protocol, aid = visit.protocol, assignment.assignment_id
    condition = protocol.condition(assignment.condition)

    def address(panel: int, frame: int) -> str:
        return f"/frames/{aid}/{panel}/{frame}.png"

    panels = tuple(
        ViewerPanel(
            title=panel.title,
            kind=panel.kind,
            urls=tuple(address(number, frame) for frame in range(panel.n_frames)),
            under=address(panel.under, 0) if panel.under is not None else None,
        )
        for number, panel in enumerate(record.panels)
        if not panel.hidden
    )
    origins = [panel.origin for panel in record.panels if panel.kind == "frames"]
    settings = ViewerSettings(
        slider="slider" in condition.controls,
        play="play" in condition.controls,
        autoplay=condition.autoplay,
        low=protocol.display.slider_low,
        high=protocol.display.slider_high,
        origin=origins[0] if origins else 0,
        fps=protocol.display.frames_per_second,
        aspect=record.aspect,
        cells=max(len(c.panels) for c in protocol.conditions),
        control_row=any(c.controls for c in protocol.conditions),
        reserved_px=58,
        answer_keys=digit_keys(aid, protocol),
    )
    show_viewer(aid, panels, settings, key=f"viewer_{aid}")


def _questions(
    visit: Visit, desk: ReadingDesk, assignment: Assignment, record: DisplayRecord
) -> None:
    protocol, aid = visit.protocol, assignment.assignment_id
    claim = f'<div class="finding">{escape(assignment.finding)}</div>'
    if protocol.display.show_probability:
        claim += f'<div class="model">model says {_percent(record.probability)}</div>'
    st.html(claim)
    store = visit.site.store()
    draft = latest_draft(store, assignment)
    missing = frozenset(st.session_state.get(f"missing_{aid}", ()))
    answers = ask(aid, protocol, draft.answers if draft else {}, missing)
    try:
        kept_at, trouble = keep_draft(store, assignment, answers, draft), ""
    except StudyError as error:
        kept_at, trouble = None, f"Not saved: {error}"
    # The click is taken as a value, not by a callback: after a restart of the server the browser
    # replays it into a script that has not registered any callback yet.
    if st.button("Next case", key=f"next_{aid}", type="primary", width="stretch", shortcut="Enter"):
        _submit(protocol, desk, assignment, answers)
    trouble = st.session_state.pop("problem", None) or trouble
    if trouble:
        st.html(f'<div class="needed" role="alert">{escape(trouble)}</div>')
        return
    last = kept_at or _last_submission(visit, assignment)
    st.html(f'<div class="saved" role="status">{_saved_line(last)}</div>')


def _percent(probability: float) -> str:
    """Return whole percent; no prediction is said to be certain."""
    if probability > 0.99:
        return "over 99 %"
    if probability < 0.01:
        return "under 1 %"
    return f"{100 * probability:.0f} %"


def _submit(
    protocol: StudyProtocol,
    desk: ReadingDesk,
    assignment: Assignment,
    answers: dict[str, object],
) -> None:
    """Store the reading and go on, or mark what is missing."""
    aid = assignment.assignment_id
    required = [item.id for item in protocol.items if item.required]
    missing = [name for name in required if answers[name] in (None, "")]
    st.session_state[f"missing_{aid}"] = missing
    if not missing:
        try:
            desk.submit(aid, answers, client={"page": "reading"})
        except InvalidAnswer as refusal:
            st.session_state[f"missing_{aid}"] = [refusal.item]
            st.session_state["problem"] = str(refusal)
        except StudyError as refusal:  # rated elsewhere, not its turn, disk full
            st.session_state["problem"] = str(refusal)
    st.rerun()


def _last_submission(visit: Visit, assignment: Assignment) -> datetime | None:
    with visit.site.store().reading() as view:
        times = view.submitted_at(assignment.reader_id).values()
    return max(times, default=None)


def _saved_line(moment: datetime | None) -> str:
    if moment is None:
        return "Nothing to save yet"
    return f"Saved {local_time(moment):%H:%M:%S}"


spoken(_page)
