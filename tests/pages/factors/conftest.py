"""The tiny study with a factor set, and its pages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.support.pages import NAVIGATION, OpenPage
from tests.support.tiny_factors import write_factor_study
from tests.support.tiny_study import TinyStudy, make_tiny_study


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("factors") / "study")


@pytest.fixture
def study(made_once: TinyStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyStudy:
    """A copy that may be written into."""
    shutil.copytree(made_once.root, tmp_path / "study")
    monkeypatch.setenv("COUNTERLIGHT_STUDY", str(tmp_path / "study"))
    return TinyStudy(tmp_path / "study", made_once.protocol)


@pytest.fixture
def with_factors(study: TinyStudy) -> TinyStudy:
    write_factor_study(study.folder.classifier.parent)
    return study


@pytest.fixture
def open_factors_page(study: TinyStudy) -> OpenPage:
    """Return a function that opens the factors page with a query, as the researcher."""

    def opened(**query: str) -> AppTest:
        page = AppTest.from_file(str(NAVIGATION), default_timeout=60)
        page.user = {"login": study.login("researcher")}
        for name, value in query.items():
            page.query_params[name] = value
        return page.switch_page("factors.py").run()

    return opened
