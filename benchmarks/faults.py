"""Readers read while everything fails that can, and nothing that was acknowledged is lost.

``python -m benchmarks.faults [--faults 500] [--seed 1] [--browser 40]`` serves a study in a
process of its own and has readers read it through its real pages and routes while faults are
injected, one after another, drawn at random: SIGKILL between click and commit, answers that never
arrive, two windows, an ended login, a full disk, and others. A share of them happens to Chromium.
At the end the record is compared with everything that was sent and acknowledged. A table of the
faults and the verdict are printed; the exit code is 1 if a promise was broken.
"""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.bench_server import BenchServer
from benchmarks.bench_study import make_bench_study
from benchmarks.fault_kinds import SERVER_KINDS
from benchmarks.fault_ledger import violations
from benchmarks.fault_people import PEOPLE_KINDS
from benchmarks.fault_reader import GivenUp
from benchmarks.fault_room import Kind, NoReaderLeft, Room, drawn
from commands.progress import progress_bar
from study.audit import verify

N_READERS = 12
READINGS_A_FAULT = 2.5


@dataclass(frozen=True)
class Verdict:
    """What a run has shown.

    Parameters
    ----------
    injected
        Kind of fault to how often it was injected.
    outcomes
        What was counted on the way.
    n_acknowledged
        Ratings and skips that the server said are saved.
    n_drafts
        Drafts that it said are saved.
    n_events
        Events in the record.
    problems
        Broken promises, one sentence each.
    seconds
        Time it took.
    """

    injected: Counter[str]
    outcomes: Counter[str]
    n_acknowledged: int
    n_drafts: int
    n_events: int
    problems: tuple[str, ...]
    seconds: float

    def lines(self) -> list[str]:
        """Return the table and the verdict as they are printed."""
        rows = [f"{'fault':44} injected"]
        rows += [f"{name:44} {n:8}" for name, n in sorted(self.injected.items())]
        rows += [f"{'in all':44} {self.injected.total():8}", ""]
        rows += [f"{name:44} {n:8}" for name, n in sorted(self.outcomes.items())]
        rows += [
            f"{'ratings, skips and changes acknowledged':44} {self.n_acknowledged:8}",
            f"{'drafts acknowledged':44} {self.n_drafts:8}",
            f"{'events in the record':44} {self.n_events:8}",
            f"{'seconds':44} {self.seconds:8.0f}",
            "",
        ]
        if self.problems:
            return [*rows, f"{len(self.problems)} promises broken:", *self.problems]
        words = "none lost, none attached to a wrong case, none duplicated; the audit chain holds."
        return [*rows, f"Everything acknowledged is in the record: {words}"]


async def run_faults(
    root: Path,
    n_faults: int,
    seed: int,
    *,
    n_browser: int = 0,
    chromium: str = "",
    most_restarts: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Inject faults into a served study and compare its record with what was promised.

    Parameters
    ----------
    root
        Empty directory for study and log.
    n_faults
        How many.
    seed
        Decides which, in which order, and to whom.
    n_browser
        How many of them happen to Chromium.
    chromium
        Its path.
    most_restarts
        Largest number of faults that restart the server; ``None`` for no limit.
    on_progress
        Called with (faults injected, faults in all).
    """
    began = time.monotonic()
    n_readers = min(N_READERS, max(4, n_faults // 10))
    n_cases = math.ceil(READINGS_A_FAULT * n_faults / (2 * n_readers)) + 2
    study = make_bench_study(root / "study", n_readers=n_readers, n_cases=n_cases)
    server = BenchServer(study.root, root / "server.log")
    injected: Counter[str] = Counter()
    await server.start()
    try:
        room = await Room.open(study, server, seed)
        every = (*SERVER_KINDS, *PEOPLE_KINDS)
        n_direct = n_faults - n_browser
        kinds = drawn(every, n_direct, room.rng, most_restarts=most_restarts)
        await _inject(room, kinds, injected, n_faults, on_progress)
        if n_browser and not room.ledger.seen:
            from benchmarks.fault_browser import inject_in_browser

            def moved(done: int) -> None:
                if on_progress is not None:
                    on_progress(n_faults - n_browser + done, n_faults)

            injected.update(await inject_in_browser(room, n_browser, chromium, moved))
        for reader in room.readers:
            await reader.leave()
    finally:
        server.kill()
    return _judge(room, injected, time.monotonic() - began)


async def _inject(
    room: Room,
    kinds: list[Kind],
    injected: Counter[str],
    n_faults: int,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    for kind in kinds:
        n_before = len(room.ledger.seen)
        try:
            await kind.inject(room)
        except (GivenUp, NoReaderLeft) as error:
            room.ledger.seen.append(f"Stopped: {error}")
        for place in range(n_before, len(room.ledger.seen)):
            room.ledger.seen[place] += f" (fault: {kind.name})"
        injected[kind.name] += 1
        if on_progress is not None:
            on_progress(injected.total(), n_faults)
        if any(sentence.startswith("Stopped") for sentence in room.ledger.seen):
            return


def _judge(room: Room, injected: Counter[str], seconds: float) -> Verdict:
    record = room.record()
    problems = violations(room.ledger, record, room.owners)
    report = verify(room.study.database)
    problems += report.problems
    for head in set(room.heads):
        if head != report.head:
            problems += [p for p in verify(room.study.database, head=head).problems if "head" in p]
    known = [sent for sent in room.ledger.sent if sent.acknowledged]
    n_drafts = sum(sent.action == "draft" for sent in known)
    return Verdict(
        injected,
        room.outcomes,
        len(known) - n_drafts,
        n_drafts,
        report.n_events,
        tuple(problems),
        seconds,
    )


def find_chromium(path: str | None) -> str:
    """Return the path of Chromium.

    Raises
    ------
    click.ClickException
        If there is none.
    """
    found = path or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise click.ClickException("There is no Chromium here; name one with --chromium PATH.")
    return found


@click.command()
@click.option("--faults", default=500, show_default=True, help="Faults to inject.")
@click.option("--seed", default=1, show_default=True, help="Decides which, and to whom.")
@click.option("--browser", default=40, show_default=True, help="How many of them in Chromium.")
@click.option("--chromium", default=None, help="Path of Chromium; looked for by default.")
def main(faults: int, seed: int, browser: int, chromium: str | None) -> None:
    """Inject faults while readers read, and say whether anything acknowledged was lost."""
    if not 0 <= browser <= faults:
        raise click.BadParameter("--browser is a number of faults from 0 to --faults.")
    program = find_chromium(chromium) if browser else ""
    load = os.getloadavg()[0]
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    with progress_bar("faults", faults) as on_progress:
        how = run_faults(
            folder, faults, seed, n_browser=browser, chromium=program, on_progress=on_progress
        )
        verdict = asyncio.run(how)
    after = os.getloadavg()[0]
    print(f"seed {seed}, {os.cpu_count()} cores, load {load:.1f} before, {after:.1f} after")
    print("\n".join(verdict.lines()))
    if verdict.problems:
        print(f"Study and server log are kept in {folder}.")
        raise SystemExit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
