"""Answers: which are taken, and how the others are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest

from study.errors import InvalidAnswer
from study.items import Item, Option
from study.rating import to_text, validate_answers
from tests.support.small_study import small_protocol

PROTOCOL = small_protocol()
ITEMS = PROTOCOL.items


def test_every_item_comes_back_in_order_and_blank_texts_count_as_none() -> None:
    answers = validate_answers(ITEMS, {"comment": "  \n ", "confidence": np.int64(3)})
    assert list(answers.items()) == [("confidence", 3), ("comment", None)]
    assert type(answers["confidence"]) is int


@pytest.mark.parametrize("value", [0, 6, -1, 2.5, 4.0, "4", True, [4], float("nan"), 10**30])
def test_a_value_off_the_scale_is_refused_and_the_item_named(value: object) -> None:
    with pytest.raises(InvalidAnswer, match="whole number from 1 to 5") as caught:
        validate_answers(ITEMS, {"confidence": value})
    assert caught.value.item == "confidence"


@pytest.mark.parametrize("answers", [{}, {"confidence": None}, {"comment": "only"}])
def test_a_missing_required_answer_is_refused_and_the_item_named(answers: dict) -> None:
    with pytest.raises(InvalidAnswer, match="has no answer; choose 1 to 5") as caught:
        validate_answers(ITEMS, answers)
    assert caught.value.item == "confidence"


def test_an_unknown_item_is_refused() -> None:
    with pytest.raises(
        InvalidAnswer, match="'mood' is not asked here; expected answers to confidence"
    ):
        validate_answers(ITEMS, {"confidence": 3, "mood": 1})


def test_text_is_cleaned_of_what_cannot_be_stored_and_kept_otherwise() -> None:
    text = " a\x00b\r\nc\td ü漢 \ud800 "
    stored = validate_answers(ITEMS, {"confidence": 3, "comment": text})["comment"]
    assert stored == "ab\nc\td ü漢 ?"


@pytest.mark.parametrize(
    ("text", "words"), [("x" * 51, "shorten it to 50"), (5, "expected a text")]
)
def test_a_text_that_is_too_long_or_no_text_is_refused(text: object, words: str) -> None:
    with pytest.raises(InvalidAnswer, match=words) as caught:
        validate_answers(ITEMS, {"confidence": 3, "comment": text})
    assert caught.value.item == "comment"


OPTIONS = (Option(id="none", label="None"), Option(id="left", label="Left"),
           Option(id="right", label="Right"))  # fmt: skip
KINDS: Mapping[str, Item] = {
    item.kind: item
    for item in (
        Item(id="q", kind="scale", question="How sure?", low="not", high="very"),
        Item(id="q", kind="choice", question="Which?", options=OPTIONS),
        Item(id="q", kind="multi_choice", question="Which ones?", options=OPTIONS),
        Item(id="q", kind="point", question="Where?", max_marks=2),
        Item(id="q", kind="box", question="Where?", max_marks=2),
    )
}


def answer(kind: str, value: object, *, required: bool = True) -> object:
    item = KINDS[kind].model_copy(update={"required": required})
    return validate_answers([item], {"q": value})["q"]


@pytest.mark.parametrize(
    ("kind", "given", "stored"),
    [
        ("scale", 0, 0),
        ("scale", 100, 100),
        ("choice", "left", "left"),
        ("multi_choice", ["right", "none"], ("none", "right")),
        ("multi_choice", ("left",), ("left",)),
        ("point", [[0, 1]], ((0.0, 1.0),)),
        ("point", [[0.25, 0.5], [-0.0, 0.75]], ((0.25, 0.5), (0.0, 0.75))),
        ("box", [(0.1, 0.2, 0.3, 1)], ((0.1, 0.2, 0.3, 1.0),)),
    ],
)
def test_every_kind_takes_its_answers_and_json_brings_them_back(
    kind: str, given: object, stored: object
) -> None:
    value = answer(kind, given)
    assert value == stored
    assert type(value) is type(stored)
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        assert all(type(each) is tuple and str(each[0])[0] != "-" for each in value)
        assert all(type(number) is float for each in value for number in each)
    assert answer(kind, json.loads(json.dumps(value))) == stored


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        *(("scale", value) for value in (-1, 101, 50.0, "50", True, [50], None)),
        *(("choice", value) for value in ("", "up", "Left", "left ", 1, True, ["left"], {}, None)),
        *(
            ("multi_choice", value)
            for value in ("left", [], ["left", "left"], ["up"], [["left"]], [None], {"left": 1}, 3)
        ),
        *(
            ("point", value)
            for value in (
                [], [0.5, 0.5], [[0.5]], [[0.5, 0.5, 0.5]], [[0.5, 1.01]], [[-0.01, 0.5]],
                [[float("nan"), 0.5]], [[float("inf"), 0.5]], [["0.5", 0.5]], [[True, 0.5]],
                [[10**400, 0.5]], [None], "0.5", 0.5, [[1j, 0]], [[0.1, 0.1]] * 3, {"x": 1},
            )
        ),
        *(
            ("box", value)
            for value in (
                [[0.1, 0.2, 0.1, 0.4]], [[0.3, 0.2, 0.1, 0.4]], [[0.1, 0.4, 0.2, 0.4]],
                [[0.1, 0.5, 0.2, 0.4]], [[0.1, 0.2, 0.3]], [[0.1, 0.2, 0.3, 1.1]], [], None,
            )
        ),
    ],
)  # fmt: skip
def test_no_wrong_value_gets_through(kind: str, wrong: object) -> None:
    with pytest.raises(InvalidAnswer) as caught:
        answer(kind, wrong)
    assert caught.value.item == "q"
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("kind", ["multi_choice", "point", "box"])
def test_an_optional_list_may_be_empty_and_that_is_not_the_same_as_no_answer(kind: str) -> None:
    assert answer(kind, [], required=False) == ()
    assert answer(kind, None, required=False) is None


def test_only_the_items_that_are_given_are_asked() -> None:
    only_b = Item(id="map", kind="choice", question="Map?", options=OPTIONS, conditions=("B",))
    protocol = PROTOCOL.model_copy(update={"items": (*ITEMS, only_b)})
    given = {"confidence": 2}
    assert list(validate_answers(protocol.items_of("A"), given)) == ["confidence", "comment"]
    with pytest.raises(InvalidAnswer, match="“Map\\?” has no answer; choose one answer"):
        validate_answers(protocol.items_of("B"), given)
    with pytest.raises(InvalidAnswer, match="'map' is not asked here"):
        validate_answers(protocol.items_of("A"), {**given, "map": "left"})


def test_an_answer_becomes_one_cell_of_a_table() -> None:
    assert to_text(3) == 3
    assert to_text(None) is None
    assert to_text("left") == "left"
    assert to_text(("left", "right")) == '["left", "right"]'
    assert to_text(((0.5, 1.0),)) == "[[0.5, 1.0]]"
    assert to_text(()) == "[]"
