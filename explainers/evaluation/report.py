"""Results of a bench on disk: CSV, JSON, and one HTML page that needs nothing else."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import pandas as pd

from data.scratch import write_together
from explainers.evaluation.bench import Bench, Quantity, Setting
from explainers.evaluation.summary import POOLED, summarise

_STYLE = """
body { background: #0f1216; color: #c9d0d8; font: 15px/1.45 system-ui, sans-serif;
       max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { font-weight: 600; } a { color: #56b4e9; }
table { border-collapse: collapse; font-size: 13px; margin: .5rem 0 1.5rem;
        font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #2a3038; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.note { color: #98a1ad; max-width: 60rem; } .simulated { color: #e69f00; }
"""


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
    page = _page(bench, setting, rows, summary, created)
    return write_together(
        out,
        {
            f"{bench.name}.summary.csv": summary.to_csv(index=False, lineterminator="\n"),
            f"{bench.name}.json": json.dumps(content, indent=1, ensure_ascii=False) + "\n",
            f"{bench.name}.html": page,
        },
    )


def _page(
    bench: Bench, setting: Setting, rows: pd.DataFrame, summary: pd.DataFrame, created: str
) -> str:
    from plotly.offline import get_plotlyjs

    figures = [
        figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False})
        for figure in bench.figures(rows, summary)
    ]
    simulated = (
        '<p class="simulated">The films are simulated, or carry simulated findings: these figures '
        "say nothing about patients.</p>"
        if setting.simulated()
        else ""
    )
    tables = "".join(
        _table(summary[summary["quantity"] == name], name, each)
        for name, each in bench.quantities.items()
    )
    n_patients = len(set(setting.patients().values()))
    settings = escape(json.dumps(setting.description(), indent=1, ensure_ascii=False))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(bench.title)}</title>
<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head><body>
<h1>{escape(bench.title)}</h1>{simulated}
<p class="note">{escape(bench.description)}</p>
<p class="note">{len(setting.pairs)} pairs of case and finding, {n_patients}
patients. Intervals: 95 %, percentile bootstrap over patients. Made {escape(created)} by
<code>counterlight evaluate {escape(bench.name)}</code>.</p>
{"".join(figures)}
{tables}
<h2>Setting</h2><pre class="note">{escape(repr(bench))}
{settings}</pre></body></html>
"""


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
        f"<h2>{escape(quantity.title)}</h2><p class='note'>{escape(quantity.unit)}{better} "
        f"(<code>{escape(name)}</code>); mean ± SD, 95 % interval, films.</p>"
        f"<table><tr><th>method</th>{head}</tr>{''.join(lines)}</table>"
    )


def _cell(row: object) -> str:
    if row is None:
        return "–"
    mean, sd, low, high, n = (
        getattr(row, name) for name in ("mean", "sd", "low", "high", "n_cases")
    )
    spread = "" if pd.isna(sd) else f" ± {sd:.3g}"
    interval = "" if pd.isna(low) else f"<br>{low:.3g} to {high:.3g}"
    return f"{mean:.3g}{spread}{interval}<br>n {n}"
