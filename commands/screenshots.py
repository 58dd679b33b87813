"""``counterlight screenshots``: the pictures of the documentation, taken from a running server."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from commands.progress import progress_bar
from commands.screenshot_studies import copy_of, finish, served
from study.accounts import Accounts, Role
from study.clock import utc_now
from study.errors import StudyError
from study.folder import StudyFolder
from study.items import Item
from study.profile import ReaderProfile
from study.session import ReadingDesk
from study.store import StudyStore

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

READY: Final = ".viewer[data-state=ready]"
_SETTLED_MS: Final = 900
BROWSER_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREEN: Final = (1366, 768)
MOST_READINGS: Final = 12
FEW_READINGS: Final = 3
PATIENCE_MS: Final = 120_000
PICTURES: Final = (
    "sign-in.png",
    "invitation.png",
    "instructions.png",
    "practice.png",
    "worklist.png",
    "pause.png",
    "reading-a.png",
    "reading-b.png",
    "viewer-help.png",
    "earlier-answers.png",
    "closing.png",
    "progress.png",
    "explorer.png",
    "results.png",
)
"""Of a study like the demo; each condition is photographed once."""

_PROFILE: Final = ReaderProfile(
    role="radiologist",
    years_of_practice=12,
    subspecialty="chest",
    prior_ai_use="tried",
    display="diagnostic",
    attested=True,
)


@click.command("screenshots")
@click.argument("study_dir", metavar="STUDY", type=click.Path(path_type=Path))
@click.option(
    "--out", default=Path("docs/images"), show_default=True, type=click.Path(path_type=Path)
)
@click.option(
    "--browser", "program", default=None, help="Chromium; found on the path if not given."
)
@click.option(
    "--size",
    nargs=2,
    type=click.IntRange(320, 8192),
    default=SCREEN,
    show_default=True,
    metavar="WIDTH HEIGHT",
    help="Of the browser's window, in pixels.",
)
def command(study_dir: Path, out: Path, program: str | None, size: tuple[int, int]) -> None:
    """Take the screenshots of the documentation from STUDY.

    Works on a copy: STUDY itself, its readings and its accounts stay as they are.
    """
    source = StudyFolder.open(study_dir)
    chromium = program or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise StudyError("Chromium was not found; install it, or name it with --browser.")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise StudyError(
            "Screenshots need the developer tools; install them with `pip install -e .[dev]`."
        ) from None
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        sync_playwright() as playwright,
        closing(
            playwright.chromium.launch(executable_path=chromium, args=list(BROWSER_ARGUMENTS))
        ) as browser,
        progress_bar("pictures", len(PICTURES)) as on_progress,
    ):
        studio = Studio(browser, out, size)
        for done, name in enumerate(_take_all(source, Path(scratch), studio), start=1):
            on_progress(min(done, len(PICTURES)), len(PICTURES))
            click.echo(str(out / name), err=True)


@dataclass(frozen=True)
class Studio:
    """A browser that takes pictures.

    Parameters
    ----------
    browser
        Chromium.
    out
        Where the pictures go.
    size
        Width and height of its windows, in pixels.
    """

    browser: Browser
    out: Path
    size: tuple[int, int]

    def open(self, address: str) -> Page:
        """Open an address in a profile of its own."""
        context = self.browser.new_context(viewport={"width": self.size[0], "height": self.size[1]})
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.goto(address)
        return page

    def shoot(self, page: Page, name: str) -> str:
        """Take a picture of a page when it stands still, and return its file name."""
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(_SETTLED_MS)
        page.screenshot(path=self.out / name)
        return name

    def sign_in(
        self, url: str, folder: StudyFolder, role: Role, reader_id: str | None = None
    ) -> Page:
        """Open a window of a fresh login with ``role``."""
        page = self.open(url + _invitation(folder, role, reader_id))
        passphrase = secrets.token_hex(16)
        page.fill("#passphrase", passphrase)
        page.fill("#repeat", passphrase)
        page.click("button")
        page.wait_for_selector("[data-testid=stApp]")
        return page


def _take_all(source: StudyFolder, scratch: Path, studio: Studio) -> Iterator[str]:
    """Take every picture, and yield its file name when it is there."""
    reading = copy_of(source, scratch / "reading")
    with served(reading) as url:
        yield studio.shoot(studio.open(url), "sign-in.png")
        with closing(StudyStore.open(reading.database)) as store:
            desk = PatientDesk(store, _fresh_reader(store))
            path = _invitation(reading, "reader", desk.reader_id)
            yield studio.shoot(studio.open(url + path), "invitation.png")
            yield from _reader(studio, url, reading, desk)
            page = studio.sign_in(url, reading, "coordinator")
            page.get_by_text("Last seen").first.wait_for()
            yield studio.shoot(page, "progress.png")
            yield from _closing(studio, url, reading, desk)
        page = studio.sign_in(url, reading, "researcher")
        page.wait_for_selector(READY)
        page.wait_for_selector(".js-plotly-plot")
        yield studio.shoot(page, "explorer.png")
    finished = copy_of(source, scratch / "finished")
    finish(finished)
    with served(finished) as url:
        page = studio.sign_in(url, finished, "coordinator")
        page.goto(f"{url}/results")
        page.wait_for_selector(".js-plotly-plot")
        yield studio.shoot(page, "results.png")


class PatientDesk(ReadingDesk):
    """A desk at which time passes faster than at the server.

    Parameters
    ----------
    store, reader_id
        See :class:`study.session.ReadingDesk`.
    """

    def __init__(self, store: StudyStore, reader_id: str) -> None:
        self._ahead = timedelta(minutes=-12)
        super().__init__(store, reader_id, lambda: utc_now() + self._ahead)

    def think(self) -> None:
        """Let some time pass."""
        self._ahead += timedelta(seconds=43)


def _reader(studio: Studio, url: str, folder: StudyFolder, desk: PatientDesk) -> Iterator[str]:
    """Go a reader's way, and stop where it is worth a picture."""
    page = studio.sign_in(url, folder, "reader", desk.reader_id)
    if desk.step().kind == "consent":
        desk.consent()
    if desk.step().kind == "profile":
        desk.keep_profile(_PROFILE)
    page.goto(f"{url}/instructions")
    page.get_by_role("heading", name="Before you read").wait_for()
    yield studio.shoot(page, "instructions.png")
    desk.accept_instructions()
    yield from _practice(studio, url, page, desk)
    for _ in range(FEW_READINGS):
        _read(desk)
    page.goto(url)
    page.get_by_role("button", name="Go on reading").wait_for()
    yield studio.shoot(page, "worklist.png")
    page.goto(f"{url}/pause")
    page.get_by_role("button", name="Begin the break").wait_for()
    yield studio.shoot(page, "pause.png")
    yield from _readings(studio, url, page, desk)
    if desk.protocol.design.revisions:
        _change_one(desk)
        page.goto(f"{url}/revise")
        page.get_by_role("heading", name="Earlier answers").wait_for()
        yield studio.shoot(page, "earlier-answers.png")
    _skip_one(desk)


