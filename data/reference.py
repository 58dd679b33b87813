"""The reference standard of a case set: how each finding was established, and where it lies.

No reading page may import this module, directly or through another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data.csvfile import InvalidTable, Sheet, first_problem, read_sheet, write_sheet
from data.manifest import CaseId, UnknownCase, check_inside
from data.raster import read_image, read_mask

REFERENCE_FILE = "reference.csv"
FINDING = "finding:"
MASK = "mask:"
COUNTERFACTUAL = "counterfactual:"
VALUES: Mapping[str, bool | None] = {"1": True, "0": False, "": None}


class ReferenceRow(BaseModel):
    """The fixed columns of one row of ``reference.csv``; others are allowed beside them."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        json_schema_extra={
            "patternProperties": {
                "^finding:.+$": {
                    "enum": list(VALUES),
                    "description": "1 present, 0 absent, empty unknown.",
                },
                "^mask:.+$": {
                    "type": "string",
                    "description": "Mask PNG relative to the case set, or empty.",
                },
                "^counterfactual:.+$": {
                    "type": "string",
                    "description": "Film without the finding (simulated films only), or empty.",
                },
            }
        },
    )

    case_id: CaseId
    patient_id: str = Field(min_length=1, description="Groups the cases of one patient.")
    source: str = Field("", description="Collection the film comes from.")
    established_by: str = Field("", description="How the reference standard was established.")
    split: str = Field("", description="train, val, test, or empty.")


FIXED = tuple(ReferenceRow.model_fields)


@dataclass(frozen=True)
class Reference:
    """The reference standard of one case.

    Parameters
    ----------
    case_id, patient_id
        Study identifiers of the case and of its patient.
    source
        Collection the film comes from.
    established_by
        How the reference standard was established.
    split
        ``"train"``, ``"val"``, ``"test"``, or ``""`` if none is given.
    findings
        Finding to present (``True``), absent (``False``) or unknown (``None``), in column order.
    masks
        Finding or structure (``"lungs"``) to its mask file; only those that exist.
    counterfactuals
        Finding to the film of the same patient without it; simulated films only.
    attributes
        Every other non-empty column as text: age band, sex, view, licence, source file.
    """

    case_id: str
    patient_id: str
    source: str
    established_by: str
    split: str
    findings: Mapping[str, bool | None]
    masks: Mapping[str, Path] = field(default_factory=dict)
    counterfactuals: Mapping[str, Path] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)


