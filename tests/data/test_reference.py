from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.case import slug
from data.csvfile import InvalidTable
from data.manifest import UnknownCase
from data.raster import write_png
from data.reference import Reference, ReferenceSet, write_references


@pytest.fixture
def folder(tmp_path: Path, ramp: np.ndarray) -> Path:
    write_png(tmp_path / "mass.png", ramp > 99)
    write_png(tmp_path / "healthy.png", ramp)
    write_references(
        tmp_path,
        [
            Reference(
                "c1", "p1", "hospital", "two readers", "test",
                {"Mass": True, "Lung Opacity": None},
                {"Mass": tmp_path / "mass.png"}, {"Mass": tmp_path / "healthy.png"},
                {"view": "PA"},
            ),
            Reference("c2", "p1", "", "", "", {"Mass": False, "Lung Opacity": True}),
        ],
    )  # fmt: skip
    return tmp_path


def test_references_return_as_written(folder: Path, ramp: np.ndarray) -> None:
    references = ReferenceSet.open(folder)
    assert references.findings == ("Mass", "Lung Opacity")
    assert references.mask_names == ("Mass",)
    assert references.case_ids == tuple(references) == ("c1", "c2") and len(references) == 2
    first = references.get("c1")
    assert first.findings == {"Mass": True, "Lung Opacity": None}
    assert (first.patient_id, first.source, first.established_by, first.split) == (
        "p1", "hospital", "two readers", "test",
    )  # fmt: skip
    assert first.attributes == {"view": "PA"}
    np.testing.assert_array_equal(references.mask("c1", "Mass"), ramp > 99)
    healthy = references.counterfactual("c1", "Mass")
    assert healthy is not None
    np.testing.assert_array_equal(np.rint(healthy * 255), ramp)


def test_a_case_without_a_mask_returns_none(folder: Path) -> None:
    references = ReferenceSet.open(folder)
    assert references.mask("c2", "Mass") is None
    assert references.mask("c1", "Lung Opacity") is None
    assert references.counterfactual("c2", "Mass") is None


def test_the_table_holds_findings_as_numbers_and_gaps_as_missing(folder: Path) -> None:
    table = ReferenceSet.open(folder).table()
    assert table["finding:Mass"].tolist() == [1.0, 0.0]
    assert table["finding:Lung Opacity"].isna().tolist() == [True, False]
    assert table["finding:Lung Opacity"].dtype == "float64"
    assert table["view"].isna().tolist() == [False, True]
    assert table["case_id"].tolist() == ["c1", "c2"]


def test_an_unknown_case_has_no_reference(folder: Path) -> None:
    with pytest.raises(UnknownCase, match="'c3' has no row"):
        ReferenceSet.open(folder).get("c3")


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("case_id,patient_id,finding:Mass", "c1,p1,2", "row 2, column finding:Mass: '2'"),
        ("case_id,patient_id,finding:Mass", "c1,,1", "row 2, column patient_id"),
        ("case_id,patient_id,mask:Mass", "c1,p1,../m.png", "row 2, column mask:Mass"),
        ("case_id,patient_id,counterfactual:Mass", "c1,p1,/m.png", "column counterfactual:Mass"),
        ("case_id,patient_id", "c 1,p1", "row 2, column case_id"),
        ("case_id,patient_id", "c1,p1\nc1,p2", "row 3, column case_id: 'c1' already has a row"),
        ("case_id,finding:Mass", "c1,1", "column 'patient_id' is missing"),
    ],
)
def test_an_invalid_reference_is_named_by_row_and_column(
    tmp_path: Path, header: str, row: str, message: str
) -> None:
    (tmp_path / "reference.csv").write_text(f"{header}\n{row}\n")
    with pytest.raises(InvalidTable, match=message):
        ReferenceSet.open(tmp_path)


def test_a_missing_reference_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match=r"holds no reference\.csv"):
        ReferenceSet.open(tmp_path)


def test_a_finding_becomes_a_file_name() -> None:
    assert slug("Lung Opacity") == "Lung-Opacity"
    assert slug("a/b: c") == "a-b--c"


def test_the_list_of_cases_never_leads_to_the_reference_standard() -> None:
    import subprocess
    import sys

    code = "import sys, data.manifest; sys.exit('data.reference' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


@pytest.mark.parametrize("column", ["finding:Mass", "view"])
def test_text_columns_and_findings_survive_a_round_trip(
    folder: Path, write_table: Callable[..., Path], column: str
) -> None:
    before = ReferenceSet.open(folder)
    write_references(folder, [before.get(case_id) for case_id in before])
    after = ReferenceSet.open(folder)
    assert after.table()[column].equals(before.table()[column])
