"""The way through a study: order, washout, timing, resuming, and what one reader may touch."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from study.allocation import Assignment
from study.answering import valid_timings
from study.audit import verify
from study.errors import (
    AlreadyRated,
    InvalidAnswer,
    NotCurrent,
    StoreUnavailable,
    StudyError,
    UnknownAssignment,
)
from study.session import ReadingDesk
from study.store import StudyStore
from study.viewer_log import ViewerEntry
from tests.support.any_design import answers_for, begin, take, walk
from tests.support.small_study import ANSWERS, PROFILE, Small

ENTRANCE = ("consent", "profile", "instructions")


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
    again = desk.submit(read.assignment_id, {"confidence": 4, "comment": " a nodule\n"})
    assert small.store.head == head
    stored = small.store.events("submitted")[0]
    assert (again.seq, again.saved_at) == (stored.seq, stored.created_at)


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
    assert desk.current() is None
    assert not desk.instructions_accepted
    first = small.store.assignments("R1")[0]
    with pytest.raises(NotCurrent, match="reader profile"):
        desk.accept_instructions()
    desk.keep_profile(PROFILE)
    with pytest.raises(NotCurrent, match="accept the instructions"):
        desk.display(first.assignment_id)
    desk.accept_instructions()
    desk.accept_instructions()
    assert desk.instructions_accepted
    current = desk.current()
    assert current == first
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


def test_the_current_and_the_next_reading_are_visible_and_no_other(small: Small) -> None:
    desk = small.desk()
    small.read(desk, 2)
    visible = [desk.visible(a.assignment_id) for a in small.store.assignments("R1")]
    assert visible == [False, False, True, True] + [False] * 12
    assert desk.following() == small.store.assignments("R1")[3]


def test_a_reading_that_may_be_revised_is_visible_until_a_later_session_begins(make_study) -> None:
    study = make_study(revisions=True, per_finding=2)
    desk, mine = study.desk(), study.store.assignments("R1")
    study.read(desk, 4)
    assert [desk.visible(a.assignment_id) for a in mine] == [True] * 6 + [False] * 2
    assert [r.assignment for r in desk.done()] == list(reversed(mine[:4]))
    assert all(r.revisable and r.state == "submitted" for r in desk.done())
    latest = desk.done()[0]
    assert latest.answers == {"confidence": 4, "comment": "a nodule"}
    desk.display(mine[4].assignment_id)
    assert [desk.visible(a.assignment_id) for a in mine] == [False] * 4 + [True] * 2 + [False] * 2
    assert desk.done() == ()
    head = study.store.head
    with pytest.raises(StudyError, match="later session has begun"):
        desk.revise(
            latest.assignment.assignment_id,
            {"confidence": 1},
            supersedes=latest.seq,
            reason="late",
        )
    assert study.store.head == head


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


def test_a_revision_sent_twice_is_stored_once(make_study) -> None:
    study = make_study(revisions=True)
    desk = study.desk()
    read = study.read(desk, 1)[0]
    seq = study.store.ratings()[0].seq
    first = desk.revise(read.assignment_id, {"confidence": 1}, supersedes=seq, reason="slip")
    head = study.store.head
    again = desk.revise(read.assignment_id, {"confidence": 1}, supersedes=seq, reason="slip")
    assert again == first
    assert study.store.head == head
    late = desk.submit(read.assignment_id, ANSWERS)  # a submission delayed by the network
    assert (late.seq, study.store.head) == (seq, head)


@pytest.mark.parametrize("kind", ["crossover", "parallel"])
def test_a_skipped_reading_counts_as_done_and_is_no_rating(make_any, kind: str) -> None:
    study = make_any(kind)
    desk = ReadingDesk(study.store, "R1", study.clock)
    begin(desk)
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    receipt = desk.skip(current.assignment_id, "image_quality", " too dark ")
    assert desk.skip(current.assignment_id, "image_quality", "too dark") == receipt
    with pytest.raises(AlreadyRated, match="stays as it is"):
        desk.skip(current.assignment_id, "other")
    with pytest.raises(AlreadyRated, match="stays skipped"):
        desk.submit(current.assignment_id, answers_for(desk, current))
    assert (desk.overview().n_done, desk.overview().n_skipped) == (1, 1)
    assert study.store.ratings() == ()
    assert desk.current() != current
    assert desk.done()[0].state == "skipped"
    assert desk.done()[0].answers == {}


def test_a_submitted_reading_is_not_skipped(small: Small) -> None:
    desk = small.desk()
    read = small.read(desk, 1)[0]
    with pytest.raises(AlreadyRated):
        desk.skip(read.assignment_id, "technical")
    assert desk.overview().n_skipped == 0


def test_what_may_not_be_skipped_says_so(make_any, small: Small) -> None:
    desk = ReadingDesk(make_any(skips=False).store, "R1", small.clock)
    begin(desk)
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    with pytest.raises(StudyError, match="no case can be skipped"):
        desk.skip(current.assignment_id, "other")
    desk = small.desk()
    current = desk.current()
    assert current is not None
    with pytest.raises(NotCurrent, match="before it was displayed"):
        desk.skip(current.assignment_id, "other")
    with pytest.raises(StudyError, match="choose one of image_quality"):
        desk.skip(current.assignment_id, "bored")
    with pytest.raises(StudyError, match="shorten it to 2000"):
        desk.skip(current.assignment_id, "other", "x" * 2001)
    practising = ReadingDesk(make_any().store, "R1", small.clock)
    for kind in ("consent", "profile", "instructions"):
        take(practising, kind)
    case = practising.current()
    assert case is not None
    practising.display(case.assignment_id)
    with pytest.raises(StudyError, match="practice case cannot be skipped"):
        practising.skip(case.assignment_id, "other")


def test_a_skipped_reading_may_be_answered_after_all_where_revisions_are_allowed(make_any) -> None:
    study = make_any(revisions=True)
    desk = ReadingDesk(study.store, "R1", study.clock)
    begin(desk)
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    receipt = desk.skip(current.assignment_id, "technical")
    desk.revise(
        current.assignment_id,
        answers_for(desk, current),
        supersedes=receipt.seq,
        reason="it works now",
    )
    assert {r.supersedes for r in study.store.ratings()} == {receipt.seq}
    assert desk.done()[0].state == "submitted"
    assert desk.overview().n_done == 1


def test_the_first_answer_of_a_sequential_pair_is_locked(make_any) -> None:
    study = make_any("sequential", revisions=True)
    desk = ReadingDesk(study.store, "R1", study.clock)
    begin(desk)
    first = desk.current()
    take(desk, "reading")
    second = desk.current()
    take(desk, "reading")
    assert first is not None and second is not None
    assert (first.case_id, first.condition, second.condition) == (second.case_id, "A", "B")
    aided, unaided = desk.done()
    assert (unaided.revisable, aided.revisable) == (False, True)
    with pytest.raises(StudyError, match="without the explanation is locked"):
        desk.revise(
            first.assignment_id,
            answers_for(desk, first, 1),
            supersedes=unaided.seq,
            reason="I see it now",
        )
    desk.revise(
        second.assignment_id,
        answers_for(desk, second, 1),
        supersedes=aided.seq,
        reason="slip",
    )


def test_skipping_an_unaided_reading_skips_the_aided_one_with_it(make_any) -> None:
    study = make_any("sequential")
    desk = ReadingDesk(study.store, "R1", study.clock)
    begin(desk)
    first = desk.current()
    assert first is not None
    desk.display(first.assignment_id)
    desk.skip(first.assignment_id, "image_quality")
    assert desk.overview().n_skipped == 2
    after = desk.current()
    assert after is not None and after.case_id != first.case_id
    assert verify(study.path).intact
    take(desk, "reading")
    aided = desk.current()
    assert aided is not None
    desk.display(aided.assignment_id)
    desk.skip(aided.assignment_id, "technical")  # the map failed: only this stage is lost
    assert desk.overview().n_skipped == 3


@pytest.mark.parametrize("kind", ["crossover", "sequential", "parallel"])
def test_a_practice_answer_never_becomes_a_rating(make_any, kind: str) -> None:
    study = make_any(kind)
    desk = ReadingDesk(study.store, "R1", study.clock)
    begin(desk)
    practice = {a.assignment_id for a in study.store.assignments() if a.purpose == "practice"}
    answered = {event.subject for event in study.store.events("practised")}
    assert answered and answered <= practice
    assert study.store.ratings(superseded=True) == ()
    assert desk.overview().n_done_study == 0
    assert desk.done() == ()
    walk(desk)
    assert not practice & {r.assignment_id for r in study.store.ratings(superseded=True)}
    forged = next(iter(answered))
    with (
        pytest.raises(StoreUnavailable, match="a rating belongs to a reading of its reader"),
        study.store.writing() as writer,
    ):
        writer.append("submitted", "R1", {"answers": {}}, forged)
    assert verify(study.path).intact


def test_repeats_are_ratings_of_their_own_purpose(make_any) -> None:
    study = make_any(repeats=2)
    desk = ReadingDesk(study.store, "R1", study.clock)
    walk(desk)
    purposes = [r.purpose for r in study.store.ratings() if r.item == "confidence"]
    assert purposes == ["study"] * 8 + ["repeat"] * 2


def test_marks_and_options_come_back_as_they_were_checked(make_any) -> None:
    study = make_any()
    desk = ReadingDesk(study.store, "R1", study.clock)
    begin(desk)
    take(desk, "reading")
    values = {r.item: r.value for r in study.store.ratings()}
    assert values["signs"] == ("edge", "shadow")  # in the protocol's order
    assert values["place"] == ((0.25, 0.5),)
    assert (values["management"], values["certainty"]) == ("ct", 60)
    reading = desk.done()[0].assignment
    desk.submit(reading.assignment_id, answers_for(desk, reading))  # JSON lists again: no change
    assert len(study.store.events("submitted")) == 1


def test_an_item_of_another_condition_is_refused(make_any) -> None:
    study = make_any()
    desk = ReadingDesk(study.store, "R1", study.clock)
    begin(desk)
    for _ in range(4):
        current = desk.current()
        assert current is not None
        if current.condition == "A":
            break
        take(desk, "reading")
    desk.display(current.assignment_id)
    answers = {**answers_for(desk, current), "useful": 3}
    with pytest.raises(InvalidAnswer, match="'useful' is not asked here"):
        desk.submit(current.assignment_id, answers)


def test_a_reading_that_was_displayed_stays_open_when_the_clock_is_set_back(make_study) -> None:
    study = make_study(washout_days=28)
    desk = study.desk()
    study.read(desk)
    study.clock.advance(days=29)
    second = desk.current()
    assert second is not None
    desk.display(second.assignment_id)
    study.clock.advance(days=-60)
    assert desk.current() == second
    desk.submit(second.assignment_id, ANSWERS)
    assert study.store.events("submitted")[-1].payload["reading_time_s"] == 0.0
    assert desk.overview().state == "open"
    assert verify(study.path).intact


def test_a_problem_is_recorded_once_and_changes_nothing_else(small: Small) -> None:
    desk = small.desk()
    current = desk.current()
    assert current is not None
    before = desk.step()
    receipt = desk.report_problem(current.assignment_id, "  The map is\x00 black.\r\n")
    assert desk.report_problem(current.assignment_id, "The map is black.") == receipt
    desk.report_problem(None, "The chair is hard.")
    texts = [(e.subject, e.payload["text"]) for e in small.store.events("problem_reported")]
    assert texts == [
        (current.assignment_id, "The map is black."),
        (None, "The chair is hard."),
    ]
    assert desk.step() == before
    with pytest.raises(StudyError, match="report is empty"):
        desk.report_problem(None, " \n")
    with pytest.raises(NotCurrent):
        desk.report_problem(small.store.assignments("R1")[4].assignment_id, "guessed")
    with pytest.raises(UnknownAssignment):
        desk.report_problem(small.store.assignments("R2")[0].assignment_id, "not mine")
    assert verify(small.path).intact


@pytest.mark.parametrize("kind", ["crossover", "sequential", "parallel"])
def test_random_calls_from_two_tabs_lose_double_and_misplace_no_answer(make_any, kind: str) -> None:
    """Three hundred calls, most of them out of order, with a clock that also runs backwards."""
    study = make_any(kind, revisions=True, repeats=1, break_every=2, washout_days=1)
    rng = random.Random(f"{kind}/1")
    tabs = [ReadingDesk(study.store, "R1", study.clock) for _ in range(2)]
    mine = study.store.assignments("R1")
    acknowledged: dict[str, set[int]] = {}

    def submit(desk: ReadingDesk, a: Assignment) -> None:
        receipt = desk.submit(a.assignment_id, answers_for(desk, a, rng.randint(1, 5)))
        acknowledged.setdefault(a.assignment_id, set()).add(receipt.seq)

    def skip(desk: ReadingDesk, a: Assignment) -> None:
        receipt = desk.skip(a.assignment_id, "other")
        acknowledged.setdefault(a.assignment_id, set()).add(receipt.seq)

    calls: list[Callable[[ReadingDesk, Assignment], object]] = [
        submit,
        submit,
        skip,
        lambda desk, a: desk.display(a.assignment_id),
        lambda desk, a: desk.keep_draft(a.assignment_id, {"confidence": 1}, rng.randint(0, 9)),
        lambda desk, a: desk.read_feedback(a.assignment_id),
        lambda desk, a: desk.start_break(),
        lambda desk, a: desk.end_break(),
        lambda desk, a: desk.close_condition(a.condition, {"liked": 1}),
        lambda desk, a: desk.log_viewer(a.assignment_id, (ViewerEntry(1, "pan"),)),
        lambda desk, a: take(desk, desk.step().kind) if desk.step().kind in ENTRANCE else None,
    ]
    for _ in range(300):
        desk = rng.choice(tabs)
        current = desk.step().assignment
        about = current if current is not None and rng.random() < 0.7 else rng.choice(mine)
        study.clock.advance(hours=rng.choice([-30, 0, 0, 0, 0, 40]))
        with contextlib.suppress(StudyError, InvalidAnswer):
            rng.choice(calls)(desk, about)
    events = [e for e in study.store.events() if e.kind in ("submitted", "skipped", "practised")]
    stored = {str(e.subject): e.seq for e in events}
    assert len(stored) == len(events) > 3  # nothing twice
    assert all(seqs == {stored[name]} for name, seqs in acknowledged.items())  # nothing lost
    order = [a.assignment_id for a in mine]
    assert [str(e.subject) for e in events] == order[: len(events)]  # nothing out of turn
    assert verify(study.path).intact
