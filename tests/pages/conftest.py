"""A tiny study on disk, and pages opened in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.support.pages import OpenPage
from tests.support.tiny_study import TinyStudy, make_tiny_study

PAGES = Path(__file__).parents[2] / "pages"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyStudy:
    made = make_tiny_study(tmp_path / "study")
    monkeypatch.setenv("COUNTERLIGHT_STUDY", str(made.root))
    return made


@pytest.fixture
def open_page(study: TinyStudy) -> OpenPage:
    """Return a function that opens the app (or one page's script) as somebody, or as nobody."""

    def opened(who: str | None, script: str = "navigation.py") -> AppTest:
        page = AppTest.from_file(str(PAGES / script), default_timeout=30)
        page.user = {"login": study.login(who)} if who else {}
        return page.run()

    return opened
