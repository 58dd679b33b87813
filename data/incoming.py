"""A user's manifest of films: their column names to ours, their values to a reference standard."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from data.case import DataError, slug
from data.csvfile import InvalidTable, Sheet, read_sheet
from data.demographics import age_band, normalise_sex
from data.labels import UnknownWord, Vocabulary
from data.manifest import Millimetres, check_case_id
from data.reference import FINDING, MASK


def _check_optional_id(text: str) -> str:
    """Check a case identifier where one is given."""
    return check_case_id(text) if text else text


def _check_age(text: str) -> str:
    """Reduce an age to its decade."""
    band = age_band(text)
    if band is None:
        raise ValueError(f"{text!r} is no age; expected years such as 67, 067Y or 60-69, or empty")
    return band


def _check_sex(text: str) -> str:
    """Reduce a sex to M, F, O or empty."""
    sex = normalise_sex(text)
    if sex is None:
        raise ValueError(f"{text!r} is no sex; expected M, F, O or an empty cell")
    return sex


def _upper(value: object) -> object:
    """Write a code in capitals."""
    return value.upper() if isinstance(value, str) else value


class IncomingRow(BaseModel):
    """One row of a manifest to import, under our column names.

    Beside these, ``finding:<Name>`` and ``mask:<Name>`` columns; all others are left behind
    unless they are asked for by name.
    """

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        json_schema_extra={
            "patternProperties": {
                "^finding:.+$": {"type": "string", "description": "Present, absent or unknown."},
                "^mask:.+$": {"type": "string", "description": "Mask file, size of the image."},
            }
        },
    )

    image: str = Field(min_length=1, description="File, relative to the manifest or absolute.")
    case_id: Annotated[str, AfterValidator(_check_optional_id)] = Field(
        "", max_length=64, description="Study identifier; left out, an opaque one is drawn."
    )
    patient_id: str = Field("", description="Groups the films of one patient.")
    source: str = Field("", description="Collection the film comes from.")
    established_by: str = Field("", description="How the reference standard was established.")
    split: str = ""
    modality: Annotated[str, BeforeValidator(_upper)] = Field("", pattern=r"^([A-Z0-9]{2,16})?$")
    pixel_spacing_row_mm: Millimetres = None
    pixel_spacing_col_mm: Millimetres = None
    view: str = Field("", description="Projection; lateral films are refused.")
    sex: Annotated[str, AfterValidator(_check_sex)] = ""
    age: Annotated[str, AfterValidator(_check_age)] = Field("", description="Kept as a decade.")


MASK_SEPARATOR = ";"
"""Between the files of one mask; their union counts."""
CANONICAL = tuple(IncomingRow.model_fields)
RESERVED = ("age_band", "burned_in", "source_file")  # what an import adds to reference.csv


@dataclass(frozen=True)
class ManifestReading:
    """How to read a manifest.

    Parameters
    ----------
    columns
        Our column name to theirs, e.g. ``{"image": "file", "finding:Mass": "has_mass"}``; columns
        that already bear our name need no entry, and an empty name ignores such a column.
    labels
        Column that lists what is present, e.g. ``"Mass|Effusion"``. A finding that another film's
        list names counts as absent here.
    label_separator
        What stands between the labels.
    findings
        The only findings allowed, in this order; ``None`` takes all that occur.
    positive, negative, unknown
        Further words for present, absent and unknown; the latter two also as labels that stand for
        a film without findings, and for one that nobody has labelled.
    keep
        Further columns to carry into ``reference.csv``.
    where
        Column of theirs to the text that it must hold; other rows are passed over.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    labels: str | None = None
    label_separator: str = "|"
    findings: tuple[str, ...] | None = None
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)

    def takes(self, record: Mapping[str, str]) -> bool:
        """Say whether a row is one of those wanted."""
        return all(record[column] == text for column, text in self.where.items())

    @property
    def vocabulary(self) -> Vocabulary:
        """How finding cells and label lists are read."""
        return Vocabulary.build(self.positive, self.negative, self.unknown, self.label_separator)


@dataclass(frozen=True)
class Problem:
    """Why one row cannot be imported.

    Parameters
    ----------
    place
        Table, row and column, e.g. ``"manifest.csv row 7, column image"``.
    row
        Row as a spreadsheet counts; the header is row 1.
    column
        The user's column name, or ``""``.
    text
        What is wrong and what to do.
    """

    place: str
    row: int
    column: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(frozen=True)
class IncomingCase:
    """One row of a manifest, checked; its files have not been opened yet.

    Parameters
    ----------
    index
        Position among the rows, from 0.
    row
        The validated fixed columns.
    image
        The film's file.
    findings
        Finding to present, absent or unknown.
    masks
        Finding or structure to mask files, whose union counts.
    extras
        Columns the user asked to keep.
    """

    index: int
    row: IncomingRow
    image: Path
    findings: Mapping[str, bool | None]
    masks: Mapping[str, tuple[Path, ...]]
    extras: Mapping[str, str]


