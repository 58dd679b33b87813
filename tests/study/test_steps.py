"""What comes next: every design in its order, breaks, washouts, and refusals of a wrong order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from study.errors import AlreadyRated, InvalidAnswer, NotCurrent, StudyError
from study.session import ReadingDesk
from study.steps import Step
from tests.support.any_design import KINDS, answers_for, begin, take, walk
from tests.support.small_study import PROFILE, Small

Make = Callable[..., Small]

PRACTICE = ["practice", "practice_feedback"]
ENTRANCE = ["consent", "profile", "instructions"]


@pytest.mark.parametrize(
    ("kind", "practice", "n_readings", "n_closed"),
    [("crossover", 2, 8, 2), ("sequential", 2, 8, 2), ("parallel", 1, 4, 1)],
)
def test_every_design_goes_from_consent_to_finished(
    make_any: Make, kind: str, practice: int, n_readings: int, n_closed: int
) -> None:
    study = make_any(kind)
    desk = ReadingDesk(study.store, "R1", study.clock)
    assert walk(desk) == [
        *ENTRANCE,
        *PRACTICE * practice,
        *["reading"] * n_readings,
        *["closing"] * n_closed,
    ]
    assert desk.step() == Step("finished")
    assert desk.current() is None and desk.following() is None


def test_what_a_protocol_does_not_ask_for_is_no_step(make_any: Make, small: Small) -> None:
    study = make_any(practice=False, closing=False)
    steps = walk(ReadingDesk(study.store, "R1", study.clock))
    assert steps == [*ENTRANCE, *["reading"] * 8]
    desk = ReadingDesk(small.store, "R1", small.clock)
    assert desk.step().kind == "profile"  # it asks for no consent
    with pytest.raises(StudyError, match="asks for no consent"):
        desk.consent()


@pytest.mark.parametrize("kind", KINDS)
def test_a_desk_made_anew_before_every_step_takes_the_same_way(make_any: Make, kind: str) -> None:
    one, other = make_any(kind), make_any(kind)
    steps, desk = walk(ReadingDesk(one.store, "R1", one.clock)), None
    again = []
    while desk is None or desk.step().kind != "finished":
        desk = ReadingDesk(other.store, "R1", other.clock)
        again.append(desk.step().kind)
        take(desk, again[-1])
    assert again == steps


def test_steps_say_what_they_are_about_and_how_far_it_is(make_any: Make) -> None:
    study = make_any()
    desk = ReadingDesk(study.store, "R1", study.clock)
    walk(desk, until="practice")
    step = desk.step()
    assert step.assignment is not None
    assert (step.assignment.purpose, step.sequence) == ("practice", (1, 2))
    assert desk.current() == step.assignment
    take(desk, "practice")
    assert desk.step() == Step("practice_feedback", step.assignment, sequence=(1, 2))
    assert desk.current() is None
    assert desk.visible(step.assignment.assignment_id)
    begin(desk)
    take(desk, "reading")
    step = desk.step()
    assert step.assignment == study.store.assignments("R1")[3]
    assert step.sequence == (2, 4)
    walk(desk, until="closing")
    assert desk.step() == Step("closing", condition="A", sequence=(1, 2))
    take(desk, "closing")
    assert desk.step() == Step("closing", condition="B", sequence=(2, 2))


def test_every_call_out_of_order_is_refused_with_what_comes_first(make_any: Make) -> None:
    study = make_any()
    desk = ReadingDesk(study.store, "R1", study.clock)
    practice, reading = (study.store.assignments("R1")[n] for n in (0, 2))
    answers = answers_for(desk, reading)

    def refused(words: str, *but: str) -> None:
        calls: dict[str, Callable[[], object]] = {
            "profile": lambda: desk.keep_profile(PROFILE),
            "instructions": desk.accept_instructions,
            "display": lambda: desk.display(reading.assignment_id),
            "submit": lambda: desk.submit(reading.assignment_id, answers),
            "skip": lambda: desk.skip(reading.assignment_id, "other"),
            "draft": lambda: desk.keep_draft(reading.assignment_id, {}, 1),
            "practice": lambda: desk.display(practice.assignment_id),
            "feedback": lambda: desk.read_feedback(practice.assignment_id),
            "closing": lambda: desk.close_condition("A", {"liked": 2}),
            "break": desk.start_break,
            "end of break": desk.end_break,
        }
        head = study.store.head
        for name, call in calls.items():
            if name in but:
                continue
            with pytest.raises(NotCurrent, match=f"({words})|not displayed|no feedback|no break"):
                call()
        assert study.store.head == head

    refused("consent")
    desk.consent()
    refused("profile", "profile")
    desk.keep_profile(PROFILE)
    refused("instructions", "profile", "instructions")
    desk.accept_instructions()
    done = ("profile", "instructions", "break")
    refused("practice|turn", *done, "practice")
    take(desk, "practice")
    refused("Read the feedback", *done, "practice", "feedback")
    begin(desk)
    refused("cases to be read", *done, "practice", "feedback", "display", "submit", "skip")
    walk(desk, until="closing")
    refused("closing questions|nothing to pause", *done[:2], "practice", "feedback", "display",
            "submit", "skip", "draft", "closing")  # fmt: skip


def test_consent_and_profile_are_kept_once_with_version_and_time(make_any: Make) -> None:
    study = make_any()
    desk = ReadingDesk(study.store, "R1", study.clock)
    assert desk.consent() == desk.consent()
    event = study.store.events("consented")[0]
    assert event.payload["version"] == "2"
    assert len(event.payload["text_sha256"]) == 64
    assert desk.keep_profile(PROFILE) == desk.keep_profile(PROFILE)
    other = PROFILE.model_copy(update={"years_of_practice": 10})
    desk.keep_profile(other)  # a slip can be mended until the first case that counts
    assert len(study.store.events("profile")) == 1
    assert len(study.store.events("profile_corrected")) == 1
    walk(desk, until="reading")
    take(desk, "reading")
    with pytest.raises(AlreadyRated, match="stays as it is"):
        desk.keep_profile(PROFILE)


def test_a_session_opens_by_date_in_the_crossover_and_for_repeats(make_any: Make) -> None:
    study = make_any(washout_days=14, repeats=2)
    desk = ReadingDesk(study.store, "R1", study.clock)
    for session in (2, 3):
        walk(desk, until="washout")
        step, last = desk.step(), study.store.events("submitted")[-1].created_at
        assert step.opens_at == last + timedelta(days=14)
        assert step.sequence == (session, 3)
        assert desk.current() is None and desk.following() is None
        with pytest.raises(NotCurrent, match=f"nothing to pause now. Session {session} opens on"):
            desk.start_break()
        study.clock.now = step.opens_at - timedelta(seconds=5)
        assert desk.step().kind == "washout"
        study.clock.now = step.opens_at
        assert desk.step().kind == "reading"
    repeats = [a for a in study.store.assignments("R1") if a.purpose == "repeat"]
    assert [a.session for a in repeats] == [3, 3]
    walk(desk)


def test_the_one_reading_that_may_be_fetched_ahead(make_any: Make) -> None:
    study = make_any(washout_days=0)
    mine = study.store.assignments("R1")
    desk = ReadingDesk(study.store, "R1", study.clock)
    assert desk.following() is None
    walk(desk, until="practice")
    assert desk.following() == mine[1]
    take(desk, "practice")
    assert desk.following() is None  # while the feedback is read
    take(desk, "practice_feedback")
    assert desk.following() is None  # the last practice case: no case of the study before its turn
    begin(desk)
    seen = []
    while desk.step().kind == "reading":
        seen.append(desk.following())
        visible = [a for a in mine if desk.visible(a.assignment_id)]
        assert visible == [a for a in (desk.current(), seen[-1]) if a is not None]
        take(desk, "reading")
    assert seen == [*mine[3:6], None, *mine[7:10], None]


def test_the_aided_stage_is_never_fetched_while_its_case_is_read_unaided(make_any: Make) -> None:
    study = make_any("sequential", repeats=1)
    desk = ReadingDesk(study.store, "R1", study.clock)
    begin(desk)
    n_aided = 0
    while desk.step().kind == "reading":
        current, after = desk.current(), desk.following()
        assert current is not None
        if current.condition == "A":
            assert after is None
        elif after is not None:
            assert (after.condition, after.case_id != current.case_id) == ("A", True)
            n_aided += 1
        take(desk, "reading")
    assert n_aided == 3


def test_a_break_is_offered_after_so_many_readings_and_ends_the_same_way(make_any: Make) -> None:
    study = make_any(break_every=3, per_finding=4)
    desk = ReadingDesk(study.store, "R1", study.clock)
    begin(desk)
    steps = walk(desk, until="closing")
    session = [*["reading"] * 3, "break", *["reading"] * 3, "break", *["reading"] * 2]
    assert steps == session * 2
    assert {e.payload["taken"] for e in study.store.events("break_ended")} == {False}


def test_no_break_is_offered_between_the_stages_of_a_case(make_any: Make) -> None:
    study = make_any("sequential", break_every=1)
    desk = ReadingDesk(study.store, "R1", study.clock)
    begin(desk)
    assert walk(desk, until="closing") == ["reading", "reading", "break"] * 3 + ["reading"] * 2


def test_signing_in_begins_a_new_sitting(make_any: Make) -> None:
    study = make_any(break_every=2, per_finding=4)
    desk = ReadingDesk(study.store, "R1", study.clock)
    begin(desk)
    walk(desk, until="break")
    study.store.append("signed_in", "R1", {"role": "reader"})
    assert desk.step().kind == "reading"
    take(desk, "reading")
    take(desk, "reading")
    assert desk.step().kind == "break"


def test_a_break_that_is_taken_lasts_until_it_is_ended(make_any: Make) -> None:
    study = make_any()
    desk = ReadingDesk(study.store, "R1", study.clock)
    begin(desk)
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    desk.keep_draft(current.assignment_id, {"confidence": 2}, 1)
    desk.start_break()
    desk.start_break()
    assert desk.step() == Step("break")
    assert desk.current() is None
    assert not desk.visible(current.assignment_id)
    with pytest.raises(NotCurrent, match="on a break; end it"):
        desk.submit(current.assignment_id, answers_for(desk, current))
    study.store.append("signed_in", "R1", {"role": "reader"})
    assert desk.step().kind == "break"
    desk.end_break()
    desk.end_break()
    assert len(study.store.events("break_started")) == 1
    assert [e.payload["taken"] for e in study.store.events("break_ended")] == [True]
    assert desk.current() == current
    draft = desk.draft(current.assignment_id)
    assert draft is not None and draft.answers == {"confidence": 2}
    take(desk, "reading")
    with pytest.raises(NotCurrent, match="no break to be ended"):
        desk.end_break()


def test_closing_feedback_is_given_once_for_each_condition_in_order(make_any: Make) -> None:
    study = make_any()
    desk = ReadingDesk(study.store, "R1", study.clock)
    walk(desk, until="closing")
    with pytest.raises(NotCurrent, match="in their order"):
        desk.close_condition("B", {"liked": 2})
    with pytest.raises(InvalidAnswer, match="has no answer"):
        desk.close_condition("A", {"words": "fine"})
    receipt = desk.close_condition("A", {"liked": 2, "words": "fine"})
    assert desk.close_condition("A", {"liked": 2, "words": "fine"}) == receipt
    with pytest.raises(AlreadyRated, match="stays as it is"):
        desk.close_condition("A", {"liked": 3})
    desk.close_condition("B", {"liked": 5})
    assert desk.step().kind == "finished"


def test_answers_are_locked_once_the_closing_questions_name_the_conditions(make_any: Make) -> None:
    study = make_any("parallel", revisions=True)
    desk = ReadingDesk(study.store, "R1", study.clock)
    walk(desk, until="closing")
    latest = desk.done()[0]
    assert not latest.revisable
    assert not desk.visible(latest.assignment.assignment_id)
    with pytest.raises(StudyError, match="closing questions have"):
        desk.revise(
            latest.assignment.assignment_id,
            answers_for(desk, latest.assignment, 1),
            supersedes=latest.seq,
            reason="",
        )
