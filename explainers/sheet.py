"""A contact sheet of archived explanations, to look at many of them at once.

One row per case and finding: film, reconstruction, lowest and highest frame, their signed
difference, and every map over the film. NumPy and Pillow only. Not for readers of a study: it
shows all methods side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from data.manifest import CaseSet
from data.raster import resize, resize_mask
from explainers.archive import ExplanationArchive
from explainers.base import ExplainerError
from explainers.overlay import blend, overlay_rgba
from explainers.record import Attribution, Counterfactual, Toggles
from explainers.registry import spec
from explainers.residual import residual_frames, residual_states

CELL_PX = 192
_HEADER_PX, _CAPTION_PX, _GAP_PX = 20, 18, 4


@dataclass(frozen=True, eq=False)
class Cell:
    """One picture of a row: a title and (CELL_PX, CELL_PX, 3) uint8 pixels."""

    title: str
    picture: NDArray[np.uint8]


def draw_sheet(
    cases: CaseSet,
    archive: ExplanationArchive,
    pairs: Sequence[tuple[str, str]],
    methods: Sequence[str],
) -> Image.Image:
    """Draw a contact sheet.

    Parameters
    ----------
    cases
        The films.
    archive
        Holds every method for every pair.
    pairs
        (case_id, finding), one row each.
    methods
        Names of methods, in the order of the columns.

    Raises
    ------
    DataError
        If a film cannot be read.
    ExplainerError
        If there is no pair, or an explanation is missing or damaged.
    """
    if not pairs:
        raise ExplainerError(
            "There is nothing to draw: no case has a finding to be explained. "
            "Name findings with --findings."
        )
    rows = [_row(cases, archive, case_id, finding, methods) for case_id, finding in pairs]
    cells = rows[0][1]
    width = len(cells) * (CELL_PX + _GAP_PX) + _GAP_PX
    pitch = CELL_PX + _CAPTION_PX + _GAP_PX
    sheet = Image.new("RGB", (width, _HEADER_PX + len(rows) * pitch), (24, 24, 24))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for column, cell in enumerate(cells):
        left = _GAP_PX + column * (CELL_PX + _GAP_PX)
        pen.text((left, 3), fitting(cell.title, font), fill=(200, 200, 200), font=font)
    for number, (caption, cells) in enumerate(rows):
        top = _HEADER_PX + number * pitch
        pen.text((_GAP_PX, top + 2), caption, fill=(255, 220, 150), font=font)
        for column, cell in enumerate(cells):
            left = _GAP_PX + column * (CELL_PX + _GAP_PX)
            sheet.paste(Image.fromarray(cell.picture), (left, top + _CAPTION_PX))
    return sheet


def draw_gallery(
    cases: CaseSet,
    archive: ExplanationArchive,
    case_id: str,
    finding: str,
    methods: Sequence[str],
    *,
    mask: NDArray[np.bool_] | None = None,
    columns: int = 5,
) -> Image.Image:
    """Draw every method on one film, as a grid.

    Films of counterfactuals are shown as residual frames at their highest and lowest prediction,
    and as what is added and removed between the two; maps as absolute values over the film.

    Parameters
    ----------
    cases, archive, case_id, finding, methods
        As in :func:`draw_sheet`, for one case.
    mask
        (H, W), bool: where the finding is; its outline is drawn on a second copy of the film.
    columns
        Pictures per row.

    Raises
    ------
    DataError
        If the film cannot be read.
    ExplainerError
        If an explanation is missing or damaged.
    """
    film = cases.load(case_id).image
    small = resize(film, (CELL_PX, CELL_PX))
    cells = [Cell("film", _grey(small))]
    if mask is not None:
        cells.append(Cell(f"{finding}, as simulated", _outlined(small, mask)))
    for method in methods:
        explanation, title = archive.load(case_id, finding, method), spec(method).title
        if isinstance(explanation, Attribution):
            cells.append(Cell(title, _over(small, explanation.values)))
            continue
        if isinstance(explanation, Toggles):
            frames = residual_states(film, explanation)
            ends = (f"{title}: all −", frames[0]), (f"{title}: all +", frames[-1])
            cells += [Cell(words, _grey(resize(f, (CELL_PX, CELL_PX)))) for words, f in ends]
            continue
        frames = residual_frames(film, explanation)
        lowest, highest = (resize(frames[end], (CELL_PX, CELL_PX)) for end in (0, -1))
        reached = "" if explanation.reached_low else " (goal not reached)"
        added = overlay_rgba(
            explanation.difference, colormap="PuOr", size=(CELL_PX, CELL_PX), smoothing_px=0
        )
        cells += [
            Cell(f"f(x) {explanation.probability_image:.2f}: {title}", _grey(highest)),
            Cell(f"down to {explanation.probabilities[0]:.2f}{reached}", _grey(lowest)),
            Cell("added / removed", blend(small, added)),
            Cell("its map, max", _over(small, explanation.to_attribution("max"))),
        ]
    return _grid(cells, columns)


def _grid(cells: Sequence[Cell], columns: int) -> Image.Image:
    """Lay cells out row by row, each under its title."""
    pitch_x, pitch_y = CELL_PX + _GAP_PX, CELL_PX + _CAPTION_PX + _GAP_PX
    n_rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * pitch_x + _GAP_PX, n_rows * pitch_y), (24, 24, 24))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        left, top = _GAP_PX + column * pitch_x, row * pitch_y
        pen.text((left, top + 2), fitting(cell.title, font), fill=(200, 200, 200), font=font)
        sheet.paste(Image.fromarray(cell.picture), (left, top + _CAPTION_PX))
    return sheet


def fitting(title: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Return the title, or as much of it with an ellipsis as fits above its picture."""
    shown = title
    while font.getlength(shown) > CELL_PX and len(shown) > 2:
        shown = shown[:-2].rstrip() + "…"
    return shown


