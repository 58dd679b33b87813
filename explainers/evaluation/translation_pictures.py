"""Pictures of translated images: side by side, and as points on the plane of the embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from explainers.evaluation.translation import REAL, Parts, Subject, direction_of
from explainers.evaluation.translation_measures import fit_plane
from explainers.evaluation.translation_parts import Part
from explainers.evaluation.translators import DO_NOTHING, Method
from explainers.overlay import overlay_rgba

if TYPE_CHECKING:
    import plotly.graph_objects as go

_COLOURS: Final = ("#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#0072b2")
_REAL_COLOURS: Final = ("#6b7480", "#f2f4f6")
_SHOWN_AT_FIRST: Final = 1  # methods; the others by a click on the legend

_PAGE, _INK, _FAINT = (15, 18, 22), (201, 208, 216), (122, 131, 143)
_TURNED, _LEFT = (86, 180, 233), (230, 159, 0)
_LABEL_PX, _HEAD_PX, _GAP_PX, _APART_PX = 168, 34, 3, 12
_WIDTH_PX = 1080  # of the cells, at most

LEGEND: Final = (
    "Of every image: stable image, adversarial image, explanation (brighter is more, each on its "
    "own scale). A blue frame: the classifier sees the adversarial image on the other side; an "
    "orange one: it does not. Methods without images have a map alone. In the first line the image "
    "and, where there is one, the mask. The images are the first of their side, not chosen."
)


def examples(
    subject: Subject, methods: Sequence[Method], parts: Parts, number: int, side: int
) -> Image.Image:
    """Draw what every method makes of the first images of a side: a line per method.

    Parameters
    ----------
    subject, methods, parts
        What was measured.
    number, side
        Contrast and side.
    """
    real = parts[REAL, number, side]
    drawn = [
        (each.label, parts[each.label, number, side])
        for each in methods
        if (each.label, number, side) in parts and each.label != DO_NOTHING
    ]
    cell = 64 if subject.images.size <= 64 else 112
    group = 3 * (cell + _GAP_PX) + _APART_PX
    n_images = max(1, min(len(real.pictures), _WIDTH_PX // group))
    size = (
        _LABEL_PX + n_images * group,
        _HEAD_PX + (1 + len(drawn)) * (cell + _GAP_PX) + _APART_PX,
    )
    sheet = Image.new("RGB", size, _PAGE)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    title = direction_of(subject, number, side)
    if subject.contrasts[number].negative is None:
        title = f"{subject.contrasts[number].name}: {title}"
    pen.text((4, 8), title.replace(" → ", " to "), fill=_INK, font=ImageFont.load_default(size=14))
    first = "image, mask" if len(subject.areas[number]) else "image"
    for line, (label, part) in enumerate([(first, real), *drawn]):
        top = _HEAD_PX + line * (cell + _GAP_PX) + (_APART_PX if line else 0)
        _write_label(pen, label, top, cell, font)
        for column in range(n_images):
            _place(sheet, part, column, line, cell, (_LABEL_PX + column * group, top))
    return sheet


def _write_label(
    pen: ImageDraw.ImageDraw,
    label: str,
    top: int,
    cell: int,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    lines = [""]
    for word in label.split():
        longer = f"{lines[-1]} {word}".strip()
        if pen.textlength(longer, font=font) > _LABEL_PX - 12 and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    start = top + cell // 2 - 8 * len(lines)
    pen.multiline_text((4, start), "\n".join(lines), fill=_INK, font=font)


def _place(
    sheet: Image.Image, part: Part, column: int, line: int, cell: int, corner: tuple[int, int]
) -> None:
    """Draw the cells of one image of one method; the real image stands in the first line."""
    if column >= len(part.pictures):
        return
    left, top = corner
    for place, picture in enumerate(part.pictures[column].astype(np.float32)):
        if np.isnan(picture).any() or (line == 0 and place == 1):
            continue
        drawn = _heat(picture) if place == 2 and line else _grey(picture)
        at = (left + place * (cell + _GAP_PX), top)
        sheet.paste(Image.fromarray(drawn).resize((cell, cell), _filter(picture, cell)), at)
        if place == 1:
            colour = _LEFT if part.stays[column] else _TURNED
            box = (at[0] - 1, top - 1, at[0] + cell, top + cell)
            ImageDraw.Draw(sheet).rectangle(box, outline=colour, width=2)


def _filter(picture: NDArray[np.float32], cell: int) -> Image.Resampling:
    grows = picture.shape[0] <= cell
    return Image.Resampling.NEAREST if grows else Image.Resampling.BOX


def _grey(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    whole = np.rint(picture.clip(0, 1) * 255).astype(np.uint8)
    return np.repeat(whole[..., None], 3, axis=2)


def _heat(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colours of a map on its own scale; black where it is zero everywhere."""
    return overlay_rgba(picture, smoothing_px=0, alpha=1.0)[..., :3]


def scatter(subject: Subject, methods: Sequence[Method], parts: Parts, number: int) -> go.Figure:
    """Real and adversarial images of a contrast on the plane of the real ones' embeddings."""
    import plotly.graph_objects as go

    reals = [parts[REAL, number, side].embeddings for side in (0, 1)]
    plane = fit_plane(np.concatenate(reals))
    figure = go.Figure()
    for side in (0, 1):
        points = plane.project(reals[side])
        name = f"real, {direction_of(subject, number, side).split(' → ')[0]}"
        figure.add_trace(_points(points, name, _REAL_COLOURS[side], "circle", True))
    with_images = [
        method
        for method in methods
        if method.draws_anew
        and any(
            (method.label, number, side) in parts
            and not np.isnan(parts[method.label, number, side].embeddings).any()
            for side in (0, 1)
        )
    ]
    for place, method in enumerate(with_images):
        for side in (0, 1):
            part = parts.get((method.label, number, side))
            if part is None:
                continue
            name = f"{method.label}, {direction_of(subject, number, side)}"
            colour = _COLOURS[place % len(_COLOURS)]
            symbol = ("triangle-up", "triangle-down-open")[side]
            shown = place < _SHOWN_AT_FIRST
            points = plane.project(part.embeddings)
            figure.add_trace(_points(points, name, colour, symbol, shown))
    labels = [
        f"{which} principal component of the real images (VAE units; {100 * share:.0f} % of the "
        "variance)"
        for which, share in zip(("First", "Second"), plane.explained, strict=True)
    ]
    figure.update_layout(
        title=f"{subject.contrasts[number].name}: where translated images lie (click the legend "
        "for more methods)",
        xaxis_title=labels[0],
        yaxis_title=labels[1],
        height=520,
    )
    figure.update_yaxes(scaleanchor="x")
    return figure


def _points(
    points: NDArray[np.float64], name: str, colour: str, symbol: str, shown: bool
) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=points[:, 0].round(4).tolist(),
        y=points[:, 1].round(4).tolist(),
        mode="markers",
        name=name,
        marker={"color": colour, "size": 6, "symbol": symbol, "opacity": 0.75},
        visible=True if shown else "legendonly",
        hovertemplate="%{x:.2f}, %{y:.2f}",
    )
