import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import data.importing
from data.csvfile import read_sheet
from data.importing import ImportPolicy, ImportRefused, import_manifest
from data.incoming import ManifestReading
from data.manifest import CaseSet
from data.raster import write_png
from data.reference import ReferenceSet
from data.workspace import CannotWrite

Make = Callable[..., Path]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "study" / "cases"


def everything_in(folder: Path) -> bytes:
    """Join the names and bytes of all files."""
    parts = []
    for path in sorted(folder.rglob("*")):
        parts.append(str(path.relative_to(folder)).encode())
        if path.is_file():
            parts.append(path.read_bytes())
    return b"\n".join(parts)


def test_films_arrive_without_loss_and_named_by_case(make_manifest: Make, out: Path) -> None:
    path = make_manifest(5, finding_mass=["1", "0", "", "1", "0"])
    seen: list[tuple[int, int]] = []
    report = import_manifest(
        path, out, reading=ManifestReading({"finding:Mass": "finding_mass"}),
        on_progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(i, 5) for i in range(1, 6)]
    cases, references = CaseSet.open(out), ReferenceSet.open(out)
    assert report.case_ids == cases.case_ids == references.case_ids
    cases.verify()
    for case_id in cases:
        reference = references.get(case_id)
        source = path.parent / reference.attributes["source_file"]
        with Image.open(source) as picture:
            np.testing.assert_array_equal(
                np.rint(cases.load(case_id).image * 255), np.asarray(picture)
            )
        number = int(re.findall(r"\d+", source.name)[0])
        assert reference.findings == {"Mass": [True, False, None, True, False][number]}
    assert sorted(path.name for path in out.iterdir()) == [
        "cases.csv", "images", "import_report.csv", "reference.csv",
    ]  # fmt: skip


def test_generated_case_ids_are_opaque_shuffled_and_repeatable(
    make_manifest: Make, tmp_path: Path
) -> None:
    path = make_manifest(20)

    def order(out: Path, seed: int) -> list[str]:
        import_manifest(path, out, policy=ImportPolicy(seed=seed))
        references = ReferenceSet.open(out)
        return [references.get(case_id).attributes["source_file"] for case_id in references]

    first, again, other = (order(tmp_path / str(i), seed) for i, seed in enumerate([0, 0, 1]))
    assert first == again != other
    assert first != sorted(first, key=lambda name: int(re.findall(r"\d+", name)[0]))
    assert CaseSet.open(tmp_path / "0").case_ids == tuple(f"c{i:06d}" for i in range(1, 21))


def test_the_source_name_appears_in_the_reference_only(make_manifest: Make, out: Path) -> None:
    path = make_manifest(3)
    import_manifest(path, out)
    assert b"doe_john" in (out / "reference.csv").read_bytes()
    (out / "reference.csv").unlink()
    assert b"doe_john" not in everything_in(out)


def test_the_source_name_can_be_left_out_altogether(make_manifest: Make, out: Path) -> None:
    path = make_manifest(4)
    (path.parent / "doe_john_3.png").write_bytes(b"no image")
    import_manifest(path, out, policy=ImportPolicy(skip_bad=True, source_names=False))
    assert b"doe_john" not in everything_in(out)


def test_metadata_of_the_source_is_stripped(
    make_manifest: Make, out: Path, ramp: np.ndarray
) -> None:
    path = make_manifest(2)
    text = PngImagePlugin.PngInfo()
    text.add_text("PatientName", "Testperson")
    Image.fromarray(ramp).save(path.parent / "doe_john_0.png", pnginfo=text, dpi=(300, 300))
    exif = Image.Exif()
    exif[0x010E] = "Testperson"
    Image.fromarray(ramp).save(path.parent / "doe_john_1.png", format="JPEG", exif=exif)
    import_manifest(path, out)
    assert b"Testperson" not in everything_in(out)
    for image in (out / "images").iterdir():
        assert set(re.findall(rb"IHDR|IDAT|IEND|tEXt|pHYs|eXIf|iTXt|zTXt", image.read_bytes())) == {
            b"IHDR", b"IDAT", b"IEND",
        }  # fmt: skip


def test_16_bit_stays_16_bit(make_manifest: Make, out: Path) -> None:
    path = make_manifest(1)
    deep = np.linspace(0, 65535, 40 * 36).astype(np.uint16).reshape(40, 36)
    write_png(path.parent / "doe_john_0.png", deep)
    import_manifest(path, out)
    image = CaseSet.open(out).load("c000001").image
    np.testing.assert_array_equal(np.rint(image.astype(np.float64) * 65535), deep)


