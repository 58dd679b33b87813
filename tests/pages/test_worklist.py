"""The worklist: where the reader stands, what comes next, and thanks at the end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from study.session import ReadingDesk
from tests.support.reader_study import (
    PROFILE,
    SECRETS,
    ReaderStudy,
    button,
    read_all,
    read_one,
    study_maker,
    words_of,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Make = Callable[..., ReaderStudy]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    return study_maker(tmp_path, monkeypatch)


def labels(page: AppTest) -> list[str]:
    return [b.label for b in page.button]


def close_all(desk: ReadingDesk) -> None:
    answers = {"help": 4, "trust": 50, "again": "y"}
    while (step := desk.step()).kind == "closing":
        assert step.condition is not None
        desk.close_condition(step.condition, answers)


def test_before_the_first_case_it_offers_the_first_session(make: Make) -> None:
    study = make(n_cases=3)
    study.begin()
    page = study.open()
    said = words_of(page)
    assert "3 cases left in session 1 of 2" in said
    assert "0 of 3 · open" in said and "0 of 3 · later" in said
    assert labels(page) == ["Start session 1"]


def test_after_the_first_case_it_goes_on(make: Make) -> None:
    study = make(n_cases=3)
    read_one(study.begin())
    page = study.open()
    assert "2 cases left in session 1 of 2" in words_of(page)
    assert labels(page) == ["Go on reading"]


def test_practice_is_announced_and_does_not_count(make: Make) -> None:
    study = make()
    desk = study.desk()
    desk.consent()
    desk.keep_profile(PROFILE)
    desk.accept_instructions()
    page = study.open()
    said = words_of(page)
    assert "Practice comes first" in said and "2 practice cases" in said
    assert labels(page) == ["Go to practice"]


def test_during_washout_it_says_when_the_next_session_opens_in_the_readers_time_zone(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make(washout_days=9)
    read_all(study.begin())
    opens = study.desk().step().opens_at
    assert opens is not None
    page = study.open()
    shown = opens + timedelta(minutes=1, microseconds=-1)
    said = words_of(page)
    assert f"Session 2 opens on {shown.day} {shown:%B %Y at %H:%M} (UTC)" in said
    assert labels(page) == []


def test_a_finished_reader_is_thanked_and_has_nothing_left_to_press(make: Make) -> None:
    study = make()
    desk = study.begin()
    read_one(desk)
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    desk.skip(current.assignment_id, "image_quality")
    read_all(desk)
    close_all(desk)
    page = study.open()
    said = words_of(page)
    assert "Thank you" in said and "You have done 4 cases, 1 of them skipped." in said
    assert labels(page) == []


def test_closing_questions_are_announced(make: Make) -> None:
    study = make()
    read_all(study.begin())
    page = study.open()
    assert "All cases are read" in words_of(page)
    button(page, "Answer the last questions")


@pytest.mark.parametrize("revisions", [True, False])
def test_earlier_answers_are_offered_only_where_the_protocol_allows(
    make: Make, revisions: bool
) -> None:
    study = make(revisions=revisions)
    desk = study.begin()
    assert "/revise" not in words_of(study.open())
    read_one(desk)
    assert ("/revise" in words_of(study.open())) is revisions


def test_a_sequential_study_counts_readings_and_not_cases(make: Make) -> None:
    study = make(kind="sequential")
    study.begin()
    assert "4 readings left" in words_of(study.open())


def test_the_worklist_names_no_condition_and_no_case(make: Make) -> None:
    study = make()
    read_one(study.begin())
    said = words_of(study.open())
    for word in (*SECRETS, "condA", "condB", "Film alone", "Map of the model"):
        assert word not in said, word
