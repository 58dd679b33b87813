"""Radiologists' outlines of the pack cxr-covid-nc, where it is at hand; nothing of it is kept."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.csvfile import read_sheet
from data.importing import ImportPolicy, import_manifest
from data.incoming import ManifestReading
from data.raster import read_mask
from data.reference import ReferenceSet
from explainers.evaluation.localisation import iou_at_matched_area

N_FILMS = 6


@pytest.fixture
def outlined(pack: Callable[[str], Path], tmp_path: Path) -> tuple[Path, list[dict[str, str]]]:
    """Import a few films whose lesions are outlined, several outlines as one mask."""
    folder = pack("cxr-covid-nc")
    records = [r for r in read_sheet(folder / "manifest.csv").records() if r["lesion_masks"]]
    records = sorted(records, key=lambda r: -r["lesion_masks"].count(";"))[:N_FILMS]
    for record in records:
        parts = record["lesion_masks"].split(";")
        record["image"] = str(folder / record["image"])
        record["lesion_masks"] = ";".join(str(folder / part) for part in parts)
    columns = ("image", "image_id", "patient_id", "has_pneumonia", "lesion_masks")
    with (tmp_path / "few.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(records)
    mapping = {
        "case_id": "image_id",
        "finding:Pneumonia": "has_pneumonia",
        "mask:Pneumonia": "lesion_masks",
    }
    import_manifest(
        tmp_path / "few.csv",
        tmp_path / "cases",
        reading=ManifestReading(mapping),
        policy=ImportPolicy(accept_burned_in=True),
    )
    return tmp_path / "cases", records


def test_outlines_in_several_files_become_one_mask(
    outlined: tuple[Path, list[dict[str, str]]],
) -> None:
    references = ReferenceSet.open(outlined[0])
    for record in outlined[1]:
        mask = references.mask(record["image_id"], "Pneumonia")
        parts = [read_mask(Path(part)) for part in record["lesion_masks"].split(";")]
        assert mask is not None
        assert np.array_equal(mask, np.logical_or.reduce(parts))
        assert 0.001 < mask.mean() < 0.6


def test_localisation_on_outlines_is_one_for_the_outline_itself(
    outlined: tuple[Path, list[dict[str, str]]],
) -> None:
    references = ReferenceSet.open(outlined[0])
    for case_id in references:
        mask = references.mask(case_id, "Pneumonia")
        assert mask is not None
        assert iou_at_matched_area(mask.astype(np.float32), mask) == 1
        assert iou_at_matched_area((~mask).astype(np.float32), mask) < 0.3
