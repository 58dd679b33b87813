"""Writing a study out: ratings, assignments, codebook, protocol."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from data.reference import ReferenceSet
from data.scratch import write_together
from study.audit import AuditReport, verify
from study.clock import timestamp
from study.codebook import codebook
from study.errors import StudyError
from study.export_tables import (
    assignment_table,
    closing_table,
    event_table,
    missing_table,
    problem_table,
    profile_table,
)
from study.folder import StudyFolder
from study.protocol import StudyProtocol
from study.protocol_toml import to_toml
from study.store import StudyStore
from study.table import IOU_PREFIX, long_table

FILES = (
    "ratings.csv",
    "assignments.csv",
    "missing.csv",
    "profile.csv",
    "events.csv",
    "closing.csv",
    "problems.csv",
    "codebook.csv",
    "protocol.toml",
    "README.txt",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def study_table(study_dir: Path | str, store: StudyStore | None = None) -> pd.DataFrame:
    """Return the long table of a study's directory; see :func:`study.table.long_table`.

    Parameters
    ----------
    study_dir
        Directory of a prepared study.
    store
        The study's store, if it is open already.

    Raises
    ------
    StudyError
        If the directory holds no study or a table is missing or damaged.
    data.case.DataError
        If the reference standard cannot be read.
    """
    folder = StudyFolder.open(study_dir)
    opened = store or StudyStore.open(folder.database)
    try:
        reference = ReferenceSet.open(folder.cases).table()
        return long_table(opened, reference, read_predictions(folder), read_localisation(folder))
    finally:
        if store is None:
            opened.close()


@dataclass(frozen=True)
class Export:
    """What was written.

    Parameters
    ----------
    files
        Those of :data:`FILES`.
    audit
        State of the record; a broken chain does not keep the data in, but the README says it.
    """

    files: tuple[Path, ...]
    audit: AuditReport


def export_study(study_dir: Path | str, out: Path | str) -> Export:
    """Write the export of a study; all files, or none.

    Parameters
    ----------
    study_dir
        Directory of a prepared study.
    out
        Directory for the files; it is made if needed, and files of an earlier export are replaced.

    Returns
    -------
    Export

    Raises
    ------
    StudyError
        If the study cannot be read, or ``out`` cannot be written.
    """
    folder, out = StudyFolder.open(study_dir), Path(out)
    report = verify(folder.database)
    store = StudyStore.open(folder.database)
    try:
        ratings = study_table(folder.root, store)
        tables = {
            "assignments.csv": assignment_table(store),
            "missing.csv": missing_table(store),
            "profile.csv": profile_table(store),
            "events.csv": event_table(store),
            "closing.csv": closing_table(store),
            "problems.csv": problem_table(store),
        }
        protocol = store.protocol
    finally:
        store.close()
    maps = [name.removeprefix(IOU_PREFIX) for name in ratings if name.startswith(IOU_PREFIX)]
    texts = {
        "ratings.csv": to_csv(ratings.astype({"value": "Int64", "reference": "Int64"})),
        **{name: to_csv(table) for name, table in tables.items()},
        "codebook.csv": to_csv(codebook(protocol, maps)),
        "protocol.toml": to_toml(protocol),
        "README.txt": _readme(protocol, ratings, len(tables["missing.csv"]), report),
    }
    try:
        return Export(write_together(out, texts), report)
    except OSError as error:
        raise StudyError(
            f"The export cannot be written to {out} ({error.strerror or error}); choose another "
            "directory, or free some space."
        ) from error


def read_predictions(folder: StudyFolder) -> pd.DataFrame:
    """Read a study's predictions: case_id, finding, probability and more.

    Raises
    ------
    StudyError
        If the file is missing, no table, lacks a column, or a probability is no number.
    """
    return _read_table(folder.predictions, ("case_id", "finding"), "probability")


def read_localisation(folder: StudyFolder) -> pd.DataFrame | None:
    """Read a study's localisation (case_id, finding, map, iou and more), if it has one.

    Raises
    ------
    StudyError
        If the file is no table, lacks a column, or an IoU is no number.
    """
    if not folder.localisation.exists():
        return None
    return _read_table(folder.localisation, ("case_id", "finding", "map"), "iou")


def _read_table(path: Path, names: tuple[str, ...], number: str) -> pd.DataFrame:
    """Read a CSV table with columns of text and one of numbers."""
    restore = "restore it from a backup, or prepare a study anew"
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(names, "str"))
    except FileNotFoundError as error:
        raise StudyError(f"{path} is missing; {restore}.") from error
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} is not a CSV table ({error}); {restore}.") from error
    missing = [name for name in (*names, number) if name not in table.columns]
    if missing:
        raise StudyError(f"{path} has no column {', '.join(map(repr, missing))}; {restore}.")
    if len(table) and not pd.api.types.is_numeric_dtype(table[number]):
        raise StudyError(f"{path} holds text in the column {number!r} of numbers; {restore}.")
    return table


def to_csv(table: pd.DataFrame) -> str:
    """Write a table as CSV that a spreadsheet shows and does not execute.

    Texts that begin with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return get a leading
    apostrophe; times are ISO 8601 in UTC; missing values are empty.
    """
    safe = table.copy()
    for name in safe.columns:
        column = safe[name]
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            safe[name] = pd.Series(
                [None if pd.isna(at) else timestamp(at.to_pydatetime()) for at in column],
                index=column.index,
                dtype=object,
            )
        elif not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
            safe[name] = column.map(guarded).astype(object)
    safe.columns = pd.Index([guarded(str(name)) for name in safe.columns])
    return str(safe.to_csv(index=False, lineterminator="\n"))


def guarded(cell: object) -> object:
    """Put an apostrophe before a text that a spreadsheet would take for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _readme(
    protocol: StudyProtocol, ratings: pd.DataFrame, n_missing: int, report: AuditReport
) -> str:
    simulated = int(ratings["simulated"].sum())
    intact = "intact" if report.intact else "NOT INTACT"
    lines = [
        f"Export of the study {protocol.study.id!r}: {protocol.study.title}",
        "",
        f"Protocol digest  {protocol.digest}",
        f"Record           {report.n_events} events, {intact}, head {report.head}",
        f"Readings         {ratings['assignment_id'].nunique()}, and {n_missing} missing",
        f"Answers          {len(ratings)}, of which {simulated} by simulated readers",
        f"Films            {'simulated' if protocol.study.simulated else 'not simulated'}",
        "",
        "ratings.csv      one row for each item of each reading; superseded answers are left out",
        "assignments.csv  what was to be read, in which order, and when it was",
        "missing.csv      every reading without a rating, and why",
        "profile.csv      who read: one row for each reader, without names",
        "events.csv       what was done in the viewer, by the browser's clock",
        "closing.csv      closing feedback on each condition",
        "problems.csv     what readers reported as not working",
        "codebook.csv     every column: meaning, type, unit, allowed values",
        "protocol.toml    the frozen protocol",
        "",
        "Rows of ratings.csv with purpose = repeat are readings done once more, for agreement",
        "within a reader; leave them out of other analyses. Answers to practice are in no file.",
        "",
        "Text cells that begin with = + - @ carry a leading apostrophe, so that a spreadsheet does",
        "not take them for formulas. Analyse with: counterlight analyse ratings.csv",
    ]
    if simulated:
        lines += ["", f"SIMULATED READERS: {simulated} answers were not given by people."]
    if protocol.study.simulated:
        lines += ["", "SIMULATED FILMS: no film shows a patient."]
    if not report.intact:
        lines += ["", "THE RECORD IS NOT INTACT:", *report.problems]
    return "\n".join(lines) + "\n"
