"""What surrounds the readings: consent, profile, instructions, problems, breaks, closing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Final

from study.answering import Receipt, plain_words, same_answers
from study.clock import Clock
from study.errors import AlreadyRated, NotCurrent, StudyError
from study.events import Event, View, Writer
from study.profile import ReaderProfile, read_profile
from study.rating import validate_answers
from study.standing import Standing
from study.steps import StepKind, refusal_of, step_of
from study.store import StudyStore

MAXIMUM_PROBLEMS: Final = 1000
"""Problems that one reader may report."""

_STEP_OF: Final[Mapping[str, StepKind]] = MappingProxyType(
    {"consented": "consent", "profile": "profile", "instructions_accepted": "instructions"}
)


class Sitting(Standing):
    """One reader's way to the readings and out of them.

    Parameters
    ----------
    store, reader_id, clock
        See :class:`study.standing.Standing`.
    simulated
        Whether the reader is simulated; every event then says so.
    """

    def __init__(
        self, store: StudyStore, reader_id: str, clock: Clock, *, simulated: bool = False
    ) -> None:
        super().__init__(store, reader_id, clock)
        self._simulated = simulated

    def consent(self) -> Receipt:
        """Record the reader's consent to the protocol's text; a second time changes nothing.

        Raises
        ------
        StudyError
            If the protocol asks for no consent.
        """
        study = self.protocol.study
        if not study.consent:
            raise StudyError("This study asks for no consent; go on with the next step.")
        text = hashlib.sha256(study.consent.encode()).hexdigest()
        return self._enter("consented", {"version": study.consent_version, "text_sha256": text})

    def keep_profile(self, profile: ReaderProfile) -> Receipt:
        """Record who reads; the same profile a second time changes nothing.

        Until the first case is shown that counts, a different profile is kept as a correction
        beside the earlier one; the latest counts.

        Raises
        ------
        NotCurrent
            If consent is missing.
        AlreadyRated
            If a different profile is on record and reading has begun.
        """
        payload = {"profile": profile.model_dump(mode="json")}
        with self._writing() as writer:
            earlier = _profiles(writer, self._reader_id)
            if earlier:
                if earlier[-1].payload["profile"] == payload["profile"]:
                    return Receipt.of(earlier[-1])
                if self._has_begun(writer):
                    raise AlreadyRated(
                        "Reading has begun and your profile stays as it is; tell the coordinator "
                        "what is to be corrected."
                    )
                return self._append(writer, "profile_corrected", payload)
        return self._enter("profile", payload)

    def profile(self) -> tuple[ReaderProfile | None, bool]:
        """Return the reader's profile, if there is one, and whether it may be corrected."""
        with self._store.reading() as view:
            found = _profiles(view, self._reader_id)
            begun = self._has_begun(view)
        kept = read_profile(found[-1].payload["profile"]) if found else None
        return kept, kept is not None and not begun

    def accept_instructions(self) -> Receipt:
        """Record that the reader accepts the instructions; a second time changes nothing.

        Raises
        ------
        NotCurrent
            If consent or profile are missing.
        """
        return self._enter("instructions_accepted", {"protocol_digest": self.protocol.digest})

    def report_problem(self, assignment_id: str | None, text: str) -> Receipt:
        """Record that something went wrong, in the reader's words; it changes nothing else.

        Parameters
        ----------
        assignment_id
            The reading that it is about, which is current or was displayed; ``None`` for none.
        text
            At most 2000 characters. The same text again is not stored again.

        Raises
        ------
        UnknownAssignment, NotCurrent, StudyError
            If it is no reading of this reader, is not its turn yet, or nothing is written.
        """
        if assignment_id is not None:
            self._own(assignment_id)
        words = plain_words(text)
        if not words:
            raise StudyError("The report is empty; say in a few words what went wrong.")
        with self._writing() as writer:
            earlier = writer.events("problem_reported", self._reader_id)
            for event in earlier[-1:]:
                if (event.subject, event.payload["text"]) == (assignment_id, words):
                    return Receipt.of(event)
            if len(earlier) >= MAXIMUM_PROBLEMS:
                raise StudyError("Too many problems are reported; tell the coordinator instead.")
            if assignment_id is not None and writer.first_display(assignment_id) is None:
                self._refuse_unless_current(writer, assignment_id)
            return self._append(writer, "problem_reported", {"text": words}, assignment_id)

    def start_break(self) -> None:
        """Record that the reader pauses; while paused, a second time changes nothing.

        Raises
        ------
        NotCurrent
            If nothing is being read or practised; says what comes instead.
        """
        with self._writing() as writer:
            progress = writer.progress(self._reader_id)
            step = step_of(self._plan, progress, writer.now)
            if progress.on_break:
                return
            if step.kind not in ("practice", "practice_feedback", "reading", "break"):
                raise NotCurrent(f"There is nothing to pause now. {refusal_of(step)}")
            self._append(writer, "break_started", {})

    def end_break(self) -> None:
        """Record that the reader goes on, after a break that was taken or only offered.

        Once more, before anything else was read, changes nothing.

        Raises
        ------
        NotCurrent
            If there is no break.
        """
        with self._writing() as writer:
            progress = writer.progress(self._reader_id)
            offered = step_of(self._plan, progress, writer.now).kind == "break"
            if offered or progress.on_break:
                self._append(writer, "break_ended", {"taken": progress.on_break})
            elif not progress.break_ended or any(
                mark.seq > progress.break_ended for mark in progress.done.values()
            ):
                raise NotCurrent("There is no break to be ended; reload the page to go on.")

    def close_condition(self, condition: str, answers: Mapping[str, object]) -> Receipt:
        """Store the closing feedback on one condition; the same again changes nothing.

        Raises
        ------
        InvalidAnswer
            If an answer is missing or not allowed; names the item.
        AlreadyRated
            If there is different feedback on this condition.
        NotCurrent
            If it is not this condition's turn; says what comes first.
        """
        given = validate_answers(self.protocol.closing, answers)
        with self._writing() as writer:
            for event in writer.events("closing", self._reader_id, condition):
                if same_answers(event, given):
                    return Receipt.of(event)
                raise AlreadyRated("This feedback was given already and stays as it is.")
            step = self._step(writer, writer.now)
            if step.kind != "closing" or step.condition != condition:
                raise NotCurrent(refusal_of(step))
            return self._append(writer, "closing", {"answers": given}, condition)

    def _writing(self) -> AbstractContextManager[Writer]:
        return self._store.writing(self._clock)

    def _append(
        self,
        writer: Writer,
        kind: str,
        payload: Mapping[str, object],
        subject: str | None = None,
    ) -> Receipt:
        marked = {**payload, "simulated": self._simulated}
        return Receipt.of(writer.append(kind, self._reader_id, marked, subject))

    def _enter(self, kind: str, payload: Mapping[str, object]) -> Receipt:
        """Append one of the events that come once, before the first case."""
        with self._writing() as writer:
            for event in writer.events(kind, self._reader_id):
                return Receipt.of(event)
            step = self._step(writer, writer.now)
            if step.kind != _STEP_OF[kind]:
                raise NotCurrent(refusal_of(step))
            return self._append(writer, kind, payload)

    def _has_begun(self, view: View) -> bool:
        """Tell whether a case that counts was shown to the reader."""
        displayed = view.progress(self._reader_id).displayed
        return any(a.assignment_id in displayed for a in self._plan.readings)

    def _refuse_unless_current(self, writer: Writer, assignment_id: str) -> None:
        step = self._step(writer, writer.now)
        current = step.assignment if step.kind in ("practice", "reading") else None
        if current is None:
            raise NotCurrent(refusal_of(step))
        if current.assignment_id != assignment_id:
            raise NotCurrent("It is not this reading's turn; reload the page to go on.")


def _profiles(view: View, reader_id: str) -> list[Event]:
    """Return a reader's profile and its corrections, the latest last."""
    return [*view.events("profile", reader_id), *view.events("profile_corrected", reader_id)]
