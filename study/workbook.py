"""Tables as one Excel workbook (16 digits, what the format holds), or as Parquet (all)."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pandas as pd
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from study.clock import timestamp
from study.errors import StudyError
from study.export import guarded

MOST_ROWS = 1_048_575
"""Rows of data that a sheet can hold beneath its header."""

_LONGEST_CELL = 32_767
_LONGEST_NAME = 31
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\]")


def workbook_bytes(tables: Mapping[str, pd.DataFrame], *, created: datetime) -> bytes:
    """Write tables as the sheets of one workbook.

    Texts that a spreadsheet would take for formulas get a leading apostrophe; control characters
    that the format cannot hold are dropped; times are text in UTC; missing values are empty.

    Parameters
    ----------
    tables
        Name of the sheet to table.
    created
        Time that the file names as its own.

    Raises
    ------
    StudyError
        If there is no table, or one has more rows than a sheet holds.
    """
    if not tables:
        raise StudyError("There is no table to write; expected at least one.")
    book = Workbook(write_only=True)
    book.properties.created = book.properties.modified = created.replace(tzinfo=None)
    book.properties.creator = "Counterlight"
    for name, used in zip(tables, _sheet_names(tables), strict=True):
        table = tables[name]
        if len(table) > MOST_ROWS:
            raise StudyError(
                f"The table {name!r} has {len(table)} rows; a sheet holds {MOST_ROWS}. Use the "
                "CSV or Parquet files."
            )
        sheet = book.create_sheet(used)
        sheet.freeze_panes = "A2"
        for number, column in enumerate(table.columns, start=1):
            longest = max([len(str(column)), *(len(str(v)) for v in table[column].head(50))])
            sheet.column_dimensions[get_column_letter(number)].width = min(max(longest, 8), 48) + 2
        sheet.append([_head(sheet, str(column)) for column in table.columns])
        cells = [[_cell(value) for value in table[column]] for column in table.columns]
        for row in zip(*cells, strict=True):
            sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def parquet_bytes(table: pd.DataFrame) -> bytes:
    """Write a table as Parquet; numbers keep their type, everything else is text or a truth value.

    Columns of mixed kinds become text. No formula guard is needed: nothing here is executed.
    """
    kept = table.reset_index(drop=True).copy()
    for name in kept.columns:
        column = kept[name]
        if column.dtype == object:
            filled = column.dropna()
            if not len(filled) or not filled.map(lambda v: isinstance(v, bool | np.bool_)).all():
                kept[name] = column.map(lambda v: None if _missing(v) else str(v)).astype("string")
            else:
                kept[name] = column.astype("boolean")
    kept.columns = pd.Index([str(name) for name in kept.columns])
    stream = io.BytesIO()
    kept.to_parquet(stream, engine="pyarrow", index=False)
    return stream.getvalue()


def _head(sheet: object, text: str) -> WriteOnlyCell:
    cell = WriteOnlyCell(sheet, value=guarded(_CONTROL.sub("", text)))
    cell.font = Font(bold=True)
    return cell


def _cell(value: object) -> object:
    """Return a value as openpyxl can hold it."""
    if _missing(value):
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating | float):
        return float(value) if np.isfinite(value) else str(value)
    if isinstance(value, int):
        return value
    if isinstance(value, datetime):
        return timestamp(value) if value.tzinfo else value.isoformat()
    text = _CONTROL.sub("", str(value))
    return guarded(text)[:_LONGEST_CELL]  # type: ignore[index]  # a text stays a text


def _missing(value: object) -> bool:
    return (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float | np.floating) and bool(np.isnan(value)))
    )


def _sheet_names(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return names that Excel accepts, each different from the others in any case."""
    names: list[str] = []
    for name in tables:
        short = _NOT_IN_NAMES.sub("_", name).strip("'")[:_LONGEST_NAME] or "table"
        candidate, number = short, 2
        while candidate.casefold() in {n.casefold() for n in names}:
            candidate = f"{short[: _LONGEST_NAME - 4]} ({number})"
            number += 1
        names.append(candidate)
    return names
