"""Proof on real films: the two packs, where they are at hand."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.csvfile import read_sheet, write_sheet
from data.importing import ImportPolicy, ImportRefused, import_manifest
from data.incoming import ManifestReading
from data.manifest import CaseSet
from data.raster import read_image
from data.reference import ReferenceSet

Pack = Callable[[str], Path]
READ_CXR = ManifestReading(
    {"case_id": "image_id", "finding:Pneumonia": "has_pneumonia", "mask:lungs": "lung_mask"},
    labels="finding_labels",
    keep=("image_licence", "attribution"),
)
READ_DICOM = ManifestReading({"image": "file"})


@pytest.fixture(scope="module")
def dicom_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    manifest = Path(__file__).parents[3] / "shared" / "packs" / "dicom-samples" / "manifest.csv"
    if not manifest.is_file():
        pytest.skip("the pack dicom-samples is not here")
    out = tmp_path_factory.mktemp("dicom") / "cases"
    policy = ImportPolicy(
        skip_bad=True, accept_burned_in=True, accept_lateral=True, header_demographics=True
    )
    import_manifest(manifest, out, reading=READ_DICOM, policy=policy)
    return out


def test_dicom_films_look_as_expected_within_one_grey_level(dicom_set: Path, pack: Pack) -> None:
    cases, references = CaseSet.open(dicom_set), ReferenceSet.open(dicom_set)
    checked = 0
    for case_id in cases:
        source = references.get(case_id).attributes["source_file"]
        expected = pack("dicom-samples") / "derived" / f"{source[:2]}.expected.png"
        if expected.is_file():
            error = np.rint(cases.load(case_id).image * 255) - read_image(expected) * 255
            assert np.abs(error).max() <= 1, source
            checked += 1
    assert checked == 9


def test_the_real_chest_film_is_dark_outside_and_has_no_false_spacing(dicom_set: Path) -> None:
    cases, references = CaseSet.open(dicom_set), ReferenceSet.open(dicom_set)
    real = {references.get(c).attributes["source_file"]: c for c in cases}["RG1_J2KI.dcm"]
    case = cases.load(real)
    assert case.image.shape == (1955, 1841)
    assert case.pixel_spacing_mm is None  # its header says 0 mm
    image = case.image
    assert image[600:1400, 900:960].mean() > image[600:1100, 450:650].mean()  # spine over lung


def test_no_planted_identifier_survives_anywhere(dicom_set: Path, pack: Pack) -> None:
    planted = json.loads((pack("dicom-samples") / "planted_phi.json").read_text(encoding="utf-8"))
    strings = sorted({text for texts in planted.values() for text in texts})
    assert len(strings) > 200
    for path in dicom_set.rglob("*"):
        haystacks = [path.name.encode()]
        if path.is_file():
            haystacks.append(path.read_bytes())
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert not picture.info, path.name  # no text, time, resolution or profile
        for text in strings:
            # Below six bytes a match inside compressed pixels is chance, above it is a leak.
            chance = path.suffix == ".png" and len(text) < 6
            for encoding in ("utf-8", "latin-1", "utf-16-le", "iso2022_jp", "euc_kr"):
                try:
                    needle = text.encode(encoding)
                except UnicodeEncodeError:
                    continue
                assert chance or not any(needle in hay for hay in haystacks), (path.name, text)


def test_the_bad_dicom_files_are_refused_each_with_its_reason(tmp_path: Path, pack: Pack) -> None:
    with pytest.raises(ImportRefused) as caught:
        import_manifest(
            pack("dicom-samples") / "manifest.csv", tmp_path / "cases", reading=READ_DICOM
        )
    reasons = {problem.row: problem.text for problem in caught.value.problems}
    assert sorted(reasons) == [6, 10, 11, 16, 17]
    for row, part in [
        (6, "burned into its pixels"), (10, "lateral film"), (11, "cut off"),
        (16, "without pixel data"), (17, "without pixel data"),
    ]:  # fmt: skip
        assert part in reasons[row]
    assert not any(tmp_path.iterdir())


def test_films_that_do_not_declare_burned_in_text_await_a_sign_off(
    dicom_set: Path, pack: Pack
) -> None:
    references = ReferenceSet.open(dicom_set)
    said = {
        references.get(case_id).attributes["source_file"]: references.get(case_id).attributes[
            "burned_in"
        ]
        for case_id in references
    }
    assert said["05_burned_in_phi_declared.dcm"] == "yes"
    assert said["06_burned_in_phi_undeclared.dcm"] == "unknown"
    rows = {row["case_id"]: row for row in read_sheet(dicom_set / "import_report.csv").records()}
    undeclared = next(
        case_id
        for case_id in references
        if references.get(case_id).attributes["source_file"].startswith("06")
    )
    assert rows[undeclared]["needs_sign_off"] == "1"
    assert "a person must sign off" in rows[undeclared]["note"]


def check_real_films(out: Path, manifest: Path) -> None:
    """Compare an imported set with the manifest it came from."""
    cases, references = CaseSet.open(out), ReferenceSet.open(out)
    rows = {row["image_id"]: row for row in read_sheet(manifest).records()}
    assert sorted(cases) == sorted(rows) and references.case_ids == cases.case_ids
    for number, (case_id, row) in enumerate(rows.items()):
        reference = references.get(case_id)
        expected = {"1": True, "0": False, "": None}[row["has_pneumonia"]]
        assert reference.findings["Pneumonia"] is expected
        assert ("lungs" in reference.masks) == bool(row["lung_mask"])
        assert reference.patient_id == row["patient_id"]
        if row["finding_labels"] == "unlabelled":
            assert set(reference.findings.values()) == {None}
        else:
            assert reference.findings["COVID-19"] == (row["finding_labels"] == "COVID-19")
        if number % 97 == 0:
            with Image.open(manifest.parent / row["image"]) as picture:
                stored = np.rint(cases.load(case_id).image * 255)
                np.testing.assert_array_equal(stored, np.asarray(picture))
            if row["lung_mask"]:
                mask = references.mask(case_id, "lungs")
                assert mask is not None
                with Image.open(manifest.parent / row["lung_mask"]) as picture:
                    np.testing.assert_array_equal(mask, np.asarray(picture.convert("L")) > 0)


def test_forty_real_films_are_imported_with_labels_and_lung_masks(
    tmp_path: Path, pack: Pack
) -> None:
    sheet = read_sheet(pack("cxr-real") / "manifest.csv")
    chosen = [row for row in list(sheet.records())[::64] if row]
    for row in chosen:
        row["image"] = str(pack("cxr-real") / row["image"])
        row["lung_mask"] = row["lung_mask"] and str(pack("cxr-real") / row["lung_mask"])
    assert len(chosen) == 40
    write_sheet(tmp_path / "manifest.csv", sheet.columns, chosen)
    report = import_manifest(tmp_path / "manifest.csv", tmp_path / "cases", reading=READ_CXR)
    assert len(report.case_ids) == 40 and not report.refused
    check_real_films(tmp_path / "cases", tmp_path / "manifest.csv")


@pytest.mark.slow
def test_all_real_films_are_imported_with_labels_and_lung_masks(tmp_path: Path, pack: Pack) -> None:
    manifest = pack("cxr-real") / "manifest.csv"
    report = import_manifest(manifest, tmp_path / "cases", reading=READ_CXR)
    assert len(report.case_ids) == 2537 and not report.refused
    references = ReferenceSet.open(tmp_path / "cases")
    assert sum("lungs" in references.get(case_id).masks for case_id in references) == 2383
    assert references.table()["finding:Pneumonia"].sum() == 1334
    check_real_films(tmp_path / "cases", manifest)
