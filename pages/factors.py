"""One film and one finding: the generator's dimensions that move the classifier, to be toggled."""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.exploring.films import Film
from pages.factoring.cards.component import CardsState, show_cards
from pages.factoring.controls import choose
from pages.factoring.factors import files_of
from pages.factoring.numbers import faithfulness_html, predictions_html
from pages.factoring.pictures import RESERVED_PX, show_film, show_pictures, still_pictures
from pages.factoring.preparing import Desk, Wanted
from pages.factoring.progress import begin, desk_of, show_progress
from pages.factoring.request import written
from pages.factoring.saving import show_combinations
from pages.factoring.state import PARAMETER, FactorState
from pages.parts.chrome import bar, menu, notice, style
from pages.parts.context import Visit, enter, spoken

_CARDS = "factor_cards"
_CSS = """
  .predictions { border-collapse: collapse; font-size: .85rem; color: #c9ced6; margin-top: .2rem; }
  .predictions th, .predictions td { padding: .12rem .5rem .12rem 0; font-weight: 400; border: 0;
                                     text-align: right; font-variant-numeric: tabular-nums; }
  .predictions :is(th:first-child, td:last-child) { text-align: left; }
  .predictions thead th, .predictions td { color: #a5aeb9; }
  .predictions { white-space: nowrap; }
  .predictions b { color: #f0f3f7; font-weight: 600; }
  .predictions .here :is(th, td) { color: #f0f3f7; background: #16202b; }
  .faithful { color: #a5aeb9; font-size: .85rem; }
  .doubt, .remark { color: #f0c9a8; font-size: .85rem; border-left: 3px solid #d98a4b;
                    padding-left: .5rem; margin-top: .3rem; }
  .said { color: #dfe3e8; }
  .saved { color: #a5aeb9; font-size: .85rem; } .saved b { color: #dfe3e8; }
  .uploaded { color: #c9ced6; font-size: .85rem; line-height: 1.5; overflow: hidden;
              text-overflow: ellipsis; white-space: nowrap; }
  .st-key-factor_scroll { height: calc(100vh - %dpx); min-height: 320px; overflow-y: auto;
                          scrollbar-width: thin; scrollbar-color: #3a434e transparent; }
  [data-testid="stSelectbox"] input, [data-testid="stSelectbox"] [value] { font-size: .875rem; }
  [data-testid="stWidgetLabel"] p { font-size: .85rem; color: #98a1ad; }
"""


def _page() -> None:
    visit = enter("researcher")
    style(_CSS % RESERVED_PX)
    study = visit.protocol.study
    if st.session_state.get("factor_upload") is not None:
        study = study.model_copy(update={"simulated": False})
    bar(study, "<span>Factors</span>", menu(("/", "Explorer")))
    files = files_of(visit.site.folder)
    choice = choose(visit, files)
    state = FactorState(st.session_state)
    state.begin(st.query_params.get(PARAMETER, ""))
    wanted = Wanted(choice.film.digest, choice.finding, files.stamp)
    desk = desk_of(visit.site.folder, choice.film, wanted, files, state)
    if desk is None:
        show_progress(state)
        show_film(visit, choice.film)
        begin(state)
        return
    with choice.combinations:
        show_combinations(visit, choice.film, choice.finding, desk, state)
    if desk.doubt and not _shown_anyway(desk, wanted):
        return
    _desk(visit, choice.film, wanted, desk)


def _shown_anyway(desk: Desk, wanted: Wanted) -> bool:
    """Say why a film is not explained, with a way on; return whether that was taken."""
    anyway: set[Wanted] = st.session_state.setdefault("factor_anyway", set())
    if wanted in anyway:
        return True
    notice("This film cannot be explained by factors", desk.doubt)
    with st.container(horizontal_alignment="center"):
        st.button("Show it anyway", key="anyway", on_click=anyway.add, args=(wanted,))
    return False


@st.fragment
def _desk(visit: Visit, film: Film, wanted: Wanted, desk: Desk) -> None:
    """Show the cards beside what comes of them; runs alone when something is moved."""
    state = FactorState(st.session_state)
    positions = state.positions(desk.cards.dimensions)
    moved = desk.subject.moved(positions)
    text = written(positions)
    still = still_pictures(visit, film, desk)
    cards, pictures, numbers = st.columns([1.2, 1.7, 1], gap="small")
    with pictures:
        show_pictures(visit, film, desk, moved, still, text)
    with numbers:
        st.html(predictions_html(desk, moved, wanted.finding))
        st.html(faithfulness_html(desk, moved, wanted.finding))
    with cards, st.container(key="factor_scroll"):
        if desk.cards.remark:
            st.html(f'<div class="remark" role="status">{escape(desk.cards.remark)}</div>')
        show_cards(
            desk.cards.cards,
            still.strips,
            CardsState(
                f"{wanted.film} {wanted.finding} {wanted.stamp}",
                positions,
                state.wishes,
                state.heard,
            ),
            _heard,
            n_frames=len(next(iter(desk.strips.values()), ())),
            key=_CARDS,
        )
    if st.query_params.get(PARAMETER, "") != text:
        if text:
            st.query_params[PARAMETER] = text
        else:
            st.query_params.pop(PARAMETER, None)


def _heard() -> None:
    """Take what the cards say."""
    FactorState(st.session_state).hear(st.session_state[_CARDS].get("moved"))


spoken(_page)
