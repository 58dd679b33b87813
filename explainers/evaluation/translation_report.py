"""The translation tables on disk: CSV, Markdown, and one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd
from PIL import Image

from data.scratch import write_together
from explainers.evaluation import report
from explainers.evaluation.translation import Parts, Subject
from explainers.evaluation.translation_pictures import LEGEND, examples, scatter
from explainers.evaluation.translation_tables import TranslationTables, long_rows, make_tables
from explainers.evaluation.translators import Method
from explainers.training.films import Films

TITLE: Final = "Images carried to the other side of a prediction"
_STYLE: Final = (
    "body { max-width: 1440px; } th { white-space: normal; vertical-align: bottom; } "
    "th, td { padding: .2rem .4rem; } td:first-child { white-space: normal; }"
)
_OPEN_ROWS: Final = 100
_PICTURED: Final = 6  # contrasts at most, on the page

EXPLAINED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "agreement": "Share of images that the classifier leaves on their side: adversarial (0 is "
        "wanted) and stable (1 is wanted); of an independent classifier the share that it sees "
        "turned, of the images that it put where the classifier did (shared). 95 % intervals: "
        "Wilson, with as many trials as the patients are worth. A stable image that is the image "
        "itself stays by definition. Differences in grey levels of 255.",
        "distances": "Between embeddings (mean vectors of a VAE with a class head) of adversarial "
        "images and of real ones of the side they went to. The ratio is to the distance between "
        "the real images of both sides: 1 is doing nothing. Distances of few images are too large; "
        "that of other real images is what a perfect translation would have. Last column: stable "
        "images to real ones of their own side.",
        "localisation": "Images on side 1 with a mask. IoU of the map's largest values with the "
        "mask: as many as the mask has pixels (matched area), or those above a percentile, which "
        "the annotated areas set (last table); correlation of map and mask (NCC). 95 % bootstrap "
        "intervals over patients. Doing nothing has what chance gives.",
        "seconds": "Processor time per explanation, images in batches of 16; in the paper, on a "
        "V100 graphics card.",
        "places": "Standard deviation of the map's centre of gravity from image to image, in "
        "percent of the side, and the mean share that two maps have in common. A generator that "
        "puts every finding in the same place varies less than the masks do.",
        "areas": "Annotated area as percent of the image, and the percentile of a map that leaves "
        "as large an area.",
    }
)
TABLES: Final = tuple(EXPLAINED)
"""Names of the tables."""

_HEADS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "n_images": "images",
        "n_masks": "masks",
        "n_oracle": "shared",
        "adversarial": "f: adversarial",
        "paper_adversarial": "paper: adversarial",
        "stable": "f: stable",
        "oracle_turned": "independent: turned",
        "oracle_stable": "independent: stable",
        "stable_error_grey": "stable error, 1/255",
        "change_grey": "change, 1/255",
        "frechet": "Fréchet",
        "frechet_ratio": "ratio to real–real",
        "jensen_shannon": "Jensen–Shannon",
        "jensen_shannon_ratio": "its ratio",
        "stable_frechet_ratio": "stable: Fréchet ratio",
        "iou": "IoU, matched area",
        "ncc": "NCC",
        "paper_ncc": "paper: NCC",
        "seconds": "CPU seconds",
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
    contrasts = set(table.get("contrast", ()))
    for name in table.columns:
        if name.endswith(("_low", "_high")):
            continue
        if name == "contrast" and len(contrasts) == 1 and " → " in next(iter(contrasts)):
            continue  # the directions say it
        cells = [_cell(value, name) for value in table[name]]
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
    """Write every number, a CSV per table, Markdown, the pictures and the page.

    Raises
    ------
    OSError
        If the disk refuses; what was there before is still there.
    """
    tables = make_tables(subject, methods, parts)
    pictures = _pictures(subject, methods, parts)
    texts = {
        f"translation.{name}.csv": table.to_csv(index=False, lineterminator="\n")
        for name, table in tables.named().items()
    }
    texts["translation.csv"] = long_rows(subject, parts).to_csv(index=False, lineterminator="\n")
    texts["translation.md"] = to_markdown(subject, tables, created)
    texts["translation.html"] = _page(subject, methods, parts, tables, pictures, created)
    written = write_together(out, texts)
    for name, content in pictures.items():
        (out / name).write_bytes(content)
    return tables, (*(out / name for name in pictures), *written)


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
    if caution := _caution(subject):
        lines += [caution, ""]
    for name, table in tables.named().items():
        lines += [f"## {name.capitalize()}", "", EXPLAINED[name], ""]
        cells = shown(table)
        lines.append("| " + " | ".join(cells.columns) + " |")
        lines.append("| " + " | ".join("---" for _ in cells.columns) + " |")
        lines += ["| " + " | ".join(row) + " |" for row in cells.itertuples(index=False)]
        lines.append("")
    return "\n".join([*lines, "## Notes", "", *[f"- {note}" for note in tables.notes]]) + "\n"


def _page(
    subject: Subject,
    methods: Sequence[Method],
    parts: Parts,
    tables: TranslationTables,
    pictures: Mapping[str, bytes],
    created: str,
) -> str:
    from plotly.offline import get_plotlyjs

    figures = [
        report.darkened(scatter(subject, methods, parts, number)).to_html(
            full_html=False, include_plotlyjs=False, config={"displaylogo": False}
        )
        for number in range(min(len(subject.contrasts), _PICTURED))
    ]
    body = "".join(
        f"<h2>{escape(name.capitalize())}</h2><p class='note'>{escape(EXPLAINED[name])}</p>"
        + _html(table)
        for name, table in tables.named().items()
    )
    caution = _caution(subject)
    simulated = f'<p class="simulated">{escape(caution)}</p>' if caution else ""
    said = "".join(f'<p class="note">{escape(each)}</p>' for each in setting_lines(subject))
    notes = "".join(f"<li>{escape(note)}</li>" for note in tables.notes)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(TITLE)}</title>
<style>{report.STYLE}{_STYLE}</style><script>{get_plotlyjs()}</script></head><body>
<h1>{escape(TITLE)}</h1>{simulated}{said}
<ul class="note">{notes}</ul>
{body}
<h2>Examples</h2><p class="note">{escape(LEGEND)}</p>{_omitted(subject)}
{"".join(map(_embedded, pictures.values()))}
<h2>Plane of the embeddings</h2>{"".join(figures)}
<p class="note">Made {escape(created)} by <code>counterlight translation</code>.</p>
</body></html>
"""


