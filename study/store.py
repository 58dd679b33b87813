"""The study's record: frozen assignments and one append-only, hash-chained table of events.

Ratings are projections of events. One event holds all answers of a reading, so a reading is stored
whole or not at all. Writers take SQLite's write lock before they read the end of the chain
(``BEGIN IMMEDIATE``); readers work on a snapshot (WAL) and never wait.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from sqlalchemy import insert, select

from study.allocation import Assignment, algorithm
from study.audit import assignments_digest
from study.clock import Clock, utc_now
from study.database import connect, create_file, spoken
from study.errors import StudyError, UnknownAssignment
from study.events import Event, View, Writer, answers_in
from study.progress import PROGRESS_KINDS
from study.protocol import StudyProtocol, protocol_from_json
from study.rating import Rating
from study.schema import assignments as assignments_table
from study.schema import events as events_table

RESERVED_KINDS = frozenset(
    {
        *PROGRESS_KINDS,
        "study_frozen",
        "revised",
        "viewer",
        "problem_reported",
    }
) - {"signed_in"}
"""Kinds that only the freezing of a study and :class:`study.session.ReadingDesk` write."""


class StudyStore:
    """One study's record on disk; safe to share between threads and processes.

    Use :meth:`create` once, when the protocol is frozen, and :meth:`open` afterwards.
    """

    def __init__(self, path: Path, *, clock: Clock, busy_timeout_s: float) -> None:
        self.path = path
        self.clock = clock
        self.engine, self._write_engine = connect(path, busy_timeout_s)
        with spoken(path), self.engine.begin() as connection:
            frozen = View(connection).events("study_frozen")
            rows = connection.execute(
                select(assignments_table).order_by(
                    assignments_table.c.reader_id,
                    assignments_table.c.session,
                    assignments_table.c.position,
                )
            ).all()
        if not frozen:
            raise StudyError(f"{path} holds no frozen protocol; prepare the study again.")
        self.protocol: StudyProtocol = protocol_from_json(str(frozen[0].payload["protocol"]))
        self._assignments = {row[0]: Assignment(*row) for row in rows}
        by_reader: dict[str, list[Assignment]] = {}
        for assignment in self._assignments.values():
            by_reader.setdefault(assignment.reader_id, []).append(assignment)
        self._by_reader = {name: tuple(mine) for name, mine in by_reader.items()}

    @classmethod
    def create(
        cls,
        path: Path | str,
        protocol: StudyProtocol,
        assignments: Sequence[Assignment],
        *,
        clock: Clock = utc_now,
        seed: int | None = None,
    ) -> StudyStore:
        """Freeze a study: write protocol and assignments, and open the record.

        Parameters
        ----------
        path
            File to be made; it must not exist.
        protocol, assignments
            What is frozen.
        clock
            Server clock.
        seed
            Seed of the allocation, recorded; the protocol's seed if not given.

        Raises
        ------
        StudyError
            If the file exists or the assignments do not belong to the protocol.
        StoreUnavailable
            If it cannot be written; nothing is left behind.
        """
        path = Path(path)
        if path.exists():
            raise StudyError(
                f"{path} exists and a frozen study is never overwritten; choose another directory."
            )
        _check_assignments(protocol, assignments)
        rows = [astuple(assignment) for assignment in assignments]
        names = [column.name for column in assignments_table.columns]
        payload = {
            "protocol": protocol.canonical,
            "protocol_digest": protocol.digest,
            "assignments_digest": assignments_digest(rows),
            "n_assignments": len(rows),
            "readers": sorted({a.reader_id for a in assignments}),
            "allocation": {
                "algorithm": algorithm(protocol),
                "seed": protocol.study.seed if seed is None else seed,
            },
        }
        with create_file(path) as connection:
            connection.execute(
                insert(assignments_table), [dict(zip(names, row, strict=True)) for row in rows]
            )
            Writer(connection, clock()).append("study_frozen", "study", payload)
        return cls.open(path, clock=clock)

    @classmethod
    def open(
        cls, path: Path | str, *, clock: Clock = utc_now, busy_timeout_s: float = 10.0
    ) -> StudyStore:
        """Open an existing record.

        Parameters
        ----------
        path
            ``study.sqlite``.
        clock
            Server clock, for events that come without their own.
        busy_timeout_s
            How long a writer waits for another one.

        Raises
        ------
        StoreUnavailable
            If there is no such file or it is not a study's database.
        """
        return cls(Path(path), clock=clock, busy_timeout_s=busy_timeout_s)

    def close(self) -> None:
        """Close every connection; the store cannot be used afterwards."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[View]:
        """Give a consistent view of the record."""
        with spoken(self.path), self.engine.begin() as connection:
            yield View(connection)

    @contextmanager
    def writing(self, clock: Clock | None = None) -> Iterator[Writer]:
        """Give a writer; everything inside is stored together, or not at all if it raises.

        Parameters
        ----------
        clock
            Read once the lock is held; the store's clock if not given.

        Raises
        ------
        StoreUnavailable
            If the disk is full or the database stays locked.
        """
        with spoken(self.path), self._write_engine.begin() as connection:
            yield Writer(connection, (clock or self.clock)())

    @property
    def reader_ids(self) -> tuple[str, ...]:
        """Pseudonyms of the readers, sorted."""
        return tuple(sorted(self._by_reader))

    def assignments(self, reader_id: str | None = None) -> tuple[Assignment, ...]:
        """Return the assignments (of one reader), by reader, session and position."""
        if reader_id is not None:
            return self._by_reader.get(reader_id, ())
        return tuple(self._assignments.values())

    def assignment(self, assignment_id: str) -> Assignment:
        """Return one assignment.

        Raises
        ------
        UnknownAssignment
            If there is none of that id.
        """
        try:
            return self._assignments[assignment_id]
        except KeyError:
            raise UnknownAssignment(
                "There is no such reading in this study; go back to the worklist."
            ) from None

    def append(
        self,
        kind: str,
        reader_id: str,
        payload: Mapping[str, object],
        *,
        subject: str | None = None,
        clock: Clock | None = None,
    ) -> Event:
        """Append an event of a page's own kind, e.g. what was done in the viewer.

        Parameters
        ----------
        kind
            Lower-case word, e.g. ``"viewer"``; the kinds of readings are refused, they are written
            by :class:`study.session.ReadingDesk`.
        reader_id
            Pseudonym or account id; never a name.
        payload
            JSON-serialisable.
        subject
            Assignment that it is about.

        Raises
        ------
        StudyError
            If the kind is reserved or the payload is not JSON.
        """
        if kind in RESERVED_KINDS or not re.fullmatch(r"[a-z][a-z_]{0,39}", kind):
            raise StudyError(
                f"The event kind {kind!r} is reserved or not a lower-case word; choose another."
            )
        with self.writing(clock) as writer:
            return writer.append(kind, reader_id, payload, subject)

    def events(
        self, kind: str | None = None, actor: str | None = None, subject: str | None = None
    ) -> tuple[Event, ...]:
        """Return the events of that kind, actor and subject, in order."""
        with self.reading() as view:
            return view.events(kind, actor, subject)

    @property
    def head(self) -> str:
        """Hash of the last event; noted down, it later proves that no event is missing."""
        with self.reading() as view:
            query = select(events_table.c.hash).order_by(events_table.c.seq.desc()).limit(1)
            return str(view.connection.execute(query).scalar_one())

    def ratings(self, *, superseded: bool = False) -> tuple[Rating, ...]:
        """Return every rating, in the order of submission.

        Parameters
        ----------
        superseded
            Whether to include answers that a revision has replaced.
        """
        with self.reading() as view:
            found = view.answers()
        replaced = set() if superseded else {event.payload["supersedes"] for event in found}
        return tuple(
            rating
            for event in found
            if event.kind != "skipped" and event.seq not in replaced
            for rating in self._ratings(event)
        )

    def _ratings(self, event: Event) -> Iterator[Rating]:
        assignment = self.assignment(str(event.subject))
        if assignment.purpose == "practice":  # the database refuses it; a rating never is one
            return
        answers = answers_in(event)
        for item in self.protocol.items_of(assignment.condition):
            yield Rating(
                assignment_id=assignment.assignment_id,
                reader_id=event.actor,
                item=item.id,
                value=answers[item.id],
                revision=event.payload["revision"],
                supersedes=event.payload["supersedes"],
                submitted_at=event.created_at,
                reading_time_s=event.payload["reading_time_s"],
                simulated=event.payload["simulated"],
                seq=event.seq,
                purpose=assignment.purpose,
            )


def _check_assignments(protocol: StudyProtocol, assignments: Sequence[Assignment]) -> None:
    if not assignments:
        raise StudyError("A study without assignments cannot be frozen; allocate the cases first.")
    conditions = {condition.id for condition in protocol.conditions}
    for assignment in assignments:
        if assignment.condition not in conditions or (
            assignment.finding not in protocol.cases.findings
        ):
            raise StudyError(
                f"The assignment of case {assignment.case_id!r} has condition "
                f"{assignment.condition!r} and finding {assignment.finding!r}, which this protocol "
                "does not have; allocate again for this protocol."
            )
    if len({a.assignment_id for a in assignments}) < len(assignments):
        raise StudyError("Two assignments share an id; allocate again with fresh entropy.")
