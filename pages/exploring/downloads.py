"""What a researcher may take away: moving films, a strip of frames, the numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from data.raster import quantise, resize
from explainers.animation import gif_bytes, ping_pong, webp_bytes
from pages.exploring.explanations import Explained
from pages.exploring.films import Film
from pages.exploring.numbers import Row, csv_bytes
from pages.exploring.view import MODES, residual

STRIP_FRAMES = 7
_STRIP_PX, _GAP_PX = 256, 4


def downloads(film: Film, rows: Sequence[Explained], numbers: Sequence[Row]) -> None:
    """Show the buttons; a file is made only when it is asked for."""
    moving = [each for each in rows if each.film is not None]
    with st.popover("Download", width="stretch", disabled=not numbers):
        if not numbers:
            return
        name = f"{film.case_id or 'upload'}-{rows[0].finding.replace(' ', '-')}"
        st.download_button(
            "Numbers (CSV)",
            partial(csv_bytes, list(numbers)),
            f"{name}.csv",
            "text/csv",
            on_click="ignore",
            width="stretch",
        )
        if not moving:
            return
        chosen = moving[0]
        if len(moving) > 1:
            titles = [each.network.title for each in moving]
            title = st.radio("Film of", titles, key="download_of", horizontal=True)
            chosen = moving[titles.index(title)] if title in titles else chosen
        mode = st.segmented_control(
            "Frames", MODES, default=MODES[0], required=True, key="download_mode"
        )
        name += f"-{chosen.network.name}-{chosen.method}-{mode}"
        for kind in ("GIF", "WebP", "PNG strip"):
            suffix = "png" if kind == "PNG strip" else kind.lower()
            st.download_button(
                f"Moving film ({kind})" if suffix != "png" else "Strip of frames (PNG)",
                partial(encoded, kind, film, chosen, str(mode)),
                f"{name}.{suffix}",
                f"image/{suffix}",
                on_click="ignore",
                width="stretch",
            )


def encoded(kind: str, film: Film, explained: Explained, mode: str) -> bytes:
    """Return the moving film as a file.

    Parameters
    ----------
    kind
        ``"GIF"``, ``"WebP"`` or ``"PNG strip"``.
    film, explained
        What is shown.
    mode
        ``"residual"`` or ``"decoded"``.
    """
    assert explained.film is not None
    frames = residual(film, explained) if mode == MODES[0] else explained.film.frames
    if kind == "PNG strip":
        return strip_png(frames, explained.film.origin)
    return (gif_bytes if kind == "GIF" else webp_bytes)(ping_pong(frames))


def strip_png(frames: NDArray[np.float32], origin: int) -> bytes:
    """Lay frames side by side, lowest to highest, the reconstruction among them.

    Parameters
    ----------
    frames
        (T, H, W), in [0, 1].
    origin
        Index of the frame that must be among them.
    """
    last = len(frames) - 1
    below = np.linspace(0, origin, min(origin, STRIP_FRAMES // 2) + 1)
    above = np.linspace(origin, last, min(last - origin, STRIP_FRAMES // 2) + 1)
    chosen = sorted(set(np.rint([*below, *above]).astype(int).tolist()))
    rows, columns = frames.shape[1:]
    scale = min(1.0, _STRIP_PX / rows)
    size = (max(1, round(rows * scale)), max(1, round(columns * scale)))
    gap = np.zeros((size[0], _GAP_PX), np.float32)
    cells = [np.clip(resize(frames[index], size), 0, 1) for index in chosen]
    parts = [part for cell in cells for part in (gap, cell)][1:]
    stream = io.BytesIO()
    Image.fromarray(quantise(np.concatenate(parts, axis=1), 8)).save(stream, format="PNG")
    return stream.getvalue()
