"""Who reads: role, experience, earlier use of AI, and the display.

Told once; it may be corrected until the first case is shown that counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import streamlit as st

from pages.parts.context import Visit, enter, spoken
from pages.parts.steps import at, frame, go, refusal
from study.errors import StudyError
from study.profile import ReaderProfile, read_profile

_CSS = """
  .st-key-column { max-width: 58rem; }
  .st-key-action { padding: .7rem max(1rem, calc(50vw - 29rem)); }
  .st-key-column [data-testid="stForm"] { border: 0; padding: 0; }
  .patches { display: flex; gap: 1rem; align-items: center; color: #98a1ad; font-size: .92rem; }
  .patch { width: 84px; height: 60px; display: grid; place-items: center; }
  .patch i { width: 34px; height: 24px; }
"""
# A difference of 5 % in driving level near black and near white, as in TG18-QC (AAPM OR-03).
_PATCHES = """
  <div class="patches" role="img"
       aria-label="A black field with a slightly brighter square, a white one with a darker square">
    <span class="patch" style="background:#000"><i style="background:#0d0d0d"></i></span>
    <span class="patch" style="background:#fff"><i style="background:#f2f2f2"></i></span>
    <span>Each field holds a square.</span>
  </div>
"""

CORRECT: Final = "correct"
"""In the address of this page: the reader wants to correct what is kept."""

ROLES: Final = ("radiologist", "resident", "other physician", "other")
AI_USE: Final = MappingProxyType({"never": "never", "tried": "tried it", "regularly": "regularly"})
DISPLAYS: Final = MappingProxyType(
    {
        "diagnostic": "diagnostic",
        "clinical review": "clinical review",
        "consumer": "office or home",
    }
)
ATTEST: Final = "I see both squares, and I read on this display in dimmed light."

_MISSING: Final = MappingProxyType(
    {
        "role": "Choose your role.",
        "years_of_practice": "Enter your years of practice, 0 to 70.",
        "prior_ai_use": "Say how often you have used AI.",
        "display": "Choose the kind of display.",
        "attested": "Confirm what the last line says about your display.",
    }
)
_LONGEST: Final = 120
_KEYS: Final = MappingProxyType(
    {
        "role": "role",
        "years_of_practice": "years",
        "prior_ai_use": "ai",
        "display": "screen",
        "attested": "attested",
    }
)


def _page() -> None:
    visit = enter("reader")
    kept, may_correct = visit.desk().profile()
    if not (may_correct and CORRECT in st.query_params):
        at(visit, "profile")
    frame(visit, *((("/", "Worklist"),) if may_correct else ()), css=_CSS)
    with st.container(key="column"):
        st.subheader("About you", anchor=False)
        st.html(
            '<p class="quiet">Kept under your pseudonym. '
            "May be corrected until the first case that counts.</p>"
        )
        with st.form("about_you", border=False):
            given = _fields(kept)
            with st.container(key="action", horizontal=True):
                sent = st.form_submit_button("Go on", key="profile_on", type="primary")
                if sent:
                    _keep(visit, given)


def _fields(kept: ReaderProfile | None) -> dict[str, object]:
    """Show the questions, with what was answered before."""
    role = ROLES.index(kept.role) if kept else None
    ai = list(AI_USE).index(kept.prior_ai_use) if kept else None
    screen = list(DISPLAYS).index(kept.display) if kept else None
    left, right = st.columns(2, gap="large")
    given: dict[str, object] = {}
    with left:
        given["role"] = st.radio("Role", ROLES, index=role, key="role")
        given["years_of_practice"] = st.number_input(
            "Years of practice",
            0,
            70,
            value=kept.years_of_practice if kept else None,
            step=1,
            key="years",
        )
        given["subspecialty"] = st.text_input(
            "Subspecialty (optional)",
            value=kept.subspecialty if kept else "",
            key="subspecialty",
            max_chars=_LONGEST,
        )
    with right:
        given["prior_ai_use"] = st.radio(
            "Have you used AI when reading films?",
            list(AI_USE),
            index=ai,
            key="ai",
            format_func=AI_USE.__getitem__,
            horizontal=True,
        )
        given["display"] = st.radio(
            "Display you read on",
            list(DISPLAYS),
            index=screen,
            key="screen",
            format_func=DISPLAYS.__getitem__,
            horizontal=True,
        )
        st.html(_PATCHES)
        given["attested"] = st.checkbox(ATTEST, value=kept is not None, key="attested")
    return given


def _keep(visit: Visit, given: Mapping[str, object]) -> None:
    fields = missing(given)
    if fields:
        refusal(_MISSING[fields[0]], *(_KEYS[field] for field in fields))
        return
    try:
        visit.desk().keep_profile(read_profile(given))
    except StudyError as error:
        refusal(str(error))
        return
    go(visit)


def missing(given: Mapping[str, object]) -> tuple[str, ...]:
    """Return the fields that the reader still has to fill in, in the order of the page.

    Parameters
    ----------
    given
        Field of :class:`study.profile.ReaderProfile` to what was entered.
    """
    # Compared by identity: a resident in the first year has practised for 0 years.
    return tuple(
        field for field in _MISSING if given.get(field) is None or given.get(field) is False
    )


spoken(_page)
