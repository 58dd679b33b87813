"""How long a reader waits: from Enter to the next case on the screen, alone and among others.

``python -m benchmarks.reading [--readings 30] [--others 19] [--think 8]`` serves a study with
pictures as in the demo study (films and 21 frames of 512², maps of 256², four and three panels)
in a process of its own. One reader reads it in Chromium by keyboard, first alone, then while
others read through websocket clients. Printed are, in milliseconds, the median and the 95th
percentile of the time from the key to the moment at which the viewer has drawn all panels of the
next case and its form is there; how this time divides; the times of the viewer alone; and the
machine's load. Nothing is asserted: other work on the machine counts as waiting.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from benchmarks import viewer
from benchmarks.bench_server import BenchServer
from benchmarks.bench_study import DEMO, BenchStudy, make_bench_study
from benchmarks.fault_browser import ARGUMENTS
from benchmarks.reading_load import LoadReader
from benchmarks.reading_window import SCREEN, ReadingWindow, Turn
from benchmarks.viewer_page import ViewerPage
from commands.progress import progress_bar

BARS_MS: Final = {"alone": 250.0, "among others": 500.0}
OWN_THINK_S: Final = 2.5
"""How long the reader in Chromium looks at a case: enough to fetch the next one's pictures."""


@dataclass(frozen=True)
class Sitting:
    """The turns that were measured under one load.

    Parameters
    ----------
    name
        ``"alone"`` or ``"among others"``.
    turns
        One for each case but the first.
    load
        The machine's load average (1 min) before and after.
    server_cores
        Processor time of the server for each second, in cores.
    others
        Seconds from submission to the next page of the other readers.
    """

    name: str
    turns: tuple[Turn, ...]
    load: tuple[float, float]
    server_cores: float
    others: tuple[float, ...] = ()

    def lines(self) -> list[str]:
        """Return the rows that are printed."""
        bar = BARS_MS[self.name]
        whole = [turn.painted for turn in self.turns]
        rows = [_row(f"{self.name}: Enter to next case drawn", whole, bar)]
        for n_panels in sorted({turn.n_panels for turn in self.turns}):
            some = [turn.painted for turn in self.turns if turn.n_panels == n_panels]
            rows.append(_row(f"  of these, to {n_panels} panels", some))
        rows += [_row(f"  {words}", times) for words, times in self._parts()]
        n_late = sum(turn.n_late > 0 for turn in self.turns)
        rows.append(f"  pictures not asked for ahead: in {n_late} of {len(self.turns)} cases")
        if self.others:
            rows.append(_row("  others: submit to next page", [1000 * s for s in self.others]))
        before, after = self.load
        rows.append(f"  load {before:.1f} to {after:.1f}; server {self.server_cores:.2f} cores")
        return rows

    def _parts(self) -> list[tuple[str, list[float]]]:
        turns = self.turns
        return [
            ("answer stored and acknowledged", [turn.saved for turn in turns]),
            ("until the next case is asked for", [turn.asked - turn.saved for turn in turns]),
            ("script run, messages here", [turn.heard - turn.asked for turn in turns]),
            ("components mounted and drawn", [turn.painted - turn.heard for turn in turns]),
        ]


def _row(words: str, times_ms: Sequence[float], bar: float = 0.0) -> str:
    median, high, most = summary(times_ms)
    verdict = ""
    if bar:
        verdict = f"  bar {bar:.0f}: {'met' if median <= bar else 'MISSED'}"
    return f"{words:44} {median:8.0f} {high:8.0f} {most:8.0f}{verdict}"


def summary(times: Sequence[float]) -> tuple[float, float, float]:
    """Return median, 95th percentile (by interpolation) and largest of at least one time."""
    ordered = sorted(times)
    place = 0.95 * (len(ordered) - 1)
    low = int(place)
    high = ordered[min(low + 1, len(ordered) - 1)]
    part = ordered[low] + (place - low) * (high - ordered[low])
    return statistics.median(ordered), part, ordered[-1]


async def _sit(
    name: str,
    window: ReadingWindow,
    n: int,
    server: BenchServer,
    on_turn: Callable[[], None],
    others: Sequence[LoadReader] = (),
) -> Sitting:
    """Measure ``n`` turns."""
    load, began, cpu = os.getloadavg()[0], time.monotonic(), server.cpu_seconds()
    turns = []
    for _ in range(n):
        turns.append(await window.turn(OWN_THINK_S))
        on_turn()
    cores = (server.cpu_seconds() - cpu) / (time.monotonic() - began)
    times = tuple(each for reader in others for each in reader.times_s)
    return Sitting(name, tuple(turns), (load, os.getloadavg()[0]), cores, times)


