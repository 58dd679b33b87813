"""Results: locked while readings are missing, then the declared endpoint first, then the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.outcome.work import ReportWork
from study.folder import StudyFolder
from study.reporting import gather, material_of
from study.store import StudyStore
from tests.study.test_reporting import ENVIRONMENT
from tests.support.finished_study import make_finished
from tests.support.pages import NAVIGATION
from tests.support.reader_study import button, words_of
from tests.support.tiny_study import PASSPHRASE, quick_accounts

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Open = Callable[..., AppTest]


@pytest.fixture
def open_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    def opened(**choices: int) -> AppTest:
        folder = make_finished(tmp_path / "study", **choices)
        monkeypatch.setenv("COUNTERLIGHT_STUDY", str(folder.root))
        st.cache_resource.clear()
        accounts = quick_accounts(folder.database)
        login = accounts.sign_in("coordinator", PASSPHRASE, datetime.now(UTC), "test")
        page = AppTest.from_file(str(NAVIGATION), default_timeout=60)
        page.user = {"login": login}
        page.run()
        page.switch_page("results.py").run()
        assert not page.exception, page.exception
        return page

    return opened


def finish(page: AppTest) -> AppTest:
    """Wait for the report that is made beside the page, and show the page again."""
    for _ in range(60):
        page.run()
        assert not page.exception, page.exception
        if any(b.label == "Download everything (ZIP)" for b in page.get("download_button")):
            return page
        time.sleep(0.5)
    raise AssertionError("the report did not come")


def test_the_declared_endpoint_stands_first_with_interval_and_population(
    open_results: Open,
) -> None:
    page = open_results()
    said = words_of(page)
    assert "As declared in the protocol" in said
    assert "Primary endpoint: confidence" in said and "95 % interval" in said
    assert "these readers; 2 readers" in said
    assert "simulated readers" in said


def test_sections_words_and_files_come_when_they_are_made(open_results: Open) -> None:
    page = finish(open_results())
    tabs = [tab.label for tab in page.tabs]
    assert tabs[0] == "Primary endpoint"
    assert "Ordinal models: confidence" in tabs and "Missing readings" in tabs
    tables = [frame.value for frame in page.dataframe]
    first = tables[0]
    assert first["role"].tolist().count("declared") == 1
    assert "nobody: independent readings" in first["speaks for"].tolist()
    shown = " ".join(str(cell) for table in tables for cell in table.to_numpy().ravel())
    assert " nan" not in shown.lower()
    assert "Statistical analysis" in words_of(page)


def test_while_readings_are_missing_there_are_counts_only(open_results: Open) -> None:
    page = open_results(n_read=18)
    said = words_of(page)
    assert "18 of 48 readings are done; 30 are missing" in said
    assert "Primary endpoint" not in said and not page.get("plotly_chart")
    assert page.button(key="show_interim").disabled
    assert "raises the chance of a false positive" in page.warning[0].value


def test_interim_results_need_a_confirmation_and_are_marked(open_results: Open) -> None:
    page = open_results(n_read=18)
    page.checkbox(key="understood").check().run()
    button(page, "Show interim results")
    said = words_of(page)
    assert "⚠ Interim: 30 readings are missing" in said
    assert "Primary endpoint: confidence" in said


def test_no_ratings_and_no_pairs_are_said(open_results: Open) -> None:
    assert "No ratings yet" in words_of(open_results(n_read=0))


def test_a_report_that_nobody_waits_for_is_given_up(tmp_path: Path) -> None:
    folder = make_finished(tmp_path / "study")
    store = StudyStore.open(folder.database)
    gathered = gather(StudyFolder(folder.root), store)
    store.close()
    times = iter([0.0, 0.0])
    work = ReportWork(gathered, material_of(gathered), ENVIRONMENT, clock=lambda: next(times, 1e9))
    assert work.running and work.stage == 0
    work.start()
    assert work.wait(60)
    assert work.given_up and work.report is None and work.archive is None


def test_a_report_is_made_in_stages(tmp_path: Path) -> None:
    folder = make_finished(tmp_path / "study")
    store = StudyStore.open(folder.database)
    gathered = gather(StudyFolder(folder.root), store)
    store.close()
    work = ReportWork(gathered, material_of(gathered), ENVIRONMENT)
    work.start()
    assert work.wait(120)
    assert work.stage == 3 and not work.given_up and work.problem == ""
    assert work.report is not None and work.report.has_models
    assert work.archive is not None and work.archive[:2] == b"PK"
    share, _ = work.state()
    assert 0 <= share <= 1
