"""The factors page in Chromium: keys move pictures and numbers, a link is kept, axe is content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from data.manifest import CaseSet
from pages.factoring.factors import files_of, opened
from pages.factoring.styles import FilmStyles, keep_styles, styles_folder
from pages.factoring.subject import key_of
from pages.web.gate import COOKIE
from tests.support.live_server import LiveServer, live_server
from tests.support.tiny_factors import DIMENSIONS, write_factor_study
from tests.support.tiny_study import FINDING, TinyStudy, make_tiny_study
from tests.support.window import open_window

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
)
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    made = make_tiny_study(tmp_path_factory.mktemp("factors") / "study")
    write_factor_study(made.folder.classifier.parent)
    keep_first_film(made)
    return made


@pytest.fixture(scope="module")
def server(study: TinyStudy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(study.root, tmp_path_factory.mktemp("served") / "server.log") as running:
        yield running


def keep_first_film(study: TinyStudy) -> None:
    """Give the first film a place in S, so that it opens without a search."""
    classifier, factors = opened(files_of(study.folder))
    cases = CaseSet.open(study.folder.cases)
    key = key_of(cases.entry(cases.case_ids[0]).sha256, classifier, factors)
    found = FilmStyles(factors.known.mean, 5.0, np.zeros(len(classifier.findings), np.float32))
    keep_styles(styles_folder(study.folder), key, found)


def test_keys_move_pictures_and_numbers_and_the_address_keeps_them(
    browser: Browser, study: TinyStudy, server: LiveServer
) -> None:
    window = open_window(browser)
    page = window.page
    cookie = {"name": COOKIE, "value": study.login("researcher"), "url": server.url}
    page.context.add_cookies([cookie])  # type: ignore[list-item]
    page.goto(f"{server.url}/factors?finding={FINDING.replace(' ', '+')}")
    ready = page.locator(".st-key-viewer_factors .viewer[data-state=ready]")
    ready.wait_for(timeout=60_000)
    changed = page.locator(".predictions .here b")
    before = changed.inner_text()
    page.evaluate(
        "() => { window.painted = 0;"
        " window.addEventListener('counterlight:painted', () => { window.painted += 1; }); }"
    )
    page.get_by_role("button", name="Heart size: highest").press("Enter")
    page.wait_for_function("() => window.painted > 0")
    slider = page.get_by_role("slider", name=f"Dimension {DIMENSIONS[1]}")
    for _ in range(4):
        slider.press("ArrowLeft")
    wanted = f"{DIMENSIONS[0]}:1,{DIMENSIONS[1]}:-0.2"
    page.wait_for_function(
        "wanted => new URLSearchParams(location.search).get('moved') === wanted", arg=wanted
    )
    ready.wait_for()
    found: dict[str, Any] = (
        axe.Axe().run(page, options={"runOnly": {"type": "tag", "values": LEVELS}}).response
    )
    assert [fault["id"] for fault in found["violations"]] == []
    after = changed.inner_text()
    page.reload()
    ready.wait_for()
    assert parse_qs(urlsplit(page.url).query)["moved"] == [wanted]
    assert slider.input_value() == "-4" and changed.inner_text() == after
    page.get_by_role("button", name="All to 0").click()
    page.wait_for_function("() => !location.search.includes('moved')")
    page.wait_for_function(
        "text => document.querySelector('.predictions .here b').innerText === text", arg=before
    )
    assert not window.problems
