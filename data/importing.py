"""Import of real films: a user's manifest to a case set, de-identified, all or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.case import DataError, InvalidCase, slug
from data.csvfile import write_sheet
from data.demographics import is_lateral
from data.films import Film, open_film, open_mask
from data.incoming import Incoming, IncomingCase, ManifestReading, Problem, read_incoming
from data.manifest import IMAGES_DIR, CaseEntry, CaseSet, Progress, sha256_of, write_cases
from data.raster import write_png
from data.reference import MASK, Reference, ReferenceSet, write_references
from data.workspace import workspace

REPORT_FILE = "import_report.csv"
MASKS_DIR = "masks"
N_LISTED = 20
REPORT_COLUMNS = ("row", "case_id", "status", "needs_sign_off", "column", "note")


class ImportRefused(DataError):
    """An import that stopped; nothing of it is left on disk.

    Parameters
    ----------
    message
        The sentence for a person.
    problems
        Every row that cannot be imported, in order.
    """

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


@dataclass(frozen=True)
class ImportPolicy:
    """What an import lets through.

    Parameters
    ----------
    skip_bad
        Import the good rows and list the others in ``import_report.csv``, instead of stopping.
    accept_burned_in
        Take films whose header says that text is burned into the pixels.
    accept_lateral
        Take films that header or manifest call lateral.
    header_demographics
        Also take sex and age band from DICOM headers.
    source_names
        Record each film's source file name in ``reference.csv``.
    seed
        Shuffles the identifiers of cases and patients that the manifest does not name.
    """

    skip_bad: bool = False
    accept_burned_in: bool = False
    accept_lateral: bool = False
    header_demographics: bool = False
    source_names: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Note:
    """A remark on a film that was imported."""

    row: int
    case_id: str
    text: str


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Parameters
    ----------
    out
        The case set.
    case_ids
        Cases imported.
    findings
        Findings of the reference standard.
    refused
        Rows left out (with ``skip_bad``).
    notes
        Remarks on films that were imported.
    needs_sign_off
        Cases whose file does not say that no text is burned into the pixels: a person must look.
    """

    out: Path
    case_ids: tuple[str, ...]
    findings: tuple[str, ...]
    refused: tuple[Problem, ...]
    notes: tuple[Note, ...]
    needs_sign_off: tuple[str, ...]


@dataclass(frozen=True)
class _Stored:
    """A film already written: its row, list entry and reference, and what groups its patient."""

    row: int
    entry: CaseEntry
    reference: Reference
    patient_key: str
    notes: tuple[Note, ...]


def import_manifest(
    manifest_csv: Path,
    out: Path,
    *,
    reading: ManifestReading | None = None,
    policy: ImportPolicy | None = None,
    on_progress: Progress | None = None,
) -> ImportReport:
    """Import the films that a manifest lists into a new case set.

    Everything is written to a folder beside ``out`` and renamed at the end. Images become grey PNG
    of the depth they have, without metadata, named by case; masks are stored beside them.

    Parameters
    ----------
    manifest_csv
        CSV with one film per row.
    out
        Folder to create; it may exist if it is empty.
    reading
        How the manifest's columns and words are read.
    policy
        What is let through.
    on_progress
        Called with (done, total) films.

    Raises
    ------
    InvalidTable
        If the manifest cannot be read or lacks a column.
    ImportRefused
        If a row cannot be imported (all are listed) or none is left; nothing is left behind.
    CannotWrite
        If ``out`` is taken or the disk refuses; nothing is left behind.
    """
    reading, policy = reading or ManifestReading(), policy or ImportPolicy()
    manifest_csv, out = Path(manifest_csv), Path(out)
    incoming = read_incoming(manifest_csv, reading)
    with workspace(out) as folder:
        stored, problems = _import_films(incoming, folder, policy, on_progress)
        if problems and not policy.skip_bad:
            raise ImportRefused(_summary(manifest_csv, problems), problems)
        if not stored:
            raise ImportRefused(
                f"No film of {manifest_csv} can be imported.\n" + _listing(problems), problems
            )
        stored = _name_patients(stored, policy.seed)
        write_cases(folder, (film.entry for film in stored))
        write_references(folder, (film.reference for film in stored))
        report = _report(out, incoming, stored, problems)
        _write_report(folder, incoming, stored, report)
        CaseSet.open(folder)  # what was written must be readable before it counts
        ReferenceSet.open(folder)
    return report


