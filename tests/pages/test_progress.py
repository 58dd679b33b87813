"""Progress: counts, times and what readers report, and neither ratings nor what is true."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from study.accounts import Accounts
from study.clock import utc_now
from tests.support.pages import NAVIGATION
from tests.support.reader_study import ReaderStudy, read_all, read_one, study_maker, words_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Make = Callable[..., ReaderStudy]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    return study_maker(tmp_path, monkeypatch)


def row_of(page: AppTest, reader_id: str) -> str:
    said = words_of(page)
    start = said.index(f'<th scope="row">{reader_id}</th>')
    return said[start : said.index("</tr>", start)]


def test_there_is_one_row_for_each_reader_even_before_the_first_case(make: Make) -> None:
    page = make().open("coordinator", "progress.py")
    said = words_of(page)
    assert said.count('<th scope="row">R') == 2
    assert "0 of 8 readings are done" in said
    assert "has not consented yet" in row_of(page, "R2")
    assert "No problem is reported and no case is skipped." in said


def test_a_row_counts_done_of_planned_in_each_session(make: Make) -> None:
    study = make(n_cases=3)
    desk = study.begin()
    read_one(desk)
    row = row_of(study.open("coordinator", "progress.py"), "R1")
    assert "1 of 6" in row and "1: 1 of 3<br>2: 0 of 3" in row
    assert "reading" in row and "0.0 min" in row


def test_washout_is_shown_with_its_end(make: Make) -> None:
    study = make(washout_days=9)
    read_all(study.begin())
    opens = study.desk().step().opens_at
    assert opens is not None
    row = row_of(study.open("coordinator", "progress.py"), "R1")
    assert f"washout until {opens:%d %b %Y}" in row


def test_skips_and_problems_are_listed_with_the_readers_words(make: Make) -> None:
    study = make(n_cases=3)
    desk = study.begin()
    first = desk.current()
    assert first is not None
    desk.display(first.assignment_id)
    desk.report_problem(first.assignment_id, "the <slider> sticks")
    desk.skip(first.assignment_id, "image_quality", "too dark")
    desk.report_problem(None, "screen flickers")
    page = study.open("coordinator", "progress.py")
    said = words_of(page)
    assert "the &lt;slider&gt; sticks" in said and "<slider>" not in said
    assert "skipped: image quality" in said and "too dark" in said
    assert "screen flickers" in said and "session 1, case 1" in said
    assert said.index("screen flickers") < said.index("too dark") < said.index("sticks")
    row = row_of(page, "R1")
    assert row.endswith('<td class="number">1</td><td class="number">2</td>')


def test_breaks_are_counted_with_their_time(make: Make) -> None:
    study = make()
    desk = study.begin()
    desk.start_break()
    study.desk(later=timedelta(minutes=7)).end_break()
    study.desk(later=timedelta(minutes=9)).start_break()
    row = row_of(study.open("coordinator", "progress.py"), "R1")
    assert "2 (7 min)" in row and "on a break" in row


def test_no_rating_and_nothing_that_is_true_reaches_the_coordinator_here(make: Make) -> None:
    study = make(n_cases=3)
    desk = study.begin()
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    desk.submit(current.assignment_id, {"confidence": 5, "comment": "a remark on the case"})
    said = words_of(study.open("coordinator", "progress.py")).lower()
    for word in ("confidence", "a remark", "true_positive", "false_positive", "correct", "conda"):
        assert word not in said, word


def test_the_tables_are_tables_to_a_screen_reader(make: Make) -> None:
    said = words_of(make().open("coordinator", "progress.py"))
    assert "<caption>Readers</caption>" in said
    assert said.count('<th scope="col">') == 9


def test_the_page_draws_itself_again_without_the_rest(make: Make) -> None:
    page = make().open("coordinator", "progress.py")
    assert page.get("html")
    assert "drawn again every 30 seconds" in words_of(page)


def test_a_revoked_coordinator_sees_no_more(make: Make) -> None:
    study = make()
    page = study.open("coordinator", "progress.py")
    accounts = Accounts(study.store())
    (mine,) = [a for a in accounts.accounts() if a.role == "coordinator"]
    accounts.revoke(mine.account_id, utc_now())
    page.run()
    assert "signed out" in words_of(page) and "readings are done" not in words_of(page)


def test_a_reader_sees_no_progress_of_others(make: Make) -> None:
    study = make()
    study.begin()
    script = NAVIGATION.parent / "progress.py"
    page = AppTest.from_file(str(script), default_timeout=30)
    page.user = study.open().user
    page.run()
    assert "another role" in words_of(page) and "readings are done" not in words_of(page)