class ReferenceSet:
    """The reference standard of a folder of cases; iterating yields case identifiers."""

    def __init__(self, root: Path, references: Mapping[str, Reference], sheet: Sheet) -> None:
        self.root = root
        self._references = dict(references)
        self._sheet = sheet

    @classmethod
    def open(cls, root: Path | str) -> ReferenceSet:
        """Read and validate ``reference.csv``; masks are opened only when asked for.

        Raises
        ------
        InvalidTable
            If the file is missing or damaged, a required column is missing, a value is invalid
            (row and column are named), or a case id appears twice.
        """
        root = Path(root)
        if not (root / REFERENCE_FILE).is_file():
            raise InvalidTable(
                f"{root} holds no {REFERENCE_FILE}; expected a case set written by "
                "`counterlight import` or `counterlight phantom`."
            )
        sheet = read_sheet(root / REFERENCE_FILE)
        return cls(root, _read_references(root, sheet), sheet)

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Case identifiers in file order."""
        return tuple(self._references)

    @property
    def findings(self) -> tuple[str, ...]:
        """Names of the findings, in column order."""
        return _names(self._sheet.columns, FINDING)

    @property
    def mask_names(self) -> tuple[str, ...]:
        """What masks may exist for: findings, and structures such as ``"lungs"``."""
        return _names(self._sheet.columns, MASK)

    def __len__(self) -> int:
        return len(self._references)

    def __iter__(self) -> Iterator[str]:
        return iter(self._references)

    def __contains__(self, case_id: object) -> bool:
        return case_id in self._references

    def get(self, case_id: str) -> Reference:
        """Return the reference standard of a case.

        Raises
        ------
        UnknownCase
            If the set does not hold ``case_id``.
        """
        try:
            return self._references[case_id]
        except KeyError:
            raise UnknownCase(
                f"Case {case_id!r} has no row in {self.root / REFERENCE_FILE}."
            ) from None

    def mask(self, case_id: str, finding: str) -> NDArray[np.bool_] | None:
        """Read the mask of a finding (or structure).

        Returns
        -------
        ndarray or None
            (H, W) bool at the film's resolution; ``None`` if this case has no such mask.

        Raises
        ------
        UnknownCase
            If the set does not hold ``case_id``.
        InvalidCase
            If the file cannot be read.
        """
        path = self.get(case_id).masks.get(finding)
        return None if path is None else read_mask(path)

    def counterfactual(self, case_id: str, finding: str) -> NDArray[np.float32] | None:
        """Read the film of the same patient without a finding.

        Returns
        -------
        ndarray or None
            (H, W) float32 in [0, 1]; ``None`` if this case has none.

        Raises
        ------
        UnknownCase
            If the set does not hold ``case_id``.
        InvalidCase
            If the file cannot be read.
        """
        path = self.get(case_id).counterfactuals.get(finding)
        return None if path is None else read_image(path)

    def table(self) -> pd.DataFrame:
        """Return every column as a table, one row per case in file order.

        Returns
        -------
        DataFrame
            ``finding:<Name>`` columns are float64: 1.0 present, 0.0 absent, NaN unknown. All other
            columns are text, missing where the cell is empty.
        """
        frame = pd.DataFrame(self._sheet.rows, columns=list(self._sheet.columns), dtype="str")
        frame = frame.mask(frame == "")
        for column in self._sheet.columns:
            if column.startswith(FINDING):
                frame[column] = pd.to_numeric(frame[column]).astype("float64")
        return frame


def write_references(root: Path, references: Iterable[Reference]) -> None:
    """Write ``reference.csv`` into an existing folder.

    Columns are the fixed ones, then findings, masks, counterfactuals and attributes in the order in
    which they first appear. Paths must lie inside ``root``.

    Raises
    ------
    ValueError
        If a mask or counterfactual lies outside ``root``.
    OSError
        If the disk refuses.
    """
    cells = {True: "1", False: "0", None: ""}
    groups: tuple[dict[str, None], ...] = ({}, {}, {}, {})
    records = []
    for reference in references:
        named = [
            {f"{FINDING}{name}": cells[value] for name, value in reference.findings.items()},
            _relative(root, MASK, reference.masks),
            _relative(root, COUNTERFACTUAL, reference.counterfactuals),
            dict(reference.attributes),
        ]
        record: dict[str, object] = {name: getattr(reference, name) for name in FIXED}
        for group, columns in zip(groups, named, strict=True):
            group.update(dict.fromkeys(columns))
            record.update(columns)
        records.append(record)
    header = (*FIXED, *(column for group in groups for column in group))
    write_sheet(root / REFERENCE_FILE, header, records)


def _relative(root: Path, prefix: str, paths: Mapping[str, Path]) -> dict[str, str]:
    """Name files relative to the case set, with forward slashes."""
    return {f"{prefix}{name}": path.relative_to(root).as_posix() for name, path in paths.items()}


def _names(columns: Iterable[str], prefix: str) -> tuple[str, ...]:
    """Return what follows ``prefix`` in the columns that carry it."""
    return tuple(name.removeprefix(prefix) for name in columns if name.startswith(prefix))


def _read_references(root: Path, sheet: Sheet) -> dict[str, Reference]:
    """Validate every row of ``reference.csv``."""
    for required in ("case_id", "patient_id"):
        if required not in sheet.columns:
            raise InvalidTable(
                f"{sheet.path}: column {required!r} is missing; expected {', '.join(FIXED)} and "
                "finding:<Name> columns."
            )
    references: dict[str, Reference] = {}
    for index, record in enumerate(sheet.records()):
        try:
            row = ReferenceRow.model_validate(record)
        except ValidationError as error:
            column, problem = first_problem(error)
            raise InvalidTable(f"{sheet.place(index, column)}: {problem}.") from error
        if row.case_id in references:
            raise InvalidTable(
                f"{sheet.place(index, 'case_id')}: {row.case_id!r} already has a row; "
                "give every case one row."
            )
        references[row.case_id] = _reference(root, sheet, index, row, record)
    return references


def _reference(
    root: Path, sheet: Sheet, index: int, row: ReferenceRow, record: Mapping[str, str]
) -> Reference:
    """Turn one validated row and its free columns into a reference."""
    findings: dict[str, bool | None] = {}
    masks: dict[str, Path] = {}
    counterfactuals: dict[str, Path] = {}
    attributes: dict[str, str] = {}
    for column, cell in record.items():
        if column.startswith(FINDING):
            if cell not in VALUES:
                raise InvalidTable(
                    f"{sheet.place(index, column)}: {cell!r} is not a finding; "
                    "expected 1 (present), 0 (absent) or an empty cell (unknown)."
                )
            findings[column.removeprefix(FINDING)] = VALUES[cell]
        elif not cell or column in FIXED:
            continue
        elif column.startswith((MASK, COUNTERFACTUAL)):
            try:
                path = root / check_inside(cell)
            except ValueError as error:
                raise InvalidTable(f"{sheet.place(index, column)}: {error}.") from error
            kind, _, name = column.partition(":")
            (masks if kind == "mask" else counterfactuals)[name] = path
        else:
            attributes[column] = cell
    return Reference(
        row.case_id, row.patient_id, row.source, row.established_by, row.split,
        findings, masks, counterfactuals, attributes,
    )  # fmt: skip
