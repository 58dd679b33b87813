"""The list of cases of a case set, and the cases themselves: what a reader may see."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from data.case import Case, DataError, InvalidCase
from data.csvfile import InvalidTable, Sheet, first_problem, read_sheet, write_sheet
from data.raster import read_image

CASES_FILE = "cases.csv"
IMAGES_DIR = "images"
MIN_SIDE_PX = 8
MAX_SIDE_PX = 10_000

Progress = Callable[[int, int], None]  # (done, total)


class UnknownCase(DataError):
    """A case identifier that the case set does not hold."""


def check_case_id(text: str) -> str:
    """Accept an identifier that is safe as a file name and in the names of other files.

    Raises
    ------
    ValueError
        If ``text`` is not 1 to 64 letters, digits, dots, hyphens and single underscores, beginning
        and ending with a letter or digit.
    """
    plain = text.replace("-", "").replace("_", "").replace(".", "")
    fits = 1 <= len(text) <= 64 and plain.isascii() and plain.isalnum()
    if not (fits and text[0] not in "-_." and text[-1] not in "-_." and "__" not in text):
        raise ValueError(
            f"{text!r} is no case id; expected 1 to 64 letters, digits, '-', '.' and single '_', "
            "with a letter or digit at both ends"
        )
    return text


def check_inside(text: str) -> str:
    """Accept a relative path with forward slashes that stays inside its folder.

    Raises
    ------
    ValueError
        If ``text`` is absolute, uses backslashes, or climbs with ``..``.
    """
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or "\\" in text or ":" in text:
        raise ValueError(f"{text!r} is no path inside the case set; expected e.g. images/c0001.png")
    return text


def _blank_is_none(value: object) -> object:
    """Read an empty CSV cell as a missing value."""
    return None if value == "" else value


CaseId = Annotated[
    str, AfterValidator(check_case_id), Field(min_length=1, max_length=64, pattern=r"^[\w.-]+$")
]
InsidePath = Annotated[str, AfterValidator(check_inside), Field(min_length=1)]
Length = Annotated[float, Field(gt=0, le=100)]
Millimetres = Annotated[Length | None, BeforeValidator(_blank_is_none)]
SidePx = Annotated[int, Field(ge=MIN_SIDE_PX, le=MAX_SIDE_PX)]


class CaseRow(BaseModel):
    """One row of ``cases.csv``; further columns are refused, so no reference can slip in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    case_id: CaseId = Field(description="Study identifier, never from a patient record.")
    image: InsidePath = Field(description="Grey PNG, 8 or 16 bit, relative to the case set.")
    modality: str = Field(
        pattern=r"^([A-Z0-9]{2,16})?$", description="DICOM (0008,0060), or empty if unknown."
    )
    pixel_spacing_row_mm: Millimetres = Field(description="Distance between rows, or empty.")
    pixel_spacing_col_mm: Millimetres = Field(description="Distance between columns, or empty.")
    rows: SidePx
    columns: SidePx
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Digest of the image file's bytes.")

    @model_validator(mode="after")
    def _spacing_comes_in_pairs(self) -> CaseRow:
        if (self.pixel_spacing_row_mm is None) != (self.pixel_spacing_col_mm is None):
            raise ValueError("only one of the two pixel spacings is given; give both or neither")
        return self


@dataclass(frozen=True)
class CaseEntry:
    """What ``cases.csv`` says about one case.

    Parameters
    ----------
    case_id
        Study identifier.
    image
        Path of the PNG relative to the case set, with forward slashes.
    modality
        DICOM Modality, ``""`` if unknown.
    pixel_spacing_mm
        (between rows, between columns) in millimetres, or ``None``.
    rows, columns
        Size of the image in pixels.
    sha256
        Hexadecimal digest of the image file.
    """

    case_id: str
    image: str
    modality: str
    pixel_spacing_mm: tuple[float, float] | None
    rows: int
    columns: int
    sha256: str


