"""Readers read while things fail; and the ledger that judges it finds every kind of loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.fault_kinds import SERVER_KINDS
from benchmarks.fault_ledger import Ledger, Record, Sent, Stored, StoredDraft, violations
from benchmarks.fault_people import PEOPLE_KINDS
from benchmarks.faults import run_faults
from tests.support.event_loop import run_alone

N_FAULTS = 60
MOST_RESTARTS = 4
OWNERS = {"case-1": "R1", "case-2": "R1", "case-3": "R2"}
MOMENT = "2026-01-31T10:42:07.000123+00:00"
ONE, TWO = {"confidence": 1, "comment": "one"}, {"confidence": 2, "comment": "two"}


@pytest.mark.filterwarnings("default")
def test_sixty_faults_at_a_real_server_lose_move_and_double_nothing(tmp_path: Path) -> None:
    verdict = run_alone(lambda: run_faults(tmp_path, N_FAULTS, seed=5, most_restarts=MOST_RESTARTS))
    assert verdict.problems == ()
    assert verdict.injected.total() == N_FAULTS
    assert set(verdict.injected) == {kind.name for kind in (*SERVER_KINDS, *PEOPLE_KINDS)}
    assert verdict.n_acknowledged >= N_FAULTS / 2 and verdict.n_drafts > 0


def sent(action: str = "submit", *, status: int | None = 200, **others: object) -> Sent:
    made = Sent("R1", "case-1", action, ONE, status=status, saved_at=MOMENT)  # type: ignore[arg-type]
    return replace(made, **others)  # type: ignore[arg-type]


def stored(action: str = "submit", **others: object) -> Stored:
    made = Stored(5, "R1", "case-1", action, ONE, MOMENT)  # type: ignore[arg-type]
    return replace(made, **others)  # type: ignore[arg-type]


def judged(
    ledger: list[Sent], events: list[Stored], drafts: tuple[StoredDraft, ...] = ()
) -> list[str]:
    return violations(Ledger(ledger), Record(tuple(events), drafts, "head"), OWNERS)


def test_what_was_acknowledged_and_is_stored_is_no_violation() -> None:
    assert judged([sent()], [stored()]) == []
    assert judged([sent("skip")], [stored("skip")]) == []
    changed = [sent(), sent("revise", content=TWO)]
    assert judged(changed, [stored(), stored("revise", content=TWO)]) == []


def test_what_was_never_answered_may_be_stored_or_not() -> None:
    assert judged([sent(status=None)], [stored()]) == []
    assert judged([sent(status=None)], []) == []


@pytest.mark.parametrize(
    ("ledger", "events", "words"),
    [
        ([sent()], [], "Lost"),
        ([sent()], [stored(content=TWO)], "Lost"),
        ([sent()], [stored("skip")], "Lost"),
        ([sent()], [stored(saved_at="2026-01-31T10:42:08.000123+00:00")], "at another time"),
        ([sent(status=None)], [stored(assignment_id="case-2")], "Wrong case"),
        ([sent(status=409)], [stored()], "though it was refused"),
        ([], [stored()], "what nobody sent"),
        ([sent()], [stored(), stored(seq=6)], "Duplicate"),
        ([sent()], [stored(reader_id="R2")], "not R2's"),
        ([sent(), sent(content=TWO)], [stored()], "Two different answers"),
        (
            [sent(), sent("revise", content=TWO)],
            [stored(), stored("revise", content=TWO), stored("revise", content=TWO, seq=7)],
            "one revision",
        ),
    ],
)
def test_each_kind_of_broken_promise_is_found(
    ledger: list[Sent], events: list[Stored], words: str
) -> None:
    assert any(words in sentence for sentence in judged(ledger, events))


def test_an_acknowledged_draft_is_there_until_its_reading_is_done() -> None:
    known = sent("draft", number=7)
    kept = StoredDraft("R1", "case-1", ONE, 7)
    assert judged([known], [], (kept,)) == []
    assert judged([known, sent("draft", number=8, status=None, content=TWO)], [], (kept,)) == []
    assert "Lost" in judged([known], [])[0]
    assert "Lost" in judged([known, sent("draft", number=6)], [], (replace(kept, number=6),))[0]
    assert judged([known, sent()], [stored()]) == []
    assert "still there" in judged([known, sent()], [stored()], (kept,))[0]


def test_a_draft_that_was_sent_for_another_reading_is_found() -> None:
    stray = StoredDraft("R1", "case-2", ONE, 7)
    found = judged([sent("draft", number=7, status=None)], [], (stray,))
    assert any("not one that was sent for it" in sentence for sentence in found)
