"""The canvas viewer as a Streamlit component, and the data it is given."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import streamlit as st

from explainers.overlay import (
    MAGNITUDE_TABLES,
    SIGN_TABLES,
    SignMeaning,
    TableName,
    colour_table,
    legend,
)

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
        ``"film"`` one grey picture, ``"map"`` levels over a film, coloured in the browser,
        ``"frames"`` a sequence of grey pictures moved by the slider.
    urls
        Addresses of the panel's pictures, in slider order: grey PNG, or ``.raw`` with
        little-endian uint16 behind zlib.
    under
        For a map, the address of the film below it.
    other_urls
        For a sequence with two ways to show it, the pictures of the second way.
    bits
        Bits of a sample, 8 or 16.
    signed
        For a map, whether level 128 is 0 and 1 to 255 go from negative to positive; else 0 is
        nothing and 255 the strongest.
    width, height
        Pixels of the pictures; needed for raw ones, else 0 will do.
    under_size
        Width and height of the film below a map; needed where that is raw and in no panel.
    meaning
        What the signs of a signed map are called in its legend.
    """

    title: str
    kind: Literal["film", "map", "frames"]
    urls: tuple[str, ...]
    under: str | None = None
    other_urls: tuple[str, ...] = ()
    bits: int = 8
    signed: bool = False
    width: int = 0
    height: int = 0
    under_size: tuple[int, int] | None = None
    meaning: SignMeaning = "change"


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
class Switches:
    """A sequence that is moved by switches instead of a slider: factors set to −, 0 or +.

    The sequence holds all 3^K combinations, ordered as numbers of base 3 with the digits −, 0, +
    and the first switch as the leading digit; the unchanged picture stands in the middle.

    Parameters
    ----------
    titles
        What is switched, 1 to 4 titles.
    texts
        What the classifier says of each picture; empty where it is not shown.
    laid
        Whether the unchanged picture is the film itself, and not a network's picture of it.
    note
        Why nothing can be switched; the sequence is then a single picture.
    """

    titles: tuple[str, ...]
    texts: tuple[str, ...] = ()
    laid: bool = False
    note: str = ""


@dataclass(frozen=True)
class WindowPreset:
    """A named window.

    Parameters
    ----------
    name
        As the reader sees it.
    window, level
        Width and centre, in 255ths of the range from black to white.
    """

    name: str
    window: float
    level: float


PRESETS: Final = (
    WindowPreset("full", 255, 127.5),
    WindowPreset("lungs", 150, 85),
    WindowPreset("mediastinum", 140, 175),
    WindowPreset("high contrast", 110, 127.5),
)
"""Windows of chest films that fill the range from black to white."""


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
        Frames a second when playing at speed 1.
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
    origin_word
        What the mark at ``origin`` says.
    columns
        Panels in a row; 0 for as many as make them largest.
    modes
        Names of the two ways to show sequences that have ``other_urls``; a button changes between
        them.
    readings
        Lines of numbers below the slider.
    switches
        Switches in the slider's place, for a view whose sequence holds all their combinations.
    keep
        While this stays the same, a viewer with other pictures goes on with the window, zoom and
        frame of the one before it. Empty: every viewer starts afresh.
    frame_parameter, mode_parameter
        Names under which frame and mode are kept in the page's address; empty: they are not.
    go_to
        Frame to move to, and a number that is another one for every such wish.
    colormaps
        Colours that maps can be shown in, the first of each kind (magnitudes, signs) at first.
    presets
        Named windows.
    spacing_mm
        Millimetres from column to column of the film's pictures, for the scale bar; ``None`` where
        it is not known, and there is no bar.
    side_labels
        Whether R and L are written at the patient's sides.
    probability
        What the classifier says, where the protocol shows it; empty: nothing.
    prefetch
        Addresses of the pictures of the next reading, fetched once this one's are there.
    log_url
        Where the log of what the reader did is posted; empty: nothing is logged.
    csrf
        Token that such posts carry.
    stacked
        Whether films stand in a column beside the moving one, which takes the height of all, and
        against whose unmoved frame it flickers.
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
    origin_word: str = "original"
    columns: int = 0
    modes: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()
    switches: Switches | None = None
    keep: str = ""
    frame_parameter: str = ""
    mode_parameter: str = ""
    go_to: tuple[int, int] | None = None
    colormaps: tuple[TableName, ...] = (*MAGNITUDE_TABLES, *SIGN_TABLES)
    presets: tuple[WindowPreset, ...] = PRESETS
    spacing_mm: float | None = None
    side_labels: bool = False
    probability: str = ""
    prefetch: tuple[str, ...] = ()
    log_url: str = ""
    csrf: str = ""
    stacked: bool = False


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