class CaseSet:
    """A folder of cases as readers may see them; iterating yields case identifiers in file order.

    Open one with :meth:`open`. Nothing but ``cases.csv`` and the images it names is ever read.
    """

    def __init__(self, root: Path, entries: Mapping[str, CaseEntry]) -> None:
        self.root = root
        self._entries = dict(entries)

    @classmethod
    def open(cls, root: Path | str) -> CaseSet:
        """Read and validate ``cases.csv``; the images are opened only when a case is loaded.

        Raises
        ------
        InvalidTable
            If the folder or its ``cases.csv`` is missing or damaged, a column is missing or
            unexpected, a value is invalid (row and column are named), or a case id appears twice.
        """
        root = Path(root)
        if not root.is_dir():
            raise InvalidTable(
                f"{root} is not a folder; expected a case set written by `counterlight import` or "
                "`counterlight phantom`."
            )
        if not (root / CASES_FILE).is_file():
            raise InvalidTable(
                f"{root} holds no {CASES_FILE}; expected a case set written by "
                "`counterlight import` or `counterlight phantom`."
            )
        return cls(root, _read_entries(read_sheet(root / CASES_FILE)))

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Case identifiers in file order."""
        return tuple(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, case_id: object) -> bool:
        return case_id in self._entries

    def entry(self, case_id: str) -> CaseEntry:
        """Return what the list says about a case.

        Raises
        ------
        UnknownCase
            If the set does not hold ``case_id``.
        """
        try:
            return self._entries[case_id]
        except KeyError:
            raise UnknownCase(
                f"Case {case_id!r} is not among the {len(self)} cases of {self.root}."
            ) from None

    def image_path(self, case_id: str) -> Path:
        """Return the path of a case's PNG.

        Raises
        ------
        UnknownCase
            If the set does not hold ``case_id``.
        """
        return self.root / self.entry(case_id).image

    def load(self, case_id: str) -> Case:
        """Read a case.

        Returns
        -------
        Case
            Its image is (rows, columns), float32, in [0, 1], higher is brighter.

        Raises
        ------
        UnknownCase
            If the set does not hold ``case_id``.
        InvalidCase
            If the image is missing, damaged, or of another size than the list says.
        """
        entry = self.entry(case_id)
        image = read_image(self.root / entry.image)
        if image.shape != (entry.rows, entry.columns):
            raise InvalidCase(
                f"Case {case_id!r}: the image has {image.shape[0]} × {image.shape[1]} pixels but "
                f"{CASES_FILE} says {entry.rows} × {entry.columns}; import the case set again."
            )
        return Case(case_id, image, entry.pixel_spacing_mm, entry.modality)

    def verify(
        self, case_ids: Iterable[str] | None = None, *, on_progress: Progress | None = None
    ) -> None:
        """Compare image files with their recorded digests.

        Parameters
        ----------
        case_ids
            Cases to check, all by default.
        on_progress
            Called with (done, total).

        Raises
        ------
        UnknownCase
            If the set does not hold one of ``case_ids``.
        InvalidCase
            If a file is missing or its SHA-256 differs from ``cases.csv``.
        """
        chosen = self.case_ids if case_ids is None else tuple(case_ids)
        for done, case_id in enumerate(chosen, start=1):
            path = self.image_path(case_id)
            try:
                digest = sha256_of(path)
            except OSError as error:
                raise InvalidCase(
                    f"Case {case_id!r}: {path} cannot be read ({error.strerror or error}); "
                    "restore the file or import the case set again."
                ) from error
            if digest != self.entry(case_id).sha256:
                raise InvalidCase(
                    f"Case {case_id!r}: {path.name} has changed since the import (its SHA-256 "
                    f"differs from {CASES_FILE}); restore the file or import the case set again."
                )
            if on_progress is not None:
                on_progress(done, len(chosen))


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_cases(root: Path, entries: Iterable[CaseEntry]) -> None:
    """Write ``cases.csv`` into an existing folder.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    records = []
    for entry in entries:
        row_mm, col_mm = entry.pixel_spacing_mm or (None, None)
        records.append(
            {
                "case_id": entry.case_id,
                "image": entry.image,
                "modality": entry.modality,
                "pixel_spacing_row_mm": row_mm,
                "pixel_spacing_col_mm": col_mm,
                "rows": entry.rows,
                "columns": entry.columns,
                "sha256": entry.sha256,
            }
        )
    write_sheet(root / CASES_FILE, tuple(CaseRow.model_fields), records)


def _read_entries(sheet: Sheet) -> dict[str, CaseEntry]:
    """Validate every row of ``cases.csv``."""
    expected = tuple(CaseRow.model_fields)
    missing = [name for name in expected if name not in sheet.columns]
    unexpected = [name for name in sheet.columns if name not in expected]
    if missing:
        raise InvalidTable(
            f"{sheet.path}: column {missing[0]!r} is missing; expected {', '.join(expected)}."
        )
    if unexpected:
        raise InvalidTable(
            f"{sheet.path}: column {unexpected[0]!r} does not belong here; {CASES_FILE} holds only "
            "what a reader may see. Move it to reference.csv."
        )
    if not sheet.rows:
        raise InvalidTable(f"{sheet.path} lists no case; expected at least one row.")
    entries: dict[str, CaseEntry] = {}
    first_seen: dict[str, int] = {}  # lower-cased: file systems may not tell case apart
    for index, record in enumerate(sheet.records()):
        try:
            row = CaseRow.model_validate(record)
        except ValidationError as error:
            column, problem = first_problem(error)
            raise InvalidTable(f"{sheet.place(index, column)}: {problem}.") from error
        if row.case_id.lower() in first_seen:
            earlier = first_seen[row.case_id.lower()]
            raise InvalidTable(
                f"{sheet.place(index, 'case_id')}: {row.case_id!r} already stands in row "
                f"{earlier + 2}; give every case its own identifier."
            )
        first_seen[row.case_id.lower()] = index
        entries[row.case_id] = _entry(row)
    return entries


def _entry(row: CaseRow) -> CaseEntry:
    """Turn a validated row into an entry."""
    spacing = None
    if row.pixel_spacing_row_mm is not None and row.pixel_spacing_col_mm is not None:
        spacing = (row.pixel_spacing_row_mm, row.pixel_spacing_col_mm)
    return CaseEntry(
        row.case_id, row.image, row.modality, spacing, row.rows, row.columns, row.sha256
    )
