"""What the explorer shows of a film: the linked panels, a row for each classifier."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final, Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from data.raster import quantise, resize
from explainers.overlay import SIGN_ZERO, shown_values
from explainers.record import Counterfactual
from explainers.residual import residual_frames
from pages.exploring.explanations import Explained, map_title
from pages.exploring.films import Film
from pages.exploring.request import PAIRED, Task, origin_word, step_word
from pages.parts.context import Visit
from pages.parts.viewer.component import Reading, ViewerPanel, ViewerSettings, show_viewer
from pages.web.scratch import Scratch, scratch

FILM, MOVING, RECONSTRUCTION, DIFFERENCE = (
    "Film",
    "Counterfactual",
    "Reconstruction",
    "Difference",
)
"""Titles of the panels that are not maps."""
STABLE, ADVERSARIAL, CHANGE = "Stable image", "Adversarial image", "Explanation |s − a|"
"""Titles of what paired generators draw."""
MODES: Final = ("residual", "decoded")
LARGEST_PX: Final = 1024
"""Longer side of residual frames on screen; larger films are shown smaller there."""
_KEPT: Final = 200
Drawn = MutableMapping[tuple[object, ...], tuple[bytes, ...]]


@dataclass(frozen=True, eq=False)
class Panel:
    """One panel with its pictures; ``other`` holds the second way to show a sequence."""

    title: str
    kind: Literal["film", "map", "frames"]
    pictures: tuple[bytes, ...]
    other: tuple[bytes, ...] = ()
    signed: bool = False


def map_panels(methods: Sequence[str], variant: str, kinds: Sequence[str]) -> list[str]:
    """Return the names of the maps that are shown, left to right."""
    return [*(f"{variant}-{kind}" for kind in kinds), *methods]


def show_pictures(
    visit: Visit,
    film: Film,
    rows: Sequence[tuple[Explained, Task]],
    parts: Sequence[str],
    maps: Sequence[str],
    go_to: tuple[int, int] | None = None,
    top: int = 100,
) -> None:
    """Show the panels of every classifier, all moved together.

    Parameters
    ----------
    visit
        Whose pictures they are.
    film
        What is looked at.
    rows
        For each classifier what there is, and the task that made its film.
    parts
        Which of reconstruction and difference are shown.
    maps
        Names of maps, left to right.
    go_to
        Frame to move to, and a number that is another one for every such wish.
    top
        Share of the pixels of a paired explanation that is shown, in per cent, the strongest ones.
    """
    panels = [_row_panels(film, explained, task, parts, maps, top) for explained, task in rows]
    n_columns = max(len(row) for row in panels)
    titles = [explained.network.title for explained, _ in rows] if len(rows) > 1 else [""]
    for row in panels:  # a panel that is still to come keeps its place
        row += [Panel("", "film", (_blank(),))] * (n_columns - len(row))
    token = _token(scratch(), visit.account.account_id, film, [p for row in panels for p in row])
    shown: list[ViewerPanel] = []
    for title, row in zip(titles, panels, strict=True):
        for number, panel in enumerate(row):
            of = title if number == 0 else ""  # the row is named once
            shown.append(_viewer_panel(token, 2 * len(shown) + 1, panel, of))
    first = next((each.film for each, _ in rows if each.film is not None), None)
    settings = ViewerSettings(
        slider=first is not None,
        play=first is not None,
        low=visit.protocol.display.slider_low,
        high=visit.protocol.display.slider_high,
        origin=first.origin if first is not None else 0,
        aspect=film.aspect,
        reserved_px=400 if len(rows) == 1 else 215,
        origin_word=origin_word(rows[0][0].method),
        columns=n_columns if len(rows) > 1 else 0,
        modes=MODES if first is not None else (),
        readings=tuple(_reading(each, len(rows)) for each, _ in rows if each.film is not None),
        keep=film.digest,
        frame_parameter="frame",
        mode_parameter="shown",
        go_to=go_to,
    )
    show_viewer(token, tuple(shown), settings, key="viewer_explorer")


def _viewer_panel(token: str, place: int, panel: Panel, row_title: str) -> ViewerPanel:
    def urls(number: int, count: int) -> tuple[str, ...]:
        return tuple(f"/explore/{token}/{number}/{frame}.png" for frame in range(count))

    title = f"{panel.title} · {row_title}" if row_title and panel.title else panel.title
    return ViewerPanel(
        title,
        panel.kind,
        urls(place, len(panel.pictures)),
        f"/explore/{token}/0/0.png" if panel.kind == "map" else None,
        urls(place + 1, len(panel.other)),
        signed=panel.signed,
    )


def _reading(explained: Explained, n_rows: int) -> Reading:
    film = explained.film
    assert film is not None
    fixed = f"f(x) {film.probability_image:.2f}   f(x′₀) {film.probability_reconstruction:.2f}"
    word = step_word(explained.method)
    residual_f = ["–"] * len(film.steps)
    if explained.residual is not None:
        residual_f = [f"{value:.2f}" for value in explained.residual]
    frames = tuple(
        f"f(x′λ) {probability:.2f}, residual {of_residual}   {word} {step + 0.0:+.3g}   "
        f"frame {number} of {len(film.steps)}"
        for number, (step, probability, of_residual) in enumerate(
            zip(film.steps, film.probabilities, residual_f, strict=True), start=1
        )
    )
    return Reading(explained.network.title if n_rows > 1 else "Prediction", fixed, frames)


def _row_panels(
    film: Film,
    explained: Explained,
    task: Task,
    parts: Sequence[str],
    maps: Sequence[str],
    top: int,
) -> list[Panel]:
    """Draw the panels of one classifier, each only once."""
    drawn: Drawn = st.session_state.setdefault("drawn", {})

    def once(what: str, draw: Callable[[], tuple[bytes, ...]]) -> tuple[bytes, ...]:
        key = (film.digest, task, what)
        if key not in drawn:
            drawn[key] = draw()
        while len(drawn) > _KEPT:
            drawn.pop(next(iter(drawn)))
        return drawn[key]

    panels = [Panel(FILM, "film", once(FILM, lambda: (grey(film.image),)))]
    moving = explained.film
    if moving is not None:
        panels.append(
            Panel(
                MOVING,
                "frames",
                once("residual", lambda: _greys(residual(film, explained))),
                once("decoded", lambda: _greys(moving.frames)),
            )
        )
        paired = explained.method in PAIRED
        if paired:
            panels += _paired_panels(moving, top, once)
        if RECONSTRUCTION in parts and not paired:
            pictures = once(RECONSTRUCTION, lambda: (grey(moving.reconstruction),))
            panels.append(Panel(RECONSTRUCTION, "film", pictures))
        if DIFFERENCE in parts and not paired:
            pictures = once(DIFFERENCE, lambda: (levels(moving.difference, signed=True),))
            panels.append(Panel(DIFFERENCE, "map", pictures, signed=True))
    for name in maps:
        values = explained.maps.get(name)
        if values is not None:
            pictures = once(name, lambda values=values: (levels(values),))  # type: ignore[misc]
            panels.append(Panel(map_title(name), "map", pictures))
    return panels


def _paired_panels(
    moving: Counterfactual,
    top: int,
    once: Callable[[str, Callable[[], tuple[bytes, ...]]], tuple[bytes, ...]],
) -> list[Panel]:
    """Return stable image, adversarial image, and where they differ most."""
    adversarial = moving.frames[0 if moving.origin else -1]
    return [
        Panel(STABLE, "film", once(STABLE, lambda: (grey(moving.reconstruction),))),
        Panel(ADVERSARIAL, "film", once(ADVERSARIAL, lambda: (grey(adversarial),))),
        Panel(
            CHANGE if top == 100 else f"{CHANGE}, top {top} %",
            "map",
            once(f"{CHANGE} {top}", lambda: (levels(strongest(np.abs(moving.difference), top)),)),
        ),
    ]


def strongest(values: NDArray[np.floating], top: float) -> NDArray[np.floating]:
    """Return a map (H, W) ≥ 0 with 0 everywhere but at its strongest pixels.

    Parameters
    ----------
    values
        The map.
    top
        Share of the pixels that stay, in per cent; those as strong as the last of them stay, too.
    """
    if top >= 100:
        return values
    return np.where(values >= np.percentile(values, 100 - top), values, 0)


def residual(film: Film, explained: Explained) -> NDArray[np.float32]:
    """Return the residual frames of the moving film, (T, H, W), no larger than a screen."""
    assert explained.film is not None
    image = film.image
    longer = max(image.shape)
    if longer > LARGEST_PX:
        rows, columns = (max(1, round(side * LARGEST_PX / longer)) for side in image.shape)
        image = np.clip(resize(image, (rows, columns)), 0, 1)
    return residual_frames(image, explained.film)


def _token(store: Scratch, account: str, film: Film, panels: Sequence[Panel]) -> str:
    """Return the name of the pictures of this view; they are put there only once."""
    tokens: dict[tuple[int, ...], str] = st.session_state.setdefault("tokens", {})
    drawn: list[tuple[bytes, ...]] = [(grey_of(film),)]
    for panel in panels:
        drawn += [panel.pictures, panel.other]
    view = tuple(hash(picture) for pictures in drawn for picture in pictures)
    if view not in tokens or not store.holds(tokens[view]):
        while len(tokens) >= _KEPT:
            tokens.pop(next(iter(tokens)))
        tokens[view] = store.put(account, tuple(drawn))
    return tokens[view]


def grey_of(film: Film) -> bytes:
    """Return the film as PNG, drawn once."""
    drawn: dict[str, bytes] = st.session_state.setdefault("grey_films", {})
    if film.digest not in drawn:
        drawn.clear()
        drawn[film.digest] = grey(film.image)
    return drawn[film.digest]


def legends(*, signed: bool, magnitude: bool) -> str:
    """Return what the colours of the maps stand for, as HTML; the colours are in each panel."""
    parts = []
    if magnitude:
        parts.append("Maps: each on its own scale.")
    if signed:
        parts.append("Difference: highest − lowest frame.")
    spans = "".join(f"<span>{part}</span>" for part in parts)
    return f'<div class="legends">{spans}</div>' if parts else ""


def levels(values: NDArray[np.floating], *, signed: bool = False) -> bytes:
    """Encode a map (H, W) as levels in an 8-bit grey PNG; the viewer colours them.

    Parameters
    ----------
    values
        The map, finite.
    signed
        Whether level 128 is 0 and 1 to 255 go from the most negative to the most positive; else
        magnitudes go from 0 to 255.

    Raises
    ------
    ExplainerError
        If the map is not two-dimensional and finite.
    """
    scaled = shown_values(values, signed=signed)
    stored = SIGN_ZERO + (SIGN_ZERO - 1) * scaled if signed else 255 * scaled
    return _png(np.rint(stored).astype(np.uint8))


def grey(image: NDArray[np.floating]) -> bytes:
    """Encode a grey image (H, W) in [0, 1] as 8-bit PNG; quickly rather than small."""
    return _png(quantise(image, 8))


def _greys(frames: NDArray[np.float32]) -> tuple[bytes, ...]:
    return tuple(grey(frame) for frame in frames)


def _blank() -> bytes:
    return _png(np.full((1, 1), 11, np.uint8))


def _png(samples: NDArray[np.uint8]) -> bytes:
    stream = BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(samples))
    picture.save(stream, format="PNG", compress_level=1)
    return stream.getvalue()
