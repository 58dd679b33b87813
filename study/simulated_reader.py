"""One simulated reader: every step of a study, at :class:`study.session.ReadingDesk` only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from study.allocation import Assignment
from study.answering import SKIP_REASONS, SkipReason
from study.errors import StudyError
from study.items import NUMERIC_KINDS, OPTION_KINDS, Item
from study.profile import ReaderProfile
from study.session import ReadingDesk
from study.steps import Step
from study.store import StudyStore


@dataclass(frozen=True)
class Habits:
    """What simulated readers do beside answering; drawn apart from the ratings.

    Parameters
    ----------
    skip_share
        Share of readings that are skipped, where the protocol allows it.
    revise_share
        Share of readings whose answer is given again, where the protocol allows revisions; the
        revision repeats the numbers, so that the planted effect stays what it is.
    pause_share
        Share of readings before which a reader takes a break.

    Raises
    ------
    StudyError
        If a share is not from 0 to 1.
    """

    skip_share: float = 0.0
    revise_share: float = 0.0
    pause_share: float = 0.0

    def __post_init__(self) -> None:
        for share in (self.skip_share, self.revise_share, self.pause_share):
            if not 0 <= share <= 1:
                raise StudyError(f"A share of {share} is none; give a number from 0 to 1.")


class SimulatedReader:
    """One reader's way through the study, taken at the desk as people take it.

    Parameters
    ----------
    store, reader_id
        The study, and who reads.
    start
        Simulated time of the first step.
    answer
        What the reader answers about a reading.
    habits
        How often the reader skips, revises and pauses.
    ratings_rng, habits_rng
        Sources of randomness: for the time that a reading takes, and for everything that does not
        count.
    """

    def __init__(
        self,
        store: StudyStore,
        reader_id: str,
        start: datetime,
        answer: Callable[[Assignment], dict[str, object]],
        habits: Habits,
        *,
        ratings_rng: np.random.Generator,
        habits_rng: np.random.Generator,
    ) -> None:
        self._clock = _SimulatedClock(start)
        self._desk = ReadingDesk(store, reader_id, self._clock, simulated=True)
        self._answer, self._habits = answer, habits
        self._ratings_rng, self._rng = ratings_rng, habits_rng

    def walk(self) -> Iterator[int]:
        """Take every step that is left; yield the number of readings done by each."""
        while (step := self._desk.step()).kind != "finished":
            if step.kind == "reading":
                yield self._read(step)
            else:
                self._take(step)
                yield 0

    def _take(self, step: Step) -> None:
        """Take a step that is no reading."""
        desk, protocol = self._desk, self._desk.protocol
        if step.kind == "consent":
            desk.consent()
        elif step.kind == "profile":
            desk.keep_profile(self._profile())
        elif step.kind == "instructions":
            desk.accept_instructions()
        elif step.kind == "practice" and step.assignment is not None:
            desk.display(step.assignment.assignment_id)
            self._clock.pass_s(40.0)
            items = protocol.items_of(step.assignment.condition)
            desk.submit(step.assignment.assignment_id, self._anything(items))
        elif step.kind == "practice_feedback" and step.assignment is not None:
            desk.read_feedback(step.assignment.assignment_id)
        elif step.kind == "break":
            self._clock.pass_s(300.0)
            desk.end_break()
        elif step.kind == "washout" and step.opens_at is not None:
            self._clock.now = step.opens_at
        elif step.kind == "closing" and step.condition is not None:
            desk.close_condition(step.condition, self._anything(protocol.closing))
        else:
            raise StudyError(f"A simulated reader cannot take the step {step.kind!r}.")

    def _read(self, step: Step) -> int:
        """Do one reading; return how many are done by it."""
        desk, assignment, design = self._desk, step.assignment, self._desk.protocol.design
        if assignment is None:
            raise StudyError(f"Reader {desk.reader_id!r} has nothing to read; check the study.")
        pauses, skips, revises = self._rng.random(3) < (
            self._habits.pause_share,
            design.skips * self._habits.skip_share,
            design.revisions * self._habits.revise_share,
        )
        name = assignment.assignment_id
        if pauses:
            desk.start_break()
            self._take(Step("break"))
        desk.display(name)
        self._clock.pass_s(float(self._ratings_rng.lognormal(np.log(25), 0.4)))
        answers = self._answer(assignment)
        if skips:
            before = desk.overview().n_done_study
            desk.skip(name, self._choose(SKIP_REASONS), "Simulated comment.")
            return desk.overview().n_done_study - before
        receipt = desk.submit(name, answers)
        if revises and any(r.seq == receipt.seq and r.revisable for r in desk.done()):
            self._clock.pass_s(10.0)
            desk.revise(name, answers, supersedes=receipt.seq, reason="Simulated revision.")
        return 1

    def _profile(self) -> ReaderProfile:
        return ReaderProfile(
            role="radiologist" if self._rng.random() < 0.7 else "resident",
            years_of_practice=int(self._rng.integers(1, 31)),
            subspecialty="simulated reader",
            prior_ai_use="tried",
            display="diagnostic",
            attested=True,
        )

    def _anything(self, items: Sequence[Item]) -> dict[str, object]:
        """Return allowed answers without meaning."""
        return {item.id: allowed_answer(item, self._rng) for item in items}

    def _choose(self, words: tuple[SkipReason, ...]) -> SkipReason:
        return words[int(self._rng.integers(len(words)))]


def allowed_answer(item: Item, rng: np.random.Generator) -> object:
    """Return an answer that the item allows, drawn evenly; free text only where it is required."""
    if item.kind in NUMERIC_KINDS:
        return int(rng.integers(item.lowest, item.highest + 1))
    if item.kind == "text":
        return "Simulated answer."[: item.max_length] if item.required else None
    if item.kind in OPTION_KINDS:
        chosen = item.options[int(rng.integers(len(item.options)))].id
        return chosen if item.kind == "choice" else (chosen,)
    x, y = (float(round(place, 3)) for place in rng.uniform(0.1, 0.8, 2))
    return ((x, y),) if item.kind == "point" else ((x, y, x + 0.1, y + 0.1),)


class _SimulatedClock:
    """A clock that moves only when told to."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
