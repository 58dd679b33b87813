"""Estimates as a table for a screen: at most three significant digits, everything in words."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from study.analysis.rendering import NOTHING, interval_of, short, short_p
from study.analysis.report.sections import Line

ROLES = {
    "confirmatory": "declared",
    "descriptive": "descriptive",
    "warning": "⚠ takes readings as independent",
}
SCREEN_COLUMNS = (
    "item",
    "cases",
    "part",
    "quantity",
    "value",
    "interval",
    "p",
    "speaks for",
    "role",
    "readers",
    "n cases",
    "method",
    "note",
)


def screen_rows(lines: Iterable[Line]) -> list[tuple[str, ...]]:
    """Return one row of text per estimate, in the order of :data:`SCREEN_COLUMNS`."""
    return [_row(line) for line in lines]


def screen_table(lines: Iterable[Line]) -> pd.DataFrame:
    """Return the rows as a table without the columns that are empty throughout."""
    table = pd.DataFrame(screen_rows(lines), columns=list(SCREEN_COLUMNS))
    kept = [c for c in table.columns if len(table) and (table[c] != "").any()]
    return table[kept]


def _row(line: Line) -> tuple[str, ...]:
    e = line.estimate
    interval = interval_of(e)
    if e.ci is not None and e.ci_level is not None:
        interval = f"{interval} ({100 * e.ci_level:.3g} %)"
    return (
        line.item,
        line.cases,
        line.part,
        e.quantity,
        short(e.value) if e.value is not None else "not estimated",
        interval,
        short_p(e.p_value).removeprefix("= ") if e.p_value is not None else NOTHING,
        "nobody: independent readings" if e.population == "independent readings" else e.population,
        ROLES[e.role],
        str(e.n_readers),
        str(e.n_cases),
        e.method,
        e.note,
    )
