"""Faults that readers and their browsers make: twice, late, elsewhere, with an ended login."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

from benchmarks.bench_study import PASSPHRASE, quick_accounts
from benchmarks.fault_kinds import draft, skip
from benchmarks.fault_ledger import Sent
from benchmarks.fault_reader import FaultReader
from benchmarks.fault_room import Kind, Room
from study.store import StudyStore


async def double_click(room: Room) -> None:
    """The same answers twice or three times at once."""
    reader = room.one()
    sent = reader.sent("submit", reader.answers())
    statuses = await asyncio.gather(*(reader.post(sent) for _ in range(room.rng.randint(2, 3))))
    room.expect(set(statuses) == {200}, f"A double click was answered with {statuses}.")
    await reader.go_on(sent)


async def two_tabs(room: Room) -> None:
    """Two windows submit different answers, or one submits and one skips, at the same time."""
    reader = room.one()
    one = reader.sent("submit", reader.answers())
    skips = room.rng.random() < 0.3
    two = reader.sent("skip", skip(reader)) if skips else reader.sent("submit", reader.answers())
    statuses = await asyncio.gather(reader.post(one), reader.post(two))
    room.expect(
        sorted(map(str, statuses)) == ["200", "409"],
        f"Two different answers to one reading were answered with {statuses}.",
    )
    await reader.go_on(one if one.acknowledged else two)


async def second_tab_behind(room: Room) -> None:
    """A window that still shows the case before sends its own answers, and drafts of them."""
    reader = room.one()
    behind = reader.sent("submit", reader.answers())
    await room.submit(reader)
    status = await reader.post(behind)
    room.expect(status == 409, f"A window that lagged behind got {status}.")
    late = reader.sent("draft", behind.content, behind.assignment_id)
    room.expect(await reader.post(late) == 409, "A draft of a case that is done was taken.")


async def replayed(room: Room) -> None:
    """A request of long ago comes once more: as it was, and with other answers."""
    reader = next((each for each in room.take(1) if each.done), None)
    if reader is None:
        reader = room.one()
        await room.submit(reader)
    old = room.rng.choice(reader.done)
    before = old.saved_at
    room.expect(await reader.post(old) == 200, "A replayed answer was refused.")
    room.expect(old.saved_at == before, "A replayed answer has a new time.")
    other = reader.sent(
        "submit", {**reader.answers(), "comment": "changed"}, assignment_id=old.assignment_id
    )
    room.expect(await reader.post(other) == 409, "A replayed request with other answers was taken.")


async def sent_elsewhere(room: Room) -> None:
    """Answers for a case that is not open yet, and for another reader's case."""
    reader, other = room.take(2)
    prefetched = {url.split("/")[2] for url in reader.shown.prefetch}
    for name in prefetched:
        early = reader.sent("submit", reader.answers(), name)
        room.expect(await reader.post(early) == 409, "A case out of turn was taken.")
        begun = reader.sent("draft", reader.answers(), name)
        room.expect(await reader.post(begun) == 409, "A draft out of turn was taken.")
    foreign = reader.sent("submit", reader.answers(), other.assignment_id)
    room.expect(await reader.post(foreign) == 404, "Another reader's case was taken.")
    await room.submit(reader)


async def drafts_late(room: Room) -> None:
    """Drafts arrive in the wrong order, together, and after the answers."""
    reader = room.one()
    drafts = [reader.sent("draft", reader.answers()) for _ in range(room.rng.randint(2, 4))]
    room.rng.shuffle(drafts)
    together = room.rng.random() < 0.5
    if together:
        await asyncio.gather(*(reader.post(each) for each in drafts))
    else:
        for each in drafts:
            await reader.post(each)
    await reader.look(fresh=room.rng.random() < 0.5)
    late = reader.sent("draft", reader.answers())
    sent = reader.sent("submit", reader.answers())
    if room.rng.random() < 0.5:
        await asyncio.gather(reader.post(sent), reader.post(late))
        await room.submit(reader, sent)
    else:
        await room.submit(reader, sent)
        room.expect(await reader.post(late) == 409, "A draft was taken after the answers.")


async def reloaded(room: Room) -> None:
    """The page is loaded anew, with answers begun."""
    reader = room.one()
    name = reader.assignment_id
    if room.rng.random() < 0.7:
        await draft(reader)
    await reader.look(fresh=True)
    room.expect(reader.assignment_id == name, "A reload changed the case.")
    if room.rng.random() < 0.5:
        await room.submit(reader)