def test_masks_travel_with_their_films(make_manifest: Make, out: Path, ramp: np.ndarray) -> None:
    path = make_manifest(2, lung=["m.png", ""])
    write_png(path.parent / "m.png", (ramp > 99).astype(np.uint8))
    import_manifest(path, out, reading=ManifestReading({"mask:lungs": "lung"}))
    references = ReferenceSet.open(out)
    with_mask = [case_id for case_id in references if references.get(case_id).masks]
    assert len(with_mask) == 1
    np.testing.assert_array_equal(references.mask(with_mask[0], "lungs"), ramp > 99)


def bad_manifest(make_manifest: Make, ramp: np.ndarray) -> Path:
    """Make a manifest of six rows, four of which cannot be imported."""
    path = make_manifest(6, lung=["", "m.png", "", "", "", ""])
    folder = path.parent
    write_png(folder / "m.png", ramp.T > 99)
    Image.fromarray(np.dstack([ramp, ramp, ramp // 2])).save(folder / "doe_john_2.png")
    (folder / "doe_john_3.png").write_bytes(b"not an image at all")
    (folder / "doe_john_4.png").unlink()
    return path


READ_LUNG = ManifestReading({"mask:lungs": "lung"})


def test_bad_rows_stop_the_import_and_all_are_listed(
    make_manifest: Make, out: Path, ramp: np.ndarray
) -> None:
    path = bad_manifest(make_manifest, ramp)
    with pytest.raises(ImportRefused) as caught:
        import_manifest(path, out, reading=READ_LUNG)
    message = str(caught.value)
    assert message.startswith("4 rows of ") and "nothing was written" in message
    starts = [
        "manifest.csv row 3, column lung: 'm.png' is a mask of 36 × 40 pixels",
        "manifest.csv row 4, column image: 'doe_john_2.png' is a colour image",
        "manifest.csv row 5, column image: 'doe_john_3.png' is not a PNG",
        "manifest.csv row 6, column image: 'doe_john_4.png' does not exist",
    ]
    assert [str(problem).startswith(start) for problem, start in zip(
        caught.value.problems, starts, strict=True
    )] == [True] * 4  # fmt: skip
    assert all(start in message for start in starts)
    assert not out.parent.exists()


def test_skipping_bad_rows_imports_the_others_and_reports_the_refused(
    make_manifest: Make, out: Path, ramp: np.ndarray
) -> None:
    path = bad_manifest(make_manifest, ramp)
    report = import_manifest(path, out, reading=READ_LUNG, policy=ImportPolicy(skip_bad=True))
    assert len(CaseSet.open(out)) == len(report.case_ids) == 2
    rows = [
        row for row in read_sheet(out / "import_report.csv").records() if row["status"] == "refused"
    ]
    assert [(row["row"], row["column"]) for row in rows] == [
        ("3", "lung"), ("4", "image"), ("5", "image"), ("6", "image"),
    ]  # fmt: skip
    assert rows[1]["note"].startswith("the file is a colour image")
    assert {path.name for path in (out / "images").iterdir()} == {
        f"{case_id}.png" for case_id in report.case_ids
    }


def test_a_manifest_without_any_good_row_leaves_nothing(
    make_manifest: Make, out: Path, tmp_path: Path
) -> None:
    path = make_manifest(25)
    for film in path.parent.glob("*.png"):
        film.unlink()
    with pytest.raises(ImportRefused, match=r"No film of .* can be imported(.|\n)*and 5 more"):
        import_manifest(path, out, policy=ImportPolicy(skip_bad=True))
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.ENOSPC, "is full"), (errno.EACCES, "cannot be written"), (errno.EDQUOT, "is full")],
)
def test_a_disk_that_refuses_is_one_sentence_and_leaves_nothing(
    make_manifest: Make,
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    message: str,
) -> None:
    path = make_manifest(3)
    written = []

    def fail_the_second_time(target: Path, samples: np.ndarray) -> None:
        written.append(target)
        if len(written) == 2:
            raise OSError(number, os.strerror(number), str(target))
        write_png(target, samples)

    monkeypatch.setattr(data.importing, "write_png", fail_the_second_time)
    with pytest.raises(CannotWrite, match=message) as caught:
        import_manifest(path, out)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_an_interrupted_import_leaves_nothing(
    make_manifest: Make, out: Path, tmp_path: Path
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_manifest(make_manifest(3), out, on_progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_a_folder_in_use_is_refused_and_an_empty_one_is_taken(
    make_manifest: Make, out: Path
) -> None:
    path = make_manifest(1)
    out.mkdir(parents=True)
    import_manifest(path, out)
    before = everything_in(out)
    with pytest.raises(CannotWrite, match="already exists and is not an empty folder"):
        import_manifest(path, out)
    assert everything_in(out) == before


def test_burned_in_and_lateral_films_need_consent(
    make_manifest: Make, out: Path, ramp: np.ndarray, write_dicom: Callable[..., Path]
) -> None:
    path = make_manifest(3, image=["a.dcm", "b.dcm", "c.dcm"], view=["", "", "LATERAL"])
    write_dicom(path.parent / "a.dcm", ramp, BurnedInAnnotation="YES")
    write_dicom(path.parent / "b.dcm", ramp[::-1], ViewPosition="LL")
    write_dicom(path.parent / "c.dcm", ramp[:, ::-1], BurnedInAnnotation="NO")
    with pytest.raises(ImportRefused) as caught:
        import_manifest(path, out)
    texts = [str(problem) for problem in caught.value.problems]
    assert "row 2, column image" in texts[0] and "--accept-burned-in" in texts[0]
    assert "row 3, column image" in texts[1] and "--accept-lateral" in texts[1]
    assert "row 4, column view" in texts[2] and "--accept-lateral" in texts[2]
    policy = ImportPolicy(accept_burned_in=True, accept_lateral=True)
    report = import_manifest(path, out, policy=policy)
    references = ReferenceSet.open(out)
    burned = {
        references.get(case_id).attributes["source_file"]: references.get(case_id).attributes[
            "burned_in"
        ]
        for case_id in references
    }
    assert burned == {"a.dcm": "yes", "b.dcm": "unknown", "c.dcm": "no"}
    assert len(report.needs_sign_off) == 2


def test_patients_of_dicom_films_are_grouped_under_an_opaque_identifier(
    make_manifest: Make, out: Path, ramp: np.ndarray, write_dicom: Callable[..., Path]
) -> None:
    path = make_manifest(4, image=[f"{i}.dcm" for i in range(4)], case_id=list("abcd"))
    for i, patient in enumerate(["MRN-9", "MRN-8", "MRN-9", ""]):
        header = {"PatientID": patient, "PatientSex": "F", "PatientAge": "067Y"}
        write_dicom(path.parent / f"{i}.dcm", np.roll(ramp, i), **header)
    import_manifest(path, out)
    references = ReferenceSet.open(out)
    patients = [references.get(case_id).patient_id for case_id in "abcd"]
    assert patients[0] == patients[2] and len(set(patients)) == 3
    assert all(re.fullmatch(r"p\d{6}", patient) for patient in patients)
    assert b"MRN" not in everything_in(out)
    assert "sex" not in references.get("a").attributes


def test_sex_and_age_band_leave_a_dicom_header_only_when_asked(
    make_manifest: Make, out: Path, ramp: np.ndarray, write_dicom: Callable[..., Path]
) -> None:
    path = make_manifest(1, image=["a.dcm"], case_id=["a"])
    write_dicom(path.parent / "a.dcm", ramp, PatientSex="F", PatientAge="067Y", Modality="DX")
    import_manifest(path, out, policy=ImportPolicy(header_demographics=True))
    attributes = ReferenceSet.open(out).get("a").attributes
    assert (attributes["sex"], attributes["age_band"]) == ("F", "60-69")
    assert CaseSet.open(out).entry("a").modality == "DX"


def test_patients_of_the_manifest_are_kept_and_others_count_one_by_one(
    make_manifest: Make, out: Path
) -> None:
    path = make_manifest(4, patient_id=["p000001", "p000001", "", ""], case_id=list("abcd"))
    import_manifest(path, out)
    references = ReferenceSet.open(out)
    patients = [references.get(case_id).patient_id for case_id in "abcd"]
    assert patients[:2] == ["p000001"] * 2 and len(set(patients)) == 3


def test_twins_and_case_ids_that_repeat_the_file_name_are_noted(
    make_manifest: Make, out: Path, ramp: np.ndarray
) -> None:
    path = make_manifest(2, case_id=["doe_john_0", "b"])
    write_png(path.parent / "doe_john_1.png", ramp)
    report = import_manifest(path, out)
    assert [(note.row, note.case_id) for note in report.notes] == [(2, "doe_john_0")] * 2
    texts = [note.text for note in report.notes]
    assert "repeats the source file's name" in texts[0] and "identical to case b" in texts[1]


def test_the_imported_folder_has_usual_permissions(make_manifest: Make, out: Path) -> None:
    import_manifest(make_manifest(1), out)
    other = out.parent / "other"
    other.mkdir()
    assert out.stat().st_mode == other.stat().st_mode
