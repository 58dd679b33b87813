"""What was sent and what was acknowledged, and whether a study's record agrees with it.

This is the whole promise in one place: what the server has acknowledged is in the record, once,
under the case it was given for; what it has refused is not; a draft that it has acknowledged is
there until its reading is done. Nothing here asks the application: the record is read from its
file.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

Action: TypeAlias = Literal["submit", "skip", "revise", "draft"]

_KIND_OF: Final[Mapping[str, Action]] = {
    "submitted": "submit",
    "skipped": "skip",
    "revised": "revise",
}
_FINAL: Final = ("submit", "skip")


@dataclass
class Sent:
    """Something that a reader's page sent, and what became of it as far as the page knows.

    Parameters
    ----------
    reader_id, assignment_id, action
        Who, about which reading, what.
    content
        Answers, or reason and words: different for everything that is sent.
    number
        Of a draft.
    status
        Status of the answer; ``None`` while there is none, and for ever if it got lost.
    saved_at
        What the server said, if it said that it has saved.
    """

    reader_id: str
    assignment_id: str
    action: Action
    content: Mapping[str, Any]
    number: int = 0
    status: int | None = None
    saved_at: str = ""

    @property
    def acknowledged(self) -> bool:
        """Whether the server has said that this is saved."""
        return self.status == 200

    @property
    def may_be_stored(self) -> bool:
        """Whether the server has not refused it."""
        return self.status is None or self.status == 200


@dataclass(frozen=True)
class Stored:
    """One event about a reading, as it is in the file."""

    seq: int
    reader_id: str
    assignment_id: str
    action: Action
    content: Mapping[str, Any]
    saved_at: str


@dataclass(frozen=True)
class StoredDraft:
    """One draft, as it is in the file."""

    reader_id: str
    assignment_id: str
    content: Mapping[str, Any]
    number: int


@dataclass(frozen=True)
class Record:
    """What a study's file holds.

    Parameters
    ----------
    events
        Submissions, skips and revisions in the order of the chain.
    drafts
        Answers that are not submitted yet.
    head
        Hash of the last event.
    """

    events: tuple[Stored, ...]
    drafts: tuple[StoredDraft, ...]
    head: str

    def done(self, assignment_id: str) -> bool:
        """Tell whether a reading is answered or skipped."""
        return any(
            each.assignment_id == assignment_id and each.action in _FINAL for each in self.events
        )


@dataclass
class Ledger:
    """Everything that was sent, in order, and what was seen to be wrong on the way."""

    sent: list[Sent] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def note(self, sent: Sent) -> Sent:
        """Note something before it is sent."""
        self.sent.append(sent)
        return sent

    def is_acknowledged(self, assignment_id: str) -> bool:
        """Tell whether the server has said that a reading is done."""
        return any(
            each.assignment_id == assignment_id and each.action in _FINAL and each.acknowledged
            for each in self.sent
        )

    def newest_draft(self, assignment_id: str) -> Sent | None:
        """Return the acknowledged draft of a reading with the highest number, if there is one."""
        known = [
            each
            for each in self.sent
            if (each.assignment_id, each.action) == (assignment_id, "draft") and each.acknowledged
        ]
        return max(known, key=lambda each: each.number, default=None)


def read_record(database: Path) -> Record:
    """Read a study's record from its file alone."""
    connection = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
    try:
        connection.execute("BEGIN")
        rows = connection.execute(
            "SELECT seq, actor, subject, kind, payload, created_at FROM events "
            "WHERE kind IN ('submitted', 'skipped', 'revised') ORDER BY seq"
        ).fetchall()
        drafts = connection.execute(
            "SELECT reader_id, assignment_id, answers, number FROM drafts"
        ).fetchall()
        (head,) = connection.execute("SELECT hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    finally:
        connection.close()
    return Record(
        tuple(
            Stored(seq, actor, subject, _KIND_OF[kind], _content(kind, json.loads(text)), moment)
            for seq, actor, subject, kind, text, moment in rows
        ),
        tuple(StoredDraft(who, what, json.loads(text), n) for who, what, text, n in drafts),
        head,
    )


def _content(kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    names = {"skipped": ("reason", "comment"), "revised": ("answers", "reason", "supersedes")}
    if kind == "submitted":
        answers: Mapping[str, Any] = payload["answers"]
        return answers
    return {name: payload[name] for name in names[kind]}


def violations(ledger: Ledger, record: Record, owners: Mapping[str, str]) -> list[str]:
    """Compare what was promised with what is there.

    Parameters
    ----------
    ledger
        What was sent and acknowledged.
    record
        What is stored.
    owners
        Assignment to the reader that it belongs to.

    Returns
    -------
    list of str
        One sentence for each broken promise; empty if all were kept.
    """
    return [
        *ledger.seen,
        *_lost(ledger, record),
        *_strange(ledger, record.events, owners),
        *_twice(ledger, record.events),
        *_drafts(ledger, record),
    ]


def _lost(ledger: Ledger, record: Record) -> Iterator[str]:
    """Acknowledged, and not in the record as it was acknowledged."""
    by_reading: dict[str, list[Stored]] = {}
    for event in record.events:
        by_reading.setdefault(event.assignment_id, []).append(event)
    for sent in ledger.sent:
        if not sent.acknowledged or sent.action == "draft":
            continue
        found = [
            event
            for event in by_reading.get(sent.assignment_id, ())
            if (event.action, event.reader_id) == (sent.action, sent.reader_id)
            and event.content == sent.content
        ]
        if not found:
            yield f"Lost: a {sent.action} of {_name(sent)} was acknowledged and is not stored."
        elif not any(_same_moment(event.saved_at, sent.saved_at) for event in found):
            yield f"The {sent.action} of {_name(sent)} was saved at another time than was said."


def _strange(ledger: Ledger, events: Sequence[Stored], owners: Mapping[str, str]) -> Iterator[str]:
    """Stored under a case that it was not given for, or stored though it was refused."""
    by_content: dict[str, list[Sent]] = {}
    for sent in ledger.sent:
        by_content.setdefault(_key(sent), []).append(sent)
    for event in events:
        if owners.get(event.assignment_id) != event.reader_id:
            yield f"Event {event.seq} is about a reading that is not {event.reader_id}'s."
        same = by_content.get(_key(event), [])
        own = [sent for sent in same if sent.assignment_id == event.assignment_id]
        if not same:
            yield f"Event {event.seq} holds what nobody sent for {_name(event)}."
        elif not own:
            yield f"Wrong case: event {event.seq} was for {_name(same[0])}, not {_name(event)}."
        elif not any(sent.may_be_stored for sent in own):
            yield f"Event {event.seq} of {_name(event)} is stored though it was refused."


def _twice(ledger: Ledger, events: Sequence[Stored]) -> Iterator[str]:
    """Stored more than once, or two different answers acknowledged for one reading."""
    answered = Counter(each.assignment_id for each in events if each.action in _FINAL)
    for name, n in answered.items():
        if n > 1:
            yield f"Duplicate: reading {name[:8]}… is answered {n} times."
    revised = Counter(
        (each.assignment_id, json.dumps(each.content, sort_keys=True))
        for each in events
        if each.action == "revise"
    )
    for (name, _), n in revised.items():
        if n > 1:
            yield f"Duplicate: one revision of reading {name[:8]}… is stored {n} times."
    said: dict[str, Sent] = {}
    for sent in ledger.sent:
        if not sent.acknowledged or sent.action not in _FINAL:
            continue
        before = said.setdefault(sent.assignment_id, sent)
        if (before.action, before.content) != (sent.action, sent.content):
            yield f"Two different answers to {_name(sent)} were both acknowledged."


def _drafts(ledger: Ledger, record: Record) -> Iterator[str]:
    """Acknowledged drafts are there until their reading is done, and gone afterwards."""
    stored = {draft.assignment_id: draft for draft in record.drafts}
    done = {event.assignment_id for event in record.events if event.action in _FINAL}
    for name in sorted({each.assignment_id for each in ledger.sent if each.action == "draft"}):
        newest, draft = ledger.newest_draft(name), stored.get(name)
        if name in done:
            if draft is not None:
                yield f"The draft of reading {name[:8]}… is still there though the reading is done."
        elif newest is not None and (draft is None or draft.number < newest.number):
            yield f"Lost: the acknowledged draft {newest.number} of {_name(newest)} is not there."
    for draft in record.drafts:
        if not any(
            (each.action, each.assignment_id, each.number, each.reader_id)
            == ("draft", draft.assignment_id, draft.number, draft.reader_id)
            and each.content == draft.content
            and each.may_be_stored
            for each in ledger.sent
        ):
            yield f"The draft of {_name(draft)} is not one that was sent for it."


def _key(about: Sent | Stored) -> str:
    return json.dumps([about.action, about.content], sort_keys=True)


def _name(about: Sent | Stored | StoredDraft) -> str:
    return f"{about.reader_id}'s reading {about.assignment_id[:8]}…"


def _same_moment(stored: str, said: str) -> bool:
    """Compare the record's time with the server's word, to the microsecond."""
    return bool(said) and datetime.fromisoformat(stored) == datetime.fromisoformat(said)
