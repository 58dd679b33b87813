"""A reader's first steps, taken at the desk and not on pages."""

from __future__ import annotations

from collections.abc import Mapping

from study.profile import ReaderProfile
from study.session import ReadingDesk

PROFILE = ReaderProfile(
    role="radiologist",
    years_of_practice=7,
    subspecialty="chest",
    prior_ai_use="tried",
    display="diagnostic",
    attested=True,
)


def to_first_reading(desk: ReadingDesk, practice: Mapping[str, object] | None = None) -> str:
    """Do what comes before the first case and display it.

    Parameters
    ----------
    desk
        The reader's desk.
    practice
        Answers to every practice case; ``None`` to stop at the first of them.

    Returns
    -------
    str
        Identifier of the assignment whose turn it is.
    """
    while (step := desk.step()).kind not in ("practice", "reading"):
        if step.kind == "consent":
            desk.consent()
        elif step.kind == "profile":
            desk.keep_profile(PROFILE)
        elif step.kind == "instructions":
            desk.accept_instructions()
        elif step.assignment is not None:
            desk.read_feedback(step.assignment.assignment_id)
    assert step.assignment is not None
    name = step.assignment.assignment_id
    desk.display(name)
    if step.kind == "practice" and practice is not None:
        desk.submit(name, practice)
        return to_first_reading(desk, practice)
    return name
