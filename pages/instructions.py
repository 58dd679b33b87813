"""What the study asks of its readers, accepted once before the first case."""

from __future__ import annotations

import streamlit as st

from pages.parts.chrome import bar, menu, style
from pages.parts.context import enter, spoken

_CSS = """
  .st-key-instructions { max-width: 46rem; margin: 3vh auto 0; }
  .st-key-instructions p { font-size: 1.05rem; line-height: 1.55; color: #c9ced6; }
  .st-key-instructions h2 { font-size: 1.4rem; }
  .st-key-instructions table { font-size: .95rem; }
"""

_KEYS = """
| Key or mouse | What it does |
| --- | --- |
| drag on a film | brightness and contrast of all films |
| wheel, shift-drag | zoom and move, all films together |
| double-click | one film alone, and back |
| ← → | move through the moving film, where there is a slider |
| space | play or pause, where there is a play button |
| H | hide or show the map |
| I, 0, O | invert, reset, back to the original film |
| 1 … 5 | answer the first open question |
| Enter | next case, when all is answered |
"""


def _page() -> None:
    visit = enter("reader")
    desk = visit.desk()
    style(_CSS)
    accepted = desk.instructions_accepted
    bar(visit.protocol.study, right=menu(("/", "Worklist")) if accepted else menu())
    with st.container(key="instructions"):
        st.subheader("Before you read", anchor=False)
        st.markdown(_plain(visit.protocol.study.instructions), unsafe_allow_html=False)
        with st.expander("Mouse and keys"):
            st.markdown(_KEYS)
        if accepted:
            if st.button("Go on reading", type="primary"):
                st.switch_page("reading.py")
        elif st.button("I have read this and agree to take part", type="primary"):
            desk.accept_instructions()
            st.switch_page("reading.py")


def _plain(text: str) -> str:
    """Keep the author's paragraphs and line breaks in Markdown."""
    return text.strip().replace("\n", "  \n")


spoken(_page)
