"""The store only grows, keeps whole submissions, and says in a sentence when it cannot."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from study.answering import Receipt
from study.audit import verify
from study.clock import utc_now
from study.errors import AlreadyRated, StoreUnavailable, StudyError, UnknownAssignment
from study.session import ReadingDesk
from study.store import StudyStore
from tests.support.small_study import (
    ANSWERS,
    Small,
    StepClock,
    allocation_of,
    small_protocol,
)


def test_a_store_gives_back_protocol_and_assignments(small: Small) -> None:
    again = StudyStore.open(small.path)
    assert again.protocol == small_protocol()
    assert sorted(again.assignments(), key=repr) == sorted(
        allocation_of(small_protocol()), key=repr
    )
    assert again.reader_ids == ("R1", "R2")
    mine = again.assignments("R2")
    assert [(a.session, a.position) for a in mine] == sorted((a.session, a.position) for a in mine)
    frozen = again.events("study_frozen")[0]
    assert frozen.seq == 1
    assert frozen.payload["allocation"] == {"algorithm": "crossover-2", "seed": 5}
    again.close()


def test_a_frozen_study_is_not_overwritten(small: Small) -> None:
    before = small.path.read_bytes()
    with pytest.raises(StudyError, match="never overwritten"):
        StudyStore.create(small.path, small.store.protocol, small.store.assignments())
    assert small.path.read_bytes() == before


def test_assignments_of_another_protocol_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    protocol = small_protocol()
    other = protocol.model_copy(update={"conditions": protocol.conditions[:1]})
    with pytest.raises(StudyError, match="allocate again"):
        StudyStore.create(tmp_path / "s.sqlite", other, allocation_of(protocol))
    with pytest.raises(StudyError, match="without assignments"):
        StudyStore.create(tmp_path / "s.sqlite", protocol, ())
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="nothing was written"):
        StudyStore.create(
            tmp_path / "file" / "s.sqlite", small_protocol(), allocation_of(small_protocol())
        )
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_a_file_that_is_no_store_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=r"not a (study's )?database"):
        StudyStore.open(path)


def test_a_missing_store_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no study database"):
        StudyStore.open(tmp_path / "none.sqlite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET payload = '{}' WHERE seq = 1",
        "DELETE FROM events WHERE seq = 1",
        "INSERT OR REPLACE INTO events SELECT seq, created_at, kind, actor, subject, '{}', "
        "previous_hash, hash FROM events WHERE seq = 1",
        "INSERT INTO events VALUES (99, '', 'x', 'x', NULL, '{}', 'p', 'h')",
        "INSERT INTO events VALUES (3, '', 'x', 'x', NULL, '{}', 'p', 'h')",
        "UPDATE assignments SET condition = 'A'",
        "DELETE FROM assignments",
        "INSERT INTO assignments VALUES ('x', 'R1', 9, 9, 'A', 'c', 'Mass', 'study', '')",
        "INSERT INTO events SELECT 3, '', 'submitted', 'R2', assignment_id, '{}', (SELECT hash "
        "FROM events WHERE seq = 2), 'h' FROM assignments WHERE reader_id = 'R1' LIMIT 1",
    ],
)
def test_the_database_itself_refuses_every_change(small: Small, statement: str) -> None:
    small.store.append("note", "R1", {"zoom": 2})
    connection = sqlite3.connect(small.path)
    with pytest.raises(sqlite3.IntegrityError, match=r"never|end of the chain|frozen|its reader"):
        connection.execute(statement)
    connection.close()
    assert verify(small.path).intact


def test_eight_threads_append_one_unbroken_chain(small: Small) -> None:
    barrier = threading.Barrier(8)
    failures: list[BaseException] = []

    def work(thread: int) -> None:
        barrier.wait()
        try:
            for n in range(40):
                small.store.append("note", "R1", {"thread": thread, "n": n})
        except StudyError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = verify(small.path)
    assert failures == []
    assert report.problems == ()
    assert report.n_events == 1 + 8 * 40
    written = {(e.payload["thread"], e.payload["n"]) for e in small.store.events("note")}
    assert len(written) == 8 * 40


def test_two_threads_submitting_one_reading_make_exactly_one_rating(small: Small) -> None:
    assignment = small.desk().current()
    assert assignment is not None
    small.desk().display(assignment.assignment_id)
    barrier, outcomes = threading.Barrier(2), []

    def submit(value: int) -> None:
        store = StudyStore.open(small.path, clock=small.clock)  # as another process would
        desk = ReadingDesk(store, "R1", small.clock)
        barrier.wait()
        try:
            desk.submit(assignment.assignment_id, {"confidence": value})
            outcomes.append(value)
        except AlreadyRated:
            outcomes.append(None)
        store.close()

    threads = [threading.Thread(target=submit, args=(value,)) for value in (2, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = next(value for value in outcomes if value is not None)
    assert outcomes.count(None) == 1
    ratings = [r for r in small.store.ratings() if r.item == "confidence"]
    assert [r.value for r in ratings] == [winner]
    assert verify(small.path).intact


def test_a_full_disk_is_a_sentence_and_stores_nothing_of_the_reading(small: Small) -> None:
    desk = small.desk()
    assignment = desk.current()
    assert assignment is not None
    desk.display(assignment.assignment_id)

    def fill(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite sets it to the present size

    def empty(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 1000000")

    event.listen(small.store.engine, "checkout", fill)
    with pytest.raises(StoreUnavailable, match="disk is full; free some space") as caught:
        for _ in range(200):  # until the pages at hand are used up
            small.store.append("note", "R1", {"text": "x" * 3000})
    assert "Nothing was saved" in str(caught.value)
    before = small.store.head
    with pytest.raises(StoreUnavailable, match="disk is full"):
        desk.submit(assignment.assignment_id, {"confidence": 3, "comment": "y" * 50}, _timings())
    assert small.store.head == before
    assert small.store.ratings() == ()
    assert desk.current() == assignment

    event.remove(small.store.engine, "checkout", fill)
    event.listen(small.store.engine, "checkout", empty)
    desk.submit(assignment.assignment_id, ANSWERS)
    assert len(small.store.ratings()) == 2
    assert verify(small.path).intact


def _timings() -> dict[str, object]:
    """Timings that need more than the room left on a page."""
    return {f"{'t' * 37}{n}": 1e6 + n / 7 for n in range(32)}


def test_a_locked_database_is_a_sentence_and_the_next_try_works(small: Small) -> None:
    store = StudyStore.open(small.path, clock=small.clock, busy_timeout_s=0.05)
    other = sqlite3.connect(small.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="keeps it locked"):
        store.append("note", "R1", {})
    assert store.events("note") == ()  # reading goes on meanwhile
    other.execute("ROLLBACK")
    other.close()
    store.append("note", "R1", {})
    assert len(store.events("note")) == 1
    store.close()


def test_a_failure_within_a_transaction_undoes_all_of_it(small: Small) -> None:
    head = small.store.head
    with (
        pytest.raises(StudyError, match="stored as JSON"),
        small.store.writing() as writer,
    ):
        writer.append("note", "R1", {"first": 1})
        writer.append("note", "R1", {"second": float("nan")})
    assert small.store.head == head


@pytest.mark.parametrize(
    ("kind", "payload", "words"),
    [
        ("submitted", {}, "reserved"),
        ("Viewer!", {}, "lower-case word"),
        ("note", {"x": float("inf")}, "JSON"),
        ("note", {"x": object()}, "JSON"),
        ("note", {"x": "y" * 1_100_000}, "too long"),
    ],
)
def test_an_event_that_does_not_belong_is_refused(
    small: Small, kind: str, payload: dict, words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        small.store.append(kind, "R1", payload)
    assert verify(small.path).n_events == 1


def test_an_unknown_assignment_is_refused(small: Small) -> None:
    with pytest.raises(UnknownAssignment, match="no such reading"):
        small.store.assignment("0" * 16)


def test_a_clock_without_a_time_zone_is_refused(small: Small) -> None:
    naive = StepClock(StepClock().now.replace(tzinfo=None))
    with pytest.raises(StudyError, match="no time zone"):
        small.store.append("note", "R1", {}, clock=naive)


def test_ratings_keep_to_the_order_of_submission_and_hold_all_items(small: Small) -> None:
    desk = small.desk()
    read = small.read(desk, 3)
    ratings = small.store.ratings()
    assert [(r.assignment_id, r.item, r.value) for r in ratings] == [
        (a.assignment_id, item, value) for a in read for item, value in ANSWERS.items()
    ]
    assert {(r.reader_id, r.revision, r.supersedes, r.simulated) for r in ratings} == {
        ("R1", 0, None, False)
    }
    assert all(r.submitted_at.tzinfo is not None and r.reading_time_s > 0 for r in ratings)


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


def test_the_work_of_a_submission_does_not_grow_with_the_record(small: Small) -> None:
    desk, work = small.desk(), []
    for n_more in (0, 10_000):
        with small.store.writing() as writer:
            for n in range(n_more):
                writer.append("note", "R2" if n % 2 else "R1", {"n": n})
        assignment = desk.current()
        assert assignment is not None
        desk.display(assignment.assignment_id)
        with counted_steps(small.store) as steps:
            desk.submit(assignment.assignment_id, ANSWERS)
        work.append(steps[0])
    assert work[0] > 0
    assert work[1] < 2 * work[0]


def test_two_tabs_sending_the_same_answers_at_once_both_get_the_one_receipt(small: Small) -> None:
    for _ in range(4):
        assignment = small.desk().current()
        assert assignment is not None
        small.desk().display(assignment.assignment_id)
        barrier, receipts = threading.Barrier(4), []

        def submit(name: str, barrier: threading.Barrier, receipts: list[Receipt]) -> None:
            store = StudyStore.open(small.path, clock=small.clock)
            desk = ReadingDesk(store, "R1", small.clock)
            barrier.wait()
            receipts.append(desk.submit(name, ANSWERS))
            store.close()

        arguments = (assignment.assignment_id, barrier, receipts)
        threads = [threading.Thread(target=submit, args=arguments) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(receipts) == 4
        assert len(set(receipts)) == 1
    assert len(small.store.events("submitted")) == 4
    assert verify(small.path).intact


def test_one_tab_skips_while_the_other_submits_and_one_of_them_wins(small: Small) -> None:
    for _ in range(4):
        assignment = small.desk().current()
        assert assignment is not None
        name = assignment.assignment_id
        small.desk().display(name)
        barrier, refused = threading.Barrier(2), []

        def act(skips: bool, name: str, barrier: threading.Barrier, refused: list[bool]) -> None:
            desk = ReadingDesk(small.store, "R1", small.clock)
            barrier.wait()
            try:
                desk.skip(name, "technical") if skips else desk.submit(name, ANSWERS)
            except AlreadyRated:
                refused.append(skips)

        threads = [
            threading.Thread(target=act, args=(skips, name, barrier, refused))
            for skips in (True, False)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 1
    assert len(small.store.events("submitted")) + len(small.store.events("skipped")) == 4
    assert verify(small.path).intact


_KILLED = """
import os, signal, sys
from sqlalchemy import event
from study.clock import utc_now
from study.session import ReadingDesk
from study.store import StudyStore
store = StudyStore.open(sys.argv[1])
desk = ReadingDesk(store, "R1", utc_now)
current = desk.current()
desk.display(current.assignment_id)
desk.keep_draft(current.assignment_id, {"comment": "before the crash"}, 1)
print(current.assignment_id, flush=True)
@event.listens_for(store._write_engine, "commit")
def _(connection):
    if sys.argv[2] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
