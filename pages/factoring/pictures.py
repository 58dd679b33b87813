"""Film, reconstruction, changed film and difference in the linked viewer, and the cards' frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import streamlit as st

from pages.exploring.films import Film
from pages.exploring.view import DIFFERENCE, RECONSTRUCTION, grey, grey_of, levels
from pages.factoring.preparing import Desk
from pages.parts.context import Visit
from pages.parts.viewer.component import ViewerPanel, ViewerSettings, show_viewer
from pages.web.scratch import Pictures, scratch

if TYPE_CHECKING:
    from pages.factoring.subject import Moved

FILM: Final = "Film"
CHANGED: Final = "Changed"
VIEWER_KEY: Final = "viewer_factors"
Drawing = Callable[[], Pictures]
_KEPT: Final = 12
RESERVED_PX: Final = 134


@dataclass(frozen=True)
class Still:
    """Where the pictures of a desk lie that do not change.

    Parameters
    ----------
    film, reconstruction
        Addresses.
    strips
        Dimension to the address of its frames side by side.
    """

    film: str
    reconstruction: str
    strips: Mapping[int, str]


def still_pictures(visit: Visit, film: Film, desk: Desk) -> Still:
    """Put the pictures of a desk that do not change where the browser can fetch them."""

    def drawn() -> Pictures:
        reconstruction = grey(desk.subject.reconstruction.image)
        strips = [grey(np.concatenate(list(frames), axis=1)) for frames in desk.strips.values()]
        return ((grey_of(film),), (reconstruction,), *((strip,) for strip in strips))

    token = _token(visit, ("still", id(desk)), drawn)
    addresses = [f"/explore/{token}/{number}/0.png" for number in range(2 + len(desk.strips))]
    strips = dict(zip(desk.strips, addresses[2:], strict=True))
    return Still(addresses[0], addresses[1], strips)


def show_pictures(
    visit: Visit, film: Film, desk: Desk, moved: Moved, still: Still, positions: str
) -> None:
    """Show the four panels, moved together.

    Parameters
    ----------
    visit
        Whose pictures they are.
    film, desk
        What is looked at.
    moved
        The film as it is changed.
    still
        From :func:`still_pictures`.
    positions
        Where the dimensions stand, as text.
    """

    def drawn() -> Pictures:
        difference = moved.image - desk.subject.reconstruction.image
        return ((grey(moved.image),), (levels(difference, signed=True),))

    token = _token(visit, ("moved", id(desk), positions), drawn)
    panels = (
        ViewerPanel(FILM, "film", (still.film,)),
        ViewerPanel(RECONSTRUCTION, "film", (still.reconstruction,)),
        ViewerPanel(CHANGED, "film", (f"/explore/{token}/0/0.png",)),
        ViewerPanel(
            DIFFERENCE, "map", (f"/explore/{token}/1/0.png",), still.reconstruction, signed=True
        ),
    )
    settings = ViewerSettings(
        slider=False,
        play=False,
        aspect=film.aspect,
        reserved_px=RESERVED_PX,
        columns=2,
        keep=film.digest,
    )
    show_viewer(token, panels, settings, key=VIEWER_KEY)


def show_film(visit: Visit, film: Film) -> None:
    """Show the film alone, while the rest is being prepared."""
    token = _token(visit, ("film", film.digest), lambda: ((grey_of(film),),))
    panels = (ViewerPanel(FILM, "film", (f"/explore/{token}/0/0.png",)),)
    settings = ViewerSettings(
        slider=False, play=False, aspect=film.aspect, reserved_px=RESERVED_PX + 60
    )
    show_viewer(token, panels, settings, key=f"{VIEWER_KEY}_film")


def _token(visit: Visit, what: tuple[object, ...], drawn: Drawing) -> str:
    """Return the name of pictures; they are drawn and put there only once."""
    tokens: MutableMapping[tuple[object, ...], str] = st.session_state.setdefault(
        "factor_tokens", {}
    )
    store = scratch()
    token = tokens.pop(what, None)
    if token is None or not store.holds(token):
        token = store.put(visit.account.account_id, drawn())
    tokens[what] = token
    while len(tokens) > _KEPT:
        tokens.pop(next(iter(tokens)))
    return token