def _import_films(
    incoming: Incoming, folder: Path, policy: ImportPolicy, on_progress: Progress | None
) -> tuple[list[_Stored], list[Problem]]:
    """Open every film; write it unless the import is bound to be refused."""
    case_ids = _case_ids(incoming, policy.seed)
    (folder / IMAGES_DIR).mkdir()
    stored: list[_Stored] = []
    problems = list(incoming.problems)
    for done, case in enumerate(incoming.cases, start=1):
        film, masks, found = _open(incoming, case, policy)
        problems += found
        if film is not None and not found and (policy.skip_bad or not problems):
            stored.append(_store(folder, case_ids[case.index], case, film, masks, policy))
        if on_progress is not None:
            on_progress(done, len(incoming.cases))
    problems.sort(key=lambda problem: problem.row)
    return sorted(stored, key=lambda film: film.entry.case_id), problems


def _case_ids(incoming: Incoming, seed: int) -> dict[int, str]:
    """Name every row: as the manifest says, or by an opaque number in shuffled order."""
    if "case_id" in incoming.theirs:
        return {case.index: case.row.case_id for case in incoming.cases}
    numbers = np.random.default_rng(seed).permutation(len(incoming.sheet.rows)) + 1
    return {index: f"c{number:06d}" for index, number in enumerate(numbers)}


def _open(
    incoming: Incoming, case: IncomingCase, policy: ImportPolicy
) -> tuple[Film | None, dict[str, NDArray[np.bool_]], list[Problem]]:
    """Read one film and its masks, and apply the policy."""
    try:
        film = open_film(case.image)
    except InvalidCase as error:
        return None, {}, [incoming.problem(case.index, "image", str(error))]
    problems = []
    name = case.image.name
    if film.burned_in == "yes" and not policy.accept_burned_in:
        text = (
            f"{name!r} has text burned into its pixels, says its header (BurnedInAnnotation YES); "
            "remove the text, or accept it with --accept-burned-in."
        )
        problems.append(incoming.problem(case.index, "image", text))
    if (is_lateral(film.view) or is_lateral(case.row.view)) and not policy.accept_lateral:
        column = "image" if is_lateral(film.view) else "view"
        text = (
            f"{name!r} is a lateral film according to its "
            f"{'header' if column == 'image' else 'row'}; expected a frontal one. "
            "Leave it out, or accept it with --accept-lateral."
        )
        problems.append(incoming.problem(case.index, column, text))
    masks: dict[str, NDArray[np.bool_]] = {}
    for structure, paths in case.masks.items():
        try:
            parts = [open_mask(path, film.samples.shape) for path in paths]
            masks[structure] = np.logical_or.reduce(parts)
        except InvalidCase as error:
            problems.append(incoming.problem(case.index, MASK + structure, str(error)))
    return film, masks, problems


def _store(
    folder: Path,
    case_id: str,
    case: IncomingCase,
    film: Film,
    masks: Mapping[str, NDArray[np.bool_]],
    policy: ImportPolicy,
) -> _Stored:
    """Write one film and its masks, and describe them."""
    row = case.row
    image = folder / IMAGES_DIR / f"{case_id}.png"
    write_png(image, film.samples)
    mask_paths = {}
    for structure, mask in masks.items():
        (folder / MASKS_DIR).mkdir(exist_ok=True)
        mask_paths[structure] = folder / MASKS_DIR / f"{case_id}__{slug(structure)}.png"
        write_png(mask_paths[structure], mask)
    spacing = film.pixel_spacing_mm
    if row.pixel_spacing_row_mm is not None and row.pixel_spacing_col_mm is not None:
        spacing = (row.pixel_spacing_row_mm, row.pixel_spacing_col_mm)
    rows, columns = film.samples.shape
    modality = row.modality or film.modality
    relative = image.relative_to(folder).as_posix()
    entry = CaseEntry(case_id, relative, modality, spacing, rows, columns, sha256_of(image))
    from_header = film if policy.header_demographics else Film(film.samples)
    attributes = {
        "view": row.view or film.view,
        "sex": row.sex or from_header.sex,
        "age_band": row.age or from_header.age_band,
        "burned_in": film.burned_in,
        "source_file": case.image.name if policy.source_names else "",
        **case.extras,
    }
    reference = Reference(
        case_id, row.patient_id, row.source, row.established_by, row.split,
        case.findings, mask_paths, {}, attributes,
    )  # fmt: skip
    texts = list(film.notes)
    if case_id == case.image.stem:
        texts.append("the case id repeats the source file's name, and readers may see case ids")
    notes = tuple(Note(case.index + 2, case_id, text) for text in texts)
    return _Stored(case.index + 2, entry, reference, film.patient_key, notes)


