"""The work of every call at the desk: few statements, and no more on a record of 100,000 events."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from study.audit import event_hash
from study.events import answers_in
from study.session import ReadingDesk
from study.store import StudyStore
from study.viewer_log import ViewerEntry
from tests.support.any_design import answers_for, begin, take
from tests.support.small_study import Small

LOG = tuple(ViewerEntry(n, "frame", n) for n in range(20))


@contextmanager
def statements(store: StudyStore) -> Iterator[list[str]]:
    """Collect the statements that are sent to the database."""
    sent: list[str] = []

    def keep(connection: object, cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(store.engine, "before_cursor_execute", keep)
    yield sent
    event.remove(store.engine, "before_cursor_execute", keep)


@contextmanager
def counted_steps(store: StudyStore) -> Iterator[list[int]]:
    """Count the steps of SQLite's virtual machine: work done, whatever the clock says."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    def watch(raw: sqlite3.Connection, *_: object) -> None:
        raw.set_progress_handler(count, 1)

    def leave(raw: sqlite3.Connection | None, *_: object) -> None:
        if raw is not None:
            raw.set_progress_handler(None, 1)

    event.listen(store.engine, "checkout", watch)
    event.listen(store.engine, "checkin", leave)
    yield steps
    event.remove(store.engine, "checkout", watch)
    event.remove(store.engine, "checkin", leave)


def add_events(study: Small, n: int) -> None:
    """Append ``n`` logs of the viewer about readings of both readers, in one transaction."""
    subjects = {a.assignment_id: a.reader_id for a in study.store.assignments()}
    connection = sqlite3.connect(study.path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    seq, created_at, previous = connection.execute(
        "SELECT seq, created_at, hash FROM events ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    text = json.dumps({"entries": [[1, "frame", 2]], "n_discarded": 0, "simulated": False})
    names, rows = list(subjects), []
    for place in range(n):
        subject = names[place % len(names)]
        seq += 1
        row = (seq, created_at, "viewer", subjects[subject], subject, text, previous)
        previous = event_hash(previous, *row[:-1])
        rows.append((*row, previous))
    connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")
    connection.close()


def work(study: Small) -> dict[str, tuple[int, int]]:
    """Return statements and steps of each call during one reading."""
    desk = ReadingDesk(study.store, "R1", study.clock)
    current = desk.current()
    assert current is not None
    name, answers = current.assignment_id, answers_for(desk, current)
    calls: dict[str, Callable[[], object]] = {
        "step": desk.step,
        "overview": desk.overview,
        "current": desk.current,
        "following": desk.following,
        "visible": lambda: desk.visible(name),
        "display": lambda: desk.display(name),
        "display again": lambda: desk.display(name),
        "draft": lambda: desk.keep_draft(name, answers, 1),
        "log": lambda: desk.log_viewer(name, LOG),
        "submit": lambda: desk.submit(name, answers),
        "submit again": lambda: desk.submit(name, answers),
        "done": desk.done,
    }
    costs = {}
    for title, call in calls.items():
        with statements(study.store) as sent, counted_steps(study.store) as steps:
            call()
        costs[title] = (len([s for s in sent if not s.startswith(("BEGIN", "COMMIT"))]), steps[0])
    return costs


def test_no_call_at_the_desk_costs_more_on_a_long_record(make_any) -> None:
    study = make_any(per_finding=4)
    begin(ReadingDesk(study.store, "R1", study.clock))
    before = work(study)
    add_events(study, 100_000)
    after = work(study)
    for title, (n_statements, n_steps) in before.items():
        assert after[title][0] == n_statements
        if title != "log":  # counts how often the reading was logged
            assert after[title][1] < 1.5 * n_steps + 200, title
    for title in ("step", "overview", "current", "following", "visible", "display again"):
        assert before[title][0] == 1, title
    assert before["submit"][0] == 6
    assert before["submit again"][0] == 1


def test_progress_is_read_from_an_index_alone(small: Small) -> None:
    with statements(small.store) as sent, small.store.reading() as view:
        view.progress("R1")
    connection = sqlite3.connect(small.path)
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT seq, kind, subject, created_at FROM events "
        "WHERE actor = 'R1' AND kind IN ('displayed', 'submitted')"
    ).fetchall()
    connection.close()
    assert len([s for s in sent if s.startswith("SELECT")]) == 1
    assert all("COVERING INDEX events_by_actor" in row[3] for row in plan)


@pytest.mark.parametrize("kind", ["crossover", "sequential", "parallel"])
def test_answers_read_back_equal_what_was_checked(make_any, kind: str) -> None:
    study = make_any(kind)
    desk = ReadingDesk(study.store, "R1", study.clock)
    begin(desk)
    take(desk, "reading")
    with study.store.reading() as view:
        (stored,) = view.answers("R1")
    answers = answers_in(stored)
    assert answers["signs"] == ("edge", "shadow")
    assert answers["place"] == ((0.25, 0.5),)