def _practice(studio: Studio, url: str, page: Page, desk: PatientDesk) -> Iterator[str]:
    """Practise, and take a picture of what is said about the last case."""
    shown = False
    while (step := desk.step()).kind in ("practice", "practice_feedback"):
        if step.assignment is None:
            break
        if step.kind == "practice":
            _read(desk)
            continue
        if step.sequence is not None and step.sequence[0] == step.sequence[1]:
            page.goto(f"{url}/practice")
            page.wait_for_selector(READY)
            yield studio.shoot(page, "practice.png")
            shown = True
        desk.read_feedback(step.assignment.assignment_id)
        if shown:
            break


def _readings(studio: Studio, url: str, page: Page, desk: PatientDesk) -> Iterator[str]:
    """Read until each condition was on the screen once, and open the viewer's help once."""
    wanted = {condition.id for condition in desk.protocol.conditions}
    for _ in range(MOST_READINGS):
        current = desk.current()
        if current is None or not wanted:
            break
        if current.condition in wanted:
            wanted.remove(current.condition)
            page.goto(f"{url}/reading")
            page.wait_for_selector(f'.reading-form[data-reading="{current.assignment_id}"]')
            page.wait_for_selector(READY)
            page.keyboard.press("4")
            yield studio.shoot(page, f"reading-{current.condition.lower()}.png")
            if not wanted:
                page.keyboard.press("?")
                yield studio.shoot(page, "viewer-help.png")
        _read(desk)


def _skip_one(desk: PatientDesk) -> None:
    """Report a problem with the current case and skip it."""
    current = desk.current()
    if current is None or current.purpose == "practice" or not desk.protocol.design.skips:
        return
    desk.display(current.assignment_id)
    desk.report_problem(current.assignment_id, "The film is cut off at the left edge.")
    desk.skip(current.assignment_id, "image_quality")


def _closing(studio: Studio, url: str, folder: StudyFolder, desk: PatientDesk) -> Iterator[str]:
    """Read what is left, and look at the closing questions."""
    if not desk.protocol.closing:
        return
    while desk.step().kind in ("reading", "break"):
        if desk.step().kind == "break":
            desk.end_break()
        else:
            _read(desk)
    if desk.step().kind == "closing":
        page = studio.sign_in(url, folder, "reader", desk.reader_id)
        page.goto(f"{url}/closing")
        page.get_by_role("heading", name="Looking back").wait_for()
        yield studio.shoot(page, "closing.png")


def _read(desk: PatientDesk) -> None:
    """Answer the current case."""
    current = desk.current()
    if current is None:
        return
    desk.display(current.assignment_id)
    answers = {item.id: _answer(item) for item in desk.protocol.items_of(current.condition)}
    desk.think()
    desk.submit(current.assignment_id, answers)


def _change_one(desk: PatientDesk) -> None:
    """Revise the latest answer."""
    done = next((reading for reading in desk.done() if reading.revisable), None)
    if done is not None:
        name = done.assignment.assignment_id
        desk.revise(name, done.answers, supersedes=done.seq, reason="looked at the wrong side")


def _answer(item: Item) -> object:
    """Return an answer to a question that has to be answered, ``None`` to any other."""
    if item.kind == "likert":
        return min(4, item.points)
    if item.kind == "scale":
        return 70
    if not item.required:
        return None
    if item.kind == "choice":
        return item.options[0].id
    if item.kind == "multi_choice":
        return [item.options[0].id]
    if item.kind == "text":
        return "as expected"
    return [[0.3, 0.5]] if item.kind == "point" else [[0.3, 0.5, 0.45, 0.7]]


def _fresh_reader(store: StudyStore) -> str:
    """Return the first reader who has not begun, or the first one if all have."""
    begun = {event.actor for event in store.events("displayed")}
    return next((each for each in store.reader_ids if each not in begun), store.reader_ids[0])


def _invitation(folder: StudyFolder, role: Role, reader_id: str | None = None) -> str:
    """Return the path of a new invitation for ``role``."""
    with closing(StudyStore.open(folder.database)) as store:
        accounts = Accounts(store)
        known = [
            each
            for each in accounts.accounts()
            if (each.role, each.reader_id, each.revoked) == (role, reader_id, False)
        ]
        if known:
            return accounts.reinvite(known[0].account_id, utc_now()).path
        return accounts.invite(role, reader_id, "Screenshots", utc_now()).path
