"""A reader in Chromium who has no mouse: presses keys, and looks where the focus is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from study.allocation import Assignment
from study.clock import utc_now
from study.session import ReadingDesk
from tests.support.tiny_study import TinyStudy
from tests.support.window import SCREEN, go_on, stands_still

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

PATIENCE_S: Final = 40
MOST_TABS: Final = 120

_FOCUSED: Final = """() => {
    let at = document.activeElement;
    while (at && at.shadowRoot && at.shadowRoot.activeElement) at = at.shadowRoot.activeElement;
    if (!at || at === document.body) return {name: '', role: '', tag: '', id: ''};
    const root = at.getRootNode();
    const said = ids => (ids || '').split(/\\s+/).filter(Boolean)
        .map(id => root.getElementById(id)?.textContent ?? '').join(' ');
    const label = at.labels && at.labels.length ? at.labels[0].textContent : '';
    const group = at.closest('[role=radiogroup], [role=group], fieldset, .item');
    const of = group && group !== at
        ? group.getAttribute('aria-label') || said(group.getAttribute('aria-labelledby')) : '';
    const name = said(at.getAttribute('aria-labelledby')) || at.getAttribute('aria-label')
        || label || at.textContent || '';
    return {name: name.replace(/\\s+/g, ' ').trim(), group: of.replace(/\\s+/g, ' ').trim(),
            role: at.getAttribute('role') || at.type || '', tag: at.tagName, id: at.id};
}"""

_WATCH: Final = """
    window.pointed = [];
    for (const kind of ['pointerdown', 'mousedown', 'touchstart', 'wheel']) {
        window.addEventListener(kind, event => window.pointed.push(kind), {capture: true});
    }
