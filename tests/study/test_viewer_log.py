"""The viewer's log comes from a browser: checked, bounded, and stored with its reading."""

from __future__ import annotations

import json

import pytest

from study.audit import verify
from study.errors import NotCurrent, UnknownAssignment
from study.viewer_log import (
    KINDS,
    MAXIMUM_ENTRIES,
    ViewerEntry,
    from_payload,
    parse_entries,
    to_payload,
)
from tests.support.small_study import ANSWERS, Small


def test_entries_of_every_kind_are_kept_in_their_order() -> None:
    given = [{"at_ms": n, "kind": kind, "value": n / 2} for n, kind in enumerate(KINDS)]
    entries, n_discarded = parse_entries(given)
    assert n_discarded == 0
    assert [(e.at_ms, e.kind, e.value) for e in entries] == [
        (n, kind, n / 2) for n, kind in enumerate(KINDS)
    ]
    assert from_payload(json.loads(json.dumps(to_payload(entries)))) == entries


def test_values_are_numbers_words_or_nothing() -> None:
    given = [
        {"at_ms": 1.4, "kind": "window", "value": "0.42/0.80"},
        {"at_ms": -20, "kind": "paint"},
        {"at_ms": 3, "kind": "invert", "value": True},
    ]
    assert parse_entries(given) == (
        (
            ViewerEntry(1, "window", "0.42/0.80"),
            ViewerEntry(-20, "paint", None),
            ViewerEntry(3, "invert", 1.0),
        ),
        0,
    )


@pytest.mark.parametrize(
    "entry",
    [
        None,
        7,
        [1, "frame", 2],
        {},
        {"at_ms": 1},
        {"at_ms": "1", "kind": "frame"},
        {"at_ms": True, "kind": "frame"},
        {"at_ms": float("nan"), "kind": "frame"},
        {"at_ms": float("inf"), "kind": "frame"},
        {"at_ms": 10**400, "kind": "frame"},
        {"at_ms": 1e12, "kind": "frame"},
        {"at_ms": 1, "kind": "erase"},
        {"at_ms": 1, "kind": ["frame"]},
        {"at_ms": 1, "kind": "frame", "value": float("nan")},
        {"at_ms": 1, "kind": "frame", "value": 1e12},
        {"at_ms": 1, "kind": "frame", "value": [1]},
        {"at_ms": 1, "kind": "frame", "value": "x" * 81},
        {"at_ms": 1, "kind": "frame", "value": "a\nb"},
        {"at_ms": 1, "kind": "frame", "value": "\ud800"},
        {"at_ms": 1, "kind": "frame", "extra": 1},
    ],
)
def test_what_is_no_entry_is_left_out_and_counted(entry: object) -> None:
    kept, n_discarded = parse_entries([entry, {"at_ms": 5, "kind": "frame", "value": 3}])
    assert kept == (ViewerEntry(5, "frame", 3),)
    assert n_discarded == 1


@pytest.mark.parametrize("given", [None, "frame", b"frame", 3, {"at_ms": 1}])
def test_what_is_no_list_is_discarded(given: object) -> None:
    assert parse_entries(given) == ((), 1)


def test_a_flood_is_cut_off() -> None:
    entries, n_discarded = parse_entries([{"at_ms": 1, "kind": "pan"}] * (MAXIMUM_ENTRIES + 10))
    assert (len(entries), n_discarded) == (MAXIMUM_ENTRIES, 10)


def test_a_log_is_stored_with_its_reading_also_after_the_submission(small: Small) -> None:
    desk = small.desk()
    current = desk.current()
    assert current is not None
    name, entries = current.assignment_id, (ViewerEntry(0, "paint"), ViewerEntry(40, "frame", 3))
    with pytest.raises(NotCurrent, match="not displayed"):
        desk.log_viewer(name, entries)
    desk.display(name)
    assert desk.log_viewer(name, entries, n_discarded=1) == 2
    assert desk.log_viewer(name, entries, n_discarded=1) == 2  # the answer was lost on its way
    desk.submit(name, ANSWERS)
    assert desk.log_viewer(name, entries[:1]) == 1  # sent when the page was left
    assert desk.log_viewer(name, ()) == 0
    stored = small.store.events("viewer", subject=name)
    assert [from_payload(e.payload["entries"]) for e in stored] == [entries, entries[:1]]
    assert stored[0].payload["n_discarded"] == 1
    with pytest.raises(UnknownAssignment):
        small.desk("R2").log_viewer(name, entries)
    assert verify(small.path).intact
