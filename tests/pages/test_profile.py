"""The reader's profile: asked once, complete or not kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from study.errors import AlreadyRated
from study.export_tables import profile_table
from tests.support.reader_study import (
    PROFILE,
    ReaderStudy,
    button,
    practise,
    read_one,
    study_maker,
    words_of,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Make = Callable[..., ReaderStudy]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    return study_maker(tmp_path, monkeypatch)


def fill(page: AppTest) -> None:
    page.radio(key="role").set_value("radiologist")
    page.number_input(key="years").set_value(12)
    page.text_input(key="subspecialty").set_value("  thorax ")
    page.radio(key="ai").set_value("regularly")
    page.radio(key="screen").set_value("diagnostic")
    page.checkbox(key="attested").set_value(True)


def test_a_complete_profile_is_kept_under_the_pseudonym_and_leads_on(make: Make) -> None:
    study = make(consent="")
    page = study.open()
    fill(page)
    button(page, "Go on")
    assert "Before you read" in words_of(page)
    (event,) = study.store().events("profile")
    assert event.actor == "R1"
    kept = event.payload.get("profile", event.payload)
    assert kept["role"] == "radiologist" and kept["years_of_practice"] == 12
    assert kept["subspecialty"] == "thorax" and kept["prior_ai_use"] == "regularly"
    assert kept["display"] == "diagnostic" and kept["attested"] is True


@pytest.mark.parametrize(
    ("left_out", "sentence"),
    [
        ("role", "Choose your role."),
        ("years", "Enter your years of practice, 0 to 70."),
        ("ai", "Say how often you have used AI."),
        ("screen", "Choose the kind of display."),
        ("attested", "Confirm what the last line says"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_kept(
    make: Make, left_out: str, sentence: str
) -> None:
    study = make(consent="")
    page = study.open()
    fill(page)
    for widget in (*page.radio, *page.number_input):
        if widget.key == left_out:
            widget.set_value(None)
    if left_out == "attested":
        page.checkbox(key="attested").set_value(False)
    button(page, "Go on")
    assert sentence in words_of(page) and "About you" in words_of(page)
    assert study.store().events("profile") == ()


def test_the_subspecialty_may_stay_empty(make: Make) -> None:
    study = make(consent="")
    page = study.open()
    fill(page)
    page.text_input(key="subspecialty").set_value("")
    button(page, "Go on")
    assert "Before you read" in words_of(page)


def test_a_profile_is_not_asked_twice(make: Make) -> None:
    study = make()
    study.begin()
    assert "About you" not in words_of(study.open(page="profile.py"))


def test_no_year_of_practice_is_an_answer(make: Make) -> None:
    study = make(consent="")
    page = study.open()
    fill(page)
    page.number_input(key="years").set_value(0)
    button(page, "Go on")
    (event,) = study.store().events("profile")
    assert event.payload["profile"]["years_of_practice"] == 0


def test_all_that_is_missing_is_outlined_at_once(make: Make) -> None:
    page = button(make(consent="").open(), "Go on")
    styles = "".join(element.proto.body for element in page.get("html"))
    for key in ("role", "years", "ai", "screen", "attested"):
        assert f".st-key-{key} {{ outline" in styles, key


def test_a_profile_is_corrected_before_the_first_case_that_counts_and_not_after(make: Make) -> None:
    study = make(consent="")
    page = study.open()
    fill(page)
    button(page, "Go on")
    page = study.open()
    page.query_params["correct"] = "yes"
    page.switch_page("profile.py").run()
    assert page.radio(key="role").value == "radiologist"
    assert page.number_input(key="years").value == 12
    page.number_input(key="years").set_value(13)
    button(page, "Go on")
    (correction,) = study.store().events("profile_corrected")
    assert correction.payload["profile"]["years_of_practice"] == 13
    assert len(study.store().events("profile")) == 1  # the earlier one stays beside it
    assert profile_table(study.store()).set_index("reader").loc["R1", "years_of_practice"] == 13
    desk = study.desk()
    desk.accept_instructions()
    while desk.step().kind != "reading":
        if desk.step().kind == "practice":
            practise(desk)
        assignment = desk.step().assignment
        assert assignment is not None
        desk.read_feedback(assignment.assignment_id)
    assert "About you" in "".join(element.proto.body for element in study.open().get("html"))
    read_one(desk)
    assert desk.profile()[1] is False
    with pytest.raises(AlreadyRated, match="profile stays as it is"):
        desk.keep_profile(PROFILE)
    page = study.open()
    page.query_params["correct"] = "yes"
    page.switch_page("profile.py").run()
    assert not page.get("radio")