def _omitted(subject: Subject) -> str:
    n_contrasts = len(subject.contrasts)
    if n_contrasts <= _PICTURED:
        return ""
    said = f"Pictures and planes: the first {_PICTURED} of {n_contrasts} contrasts."
    return f'<p class="note">{said}</p>'


def _pictures(subject: Subject, methods: Sequence[Method], parts: Parts) -> dict[str, bytes]:
    """Name to PNG of the examples of the first contrasts, both directions."""
    return {
        f"translation.examples-{number + 1}-{side}.png": _png(
            examples(subject, methods, parts, number, side)
        )
        for number in range(min(len(subject.contrasts), _PICTURED))
        for side in (0, 1)
    }


def _png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, format="PNG", optimize=True)
    return content.getvalue()


def _embedded(png: bytes) -> str:
    content = base64.b64encode(png).decode("ascii")
    return (
        f'<p><img src="data:image/png;base64,{content}" style="max-width:100%" '
        'alt="What every method makes of the first images"></p>'
    )


def _html(table: pd.DataFrame) -> str:
    body = f"<div style='overflow-x:auto'>{shown(table).to_html(index=False, border=0)}</div>"
    if len(table) <= _OPEN_ROWS:
        return body
    return f"<details><summary>{len(table)} lines</summary>{body}</details>"


def _caution(subject: Subject) -> str:
    """Say that findings are simulated, where they are."""
    if not isinstance(subject.images, Films) or not subject.images.simulated:
        return ""
    return f"These are {subject.images.kind}: the figures say nothing about patients."


def _cell(value: object, name: str) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "–"
    if not isinstance(value, float) or name.startswith("n_"):
        return str(value).removesuffix(".0")
    if name.startswith(("area_", "percentile_", "sd_")):
        return f"{value:.1f}"
    if name == "seconds":  # plain down to microseconds, two digits that count
        return (
            f"{value:.6f}"
            if value < 1e-4
            else np.format_float_positional(value, 2, fractional=False, trim="-")
        )
    return f"{value:.3f}"
