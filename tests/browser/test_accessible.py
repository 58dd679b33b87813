"""Every page of every role, and the forms before signing in, are looked through by axe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from study.clock import utc_now
from study.session import ReadingDesk
from tests.support.live_server import LiveServer, live_server
from tests.support.tiny_networks import write_networks
from tests.support.tiny_study import PASSPHRASE, TinyStudy
from tests.support.walk import PROFILE
from tests.support.whole_study import OTHER_READER, accept, invite, make_whole_study
from tests.support.window import SCREEN

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
)

LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OPTIONS = {"runOnly": {"type": "tag", "values": [*LEVELS, "best-practice"]}}
ANSWERS = {"confidence": 4, "trust": 60}


@dataclass
class Looked:
    """A served study and one page of a browser in it."""

    study: TinyStudy
    server: LiveServer
    page: Page

    @property
    def desk(self) -> ReadingDesk:
        """Desk of the reader R1, opened anew."""
        return ReadingDesk(self.study.store(), "R1", utc_now)

    def open(self, path: str, state: str) -> None:
        """Open a page and wait for what says that it is there."""
        self.page.goto(self.server.url + path)
        self.page.wait_for_selector(state)
        self.page.wait_for_selector("[data-test-script-state=notRunning]", state="attached")

    def sign_in(self, who: str) -> None:
        """Sign in through the form, as somebody else than before."""
        self.page.context.clear_cookies()
        self.page.goto(self.server.url + "/sign-in")
        self.page.get_by_label("Name").fill(who)
        self.page.get_by_label("Passphrase").fill(PASSPHRASE)
        self.page.get_by_role("button", name="Sign in").click()


@pytest.fixture(scope="module")
def looked(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looked]:
    root = tmp_path_factory.mktemp("accessible")
    study = make_whole_study(root / "study", n_cases=2)
    accept(study)
    for source, target in zip(
        write_networks(root),
        (study.folder.classifier, study.folder.network("autoencoder")),
        strict=True,
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
    with live_server(study.root, root / "server.log") as server:
        context = browser.new_context(viewport=SCREEN)  # type: ignore[arg-type]
        context.set_default_timeout(40_000)
        yield Looked(study, server, context.new_page())
        context.close()


def faults(page: Page) -> list[str]:
    """Return what axe objects to: one line for each element."""
    found: dict[str, Any] = axe.Axe().run(page, options=OPTIONS).response
    return [
        f"{fault['id']} ({fault['impact']}): {node['target']} {node['html'][:200]} "
        f"{node.get('failureSummary', '')[:300]}"
        for fault in found["violations"]
        for node in fault["nodes"]
    ]


def test_the_forms_before_signing_in_have_no_faults(looked: Looked) -> None:
    page, url = looked.page, looked.server.url
    page.goto(url + invite(looked.study, OTHER_READER))
    assert faults(page) == []
    page.get_by_label("Passphrase", exact=True).fill("not long")
    page.get_by_label("The same passphrase again").fill("not the same")
    page.evaluate("document.forms[0].noValidate = true")
    page.get_by_role("button").click()
    page.get_by_role("alert").wait_for()
    assert faults(page) == []
    page.context.clear_cookies()
    page.goto(url + "/sign-in")
    assert faults(page) == []
    page.get_by_label("Name").fill("R1")
    page.get_by_label("Passphrase").fill("wrong")
    page.get_by_role("button").click()
    page.get_by_role("alert").wait_for()
    assert faults(page) == []
    page.goto(url + "/invite/" + "0" * 64)
    assert faults(page) == []


def test_the_pages_of_a_reader_have_no_faults(looked: Looked) -> None:
    looked.sign_in("R1")
    page, desk = looked.page, looked.desk
    found: dict[str, list[str]] = {}

    def look(path: str, state: str, name: str = "") -> None:
        looked.open(path, state)
        found[name or path] = faults(page)

    def heading(words: str) -> str:
        return f'h3:has-text("{words}")'

    look("/", heading("Consent"), "consent")
    desk.consent()
    look("/", heading("About you"), "profile")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("alert").wait_for()
    found["profile, incomplete"] = faults(page)
    desk.keep_profile(PROFILE)
    look("/", heading("Before you read"), "instructions")
    desk.accept_instructions()
    look("/", heading("Practice comes first"), "worklist before practice")
    reading = ".viewer[data-state=ready]"
    look("/practice", reading)
    name = _current(desk)
    desk.submit(name, {**ANSWERS, "comment": "words"})
    look("/practice", heading("Practice case 1 of 1"), "practice feedback")
    desk.read_feedback(name)
    look("/", heading("left in session 1"), "worklist")
    look("/instructions", heading("Before you read"), "instructions again")
    look("/consent", heading("Consent"), "consent again")
    look("/profile?correct=yes", heading("About you"), "profile again")
    for number in range(2):  # both conditions, the second with a way back
        look("/reading", reading, f"reading {number}")
        if number == 0:
            desk.submit(_current(desk), ANSWERS)
    page.keyboard.press("Enter")
    page.locator(".item.missing").first.wait_for()
    found["reading, incomplete"] = faults(page)
    page.keyboard.press("?")
    page.locator(".viewer").get_by_role("dialog").wait_for()
    found["keys"] = faults(page)
    page.keyboard.press("Escape")
    for button, dialog in (("Report a problem",) * 2, ("Skip this case",) * 2):
        page.get_by_role("button", name=button).click()
        page.get_by_role("dialog", name=dialog).wait_for()
        found[dialog] = faults(page)
        page.get_by_role("button", name="Cancel").click()
    look("/revise", heading("Earlier answers"))
    done = desk.done()[0].assignment.assignment_id
    look(f"/revise?reading={done}", reading, "revise one")
    look("/pause", heading("Take a break?"), "pause")
    desk.start_break()
    look("/pause", heading("You are on a break"), "break")
    desk.end_break()
    while desk.step().kind == "reading":
        name = _current(desk)
        desk.display(name)
        desk.submit(name, ANSWERS)
    look("/", heading("All cases are read"), "worklist before closing")
    look("/closing", heading("Looking back"))
    for condition in looked.study.protocol.conditions:
        desk.close_condition(condition.id, {"liked": 3})
    look("/", heading("Thank you"), "finished")
    assert {name: said for name, said in found.items() if said} == {}


def _current(desk: ReadingDesk) -> str:
    current = desk.current()
    assert current is not None
    return current.assignment_id


def test_the_pages_of_coordinator_and_researcher_have_no_faults(looked: Looked) -> None:
    page, found = looked.page, {}
    looked.sign_in("coordinator")
    looked.open("/progress", "table, [data-testid=stDataFrame], .progress")
    found["progress"] = faults(page)
    looked.open("/results", "[data-testid=stMain] :is(.notice, .primary)")
    found["results"] = faults(page)
    looked.sign_in("researcher")
    page.wait_for_selector(".viewer[data-state=ready]")
    page.wait_for_selector(".js-plotly-plot")
    page.wait_for_selector("[data-test-script-state=notRunning]", state="attached")
    found["explorer"] = faults(page)
    assert {name: said for name, said in found.items() if said} == {}
