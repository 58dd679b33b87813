"""From a reader's step to its page: the one place that decides what a reader sees next.

The step follows from the store at every run of every page. A reload, the back button or a typed
address therefore lands where the reader stands, and nothing can be skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape
from types import MappingProxyType
from typing import Final, NoReturn

import streamlit as st

from pages.parts.chrome import bar, local_time, menu, style
from pages.parts.context import Visit
from study.errors import StudyError
from study.steps import Step

PAGE_OF_STEP: Final[Mapping[str, str]] = MappingProxyType(
    {
        "consent": "consent.py",
        "profile": "profile.py",
        "instructions": "instructions.py",
        "practice": "practice.py",
        "practice_feedback": "practice.py",
        "reading": "reading.py",
        "break": "pause.py",
        "washout": "worklist.py",
        "closing": "closing.py",
        "finished": "worklist.py",
    }
)
"""Where each kind of step is taken."""

BEFORE_READING: Final = ("consent", "profile", "instructions")
"""Steps that come before anything is shown; until they are done no other page opens."""

_CSS: Final = """
  .st-key-column { max-width: 46rem; margin: 2.5vh auto 0; padding-bottom: 5.5rem; }
  .st-key-column h3 { font-size: 1.4rem; padding: 0 0 .3rem; }
  .st-key-column :is([data-testid="stMarkdown"], [data-testid="stHtml"]) p
    { font-size: 1.02rem; line-height: 1.5; color: #c9ced6; }
  .st-key-column [data-testid="stHtml"] p.quiet { color: #98a1ad; font-size: .95rem; }
  [data-testid="stBaseButton-primary"] kbd { color: #f0f3f7; opacity: 1; }
  .st-key-column .quiet { margin: 0; }
  .st-key-action { position: fixed; left: 0; right: 0; bottom: 0; z-index: 20; align-items: center;
                   padding: .7rem max(1rem, calc(50vw - 23rem)); background: #0b0d10;
                   border-top: 1px solid #2a3038; }
  .st-key-action p.quiet { color: #98a1ad; font-size: .92rem; margin: 0; }
  .st-key-action p.refusal { color: #f0b483; margin: 0; }
  /* Edges of what is to be filled in, at 3:1 against the page (WCAG 1.4.11). */
  [data-testid="stNumberInputContainer"], [data-testid="stTextInputRootElement"],
  [data-testid="stTextAreaRootElement"], [data-testid="stButtonGroup"] button
    { border-color: #727c88; }
  [data-testid="stRadioOption"] > div > div:first-child,
  [data-testid="stCheckbox"] label > div:not([data-testid]) { box-shadow: 0 0 0 1px #8b95a1; }
  [data-testid="stRadioOption"] > div > div:first-child { border-radius: 50%; }
  [data-testid="stCheckbox"] .stMarkdownEllipsis p { white-space: normal; }
"""


def page_of(step: Step) -> str:
    """Return the page, as a file in ``pages/``, on which a step is taken.

    Raises
    ------
    StudyError
        If no page is known for the step.
    """
    try:
        return PAGE_OF_STEP[step.kind]
    except KeyError:
        raise StudyError(
            f"No page is known for the step {step.kind!r}; report this to the coordinator."
        ) from None


def go(visit: Visit) -> NoReturn:
    """Switch to the page of the reader's step as the store has it now."""
    st.switch_page(page_of(visit.desk().step()))


def at(visit: Visit, *kinds: str) -> Step:
    """Return the reader's step, or switch to its page if it is none of ``kinds``.

    Parameters
    ----------
    visit
        The reader's visit.
    *kinds
        Kinds of step that the calling page serves.
    """
    step = visit.desk().step()
    if step.kind not in kinds:
        st.switch_page(page_of(step))
    return step


def past_the_start(visit: Visit) -> Step:
    """Return the step of a reader who may read; others go to consent, profile or instructions."""
    return at(visit, *(kind for kind in PAGE_OF_STEP if kind not in BEFORE_READING))


def n_practice(visit: Visit) -> int:
    """Return how many practice cases this reader has; in a parallel study those of the group."""
    mine = visit.site.store().assignments(visit.desk().reader_id)
    return sum(assignment.purpose == "practice" for assignment in mine)


def frame(visit: Visit, *links: tuple[str, str], css: str = "") -> None:
    """Show the bar and the style that the reader's pages around the reading share.

    Parameters
    ----------
    visit
        Gives the study's title.
    *links
        Addresses and words for the right end of the bar; the way out is always last.
    css
        Further rules of the page.
    """
    style(_CSS + css)
    bar(visit.protocol.study, right=menu(*links))


def moment_words(moment: datetime) -> str:
    """Return a moment as a reader says it, with the time zone that the browser names."""
    local = local_time(moment)
    return f"{local.day} {local:%B %Y at %H:%M} ({local.tzinfo})"


def refusal(sentence: str, *fields: str) -> None:
    """Say in one line why something was not taken, and outline what it is about.

    Parameters
    ----------
    sentence
        What is to be said.
    *fields
        Streamlit keys of the fields to be outlined.
    """
    rules = "".join(
        f".st-key-{field} {{ outline: 2px solid #d98a4b; outline-offset: 4px; }}"
        for field in fields
    )
    st.html(
        f'<p class="refusal" role="alert">{escape(sentence)}</p>'
        + (f"<style>{rules}</style>" if rules else "")
    )
