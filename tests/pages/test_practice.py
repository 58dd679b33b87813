"""Practice: answered like any case, followed by frozen words, and never counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.reader_study import (
    PROFILE,
    SECRETS,
    ReaderStudy,
    button,
    read_one,
    study_maker,
    words_of,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Make = Callable[..., ReaderStudy]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    return study_maker(tmp_path, monkeypatch)


def ready(study: ReaderStudy) -> ReaderStudy:
    desk = study.desk()
    desk.consent()
    desk.keep_profile(PROFILE)
    desk.accept_instructions()
    return study


def test_a_practice_case_is_shown_like_any_other_in_its_own_mode(make: Make) -> None:
    study = ready(make())
    page = study.open(page="practice.py")
    current = study.desk().current()
    assert current is not None and current.purpose == "practice"
    assert f"practice {current.assignment_id}" in words_of(page)


def test_the_feedback_follows_the_answer_and_says_that_it_does_not_count(make: Make) -> None:
    study = ready(make())
    read_one(study.desk(), confidence=4)
    said = words_of(study.open(page="practice.py"))
    assert "The heart is &lt;b&gt;not&lt;/b&gt; enlarged here." in said
    assert "Practice case 1 of 2" in said and "does not count" in said
    assert "How confident are you?" in said and "4 of 5" in said
    assert not any(secret in said for secret in SECRETS)


def test_the_feedback_is_not_shown_before_the_answer(make: Make) -> None:
    study = ready(make())
    assert "enlarged" not in words_of(study.open(page="practice.py"))


def test_after_the_last_feedback_the_study_begins_and_nothing_counts_yet(make: Make) -> None:
    study = ready(make())
    read_one(study.desk())
    page = button(study.open(page="practice.py"), "Next practice case")
    read_one(study.desk())
    page = study.open(page="practice.py")
    assert "Look at the left base." in words_of(page)
    assert "answers count" in words_of(page)
    button(page, "Begin the study")
    step = study.desk().step()
    assert step.kind == "reading" and step.assignment is not None
    assert step.assignment.purpose == "study"
    assert study.store().ratings() == ()
    assert study.desk().overview().n_done_study == 0


def test_the_practice_page_is_closed_once_the_study_has_begun(make: Make) -> None:
    study = make()
    desk = study.begin()
    current = desk.current()
    assert current is not None
    assert "practice " not in words_of(study.open(page="practice.py"))
