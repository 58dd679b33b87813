from collections.abc import Callable
from pathlib import Path

import pytest

from data.case import DataError
from data.csvfile import InvalidTable
from data.incoming import ManifestReading, read_incoming

Make = Callable[..., Path]


def test_only_the_image_column_is_needed(make_manifest: Make) -> None:
    incoming = read_incoming(make_manifest(3), ManifestReading())
    assert [case.image.name for case in incoming.cases] == [f"doe_john_{i}.png" for i in range(3)]
    assert incoming.problems == () and incoming.findings == ()


def test_columns_are_mapped_and_native_ones_need_no_mapping(make_manifest: Make) -> None:
    path = make_manifest(
        2, id=["a", "b"], sick=["1", ""], view=["PA", "AP supine"], age=["67", "1-5 y (cohort)"],
        sex=["male", "F"], px=["0.1", ""], py=["0.2", ""], note=["x", "y"], secret=["s", "s"],
    )  # fmt: skip
    columns = {
        "case_id": "id", "finding:Mass": "sick",
        "pixel_spacing_row_mm": "px", "pixel_spacing_col_mm": "py",
    }  # fmt: skip
    first, second = read_incoming(path, ManifestReading(columns, keep=("note",))).cases
    assert (first.row.case_id, first.row.age, first.row.sex) == ("a", "60-69", "M")
    assert (first.row.pixel_spacing_row_mm, first.row.pixel_spacing_col_mm) == (0.1, 0.2)
    assert first.findings == {"Mass": True} and second.findings == {"Mass": None}
    assert second.row.view == "AP supine" and second.row.age == "0-9"
    assert first.extras == {"note": "x"}


def test_a_label_list_becomes_findings_and_a_column_outweighs_it(make_manifest: Make) -> None:
    path = make_manifest(
        4, labels=["Mass|Effusion", "Normal", "unlabelled", "Effusion"], mass=["", "0", "1", "1"]
    )
    reading = ManifestReading({"finding:Mass": "mass"}, labels="labels")
    incoming = read_incoming(path, reading)
    assert incoming.findings == ("Mass", "Effusion")
    assert [dict(case.findings) for case in incoming.cases] == [
        {"Mass": None, "Effusion": True},
        {"Mass": False, "Effusion": False},
        {"Mass": True, "Effusion": None},
        {"Mass": True, "Effusion": True},
    ]


def test_an_empty_mapping_ignores_a_column(make_manifest: Make) -> None:
    path = make_manifest(1, view=["LL"], age=["no idea"])
    incoming = read_incoming(path, ManifestReading({"view": "", "age": ""}))
    assert incoming.cases[0].row.view == "" and not incoming.problems


def test_every_faulty_cell_is_reported_with_the_users_column_name(make_manifest: Make) -> None:
    path = make_manifest(
        6,
        id=["a", "A", "", "b b", "c", "d"],
        image=["doe_john_0.png", "x.png", "", "../x.png", ".", "doe_john_5.png"],
        sick=["1", "0", "perhaps", "", "1", "1"],
        age=["1", "2", "old", "4", "5", "6"],
        sex=["M", "F", "Z", "", "", ""],
        mask=["", "", "", "", "", "gone.png"],
    )
    columns = {"case_id": "id", "finding:Mass": "sick", "mask:Mass": "mask"}
    incoming = read_incoming(path, ManifestReading(columns))
    assert [case.row.case_id for case in incoming.cases] == ["a"]
    texts = [str(problem) for problem in incoming.problems]
    for start, part in [
        ("manifest.csv row 3, column id: 'A'", "already stands in row 2"),
        ("manifest.csv row 3, column image: 'x.png' does not exist", "expected a file"),
        ("manifest.csv row 4, column image", "empty"),
        ("manifest.csv row 4, column id", "missing"),
        ("manifest.csv row 4, column age: 'old'", "expected years"),
        ("manifest.csv row 4, column sex: 'Z'", "expected M, F, O"),
        ("manifest.csv row 4, column sick: 'perhaps'", "--positive"),
        ("manifest.csv row 5, column id: 'b b'", "no case id"),
        ("manifest.csv row 5, column image: '../x.png'", "climbs out"),
        ("manifest.csv row 6, column image: '.' is not a file", ""),
        ("manifest.csv row 7, column mask: 'gone.png' does not exist", ""),
    ]:
        assert any(text.startswith(start) and part in text for text in texts), start
    assert len(texts) == 11


def test_an_unknown_finding_is_named(make_manifest: Make) -> None:
    path = make_manifest(2, labels=["Mass", "Fracture"], sick=["1", "0"])
    reading = ManifestReading(labels="labels", findings=("Mass", "Effusion"))
    incoming = read_incoming(path, reading)
    assert incoming.findings == ("Mass", "Effusion")
    assert [str(problem) for problem in incoming.problems] == [
        "manifest.csv row 3, column labels: finding 'Fracture' is unknown; expected one of Mass, "
        "Effusion."
    ]
    with pytest.raises(InvalidTable, match="column sick: finding 'Sick' is unknown; expected one"):
        read_incoming(path, ManifestReading({"finding:Sick": "sick"}, findings=("Mass",)))


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        (ManifestReading({"image": "file"}), "no column 'file', but image is mapped to it"),
        (ManifestReading({"picture": "image"}), "'picture' is no column that can be mapped"),
        (ManifestReading({"finding:": "image"}), "'finding:' is no column that can be mapped"),
        (ManifestReading({"image": ""}), "has no column 'image'; name the column"),
        (ManifestReading(labels="tags"), "no column 'tags', but the labels"),
        (ManifestReading(keep=("notes",)), "no column 'notes', but it is to be kept"),
        (ManifestReading(keep=("image",)), "'image' cannot be kept under this name"),
        (
            ManifestReading({"finding:A b": "image", "finding:A-b": "image"}),
            "'finding:A b' and 'finding:A-b' would share a file name",
        ),
    ],
)
def test_a_reading_that_does_not_fit_the_table_is_refused(
    make_manifest: Make, reading: ManifestReading, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_incoming(make_manifest(1), reading)


def test_a_manifest_without_rows_or_missing_is_refused(make_manifest: Make, tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match="lists no film"):
        read_incoming(make_manifest(0), ManifestReading())
    with pytest.raises(InvalidTable, match="does not exist; expected a CSV file"):
        read_incoming(tmp_path / "no.csv", ManifestReading())


def test_windows_paths_and_absolute_paths_are_found(make_manifest: Make, tmp_path: Path) -> None:
    path = make_manifest(2)
    (path.parent / "sub").mkdir()
    (path.parent / "doe_john_0.png").rename(path.parent / "sub" / "x.png")
    path.write_text(f"image\nsub\\x.png\n{path.parent / 'doe_john_1.png'}\n")
    incoming = read_incoming(path, ManifestReading())
    assert [case.image.name for case in incoming.cases] == ["x.png", "doe_john_1.png"]


def test_a_name_too_long_for_a_file_is_a_missing_file(make_manifest: Make) -> None:
    incoming = read_incoming(make_manifest(1, image=["x" * 5000]), ManifestReading())
    assert "does not exist" in incoming.problems[0].text


@pytest.mark.parametrize("column", ["finding:", "mask: "])
def test_a_column_that_names_no_finding_is_refused(make_manifest: Make, column: str) -> None:
    path = make_manifest(1, **{column: ["1"]})
    with pytest.raises(InvalidTable, match=f"column '{column.strip()}' names nothing"):
        read_incoming(path, ManifestReading())