desk.submit(current.assignment_id, {"confidence": 4, "comment": "a nodule"})
print("acknowledged", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_server_killed_around_the_commit_loses_nothing_that_was_acknowledged(
    small: Small, when: str
) -> None:
    """Killed between BEGIN and COMMIT the reading is as it was, draft included; after it, done."""
    small.desk()
    run = subprocess.run(
        [sys.executable, "-c", _KILLED, str(small.path), when],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    name, *acknowledged = run.stdout.split()
    assert verify(small.path).intact
    store = StudyStore.open(small.path)
    desk = ReadingDesk(store, "R1", utc_now)
    if when == "before":
        assert acknowledged == [] and store.ratings() == ()
        draft = desk.draft(name)
        assert draft is not None and draft.answers == {"comment": "before the crash"}
        current = desk.current()
        assert current is not None and current.assignment_id == name
        desk.submit(name, ANSWERS)  # the page sends it again
    else:
        assert acknowledged == ["acknowledged"]
        assert desk.draft(name) is None
    head = store.head
    desk.submit(name, ANSWERS)  # and once more
    assert store.head == head
    assert len(store.ratings()) == 2
    store.close()
    assert verify(small.path).intact


def test_a_store_of_the_earlier_format_is_refused_with_what_to_do(small: Small) -> None:
    small.store.close()
    connection = sqlite3.connect(small.path)
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    with pytest.raises(StoreUnavailable, match="format 1; this release reads 2"):
        StudyStore.open(small.path)
    with pytest.raises(StoreUnavailable, match="format 1; this release reads 2"):
        verify(small.path)


def test_the_database_refuses_a_second_answer_of_any_kind(small: Small) -> None:
    desk = small.desk()
    read = small.read(desk, 1)[0]
    for kind in ("skipped", "submitted"):
        with pytest.raises(StoreUnavailable, match="UNIQUE"), small.store.writing() as writer:
            writer.append(kind, "R1", {"answers": {}}, read.assignment_id)
    with pytest.raises(StoreUnavailable, match="UNIQUE"), small.store.writing() as writer:
        writer.append("profile", "R1", {})
    assert verify(small.path).intact
