"""From step to page: whatever is typed, a reader arrives where the store says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_args

import pytest

from pages.parts.answer_words import answer_list, answer_words, place_words
from pages.parts.steps import PAGE_OF_STEP, page_of
from study.errors import StudyError
from study.items import Item, Option
from study.session import ReadingDesk
from study.steps import Step, StepKind
from tests.support.reader_study import (
    PROFILE,
    ReaderStudy,
    read_all,
    read_one,
    study_maker,
    words_of,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Make = Callable[..., ReaderStudy]
READER_PAGES = (
    "consent.py",
    "profile.py",
    "instructions.py",
    "practice.py",
    "worklist.py",
    "reading.py",
    "pause.py",
    "closing.py",
    "revise.py",
)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    return study_maker(tmp_path, monkeypatch)


def test_every_kind_of_step_has_a_page() -> None:
    assert set(PAGE_OF_STEP) == set(get_args(StepKind))
    folder = Path(__file__).parents[2] / "pages"
    assert all((folder / page_of(Step(kind))).is_file() for kind in get_args(StepKind))


def test_an_unknown_step_is_an_error_in_words() -> None:
    with pytest.raises(StudyError, match="No page is known"):
        page_of(Step("nonsense"))  # type: ignore[arg-type]


def arrivals(study: ReaderStudy, typed: Iterable[str]) -> dict[str, str]:
    """Return what a reader sees after typing each address."""
    page = study.open()
    return {name: words_of(page.switch_page(name).run()) for name in typed}


def without(*names: str) -> tuple[str, ...]:
    return tuple(page for page in READER_PAGES if page.removesuffix(".py") not in names)


def to_practice(desk: ReadingDesk) -> None:
    desk.consent()
    desk.keep_profile(PROFILE)
    desk.accept_instructions()


def test_before_consent_every_address_leads_to_the_consent(make: Make) -> None:
    for typed, said in arrivals(make(), READER_PAGES).items():
        assert "Version 2.1" in said and "I consent" in said, typed


def test_before_the_profile_every_other_address_leads_to_it(make: Make) -> None:
    study = make()
    study.desk().consent()
    for typed, said in arrivals(study, without("consent")).items():
        assert "About you" in said, typed


def test_before_the_instructions_every_other_address_leads_there(make: Make) -> None:
    study = make()
    study.desk().consent()
    study.desk().keep_profile(PROFILE)
    for typed, said in arrivals(study, without("consent")).items():
        assert "I have read this" in said, typed


def test_practice_cannot_be_skipped(make: Make) -> None:
    study = make()
    to_practice(study.desk())
    for typed, said in arrivals(study, ("reading.py", "closing.py", "revise.py")).items():
        assert '"stub">practice' in said, typed


def test_the_feedback_on_practice_cannot_be_skipped(make: Make) -> None:
    study = make()
    to_practice(study.desk())
    read_one(study.desk())
    for typed, said in arrivals(study, ("reading.py", "closing.py", "revise.py")).items():
        assert "Practice case 1 of 2" in said, typed


def test_the_current_case_is_where_a_reader_arrives_who_types_another_step(make: Make) -> None:
    study = make()
    current = study.begin().current()
    assert current is not None
    for typed, said in arrivals(study, ("practice.py", "closing.py", "profile.py")).items():
        assert f"read {current.assignment_id}" in said, typed


def test_after_the_last_case_only_the_closing_questions_are_left(make: Make) -> None:
    study = make()
    read_all(study.begin())
    for typed, said in arrivals(study, ("reading.py", "practice.py", "pause.py")).items():
        assert "Looking back" in said, typed


def test_during_washout_there_is_only_the_worklist(make: Make) -> None:
    study = make(washout_days=5)
    read_all(study.begin())
    typed = ("reading.py", "practice.py", "closing.py", "pause.py")
    for name, said in arrivals(study, typed).items():
        assert "Session 2 opens on" in said, name


def test_answers_are_said_in_the_words_of_their_question() -> None:
    yes, no = Option(id="y", label="yes"), Option(id="n", label="no")
    item = Item(id="q", kind="likert", question="How sure?", points=7)
    assert answer_words(item, 3) == "3 of 7"
    assert answer_words(item, None) == "no answer"
    assert answer_words(Item(id="q", kind="scale", question="?"), 40) == "40 of 100"
    choice = Item(id="q", kind="choice", question="?", options=(yes, no))
    assert answer_words(choice, "n") == "no"
    many = Item(id="q", kind="multi_choice", question="?", options=(yes, no))
    assert answer_words(many, ["y", "n"]) == "yes, no"
    assert answer_words(many, []) == "none of them"
    marks = Item(id="q", kind="point", question="?", max_marks=3)
    assert answer_words(marks, [[0.1, 0.2]]) == "1 mark"


def test_a_list_of_answers_shows_text_as_text() -> None:
    item = Item(id="q", kind="text", question="Any <b>remark</b>?")
    shown = answer_list([item], {"q": "<script>alert(1)</script>"})
    assert "<script>" not in shown and "&lt;b&gt;" in shown


def test_two_readings_of_a_sequential_case_share_its_place(make: Make) -> None:
    study = make(kind="sequential", practice=False)
    first, second = study.store().assignments("R1")[:2]
    assert place_words(study.protocol, first) == "session 1, case 1, first answer"
    assert place_words(study.protocol, second) == "session 1, case 1, second answer"
