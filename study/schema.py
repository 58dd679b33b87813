"""Tables of a study's database and the triggers that keep the record append-only.

``events`` and ``assignments`` are the record. ``drafts`` holds answers that are not submitted yet:
its rows change and vanish, and neither audit nor export reads it. ``accounts``, ``invitations``,
``logins``, ``attempts`` and ``settings`` hold who may sign in, and can be erased without touching
the record.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, text

STORE_FORMAT = 2
APPLICATION_ID = 0x434C5254  # "CLRT", written into the header of the file

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("created_at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("subject", Text),  # the assignment that it is about, if any; of "closing": condition
    Column("payload", Text, nullable=False),
    Column("previous_hash", Text, nullable=False, unique=True),
    Column("hash", Text, nullable=False, unique=True),
)
# Covers what a reader's step follows from, so that no row of the table itself is touched.
Index("events_by_actor", events.c.actor, events.c.kind, events.c.subject, events.c.created_at)
Index("events_by_subject", events.c.subject, events.c.kind)
Index("events_by_kind", events.c.kind)
Index(
    "one_answer",
    events.c.subject,
    unique=True,
    sqlite_where=text("kind IN ('submitted', 'skipped', 'practised')"),
)
Index("one_first_display", events.c.subject, unique=True, sqlite_where=text("kind = 'displayed'"))
Index("one_feedback", events.c.subject, unique=True, sqlite_where=text("kind = 'feedback_read'"))
Index(
    "one_entry",
    events.c.actor,
    events.c.kind,
    unique=True,
    sqlite_where=text("kind IN ('consented', 'profile', 'instructions_accepted')"),
)
Index(
    "one_closing",
    events.c.actor,
    events.c.subject,
    unique=True,
    sqlite_where=text("kind = 'closing'"),
)

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
    Column("purpose", Text, nullable=False),
    Column("shown_case_id", Text, nullable=False),  # empty: the case itself
)
Index(
    "one_place",
    assignments.c.reader_id,
    assignments.c.session,
    assignments.c.position,
    unique=True,
)

drafts = Table(
    "drafts",
    metadata,
    Column("assignment_id", Text, primary_key=True),
    Column("reader_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("answers", Text, nullable=False),
    Column("saved_at", Text, nullable=False),
)

GUARDING_INDICES = (
    "one_answer",
    "one_first_display",
    "one_feedback",
    "one_entry",
    "one_closing",
    "one_place",
)
"""Unique indices without which something could be in the record twice."""

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
    Column("name", Text, nullable=False),  # for signing in; free again once revoked
    Column("role", Text, nullable=False),
    Column("reader_id", Text),
    Column("label", Text, nullable=False),
    Column("passphrase_hash", Text),  # argon2id; empty until an invitation is accepted
    Column("created_at", Text, nullable=False),
    Column("revoked_at", Text),
)
Index("one_name", accounts.c.name, unique=True, sqlite_where=text("revoked_at IS NULL"))

invitations = Table(
    "invitations",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("account_id", Text, nullable=False, index=True),
    Column("expires_at", Text, nullable=False),
    Column("used_at", Text),
)

logins = Table(
    "logins",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("account_id", Text, nullable=False, index=True),
    Column("created_at", Text, nullable=False),
    Column("last_seen_at", Text, nullable=False),
)

attempts = Table(  # failed sign-ins of the last minutes; places and names only as keyed hashes
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("place_hash", Text, nullable=False, index=True),
    Column("name_hash", Text, nullable=False, index=True),
    Column("at", Text, nullable=False, index=True),
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
    # A practice case never has a rating, and a rating is its own reader's.
    "events_refuse_stray_rating": _refusal(
        "events_refuse_stray_rating",
        "INSERT",
        "events",
        "a rating belongs to a reading of its reader",
        "NEW.kind IN ('submitted', 'skipped', 'revised', 'practised') AND NOT EXISTS "
        "(SELECT 1 FROM assignments WHERE assignment_id = NEW.subject AND reader_id = NEW.actor "
        "AND (purpose = 'practice') = (NEW.kind = 'practised'))",
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
