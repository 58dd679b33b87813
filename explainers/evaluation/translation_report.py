"""The translation tables on disk: CSV, Markdown, and one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.scratch import write_together
from explainers.evaluation import report
from explainers.evaluation.translation import REAL, Parts, Subject
from explainers.evaluation.translation_measures import fit_plane
from explainers.evaluation.translation_tables import (
    TranslationTables,
    direction_of,
    long_rows,
    make_tables,
)
from explainers.evaluation.translators import Method
from explainers.training.films import Films

if TYPE_CHECKING:
    import plotly.graph_objects as go

TITLE: Final = "Images carried to the other side of a prediction"
_COLOURS: Final = ("#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#0072b2")
_REAL_COLOURS: Final = ("#6b7480", "#f2f4f6")
_SHOWN_AT_FIRST: Final = 1  # methods; the others by a click on the legend

_EXPLAINED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "agreement": "Share of images that the classifier leaves on their side: adversarial (0 is "
        "wanted) and stable (1 is wanted); of an independent classifier the share that it sees "
        "turned, of the images that it put where the classifier did. 95 % bootstrap intervals "
        "over patients (low, high). Differences in grey levels of 255.",
        "distances": "Between embeddings (mean vectors of a VAE with a class head) of adversarial "
        "images and of real ones of the side they went to. The ratio is to the distance between "
        "the real images of both sides: 1 is doing nothing. Distances of few images are too large; "
        "that of other real images is what a perfect translation would have. Last column: stable "
        "images to real ones of their own side.",
        "localisation": "Images on side 1 with a mask. IoU at matched area (iou), above fixed "
        "percentiles of the map, and correlation of map and mask (NCC).",
        "seconds": "Per explanation, on this machine and, in the paper, on a V100.",
        "places": "Standard deviation of the map's centre of gravity from image to image, in "
        "percent of the side, and the mean share that two maps have in common. A generator that "
        "puts every finding in the same place varies less than the masks do.",
        "areas": "Annotated area as percent of the image, and the percentile of a map that leaves "
        "as large an area.",
    }
)


_HEADS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "n_images": "images",
        "n_masks": "masks",
        "n_oracle": "images both see alike",
        "adversarial": "f: adversarial",
        "paper_adversarial": "paper: adversarial",
        "stable": "f: stable",
        "oracle_turned": "independent: turned",
        "oracle_stable": "independent: stable",
        "stable_error_grey": "error of stable, 1/255",
        "change_grey": "change, 1/255",
        "frechet": "Fréchet",
        "frechet_ratio": "ratio to real–real",
        "jensen_shannon": "Jensen–Shannon",
        "jensen_shannon_ratio": "its ratio",
        "stable_frechet_ratio": "stable: Fréchet ratio",
        "iou": "IoU, matched area",
        "ncc": "NCC",
        "paper_ncc": "paper: NCC",
        "seconds": "seconds",
        "paper_seconds_v100": "paper: seconds, V100",
        "sd_row_percent": "SD of row, % of side",
        "sd_column_percent": "SD of column, % of side",
        "overlap": "overlap of two maps",
        "percentiles_used": "percentiles used",
    }
)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """A table for people: titles instead of names, numbers as text, intervals in one cell."""
    columns: dict[str, list[str]] = {}
    for name in table.columns:
        if name.endswith(("_low", "_high")):
            continue
        cells = [_cell(value) for value in table[name]]
        if f"{name}_low" in table:
            ends = zip(table[f"{name}_low"], table[f"{name}_high"], strict=True)
            cells = [
                cell if np.isnan(low) else f"{cell} ({low:.3f} to {high:.3f})"
                for cell, (low, high) in zip(cells, ends, strict=True)
            ]
        columns[_head(name)] = cells
    return pd.DataFrame(columns)


def _head(name: str) -> str:
    if name in _HEADS:
        return _HEADS[name]
    for prefix, title in (
        ("paper_iou_p", "paper: IoU, p"),
        ("iou_p", "IoU, p"),
        ("area_q", "area, quantile "),
        ("percentile_of_q", "percentile at quantile "),
    ):
        if name.startswith(prefix):
            rest = name.removeprefix(prefix).removesuffix("_percent")
            return f"{title}{rest}" + (", %" if name.endswith("_percent") else "")
    return name


def write_translation(
    subject: Subject,
    methods: Sequence[Method],
    parts: Parts,
    out: Path,
    *,
    created: str,
) -> tuple[TranslationTables, tuple[Path, ...]]:
    """Write ``translation.csv`` (every number), a CSV per table, Markdown and the page.

    Raises
    ------
    OSError
        If the disk refuses; what was there before is still there.
    """
    tables = make_tables(subject, methods, parts)
    texts = {
        f"translation.{name}.csv": table.to_csv(index=False, lineterminator="\n")
        for name, table in tables.named().items()
    }
    texts["translation.csv"] = long_rows(subject, parts).to_csv(index=False, lineterminator="\n")
    texts["translation.md"] = to_markdown(subject, tables, created)
    texts["translation.html"] = _page(subject, methods, parts, tables, created)
    return tables, write_together(out, texts)


def setting_lines(subject: Subject) -> list[str]:
    """Say what was measured on what."""
    counts = "; ".join(
        f"{contrast.name}: {len(off)} on side 0, {len(on)} on side 1"
        for contrast, (off, on) in zip(subject.contrasts, subject.sides, strict=True)
    )
    oracle = subject.oracle
    return [
        f"Images of the {subject.split} split, sorted by the classifier's prediction. {counts}.",
        f"Classifier {subject.classifier.weights_digest[:16] or 'without a digest'}, independent "
        f"classifier {oracle.weights_digest[:16] if oracle else 'none'}, VAE "
        f"{subject.vae.weights_digest[:16]}.",
    ]


def to_markdown(subject: Subject, tables: TranslationTables, created: str) -> str:
    """All tables as a page of Markdown."""
    lines = [f"# {TITLE}", "", *setting_lines(subject), f"Made {created}.", ""]
    if _simulated(subject):
        lines += ["The films are simulated: these figures say nothing about patients.", ""]
    for name, table in tables.named().items():
        lines += [f"## {name.capitalize()}", "", _EXPLAINED[name], ""]
        cells = shown(table)
        lines.append("| " + " | ".join(cells.columns) + " |")
        lines.append("| " + " | ".join("---" for _ in cells.columns) + " |")
        lines += ["| " + " | ".join(row) + " |" for row in cells.itertuples(index=False)]
        lines.append("")
    return "\n".join([*lines, "## Notes", "", *[f"- {note}" for note in tables.notes]]) + "\n"


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


def _page(
    subject: Subject,
    methods: Sequence[Method],
    parts: Parts,
    tables: TranslationTables,
    created: str,
) -> str:
    from plotly.offline import get_plotlyjs

    figures = [
        report.darkened(scatter(subject, methods, parts, number)).to_html(
            full_html=False, include_plotlyjs=False, config={"displaylogo": False}
        )
        for number in range(len(subject.contrasts))
    ]
    body = "".join(
        f"<h2>{escape(name.capitalize())}</h2><p class='note'>{escape(_EXPLAINED[name])}</p>"
        + _html(table)
        for name, table in tables.named().items()
    )
    simulated = (
        '<p class="simulated">The films are simulated: these figures say nothing about '
        "patients.</p>"
        if _simulated(subject)
        else ""
    )
    said = "".join(f'<p class="note">{escape(each)}</p>' for each in setting_lines(subject))
    notes = "".join(f"<li>{escape(note)}</li>" for note in tables.notes)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(TITLE)}</title>
<style>{report.STYLE}</style><script>{get_plotlyjs()}</script></head><body>
<h1>{escape(TITLE)}</h1>{simulated}{said}
<ul class="note">{notes}</ul>
{body}
<h2>Plane of the embeddings</h2>{"".join(figures)}
<p class="note">Made {escape(created)} by <code>counterlight translation</code>.</p>
</body></html>
"""


def _html(table: pd.DataFrame) -> str:
    body = shown(table).to_html(index=False, border=0)
    return f"<div style='overflow-x:auto'>{body}</div>"


def _simulated(subject: Subject) -> bool:
    return isinstance(subject.images, Films) and subject.images.simulated


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "–"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3f}" if abs(value) >= 0.001 or value == 0 else f"{value:.1e}"
