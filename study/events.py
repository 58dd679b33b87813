"""Events of a study: one append-only chain, read and written within one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, insert, select

from study.audit import GENESIS, canonical_json, event_hash
from study.clock import moment, timestamp
from study.errors import StudyError
from study.schema import events as events_table

MAXIMUM_PAYLOAD = 1_000_000


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
        The assignment it is about, if any.
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

    def submitted_at(self, reader_id: str) -> dict[str, datetime]:
        """Return the time of submission of each reading that a reader has done."""
        query = select(events_table.c.subject, events_table.c.created_at).where(
            events_table.c.actor == reader_id, events_table.c.kind == "submitted"
        )
        return {subject: moment(at) for subject, at in self.connection.execute(query)}

    def first_display(self, assignment_id: str) -> datetime | None:
        """Return when the reading was first displayed, or ``None``."""
        shown = self.events("displayed", subject=assignment_id)
        return shown[0].created_at if shown else None

    def submissions(self, assignment_id: str) -> tuple[Event, ...]:
        """Return the submission of a reading and its revisions, oldest first."""
        found = self.events(subject=assignment_id)
        return tuple(event for event in found if event.kind in ("submitted", "revised"))


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
