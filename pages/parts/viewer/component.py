"""The canvas viewer as a Streamlit component, and the data it is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import streamlit as st

_HERE: Final = Path(__file__).parent

_mount = st.components.v2.component(
    "counterlight.viewer",
    html='<div class="viewer"></div>\n',
    css=(_HERE / "viewer.css").read_text(encoding="utf-8"),
    js=(_HERE / "viewer.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class ViewerPanel:
    """One panel of the viewer.

    Parameters
    ----------
    title
        Caption in the panel's corner.
    kind
        ``"film"`` one grey picture, ``"map"`` a coloured picture over a film, ``"frames"`` a
        sequence of grey pictures moved by the slider.
    urls
        Addresses of the panel's pictures, in slider order.
    under
        For a map, the address of the film below it.
    other_urls
        For a sequence with two ways to show it, the pictures of the second way.
    """

    title: str
    kind: Literal["film", "map", "frames"]
    urls: tuple[str, ...]
    under: str | None = None
    other_urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """A line of numbers below the slider that follows the frame shown.

    Parameters
    ----------
    label
        What it is about.
    fixed
        What is the same for all frames.
    frames
        One text per frame.
    """

    label: str
    fixed: str
    frames: tuple[str, ...]


@dataclass(frozen=True)
class ViewerSettings:
    """What the viewer offers.

    Parameters
    ----------
    slider, play
        Which of the two controls is there.
    autoplay
        Whether a sequence starts to move by itself.
    low, high
        Words at the two ends of the slider.
    origin
        Index of the frame at the original film's position.
    opacity
        Strength of the maps at first, in [0, 1].
    fps
        Frames a second when playing.
    aspect
        Width of the film divided by its height; every panel is drawn with it.
    cells
        Number of panels that films are sized for: the largest number that any condition of the
        study has, so that a film is equally large in all of them.
    control_row
        Whether the room of the controls is kept where there are none, so that films have the same
        size in every condition.
    reserved_px
        Height kept free on the page for everything that is not the viewer.
    answer_keys
        Streamlit keys of the items that the digits answer, in order.
    origin_word
        What the mark at ``origin`` says.
    columns
        Panels in a row; 0 for as many as make them largest.
    modes
        Names of the two ways to show sequences that have ``other_urls``; a button changes between
        them.
    readings
        Lines of numbers below the slider.
    keep
        While this stays the same, a viewer with other pictures goes on with the window, zoom and
        frame of the one before it. Empty: every viewer starts afresh.
    frame_parameter, mode_parameter
        Names under which frame and mode are kept in the page's address; empty: they are not.
    go_to
        Frame to move to, and a number that is another one for every such wish.
    """

    slider: bool
    play: bool
    autoplay: bool = False
    low: str = "removed"
    high: str = "present"
    origin: int = 0
    opacity: float = 1.0
    fps: float = 12.0
    aspect: float = 1.0
    cells: int = 0
    control_row: bool = False
    reserved_px: int = 96
    answer_keys: tuple[str, ...] = ()
    origin_word: str = "original"
    columns: int = 0
    modes: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()
    keep: str = ""
    frame_parameter: str = ""
    mode_parameter: str = ""
    go_to: tuple[int, int] | None = None


def show_viewer(
    view_id: str, panels: tuple[ViewerPanel, ...], settings: ViewerSettings, *, key: str
) -> None:
    """Mount the viewer.

    Parameters
    ----------
    view_id
        Opaque identifier of what is shown. Slider, window and zoom belong to it: another id
        starts afresh.
    panels
        The panels, left to right.
    settings
        Controls and words.
    key
        Streamlit key; holds ``view_id`` so that no widget state crosses over.
    """
    _mount(key=key, data=viewer_data(view_id, panels, settings), height="content")


def _extras(settings: ViewerSettings) -> dict[str, Any]:
    """Return what only the explorer asks for; empty for a reading."""
    extras: dict[str, Any] = {
        "columns": settings.columns,
        "modes": list(settings.modes),
        "readings": [
            {"label": each.label, "fixed": each.fixed, "frames": list(each.frames)}
            for each in settings.readings
        ],
        "keep": settings.keep,
        "frameParameter": settings.frame_parameter,
        "modeParameter": settings.mode_parameter,
        "goTo": list(settings.go_to) if settings.go_to is not None else [],
        "originWord": settings.origin_word if settings.origin_word != "original" else "",
    }
    return {name: value for name, value in extras.items() if value}


def viewer_data(
    view_id: str, panels: tuple[ViewerPanel, ...], settings: ViewerSettings
) -> dict[str, Any]:
    """Return the JSON that goes to the browser; addresses, captions and words only."""
    return {
        "id": view_id,
        "panels": [
            {
                "title": panel.title,
                "kind": panel.kind,
                "urls": list(panel.urls),
                "under": panel.under,
                **({"otherUrls": list(panel.other_urls)} if panel.other_urls else {}),
            }
            for panel in panels
        ],
        "controls": {"slider": settings.slider, "play": settings.play},
        "autoplay": settings.autoplay,
        "low": settings.low,
        "high": settings.high,
        "origin": settings.origin,
        "opacity": settings.opacity,
        "fps": settings.fps,
        "aspect": settings.aspect,
        "cells": settings.cells,
        "controlRow": settings.control_row,
        "reserved": settings.reserved_px,
        "answerKeys": list(settings.answer_keys),
        **_extras(settings),
    }
