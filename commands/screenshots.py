"""``counterlight screenshots``: the pictures of the documentation, taken from a running server."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.progress import progress_bar
from data.reference import ReferenceSet
from study.accounts import Accounts, Role
from study.clock import utc_now
from study.errors import StudyError
from study.export import read_localisation, read_predictions
from study.folder import StudyFolder
from study.session import ReadingDesk
from study.simulate import PlantedEffect, simulate_readers
from study.store import StudyStore

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

APP = Path(__file__).resolve().parents[1] / "app.py"
BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREEN = (1366, 768)
MOST_READINGS = 12


@click.command("screenshots")
@click.argument("study_dir", metavar="STUDY", type=click.Path(path_type=Path))
@click.option(
    "--out", default=Path("docs/images"), show_default=True, type=click.Path(path_type=Path)
)
@click.option(
    "--browser", "program", default=None, help="Chromium; found on the path if not given."
)
def command(study_dir: Path, out: Path, program: str | None) -> None:
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
        progress_bar("pictures", 5) as on_progress,
    ):
        for done, name in enumerate(_take_all(source, Path(scratch), browser, out), start=1):
            on_progress(done, 5)
            click.echo(str(out / name), err=True)


def _take_all(source: StudyFolder, scratch: Path, browser: Browser, out: Path) -> Iterator[str]:
    """Take every picture, and yield its file name when it is there."""
    reading = _copy(source, scratch / "reading")
    with _served(reading) as url:
        page = _new_page(browser, url)
        yield _shoot(page, out, "sign-in.png")
        yield from _readings(browser, url, reading, out)
        page = _signed_in(browser, url, reading, "researcher")
        page.wait_for_selector(".viewer[data-state=ready]", timeout=120_000)
        yield _shoot(page, out, "explorer.png")
    finished = _copy(source, scratch / "finished")
    _simulate(finished)
    with _served(finished) as url:
        page = _signed_in(browser, url, finished, "coordinator")
        page.goto(f"{url}/results")
        page.wait_for_selector(".js-plotly-plot", timeout=60_000)
        yield _shoot(page, out, "results.png")


def _readings(browser: Browser, url: str, folder: StudyFolder, out: Path) -> Iterator[str]:
    """Read until each condition was on the screen once."""
    page = _signed_in(browser, url, folder, "reader")
    store = StudyStore.open(folder.database)
    desk = ReadingDesk(store, store.reader_ids[0], utc_now)
    page.get_by_role("button", name="I have read").or_(
        page.get_by_role("button", name="reading")
    ).or_(page.get_by_role("button", name="Start")).first.click()
    wanted = {condition.id for condition in store.protocol.conditions}
    n_scales = sum(item.kind == "likert" for item in store.protocol.items)
    for _ in range(MOST_READINGS):
        page.wait_for_selector(".viewer[data-state=ready]")
        current = desk.current()
        if current is None or not wanted:
            break
        if current.condition in wanted:
            wanted.remove(current.condition)
            page.keyboard.press("4")
            page.wait_for_timeout(800)
            yield _shoot(page, out, f"reading-{current.condition.lower()}.png")
        for _ in range(n_scales):
            page.keyboard.press("4")
            page.wait_for_timeout(800)
        page.keyboard.press("Enter")
        page.wait_for_timeout(1500)
    store.close()


def _shoot(page: Page, out: Path, name: str) -> str:
    page.wait_for_timeout(1200)
    page.screenshot(path=out / name)
    return name


def _new_page(browser: Browser, url: str) -> Page:
    context = browser.new_context(viewport={"width": SCREEN[0], "height": SCREEN[1]})
    page = context.new_page()
    page.goto(url)
    return page


def _signed_in(browser: Browser, url: str, folder: StudyFolder, role: Role) -> Page:
    """Open a window of a fresh login with ``role``."""
    store = StudyStore.open(folder.database)
    accounts = Accounts(store)
    reader = store.reader_ids[0] if role == "reader" else None
    known = [
        a for a in accounts.accounts() if (a.role, a.reader_id, a.revoked) == (role, reader, False)
    ]
    if known:
        invitation = accounts.reinvite(known[0].account_id, utc_now())
    else:
        invitation = accounts.invite(role, reader, "Screenshots", utc_now())
    store.close()
    page = _new_page(browser, f"{url}{invitation.path}")
    passphrase = secrets.token_hex(16)
    page.fill("#passphrase", passphrase)
    page.fill("#repeat", passphrase)
    page.click("button")
    return page


def _copy(source: StudyFolder, root: Path) -> StudyFolder:
    """Copy the record of a study; the pictures are only linked."""
    root.mkdir(parents=True)
    copy = StudyFolder(root)
    for part in ("cases", "explanations", "displays"):
        (root / part).symlink_to((source.root / part).resolve(), target_is_directory=True)
    with (
        closing(sqlite3.connect(source.database)) as record,
        closing(sqlite3.connect(copy.database)) as target,
    ):
        record.backup(target)
    return copy


def _simulate(folder: StudyFolder) -> None:
    """Let simulated readers finish a study in which nobody has read."""
    store = StudyStore.open(folder.database)
    if not store.ratings():
        simulate_readers(
            store,
            ReferenceSet.open(folder.cases).table(),
            read_predictions(folder),
            effect=PlantedEffect(),
            seed=1,
            start=utc_now(),
            localisation=read_localisation(folder),
        )
    store.close()


@contextmanager
def _served(folder: StudyFolder) -> Iterator[str]:
    """Serve a study on a free port while the block runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "COUNTERLIGHT_STUDY": str(folder.root)}
    arguments = [sys.executable, "-m", "streamlit", "run", str(APP)]
    arguments += [f"--server.port={port}", "--server.address=127.0.0.1"]
    server = subprocess.Popen(
        arguments,
        cwd=APP.parent,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(20)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if server.poll() is not None:
                break
            time.sleep(0.1)
    raise StudyError("The server did not start; try `counterlight serve` to see why.")
