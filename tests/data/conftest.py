"""Tiny films, DICOM files and manifests made in code."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

PACKS = Path(__file__).parents[3] / "shared" / "packs"


@pytest.fixture
def pack() -> Callable[[str], Path]:
    """Find a pack of real films, or skip the test."""

    def find(name: str) -> Path:
        if not (PACKS / name / "manifest.csv").is_file():
            pytest.skip(f"the pack {name} is not here")
        return PACKS / name

    return find


@pytest.fixture
def ramp() -> np.ndarray:
    """A 40 × 36 film whose 8-bit greys all occur."""
    return (np.arange(40 * 36) * 7 % 256).reshape(40, 36).astype(np.uint8)


@pytest.fixture
def write_table() -> Callable[..., Path]:
    """Write a CSV file from a header and rows."""

    def write(path: Path, header: Sequence[str], *rows: Sequence[object]) -> Path:
        with path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([header, *rows])
        return path

    return write


@pytest.fixture
def write_dicom() -> Callable[..., Path]:
    """Write a small grey DICOM file; keywords are set as header fields."""

    def write(path: Path, stored: np.ndarray, bits: int = 8, **header: Any) -> Path:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["counterlight", path.name])
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID = meta.MediaStorageSOPClassUID
        dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
        dataset.Modality = "CR"
        dataset.Rows, dataset.Columns = stored.shape[:2]
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated = stored.dtype.itemsize * 8
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dataset.PixelRepresentation = int(np.issubdtype(stored.dtype, np.signedinteger))
        dataset.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
        for keyword, value in header.items():
            setattr(dataset, keyword, value)
        for keyword in [name for name, value in header.items() if value is None]:
            delattr(dataset, keyword)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def make_manifest(tmp_path: Path, ramp: np.ndarray, write_table: Callable[..., Path]) -> Callable:
    """Write ``n`` PNG films and a manifest that lists them; columns may be added or replaced."""

    def make(n: int = 3, **columns: Mapping[int, str] | Sequence[str]) -> Path:
        folder = tmp_path / "theirs"
        folder.mkdir(exist_ok=True)
        for i in range(n):
            Image.fromarray(np.roll(ramp, i)).save(folder / f"doe_john_{i}.png")
        table = {"image": [f"doe_john_{i}.png" for i in range(n)], **columns}
        rows = list(zip(*table.values(), strict=True))
        return write_table(folder / "manifest.csv", list(table), *rows)

    return make
