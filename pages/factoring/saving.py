"""Combinations on the page: save, load, take away, download."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import streamlit as st

from pages.exploring.films import Film
from pages.factoring.combinations import (
    MOST_NAME,
    Combination,
    SavedDimension,
    SavedPrediction,
    as_csv,
    as_json,
    combinations_folder,
    delete,
    save,
    saved,
)
from pages.factoring.preparing import Desk
from pages.factoring.request import Positions, positions_of
from pages.factoring.state import FactorState
from pages.parts.chrome import local_time
from pages.parts.context import Visit
from study.clock import utc_now
from study.errors import StudyError

SHOWN = 12
"""Combinations that are listed; all of them are downloaded."""


def show_combinations(
    visit: Visit, film: Film, finding: str, desk: Desk, state: FactorState
) -> None:
    """Show what was saved, with what saves the present combination."""
    root = combinations_folder(visit.site.folder)
    kept = saved(root)
    with st.popover("Combinations", width="stretch"):
        if (said := state.said()) is not None:
            st.html(f'<div class="said" role="status">{escape(said)}</div>')
        _offer_saving(visit, film, finding, desk, state, root)
        for number, each in enumerate(kept.combinations[:SHOWN]):
            _show_one(visit, each, state, root, desk, number)
        more = len(kept.combinations) - SHOWN
        if more > 0:
            st.caption(f"{more} older ones are in the download.")
        if kept.n_damaged:
            st.caption(f"{kept.n_damaged} saved files are damaged and left out.")
        if kept.combinations:
            for kind, made in (("JSON", as_json), ("CSV", as_csv)):
                st.download_button(
                    f"All as {kind}",
                    made(kept.combinations),
                    f"combinations.{kind.lower()}",
                    "text/csv" if kind == "CSV" else "application/json",
                    on_click="ignore",
                    width="stretch",
                )


def _offer_saving(
    visit: Visit, film: Film, finding: str, desk: Desk, state: FactorState, root: Path
) -> None:
    if film.case_id is None:
        st.caption("Uploaded films are never stored, so their combinations are not saved either.")
        return
    st.text_input("Name of this combination", key="combination_name", max_chars=MOST_NAME)

    def keep() -> None:
        positions = state.positions(desk.cards.dimensions)
        name = str(st.session_state.get("combination_name", "")).strip()
        if not positions:
            state.say("Nothing is moved yet; move a dimension and save then.")
            return
        made = combination_of(
            name,
            film,
            finding,
            desk,
            positions,
            utc_now().astimezone(UTC).isoformat(),
            visit.account.pseudonym,
        )
        try:
            save(root, made)
        except StudyError as error:
            state.say(str(error))
            return
        state.say(f"Saved: {name}.")
        st.session_state["combination_name"] = ""

    st.button("Save", key="combination_save", on_click=keep, width="stretch")


def _show_one(
    visit: Visit, each: Combination, state: FactorState, root: Path, desk: Desk, number: int
) -> None:
    when = local_time(datetime.fromisoformat(each.saved_at)).strftime("%d %b %H:%M")
    moved = ", ".join(f"{one.title} {one.at:+.2f}".replace("-", "−") for one in each.dimensions)
    other = each.factors_digest != desk.digests["factors"]

    def load() -> None:
        if other:
            state.say(f"{each.name} was made with another factor set and cannot be shown here.")
            return
        st.session_state["film"], st.session_state["finding"] = each.case_id, each.finding
        state.wish(positions_of((one.dimension, one.at) for one in each.dimensions))

    def forget() -> None:
        at = utc_now().astimezone(UTC).isoformat()
        try:
            delete(root, each, secrets.token_hex(8), at, visit.account.pseudonym)
        except StudyError as error:
            state.say(str(error))
            return
        state.say(f"Taken away: {each.name}.")

    with st.container(horizontal=True, vertical_alignment="center", key=f"saved_{number}"):
        st.html(
            f'<div class="saved"><b>{escape(each.name)}</b> {escape(each.case_id)} · '
            f"{escape(each.finding)} · {escape(when)}<br>{escape(moved)}</div>",
            width="stretch",
        )
        key = each.combination_id
        st.button("Load", key=f"load_{key}", on_click=load, help=f"Show {each.name}")
        st.button("Delete", key=f"delete_{key}", on_click=forget, help=f"Take {each.name} away")


def combination_of(
    name: str,
    film: Film,
    finding: str,
    desk: Desk,
    positions: Positions,
    saved_at: str,
    saved_by: str,
) -> Combination:
    """Return the record of what is shown."""
    subject = desk.subject
    moved = subject.moved(positions)
    titles = {card.dimension: card.title for card in desk.cards.cards}
    dimensions = tuple(
        SavedDimension(
            each.dimension,
            titles.get(each.dimension, str(each.dimension)),
            each.at,
            subject.value(each.dimension, 0),
            subject.value(each.dimension, each.at),
        )
        for each in positions
    )
    predictions = tuple(
        SavedPrediction(
            of,
            float(subject.film[place]),
            float(subject.reconstruction.probabilities[place]),
            float(moved.probabilities[place]),
        )
        for place, of in enumerate(subject.classifier.findings)
    )
    return Combination(
        combination_id=secrets.token_hex(8),
        name=name,
        case_id=film.case_id or "",
        film_digest=film.digest,
        finding=finding,
        dimensions=dimensions,
        predictions=predictions,
        factors_digest=desk.digests["factors"],
        generator_digest=desk.digests["generator"],
        classifier_digest=desk.digests["classifier"],
        saved_at=saved_at,
        saved_by=saved_by,
    )
