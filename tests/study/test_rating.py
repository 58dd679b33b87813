"""Answers: which are taken, and how the others are refused."""

from __future__ import annotations

import numpy as np
import pytest

from study.errors import InvalidAnswer
from study.rating import validate_answers
from tests.support.small_study import small_protocol

PROTOCOL = small_protocol()


def test_every_item_comes_back_in_order_and_blank_texts_count_as_none() -> None:
    answers = validate_answers(PROTOCOL, {"comment": "  \n ", "confidence": np.int64(3)})
    assert list(answers.items()) == [("confidence", 3), ("comment", None)]
    assert type(answers["confidence"]) is int


@pytest.mark.parametrize("value", [0, 6, -1, 2.5, 4.0, "4", True, [4], float("nan"), 10**30])
def test_a_value_off_the_scale_is_refused_and_the_item_named(value: object) -> None:
    with pytest.raises(InvalidAnswer, match="whole number from 1 to 5") as caught:
        validate_answers(PROTOCOL, {"confidence": value})
    assert caught.value.item == "confidence"


@pytest.mark.parametrize("answers", [{}, {"confidence": None}, {"comment": "only"}])
def test_a_missing_required_answer_is_refused_and_the_item_named(answers: dict) -> None:
    with pytest.raises(InvalidAnswer, match="has no answer; choose 1 to 5") as caught:
        validate_answers(PROTOCOL, answers)
    assert caught.value.item == "confidence"


def test_an_unknown_item_is_refused() -> None:
    with pytest.raises(InvalidAnswer, match="'mood' is not an item"):
        validate_answers(PROTOCOL, {"confidence": 3, "mood": 1})


def test_text_is_cleaned_of_what_cannot_be_stored_and_kept_otherwise() -> None:
    text = " a\x00b\r\nc\td ü漢 \ud800 "
    stored = validate_answers(PROTOCOL, {"confidence": 3, "comment": text})["comment"]
    assert stored == "ab\nc\td ü漢 ?"


@pytest.mark.parametrize(
    ("text", "words"), [("x" * 51, "shorten it to 50"), (5, "expected a text")]
)
def test_a_text_that_is_too_long_or_no_text_is_refused(text: object, words: str) -> None:
    with pytest.raises(InvalidAnswer, match=words) as caught:
        validate_answers(PROTOCOL, {"confidence": 3, "comment": text})
    assert caught.value.item == "comment"
