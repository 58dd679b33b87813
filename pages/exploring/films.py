"""The film that the explorer looks at: a case of the study, or an upload kept in memory only."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
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
    """

    name: str
    image: NDArray[np.float32]
    pixel_spacing_mm: tuple[float, float] | None
    case_id: str | None
    digest: str
    remark: str = ""

    @property
    def aspect(self) -> float:
        """Width over height as the film is to be drawn."""
        rows, columns = self.image.shape
        row_mm, column_mm = self.pixel_spacing_mm or (1.0, 1.0)
        return columns * column_mm / (rows * row_mm)


def case_film(cases: CaseSet, case_id: str) -> Film:
    """Return a case of the study."""
    case = cases.load(case_id)
    return Film(case_id, case.image, case.pixel_spacing_mm, case_id, cases.entry(case_id).sha256)


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
