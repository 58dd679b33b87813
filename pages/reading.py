"""One reading: the pictures, the questions, the next case.

The page keeps nothing of its own. Which reading is current follows from the store at every run,
and every key holds the reading's identifier: after a reload, a restart of the server or a replayed
click, an answer either reaches the reading it was given for, or nothing.
"""

from __future__ import annotations

from pages.parts.context import enter, spoken
from pages.parts.desk_view import show_reading
from pages.parts.steps import at
from study.errors import StudyError


def _page() -> None:
    visit = enter("reader")
    step = at(visit, "reading")
    if step.assignment is None:
        raise StudyError("There is no case to show; go back to the worklist.")
    show_reading(visit, step.assignment)


spoken(_page)
