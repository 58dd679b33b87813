"""The room in which faults happen: the server, the readers, and what they were promised."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from benchmarks.bench_server import BenchServer
from benchmarks.bench_study import BenchStudy
from benchmarks.fault_ledger import Ledger, Record, Sent, read_record
from benchmarks.fault_reader import FaultReader
from study.store import StudyStore


class NoReaderLeft(RuntimeError):
    """Everything is read; the study was made too small for so many faults."""


@dataclass
class Room:
    """A served study under test.

    Parameters
    ----------
    study, server
        What is served, and by whom.
    rng
        Decides everything that is not up to the machine.
    readers
        Everybody who reads.
    ledger
        What was promised.
    """

    study: BenchStudy
    server: BenchServer
    rng: random.Random
    ledger: Ledger
    readers: list[FaultReader] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    @classmethod
    async def open(cls, study: BenchStudy, server: BenchServer, seed: int) -> Room:
        """Sign everybody in and have each look at the first case."""
        rng = random.Random(seed)
        room = cls(study, server, rng, Ledger())
        store = StudyStore.open(study.database)
        room.owners = {each.assignment_id: each.reader_id for each in store.assignments()}
        names = store.reader_ids
        store.close()
        for name in names:
            own = random.Random(f"{seed}/{name}")
            room.readers.append(FaultReader(name, server, room.ledger, own, study.login(name)))
        for reader in room.readers:
            await reader.look()
        return room

    def take(self, n: int = 1) -> list[FaultReader]:
        """Return ``n`` readers who have a case before them.

        Raises
        ------
        NoReaderLeft
            If there are not so many.
        """
        reading = [reader for reader in self.readers if not reader.finished]
        if len(reading) < n:
            raise NoReaderLeft("All cases are read; make the study larger or inject fewer faults.")
        return self.rng.sample(reading, n)

    def some(self, most: int) -> list[FaultReader]:
        """Return up to ``most`` readers who have a case before them, and at least one."""
        n_reading = sum(not reader.finished for reader in self.readers)
        return self.take(max(1, min(most, n_reading)))

    def one(self) -> FaultReader:
        """Return one reader who has a case before them."""
        return self.take()[0]

    def record(self) -> Record:
        """Read the record from its file, and note its head."""
        record = read_record(self.study.database)
        self.heads.append(record.head)
        return record

    def expect(self, holds: bool, sentence: str) -> None:
        """Note a broken promise that shows at once."""
        if not holds:
            self.ledger.seen.append(sentence)

    def expect_not_done(self, sent: Sent, why: str) -> None:
        """Note it if something refused is in the record."""
        done = self.record().done(sent.assignment_id)
        self.expect(not done, f"A {sent.action} is stored though it was refused ({why}).")

    async def submit(self, reader: FaultReader, sent: Sent | None = None) -> None:
        """Have a reader submit (once more) until it is acknowledged, and go on."""
        sent = sent or reader.sent("submit", reader.answers())
        status = await reader.settle(sent)
        self.expect(status == 200, f"{reader.reader_id} got {status} for a submission.")
        await reader.go_on(sent)

    async def kill_and_restart(self) -> None:
        """SIGKILL, and a new process on the same port."""
        self.server.kill()
        self.record()
        await self.server.start()


Fault: TypeAlias = Callable[[Room], Awaitable[None]]


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Parameters
    ----------
    name
        As it is printed.
    inject
        Makes it happen once and lets the readers go on.
    weight
        Share among all faults, relative to the others.
    restarts
        Whether it restarts the server, which takes seconds.
    """

    name: str
    inject: Fault
    weight: float = 1.0
    restarts: bool = False


def drawn(
    kinds: Sequence[Kind], n: int, rng: random.Random, *, most_restarts: int | None = None
) -> list[Kind]:
    """Return ``n`` kinds in random order: each at least once where ``n`` allows, then by weight.

    Parameters
    ----------
    kinds
        What may be drawn.
    n
        How many.
    rng
        Draws.
    most_restarts
        Largest number of those that restart the server; ``None`` for no limit.
    """
    chosen = rng.sample(kinds, min(n, len(kinds)))
    while len(chosen) < n:
        (kind,) = rng.choices(kinds, [each.weight for each in kinds])
        n_restarts = sum(each.restarts for each in chosen)
        if not kind.restarts or most_restarts is None or n_restarts < most_restarts:
            chosen.append(kind)
    rng.shuffle(chosen)
    return chosen
