"""Boxes and run lengths of public collections become masks of a case set."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from commands.importing import command
from data import boxes
from data.boxes import Box, Runs, boxes_to_references, read_marks, read_nih, read_rsna, read_siim
from data.case import DataError
from data.csvfile import InvalidTable
from data.manifest import CaseEntry, CaseSet, sha256_of, write_cases
from data.raster import write_png
from data.reference import REFERENCE_FILE, Reference, ReferenceSet, write_references

SIDE = 64  # a film pixel is 16 × 16 published ones
NIH = """Image Index,Finding Label,Bbox [x,y,w,h],,,,,
00000001_000.png,Mass,160,320,64,32,,,
00000001_000.png,Mass,192,320,64,32,,,
00000001_000.png,Infiltrate,0,0,16,16,,,
00000099_000.png,Mass,0,0,1024,1024,,,
"""
RSNA = """patientId,x,y,width,height,Target
a-1,160.0,320.0,64.0,32.0,1
a-1,512.0,512.0,16.0,16.0,1
a-2,,,,,0
"""
UID = "1.2.276.0.7230010.3.1.4"
SIIM = f"ImageId, EncodedPixels\n{UID}.1, 1024 2 1022 3\n{UID}.2,-1\n{UID}.1,5 1\n"


@pytest.fixture
def write(tmp_path):
    def writing(text, name="marks.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return writing


def case_set(root, sources, side=SIDE, columns=SIDE):
    """Write films that were imported from files."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    entries, references = [], []
    for number, source in enumerate(sources, start=1):
        case_id = f"c{number}"
        path = root / "images" / f"{case_id}.png"
        write_png(path, np.full((side, columns), 0.5, np.float32))
        entries.append(
            CaseEntry(case_id, f"images/{path.name}", "DX", None, side, columns, sha256_of(path))
        )
        kept = root / "masks" / f"{case_id}__lungs.png"
        write_png(kept, np.ones((side, columns), bool))
        named = {"source_file": source} if source else {}
        findings = {"Mass": None, "Effusion": True}
        references.append(
            Reference(case_id, f"p{number}", "nih", "", "", findings, {"lungs": kept}, {}, named)
        )
    write_cases(root, entries)
    write_references(root, references)
    return root


def content(root):
    return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_box_covers_the_pixels_whose_centre_it_holds():
    drawn = Box(160, 320, 64, 32).draw((SIDE, SIDE))
    expected = np.zeros((SIDE, SIDE), bool)
    expected[20:22, 10:14] = True
    assert np.array_equal(drawn, expected)
    assert Box(0, 0, 1024, 1024).draw((SIDE, SIDE)).all()
    assert Box(2, 3, 4, 5).draw((1024, 1024)).sum() == 20


@pytest.mark.parametrize("place", [(1, 1), (500.2, 511.9), (1023, 1023)])
def test_the_smallest_box_covers_a_pixel(place):
    assert Box(*place, 1, 1).draw((SIDE, SIDE)).sum() == 1


def test_overlapping_boxes_are_united(write):
    marks = read_nih(write(NIH))
    mask = marks.mask("00000001_000", "Mass", (SIDE, SIDE))
    expected = np.zeros((SIDE, SIDE), bool)
    expected[20:22, 10:16] = True  # two boxes of four columns that share two
    assert np.array_equal(mask, expected)
    assert marks.mask("00000001_000", "Infiltrate", (SIDE, SIDE)).sum() == 1
    assert marks.mask("00000001_000", "Effusion", (SIDE, SIDE)) is None
    assert marks.mask("unknown", "Mass", (SIDE, SIDE)) is None


def test_rsna_says_where_there_is_no_box(write):
    marks = read_rsna(write(RSNA))
    assert marks.found["a-2", "Pneumonia"] == ()
    assert marks.mask("a-2", "Pneumonia", (SIDE, SIDE)) is None
    assert marks.mask("a-1", "Pneumonia", (SIDE, SIDE)).sum() == 8 + 1
    assert read_rsna(write(RSNA), "Opacity").found["a-2", "Opacity"] == ()


def test_siim_runs_go_down_the_columns_and_count_from_the_last_run(write):
    marks = read_siim(write(SIIM))
    mask = marks.mask(f"{UID}.1", "Pneumothorax", (1024, 1024))
    rows, columns = np.nonzero(mask)
    # 1024 skipped: column 1, rows 0 and 1; 1022 more: column 2, rows 0 to 2; then column 0, row 5
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {
        (0, 1), (1, 1), (0, 2), (1, 2), (2, 2), (5, 0),
    }  # fmt: skip
    assert marks.found[f"{UID}.2", "Pneumothorax"] == ()


