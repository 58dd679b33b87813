"""Combinations on disk: written once, taken away by a version, read with suspicion."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from pages.factoring.combinations import (
    Combination,
    SavedDimension,
    SavedPrediction,
    as_csv,
    as_json,
    delete,
    save,
    saved,
)
from study.errors import StudyError

ONE = Combination(
    "0" * 16, "=Heart up", "case-0007", "f" * 64, "Mass",
    (SavedDimension(5, "Heart size", 0.35, 1.0, 1.7),),
    (SavedPrediction("Mass", 0.2, 0.25, 0.8),),
    "a", "b", "c", "2026-11-21T11:00:00+00:00", "a1",
)  # fmt: skip
TWO = replace(ONE, combination_id="1" * 16, name="Two", saved_at="2026-11-21T12:00:00+00:00")


def test_what_was_saved_is_listed_latest_first(tmp_path: Path) -> None:
    save(tmp_path, ONE)
    save(tmp_path, TWO)
    assert saved(tmp_path).combinations == (TWO, ONE)


def test_a_deletion_is_a_version_and_no_file_goes(tmp_path: Path) -> None:
    save(tmp_path, ONE)
    delete(tmp_path, ONE, "2" * 16, "2026-11-21T13:00:00+00:00", "a1")
    assert saved(tmp_path).combinations == ()
    assert len(list(tmp_path.glob("*.json"))) == 2


def test_no_file_is_written_over_and_none_without_a_name(tmp_path: Path) -> None:
    save(tmp_path, ONE)
    with pytest.raises(StudyError, match="is there already"):
        save(tmp_path, replace(ONE, name="Other"))
    with pytest.raises(StudyError, match="needs a name"):
        save(tmp_path, replace(TWO, name=" "))
    with pytest.raises(StudyError, match="16 hexadecimal digits"):
        save(tmp_path, replace(TWO, combination_id="../etc"))


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StudyError, match="could not be saved"):
        save(tmp_path / "file" / "below", ONE)


@pytest.mark.parametrize(
    "change",
    [{"format": "x"}, {"dimensions": 3}, {"saved_at": "yesterday"}, {"name": 4}, {"more": 1}],
)
def test_damaged_files_are_counted_and_left_out(tmp_path: Path, change: dict[str, object]) -> None:
    path = save(tmp_path, ONE)
    content = json.loads(path.read_text(encoding="utf-8")) | change
    path.write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "names.json").write_text("{}", encoding="utf-8")
    found = saved(tmp_path)
    assert (found.combinations, found.n_damaged) == ((), 1)


def test_the_csv_has_full_precision_and_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv([ONE]))))
    assert [row["quantity"] for row in rows] == ["dimension", "probability"]
    assert rows[0]["name"] == "'=Heart up" and rows[0]["after"] == "1.7"
    assert (rows[1]["before"], rows[1]["after"]) == ("0.25", "0.8")


def test_the_json_of_several_is_a_list() -> None:
    assert [each["name"] for each in json.loads(as_json([ONE, TWO]))] == ["=Heart up", "Two"]
