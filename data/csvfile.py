"""CSV files with a header: read whole, checked for shape, with errors that name row and column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from data.case import DataError

DELIMITERS = (",", ";", "\t")


class InvalidTable(DataError):
    """A CSV file that is missing, unreadable, or holds a value that cannot be used."""


@dataclass(frozen=True)
class Sheet:
    """A CSV file as text.

    Parameters
    ----------
    path
        Where it was read from.
    columns
        The header, in file order.
    rows
        One tuple of cells per record, each as long as ``columns``; cells are stripped.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def place(self, index: int, column: str | None = None) -> str:
        """Name a cell for a message.

        Parameters
        ----------
        index
            Position in ``rows``, from 0.
        column
            Header of the cell, if one cell is meant.

        Returns
        -------
        str
            For example ``"cases.csv row 2, column image"``. Rows are counted as a spreadsheet
            counts them: the header is row 1.
        """
        where = f"{self.path.name} row {index + 2}"
        return f"{where}, column {column}" if column else where

    def records(self) -> Iterable[dict[str, str]]:
        """Yield each row as a mapping from header to cell."""
        for row in self.rows:
            yield dict(zip(self.columns, row, strict=True))


def read_sheet(path: Path) -> Sheet:
    """Read a CSV file whose first line is its header.

    Comma, semicolon and tab are recognised from the header line; the text is UTF-8, with or
    without a byte-order mark. Wholly empty lines are kept out.

    Raises
    ------
    InvalidTable
        If the file is missing, unreadable, not UTF-8, has no header, repeats or leaves blank a
        column name, or has a row whose length differs from the header's.
    """
    text = _read_text(path)
    header_line = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=header_line.count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InvalidTable(
            f"{path} is not a readable CSV file ({error}); expected one line per case below a "
            "header. Save the table again as CSV (UTF-8)."
        ) from error
    if not lines or not any(cell.strip() for cell in lines[0]):
        raise InvalidTable(f"{path} has no header; expected column names in its first line.")
    columns = tuple(cell.strip() for cell in lines[0])
    _check_header(path, columns)
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in line):
            continue
        if len(line) != len(columns):
            raise InvalidTable(
                f"{path.name} row {number} has {len(line)} cells but the header has "
                f"{len(columns)}; give every row one cell per column."
            )
        rows.append(tuple(cell.strip() for cell in line))
    return Sheet(path, columns, tuple(rows))


def _read_text(path: Path) -> str:
    """Read ``path`` as UTF-8 or say in one sentence why that failed."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise InvalidTable(f"{path} does not exist; expected a CSV file there.") from error
    except UnicodeDecodeError as error:
        raise InvalidTable(
            f"{path} is not UTF-8 text (byte {error.start}); save the table again as CSV (UTF-8)."
        ) from error
    except OSError as error:
        raise InvalidTable(f"{path} cannot be read: {error.strerror or error}.") from error
    if "\0" in text:
        raise InvalidTable(f"{path} holds binary data; expected a CSV file with a header.")
    return text


def _check_header(path: Path, columns: tuple[str, ...]) -> None:
    """Refuse blank and repeated column names."""
    if not all(columns):
        raise InvalidTable(
            f"{path.name}: column {columns.index('') + 1} has no name; name every column."
        )
    repeated = [name for i, name in enumerate(columns) if name in columns[:i]]
    if repeated:
        raise InvalidTable(
            f"{path.name}: column {repeated[0]!r} appears more than once; name every column once."
        )


def write_sheet(
    path: Path, columns: Sequence[str], records: Iterable[Mapping[str, object]]
) -> None:
    """Write records as UTF-8 CSV with a header; ``None`` becomes an empty cell.

    Raises
    ------
    OSError
        If the disk refuses; the caller owns the clean-up.
    """
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for record in records:
            cells = (record.get(column) for column in columns)
            writer.writerow(["" if cell is None else cell for cell in cells])


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Reduce a pydantic error to the column it concerns and one clause about it."""
    detail = error.errors(include_url=False, include_context=False)[0]
    column = str(detail["loc"][0]) if detail["loc"] else ""
    message = detail["msg"].removeprefix("Value error, ")
    return column, message[:1].lower() + message[1:]
