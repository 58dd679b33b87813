"""Writing a study out: ratings, assignments, codebook, protocol."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from data.reference import ReferenceSet
from data.scratch import write_together
from study.audit import AuditReport, verify
from study.clock import timestamp
from study.codebook import codebook
from study.errors import StudyError
from study.folder import StudyFolder
from study.protocol import StudyProtocol
from study.protocol_toml import to_toml
from study.store import StudyStore
from study.table import IOU_PREFIX, long_table

FILES = ("ratings.csv", "assignments.csv", "codebook.csv", "protocol.toml", "README.txt")
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
        ``ratings.csv``, ``assignments.csv``, ``codebook.csv``, ``protocol.toml``, ``README.txt``.
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
        assignments = _assignment_table(store)
        protocol = store.protocol
    finally:
        store.close()
    maps = [name.removeprefix(IOU_PREFIX) for name in ratings if name.startswith(IOU_PREFIX)]
    texts = {
        "ratings.csv": to_csv(ratings.astype({"value": "Int64", "reference": "Int64"})),
        "assignments.csv": to_csv(assignments),
        "codebook.csv": to_csv(codebook(protocol, maps)),
        "protocol.toml": to_toml(protocol),
        "README.txt": _readme(protocol, ratings, report),
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


def _assignment_table(store: StudyStore) -> pd.DataFrame:
    table = pd.DataFrame([asdict(a) for a in store.assignments()])
    table = table.rename(columns={"reader_id": "reader"})
    table = table[
        ["assignment_id", "reader", "case_id", "finding", "condition", "session", "position"]
    ]
    for kind in ("displayed", "submitted"):
        at = {event.subject: timestamp(event.created_at) for event in store.events(kind)}
        table[f"{kind}_at"] = table["assignment_id"].map(lambda name, at=at: at.get(name))
    return table


def _readme(protocol: StudyProtocol, ratings: pd.DataFrame, report: AuditReport) -> str:
    simulated = int(ratings["simulated"].sum())
    intact = "intact" if report.intact else "NOT INTACT"
    lines = [
        f"Export of the study {protocol.study.id!r}: {protocol.study.title}",
        "",
        f"Protocol digest  {protocol.digest}",
        f"Record           {report.n_events} events, {intact}, head {report.head}",
        f"Readings         {ratings['assignment_id'].nunique()}",
        f"Answers          {len(ratings)}, of which {simulated} by simulated readers",
        f"Films            {'simulated' if protocol.study.simulated else 'not simulated'}",
        "",
        "ratings.csv      one row for each item of each reading; superseded answers are left out",
        "assignments.csv  what was to be read, in which order, and when it was",
        "codebook.csv     every column: meaning, type, unit, allowed values",
        "protocol.toml    the frozen protocol",
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
