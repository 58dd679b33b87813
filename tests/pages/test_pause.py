"""Breaks: offered or taken, recorded, and ended with one key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.reader_study import (
    PROFILE,
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


def kinds(study: ReaderStudy) -> list[str]:
    return [e.kind for e in study.store().events(actor="R1") if e.kind.startswith("break")]


def test_a_reader_takes_a_break_and_goes_on_and_both_are_recorded(make: Make) -> None:
    study = make()
    study.begin()
    page = study.open(page="pause.py")
    assert "Take a break?" in words_of(page)
    button(page, "Begin the break")
    assert "You are on a break" in words_of(page)
    assert kinds(study) == ["break_started"]
    button(page, "Go on reading")
    assert kinds(study) == ["break_started", "break_ended"]
    assert study.desk().step().kind == "reading"


def test_looking_at_the_pause_page_alone_is_no_break(make: Make) -> None:
    study = make()
    study.begin()
    button(study.open(page="pause.py"), "Go on reading")
    assert kinds(study) == []


def test_a_break_outlives_a_reload_and_holds_the_reading_page_back(make: Make) -> None:
    study = make()
    study.begin().start_break()
    assert "You are on a break" in words_of(study.open(page="reading.py"))
    page = study.open(page="pause.py")
    assert "You are on a break" in words_of(page)
    assert kinds(study) == ["break_started"]


def test_the_protocol_offers_a_break_after_its_number_of_cases(make: Make) -> None:
    study = make(break_every=1, n_cases=3)
    desk = study.begin()
    page = study.open()  # signing in begins a sitting
    read_one(desk)
    page.switch_page("reading.py").run()
    said = words_of(page)
    assert "Time for a break" in said and "of 3" in said
    page.switch_page("pause.py").run()  # where the browser is by now
    button(page, "Go on reading")
    assert desk.step().kind == "reading"


def test_an_offered_break_can_be_taken(make: Make) -> None:
    study = make(break_every=1, n_cases=3)
    desk = study.begin()
    page = study.open()
    read_one(desk)
    page.switch_page("pause.py").run()
    button(page, "Take a break")
    assert "You are on a break" in words_of(page)
    button(page, "Go on reading")
    assert kinds(study) == ["break_started", "break_ended"]
    assert desk.step().kind == "reading"


def test_a_break_can_be_taken_during_practice(make: Make) -> None:
    study = make()
    desk = study.desk()
    desk.consent()
    desk.keep_profile(PROFILE)
    desk.accept_instructions()
    page = button(study.open(page="pause.py"), "Begin the break")
    assert "You are on a break" in words_of(page)
    button(page, "Go on reading")
    assert desk.step().kind == "practice"


def test_beginning_a_break_in_two_windows_is_one_break(make: Make) -> None:
    study = make()
    study.begin()
    first, second = study.open(page="pause.py"), study.open(page="pause.py")
    button(first, "Begin the break")
    button(second, "Begin the break")
    assert kinds(study) == ["break_started"]
    button(first, "Go on reading")
    button(second, "Go on reading")
    assert kinds(study) == ["break_started", "break_ended"]