@dataclass(frozen=True)
class Incoming:
    """A manifest as read: usable rows, unusable rows, and where each column came from."""

    sheet: Sheet
    cases: tuple[IncomingCase, ...]
    problems: tuple[Problem, ...]
    findings: tuple[str, ...]
    theirs: Mapping[str, str]

    def problem(self, index: int, canonical: str, text: str) -> Problem:
        """Name a cell of the user's table in a problem."""
        column = self.theirs.get(canonical, "")
        return Problem(self.sheet.place(index, column or None), index + 2, column, text)


def read_incoming(path: Path, reading: ManifestReading) -> Incoming:
    """Read and check a manifest without opening any film.

    Raises
    ------
    InvalidTable
        If the manifest cannot be read, has no rows, or lacks a column that is needed or mapped.
    DataError
        If ``reading`` maps to a name that is not one of ours.
    """
    sheet = read_sheet(path)
    theirs = _resolve_columns(sheet, reading)
    if not sheet.rows:
        raise InvalidTable(f"{sheet.path} lists no film; expected at least one row.")
    if not any(reading.takes(record) for record in sheet.records()):
        wanted = ", ".join(f"{column}={text}" for column, text in reading.where.items())
        raise InvalidTable(
            f"{sheet.path} has no row with {wanted}; look at the spelling of the cells."
        )
    findings = _finding_names(sheet, theirs, reading)
    incoming = Incoming(sheet, (), (), findings, theirs)
    cases: list[IncomingCase] = []
    problems: list[Problem] = []
    ids: dict[str, int] = {}
    for index, record in enumerate(sheet.records()):
        if not reading.takes(record):
            continue
        renamed = {ours: record[column] for ours, column in theirs.items()}
        found = _check_values(incoming, index, renamed)
        values, finding_problems = _read_findings(incoming, index, record, reading)
        found += finding_problems
        files, file_problems = _find_files(incoming, index, renamed)
        found += file_problems
        found += _check_identity(incoming, index, renamed.get("case_id"), ids)
        problems += found
        if not found:
            row = IncomingRow.model_validate(renamed)
            extras = {name: record[name] for name in reading.keep if record[name]}
            image = files.pop("image")[0]
            masks = {name.removeprefix(MASK): found for name, found in files.items()}
            cases.append(IncomingCase(index, row, image, values, masks, extras))
    return Incoming(sheet, tuple(cases), tuple(problems), findings, theirs)


def _resolve_columns(sheet: Sheet, reading: ManifestReading) -> dict[str, str]:
    """Return our column name to theirs for every column that is used."""
    for ours, column in reading.columns.items():
        prefixed = ours.startswith((FINDING, MASK)) and ours.partition(":")[2].strip()
        if ours not in CANONICAL and not prefixed:
            raise DataError(
                f"{ours!r} is no column that can be mapped; expected one of "
                f"{', '.join(CANONICAL)}, finding:<Name> or mask:<Name>."
            )
        if column and column not in sheet.columns:
            raise _missing_column(sheet, column, f"{ours} is mapped to it")
    if reading.labels is not None and reading.labels not in sheet.columns:
        raise _missing_column(sheet, reading.labels, "the labels are to be read from it")
    for column in reading.where:
        if column not in sheet.columns:
            raise _missing_column(sheet, column, "rows are to be chosen by it")
    for column in reading.keep:
        if column not in sheet.columns:
            raise _missing_column(sheet, column, "it is to be kept")
        if column in (*CANONICAL, *RESERVED) or column.startswith((FINDING, MASK)):
            raise DataError(
                f"Column {column!r} cannot be kept under this name, which the case set uses "
                "itself; rename the column or leave it out."
            )
    theirs = {
        name: name
        for name in sheet.columns
        if name in CANONICAL or name.startswith((FINDING, MASK))
    } | dict(reading.columns)
    theirs = {ours: column for ours, column in theirs.items() if column}
    if "image" not in theirs:
        raise InvalidTable(
            f"{sheet.path} has no column 'image'; name the column that holds the files "
            "(for example --map image=file)."
        )
    nameless = next((name for name in theirs if name in (FINDING, MASK)), None)
    if nameless:
        raise InvalidTable(
            f"{sheet.path}: column {nameless!r} names nothing; expected {nameless}Mass."
        )
    _check_names(sheet, theirs, MASK)
    return theirs


def _missing_column(sheet: Sheet, column: str, why: str) -> InvalidTable:
    """Build the error for a column the user names but the table lacks."""
    return InvalidTable(
        f"{sheet.path} has no column {column!r}, but {why}; its columns are "
        f"{', '.join(sheet.columns)}."
    )


def _check_names(sheet: Sheet, names: Iterable[str], prefix: str) -> None:
    """Refuse two findings that would share a file name."""
    seen: dict[str, str] = {}
    for name in names:
        if name.startswith(prefix):
            short = slug(name.removeprefix(prefix)).lower()
            if short in seen:
                raise InvalidTable(
                    f"{sheet.path}: {seen[short]!r} and {name!r} would share a file name; "
                    "rename one of them."
                )
            seen[short] = name


