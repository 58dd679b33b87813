"""The way through a study: order, washout, timing, resuming, and what one reader may touch."""

from __future__ import annotations

from datetime import timedelta

import pytest

from study.errors import AlreadyRated, InvalidAnswer, NotCurrent, StudyError, UnknownAssignment
from study.session import ReadingDesk, valid_timings
from study.store import StudyStore
from tests.support.small_study import ANSWERS, Small


def test_readings_come_in_their_stored_order_until_the_study_is_finished(small: Small) -> None:
    desk = small.desk()
    read = small.read(desk)
    assert tuple(read) == small.store.assignments("R1")
    assert desk.current() is None
    overview = desk.overview()
    assert (overview.state, overview.n_done_study, overview.n_total_study) == ("finished", 16, 16)
    assert (overview.session, overview.n_sessions) == (2, 2)


def test_the_overview_counts_within_the_session_and_over_the_study(small: Small) -> None:
    desk = small.desk()
    small.read(desk, 3)
    overview = desk.overview()
    assert (overview.session, overview.n_done, overview.n_total) == (1, 3, 8)
    small.read(desk, 6)
    overview = desk.overview()
    assert (overview.session, overview.n_done, overview.n_total) == (2, 1, 8)
    assert (overview.n_done_study, overview.n_total_study) == (9, 16)


def test_session_two_opens_after_the_washout_and_not_before(make_study) -> None:
    study = make_study(washout_days=28)
    desk = study.desk()
    read = small_session = study.read(desk)
    assert {a.session for a in small_session} == {1}
    last = max(e.created_at for e in study.store.events("submitted"))
    overview = desk.overview()
    assert overview.state == "washout"
    assert (overview.session, overview.n_done) == (2, 0)
    assert overview.opens_at == last + timedelta(days=28)
    waiting = study.store.assignments("R1")[len(read)].assignment_id
    assert not desk.visible(waiting)
    with pytest.raises(NotCurrent, match=r"Session 2 opens on 2026-03-29 at 09:00 UTC"):
        desk.display(waiting)
    with pytest.raises(NotCurrent, match="opens on"):
        desk.submit(waiting, ANSWERS)
    study.clock.now = overview.opens_at - timedelta(seconds=2)
    assert desk.current() is None
    study.clock.now = overview.opens_at
    assert desk.overview().state == "open"
    assert len(study.read(desk)) == 8


def test_one_reader_does_not_wait_for_another(make_study) -> None:
    study = make_study(washout_days=28)
    study.read(study.desk("R1"))
    assert study.desk("R2").overview().state == "open"
    assert len(study.read(study.desk("R2"))) == 8


def test_a_new_desk_on_a_new_store_goes_on_at_the_same_reading(small: Small) -> None:
    desk = small.desk()
    small.read(desk, 2)
    current = desk.current()
    assert current is not None
    shown = desk.display(current.assignment_id)
    small.store.close()
    restarted = ReadingDesk(StudyStore.open(small.path), "R1", small.clock)
    assert restarted.current() == current
    assert restarted.instructions_accepted
    assert restarted.display(current.assignment_id) == shown
    restarted.submit(current.assignment_id, ANSWERS)
    assert restarted.overview().n_done == 3


def test_only_the_first_display_counts_for_the_reading_time(small: Small) -> None:
    desk = small.desk()
    current = desk.current()
    assert current is not None
    first = desk.display(current.assignment_id)
    small.clock.advance(seconds=30)
    assert desk.display(current.assignment_id) == first
    small.clock.advance(seconds=12.5)
    desk.submit(current.assignment_id, ANSWERS)
    event = small.store.events("submitted")[0]
    assert event.payload["reading_time_s"] == (event.created_at - first).total_seconds()
    assert 42.5 <= event.payload["reading_time_s"] <= 50
    assert len(small.store.events("displayed")) == 1


def test_the_same_answers_again_change_nothing(small: Small) -> None:
    desk = small.desk()
    read = small.read(desk, 1)[0]
    head = small.store.head
    desk.submit(read.assignment_id, {"confidence": 4, "comment": " a nodule\n"})
    assert small.store.head == head


def test_different_answers_again_are_refused_and_the_first_stay(small: Small) -> None:
    desk = small.desk()
    read = small.read(desk, 1)[0]
    head = small.store.head
    with pytest.raises(AlreadyRated, match="stay as they are"):
        desk.submit(read.assignment_id, {"confidence": 1})
    assert small.store.head == head


def test_a_reading_out_of_turn_is_refused(small: Small) -> None:
    desk = small.desk()
    later = small.store.assignments("R1")[3].assignment_id
    with pytest.raises(NotCurrent, match="not this reading's turn"):
        desk.display(later)
    with pytest.raises(NotCurrent, match="not this reading's turn"):
        desk.submit(later, ANSWERS)
    assert small.store.ratings() == ()


