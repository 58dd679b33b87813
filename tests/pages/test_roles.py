"""Every page for its role, and for no other."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from pages.web.access import PAGES
from study.accounts import Accounts
from study.clock import utc_now
from study.session import ReadingDesk
from tests.support.pages import NAVIGATION
from tests.support.tiny_study import TinyStudy

CODES = {
    "reader": "reader_code",
    "researcher": "researcher_code",
    "coordinator": "coordinator_code",
}


def html_of(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def finish(study: TinyStudy) -> None:
    """Read everything as the reader."""
    desk = ReadingDesk(study.store(), "R1", utc_now)
    desk.accept_instructions()
    answers = iter([5, 2, 4, 3, 1, 4, 4, 5, 2, 3, 3, 1])
    while (current := desk.current()) is not None:
        desk.display(current.assignment_id)
        given = {"confidence": next(answers), "correct_feature": next(answers)}
        desk.submit(current.assignment_id, given)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_every_page_opens_for_its_role_without_an_exception(page, open_page, study) -> None:
    ReadingDesk(study.store(), "R1", utc_now).accept_instructions()
    opened = open_page(getattr(study, CODES[page.role]))
    opened.switch_page(f"{page.path}.py").run()
    assert not opened.exception
    assert "Not your page" not in html_of(opened)


WRONG = [(page, role) for page in PAGES for role in CODES if role != page.role]


@pytest.mark.parametrize(("page", "role"), WRONG, ids=lambda v: getattr(v, "path", v))
def test_a_page_script_refuses_the_wrong_role_by_itself(page, role, open_page, study) -> None:
    opened = open_page(getattr(study, CODES[role]), f"{page.path}.py")
    assert not opened.exception
    assert "another role" in html_of(opened)
    assert not opened.button and not opened.dataframe


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_a_page_script_shows_nothing_without_a_login(page, open_page) -> None:
    opened = open_page(None, f"{page.path}.py")
    assert "signed out" in html_of(opened)
    assert not opened.button and not opened.dataframe


def test_an_open_page_notices_that_its_login_has_ended(open_page, study) -> None:
    page = open_page(study.reader_code)
    Accounts(study.store()).sign_out(page.user["login"], utc_now())
    page.button[0].click().run()
    assert "signed out" in html_of(page)
    assert not ReadingDesk(study.store(), "R1", utc_now).instructions_accepted


def test_a_forged_login_opens_nothing(study) -> None:
    page = AppTest.from_file(NAVIGATION, default_timeout=30)
    page.user = {"login": "f" * 64, "role": "coordinator", "account_id": "a1"}
    page.run()
    assert "signed out" in html_of(page)


def test_a_server_without_a_study_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUNTERLIGHT_STUDY", raising=False)
    page = AppTest.from_file(NAVIGATION, default_timeout=30)
    page.user = {"login": "f" * 64}
    page.run()
    assert not page.exception and "started without a study" in html_of(page)


def test_the_results_are_empty_in_a_friendly_way_at_first(open_page, study) -> None:
    page = open_page(study.coordinator_code).switch_page("results.py").run()
    assert not page.exception and "No ratings yet" in html_of(page)


def test_the_results_open_with_the_primary_endpoint(open_page, study) -> None:
    finish(study)
    page = open_page(study.coordinator_code).switch_page("results.py").run()
    assert not page.exception
    first = next(body for body in html_of(page).splitlines() if 'class="primary"' in body)
    assert "confidence" in first and "interval" in first
    assert page.dataframe and page.get("plotly_chart")


def test_progress_shows_counts_and_no_ratings(open_page, study) -> None:
    finish(study)
    page = open_page(study.coordinator_code)
    table = page.dataframe[0].value
    assert list(table["Readings"]) == ["6 of 6"] and list(table["State"]) == ["finished"]
    assert not {"value", "rating", "confidence"} & {name.lower() for name in table.columns}


def test_the_explorer_shows_an_archived_case(open_page, study) -> None:
    page = open_page(study.researcher_code)
    assert not page.exception
    assert page.selectbox(key="case").value == "c0007"
    assert "f(x), the film" in html_of(page) and page.get("plotly_chart")
    page.selectbox(key="case").set_value("c0008").run()
    assert not page.exception


def test_an_unusable_upload_is_said_on_the_page(open_page, study) -> None:
    page = open_page(study.researcher_code)
    page.file_uploader(key="upload").set_value(("notes.png", b"no picture", "image/png")).run()
    assert not page.exception
    assert "This did not work" in html_of(page) and "notes.png" in html_of(page)
