"""Practice: a case read like any other, and then the words that the protocol has about it.

Practice does not count. The feedback is frozen into the protocol, so this page knows no more about
a case than the reading page does.
"""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.parts.answer_words import answer_list
from pages.parts.context import Visit, enter, spoken
from pages.parts.desk_view import DESK_CSS, folder_of, show_films, show_reading
from pages.parts.display_files import read_record
from pages.parts.steps import at, frame, go
from study.allocation import Assignment
from study.errors import StudyError

_CSS = """
  .st-key-told { padding-right: .5rem; }
  .st-key-told h3 { font-size: 1.4rem; padding: 0; }
  .st-key-told .notcounted { display: inline-block; padding: 0 .5rem; border-radius: 4px;
                             border: 1px solid #5b6672; color: #c9ced6; font-size: .88rem; }
  .st-key-told .feedback { margin: .6rem 0 .8rem; padding: .8rem 1rem; color: #dfe3e8;
                           background: #12161b; border-left: 3px solid #5b9bd5; max-height: 45vh;
                           font-size: 1.08rem; line-height: 1.45; white-space: pre-line;
                           overflow-y: auto; }
  .st-key-told dl.answers { margin: 0; padding: 0; }
  .st-key-told .answers dt { color: #98a1ad; font-weight: 400; font-size: .92rem; margin: 0; }
  .st-key-told .answers dd { color: #c9ced6; margin: 0 0 .5rem; padding: 0; }
  .st-key-told .quiet { color: #98a1ad; font-size: .92rem; margin: 0; }
"""


def _page() -> None:
    visit = enter("reader")
    step = at(visit, "practice", "practice_feedback")
    if step.assignment is None:
        raise StudyError("There is no practice case to show; go back to the worklist.")
    if step.kind == "practice":
        show_reading(visit, step.assignment, mode="practice")
    else:
        number, n_cases = step.sequence or (step.assignment.position, step.assignment.position)
        _feedback(visit, step.assignment, number, n_cases)


def _feedback(visit: Visit, assignment: Assignment, number: int, n_cases: int) -> None:
    frame(visit, ("/instructions", "Instructions"), css=DESK_CSS + _CSS)
    with st.container(key="desk", horizontal=True):
        with st.container(key="films"):
            show_films(visit, assignment, read_record(folder_of(visit, assignment)), None)
        with st.container(key="told"):
            _told(visit, assignment, number, n_cases)


def _told(visit: Visit, assignment: Assignment, number: int, n_cases: int) -> None:
    """Show what the protocol says about the case, what was answered, and the way on."""
    st.subheader(f"Practice case {number} of {n_cases}", anchor=False)
    st.html('<span class="notcounted">practice, does not count</span>')
    words = visit.protocol.practice[assignment.position - 1].feedback
    st.html(f'<div class="feedback" role="status" tabindex="0">{escape(words)}</div>')
    # The identifier in the key: a click replayed after a restart reaches no other case.
    key = f"feedback_{assignment.assignment_id}"
    last = number == n_cases
    way_on = "Begin the study" if last else "Next practice case"
    if st.button(way_on, key=key, type="primary", shortcut="Enter", width="stretch"):
        visit.desk().read_feedback(assignment.assignment_id)
        go(visit)
    from_now = "From the next case on, answers count." if last else "The next case does not count."
    st.html(f'<p class="quiet">{from_now} You answered:</p>')
    items = visit.protocol.items_of(assignment.condition)
    st.html(answer_list(items, _answers(visit, assignment)))


def _answers(visit: Visit, assignment: Assignment) -> dict[str, object]:
    found = visit.site.store().events("practised", subject=assignment.assignment_id)
    return dict(found[-1].payload.get("answers", {})) if found else {}


spoken(_page)
