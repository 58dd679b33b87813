"""Whatever is done to the file behind the store's back is found."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from study.audit import verify
from study.errors import StoreUnavailable
from study.session import ReadingDesk
from study.store import StudyStore
from tests.support.any_design import begin, take
from tests.support.small_study import Small

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tampered(small: Small, tmp_path: Path) -> Callable[..., Path]:
    """Return a copy of a read study on which statements were run, past all triggers."""
    small.read(small.desk(), 4)

    def tamper(*statements: str) -> Path:
        copy = tmp_path / "copy.sqlite"
        with sqlite3.connect(small.path) as source, sqlite3.connect(copy) as target:
            source.backup(target)
        connection = sqlite3.connect(copy)
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = triggers.fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)
        connection.commit()
        connection.close()
        return copy

    return tamper


def test_an_untouched_record_is_intact(small: Small) -> None:
    small.read(small.desk(), 2)
    report = verify(small.path)
    assert report.intact
    assert report.head == small.store.head
    assert report.n_events == 1 + 2 + 2 * 2


@pytest.mark.parametrize(
    "change",
    [
        """payload = replace(payload, '"confidence":4', '"confidence":5') WHERE seq = 5""",
        "created_at = '2026-01-01T00:00:00.000000+00:00' WHERE seq = 5",
        "actor = 'R2' WHERE seq = 5",
        "kind = 'revised' WHERE seq = 5",
        "subject = (SELECT subject FROM events WHERE seq = 7) || 'x' WHERE seq = 5",
        "hash = substr(hash, 2) || '0' WHERE seq = 5",
    ],
)
def test_a_changed_row_is_found(tampered: Callable[..., Path], change: str) -> None:
    report = verify(tampered(f"UPDATE events SET {change}"))
    assert any("Event 5 was changed" in problem for problem in report.problems)


def test_a_missing_row_is_found(tampered: Callable[..., Path]) -> None:
    report = verify(tampered("DELETE FROM events WHERE seq = 5"))
    assert "rows are missing" in report.problems[0]


def test_a_missing_row_is_found_after_renumbering(tampered: Callable[..., Path]) -> None:
    report = verify(
        tampered(
            "DELETE FROM events WHERE seq = 5", "UPDATE events SET seq = seq - 1 WHERE seq > 5"
        )
    )
    assert "Event 5 does not follow event 4" in report.problems[0]


def test_reordered_rows_are_found(tampered: Callable[..., Path]) -> None:
    swap = ("seq = 1000 WHERE seq = 5", "seq = 5 WHERE seq = 7", "seq = 7 WHERE seq = 1000")
    report = verify(tampered(*(f"UPDATE events SET {step}" for step in swap)))
    assert not report.intact
    assert any("Event 5 does not follow" in problem for problem in report.problems)


def test_a_shortened_chain_is_found_with_the_head_and_not_without(
    tampered: Callable[..., Path], small: Small
) -> None:
    cut = tampered("DELETE FROM events WHERE seq > 7")
    assert verify(cut).intact
    assert "not in the chain" in verify(cut, head=small.store.head).problems[0]


def test_a_head_noted_earlier_is_still_in_a_chain_that_has_grown(small: Small) -> None:
    noted = small.store.head
    small.read(small.desk(), 1)
    assert verify(small.path, head=noted).intact


def test_changed_assignments_are_found(tampered: Callable[..., Path]) -> None:
    report = verify(
        tampered("UPDATE assignments SET condition = CASE condition WHEN 'A' THEN 'B' ELSE 'A' END")
    )
    assert report.problems == ("The assignments are not those that were frozen with the protocol.",)


def test_missing_triggers_are_found(small: Small) -> None:
    connection = sqlite3.connect(small.path)
    connection.execute("DROP TRIGGER events_refuse_delete")
    connection.close()
    assert "events_refuse_delete" in verify(small.path).problems[0]


def test_a_trigger_that_was_made_harmless_is_found(small: Small) -> None:
    connection = sqlite3.connect(small.path)
    connection.execute("DROP TRIGGER events_refuse_delete")
    connection.execute(
        "CREATE TRIGGER events_refuse_delete BEFORE DELETE ON events BEGIN SELECT 1; END"
    )
    connection.commit()
    connection.close()
    assert "events_refuse_delete are missing or changed" in verify(small.path).problems[0]


def test_a_file_that_is_no_record_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("no database " * 100)
    sqlite3.connect(tmp_path / "empty.sqlite").execute("CREATE TABLE t (x)").connection.close()
    for name in ("text.sqlite", "empty.sqlite", "missing.sqlite"):
        with pytest.raises(StoreUnavailable):
            verify(tmp_path / name)


def test_a_process_killed_while_appending_leaves_a_valid_chain(small: Small) -> None:
    script = (
        "import itertools, sys\n"
        "from study.store import StudyStore\n"
        "store = StudyStore.open(sys.argv[1])\n"
        "for n in itertools.count():\n"
        "    store.append('note', 'R1', {'n': n, 'text': 'x' * 5000})\n"
        "    print(n, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(small.path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    acknowledged = -1
    for line in process.stdout:
        acknowledged = int(line)
        if acknowledged >= 60:
            process.send_signal(signal.SIGKILL)
            break
    acknowledged = max([acknowledged, *(int(n) for n in process.stdout.read().split())])
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    assert verify(small.path).intact
    stored = [event.payload["n"] for event in small.store.events("note")]
    assert stored == list(range(len(stored)))
    assert len(stored) >= acknowledged + 1  # what was acknowledged is there
    small.store.append("note", "R1", {"after": "the crash"})
    assert verify(small.path).intact


def test_a_copied_database_opens_and_verifies(small: Small, tmp_path: Path) -> None:
    small.read(small.desk(), 1)
    small.store.close()
    copy = tmp_path / "elsewhere" / "study.sqlite"
    copy.parent.mkdir()
    shutil.copy(small.path, copy)
    assert verify(copy).intact
    store = StudyStore.open(copy)
    assert len(store.ratings()) == 2
    store.close()


@pytest.fixture
def forger(make_any: Callable[..., Small]) -> Callable[..., Path]:
    """Return a study past its first reading, to which events are appended in a sound chain.

    Whoever can write the file can drop triggers and indices and hash anew; what is then written
    must still make sense.
    """

    def forge(kind: str, subject: str, payload: dict[str, object]) -> Path:
        study = make_any(revisions=True)
        desk = ReadingDesk(study.store, "R1", study.clock)
        begin(desk)
        take(desk, "reading")
        own = study.store.assignments("R1")
        names = {
            "practice": own[0],
            "done": own[2],
            "next": own[3],
            "other": study.store.assignments("R2")[2],
        }
        assert verify(study.path).intact
        connection = sqlite3.connect(study.path)
        connection.execute("DROP TRIGGER events_refuse_stray_rating")
        connection.execute("DROP INDEX one_answer")
        connection.commit()
        connection.close()
        with study.store.writing() as writer:
            writer.append(kind, "R1", payload, names[subject].assignment_id)
        return study.path

    return forge


@pytest.mark.parametrize(
    ("kind", "subject", "payload", "words"),
    [
        ("submitted", "done", {}, "done before"),
        ("skipped", "done", {}, "done before"),
        ("submitted", "next", {}, "not displayed before"),
        ("submitted", "other", {}, "not assigned to its reader"),
        ("viewer", "other", {}, "not assigned to its reader"),
        ("submitted", "practice", {}, "takes practice for a reading"),
        ("practised", "done", {}, "takes practice for a reading"),
        ("revised", "done", {"supersedes": 3}, "does not supersede the latest"),
    ],
)
def test_events_that_make_no_sense_are_found_in_a_sound_chain(
    forger: Callable[..., Path], kind: str, subject: str, payload: dict[str, object], words: str
) -> None:
    problems = verify(forger(kind, subject, payload)).problems
    assert any(words in problem for problem in problems)
    assert any("events_refuse_stray_rating" in problem for problem in problems)
    assert any("one_answer" in problem for problem in problems)


def test_drafts_are_no_part_of_what_is_verified(small: Small) -> None:
    desk = small.desk()
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    head = verify(small.path).head
    desk.keep_draft(current.assignment_id, {"confidence": 2}, 1)
    assert verify(small.path).head == head
