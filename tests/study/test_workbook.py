"""Excel and Parquet: full precision, nothing that a spreadsheet would execute."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from openpyxl import load_workbook

from study.errors import StudyError
from study.workbook import parquet_bytes, workbook_bytes

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "text": ["=1+1", "@x", "plain\x07"],
            "number": [0.1 + 0.2, np.nan, 1e-300],
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "flag": [True, None, False],
            "at": pd.to_datetime(["2026-01-02T03:04:05Z"] * 3),
        }
    )


def sheets(data: bytes) -> dict[str, list[tuple[object, ...]]]:
    book = load_workbook(io.BytesIO(data))
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book}


def test_formulas_are_guarded_and_numbers_keep_their_precision() -> None:
    rows = sheets(workbook_bytes({"a": table()}, created=NOW))["a"]
    assert rows[0] == ("text", "number", "whole", "flag", "at")
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'@x", "plain"]
    assert [row[1] for row in rows[1:]] == [pytest.approx(0.1 + 0.2, rel=1e-15), None, 1e-300]
    assert [row[2] for row in rows[1:]] == [1, None, 3]
    assert rows[1][3] is True and rows[2][3] is None
    assert rows[1][4] == "2026-01-02T03:04:05.000000+00:00"


def test_no_cell_is_a_formula() -> None:
    book = load_workbook(io.BytesIO(workbook_bytes({"a": table()}, created=NOW)))
    assert all(cell.data_type != "f" for row in book["a"].iter_rows() for cell in row)


def test_sheets_get_names_that_excel_accepts() -> None:
    long = "a" * 40
    names = list(sheets(workbook_bytes({long: table(), long + "b": table(), "x/y": table()},
                                       created=NOW)))  # fmt: skip
    assert len({n.casefold() for n in names}) == 3
    assert all(len(n) <= 31 for n in names)
    assert names[2] == "x_y"


def test_no_table_is_refused() -> None:
    with pytest.raises(StudyError, match="no table"):
        workbook_bytes({}, created=NOW)


def test_parquet_keeps_types_and_missing_cells() -> None:
    back = pd.read_parquet(io.BytesIO(parquet_bytes(table())))
    assert back["text"].tolist() == ["=1+1", "@x", "plain\x07"]
    assert back["number"].iloc[0] == 0.1 + 0.2 and np.isnan(back["number"].iloc[1])
    assert back["whole"].isna().tolist() == [False, True, False]
    assert back["flag"].isna().tolist() == [False, True, False]
    mixed = pd.DataFrame({"m": [1, "two", None]})
    assert pd.read_parquet(io.BytesIO(parquet_bytes(mixed)))["m"].tolist()[:2] == ["1", "two"]
