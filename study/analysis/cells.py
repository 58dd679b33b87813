"""Cells of a rating table: text, numbers, shares and correctness, or what is wrong with them.

Every function takes the cells of one column, as text or numbers, and keeps their index.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from study.analysis.estimate import AnalysisError

CORRECTNESS = ("true_positive", "false_positive", "true_negative", "false_negative")
NOT_GIVEN = "(not given)"
_MISSING = frozenset({"", "na", "n/a", "nan", "none", "null", "<na>", "."})


def read_identifiers(cells: pd.Series) -> pd.Series:
    """Return cells as stripped text; whole floats lose their point, empty cells become missing."""
    if pd.api.types.is_float_dtype(cells):
        whole = cells.dropna()
        if (whole == whole.round()).all():
            cells = cells.astype("Int64")
    text = cells.astype("string").str.strip()
    return text.mask(text == "").astype(object).where(text.notna() & (text != ""), None)


def find_missing(cells: pd.Series) -> pd.Series:
    """Return where cells are empty or spell out that they are (``NA``, ``None``, …)."""
    text = cells.astype("string").str.strip().str.lower()
    return (text.isna() | text.isin(_MISSING)).astype(bool)


def read_numbers(cells: pd.Series, name: str) -> pd.Series:
    """Return cells as float64 with NaN where missing; refuse anything else that is no number."""
    missing = find_missing(cells)
    numbers = parse_numbers(cells, missing)
    wrong = ~missing & ~np.isfinite(numbers)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise AnalysisError(
            f"Column {name!r} holds {cells.iloc[row]!r} in data row {row + 1}; expected a number "
            "or an empty cell. Correct the cell."
        )
    return numbers


def parse_numbers(cells: pd.Series, missing: pd.Series) -> pd.Series:
    """Return cells as float64, NaN where they are missing or no number."""
    if cells.dtype == bool:
        cells = cells.astype(int)
    numbers = pd.to_numeric(cells.where(~missing, np.nan), errors="coerce")
    return numbers.astype(float)


def read_shares(cells: pd.Series, name: str) -> pd.Series:
    """Return cells as float64 in [0, 1] with NaN where missing; refuse anything outside."""
    shares = read_numbers(cells, name)
    wrong = (shares < 0) | (shares > 1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise AnalysisError(
            f"Column {name!r} holds {shares.iloc[row]:g} in data row {row + 1}; an IoU lies in "
            "[0, 1]. Divide percentages by 100."
        )
    return shares


def read_correctness(cells: pd.Series, name: str) -> pd.Series:
    """Return one of :data:`CORRECTNESS` per cell; a yes/no column means true or false positive."""
    text = (
        read_identifiers(cells)
        .astype("string")
        .str.lower()
        .str.replace(r"[\s\-]+", "_", regex=True)
    )
    meaning = {word: word for word in CORRECTNESS}
    meaning |= {"".join(part[0] for part in word.split("_")): word for word in CORRECTNESS}
    meaning |= dict.fromkeys(("true", "1", "1.0", "yes"), "true_positive")
    meaning |= dict.fromkeys(("false", "0", "0.0", "no"), "false_positive")
    mapped = text.map(meaning)
    wrong = (text.notna() & mapped.isna()).to_numpy(bool)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise AnalysisError(
            f"Column {name!r} holds {cells.iloc[row]!r} in data row {row + 1}; expected one of "
            f"{', '.join(CORRECTNESS)}, or true and false."
        )
    return mapped.astype(object).where(mapped.notna(), NOT_GIVEN)