async def measure(
    study: BenchStudy,
    server: BenchServer,
    chromium: str,
    *,
    n_readings: int,
    n_others: int,
    think_s: float,
    on_turn: Callable[[], None],
) -> tuple[Sitting, ...]:
    """Measure both sittings of a study whose server runs.

    Parameters
    ----------
    study, server
        What is read.
    chromium
        Path of the browser.
    n_readings
        Turns in each sitting.
    n_others
        Readers without browsers in the second one.
    think_s
        Their mean time between two submissions.
    on_turn
        Called after each turn.
    """
    from playwright.async_api import async_playwright

    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        window = await ReadingWindow.open(browser, server, study.login("R1"))
        await window.turn(OWN_THINK_S)  # Chromium compiles the components
        sittings = [await _sit("alone", window, n_readings, server, on_turn)]
        if n_others:
            others = [
                LoadReader(server, study.login(f"R{n + 2}"), think_s, random.Random(n))
                for n in range(n_others)
            ]
            end = asyncio.Event()
            running = [asyncio.create_task(reader.read(end)) for reader in others]
            await asyncio.sleep(1.5 * think_s)  # until everybody reads
            for reader in others:
                reader.times_s.clear()
            await window.turn(OWN_THINK_S)
            among = await _sit("among others", window, n_readings, server, on_turn, others)
            sittings.append(among)
            end.set()
            await asyncio.gather(*running)
        await browser.close()
    return tuple(sittings)


def viewer_times(chromium: str, repeats: int) -> list[viewer.Timing]:
    """Return the draw times of the viewer alone; see :mod:`benchmarks.viewer`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": 1030, "height": 768})
        timings = viewer.measure(ViewerPage(page, viewer.pictures(512)).open(), repeats)
        browser.close()
    return timings


def report(
    sittings: Sequence[Sitting], timings: Sequence[viewer.Timing], think_s: float, n_others: int
) -> dict[str, Any]:
    """Return everything that was measured, as it is written to JSON (milliseconds)."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "platform": platform.platform()},
        "screen": SCREEN,
        "others": {"readers": n_others, "think_s": think_s},
        "sittings": [
            {
                "name": sitting.name,
                "median": summary([turn.painted for turn in sitting.turns])[0],
                "p95": summary([turn.painted for turn in sitting.turns])[1],
                "bar": BARS_MS[sitting.name],
                "load": sitting.load,
                "server_cores": sitting.server_cores,
                "turns": [asdict(turn) for turn in sitting.turns],
                "others_s": sitting.others,
            }
            for sitting in sittings
        ],
        "viewer": {timing.what: timing.times_ms for timing in timings},
    }


@click.command()
@click.option("--readings", default=30, show_default=True, help="Cases measured in each sitting.")
@click.option("--others", default=19, show_default=True, help="Readers without browsers.")
@click.option("--think", default=8.0, show_default=True, help="Their seconds for a case (mean).")
@click.option("--repeats", default=60, show_default=True, help="Frame switches; 0: none.")
@click.option("--chromium", default=None, help="Path of Chromium; looked for by default.")
@click.option(
    "--json",
    "target",
    default=Path("var/reading-times.json"),
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where everything measured is written.",
)
def main(
    readings: int, others: int, think: float, repeats: int, chromium: str | None, target: Path
) -> None:
    """Print how long a reader in Chromium waits for the next case."""
    program = chromium or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise click.ClickException("There is no Chromium here; name one with --chromium PATH.")
    with tempfile.TemporaryDirectory(prefix="reading-") as folder:
        with progress_bar("displays") as on_progress:
            study = make_bench_study(
                Path(folder) / "study",
                n_readers=others + 1 + (others + 1) % 2,
                n_cases=max(readings + 2, 20),
                pictures=DEMO,
                on_progress=on_progress,
            )
        timings = viewer_times(program, repeats) if repeats else []
        total = readings * (2 if others else 1)
        with progress_bar("cases", total) as on_progress:
            done = iter(range(1, total + 1))
            sittings = asyncio.run(
                _serve_and_measure(
                    study,
                    Path(folder) / "server.log",
                    program,
                    n_readings=readings,
                    n_others=others,
                    think_s=think,
                    on_turn=lambda: on_progress(next(done), total),
                )
            )
    print(f"{os.cpu_count()} cores, Chromium {SCREEN['width']} × {SCREEN['height']}, milliseconds")
    print(f"others: {others} readers, {think:g} s for a case on average")
    print(f"{'':44} {'median':>8} {'95 %':>8} {'largest':>8}")
    for sitting in sittings:
        print("\n".join(sitting.lines()))
    for timing in timings:
        print(timing.line())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report(sittings, timings, think, others), indent=1) + "\n")


async def _serve_and_measure(
    study: BenchStudy, log: Path, chromium: str, **how: Any
) -> tuple[Sitting, ...]:
    server = BenchServer(study.root, log)
    await server.start()
    try:
        return await measure(study, server, chromium, **how)
    finally:
        server.kill()


if __name__ == "__main__":
    main()
