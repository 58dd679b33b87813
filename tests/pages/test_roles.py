"""Every page for its role, and for no other."""

from __future__ import annotations

import itertools

import pytest
from streamlit.testing.v1 import AppTest

from pages.parts import context
from pages.web.access import PAGES
from pages.web.csrf import csrf_of
from study.clock import utc_now
from study.session import ReadingDesk
from tests.support.pages import NAVIGATION
from tests.support.small_study import PROFILE
from tests.support.tiny_study import TinyStudy

WHO = {"reader": "R1", "researcher": "researcher", "coordinator": "coordinator"}


def html_of(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def begin(study: TinyStudy, who: str = "R1") -> ReadingDesk:
    """Return a reader's desk with the first case open."""
    desk = ReadingDesk(study.store(), who, utc_now)
    desk.keep_profile(PROFILE)
    desk.accept_instructions()
    return desk


def finish(study: TinyStudy) -> None:
    """Read everything as both readers."""
    values = itertools.cycle([5, 2, 4, 3, 1, 4, 4, 5, 2, 3, 3])
    for who in ("R1", "R2"):
        desk = begin(study, who)
        while (current := desk.current()) is not None:
            desk.display(current.assignment_id)
            given = {"confidence": next(values), "correct_feature": next(values)}
            desk.submit(current.assignment_id, given)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_every_page_opens_for_its_role_without_an_exception(page, open_page, study) -> None:
    begin(study)
    opened = open_page(WHO[page.role])
    opened.switch_page(f"{page.path}.py").run()
    assert not opened.exception
    assert "Not your page" not in html_of(opened)


WRONG = [(page, role) for page in PAGES for role in WHO if role != page.role]


@pytest.mark.parametrize(("page", "role"), WRONG, ids=lambda v: getattr(v, "path", v))
def test_a_page_script_refuses_the_wrong_role_by_itself(page, role, open_page, study) -> None:
    opened = open_page(WHO[role], f"{page.path}.py")
    assert not opened.exception
    assert "another role" in html_of(opened)
    assert not opened.button and not opened.dataframe


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_a_page_script_shows_nothing_without_a_login(page, open_page) -> None:
    opened = open_page(None, f"{page.path}.py")
    assert "signed out" in html_of(opened)
    assert not opened.button and not opened.dataframe


def test_an_open_page_notices_that_its_login_has_ended(open_page, study) -> None:
    begin(study)
    page = open_page("R1")
    assert page.button
    study.accounts().sign_out(page.user["login"], utc_now())
    page.run()
    assert "signed out" in html_of(page) and not page.button


def test_revoking_an_account_clears_its_open_page(open_page, study) -> None:
    page = open_page("coordinator")
    accounts = study.accounts()
    account = next(each for each in accounts.accounts() if each.role == "coordinator")
    accounts.revoke(account.account_id, utc_now())
    page.run()
    assert "signed out" in html_of(page) and not page.dataframe


def test_a_page_of_another_role_is_refused_on_record(open_page, study) -> None:
    for _ in range(3):
        open_page("R1", "results.py")
    refused = study.store().events("refused", actor="R1")
    assert [event.payload for event in refused] == [
        {"reason": "role", "role": "reader", "path": "page", "count": 1}
    ]


def test_a_page_gets_the_token_for_its_own_requests(study, monkeypatch) -> None:
    login = study.login("R1")
    monkeypatch.setattr(context.st, "user", {"login": login})
    visit = context.signed_in()
    assert visit is not None and visit.csrf == csrf_of(login) and login not in repr(visit)


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
    page = open_page("coordinator").switch_page("results.py").run()
    assert not page.exception and "No ratings yet" in html_of(page)


def test_the_explorer_shows_an_archived_case(open_page, study) -> None:
    page = open_page("researcher")
    assert not page.exception
    assert page.selectbox(key="case").value == "case-0007"
    assert "f(x), the film" in html_of(page) and page.get("plotly_chart")
    page.selectbox(key="case").set_value("case-0008").run()
    assert not page.exception


def test_an_unusable_upload_is_said_on_the_page(open_page, study) -> None:
    page = open_page("researcher")
    page.file_uploader(key="upload").set_value(("notes.png", b"no picture", "image/png")).run()
    assert not page.exception
    assert "This did not work" in html_of(page) and "notes.png" in html_of(page)