async def back_button(room: Room) -> None:
    """Back to the case before: the page shows the case whose turn it is, and nothing changes."""
    reader = room.one()
    before = reader.shown
    await room.submit(reader)
    if reader.finished:
        return
    name = reader.assignment_id
    await reader.look(done=before)  # the old form says once more that it is done
    room.expect(reader.assignment_id == name, "The back button changed the case.")
    old = reader.sent("submit", reader.answers(), before.assignment_id)
    room.expect(await reader.post(old) == 409, "An old page changed an answer.")


async def browser_closed(room: Room) -> None:
    """The browser is gone; the reader signs in at another computer and goes on."""
    reader = room.one()
    name, unsure = reader.assignment_id, None
    await draft(reader)
    if room.rng.random() < 0.5:  # gone with an answer on its way
        unsure = reader.sent("submit", reader.answers())
        await reader.post(unsure, timeout_s=room.rng.uniform(0.002, 0.03))
        await asyncio.sleep(0.3)
    reader.vanish()
    await reader.sign_in()
    await reader.look()
    moved = reader.assignment_id != name
    room.expect(not moved or unsure is not None, "The case changed while the browser was gone.")
    if not reader.finished:
        await room.submit(reader)


async def login_ended(room: Room) -> None:
    """A login ends under the reader's hands: signed out elsewhere, or access given anew."""
    reader = room.one()
    await draft(reader)
    sent = reader.sent("submit", reader.answers())
    _end_login(room, reader, anew=room.rng.random() < 0.5)
    status = await reader.post(sent)
    room.expect(status == 401, f"An ended login got {status}.")
    room.expect_not_done(sent, "the login had ended")
    await reader.sign_in()
    await reader.look(fresh=True)
    await room.submit(reader, sent)


def _end_login(room: Room, reader: FaultReader, *, anew: bool) -> None:
    """Sign the reader out, or give a new invitation as ``counterlight accounts`` does."""
    store, now = StudyStore.open(room.study.database), datetime.now(UTC)
    accounts = quick_accounts(store)
    if anew:
        mine = [each for each in accounts.accounts() if each.reader_id == reader.reader_id]
        invitation = accounts.reinvite(mine[-1].account_id, now)
        accounts.accept(invitation.token, PASSPHRASE, now, "another computer")
    else:
        accounts.sign_out(reader.login, now)
    store.close()


async def page_out_of_date(room: Room) -> None:
    """A page of an earlier login sends with that login's token."""
    reader = room.one()
    sent = reader.sent("submit", reader.answers())
    status = await reader.post(sent, csrf="0" * 64)
    room.expect(status == 403, f"A wrong token got {status}.")
    room.expect_not_done(sent, "its token was wrong")
    await room.submit(reader, sent)


async def revised_twice(room: Room) -> None:
    """An answer is changed in two windows at once, or the change is sent twice."""
    reader = room.one()
    old = next(iter(reader.done[-1:]), None)
    if old is None or old.action != "submit":
        await room.submit(reader)
        old = reader.done[-1]
    seq = _latest_seq(room, old)
    changes = [_revision(reader, old, seq) for _ in range(2)]
    same = room.rng.random() < 0.5
    pair = (changes[0], changes[0]) if same else (changes[0], changes[1])
    statuses = await asyncio.gather(*(reader.post(one) for one in pair))
    wanted = ({200}, {422}) if same else ({200, 422}, {422})  # 422: its session is over
    room.expect(set(statuses) in wanted, f"Two changes at once were answered with {statuses}.")
    room.outcomes["revised" if 200 in statuses else "too late to revise"] += 1


def _revision(reader: FaultReader, old: Sent, seq: int) -> Sent:
    answers = {**reader.answers()}
    content = {"answers": answers, "reason": answers["comment"], "supersedes": seq}
    return reader.sent("revise", content, old.assignment_id)


def _latest_seq(room: Room, about: Sent) -> int:
    events = [e for e in room.record().events if e.assignment_id == about.assignment_id]
    return events[-1].seq


PEOPLE_KINDS: Final = (
    Kind("double click", double_click, 2),
    Kind("two tabs, different answers", two_tabs, 2),
    Kind("tab that lags behind", second_tab_behind),
    Kind("request replayed later", replayed, 1.5),
    Kind("answers for another case", sent_elsewhere),
    Kind("drafts late and out of order", drafts_late, 2),
    Kind("reload", reloaded, 2),
    Kind("back button", back_button, 1.5),
    Kind("browser closed, another computer", browser_closed, 1.5),
    Kind("login ended", login_ended),
    Kind("page out of date", page_out_of_date, 0.7),
    Kind("answer changed twice", revised_twice),
)
