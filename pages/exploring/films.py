"""The film that the explorer looks at: a case of the study, or an upload kept in memory only."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.case import DataError, InvalidCase
from data.dicom import read_dicom
from data.manifest import CaseSet
from data.raster import read_image
from data.rasterfile import kind_of
from study.folder import StudyFolder

CASES_VARIABLE = "COUNTERLIGHT_CASES"
"""Further folders of cases for the explorer, separated as in PATH; set by whoever serves."""
CASES_FILE = "cases.csv"
OWN_SET = "the study's"


@dataclass(frozen=True, eq=False)
class Film:
    """A film to be explored.

    Parameters
    ----------
    name
        What the page calls it.
    image
        (H, W), float32, in [0, 1].
    pixel_spacing_mm
        Between rows and columns, or ``None``.
    case_id
        Identifier in the study's case set; ``None`` for an upload.
    digest
        Of the pixels.
    remark
        A sentence about the film that the page shows; may be empty.
    cases
        Folder of the case set; ``None`` for an upload.
    in_study
        Whether the case set is the study's own.
    """

    name: str
    image: NDArray[np.float32]
    pixel_spacing_mm: tuple[float, float] | None
    case_id: str | None
    digest: str
    remark: str = ""
    cases: Path | None = None
    in_study: bool = False

    @property
    def aspect(self) -> float:
        """Width over height as the film is to be drawn."""
        rows, columns = self.image.shape
        row_mm, column_mm = self.pixel_spacing_mm or (1.0, 1.0)
        return columns * column_mm / (rows * row_mm)


def case_sets(folder: StudyFolder, environment: Mapping[str, str]) -> Mapping[str, Path]:
    """Return the case sets that may be looked at, by name, the study's own first.

    Others are folders directly below the study's, and those that whoever starts the server names
    in ``COUNTERLIGHT_CASES``; a browser can only choose among them.
    """
    named = [Path(text) for text in environment.get(CASES_VARIABLE, "").split(os.pathsep) if text]
    below = sorted(path.parent for path in folder.root.glob(f"*/{CASES_FILE}"))
    found: dict[str, Path] = {OWN_SET: folder.cases}
    for path in (*below, *named):
        if (path / CASES_FILE).is_file() and path.resolve() != folder.cases.resolve():
            known = path.resolve() in {each.resolve() for each in found.values()}
            name = path.name if path.name not in found else f"{path.parent.name}/{path.name}"
            if not known:
                found.setdefault(name, path)
    return found


def case_film(cases: CaseSet, case_id: str, *, in_study: bool = True) -> Film:
    """Return a case of a case set."""
    case = cases.load(case_id)
    digest = cases.entry(case_id).sha256
    return Film(
        case_id,
        case.image,
        case.pixel_spacing_mm,
        case_id,
        digest,
        cases=Path(cases.root),
        in_study=in_study,
    )


def uploaded_film(name: str, content: bytes) -> Film:
    """Read an uploaded PNG, JPEG, TIFF or DICOM file.

    Raises
    ------
    InvalidCase
        If it cannot be read as one grey film.
    """
    with _as_path(content) as path:
        try:
            if name.lower().endswith((".dcm", ".dicom")) or kind_of(path) == "dicom":
                dicom = read_dicom(path)
                image, spacing = dicom.image, dicom.pixel_spacing_mm
                remark = "" if dicom.burned_in == "no" else _BURNED_IN
            else:
                image, spacing, remark = read_image(path), None, ""
        except DataError as error:
            raise InvalidCase(str(error).replace(repr(path.name), repr(name))) from error
    if min(image.shape) < _MIN_SIDE_PX:
        raise InvalidCase(
            f"{name!r} has {image.shape[0]} × {image.shape[1]} pixels; expected at least "
            f"{_MIN_SIDE_PX} each way. Upload the film at its full size."
        )
    return Film(name, image, spacing, None, hashlib.sha256(image.tobytes()).hexdigest(), remark)


_MIN_SIDE_PX = 32
_BURNED_IN = "The header does not rule out names burned into the pixels; look before you share."


@contextmanager
def _as_path(content: bytes) -> Iterator[Path]:
    """Give bytes a path without writing them to a disk, where the system can do that."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("upload")
        try:
            os.write(handle, content)
            yield Path(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        path.write_bytes(content)
        yield path
