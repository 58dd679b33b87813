"""The hash chain over a study's events, and its verification from the file alone.

Each event's hash covers its own columns and the hash before it. Whoever changes, removes, inserts
or reorders a row breaks the chain at that row. Two things a chain cannot show by itself, its head
can: give :func:`verify` a head noted down earlier, and it also finds a shortened chain, and a
chain that was recomputed from some row on.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from study.errors import StoreUnavailable, StudyError
from study.schema import GUARDING_INDICES, STORE_FORMAT, TRIGGERS
from study.schema import assignments as _ASSIGNMENTS

GENESIS = "0" * 64
_COLUMNS = "seq, created_at, kind, actor, subject, payload, previous_hash, hash"
_ANSWERS = ("submitted", "skipped", "practised", "revised")
_ABOUT_READINGS = (*_ANSWERS, "displayed", "feedback_read", "viewer", "problem_reported")
_Row = tuple[int, str, str, str, str | None, str, str, str]


@dataclass(frozen=True)
class AuditReport:
    """What a verification found.

    Parameters
    ----------
    n_events
        Number of events in the file.
    head
        Hash of the last event, 64 hexadecimal digits; note it down to detect truncation later.
    problems
        One sentence each; empty if the record is intact.
    """

    n_events: int
    head: str
    problems: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


def canonical_json(value: object) -> str:
    """Write ``value`` so that equal values give equal texts (keys sorted, ASCII, no NaN).

    Raises
    ------
    StudyError
        If the value cannot be written as JSON.
    """
    try:
        return json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
        )
    except (TypeError, ValueError) as error:
        raise StudyError(
            f"An event cannot be stored as JSON ({error}); "
            "pass texts, finite numbers, lists and mappings only."
        ) from error


def event_hash(
    previous_hash: str,
    seq: int,
    created_at: str,
    kind: str,
    actor: str,
    subject: str | None,
    payload: str,
) -> str:
    """Return the SHA-256 (64 hexadecimal digits) that links an event to the one before it."""
    link = canonical_json([previous_hash, seq, created_at, kind, actor, subject, payload])
    return hashlib.sha256(link.encode("ascii")).hexdigest()


def assignments_digest(rows: Iterable[Sequence[object]]) -> str:
    """Return the SHA-256 of the allocation.

    Parameters
    ----------
    rows
        (assignment_id, reader_id, session, position, condition, case_id, finding, purpose,
        shown_case_id), in any order.
    """
    ordered = sorted((list(row) for row in rows), key=lambda row: str(row[0]))
    return hashlib.sha256(canonical_json(ordered).encode("ascii")).hexdigest()


def verify(path: Path | str, *, head: str | None = None) -> AuditReport:
    """Check a study's record from its file alone, without trusting the store's code.

    Parameters
    ----------
    path
        ``study.sqlite``.
    head
        Hash noted down from an earlier report or receipt; it must still be in the chain.

    Returns
    -------
    AuditReport
        Every broken link, and whatever contradicts the frozen protocol and allocation.

    Raises
    ------
    StoreUnavailable
        If the file cannot be read as a study's database.
    """
    events, assignments, guards = _read(Path(path))
    problems = [*_chain_problems(events), *_content_problems(events, assignments)]
    changed = sorted(name for name, text in TRIGGERS.items() if guards.get(name) != text)
    if changed:
        problems.append(
            f"The triggers {', '.join(changed)} are missing or changed: rows could be changed."
        )
    lacking = sorted(set(GUARDING_INDICES) - set(guards))
    if lacking:
        problems.append(
            f"The indices {', '.join(lacking)} are missing: a reading could be answered twice."
        )
    if head is not None and head not in {row[7] for row in events}:
        problems.append(
            f"The head {head[:12]}… is not in the chain: events at the end are missing, or the "
            "chain was written anew."
        )
    return AuditReport(len(events), events[-1][7] if events else GENESIS, tuple(problems))


def _read(path: Path) -> tuple[list[_Row], list[tuple[object, ...]], dict[str, str]]:
    """Return events, assignments, and the text of each trigger and index."""
    if not path.is_file():
        raise StoreUnavailable(f"There is no study database {path}; name the file study.sqlite.")
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("BEGIN")  # one snapshot, also while readers are at work
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != STORE_FORMAT:
            raise StoreUnavailable(
                f"{path} has store format {version}; this release reads {STORE_FORMAT}. Verify it "
                "with the release that made it."
            )
        events = connection.execute(f"SELECT {_COLUMNS} FROM events ORDER BY rowid").fetchall()
        assignments = connection.execute(
            f"SELECT {', '.join(column.name for column in _ASSIGNMENTS.columns)} FROM assignments"
        ).fetchall()
        guards = dict(
            connection.execute("SELECT name, sql FROM sqlite_master WHERE type != 'table'")
        )
    except sqlite3.Error as error:
        advice = (
            "free some space on its disk, or look for a failing one"
            if "disk I/O" in str(error)
            else "restore it from a backup"
        )
        raise StoreUnavailable(
            f"{path} cannot be read as a study's database ({error}); {advice}."
        ) from error
    finally:
        connection.close()
    return events, assignments, guards


def _chain_problems(events: Sequence[_Row]) -> Iterable[str]:
    previous = GENESIS
    for n, row in enumerate(events, start=1):
        seq, created_at, kind, actor, subject, payload, previous_hash, stored = row
        if seq != n:
            yield f"Event {seq} stands where event {n} belongs: rows are missing or out of order."
            return
        if previous_hash != previous:
            yield f"Event {seq} does not follow event {seq - 1}: a row was replaced or moved."
        if event_hash(previous_hash, seq, created_at, kind, actor, subject, payload) != stored:
            yield f"Event {seq} was changed after it was written."
        previous = stored


def _content_problems(
    events: Sequence[_Row], assignments: Sequence[tuple[object, ...]]
) -> Iterable[str]:
    """Compare the record with what was frozen."""
    frozen = _payload(events[0]) if events and events[0][2] == "study_frozen" else None
    if frozen is None:
        yield "The record does not begin with the freezing of its protocol."
        return
    protocol = str(frozen.get("protocol", ""))
    if hashlib.sha256(protocol.encode()).hexdigest() != frozen.get("protocol_digest"):
        yield "The stored protocol does not match its digest."
    if assignments_digest(assignments) != frozen.get("assignments_digest"):
        yield "The assignments are not those that were frozen with the protocol."
    yield from _reading_problems(events, {str(row[0]): row for row in assignments})


def _reading_problems(
    events: Sequence[_Row], assignments: Mapping[str, tuple[object, ...]]
) -> Iterable[str]:
    """Check each reading: its own reader's, shown before it is answered, answered once."""
    shown: set[str] = set()
    latest: dict[str, int] = {}
    for row in events:
        seq, _, kind, actor, subject, *_ = row
        if kind not in _ABOUT_READINGS or (kind == "problem_reported" and subject is None):
            continue
        assignment, name = assignments.get(str(subject)), str(subject)
        if assignment is None or assignment[1] != actor:
            yield f"Event {seq} ({kind}) is about a reading that is not assigned to its reader."
            continue
        if kind in _ANSWERS and (kind == "practised") != (assignment[7] == "practice"):
            yield f"Event {seq} ({kind}) takes practice for a reading, or a reading for practice."
        if kind == "displayed":
            shown.add(name)
        payload = _payload(row) or {}
        if kind in _ANSWERS:
            if name not in shown and "skipped_with" not in payload:
                yield f"Event {seq} ({kind}) is about a reading that was not displayed before."
            if kind != "revised" and name in latest:
                yield f"Event {seq} ({kind}) is about a reading that was done before."
            if kind == "revised" and payload.get("supersedes") != latest.get(name):
                yield f"Event {seq} does not supersede the latest answer of its reading."
            latest[name] = seq


def _payload(row: _Row) -> Mapping[str, object] | None:
    try:
        payload = json.loads(row[5])
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None
