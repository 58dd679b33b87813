"""The cards of the factors as a Streamlit component: a picture, −/0/+ and a slider each.

A widget of Streamlit waits a fifth of a second before it tells of a slider; these tell at once, and
then wait until the server has answered, so that a slider that is dragged never runs ahead of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import streamlit as st

from pages.factoring.factors import Card
from pages.factoring.request import STEPS, Positions, by_dimension

_HERE: Final = Path(__file__).parent

_mount = st.components.v2.component(
    "counterlight.factors",
    html='<div class="cards"></div>\n',
    css=(_HERE / "cards.css").read_text(encoding="utf-8"),
    js=(_HERE / "cards.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class CardsState:
    """What the cards show, and what the server has heard of them.

    Parameters
    ----------
    view
        Another text makes the cards afresh: another film or finding.
    positions
        Where the dimensions stand when the cards are made, or set by a new ``wish``.
    wish
        Another number makes the cards take ``positions``.
    heard
        Number of the last message that has been answered.
    """

    view: str
    positions: Positions
    wish: int
    heard: int


@dataclass(frozen=True)
class Message:
    """What the cards say: a running number, and positions as text."""

    number: int
    positions: str


def message_of(value: object) -> Message | None:
    """Return what came from the browser as a message; ``None`` for anything else."""
    if not isinstance(value, Mapping):
        return None
    number, positions = value.get("n"), value.get("at")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**31:
        return None
    return Message(number, positions) if isinstance(positions, str) else None


def show_cards(
    cards: Sequence[Card],
    strips: Mapping[int, str],
    state: CardsState,
    on_moved: Callable[[], None],
    *,
    n_frames: int,
    key: str,
) -> None:
    """Mount the cards.

    Parameters
    ----------
    cards
        The cards, top to bottom.
    strips
        Dimension to the address of its frames side by side, lowest to highest.
    state
        What they show.
    on_moved
        Called when something was moved; the message is ``st.session_state[key]["moved"]``.
    n_frames
        Frames in a strip.
    key
        Streamlit key.
    """
    data = cards_data(cards, strips, state, n_frames)
    _mount(key=key, data=data, on_moved_change=on_moved, height="content")


def cards_data(
    cards: Sequence[Card], strips: Mapping[int, str], state: CardsState, n_frames: int
) -> dict[str, Any]:
    """Return the JSON that goes to the browser."""
    stands = by_dimension(state.positions)
    return {
        "view": state.view,
        "wish": state.wish,
        "heard": state.heard,
        "steps": STEPS,
        "frames": n_frames,
        "cards": [
            {
                "dimension": card.dimension,
                "title": card.title,
                "lines": _lines(card),
                "strip": strips.get(card.dimension, ""),
                "at": stands.get(card.dimension, 0),
            }
            for card in cards
        ],
    }


def _lines(card: Card) -> list[str]:
    change = f"Δf −: {card.change_low:+.2f}   +: {card.change_high:+.2f}".replace("-", "−")
    share = f"moves {100 * card.share:.0f} % of films"
    lines = [card.place, f"{change} · {share}"]
    if card.known:
        lines.append(f"measured: {card.known}")
    if card.region:
        lines.append(f"mostly {card.region}")
    return [line for line in lines if line]
