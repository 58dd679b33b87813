"""The data dictionary: every table, every kind of item."""

from __future__ import annotations

from study.codebook import codebook
from study.export_tables import (
    ASSIGNMENT_COLUMNS,
    CLOSING_COLUMNS,
    EVENT_COLUMNS,
    MISSING_COLUMNS,
    PROBLEM_COLUMNS,
    PROFILE_COLUMNS,
)
from study.items import Item, Option
from study.protocol import load_protocol, shipped_protocol
from study.table import COLUMNS

DEMO = load_protocol(shipped_protocol("demo"))
OPTIONS = (Option(id="left", label="Left side"), Option(id="right", label="Right side"))


def test_the_codebook_lists_the_columns_of_every_table_in_their_order() -> None:
    book = codebook(DEMO, ["latent_shift-max"])
    plain = book[~book["column"].str.contains("[", regex=False)]
    listed = {str(file): tuple(rows["column"]) for file, rows in plain.groupby("file")}
    assert listed == {
        "ratings.csv": (*COLUMNS, "iou_latent_shift-max"),
        "assignments.csv": ASSIGNMENT_COLUMNS,
        "missing.csv": MISSING_COLUMNS,
        "profile.csv": PROFILE_COLUMNS,
        "events.csv": EVENT_COLUMNS,
        "closing.csv": CLOSING_COLUMNS,
        "problems.csv": PROBLEM_COLUMNS,
    }
    assert (book[["meaning", "type"]] != "").all(axis=None)


def test_every_kind_of_item_says_what_it_allows() -> None:
    items = (
        Item(id="sure", kind="scale", question="Sure?", low="no", high="yes"),
        Item(id="side", kind="choice", question="Side?", options=OPTIONS, required=False),
        Item(id="sides", kind="multi_choice", question="Sides?", options=OPTIONS),
        Item(id="spot", kind="point", question="Where?", max_marks=3, conditions=("B",)),
        Item(id="area", kind="box", question="Where?"),
    )
    protocol = DEMO.model_copy(update={"items": (*DEMO.items, *items)})
    book = codebook(protocol).set_index("column")
    allowed = book["allowed_values"]
    assert allowed["value[sure]"] == "0 (no) to 100 (yes)"
    assert allowed["text[side]"] == "one of left (Left side), right (Right side); may be empty"
    assert allowed["text[sides]"] == "any of left (Left side), right (Right side)"
    assert allowed["text[spot]"] == "at most 3 of [x, y], each 0 to 1; asked in B"
    assert allowed["text[area]"] == "at most 1 of [x0, y0, x1, y1], each 0 to 1"
    assert book.loc["text[sides]", "type"] == "JSON list"
    assert book.loc["text[spot]", "unit"].startswith("fraction of the film")


def test_closing_items_are_described_with_their_own_table() -> None:
    book = codebook(DEMO)
    rows = book[book["file"] == "closing.csv"].set_index("column")
    assert rows.loc["value[helpful]", "allowed_values"] == "1 (not at all) to 5 (very much)"
    assert rows.loc["text[wanted]", "type"] == "text"
    assert rows.loc["item", "allowed_values"] == "helpful, wanted, remarks"
