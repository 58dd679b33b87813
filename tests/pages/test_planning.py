"""Planning: curves of power that say whom they speak for, and the floor that readers set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.web.access import may_open
from tests.support.pages import NAVIGATION
from tests.support.reader_study import ReaderStudy, study_maker, words_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Make = Callable[..., ReaderStudy]
PAGE = "planning.py"


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    return study_maker(tmp_path, monkeypatch)


def small(page: AppTest, readers: str = "4", cases: str = "20, 40", studies: int = 50) -> AppTest:
    page.text_input(key="planning_readers").set_value(readers)
    page.text_input(key="planning_cases").set_value(cases)
    page.number_input(key="planning_studies").set_value(studies)
    page.run()
    assert not page.exception, page.exception
    return page


def charts(page: AppTest) -> int:
    return len(page.get("plotly_chart"))


def test_nothing_is_simulated_before_the_coordinator_asks(make: Make) -> None:
    page = make().open("coordinator", PAGE)
    assert charts(page) == 0
    assert page.button(key="planning_start").label == "Simulate"


def test_the_page_says_whom_the_curves_speak_for_and_where_the_floor_lies(make: Make) -> None:
    page = make().open("coordinator", PAGE)
    said = words_of(page)
    assert "These curves speak for: these readers, cases like the study's." in said.replace(
        "&#x27;", "'"
    )
    assert "Smallest standard error (points)" in said.replace("\n", " ")
    assert said.count('<th scope="row">') == 3
    page.selectbox(key="planning_method").set_value("mean_readers_cases").run()
    assert "speak for: readers like them" in words_of(page)


def test_simulating_goes_on_to_the_end_and_draws_the_curves(make: Make) -> None:
    page = small(make().open("coordinator", PAGE))
    page.button(key="planning_start").click().run()
    assert not page.exception
    assert charts(page) == 1
    assert "50 studies of each size" in words_of(page)
    assert not page.get("progress")


def test_changing_a_number_leaves_the_old_curves_behind(make: Make) -> None:
    page = small(make().open("coordinator", PAGE))
    page.button(key="planning_start").click().run()
    small(page, cases="30")
    assert charts(page) == 0
    assert page.button(key="planning_start").label == "Simulate"


def test_what_was_stopped_goes_on_from_there(make: Make) -> None:
    page = small(make().open("coordinator", PAGE), studies=100)
    page.button(key="planning_start").click().run()
    results = page.session_state["planning_results"]
    last = max(results, key=lambda part: part.batch)
    del results[last]
    page.run()
    assert page.button(key="planning_start").label == "Go on"
    page.button(key="planning_start").click().run()
    assert last in page.session_state["planning_results"]


def test_the_pooled_test_is_called_unreliable(make: Make) -> None:
    page = make().open("coordinator", PAGE)
    page.selectbox(key="planning_method").set_value("pooled_signed_rank").run()
    said = words_of(page)
    assert "Not to be relied on" in said and "nobody" in said


@pytest.mark.parametrize(
    ("readers", "cases", "sentence"),
    [
        ("four", "40", "expected one to twelve whole numbers"),
        ("1", "40", "1 readers cannot be simulated"),
        ("4", "", "expected one to twelve whole numbers"),
        ("4", "999999999999999", "cases cannot be simulated"),
        ("4, 8, 16", "40, 50, 60, 70, 80", "too long"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_sentence(
    make: Make, readers: str, cases: str, sentence: str
) -> None:
    page = small(make().open("coordinator", PAGE), readers, cases, 10_000 if "50" in cases else 50)
    if sentence == "too long":
        page.text_input(key="planning_cases").set_value("40,50,60,70,80,90,100,110,120,130,140,150")
        page.run()
        page.text_input(key="planning_readers").set_value("2,3,4,5").run()
    assert any(sentence in error.value for error in page.error)
    assert charts(page) == 0


def test_only_the_coordinator_may_open_it(make: Make) -> None:
    assert may_open("coordinator", "/planning")
    assert not may_open("reader", "/planning") and not may_open("researcher", "/planning")
    study = make()
    study.begin()
    page = AppTest.from_file(str(NAVIGATION.parent / PAGE), default_timeout=30)
    page.user = study.open().user
    page.run()
    assert "another role" in words_of(page)
