"""How long the factors page takes from a key to the picture.

``python -m benchmarks.toggling STUDY_DIR [--film CASE] [--finding NAME] [--repeats 40]`` serves a
copy of a study that has a factor set, opens its factors page in Chromium, moves a slider by its
keys and prints, in milliseconds, the time from the key to the frame behind the one that shows
changed film and difference; then what of it the server computes: picture and predictions, and the
encoding of both pictures. The bar is 300 ms on two cores at 128 px. Nothing is asserted: the load
of the machine is printed beside the numbers.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.bench_server import BenchServer
from pages.web.gate import COOKIE
from study.accounts import Accounts
from study.store import StudyStore

if TYPE_CHECKING:
    from playwright.sync_api import Page

BAR_MS = 300.0
PREPARE_S = 600
_LISTEN = """
  window.times = [];
  let pressed = 0;
  window.addEventListener("keydown", (event) => { pressed = event.timeStamp; }, true);
  window.addEventListener("click", (event) => { pressed = event.timeStamp; }, true);
  window.addEventListener("counterlight:painted", (event) => {
    if (pressed > 0) window.times.push(event.detail.atMs - pressed);
    pressed = 0;
  });
"""


def line(what: str, times_ms: Sequence[float], bar_ms: float | None = None) -> str:
    """Return the row that is printed: median, 95th percentile, largest, share within the bar."""
    ordered = sorted(times_ms)
    high = ordered[int(0.95 * (len(ordered) - 1))]
    text = f"{what:44}{statistics.median(ordered):9.1f}{high:9.1f}{ordered[-1]:9.1f}"
    if bar_ms is None:
        return text
    share = sum(each <= bar_ms for each in ordered) / len(ordered)
    return f"{text}   {100 * share:.0f} % within {bar_ms:.0f} ms"


def login_of(study_dir: Path) -> str:
    """Sign in as the researcher of a copied study, by a new invitation."""
    accounts, now = Accounts(StudyStore.open(study_dir / "study.sqlite")), datetime.now(UTC)
    account = next(each for each in accounts.accounts() if each.role == "researcher")
    invitation = accounts.reinvite(account.account_id, now)
    return accounts.accept(invitation.token, secrets.token_urlsafe(24), now, "bench")


def in_browser(
    page: Page, server: BenchServer, query: str, repeats: int
) -> tuple[dict[str, list[float]], float]:
    """Move two cards; return the milliseconds of each move, and of processor time of the server."""
    page.add_init_script(_LISTEN)
    page.goto(f"{server.url}/factors?{query}")
    page.wait_for_selector(".card", timeout=PREPARE_S * 1000)
    page.wait_for_selector(".st-key-viewer_factors .viewer[data-state=ready]")
    page.wait_for_timeout(3000)
    sliders = page.locator(".card input[type=range]")

    def press(n: int, one: object) -> list[float]:
        page.evaluate("() => { window.times = []; }")
        for number in range(n):
            one(number)  # type: ignore[operator]
            page.wait_for_function(f"() => window.times.length > {number}", timeout=20_000)
            page.wait_for_timeout(60)
        return [float(each) for each in page.evaluate("() => window.times")][2:]

    last = sliders.count() - 1
    found = {}
    sliders.nth(0).focus()
    keys = ["ArrowRight"] * 15 + ["ArrowLeft"] * 15
    before = server.cpu_seconds()
    found["slider, one step"] = press(repeats, lambda k: page.keyboard.press(keys[k % 30]))
    spent = 1000 * (server.cpu_seconds() - before) / repeats
    sliders.nth(last).focus()
    found["slider, one step, two moved"] = press(
        repeats, lambda k: page.keyboard.press(keys[k % 30])
    )
    signs = page.locator(".card").nth(0).locator(".signs button")
    found["−/0/+"] = press(repeats, lambda k: signs.nth((2, 0, 1)[k % 3]).press("Enter"))
    return found, spent


def on_server(study_dir: Path, film: str, finding: str, repeats: int) -> dict[str, list[float]]:
    """Return the milliseconds of what the server computes for a move."""
    from data.manifest import CaseSet
    from pages.exploring.films import case_film
    from pages.exploring.view import grey, levels
    from pages.factoring.factors import files_of
    from pages.factoring.preparing import maker
    from pages.factoring.request import Position
    from pages.factoring.styles import styles_folder
    from study.folder import StudyFolder

    folder = StudyFolder.open(study_dir)
    shown = case_film(CaseSet.open(folder.cases), film)
    make = maker(shown, finding, files_of(folder), styles_folder(folder))
    desk = make(lambda stage: None, lambda: False)
    dimensions = sorted(desk.cards.dimensions)
    computing, encoding = [], []
    for number in range(repeats):
        at = (number % 19 + 1) / 20
        began = time.perf_counter()
        moved = desk.subject.moved(tuple(Position(each, at) for each in dimensions))
        between = time.perf_counter()
        grey(moved.image)
        levels(moved.image - desk.subject.reconstruction.image, signed=True)
        computing.append(1000 * (between - began))
        encoding.append(1000 * (time.perf_counter() - between))
    return {
        f"server: picture and predictions, all {len(dimensions)} moved": computing,
        "server: both pictures as PNG": encoding,
    }


@click.command()
@click.argument("study_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--film", default=None, help="Case identifier; the first of the set by default.")
@click.option("--finding", default="Pneumothorax", show_default=True)
@click.option("--repeats", default=40, show_default=True, help="Moves of each kind.")
@click.option("--chromium", default=None, help="Path of Chromium; looked for by default.")
def main(
    study_dir: Path, film: str | None, finding: str, repeats: int, chromium: str | None
) -> None:
    """Print how long the factors page takes from a key to the picture."""
    from playwright.sync_api import sync_playwright

    from data.manifest import CaseSet

    program = chromium or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise click.ClickException("There is no Chromium here; name one with --chromium PATH.")
    chosen = film or sorted(CaseSet.open(study_dir / "cases").case_ids)[0]
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "study"
        shutil.copytree(study_dir, copy, ignore=shutil.ignore_patterns("displays"))
        timings = on_server(copy, chosen, finding, repeats)  # leaves the film's styles there
        server = BenchServer(copy, Path(scratch) / "server.log")
        asyncio.run(server.start())
        try:
            with sync_playwright() as driver:
                browser = driver.chromium.launch(
                    executable_path=program, args=["--no-sandbox", "--disable-gpu"]
                )
                context = browser.new_context(viewport={"width": 1366, "height": 768})
                login = {"name": COOKIE, "value": login_of(copy), "url": server.url}
                context.add_cookies([login])  # type: ignore[list-item]
                query = f"film={chosen}&finding={finding.replace(' ', '+')}"
                seen, spent = in_browser(context.new_page(), server, query, repeats)
                browser.close()
        finally:
            server.kill()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"film {chosen}, {finding}; {os.cpu_count()} cores, load {load}; milliseconds")
    print(f"{'':44}{'median':>9}{'95 %':>9}{'largest':>9}")
    for what, times in seen.items():
        print(line(f"key to picture: {what}", times, BAR_MS))
    print(line("server: processor time of a step, all of it", [spent]))
    for what, times in timings.items():
        print(line(what, times))


if __name__ == "__main__":
    main()
