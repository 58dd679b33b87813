"""What the study asks of its readers, accepted once before the first case."""

from __future__ import annotations

import streamlit as st

from pages.parts.answer_words import count_words, seen_thing
from pages.parts.context import Visit, enter, spoken
from pages.parts.steps import at, frame, go, n_practice
from study.protocol import StudyProtocol

_CSS = """
  .st-key-column table { font-size: .92rem; }
  .st-key-column li { color: #c9ced6; line-height: 1.5; }
"""

KEYS = """
| Key or mouse | What it does |
| --- | --- |
| 1 … 9 | answer the marked question |
| N | next text field |
| Enter | next case, when all is answered; Ctrl Enter from a text field |
| drag | brightness and contrast of all panels |
| wheel | zoom at the pointer; over the moving film: frames |
| Shift-drag | move |
| ← → | previous and next frame |
| Space | play or pause |
| F | flicker between the original and this frame |
| H | hide or show all maps |
| I, M | invert, magnifier |
| 0 | reset window, zoom and position |
| ? | all keys |
"""
"""The keys that a reader needs first; the viewer's own help lists all."""


def _page() -> None:
    visit = enter("reader")
    accepted = visit.desk().instructions_accepted
    if not accepted:
        at(visit, "instructions")
    frame(visit, *_links(visit, accepted), css=_CSS)
    protocol = visit.protocol
    with st.container(key="column"):
        st.subheader("Before you read", anchor=False)
        st.markdown(protocol.study.instructions.strip().replace("\n", "  \n"))
        st.markdown("\n".join(f"- {rule}" for rule in rules(protocol, n_practice(visit))))
        with st.expander("Mouse and keys"):
            st.markdown(KEYS)
    with st.container(key="action", horizontal=True):
        if accepted:
            if st.button("Go on reading", key="read_on", type="primary", shortcut="Enter"):
                go(visit)
        elif st.button("I have read this", key="accept", type="primary"):
            visit.desk().accept_instructions()
            go(visit)


def rules(protocol: StudyProtocol, n_practised: int) -> tuple[str, ...]:
    """Return what holds in every study of this kind, as far as the protocol makes it so.

    Parameters
    ----------
    protocol
        The study.
    n_practised
        Number of the reader's own practice cases.
    """
    if protocol.design.kind == "review":
        said = ["Judge each card for itself: one change of the picture, on one film."]
    else:
        said = ["Judge only the finding named beside the film. Leave other findings aside."]
    thing = seen_thing(protocol)
    said.append(
        f"Answers are saved while you type. A {thing} counts when you press Enter or “Next case”."
    )
    if n_practised:
        cases = count_words(n_practised, "practice case")
        said.append(f"You begin with {cases}. Practice does not count.")
    if protocol.design.kind == "sequential":
        said.append("You read each case twice in a row. The first answer stays as it is.")
    if protocol.design.revisions:
        said.append("You may go back and change an answer. The earlier one is kept beside it.")
    if protocol.design.skips:
        said.append(f"If a {thing} cannot be read, skip it and say why.")
    said.append("Take a break whenever you like. If something fails, report a problem.")
    return tuple(said)


def _links(visit: Visit, accepted: bool) -> tuple[tuple[str, str], ...]:
    links = [("/", "Worklist")] if accepted else []
    if visit.protocol.study.consent:
        links.append(("/consent", "Consent"))
    return tuple(links)


spoken(_page)
