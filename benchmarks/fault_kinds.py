"""Faults of server, network and disk, each injected once and survived by the readers."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from benchmarks.cut_line import Line, line_to
from benchmarks.fault_ledger import Action, Sent
from benchmarks.fault_reader import FaultReader
from benchmarks.fault_room import Kind, Room


async def killed_during_submissions(room: Room) -> None:
    """SIGKILL at a random moment of a burst of submissions by several readers."""
    readers = room.some(6)
    sent = [reader.sent("submit", reader.answers()) for reader in readers]
    burst = [
        asyncio.create_task(_after(room.rng.uniform(0, 0.06), reader, one))
        for reader, one in zip(readers, sent, strict=True)
    ]
    await _some(burst, room.rng.randint(0, len(burst) - 1))
    await asyncio.sleep(room.rng.uniform(0, 0.015))
    room.server.kill()
    await asyncio.gather(*burst)
    record = room.record()
    for one in sent:
        stored = record.done(one.assignment_id)
        room.outcomes[_ending(one, stored)] += 1
        room.expect(stored or not one.acknowledged, f"Lost at SIGKILL: {one.assignment_id[:8]}…")
    await room.server.start()
    for reader, one in zip(readers, sent, strict=True):
        if room.rng.random() < 0.5:  # the page reconnects and replays what its form had said
            await reader.look(fresh=True, done=reader.shown)
        if not one.acknowledged and reader.assignment_id in ("", one.assignment_id):
            await room.submit(reader, one)
        else:
            status = await reader.settle(one)
            room.expect(status == 200, f"The same answers got {status} after the restart.")
            await reader.go_on(one)


async def _some(tasks: Sequence[asyncio.Task[None]], n: int) -> None:
    """Wait until ``n`` tasks have ended, or a second."""
    deadline = asyncio.get_running_loop().time() + 1
    while sum(task.done() for task in tasks) < n and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.001)


def _ending(sent: Sent, stored: bool) -> str:
    if sent.acknowledged:
        return "acknowledged before the kill"
    return "killed after the commit, before the answer" if stored else "killed before the commit"


async def _after(delay: float, reader: FaultReader, sent: Sent) -> None:
    await asyncio.sleep(delay)
    await reader.post(sent)


async def killed_with_drafts_in_flight(room: Room) -> None:
    """SIGKILL while drafts of several readers are on their way."""
    readers = room.some(4)
    running = [asyncio.create_task(_type(reader)) for reader in readers]
    await asyncio.sleep(room.rng.uniform(0.02, 0.3))
    room.server.kill()
    await asyncio.gather(*running)
    await room.kill_and_restart()
    for reader in readers:
        await reader.look(fresh=True)
        if room.rng.random() < 0.5:
            await room.submit(reader)


async def _type(reader: FaultReader) -> None:
    """Save drafts until one does not come through."""
    while await reader.post(reader.sent("draft", reader.answers())) is not None:
        await asyncio.sleep(0.01)


async def restarted(room: Room) -> None:
    """SIGKILL with nothing in flight; the page reconnects and replays its old trigger."""
    reader = room.one()
    await draft(reader)
    await room.kill_and_restart()
    await reader.look(done=reader.shown)
    await room.submit(reader)


async def answer_lost(room: Room) -> None:
    """The answer to something that was stored never arrives; the form sends it again."""
    reader = room.one()
    action: Action = room.rng.choice(["submit", "submit", "submit", "skip"])
    content = reader.answers() if action == "submit" else skip(reader)
    sent = reader.sent(action, content)
    async with line_to(room.server.port, Line(loses_answers=True)) as url:
        status = await reader.post(sent, url=url)
    room.expect(status is None, f"The line let an answer through ({status}).")
    room.expect(await reader.settle(sent) == 200, "A repeated answer was refused.")
    await reader.go_on(sent)


async def request_cut(room: Room) -> None:
    """The connection breaks in the middle of a request."""
    reader = room.one()
    sent = reader.sent("submit", reader.answers())
    line = Line(request_bytes=room.rng.randint(1, 420))
    async with line_to(room.server.port, line) as url:
        await reader.post(sent, url=url)
    room.expect_not_done(sent, "its request was cut")
    await room.submit(reader, sent)


async def given_up(room: Room) -> None:
    """The browser gives up while the request is under way, and sends it again."""
    reader = room.one()
    sent = reader.sent("submit", reader.answers())
    async with line_to(room.server.port, Line(delay_s=room.rng.uniform(0, 0.05))) as url:
        await reader.post(sent, url=url, timeout_s=room.rng.uniform(0.005, 0.08))
        await room.submit(reader, sent)


async def overtaken(room: Room) -> None:
    """A delayed request arrives after its repetition, and after the next case has begun."""
    reader = room.one()
    sent = reader.sent("submit", reader.answers())
    async with line_to(room.server.port, Line(delay_s=room.rng.uniform(0.1, 0.4))) as url:
        late = asyncio.create_task(reader.post(sent, url=url))
        await room.submit(reader, sent)
        room.expect(await late in (200, None), "A late repetition was refused.")


async def network_cut(room: Room) -> None:
    """Nothing gets through for a while; drafts and answer wait and are sent when it is back."""
    reader, line = room.one(), Line()
    async with line_to(room.server.port, line) as url:
        await reader.post(reader.sent("draft", reader.answers()), url=url)
        line.cut()
        sent = reader.sent("submit", reader.answers())
        room.expect(await reader.post(sent, url=url) is None, "The line was not cut.")
        room.expect_not_done(sent, "the line was cut")
        await asyncio.sleep(room.rng.uniform(0.1, 1.0))
        line.mend()
        await reader.post(sent, url=url)
    await room.submit(reader, sent)


async def server_frozen(room: Room) -> None:
    """The server stands still; the browser sends again while the first request waits in it."""
    reader = room.one()
    sent = reader.sent("submit", reader.answers())
    room.server.freeze()
    try:
        hasty = [reader.post(sent, timeout_s=room.rng.uniform(0.05, 0.3)) for _ in range(2)]
        await asyncio.gather(*hasty)
        await asyncio.sleep(room.rng.uniform(0, 0.4))
    finally:
        room.server.thaw()
    await room.submit(reader, sent)


async def disk_full(room: Room) -> None:
    """The disk refuses to grow the record; the answer is refused, and taken when there is room."""
    reader = room.one()
    sent = reader.sent("submit", reader.answers())
    log = room.study.database.with_name(room.study.database.name + "-wal")
    size = log.stat().st_size if log.exists() else 0
    room.server.limit_files(room.rng.choice([1, 4096, max(1, size // 2)]))
    try:
        status = await reader.post(sent)
    finally:
        room.server.limit_files(None)
    room.outcomes[f"disk full: {status}"] += 1
    if status != 200:
        room.expect(status == 503, f"A full disk was answered with {status}.")
        room.expect_not_done(sent, "the disk was full")
    await room.submit(reader, sent)


async def database_locked(room: Room) -> None:
    """Another program holds the database's lock while answers come in."""
    readers = room.some(2)
    hold = room.rng.uniform(0.1, 0.8)
    with closing(sqlite3.connect(room.study.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        work = [asyncio.create_task(room.submit(reader)) for reader in readers]
        await asyncio.sleep(hold)
        other.execute("ROLLBACK")
    await asyncio.gather(*work)


async def draft(reader: FaultReader) -> Sent:
    """Save a draft and return it."""
    sent = reader.sent("draft", reader.answers())
    await reader.settle(sent)
    return sent


def skip(reader: FaultReader) -> dict[str, object]:
    words = reader.answers()["comment"]
    return {"reason": reader.rng.choice(["technical", "other"]), "comment": words}


SERVER_KINDS: Final = (
    Kind("SIGKILL during a burst of submissions", killed_during_submissions, 2.2, True),
    Kind("SIGKILL with drafts in flight", killed_with_drafts_in_flight, 0.8, True),
    Kind("SIGKILL, stale page reconnects", restarted, 0.6, True),
    Kind("answer lost after the commit", answer_lost, 2),
    Kind("request cut in the middle", request_cut, 2),
    Kind("browser gives up, sends again", given_up, 2),
    Kind("request overtaken by its repetition", overtaken),
    Kind("network cut", network_cut, 1.5),
    Kind("server frozen (SIGSTOP)", server_frozen),
    Kind("disk full", disk_full),
    Kind("database locked by another program", database_locked),
)
