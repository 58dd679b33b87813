"""Tables of a study's database and the triggers that keep the record append-only.

``events`` and ``assignments`` are the record; ``accounts``, ``logins``, ``attempts`` and
``settings`` hold who may sign in, and can be erased without touching the record.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, text

STORE_FORMAT = 1
APPLICATION_ID = 0x434C5254  # "CLRT", written into the header of the file

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("created_at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("subject", Text),  # the assignment that the event is about, if any
    Column("payload", Text, nullable=False),
    Column("previous_hash", Text, nullable=False, unique=True),
    Column("hash", Text, nullable=False, unique=True),
)
Index("events_by_actor", events.c.actor, events.c.kind)
Index("events_by_subject", events.c.subject, events.c.kind)
Index("events_by_kind", events.c.kind)
Index(
    "one_submission",
    events.c.subject,
    unique=True,
    sqlite_where=text("kind = 'submitted'"),
)
Index("one_first_display", events.c.subject, unique=True, sqlite_where=text("kind = 'displayed'"))

assignments = Table(
    "assignments",
    metadata,
    Column("assignment_id", Text, primary_key=True),
    Column("reader_id", Text, nullable=False),
    Column("session", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("condition", Text, nullable=False),
    Column("case_id", Text, nullable=False),
    Column("finding", Text, nullable=False),
)
Index(
    "one_place",
    assignments.c.reader_id,
    assignments.c.session,
    assignments.c.position,
    unique=True,
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("reader_id", Text),
    Column("label", Text, nullable=False),
    Column("code_hash", Text, unique=True),  # empty once revoked
    Column("created_at", Text, nullable=False),
    Column("revoked_at", Text),
)

logins = Table(
    "logins",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("account_id", Text, nullable=False, index=True),
    Column("created_at", Text, nullable=False),
    Column("last_seen_at", Text, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("client_hash", Text, nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("limited", Integer, nullable=False),
)


def _refusal(name: str, when: str, table: str, message: str, condition: str = "") -> str:
    guard = f"WHEN {condition} " if condition else ""
    return (
        f"CREATE TRIGGER {name} BEFORE {when} ON {table} FOR EACH ROW {guard}"
        f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


_TAIL = "(SELECT hash FROM events ORDER BY seq DESC LIMIT 1)"

TRIGGERS = {
    "events_refuse_update": _refusal(
        "events_refuse_update", "UPDATE", "events", "events are never changed"
    ),
    "events_refuse_delete": _refusal(
        "events_refuse_delete", "DELETE", "events", "events are never deleted"
    ),
    # Also stops INSERT OR REPLACE, which deletes without firing the trigger above.
    "events_refuse_fork": _refusal(
        "events_refuse_fork",
        "INSERT",
        "events",
        "an event is appended to the end of the chain",
        "NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM events) "
        f"OR (NEW.seq > 1 AND NEW.previous_hash IS NOT {_TAIL})",
    ),
    "assignments_refuse_update": _refusal(
        "assignments_refuse_update", "UPDATE", "assignments", "assignments are never changed"
    ),
    "assignments_refuse_delete": _refusal(
        "assignments_refuse_delete", "DELETE", "assignments", "assignments are never deleted"
    ),
    "assignments_refuse_insert": _refusal(
        "assignments_refuse_insert",
        "INSERT",
        "assignments",
        "assignments are frozen with the protocol",
        "EXISTS (SELECT 1 FROM events)",
    ),
}