@pytest.mark.parametrize(
    ("header", "absent"), [("ImageId, EncodedPixels", " -1"), ("ImageId,EncodedPixels", "-1")]
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_both_releases_of_siim_are_read(write, header, absent, ending):
    text = ending.join([header, f"{UID},{absent}", f"{UID}.5, 0 7", ""])
    marks = read_siim(write(text.encode("utf-8-sig")))
    assert marks.found[UID, "Pneumothorax"] == ()
    assert marks.found[f"{UID}.5", "Pneumothorax"] == (Runs(((0, 7),)),)


def test_runs_are_drawn_where_they_cover_half_of_a_film_pixel():
    column = 1024 * np.arange(16)
    whole = Runs(tuple((int(start), 16) for start in column))
    half = Runs(tuple((int(start), 16) for start in column[:8] + 16))
    assert np.argwhere(whole.draw((SIDE, SIDE))).tolist() == [[0, 0]]
    assert np.argwhere(half.draw((SIDE, SIDE))).tolist() == [[1, 0]]


def test_a_thin_run_keeps_its_best_pixels():
    drawn = Runs(((1024 * 40, 32),)).draw((SIDE, SIDE))  # one of sixteen columns
    assert np.argwhere(drawn).tolist() == [[0, 2], [1, 2]]
    assert not Runs(((0, 0),)).draw((SIDE, SIDE)).any()


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("nih", "Image,Finding\na,b\n", "expected the header 'Image Index"),
        ("nih", NIH + "x.png,Mass,1,2,3\n", "row 6 has 5 filled cells"),
        ("nih", NIH + "x.png,Mass,1,2,3,wide\n", "row 6: '1,2,3,wide' is no box"),
        ("nih", NIH + "x.png,Mass,1,2,0,5\n", "row 6: the box 1, 2, 0, 5 does not lie"),
        ("nih", NIH + "x.png,Mass,-4,2,9,5\n", "does not lie"),
        ("nih", NIH + "x.png,Mass,2000,2,9,5\n", "does not lie"),
        ("nih", NIH + "x.png,Mass,nan,2,9,5\n", "does not lie"),
        ("nih", NIH + "x.png,Mass,1,2,inf,5\n", "does not lie"),
        ("rsna", NIH, "expected the header 'patientId"),
        ("rsna", RSNA + "a-3,1,2,3,4,2\n", "row 5 is 'a-3,1,2,3,4,2'"),
        ("rsna", RSNA + "a-3,,,,,1\n", "row 5: ',,,' is no box"),
        ("rsna", RSNA + "a-3,1,2,3,4,0\n", "row 5 has Target 0 and a box"),
        ("rsna", RSNA + "a-3,1,2\n", "row 5 is 'a-3,1,2'"),
        ("siim", RSNA, "expected the header 'ImageId"),
        ("siim", SIIM + "z,1 2 3\n", "row 5 has 3 run-length numbers"),
        ("siim", SIIM + "z,1 -2\n", "none negative"),
        ("siim", SIIM + "z,-1 -1\n", "none negative"),
        ("siim", SIIM + "z,one two\n", "not whole numbers"),
        ("siim", SIIM + "z,\n", "row 5: expected an image and its run lengths"),
        ("siim", SIIM + "z,1048570 10\n", "the runs end at pixel 1048580"),
        ("siim", "ImageId,EncodedPixels\n", "lists no image"),
        ("siim", "", "lists no image"),
        ("nih", b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_malformed_files_and_rows_are_named(write, kind, text, said):
    with pytest.raises(InvalidTable, match=said):
        read_marks(kind, write(text))


def test_a_missing_file_and_an_unknown_kind_are_named(tmp_path):
    with pytest.raises(InvalidTable, match=r"nowhere\.csv cannot be read"):
        read_marks("nih", tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="'coco' is no kind of boxes; choose from nih, rsna, siim"):
        read_marks("coco", tmp_path / "x.csv")


def test_masks_and_findings_are_written_into_a_case_set(write, tmp_path):
    root = case_set(tmp_path / "cases", ["films/00000001_000.png", "00000002_000.png"])
    report = boxes_to_references(read_nih(write(NIH)), root)
    assert (report.n_masks, report.n_absent, report.unmatched) == (2, 0, ("00000099_000",))
    references = ReferenceSet.open(root)
    assert references.mask("c1", "Mass").sum() == 12
    assert references.mask("c1", "lungs").all() and references.mask("c2", "lungs").all()
    assert references.get("c1").findings == {"Mass": True, "Effusion": True, "Infiltrate": True}
    untouched = references.get("c2").findings
    assert untouched == {"Mass": None, "Effusion": True, "Infiltrate": None}
    assert references.get("c1").attributes["source_file"] == "films/00000001_000.png"
    assert {path.name for path in root.iterdir()} == {
        "cases.csv", "images", "masks", REFERENCE_FILE,
    }  # fmt: skip
    before = content(root)
    boxes_to_references(read_nih(write(NIH)), root)  # twice is as good as once
    assert content(root) == before


def test_what_a_file_calls_free_of_marks_is_absent(write, tmp_path):
    root = case_set(tmp_path / "cases", ["a-1.dcm", "a-2.dcm"])
    report = boxes_to_references(read_rsna(write(RSNA)), root)
    assert (report.n_masks, report.n_absent) == (1, 1)
    references = ReferenceSet.open(root)
    assert references.get("c2").findings["Pneumonia"] is False
    assert references.mask("c2", "Pneumonia") is None


def test_cases_may_bear_the_names_of_images(write, tmp_path):
    root = case_set(tmp_path / "cases", ["", ""])
    report = boxes_to_references(read_rsna(write(RSNA.replace("a-", "c"))), root)
    assert (report.n_masks, report.n_absent, report.unmatched) == (1, 1, ())


def test_findings_may_get_the_names_of_the_case_set(write, tmp_path):
    root = case_set(tmp_path / "cases", ["00000001_000.png"])
    marks = read_nih(write(NIH))
    boxes_to_references(marks, root, {"Infiltrate": "Effusion"})
    references = ReferenceSet.open(root)
    assert references.findings == ("Mass", "Effusion")
    assert references.mask("c1", "Effusion").sum() == 1
    boxes_to_references(marks, root, {"Infiltrate": "Mass"})  # drawn together
    assert ReferenceSet.open(root).mask("c1", "Mass").sum() == 13
    with pytest.raises(DataError, match="holds no finding 'Hernia'; it holds Mass, Infiltrate"):
        boxes_to_references(marks, root, {"Hernia": "Mass"})


@pytest.mark.parametrize(
    ("sources", "columns", "said"),
    [
        (["other.png"], SIDE, "None of the 2 images of marks.csv is among the 1 cases"),
        (["a/00000001_000.png", "b/00000001_000.png"], SIDE, "c1, c2 all come from a file"),
        (["00000001_000.png"], 48, "64 × 48 pixels"),
    ],
)
def test_what_does_not_match_leaves_the_case_set_as_it_was(write, tmp_path, sources, columns, said):
    root = case_set(tmp_path / "cases", sources, columns=columns)
    before = content(root)
    with pytest.raises(DataError, match=said):
        boxes_to_references(read_nih(write(NIH)), root)
    assert content(root) == before


def test_a_full_disk_leaves_the_case_set_as_it_was(write, tmp_path, monkeypatch):
    root = case_set(tmp_path / "cases", ["a-1.dcm", "00000001_000.png"])
    before, n_written = content(root), 0

    def refuse(path, image):
        nonlocal n_written
        n_written += 1
        if n_written == 2:
            raise OSError(28, "No space left on device")
        write_png(path, image)

    monkeypatch.setattr(boxes, "write_png", refuse)
    with pytest.raises(OSError, match="No space"):
        boxes_to_references(read_nih(write(NIH)), root)
    assert n_written == 2 and content(root) == before


def films_and_manifest(folder, names):
    folder.mkdir()
    for number, name in enumerate(names):
        write_png(folder / name, np.random.default_rng(number).random((SIDE, SIDE)))
    (folder / "films.csv").write_text("\n".join(["image", *names]) + "\n")
    return folder / "films.csv"


def test_the_import_takes_boxes(write, tmp_path):
    manifest = films_and_manifest(tmp_path / "films", ["a-1.png", "a-2.png"])
    out = tmp_path / "cases"
    arguments = [manifest, "--out", out, "--boxes", f"rsna:{write(RSNA)}"]
    result = CliRunner().invoke(command, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    assert "1 masks from marks.csv, 1 findings absent, 0 of its images" in result.output
    references = ReferenceSet.open(out)
    found = {references.get(each).attributes["source_file"]: each for each in references}
    assert references.mask(found["a-1.png"], "Pneumonia").sum() == 9
    assert references.get(found["a-2.png"]).findings["Pneumonia"] is False
    assert len(CaseSet.open(out)) == 2


def test_unknown_kinds_and_damaged_boxes_stop_the_import_before_it_begins(write, tmp_path):
    manifest = films_and_manifest(tmp_path / "films", ["a-1.png"])
    out = tmp_path / "cases"
    for text in ("coco:x.csv", "rsna", "rsna:"):
        arguments = [str(manifest), "--out", str(out), "--boxes", text]
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 2 and "expected KIND:FILE" in result.output
    arguments = [str(manifest), "--out", str(out), "--boxes", f"rsna:{write(NIH)}"]
    assert isinstance(CliRunner().invoke(command, arguments).exception, InvalidTable)
    assert not out.exists()
