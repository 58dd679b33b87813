"""A card of a clinical review in a real browser: stacked pictures, words that are called for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pages.web.gate import COOKIE
from study.session import ReadingDesk
from tests.support.live_server import live_server
from tests.support.tiny_review import begin, make_tiny_review
from tests.support.window import SCREEN

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_card_fits_the_screen_and_asks_for_words_after_yes(
    browser: Browser, tmp_path: Path
) -> None:
    study = make_tiny_review(tmp_path / "study", experts=1)
    desk = ReadingDesk(study.store(), "R1", lambda: datetime.now(UTC))
    begin(desk)
    with live_server(study.root, tmp_path / "server.log") as server:
        context = browser.new_context(viewport=SCREEN)  # type: ignore[arg-type]
        context.add_cookies([{"name": COOKIE, "value": study.login("R1"), "url": server.url}])
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{server.url}/reading")
        form = page.locator("[data-reading]")
        form.wait_for(timeout=30_000)
        page.locator(".panel canvas").nth(3).wait_for()
        boxes = [panel.bounding_box() for panel in page.locator(".panel").all()]
        assert len(boxes) == 4 and all(boxes)
        film, rebuilt, perturbed, moving = (box for box in boxes if box is not None)
        assert film["x"] == rebuilt["x"] == perturbed["x"]
        assert film["y"] < rebuilt["y"] < perturbed["y"] < 700
        assert moving["height"] > 2.9 * film["height"]
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")

        description = page.locator("[data-item=description]")
        assert description.get_attribute("inert") is not None
        page.keyboard.press("1")  # yes: the focus goes to the words
        assert description.get_attribute("inert") is None
        page.keyboard.press("Escape")
        page.keyboard.press("3")  # relevant: no
        page.keyboard.press("Enter")
        page.get_by_text("Still to answer: If yes, describe it").wait_for()
        description.locator("textarea").focus()
        page.keyboard.type("Brighter spot")
        first = desk.current()
        assert first is not None
        page.keyboard.press("Control+Enter")
        page.locator(f"[data-reading]:not([data-reading='{first.assignment_id}'])").wait_for()
        (done,) = desk.done()
        assert done.answers["description"] == "Brighter spot"
        assert problems == []
        context.close()
