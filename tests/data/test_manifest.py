import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.csvfile import InvalidTable, read_sheet
from data.manifest import (
    CaseEntry,
    CaseSet,
    UnknownCase,
    check_case_id,
    sha256_of,
    write_cases,
)
from data.raster import write_png

HEADER = [
    "case_id", "image", "modality", "pixel_spacing_row_mm", "pixel_spacing_col_mm",
    "rows", "columns", "sha256",
]  # fmt: skip
DIGEST = "0" * 64


@pytest.fixture
def case_set(tmp_path: Path, ramp: np.ndarray) -> Path:
    (tmp_path / "images").mkdir()
    entries = []
    for case_id, spacing in [("c000002", (0.15, 0.2)), ("c000001", None)]:
        path = tmp_path / "images" / f"{case_id}.png"
        write_png(path, np.roll(ramp, len(entries)))
        entries.append(
            CaseEntry(case_id, f"images/{case_id}.png", "DX", spacing, 40, 36, sha256_of(path))
        )
    write_cases(tmp_path, entries)
    return tmp_path


def test_a_case_set_returns_its_cases_in_file_order(case_set: Path, ramp: np.ndarray) -> None:
    cases = CaseSet.open(case_set)
    assert cases.case_ids == tuple(cases) == ("c000002", "c000001")
    assert len(cases) == 2 and "c000001" in cases and "x" not in cases
    case = cases.load("c000002")
    assert (case.case_id, case.modality, case.pixel_spacing_mm) == ("c000002", "DX", (0.15, 0.2))
    np.testing.assert_array_equal(np.rint(case.image * 255), ramp)
    assert cases.load("c000001").pixel_spacing_mm is None
    assert cases.image_path("c000001") == case_set / "images" / "c000001.png"
    assert cases.entry("c000001").sha256 == sha256_of(cases.image_path("c000001"))


def test_an_unknown_case_is_named(case_set: Path) -> None:
    with pytest.raises(UnknownCase, match="Case 'c9' is not among the 2 cases"):
        CaseSet.open(case_set).load("c9")


def test_a_changed_image_is_noticed_when_verified(case_set: Path, ramp: np.ndarray) -> None:
    cases = CaseSet.open(case_set)
    seen: list[tuple[int, int]] = []
    cases.verify(on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    write_png(cases.image_path("c000001"), ramp[::-1])
    with pytest.raises(Exception, match=r"'c000001': c000001\.png has changed since the import"):
        cases.verify()
    cases.verify(["c000002"])
    cases.image_path("c000002").unlink()
    with pytest.raises(Exception, match="cannot be read"):
        cases.verify(["c000002"])


def test_an_image_of_another_size_than_listed_is_refused(case_set: Path, ramp: np.ndarray) -> None:
    cases = CaseSet.open(case_set)
    write_png(cases.image_path("c000001"), ramp.T)
    with pytest.raises(Exception, match=r"36 × 40 pixels but cases\.csv says 40 × 36"):
        cases.load("c000001")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("case_id", "a/b", r"cases.csv row 3, column case_id: 'a/b' is no case id"),
        ("case_id", "", "column case_id: "),
        ("case_id", "C1", "column case_id: 'C1' already stands in row 2"),
        ("image", "../secret.png", "column image: '../secret.png' is no path inside"),
        ("image", "/etc/passwd", "column image: "),
        ("image", "", "column image: "),
        ("rows", "many", "column rows: "),
        ("rows", "3", "column rows: "),
        ("columns", "10001", "column columns: "),
        ("pixel_spacing_row_mm", "-1", "column pixel_spacing_row_mm: "),
        ("pixel_spacing_row_mm", "nan", "column pixel_spacing_row_mm: "),
        ("pixel_spacing_row_mm", "", "only one of the two pixel spacings"),
        ("sha256", "xyz", "column sha256: "),
        ("modality", "chest film", "column modality: "),
    ],
)
def test_an_invalid_cell_is_named_by_row_and_column(
    tmp_path: Path, write_table: Callable[..., Path], column: str, value: str, message: str
) -> None:
    good = ["c1", "images/c1.png", "DX", "0.1", "0.1", "64", "64", DIGEST]
    bad = ["c2", "images/c2.png", *good[2:]]
    bad[HEADER.index(column)] = value
    write_table(tmp_path / "cases.csv", HEADER, good, bad)
    with pytest.raises(InvalidTable, match=message) as caught:
        CaseSet.open(tmp_path)
    assert "row 3" in str(caught.value) and str(caught.value).endswith(".")


def test_a_column_with_a_finding_in_the_list_of_cases_is_refused(
    tmp_path: Path, write_table: Callable[..., Path]
) -> None:
    row = ["c1", "images/c1.png", "DX", "", "", "64", "64", DIGEST, "1"]
    write_table(tmp_path / "cases.csv", [*HEADER, "finding:Mass"], row)
    with pytest.raises(InvalidTable, match="'finding:Mass' does not belong here"):
        CaseSet.open(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no header"),
        (b"\n\n", "has no header"),
        (b"case_id,image\nc1,x\n", "column 'modality' is missing"),
        (b"case_id,case_id\n", "appears more than once"),
        (b"case_id,,image\n", "column 2 has no name"),
        (",".join(HEADER).encode() + b"\n", "lists no case"),
        (",".join(HEADER).encode() + b"\nc1,x\n", "row 2 has 2 cells but the header has 8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not UTF-8"),
        (b"a,b\0", "binary data"),
        (b'case_id\n"open', "not a readable CSV"),
    ],
)
def test_a_damaged_list_of_cases_is_one_sentence(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "cases.csv").write_bytes(content)
    with pytest.raises(InvalidTable, match=message):
        CaseSet.open(tmp_path)


def test_a_missing_folder_or_list_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match=r"holds no cases\.csv"):
        CaseSet.open(tmp_path)
    with pytest.raises(InvalidTable, match="is not a folder"):
        CaseSet.open(tmp_path / "nowhere")


@pytest.mark.parametrize("good", ["c1", "c000123", "cov_41182-2020-203-Fig3", "a.b", "X", "a-_b"])
def test_case_ids_safe_as_file_names_are_accepted(good: str) -> None:
    assert check_case_id(good) == good


@pytest.mark.parametrize(
    "bad", ["", ".", "..", "a__b", "-a", "a.", "a b", "a/b", "a\\b", "é", "x" * 65, "a\n"]
)
def test_other_case_ids_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="is no case id"):
        check_case_id(bad)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_spreadsheet_dialects_are_read(tmp_path: Path, delimiter: str, start: bytes) -> None:
    text = delimiter.join(["image", "note"]) + "\r\n\r\n" + delimiter.join(["a.png", '"x\ny"'])
    (tmp_path / "t.csv").write_bytes(start + text.encode())
    sheet = read_sheet(tmp_path / "t.csv")
    assert sheet.columns == ("image", "note")
    assert list(sheet.records()) == [{"image": "a.png", "note": "x\ny"}]


def test_the_digest_is_the_sha_256_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(70_000))
    assert sha256_of(tmp_path / "a") == hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()


def test_opening_thousands_of_cases_takes_no_time(tmp_path: Path) -> None:
    entries = [
        CaseEntry(f"c{i:06d}", f"images/c{i:06d}.png", "DX", (0.1, 0.1), 512, 512, DIGEST)
        for i in range(5000)
    ]
    write_cases(tmp_path, entries)
    assert CaseSet.open(tmp_path).entry("c004999") == entries[-1]
