"""The text format of iMRMC: what it holds, what it refuses, and that it is read back."""

from __future__ import annotations

import pandas as pd
import pytest

from study.analysis.mrmc.scores import scores_of_table
from study.errors import StudyError
from study.imrmc import imrmc_text, read_imrmc


def readings(**changes: object) -> pd.DataFrame:
    rows = [
        (reader, unit, condition, float(value), truth)
        for reader in ("R1", "R2")
        for condition in ("A", "B")
        for unit, truth, value in (("c1", 1, 4), ("c2", 0, 2), ("c3", 0, 3))
    ]
    table = pd.DataFrame(rows, columns=["reader", "unit", "condition", "value", "truth"])
    return table.assign(**changes)


def test_a_file_has_counts_a_begin_line_truth_rows_and_scores() -> None:
    text = imrmc_text(readings(), title="A study")
    head, _, data = text.partition("BEGIN DATA:\n")
    assert head.splitlines()[:5] == ["A study", "NR: 2", "N0: 2", "N1: 1", "NM: 2"]
    rows = data.splitlines()
    assert rows[:3] == ["truth,c1,truth,1", "truth,c2,truth,0", "truth,c3,truth,0"]
    assert rows[3] == "R1,c1,A,4"
    assert len(rows) == 3 + 12
    assert all(row.count(",") == 3 for row in rows)


def test_what_was_written_is_read_back() -> None:
    table = readings()
    back = read_imrmc(imrmc_text(table, title="t"))
    key = ["reader", "unit", "condition"]
    pd.testing.assert_frame_equal(
        back.sort_values(key).reset_index(drop=True),
        table.sort_values(key).reset_index(drop=True),
        check_dtype=False,
    )
    scores = scores_of_table(back, score="value", truth="truth", case="unit")
    assert scores.values.shape == (2, 2, 3)


def test_names_lose_commas_and_signs_and_stay_different() -> None:
    text = imrmc_text(readings(unit=readings()["unit"] + " · Lung, left"), title="−x\nBEGIN DATA:")
    assert "truth,c1_Lung_left,truth,1" in text
    assert text.isascii()
    assert text.count("BEGIN DATA:") == 1
    clash = readings()
    clash["reader"] = clash["reader"].map({"R1": "a,b", "R2": "a b"})
    with pytest.raises(StudyError, match=r"both written 'a_b'"):
        imrmc_text(clash, title="t")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (readings(truth=1), "with"),
        (readings(value=float("nan")), "no score"),
        (readings().iloc[:0], "no reading"),
        (pd.concat([readings(), readings()]), "twice"),
        (readings().drop(columns="truth"), "lack truth"),
        (readings(reader="truth"), "means the truth|twice"),
    ],
)
def test_what_cannot_be_written_is_said(table: pd.DataFrame, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        imrmc_text(table, title="t")


def test_a_damaged_file_is_refused() -> None:
    with pytest.raises(StudyError, match="BEGIN DATA"):
        read_imrmc("R1,c1,A,4\n")
    with pytest.raises(StudyError, match="3 fields"):
        read_imrmc("BEGIN DATA:\nR1,c1,A\n")
    with pytest.raises(StudyError, match="no truth"):
        read_imrmc("BEGIN DATA:\nR1,c1,A,4\n")
