"""The tables of an export beside the ratings: plan, what is missing, who read, what was done."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd

from study.clock import timestamp
from study.events import Event, answers_in
from study.items import NUMERIC_KINDS
from study.profile import ReaderProfile
from study.rating import to_text
from study.store import StudyStore
from study.viewer_log import from_payload

NOT_READ = "not_read"
"""Reason of a reading that is missing because it was not done yet, or never."""

_READING = ("assignment_id", "reader", "case_id", "finding", "condition", "sham", "purpose")
ASSIGNMENT_COLUMNS = (
    *_READING,
    "session",
    "position",
    "shown_case_id",
    "displayed_at",
    "submitted_at",
    "skipped_at",
)
MISSING_COLUMNS = (*_READING, "session", "position", "reason", "comment", "skipped_at")
PROFILE_COLUMNS = (
    "reader",
    *ReaderProfile.model_fields,
    "consent_version",
    "consented_at",
    "profile_at",
    "instructions_accepted_at",
    "n_practised",
    "simulated",
)
EVENT_COLUMNS = ("assignment_id", "reader", "at_ms", "kind", "value", "received_at", "simulated")
CLOSING_COLUMNS = ("reader", "condition", "item", "value", "text", "answered_at", "simulated")
PROBLEM_COLUMNS = ("reader", "assignment_id", "text", "reported_at", "simulated")


def assignment_table(store: StudyStore) -> pd.DataFrame:
    """Return what was to be read, in which order, and when it was; practice is left out."""
    table = pd.DataFrame([asdict(a) for a in store.assignments() if a.purpose != "practice"])
    shams = {condition.id: condition.sham for condition in store.protocol.conditions}
    table = table.rename(columns={"reader_id": "reader"})
    table["sham"] = table["condition"].map(shams).astype(object)
    table["shown_case_id"] = table["shown_case_id"].where(table["shown_case_id"] != "", None)
    for kind in ("displayed", "submitted", "skipped"):
        at = {event.subject: timestamp(event.created_at) for event in store.events(kind)}
        table[f"{kind}_at"] = table["assignment_id"].map(lambda name, at=at: at.get(name))
    return table[list(ASSIGNMENT_COLUMNS)]


def missing_table(store: StudyStore) -> pd.DataFrame:
    """Return every reading without a rating, with the reason: skipped, or not read."""
    with store.reading() as view:
        latest = {event.subject: event for event in view.answers()}
    table = assignment_table(store)
    states = [latest.get(name) for name in table["assignment_id"]]
    table["reason"] = [_said(event, "reason") if event else NOT_READ for event in states]
    table["comment"] = [_said(event, "comment") if event else None for event in states]
    lacking = [event is None or event.kind == "skipped" for event in states]
    return table.loc[lacking, list(MISSING_COLUMNS)].reset_index(drop=True)


def profile_table(store: StudyStore) -> pd.DataFrame:
    """Return one row for each reader: profile, consent, practice."""
    entries = {
        kind: {event.actor: event for event in store.events(kind)}
        for kind in ("consented", "profile", "instructions_accepted")
    }
    entries["profile"] |= {event.actor: event for event in store.events("profile_corrected")}
    practised = [event.actor for event in store.events("practised")]
    rows = []
    for reader in store.reader_ids:
        consented, profile, accepted = (entries[kind].get(reader) for kind in entries)
        given = profile.payload["profile"] if profile else {}
        rows.append(
            (
                reader,
                *(given.get(name) for name in ReaderProfile.model_fields),
                consented.payload["version"] if consented else None,
                _at(consented),
                _at(profile),
                _at(accepted),
                practised.count(reader),
                profile.payload["simulated"] if profile else None,
            )
        )
    table = pd.DataFrame(rows, columns=list(PROFILE_COLUMNS))
    return table.astype({"years_of_practice": "Int64", "attested": object, "simulated": object})


def event_table(store: StudyStore) -> pd.DataFrame:
    """Return the log of the viewer: one row for each thing that was done, practice left out."""
    rows = [
        (
            event.subject,
            event.actor,
            entry.at_ms,
            entry.kind,
            _cell(entry.value),
            timestamp(event.created_at),
            event.payload["simulated"],
        )
        for event in store.events("viewer")
        if store.assignment(str(event.subject)).purpose != "practice"
        for entry in from_payload(event.payload["entries"])
    ]
    return pd.DataFrame(rows, columns=list(EVENT_COLUMNS))


def closing_table(store: StudyStore) -> pd.DataFrame:
    """Return the closing feedback: one row for each reader, condition and item."""
    rows = []
    for event in store.events("closing"):
        answers = answers_in(event)
        for item in store.protocol.closing:
            is_number = item.kind in NUMERIC_KINDS
            value = answers[item.id]
            rows.append(
                (
                    event.actor,
                    event.subject,
                    item.id,
                    value if is_number else None,
                    None if is_number else to_text(value),
                    timestamp(event.created_at),
                    event.payload["simulated"],
                )
            )
    table = pd.DataFrame(rows, columns=list(CLOSING_COLUMNS))
    return table.astype({"value": "Int64"})


def problem_table(store: StudyStore) -> pd.DataFrame:
    """Return the problems that readers reported."""
    rows = [
        (
            event.actor,
            event.subject,
            event.payload["text"],
            timestamp(event.created_at),
            event.payload["simulated"],
        )
        for event in store.events("problem_reported")
    ]
    return pd.DataFrame(rows, columns=list(PROBLEM_COLUMNS))


def _said(event: Event, name: str) -> str | None:
    return str(event.payload.get(name, "")) or None


def _at(event: Event | None) -> str | None:
    return timestamp(event.created_at) if event else None


def _cell(value: float | str | None) -> str | None:
    """Write a number as it was sent, so that one column holds numbers and words."""
    return format(value, ".12g") if isinstance(value, int | float) else value