def test_a_reading_must_be_displayed_before_it_is_answered(small: Small) -> None:
    desk = small.desk()
    current = desk.current()
    assert current is not None
    with pytest.raises(NotCurrent, match="before it was displayed"):
        desk.submit(current.assignment_id, ANSWERS)


def test_nothing_is_displayed_before_the_instructions_are_accepted(small: Small) -> None:
    desk = small.desk(accepted=False)
    current = desk.current()
    assert current is not None
    assert not desk.instructions_accepted
    with pytest.raises(NotCurrent, match="accept the instructions"):
        desk.display(current.assignment_id)
    desk.accept_instructions()
    desk.accept_instructions()
    assert desk.instructions_accepted
    assert not small.desk("R2", accepted=False).instructions_accepted
    assert len(small.store.events("instructions_accepted")) == 1
    desk.display(current.assignment_id)


def test_a_reader_touches_own_readings_only(small: Small) -> None:
    mine, theirs = small.desk("R1"), small.desk("R2")
    current = theirs.current()
    assert current is not None
    theirs.display(current.assignment_id)
    assert not mine.owns(current.assignment_id)
    assert not mine.visible(current.assignment_id)
    for act in (
        lambda name: mine.display(name),
        lambda name: mine.submit(name, ANSWERS),
    ):
        with pytest.raises(UnknownAssignment) as other:
            act(current.assignment_id)
        with pytest.raises(UnknownAssignment) as none:
            act("0" * 16)
        assert str(other.value) == str(none.value)  # nobody learns which ids exist


def test_current_and_past_readings_are_visible_and_future_ones_are_not(small: Small) -> None:
    desk = small.desk()
    small.read(desk, 2)
    visible = [desk.visible(a.assignment_id) for a in small.store.assignments("R1")]
    assert visible == [True, True, True] + [False] * 13


def test_an_unknown_reader_has_no_desk(small: Small) -> None:
    with pytest.raises(UnknownAssignment, match="its readers are R1, R2"):
        ReadingDesk(small.store, "R9", small.clock)


def test_an_invalid_answer_stores_nothing(small: Small) -> None:
    desk = small.desk()
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    head = small.store.head
    with pytest.raises(InvalidAnswer):
        desk.submit(current.assignment_id, {"confidence": 9, "comment": "kept?"})
    assert small.store.head == head


def test_timings_of_the_browser_are_stored_as_given_and_nonsense_is_left_out(small: Small) -> None:
    desk = small.desk()
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    client = {"active_s": 12.25, "hidden_s": 0, "bad": float("nan"), "BAD": 1, "text": "x"}
    desk.submit(current.assignment_id, ANSWERS, client)
    payload = small.store.events("submitted")[0].payload
    assert payload["client"] == {"active_s": 12.25, "hidden_s": 0}
    assert payload["client_discarded"] == 3


def test_no_more_than_thirty_two_timings_are_kept() -> None:
    timings, n_discarded = valid_timings({f"t{n}": n for n in range(40)} | {"neg": -1.0})
    assert (len(timings), n_discarded) == (32, 9)


def test_a_clock_that_steps_back_gives_no_negative_time(small: Small) -> None:
    desk = small.desk()
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    small.clock.advance(hours=-1)
    desk.submit(current.assignment_id, ANSWERS)
    assert small.store.events("submitted")[0].payload["reading_time_s"] == 0.0


def test_a_protocol_without_revisions_refuses_them(small: Small) -> None:
    desk = small.desk()
    read = small.read(desk, 1)[0]
    seq = small.store.ratings()[0].seq
    with pytest.raises(StudyError, match="cannot be changed"):
        desk.revise(read.assignment_id, {"confidence": 1}, supersedes=seq, reason="slip")


def test_a_revision_names_what_it_replaces_and_the_first_answer_stays(make_study) -> None:
    study = make_study(revisions=True)
    desk = study.desk()
    read = study.read(desk, 2)[0]
    first = study.store.ratings()[0]
    desk.revise(read.assignment_id, {"confidence": 1}, supersedes=first.seq, reason="slip")
    second = next(r for r in study.store.ratings() if r.assignment_id == read.assignment_id)
    assert (second.value, second.revision, second.supersedes) == (1, 1, first.seq)
    assert second.reading_time_s == first.reading_time_s
    with pytest.raises(StudyError, match="not the latest"):
        desk.revise(read.assignment_id, {"confidence": 2}, supersedes=first.seq, reason="")
    desk.revise(read.assignment_id, {"confidence": 2}, supersedes=second.seq, reason="again")
    history = [
        r.value
        for r in study.store.ratings(superseded=True)
        if r.assignment_id == read.assignment_id and r.item == "confidence"
    ]
    assert history == [4, 1, 2]
    assert len(study.store.ratings()) == 4  # two readings, two items
    unread = desk.current()
    assert unread is not None
    with pytest.raises(StudyError, match="not the latest"):
        desk.revise(unread.assignment_id, {"confidence": 2}, supersedes=3, reason="")
