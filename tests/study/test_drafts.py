"""Drafts: kept while typing, gone with the submission, never part of the record."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from study.audit import verify
from study.drafts import checked_draft
from study.errors import AlreadyRated, NotCurrent, StudyError, UnknownAssignment
from study.session import ReadingDesk
from study.store import StudyStore
from tests.support.any_design import take, walk
from tests.support.small_study import ANSWERS, Small


def shown(study: Small, desk: ReadingDesk) -> str:
    """Display the current reading and return its id."""
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    return current.assignment_id


def n_drafts(study: Small) -> int:
    with study.store.reading() as view:
        return view.connection.exec_driver_sql("SELECT count(*) FROM drafts").scalar_one()


def test_a_draft_survives_a_restart_and_goes_with_the_submission(small: Small) -> None:
    desk = small.desk()
    name, head = shown(small, desk), None
    head = small.store.head
    saved_at = desk.keep_draft(name, {"comment": "a nod", "confidence": None}, 3)
    assert small.store.head == head  # no event
    small.store.close()
    again = ReadingDesk(StudyStore.open(small.path), "R1", small.clock)
    draft = again.draft(name)
    assert draft is not None
    assert (draft.answers, draft.number, draft.saved_at) == ({"comment": "a nod"}, 3, saved_at)
    again.submit(name, ANSWERS)
    assert again.draft(name) is None
    assert n_drafts(small) == 0
    assert b"a nod\x00" not in small.path.read_bytes()


def test_an_older_draft_never_replaces_a_newer_one(small: Small) -> None:
    desk = small.desk()
    name = shown(small, desk)
    newer = desk.keep_draft(name, {"comment": "a nodule"}, 7)
    assert desk.keep_draft(name, {"comment": "a nod"}, 6) == newer
    draft = desk.draft(name)
    assert draft is not None and draft.answers == {"comment": "a nodule"}
    desk.keep_draft(name, {}, 8)  # everything was deleted again
    draft = desk.draft(name)
    assert draft is not None and (draft.answers, draft.number) == ({}, 8)
    assert n_drafts(small) == 1


def test_a_draft_that_arrives_after_the_submission_is_refused(small: Small) -> None:
    desk = small.desk()
    name = shown(small, desk)
    desk.submit(name, ANSWERS)
    with pytest.raises(AlreadyRated, match="nothing more is kept"):
        desk.keep_draft(name, {"confidence": 1}, 99)
    other = shown(small, desk)
    desk.keep_draft(other, {"confidence": 1}, 1)
    desk.skip(other, "other")
    with pytest.raises(AlreadyRated):
        desk.keep_draft(other, {"confidence": 1}, 2)
    assert n_drafts(small) == 0


def test_drafts_belong_to_their_reader_and_to_what_is_displayed(small: Small) -> None:
    desk = small.desk("R1")
    name = shown(small, desk)
    desk.keep_draft(name, {"confidence": 1}, 1)
    with pytest.raises(UnknownAssignment):
        small.desk("R2").draft(name)
    with pytest.raises(UnknownAssignment):
        small.desk("R2").keep_draft(name, {"confidence": 5}, 2)
    with pytest.raises(NotCurrent, match="not displayed"):
        desk.keep_draft(small.store.assignments("R1")[1].assignment_id, {"confidence": 5}, 1)


def test_a_practice_case_has_a_draft_too(make_any: Callable[..., Small]) -> None:
    study = make_any()
    desk = ReadingDesk(study.store, "R1", study.clock)
    walk(desk, until="practice")
    name = shown(study, desk)
    desk.keep_draft(name, {"comment": "hm"}, 1)
    take(desk, "practice")
    assert desk.draft(name) is None


def test_unknown_items_and_impossible_values_are_left_out() -> None:
    deep = [[[[1]]]]
    given = {
        "a": "text",
        "b": [[0.5, 0.25]],
        "c": float("nan"),
        "d": deep,
        "e": {"x": 1},
        "f": True,
        "g": 10**400,
        "h": 0,
        "i": "",
        "other": 1,
        "j": list(range(100)),
        "k": "half \ud800",
    }
    kept, number = checked_draft(given, 4, set("abcdefghijk"))
    assert (kept, number) == ({"a": "text", "b": [[0.5, 0.25]], "h": 0, "k": "half ?"}, 4)


@pytest.mark.parametrize("number", [-1, 1.5, "3", None, True, 2**60])
def test_a_number_that_is_none_is_refused(number: object) -> None:
    with pytest.raises(StudyError, match="expected a whole number"):
        checked_draft({}, number, {"a"})


def test_a_draft_that_is_too_long_is_refused() -> None:
    with pytest.raises(StudyError, match="longer than"):
        checked_draft({"a": "x" * 200_000}, 1, {"a"})


def test_late_drafts_beside_submissions_leave_one_rating_and_no_draft(small: Small) -> None:
    """A submission and three drafts arrive at once, in any order, for five readings."""
    desk = small.desk()
    for _ in range(5):
        name = shown(small, desk)
        barrier = threading.Barrier(4)
        unexpected: list[BaseException] = []

        def post(number: int, name: str = name, barrier: threading.Barrier = barrier) -> None:
            mine = ReadingDesk(small.store, "R1", small.clock)
            barrier.wait()
            try:
                if number == 0:
                    mine.submit(name, ANSWERS)
                else:
                    mine.keep_draft(name, {"confidence": number}, number)
            except AlreadyRated:
                pass
            except StudyError as error:
                unexpected.append(error)  # noqa: B023

        threads = [threading.Thread(target=post, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert unexpected == []
        assert n_drafts(small) == 0
    assert len(small.store.events("submitted")) == 5
    assert verify(small.path).intact
