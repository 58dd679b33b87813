"""A reader's browser window: what it does, and everything it was sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pages.web.gate import COOKIE
from study.allocation import Assignment
from study.clock import utc_now
from study.session import ReadingDesk
from tests.support.tiny_study import PASSPHRASE, TinyStudy

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

SCREEN = {"width": 1366, "height": 768}


@dataclass
class Window:
    """One page."""

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

    def sign_in(self, url: str, who: str, passphrase: str = PASSPHRASE) -> None:
        """Sign in through the form."""
        self.page.goto(url)
        self.page.get_by_label("Name").fill(who)
        self.page.get_by_label("Passphrase").fill(passphrase)
        self.page.get_by_role("button", name="Sign in").click()


@dataclass
class ReaderWindow(Window):
    """One page of a signed-in reader."""

    study: TinyStudy = field(kw_only=True)
    url: str = field(kw_only=True)
    reader_id: str = field(default="R1", kw_only=True)

    def desk(self) -> ReadingDesk:
        """The reader's desk, opened anew as another process would."""
        return ReadingDesk(self.study.store(), self.reader_id, utc_now)

    def current(self) -> Assignment:
        """What the store says is read now."""
        current = self.desk().current()
        assert current is not None
        return current

    def open(self, path: str = "/reading") -> None:
        """Load a page."""
        self.page.goto(self.url + path)

    def form(self, assignment_id: str) -> Locator:
        """The form of a reading."""
        return self.page.locator(f'.reading-form[data-reading="{assignment_id}"]')

    def item(self, name: str) -> Locator:
        """A question of the form that is shown."""
        return self.page.locator(f'.item[data-item="{name}"]')

    def chosen(self, name: str) -> list[str]:
        """Labels of what is chosen in a question."""
        marked = self.item(name).locator('[aria-checked="true"]')
        return [one.get_attribute("aria-label") or "" for one in marked.all()]

    def wait_for_case(self, assignment_id: str) -> None:
        """Wait until a case is there with its form and all its pictures."""
        self.form(assignment_id).wait_for()
        self.page.wait_for_selector(f".st-key-viewer_{assignment_id} .viewer[data-state=ready]")
        self.page.locator(".viewer").nth(1).wait_for(state="detached")  # the case before
        self.page.locator(".reading-form").nth(1).wait_for(state="detached")
        self.sent.append(self.page.content())

    def wait_for_status(self, words: str) -> None:
        """Wait until the line about saving says something."""
        self.page.locator(".reading-form .status").get_by_text(words).wait_for()

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + 20
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError("what was waited for did not come")
            self.page.wait_for_timeout(50)

    def wait_until_stored(self, assignment_id: str) -> None:
        """Wait until the store has moved on from a reading."""

        def moved_on() -> bool:
            current = self.desk().current()
            return current is None or current.assignment_id != assignment_id

        self.wait_until(moved_on)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, wherever the focus is."""
        for key in keys:
            self.page.keyboard.press(key)

    def go_on(self, button: str) -> None:
        """Press Enter where it works the page's main button."""
        go_on(self.page, button)

    def fits(self) -> bool:
        """Say whether everything is there without scrolling."""
        return bool(
            self.page.evaluate(
                """() => {
                    const main = document.querySelector('[data-testid="stMain"]');
                    return main.scrollHeight <= main.clientHeight + 1
                        && document.documentElement.scrollWidth <= window.innerWidth;
                }"""
            )
        )

    def film_share(self) -> float:
        """Return the share of the width that the viewer takes."""
        box = self.page.locator(".viewer").bounding_box()
        assert box is not None
        return box["width"] / SCREEN["width"]


def stands_still(page: Page) -> None:
    """Wait until the page's script has run."""
    page.locator("[data-test-script-state=notRunning]").first.wait_for(state="attached")


def go_on(page: Page, button: str) -> None:
    """Press Enter where it works the page's main button, once the page listens for it."""
    page.get_by_role("button", name=button).wait_for()
    stands_still(page)
    # The button has its key behind the frame that shows it.
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
    page.keyboard.press("Enter")


def reader_context(
    browser: Browser, study: TinyStudy, url: str, reader_id: str = "R1"
) -> BrowserContext:
    """Return a browser profile in which a reader is signed in."""
    context = browser.new_context(viewport=SCREEN)  # type: ignore[arg-type]
    context.set_default_timeout(20_000)
    context.add_cookies([{"name": COOKIE, "value": study.login(reader_id), "url": url}])
    return context


def reader_window(
    context: BrowserContext, study: TinyStudy, url: str, reader_id: str = "R1"
) -> ReaderWindow:
    """Open one more window of a profile."""
    window = ReaderWindow(context.new_page(), study=study, url=url, reader_id=reader_id)
    window.listen()
    return window


def open_window(browser: Browser) -> Window:
    """Open a window in which nobody is signed in."""
    context = browser.new_context(viewport=SCREEN)  # type: ignore[arg-type]
    context.set_default_timeout(20_000)
    window = Window(context.new_page())
    window.listen()
    return window
