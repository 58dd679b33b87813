"""The long table of every design: what it counts, what it leaves out, what it marks."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from study.session import ReadingDesk
from study.table import COLUMNS, long_table
from tests.support.any_design import answers_for, begin, design_tables, take, walk
from tests.support.small_study import Small

Make = Callable[..., Small]


def table_of(study: Small, localisation: pd.DataFrame | None = None) -> pd.DataFrame:
    return long_table(study.store, *design_tables(study.store.protocol), localisation)


def desk_of(study: Small, reader_id: str = "R1") -> ReadingDesk:
    return ReadingDesk(study.store, reader_id, study.clock)


def test_practice_is_in_no_row_and_repeats_are_marked(make_any: Make) -> None:
    study = make_any(repeats=2)
    walk(desk_of(study))
    table = table_of(study)
    rows = table[table["item"] == "confidence"]
    assert rows["purpose"].value_counts().to_dict() == {"study": 8, "repeat": 2}
    assert set(rows.loc[rows["purpose"] == "repeat", "session"]) == {3}
    assert not table["case_id"].str.startswith("p").any()
    assert rows["sham"].isna().all()


def test_a_sequential_pair_gives_two_rows_of_one_case_in_their_order(make_any: Make) -> None:
    study = make_any("sequential")
    walk(desk_of(study))
    rows = table_of(study).query("item == 'confidence'")
    pairs = rows.groupby("case_id")["condition"].agg(list)
    assert pairs.map(lambda pair: pair == ["A", "B"]).all()
    positions = rows.groupby("case_id")["position"].agg(list)
    assert all(b == a + 1 and a % 2 == 1 for a, b in positions)


def test_items_are_rows_only_where_they_were_asked_and_in_the_right_column(make_any: Make) -> None:
    study = make_any("parallel")
    for reader in ("R1", "R2"):
        walk(desk_of(study, reader))
    table = table_of(study)
    assert list(table.columns) == list(COLUMNS)
    assert set(table.loc[table["item"] == "useful", "condition"]) == {"B"}
    first = table.groupby("item").first()
    assert (first.loc["confidence", "value"], first.loc["certainty", "value"]) == (4.0, 60.0)
    texts = {name: first.loc[name, "text"] for name in ("management", "signs", "place")}
    assert texts == {"management": "ct", "signs": '["edge", "shadow"]', "place": "[[0.25, 0.5]]"}
    assert table.loc[table["text"].notna(), "value"].isna().all()


def test_a_sham_is_named_and_the_maps_of_the_case_are_not_credited_to_it(make_any: Make) -> None:
    study = make_any(sham=True)
    walk(desk_of(study))
    predictions = design_tables(study.store.protocol)[1]
    maps = predictions[["case_id", "finding"]].assign(map="input_gradients", iou=0.5)
    table = table_of(study, maps)
    assert set(table.loc[table["condition"] == "B", "sham"]) == {"other_case"}
    assert table.loc[table["condition"] == "A", "sham"].isna().all()
    assert table.loc[table["condition"] == "B", "iou_input_gradients"].isna().all()
    assert (table.loc[table["condition"] == "A", "iou_input_gradients"] == 0.5).all()


def test_skipped_readings_are_no_rows_and_revisions_replace_them(make_any: Make) -> None:
    study = make_any(revisions=True)
    desk = desk_of(study)
    begin(desk)
    skipped = desk.current()
    assert skipped is not None
    desk.display(skipped.assignment_id)
    receipt = desk.skip(skipped.assignment_id, "technical")
    take(desk, "reading")
    assert table_of(study)["assignment_id"].nunique() == 1
    desk.revise(
        skipped.assignment_id, answers_for(desk, skipped, 2), supersedes=receipt.seq, reason=""
    )
    table = table_of(study)
    mine = table[table["assignment_id"] == skipped.assignment_id]
    assert mine.loc[mine["item"] == "confidence", "value"].tolist() == [2.0]
    assert set(mine["revision"]) == {1}


def test_the_browsers_timings_are_columns_in_their_units(make_any: Make) -> None:
    study = make_any()
    desk = desk_of(study)
    begin(desk)
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    client = {"first_paint_ms": 180.5, "active_ms": 12_500, "hidden_ms": 0}
    desk.submit(current.assignment_id, answers_for(desk, current), client)
    take(desk, "reading")
    table = table_of(study).groupby("assignment_id", sort=False).first()
    columns = ["first_paint_ms", "active_s", "hidden_s"]
    assert table.iloc[0][columns].tolist() == pytest.approx([180.5, 12.5, 0.0])
    assert table.iloc[1][columns].isna().all()