def _name_patients(stored: Sequence[_Stored], seed: int) -> list[_Stored]:
    """Give an opaque patient id to films whose manifest names none.

    Films that share a DICOM patient share the identifier; any other film counts as a patient.
    """
    keys = {film.entry.case_id: film.patient_key or film.entry.case_id for film in stored}
    open_keys = dict.fromkeys(
        keys[film.entry.case_id] for film in stored if not film.reference.patient_id
    )
    taken = {film.reference.patient_id for film in stored}
    shuffled = np.random.default_rng([seed, 1]).permutation(len(open_keys))
    names = dict(zip(open_keys, (f"p{number + 1:06d}" for number in shuffled), strict=True))
    named = []
    for film in stored:
        if not film.reference.patient_id:
            name = names[keys[film.entry.case_id]]
            name = f"auto-{name}" if name in taken else name
            film = replace(film, reference=replace(film.reference, patient_id=name))
        named.append(film)
    return named


def _report(
    out: Path, incoming: Incoming, stored: Sequence[_Stored], problems: Sequence[Problem]
) -> ImportReport:
    """Sum up an import that went through."""
    notes = [note for film in stored for note in film.notes]
    first_by_digest: dict[str, str] = {}
    for film in stored:
        twin = first_by_digest.setdefault(film.entry.sha256, film.entry.case_id)
        if twin != film.entry.case_id:
            notes.append(
                Note(film.row, film.entry.case_id, f"the pixels are identical to case {twin}")
            )
    return ImportReport(
        out=out,
        case_ids=tuple(film.entry.case_id for film in stored),
        findings=incoming.findings,
        refused=tuple(problems),
        notes=tuple(notes),
        needs_sign_off=tuple(
            film.entry.case_id for film in stored if film.reference.attributes["burned_in"] != "no"
        ),
    )


def _write_report(
    folder: Path, incoming: Incoming, stored: Sequence[_Stored], report: ImportReport
) -> None:
    """Write ``import_report.csv``: one line per case, then one per refusal, without file names."""
    records: list[dict[str, object]] = []
    remarks: dict[str, list[str]] = {}
    for note in report.notes:
        remarks.setdefault(note.case_id, []).append(note.text)
    for film in stored:
        case_id = film.entry.case_id
        texts = remarks.get(case_id, [])
        sign_off = film.reference.attributes["burned_in"] != "no"
        if sign_off:
            texts.append("a person must sign off that no identity is burned into the pixels")
        records.append(
            {
                "row": film.row,
                "case_id": case_id,
                "status": "imported",
                "needs_sign_off": int(sign_off),
                "note": "; ".join(texts),
            }
        )
    for problem in report.refused:
        cells = dict(zip(incoming.sheet.columns, incoming.sheet.rows[problem.row - 2], strict=True))
        cell = cells.get(problem.column, "")
        text = problem.text
        for name in (cell, Path(cell).name):
            text = text.replace(repr(name), "the file") if name else text
        records.append(
            {"row": problem.row, "status": "refused", "column": problem.column, "note": text}
        )
    write_sheet(folder / REPORT_FILE, REPORT_COLUMNS, records)


def _summary(manifest: Path, problems: Sequence[Problem]) -> str:
    """Say that an import stopped, and list its problems."""
    n_rows = len({problem.row for problem in problems})
    rows = "1 row" if n_rows == 1 else f"{n_rows} rows"
    return (
        f"{rows} of {manifest} cannot be imported; nothing was written. Correct the manifest, or "
        f"import the other films with --skip-bad.\n{_listing(problems)}"
    )


def _listing(problems: Sequence[Problem]) -> str:
    """List the first problems, one per line."""
    lines = [f"  {problem}" for problem in problems[:N_LISTED]]
    if len(problems) > N_LISTED:
        lines.append(f"  … and {len(problems) - N_LISTED} more.")
    return "\n".join(lines)
