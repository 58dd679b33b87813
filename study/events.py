"""Events of a study: one append-only chain, read and written within one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select

from study.audit import GENESIS, canonical_json, event_hash
from study.clock import moment, timestamp
from study.errors import StudyError
from study.progress import PROGRESS_KINDS, Progress
from study.rating import Answer
from study.schema import events as events_table

MAXIMUM_PAYLOAD = 1_000_000
_PROGRESS = (
    "SELECT seq, kind, subject, created_at FROM events WHERE actor = ? AND kind IN "
    f"({', '.join('?' * len(PROGRESS_KINDS))})"
)
_ANSWERS = ("submitted", "skipped", "practised", "revised")


@dataclass(frozen=True)
class Event:
    """One row of the record.

    Parameters
    ----------
    seq
        Place in the chain, from 1 without gaps.
    created_at
        Server time, aware.
    kind
        E.g. ``"displayed"``, ``"submitted"``, ``"signed_in"``.
    actor
        Pseudonym of the reader, account id, ``"study"`` or ``"anonymous"``; never a name.
    subject
        The assignment it is about (of ``"closing"``: the condition), if any.
    payload
        What happened.
    previous_hash, hash
        The links of the chain.
    """

    seq: int
    created_at: datetime
    kind: str
    actor: str
    subject: str | None
    payload: Mapping[str, Any]
    previous_hash: str
    hash: str


class View:
    """Questions to the record within one transaction.

    Parameters
    ----------
    connection
        Open connection, inside a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def events(
        self, kind: str | None = None, actor: str | None = None, subject: str | None = None
    ) -> tuple[Event, ...]:
        """Return the events of that kind, actor and subject, in order."""
        query: Select[Any] = select(events_table).order_by(events_table.c.seq)
        if kind is not None:
            query = query.where(events_table.c.kind == kind)
        if actor is not None:
            query = query.where(events_table.c.actor == actor)
        if subject is not None:
            query = query.where(events_table.c.subject == subject)
        return tuple(event_from_row(tuple(row)) for row in self.connection.execute(query))

    def progress(self, reader_id: str) -> Progress:
        """Return what a reader has done so far: one query, answered from an index alone."""
        found = self.connection.exec_driver_sql(_PROGRESS, (reader_id, *PROGRESS_KINDS))
        return Progress.of(found.cursor.fetchall() if found.cursor else ())

    def first_display(self, assignment_id: str) -> datetime | None:
        """Return when the reading was first displayed, or ``None``."""
        shown = self.events("displayed", subject=assignment_id)
        return shown[0].created_at if shown else None

    def submissions(self, assignment_id: str) -> tuple[Event, ...]:
        """Return what was answered about a reading or practice case, oldest first.

        At most one event of the kinds ``"submitted"``, ``"skipped"`` and ``"practised"``, followed
        by revisions.
        """
        query = (
            select(events_table)
            .where(events_table.c.subject == assignment_id, events_table.c.kind.in_(_ANSWERS))
            .order_by(events_table.c.seq)
        )
        return tuple(event_from_row(tuple(row)) for row in self.connection.execute(query))

    def answers(self, reader_id: str | None = None) -> tuple[Event, ...]:
        """Return every submission, skipping and revision (of one reader), in order."""
        kinds = ("submitted", "skipped", "revised")
        query = select(events_table).where(events_table.c.kind.in_(kinds))
        if reader_id is not None:
            query = query.where(events_table.c.actor == reader_id)
        rows = self.connection.execute(query.order_by(events_table.c.seq))
        return tuple(event_from_row(tuple(row)) for row in rows)

    def last(self, kind: str, subject: str) -> Event | None:
        """Return the latest event of that kind and subject, or ``None``."""
        query = (
            select(events_table)
            .where(events_table.c.kind == kind, events_table.c.subject == subject)
            .order_by(events_table.c.seq.desc())
            .limit(1)
        )
        row = self.connection.execute(query).first()
        return None if row is None else event_from_row(tuple(row))

    def count(self, kind: str, *, actor: str | None = None, subject: str | None = None) -> int:
        """Return the number of events of that kind, actor and subject."""
        query = select(func.count()).where(events_table.c.kind == kind)
        if actor is not None:
            query = query.where(events_table.c.actor == actor)
        if subject is not None:
            query = query.where(events_table.c.subject == subject)
        return int(self.connection.execute(query).scalar_one())


class Writer(View):
    """A :class:`View` that holds the write lock and can append.

    Parameters
    ----------
    connection
        Open connection, inside ``BEGIN IMMEDIATE``.
    now
        Time of the transaction, taken after the lock, so that times rise along the chain.
    """

    def __init__(self, connection: Connection, now: datetime) -> None:
        super().__init__(connection)
        self.now = now

    def append(
        self, kind: str, actor: str, payload: Mapping[str, object], subject: str | None = None
    ) -> Event:
        """Append an event to the chain.

        Returns
        -------
        Event
            As stored.

        Raises
        ------
        StudyError
            If the payload cannot be written as JSON or exceeds a million characters.
        """
        text = canonical_json(payload)
        if len(text) > MAXIMUM_PAYLOAD:
            raise StudyError(
                f"An event of {len(text)} characters is too long; send at most {MAXIMUM_PAYLOAD}."
            )
        tail = self.connection.execute(
            select(events_table.c.seq, events_table.c.hash)
            .order_by(events_table.c.seq.desc())
            .limit(1)
        ).first()
        seq, previous = (tail[0] + 1, tail[1]) if tail else (1, GENESIS)
        created_at = timestamp(self.now)
        digest = event_hash(previous, seq, created_at, kind, actor, subject, text)
        row = (seq, created_at, kind, actor, subject, text, previous, digest)
        names = [column.name for column in events_table.columns]
        self.connection.execute(insert(events_table), dict(zip(names, row, strict=True)))
        return event_from_row(row)


def event_from_row(row: tuple[Any, ...]) -> Event:
    """Read one row of the table of events."""
    seq, created_at, kind, actor, subject, payload, previous_hash, digest = row
    return Event(
        seq, moment(created_at), kind, actor, subject, json.loads(payload), previous_hash, digest
    )


def answers_in(event: Event) -> dict[str, Answer]:
    """Return the answers that an event holds, lists as the tuples they were."""
    return {name: _frozen(value) for name, value in event.payload["answers"].items()}


def _frozen(value: Any) -> Any:
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value
