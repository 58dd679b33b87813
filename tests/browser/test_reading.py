"""A reader's whole way through a study in Chromium, with a reload and a restart in the middle."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from study.clock import utc_now
from study.session import ReadingDesk
from tests.support.live_server import LiveServer, live_server
from tests.support.tiny_study import FORBIDDEN_WORDS, N_FRAMES, TinyStudy, make_tiny_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

SCREEN = {"width": 1366, "height": 768}
ORIGIN = str(N_FRAMES // 2)


@dataclass
class Window:
    """A browser window and everything it was sent by the server about a study."""

    page: Page
    sent: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Collect addresses, websocket frames and script errors."""
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("websocket", lambda ws: ws.on("framereceived", self._frame))

    def _frame(self, payload: str | bytes) -> None:
        self.sent.append(payload if isinstance(payload, str) else payload.decode("latin-1"))

    def sign_in(self, url: str, code: str) -> None:
        self.page.goto(url)
        self.page.get_by_label("Sign-in code").fill(code)
        self.page.get_by_role("button", name="Sign in").click()

    def wait_for_case(self, assignment_id: str) -> None:
        """Wait until a case is there with all its pictures."""
        self.page.wait_for_selector(f".st-key-next_{assignment_id}")
        self.page.wait_for_selector(f".st-key-viewer_{assignment_id} .viewer[data-state=ready]")
        self.page.locator(".viewer").nth(1).wait_for(state="detached")  # the case before
        self.sent.append(self.page.content())

    def choose(self, assignment_id: str, item: str, value: int) -> None:
        place = self.page.locator(f".st-key-answer_{assignment_id}_{item}")
        place.get_by_role("radio", name=str(value), exact=True).click()
        place.locator('[aria-checked="true"]').wait_for()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("browser") / "study")


