"""Closing feedback: once for each condition, under its label, and only at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.support.reader_study import (
    ReaderStudy,
    button,
    read_all,
    study_maker,
    words_of,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Make = Callable[..., ReaderStudy]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    return study_maker(tmp_path, monkeypatch)


def done(study: ReaderStudy) -> ReaderStudy:
    read_all(study.begin())
    return study


def fill(page: AppTest, place: int) -> None:
    page.button_group(key=f"closing_{place}_help").set_value(4)
    page.number_input(key=f"closing_{place}_trust").set_value(70)
    page.radio(key=f"closing_{place}_again").set_value("n")
    page.button_group(key=f"closing_{place}_why").set_value(["clear"])
    page.text_area(key=f"closing_{place}_words").set_value("more cases")


def test_each_condition_is_asked_about_once_and_stored_as_answered(make: Make) -> None:
    study = done(make())
    page = study.open(page="closing.py")
    said = words_of(page)
    assert "Film alone" in said and "1 of 2" in said and "Map of the model" not in said
    fill(page, 1)
    button(page, "Save and go on")
    said = words_of(page)
    assert "Map of the model" in said and "2 of 2" in said
    fill(page, 2)
    button(page, "Save and go on")
    assert "Thank you" in words_of(page)
    events = study.store().events("closing", "R1")
    assert [e.subject for e in events] == ["condA", "condB"]
    assert events[0].payload["answers"] == {
        "help": 4,
        "trust": 70,
        "again": "n",
        "why": ["clear"],
        "words": "more cases",
    }


def test_what_is_missing_is_said_in_a_sentence_and_nothing_is_stored(make: Make) -> None:
    study = done(make())
    page = study.open(page="closing.py")
    fill(page, 1)
    page.number_input(key="closing_1_trust").set_value(None)
    button(page, "Save and go on")
    assert "How far did you trust it?" in words_of(page)
    assert study.store().events("closing") == ()
    assert page.button_group(key="closing_1_help").value == 4


def test_answers_about_one_condition_do_not_pass_to_the_next(make: Make) -> None:
    study = done(make())
    page = study.open(page="closing.py")
    fill(page, 1)
    button(page, "Save and go on")
    assert page.number_input(key="closing_2_trust").value is None
    assert page.radio(key="closing_2_again").value is None


def test_no_condition_has_its_name_before_the_end(make: Make) -> None:
    study = make()
    study.begin()
    said = words_of(study.open(page="closing.py"))
    assert "Film alone" not in said and "Looking back" not in said


def test_identifiers_of_conditions_stay_on_the_server(make: Make) -> None:
    page = done(make()).open(page="closing.py")
    keys = [w.key or "" for w in (*page.button, *page.radio, *page.number_input)]
    sent = words_of(page) + "".join(keys)
    assert "condA" not in sent and "condB" not in sent


def test_a_study_without_closing_questions_ends_with_thanks(make: Make) -> None:
    study = done(make(closing=False))
    assert "Thank you" in words_of(study.open(page="closing.py"))