def _finding_names(
    sheet: Sheet, theirs: Mapping[str, str], reading: ManifestReading
) -> tuple[str, ...]:
    """List the findings of the table: as given, else columns first, then labels by name."""
    from_columns = [name.removeprefix(FINDING) for name in theirs if name.startswith(FINDING)]
    if reading.findings is not None:
        unknown = next((name for name in from_columns if name not in reading.findings), None)
        if unknown:
            raise InvalidTable(
                f"{sheet.path}, column {theirs[FINDING + unknown]}: finding {unknown!r} is "
                f"unknown; expected one of {', '.join(reading.findings)}."
            )
        return reading.findings
    from_labels: set[str] = set()
    if reading.labels is not None:
        vocabulary, place = reading.vocabulary, sheet.columns.index(reading.labels)
        for row, record in zip(sheet.rows, sheet.records(), strict=True):
            if reading.takes(record):
                from_labels.update(vocabulary.labels(row[place]) or ())
    names = tuple(dict.fromkeys([*from_columns, *sorted(from_labels)]))
    _check_names(sheet, (f"{FINDING}{name}" for name in names), FINDING)
    return names


def _check_values(incoming: Incoming, index: int, renamed: Mapping[str, str]) -> list[Problem]:
    """Check the fixed columns of one row; every faulty cell is reported."""
    try:
        row = IncomingRow.model_validate(renamed)
    except ValidationError as error:
        return [
            incoming.problem(
                index,
                str(detail["loc"][0]),
                "the cell is empty; expected a file name."
                if detail["loc"][0] == "image"
                else detail["msg"].removeprefix("Value error, ") + ".",
            )
            for detail in error.errors(include_url=False, include_context=False)
        ]
    if (row.pixel_spacing_row_mm is None) != (row.pixel_spacing_col_mm is None):
        text = "only one of the two pixel spacings is given; give both or neither."
        return [incoming.problem(index, "pixel_spacing_row_mm", text)]
    return []


def _read_findings(
    incoming: Incoming, index: int, record: Mapping[str, str], reading: ManifestReading
) -> tuple[dict[str, bool | None], list[Problem]]:
    """Read what one row says about every finding; a column outweighs the label list."""
    values: dict[str, bool | None] = dict.fromkeys(incoming.findings)
    problems = []
    vocabulary = reading.vocabulary
    labels = vocabulary.labels(record[reading.labels]) if reading.labels is not None else None
    if reading.labels is not None and labels is not None:
        values = {name: name in labels for name in incoming.findings}
        for label in labels:
            if label not in values:
                text = f"finding {label!r} is unknown; expected one of " + (
                    f"{', '.join(incoming.findings)}."
                )
                place = incoming.sheet.place(index, reading.labels)
                problems.append(Problem(place, index + 2, reading.labels, text))
    for ours, column in incoming.theirs.items():
        if ours.startswith(FINDING):
            try:
                values[ours.removeprefix(FINDING)] = vocabulary.meaning(record[column])
            except UnknownWord as error:
                problems.append(incoming.problem(index, ours, str(error)))
    return values, problems


def _find_files(
    incoming: Incoming, index: int, renamed: Mapping[str, str]
) -> tuple[dict[str, tuple[Path, ...]], list[Problem]]:
    """Locate the film and its masks; a mask cell may name several files, ``;`` between them."""
    files: dict[str, tuple[Path, ...]] = {}
    problems = []
    folder = incoming.sheet.path.parent
    for ours, cell in renamed.items():
        if not cell or not (ours == "image" or ours.startswith(MASK)):
            continue
        several = ours != "image" and not os.path.exists(folder / cell)
        names = [name.strip() for name in cell.split(MASK_SEPARATOR)] if several else [cell]
        found = [_find_file(folder, name) for name in names if name]
        if not found:
            found = [_find_file(folder, cell)]
        problems += [incoming.problem(index, ours, text) for text in found if isinstance(text, str)]
        files[ours] = tuple(path for path in found if isinstance(path, Path))
    return files, problems


def _find_file(folder: Path, cell: str) -> Path | str:
    """Locate one file, or say why it cannot be used."""
    plain = cell if os.path.exists(folder / cell) else cell.replace("\\", "/")
    if ".." in PurePosixPath(plain).parts:
        return (
            f"{cell!r} climbs out of the manifest's folder; expected a path below it, or an "
            "absolute one."
        )
    if not os.path.exists(folder / plain):  # unlike Path.exists, false for names too long
        return f"{cell!r} does not exist; expected a file relative to {folder} or absolute."
    if not (folder / plain).is_file():
        return f"{cell!r} is not a file; expected an image."
    return folder / plain


def _check_identity(
    incoming: Incoming, index: int, case_id: str | None, ids: dict[str, int]
) -> list[Problem]:
    """Refuse a missing or repeated case id; ``ids`` remembers the rows seen so far."""
    if case_id is None:
        return []
    if not case_id:
        text = "the case id is missing; give every row one, or leave the column out altogether."
        return [incoming.problem(index, "case_id", text)]
    first = ids.setdefault(case_id.lower(), index)  # file systems may not tell case apart
    if first == index:
        return []
    text = f"{case_id!r} already stands in row {first + 2}; give every film its own case id."
    return [incoming.problem(index, "case_id", text)]