def _outlined(film: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Draw the outline of a mask on a film."""
    picture = _grey(film)
    inside = resize_mask(mask, (CELL_PX, CELL_PX))
    picture[inside & ~binary_erosion(inside)] = (86, 180, 233)
    return picture


def write_sheet(sheet: Image.Image, path: Path) -> None:
    """Write a contact sheet as PNG.

    Raises
    ------
    ExplainerError
        If the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, format="PNG")
    except OSError as error:
        raise ExplainerError(
            f"{path} could not be written: {error.strerror or error}. Choose another place."
        ) from error


def _row(
    cases: CaseSet, archive: ExplanationArchive, case_id: str, finding: str, methods: Sequence[str]
) -> tuple[str, list[Cell]]:
    """Draw caption and cells of one case and finding."""
    film = resize(cases.load(case_id).image, (CELL_PX, CELL_PX))
    cells = [Cell("film", _grey(film))]
    caption = f"{case_id}  {finding}"
    films: list[Counterfactual] = []
    maps: list[tuple[str, NDArray[np.float32]]] = []
    for method in methods:
        explanation = archive.load(case_id, finding, method)
        if isinstance(explanation, Attribution):
            maps.append((spec(method).title, explanation.values))
            if not films:
                caption = f"{case_id}  {finding}   f(x) {explanation.probability:.2f}"
        elif isinstance(explanation, Counterfactual):
            films.append(explanation)
            maps.append((f"{spec(method).title} max", explanation.to_attribution("max")))
    for each in films:
        caption = f"{case_id}  {finding}   {_describe(each)}"
        cells += _film_cells(each)
    cells += [Cell(title, _over(film, values)) for title, values in maps]
    return caption, cells


def _describe(film: Counterfactual) -> str:
    ends = [
        f"{film.probabilities[end]:.2f}{'' if reached else ' (not reached)'}"
        for end, reached in ((0, film.reached_low), (-1, film.reached_high))
    ]
    return (
        f"f(x) {film.probability_image:.2f}   f(x'0) {film.probability_reconstruction:.2f}   "
        f"low {ends[0]}   high {ends[1]}   lambda {film.steps[0]:.3g} to {film.steps[-1]:.3g}"
    )


def _film_cells(film: Counterfactual) -> list[Cell]:
    size = (CELL_PX, CELL_PX)
    base = resize(film.reconstruction, size)
    difference = overlay_rgba(film.difference, colormap="PuOr", size=size)
    return [
        Cell("reconstruction", _grey(base)),
        Cell("lowest", _grey(resize(film.frames[0], size))),
        Cell("highest", _grey(resize(film.frames[-1], size))),
        Cell("added / removed", blend(base, difference)),
    ]


def _over(film: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return blend(film, overlay_rgba(values, size=(CELL_PX, CELL_PX)))


def _grey(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn (H, W) in [0, 1] into (H, W, 3) uint8."""
    whole = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return np.repeat(whole[..., None], 3, axis=2)