def viewer_data(
    view_id: str, panels: tuple[ViewerPanel, ...], settings: ViewerSettings
) -> dict[str, Any]:
    """Return the JSON that goes to the browser: addresses, captions, words and colours only."""
    return {
        "id": view_id,
        "panels": [_panel_data(panel) for panel in panels],
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
        "tables": _tables(panels, settings.colormaps),
        "presets": [
            {"name": each.name, "window": each.window, "level": each.level}
            for each in settings.presets
        ],
        **_extras(settings),
    }


def _panel_data(panel: ViewerPanel) -> dict[str, Any]:
    extras: dict[str, Any] = {
        "otherUrls": list(panel.other_urls),
        "signed": panel.signed,
        "width": panel.width,
        "height": panel.height,
        "underSize": list(panel.under_size or ()),
        "legend": _legend_words(panel),
    }
    return {
        "title": panel.title,
        "kind": panel.kind,
        "urls": list(panel.urls),
        "under": panel.under,
        **{name: value for name, value in extras.items() if value},
    }


def _legend_words(panel: ViewerPanel) -> list[str]:
    """Return the words from the lowest to the highest colour of a map; none for a film."""
    if panel.kind != "map":
        return []
    return list(legend("PuOr" if panel.signed else "inferno", meaning=panel.meaning).labels)


def _tables(
    panels: tuple[ViewerPanel, ...], colormaps: tuple[TableName, ...]
) -> list[dict[str, Any]]:
    """Return the colours that these panels can be shown in."""
    kinds = {panel.signed for panel in panels if panel.kind == "map"}
    chosen = [
        (name, signed)
        for signed, known in ((False, MAGNITUDE_TABLES), (True, SIGN_TABLES))
        if signed in kinds
        for name in [each for each in colormaps if each in known] or known[:1]
    ]
    return [{"name": name, "signed": signed, "rgba": _rgba(name)} for name, signed in chosen]


@lru_cache(maxsize=8)
def _rgba(name: TableName) -> str:
    return base64.b64encode(colour_table(name).tobytes()).decode("ascii")


def _extras(settings: ViewerSettings) -> dict[str, Any]:
    """Return what not every view has; nothing is sent for what is not there."""
    extras: dict[str, Any] = {
        "columns": settings.columns,
        "modes": list(settings.modes),
        "readings": [
            {"label": each.label, "fixed": each.fixed, "frames": list(each.frames)}
            for each in settings.readings
        ],
        "toggles": _switch_data(settings.switches),
        "keep": settings.keep,
        "frameParameter": settings.frame_parameter,
        "modeParameter": settings.mode_parameter,
        "goTo": list(settings.go_to) if settings.go_to is not None else [],
        "originWord": settings.origin_word if settings.origin_word != "original" else "",
        "spacingMm": settings.spacing_mm,
        "sideLabels": settings.side_labels,
        "probability": settings.probability,
        "prefetch": list(settings.prefetch),
        "logUrl": settings.log_url,
        "csrf": settings.csrf,
        "stacked": settings.stacked,
    }
    return {name: value for name, value in extras.items() if value}


def _switch_data(switches: Switches | None) -> dict[str, Any]:
    if switches is None:
        return {}
    extras: dict[str, Any] = {
        "texts": list(switches.texts),
        "laid": switches.laid,
        "note": switches.note,
    }
    return {
        "titles": list(switches.titles),
        **{name: value for name, value in extras.items() if value},
    }