@pytest.fixture(scope="module")
def server(study: TinyStudy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(study.root, tmp_path_factory.mktemp("log") / "server.log") as running:
        yield running


def open_window(browser: Browser) -> Window:
    context = browser.new_context(viewport=SCREEN)
    context.set_default_timeout(20_000)
    window = Window(context.new_page())
    window.listen()
    return window


def current(study: TinyStudy):
    return ReadingDesk(study.store(), "R1", utc_now).current()


def next_case(window: Window, study: TinyStudy, submitted: str) -> None:
    """Wait until the server has stored a reading."""
    for _ in range(100):
        now = current(study)
        if now is None or now.assignment_id != submitted:
            return
        window.page.wait_for_timeout(100)
    raise AssertionError("the reading was not stored")


def fits(page: Page) -> bool:
    """Say whether the page shows everything without scrolling."""
    return bool(
        page.evaluate(
            """() => {
                const main = document.querySelector('[data-testid="stMain"]');
                return main.scrollHeight <= main.clientHeight + 1
                    && document.documentElement.scrollWidth <= window.innerWidth;
            }"""
        )
    )


def film_share(page: Page) -> float:
    """Return the share of the width that the viewer takes."""
    return page.locator(".viewer").bounding_box()["width"] / SCREEN["width"]


def scrub(window: Window) -> None:
    """Move through the moving film by keys and slider, and check that nothing is fetched."""
    page, before = window.page, len(window.requests)
    assert page.locator(".viewer").get_attribute("data-frame") == ORIGIN
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert page.locator(".viewer").get_attribute("data-frame") == "0"
    page.locator(".slider").fill(str(N_FRAMES - 1))
    for key in ("h", "i", "r", "c", "H", "I"):
        page.keyboard.press(key)
    page.mouse.move(200, 300)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(300)
    assert len(window.requests) == before
    assert page.locator('[role="dialog"]').count() == 0
    assert "1.0×" not in page.locator(".numbers").inner_text()


def test_three_cases_in_both_conditions_are_read_and_arrive_exactly(
    browser: Browser, server: LiveServer, study: TinyStudy
) -> None:
    window = open_window(browser)
    page = window.page
    window.sign_in(server.url, study.reader_code)
    page.get_by_role("button", name="I have read this").click()
    expected: dict[tuple[str, str], object] = {}
    for number in range(6):
        reading = current(study)
        assert reading is not None
        name = reading.assignment_id
        window.wait_for_case(name)
        assert fits(page) and film_share(page) > 0.74
        if reading.condition == "B":
            scrub(window)
        confidence, correct = number % 5 + 1, 5 - number % 5
        window.choose(name, "confidence", confidence)
        if number == 1:
            page.wait_for_timeout(500)
            page.reload()
            window.wait_for_case(name)
            kept = page.locator(f".st-key-answer_{name}_confidence [aria-checked=true]")
            assert kept.inner_text().strip() == str(confidence)
        if number == 3:
            page.wait_for_timeout(500)
            server.restart()
            page.wait_for_timeout(3000)
        page.locator(".caption").first.click(force=True)
        if number % 2:
            page.keyboard.press(str(correct))
        else:
            window.choose(name, "correct_feature", correct)
        page.wait_for_timeout(400)
        page.get_by_role("button", name="Next case").click()
        next_case(window, study, name)
        expected |= {(name, "confidence"): confidence, (name, "correct_feature"): correct}
    page.get_by_text("You have read every case").wait_for()
    stored = {
        (r.assignment_id, r.item): r.value for r in study.store().ratings() if r.item != "comment"
    }
    assert stored == expected
    assert not window.problems
    _nothing_leaked(window)
    _results_show(browser, server, study)


def _nothing_leaked(window: Window) -> None:
    """Nothing sent about the study names a case, a method, a source or the truth."""
    texts = [*window.sent, *window.requests]
    assert any("Lung Opacity" in text for text in texts)
    for word in FORBIDDEN_WORDS:
        assert not any(word in text for text in texts), word
    own = re.compile(r"(https?|ws)://127\.0\.0\.1:\d+/(?!media/)|blob:|data:")
    assert not [url for url in window.requests if not own.match(url)]


def _results_show(browser: Browser, server: LiveServer, study: TinyStudy) -> None:
    """The coordinator finds the readings on the results page, and the same numbers in the CSV."""
    window = open_window(browser)
    page = window.page
    window.sign_in(server.url, study.coordinator_code)
    page.get_by_text("6 of 6 readings are done").wait_for()
    page.get_by_role("link", name="Results").click()
    page.locator(".primary").wait_for()
    assert "confidence" in page.locator(".primary").inner_text()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download ratings (CSV)").click()
    rows = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    columns = rows[0].split(",")
    at = [columns.index(name) for name in ("assignment_id", "item", "value")]
    shown = {tuple(row.split(",")[i] for i in at) for row in rows[1:]}
    for rating in study.store().ratings():
        if rating.item != "comment":
            assert any(
                row[:2] == (rating.assignment_id, rating.item) and float(row[2]) == rating.value
                for row in shown
            )
    assert not window.problems


def test_a_lost_connection_is_said_and_the_original_presentation_plays_by_itself(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("original")
    study = make_tiny_study(root / "study", autoplay=True)
    desk = ReadingDesk(study.store(), "R1", utc_now)
    desk.accept_instructions()
    while (reading := desk.current()) is not None and reading.condition != "B":
        desk.display(reading.assignment_id)
        desk.submit(reading.assignment_id, {"confidence": 3, "correct_feature": 3})
    with live_server(study.root, root / "server.log") as server:
        window = open_window(browser)
        page = window.page
        page.route("**/frames/**", lambda route: route.abort())
        window.sign_in(server.url, study.reader_code)
        page.get_by_role("button", name="reading").or_(
            page.get_by_role("button", name="Start session")
        ).first.click()
        page.get_by_text("The connection is lost").wait_for()
        page.unroute("**/frames/**")
        page.wait_for_selector(".viewer[data-state=ready][data-playing=true]")
        assert page.locator(".message").inner_text() == ""
        assert page.locator(".slider").count() == 0 and page.locator(".play").count() == 0
        seen = set()
        for _ in range(20):
            seen.add(page.locator(".viewer").get_attribute("data-frame"))
            page.wait_for_timeout(60)
        assert len(seen) >= 3
