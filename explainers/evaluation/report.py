"""Results of a bench on disk: CSV, JSON, and one HTML page that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import pandas as pd

from data.scratch import write_together
from explainers.evaluation.bench import Bench, Quantity, Setting
from explainers.evaluation.summary import POOLED, summarise

if TYPE_CHECKING:
    import plotly.graph_objects as go

PAGE, INK, LINE = "#0f1216", "#c9d0d8", "#2a3038"
"""Colours of the page: behind everything, of text, and of lines."""

DARK: Mapping[str, str] = MappingProxyType(
    {
        "#5f6368": "#7d848c",
        "#9aa0a6": "#a9b0b8",
        "#202124": "#565d66",
        "#dadce0": "#4a525c",
        "#0072b2": "#3f9bd8",
        "#8c8c00": "#c2b93a",
    }
)
"""Colours of figures that are too dark, or too light for a line, on the page: what is shown."""

MAX_OPEN_ROWS = 30
MAX_OPEN_TABLES = 8

STYLE = """
body { background: #0f1216; color: #c9d0d8; font: 15px/1.45 system-ui, sans-serif;
       max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3, summary { font-weight: 600; } summary { font-size: 1.4rem; margin: 1.2rem 0;
  cursor: pointer; } a { color: #56b4e9; }
table { border-collapse: collapse; font-size: 13px; margin: .5rem 0 1.5rem;
        font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #2a3038; text-align: right;
         white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.note { color: #98a1ad; max-width: 60rem; } .simulated { color: #e69f00; }
"""


@runtime_checkable
class WithTables(Protocol):
    """A bench with tables of its own beside the summary."""

    def tables(self, setting: Setting, rows: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
        """Name to table; each becomes ``<bench>.<name>.csv`` and a table of the page."""
        ...


def write_report(
    bench: Bench, setting: Setting, rows: pd.DataFrame, out: Path, *, created: str
) -> tuple[Path, ...]:
    """Write ``<bench>.summary.csv``, ``<bench>.json`` and ``<bench>.html``.

    Parameters
    ----------
    bench, setting, rows
        What was measured, on what, and the numbers.
    out
        Folder.
    created
        ISO 8601 with time zone.

    Raises
    ------
    DataError
        If the disk refuses; what was there before is still there.
    """
    summary = summarise(rows, setting.patients(), seed=setting.seed)
    content = {
        "bench": bench.name,
        "parameters": repr(bench),
        "created": created,
        "simulated": setting.simulated(),
        "n_pairs": len(setting.pairs),
        "setting": setting.description(),
        "quantities": {
            name: {"title": each.title, "unit": each.unit, "better": each.better}
            for name, each in bench.quantities.items()
        },
        "summary": json.loads(summary.to_json(orient="records", double_precision=12)),
    }
    extra = bench.tables(setting, rows) if isinstance(bench, WithTables) else {}
    page = _page(bench, setting, rows, summary, created, extra)
    return write_together(
        out,
        {
            f"{bench.name}.summary.csv": summary.to_csv(index=False, lineterminator="\n"),
            f"{bench.name}.json": json.dumps(content, indent=1, ensure_ascii=False) + "\n",
            **{
                f"{bench.name}.{name}.csv": table.to_csv(index=False, lineterminator="\n")
                for name, table in extra.items()
            },
            f"{bench.name}.html": page,
        },
    )


def _page(
    bench: Bench,
    setting: Setting,
    rows: pd.DataFrame,
    summary: pd.DataFrame,
    created: str,
    extra: Mapping[str, pd.DataFrame],
) -> str:
    from plotly.offline import get_plotlyjs

    figures = [
        darkened(figure).to_html(
            full_html=False, include_plotlyjs=False, config={"displaylogo": False}
        )
        for figure in bench.figures(rows, summary)
    ]
    simulated = (
        '<p class="simulated">The films are simulated, or carry simulated findings: these figures '
        "say nothing about patients.</p>"
        if setting.simulated()
        else ""
    )
    found = [
        _table(summary[summary["quantity"] == name], name, each)
        for name, each in bench.quantities.items()
    ]
    tables = [each for each in found if each]
    n_patients = len(set(setting.patients().values()))
    settings = escape(json.dumps(setting.description(), indent=1, ensure_ascii=False))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(bench.title)}</title>
<style>{STYLE}</style><script>{get_plotlyjs()}</script></head><body>
<h1>{escape(bench.title)}</h1>{simulated}
<p class="note">{escape(bench.description)}</p>
<p class="note">{len(setting.pairs)} pairs of case and finding, {n_patients}
patients. Intervals: 95 %, percentile bootstrap over patients. Made {escape(created)} by
<code>counterlight evaluate {escape(bench.name)}</code>.</p>
{"".join(_extra(name, table) for name, table in extra.items())}
{"".join(figures)}
{_folded("Tables", "".join(tables), len(tables) <= MAX_OPEN_TABLES)}
<h2>Setting</h2><pre class="note">{escape(repr(bench))}
{settings}</pre></body></html>
"""


def darkened(figure: go.Figure) -> go.Figure:
    """Return a figure that can be read on the dark page: its ground, its ink, its colours."""
    import plotly.graph_objects as go

    fresh = go.Figure(_recoloured(figure.to_plotly_json()))
    fresh.update_layout(
        template="plotly_dark",
        paper_bgcolor=PAGE,
        plot_bgcolor=PAGE,
        font_color=INK,
    )
    axes = {"gridcolor": LINE, "zerolinecolor": LINE, "linecolor": LINE, "automargin": True}
    fresh.update_xaxes(axes | {"title_font_size": 12})
    fresh.update_yaxes(axes | {"title_font_size": 12})
    fresh.update_traces(
        selector={"type": "table"},
        header={"fill_color": LINE, "line_color": LINE, "font_color": INK},
        cells={"fill_color": PAGE, "line_color": LINE, "font_color": INK},
    )
    return fresh


def _recoloured(value: object) -> object:
    """Replace colours in the nested content of a figure, the template left out."""
    if isinstance(value, str):
        return DARK.get(value.lower(), value)
    if isinstance(value, dict):
        return {name: _recoloured(each) for name, each in value.items() if name != "template"}
    if isinstance(value, list | tuple):
        return [_recoloured(each) for each in value]
    return value


def _table(part: pd.DataFrame, name: str, quantity: Quantity) -> str:
    """One table per quantity: a row per method, a column per finding; curves are figures."""
    part = part[part["x"].isna()]
    if not len(part):
        return ""
    findings = [each for each in dict.fromkeys(part["finding"]) if each != POOLED]
    findings += [POOLED] * (POOLED in set(part["finding"]))
    better = "" if quantity.better is None else f", {quantity.better} is better"
    head = "".join(f"<th>{escape(finding)}</th>" for finding in findings)
    lines = []
    for (classifier, method), group in part.groupby(["classifier", "method"], sort=False):
        of = {row.finding: row for row in group.itertuples()}
        cells = "".join(f"<td>{_cell(of.get(finding))}</td>" for finding in findings)
        lines.append(f"<tr><td>{escape(str(method))} ({escape(str(classifier))})</td>{cells}</tr>")
    return (
        f"<h3>{escape(quantity.title)}</h3><p class='note'>{escape(quantity.unit)}{better} "
        f"(<code>{escape(name)}</code>); mean ± SD, 95 % interval, films.</p>"
        f"<div style='overflow-x:auto'><table><tr><th>method</th>{head}</tr>{''.join(lines)}"
        "</table></div>"
    )


def _extra(name: str, table: pd.DataFrame) -> str:
    body = table.to_html(index=False, border=0, na_rep="–", float_format=lambda x: f"{x:.3f}")
    title = name.replace("_", " ").capitalize()
    scrolled = f"<div style='overflow-x:auto'>{body}</div>"
    return _folded(title, scrolled, len(table) <= MAX_OPEN_ROWS)


def _folded(title: str, content: str, is_open: bool) -> str:
    """Return a part of the page that a reader may open and close."""
    if not content:
        return ""
    state = " open" if is_open else ""
    return f"<details{state}><summary>{escape(title)}</summary>{content}</details>"


def _cell(row: object) -> str:
    if row is None:
        return "–"
    mean, sd, low, high, n = (
        getattr(row, name) for name in ("mean", "sd", "low", "high", "n_cases")
    )
    spread = "" if pd.isna(sd) else f" ± {sd:.3g}"
    interval = "" if pd.isna(low) else f"<br>{low:.3g} to {high:.3g}"
    return f"{mean:.3g}{spread}{interval}<br>n {n}"
