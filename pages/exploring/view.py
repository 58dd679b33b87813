"""What the explorer shows of a film: the linked panels, and the numbers beside the curve."""

from __future__ import annotations

import numpy as np
import streamlit as st

from explainers.overlay import overlay_rgba
from pages.exploring.explanations import Explained, map_title
from pages.exploring.films import Film
from pages.parts.context import Visit
from pages.parts.display import grey_png, map_png, rgba_png
from pages.parts.viewer.component import ViewerPanel, ViewerSettings, show_viewer
from pages.web.scratch import Scratch, scratch

FILM, MOVING, RECONSTRUCTION, DIFFERENCE = (
    "Film",
    "Counterfactual",
    "Reconstruction",
    "Difference",
)
"""Titles of the panels that are not maps."""
LARGE_MOVE = 0.15
"""Change of the probability by reconstruction alone beyond which the page says so."""


def panel_titles(explained: Explained) -> list[str]:
    """Return the titles of all panels that there are, left to right."""
    titles = [FILM]
    if explained.film is not None:
        titles += [MOVING, RECONSTRUCTION, DIFFERENCE]
    return titles + [map_title(name) for name in explained.maps]


def show_pictures(visit: Visit, film: Film, explained: Explained, shown: list[str]) -> None:
    store, account = scratch(), visit.account.account_id
    token = _pictures_token(store, account, film, explained, shown)

    def address(panel: int, frame: int) -> str:
        return f"/explore/{token}/{panel}/{frame}.png"

    panels = []
    for number, title in enumerate(shown, start=1):
        moving = title == MOVING and explained.film is not None
        n_frames = len(explained.film.frames) if moving and explained.film is not None else 1
        flat = title in (FILM, RECONSTRUCTION)
        panels.append(
            ViewerPanel(
                title,
                "frames" if moving else "film" if flat else "map",
                tuple(address(number, frame) for frame in range(n_frames)),
                None if moving or flat else address(0, 0),
            )
        )
    has_film = explained.film is not None
    settings = ViewerSettings(
        slider=has_film,
        play=has_film,
        low=visit.protocol.display.slider_low,
        high=visit.protocol.display.slider_high,
        origin=explained.film.origin if explained.film is not None else 0,
        aspect=film.aspect,
        reserved_px=410,
    )
    show_viewer(token, tuple(panels), settings, key=f"viewer_{token}")


def _pictures_token(
    store: Scratch, account: str, film: Film, explained: Explained, shown: list[str]
) -> str:
    """Return the name of the pictures of this view; they are drawn only if they are not there."""
    tokens: dict[tuple[str, ...], str] = st.session_state.setdefault("tokens", {})
    view = (film.digest, explained.finding, *shown)
    if view not in tokens or not store.holds(tokens[view]):
        pictures: list[tuple[bytes, ...]] = [(grey_png(film.image),)]
        pictures += [draw(title, film, explained) for title in shown]
        tokens[view] = store.put(account, tuple(pictures))
    return tokens[view]


def draw(title: str, film: Film, explained: Explained) -> tuple[bytes, ...]:
    """Draw one panel."""
    moving = explained.film
    if moving is not None and title == MOVING:
        return tuple(grey_png(frame) for frame in moving.frames)
    if moving is not None and title == RECONSTRUCTION:
        return (grey_png(moving.reconstruction),)
    if moving is not None and title == DIFFERENCE:
        return (rgba_png(overlay_rgba(moving.difference, colormap="PuOr")),)
    for name, values in explained.maps.items():
        if map_title(name) == title:
            return (map_png(np.abs(values)),)
    return (grey_png(film.image),)


def show_numbers(explained: Explained) -> None:
    film = explained.film
    if film is None:
        return
    rows = (
        ("f(x), the film", film.probability_image),
        ("f(x′₀), its reconstruction", film.probability_reconstruction),
        ("f at the lowest λ", float(film.probabilities[0])),
        ("f at the highest λ", float(film.probabilities[-1])),
    )
    cells = "".join(f"<span>{label}</span><span>{value:.2f}</span>" for label, value in rows)
    ends = "λ range"
    cells += f"<span>{ends}</span><span>{film.steps[0]:.3g} … {film.steps[-1]:.3g}</span>"
    reached = {
        (True, True): "The prediction fell and rose as far as was asked for.",
        (True, False): "The prediction fell as asked, but did not rise as far.",
        (False, True): "The prediction rose as asked, but did not fall as far.",
        (False, False): "The prediction neither fell nor rose as far as was asked for.",
    }[film.reached_low, film.reached_high]
    moved = film.probability_reconstruction - film.probability_image
    if abs(moved) > LARGE_MOVE:
        reached += (
            f" The reconstruction alone moves the prediction by {moved:+.2f}: part of what the "
            "classifier saw is not in these frames."
        )
    st.html(f'<div class="numbers">{cells}</div><div class="reached">{reached}</div>')
    st.html(
        '<div class="reached">Purple in the difference is added as the prediction rises, '
        "orange is removed.</div>"
    )
