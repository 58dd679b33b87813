"""Figures of a bottleneck sweep: what is measured against its size, and examples side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from data.raster import resize
from explainers.base import ExplainerError
from explainers.evaluation.bench import Quantity
from explainers.evaluation.bottleneck import Example
from explainers.evaluation.counterfactual_figures import COLOURS
from explainers.evaluation.summary import POOLED
from explainers.overlay import blend, overlay_rgba

CELL_PX = 192
_CAPTION_PX, _GAP_PX = 18, 4


def draw(
    summary: pd.DataFrame, quantities: Mapping[str, Quantity], sizes: Mapping[str, int]
) -> list[go.Figure]:
    """Draw every quantity against the size of the bottleneck, by finding.

    Parameters
    ----------
    summary
        Means with intervals: classifier, finding, method (autoencoder), quantity, mean, low,
        high, n_cases.
    quantities
        Of the sweep.
    sizes
        Autoencoder to the numbers in one of its latents.
    """
    figures = []
    sized = summary.assign(x=summary["method"].map(sizes).astype(float))
    labels = list(dict.fromkeys(summary["classifier"]))
    for label in labels:
        prefix = f"{label}: " if len(labels) > 1 else ""
        for name, quantity in quantities.items():
            rows = sized[(sized["quantity"] == name) & (sized["classifier"] == label)]
            if len(rows) and quantity.better is not None:
                figures.append(_against_size(rows, quantity, prefix))
    return figures


def _against_size(rows: pd.DataFrame, quantity: Quantity, prefix: str) -> go.Figure:
    figure = go.Figure()
    names = [each for each in dict.fromkeys(rows["finding"]) if each != POOLED]
    colours = {each: COLOURS[number % len(COLOURS)] for number, each in enumerate(names)}
    if (rows["finding"] == POOLED).any():
        colours[POOLED] = "#202124"
    for finding, colour in colours.items():
        part = rows[rows["finding"] == finding].sort_values("x")
        pooled = finding == POOLED
        figure.add_trace(
            go.Scatter(
                x=part["x"],
                y=part["mean"],
                mode="lines+markers",
                name="all findings" if pooled else finding,
                line={"color": colour, "width": 3.5 if pooled else 1.5},
                marker={"size": 9 if pooled else 6},
                error_y={
                    "type": "data",
                    "array": (part["high"] - part["mean"]).clip(lower=0).fillna(0),
                    "arrayminus": (part["mean"] - part["low"]).clip(lower=0).fillna(0),
                    "thickness": 1.2,
                    "width": 3,
                },
                customdata=part[["method", "n_cases"]],
                hovertemplate="%{customdata[0]}: %{y:.3g} (%{customdata[1]} cases)",
            )
        )
    sizes = rows.drop_duplicates("method").sort_values("x")
    figure.update_xaxes(
        type="log",
        title_text="numbers in the bottleneck (autoencoder)",
        tickvals=sizes["x"],
        ticktext=[
            f"{size:.0f}<br>{label}"
            for size, label in zip(sizes["x"], sizes["method"], strict=True)
        ],
    )
    figure.update_yaxes(title_text=quantity.unit, rangemode="tozero")
    figure.update_layout(
        title=f"{prefix}{quantity.title} ({quantity.better} is better)",
        template="plotly_white",
        height=440,
        legend={"orientation": "h", "y": -0.24},
        margin={"l": 64, "r": 24, "t": 56, "b": 64},
    )
    return figure


def draw_grid(examples: Sequence[Example]) -> Image.Image:
    """Draw one row per case: the film, then reconstruction and map of every autoencoder.

    Raises
    ------
    ExplainerError
        If there is no example.
    """
    if not examples:
        raise ExplainerError("There are no examples to draw; ask for at least one.")
    labels = list(dict.fromkeys(each.label for each in examples))
    pairs = list(dict.fromkeys((each.case_id, each.finding) for each in examples))
    by_place = {(each.case_id, each.finding, each.label): each for each in examples}
    pitch = CELL_PX + _GAP_PX
    height = _CAPTION_PX + len(pairs) * (pitch + _CAPTION_PX)
    sheet = Image.new("RGB", (_GAP_PX + (1 + 2 * len(labels)) * pitch, height), (24, 24, 24))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for number, label in enumerate(labels):
        left = _GAP_PX + (1 + 2 * number) * pitch
        pen.text((left, 2), f"{label}: D(E(x)), latentshift-max", fill=(200, 200, 200), font=font)
    for row, (case_id, finding) in enumerate(pairs):
        top = _CAPTION_PX + row * (pitch + _CAPTION_PX)
        pen.text((_GAP_PX, top + 1), f"{case_id}  {finding}", fill=(255, 220, 150), font=font)
        cells = _cells([by_place[case_id, finding, label] for label in labels])
        for column, cell in enumerate(cells):
            place = (_GAP_PX + column * pitch, top + _CAPTION_PX)
            sheet.paste(Image.fromarray(cell), place)
    return sheet


def write_grid(examples: Sequence[Example], path: Path) -> None:
    """Write :func:`draw_grid` as PNG.

    Raises
    ------
    ExplainerError
        If there is no example, or the disk refuses.
    """
    sheet = draw_grid(examples)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, format="PNG")
    except OSError as error:
        raise ExplainerError(
            f"{path} could not be written: {error.strerror or error}. Choose another place."
        ) from error


def _cells(examples: Sequence[Example]) -> list[NDArray[np.uint8]]:
    """Draw the pictures of one row."""
    size = (CELL_PX, CELL_PX)
    film = np.clip(resize(examples[0].image, size), 0, 1)
    cells = [_grey(film)]
    for each in examples:
        cells += [
            _grey(resize(each.reconstruction, size)),
            blend(film, overlay_rgba(each.map, size=size)),
        ]
    return cells


def _grey(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn (H, W) in [0, 1] into (H, W, 3) uint8."""
    whole = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return np.repeat(whole[..., None], 3, axis=2)