"""


@dataclass
class KeyboardReader:
    """One reader at a page.

    Parameters
    ----------
    page
        The browser's page.
    study
        The study that is read.
    url
        Address of the server, without a trailing slash.
    reader_id
        Who reads.
    """

    page: Page
    study: TinyStudy
    url: str
    reader_id: str = "R1"
    problems: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Collect errors of scripts, and note every use of a pointer."""
        self.page.add_init_script(_WATCH)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))

    def desk(self) -> ReadingDesk:
        """The reader's desk, opened anew as another process would."""
        return ReadingDesk(self.study.store(), self.reader_id, utc_now)

    def current(self) -> Assignment:
        """What the store says is read or practised now."""
        current = self.desk().current()
        assert current is not None
        return current

    # -- keys ------------------------------------------------------------------------------------

    def press(self, *keys: str) -> None:
        """Press keys one after the other, wherever the focus is."""
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, words: str) -> None:
        """Type a text."""
        self.page.keyboard.type(words)

    def focused(self) -> dict[str, Any]:
        """Say what has the focus: name, group, role, tag and id."""
        found: dict[str, Any] = self.page.evaluate(_FOCUSED)
        return found

    def tab_to(self, name: str, *, group: str = "", back: bool = False) -> None:
        """Press Tab until what has the focus is called ``name`` (or begins so)."""
        seen = []
        for _ in range(MOST_TABS):
            self.press("Shift+Tab" if back else "Tab")
            at = self.focused()
            seen.append(at["name"])
            if at["name"].startswith(name) and at.get("group", "").startswith(group):
                return
        raise AssertionError(f"Tab does not lead to {name!r}; it leads to {seen[:40]}")

    # -- states ----------------------------------------------------------------------------------

    def wait_until(self, holds: Any) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError("what was waited for did not come")
            self.page.wait_for_timeout(50)

    def wait_for_heading(self, words: str) -> None:
        """Wait until a page with this heading stands still."""
        self.page.get_by_role("heading", name=words).first.wait_for()
        self.stands_still()

    def go_on(self, button: str) -> None:
        """Press Enter where it works the page's main button."""
        go_on(self.page, button)

    def stands_still(self) -> None:
        """Wait until the page's script has run."""
        stands_still(self.page)

    def wait_for_case(self, assignment_id: str) -> None:
        """Wait until a case is there with its form and all its pictures, and alone."""
        page = self.page
        page.locator(f'.reading-form[data-reading="{assignment_id}"]').wait_for()
        page.wait_for_selector(f".st-key-viewer_{assignment_id} .viewer[data-state=ready]")
        page.locator(".viewer").nth(1).wait_for(state="detached")
        page.locator(".reading-form").nth(1).wait_for(state="detached")

    def wait_for_status(self, words: str) -> None:
        """Wait until the line about saving says something."""
        self.page.locator(".reading-form .status").get_by_text(words).wait_for()

    def state(self, name: str) -> str | None:
        """What the viewer says of itself: frame, window, overlays, …"""
        return self.page.locator(".viewer").get_attribute(f"data-{name}")

    def pointed(self) -> list[str]:
        """Return the uses of a pointer on this page."""
        found: list[str] = self.page.evaluate("() => window.pointed ?? []")
        return found

    # -- steps -----------------------------------------------------------------------------------

    def accept(self, path: str, passphrase: str) -> None:
        """Open the invitation and set a passphrase."""
        self.page.goto(self.url + path)
        self.page.get_by_role("heading", name="Your invitation").wait_for()
        self.wait_until(lambda: self.focused()["id"] == "passphrase")
        self.type(passphrase)
        self.press("Tab")
        self.type(passphrase)
        self.press("Enter")

    def sign_in(self, passphrase: str) -> None:
        """Open the study and sign in; the name has the focus."""
        self.page.goto(self.url)
        self.wait_until(lambda: self.focused()["id"] == "name")
        self.type(self.reader_id)
        self.press("Tab")
        self.type(passphrase)
        self.press("Enter")

    def consent(self) -> None:
        """Consent by the button."""
        self.wait_for_heading("Consent")
        self.tab_to("I consent")
        self.press("Enter")

    def profile(self) -> None:
        """Fill in the profile."""
        self.wait_for_heading("About you")
        self.tab_to("radiologist")
        self.press("Space", "ArrowDown", "ArrowUp")
        self.tab_to("Years of practice")
        self.type("12")
        self.tab_to("Subspecialty")
        self.type("chest")
        self.tab_to("never")
        self.press("Space", "ArrowRight")
        self.tab_to("diagnostic")
        self.press("Space")
        self.tab_to("I see both squares")
        self.press("Space")
        self.tab_to("Go on")
        self.press("Enter")

    def instructions(self) -> None:
        """Accept the instructions."""
        self.wait_for_heading("Before you read")
        self.tab_to("I have read this")
        self.press("Enter")

    def to_practice(self) -> str:
        """Take the steps before the first case; returns its assignment id."""
        self.consent()
        self.profile()
        self.instructions()
        self.wait_until(lambda: self.desk().step().kind in ("practice", "reading"))
        name = self.current().assignment_id
        self.wait_for_case(name)
        return name

    def finish_case(self, assignment_id: str) -> None:
        """Press Enter and wait until the store has moved on."""
        self.press("Enter")

        def moved_on() -> bool:
            step = self.desk().step()
            return (
                step.assignment is None
                or step.assignment.assignment_id != assignment_id
                or (step.kind == "practice_feedback")
            )

        self.wait_until(moved_on)

    def close(self, liked: int, words: str) -> None:
        """Answer the closing questions on one condition."""
        self.wait_for_heading("Looking back")
        self.tab_to("1")
        self.press(*["ArrowRight"] * (liked - 1))
        assert self.focused()["name"] == str(liked)
        self.press("Space")
        self.tab_to("In your words")
        self.type(words)
        self.tab_to("Save and go on")
        self.press("Enter")


def keyboard_reader(
    browser: Browser, study: TinyStudy, url: str
) -> tuple[BrowserContext, KeyboardReader]:
    """Open a browser profile in which nobody is signed in, and a reader at its page."""
    context = browser.new_context(viewport=SCREEN)  # type: ignore[arg-type]
    context.set_default_timeout(1000 * PATIENCE_S)
    reader = KeyboardReader(context.new_page(), study, url)
    reader.listen()
    return context, reader
