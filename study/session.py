"""One reader's readings: shown in turn, answered, skipped, revised; never lost, never twice.

The state is derived from the store at every call and kept nowhere else, so a reload, a second
window or a restarted server continues at the same reading. :mod:`study.steps` says how.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from study.allocation import Assignment
from study.answering import (
    SKIP_REASONS,
    DoneReading,
    Receipt,
    SkipReason,
    plain_words,
    repeated,
    same_answers,
    valid_timings,
)
from study.drafts import checked_draft, remove_draft, write_draft
from study.errors import AlreadyRated, NotCurrent, StudyError
from study.events import Writer
from study.rating import Answer, validate_answers
from study.sitting import Sitting
from study.steps import Overview, Step, reopened
from study.viewer_log import ViewerEntry, to_payload

__all__ = [
    "DoneReading",
    "Overview",
    "ReadingDesk",
    "Receipt",
    "SkipReason",
    "Step",
]

MAXIMUM_LOGS: Final = 20_000
"""Posts of the viewer's log that are kept for one reading: 27 hours of one in 5 s."""


class ReadingDesk(Sitting):
    """One reader's access to the study: only own readings, only in turn.

    Parameters
    ----------
    store
        The study's record.
    reader_id
        Pseudonym of the reader.
    clock
        Server clock; returns aware moments.
    simulated
        Whether the reader is simulated; every event then says so.

    Raises
    ------
    UnknownAssignment
        If the study has no such reader.
    """

    def display(self, assignment_id: str) -> datetime:
        """Record that the reading is displayed; only the first time counts.

        Returns
        -------
        datetime
            When it was first displayed.

        Raises
        ------
        UnknownAssignment
            If it is not a reading of this reader.
        NotCurrent
            If something else comes first; says what.
        """
        self._own(assignment_id)
        with self._store.reading() as view:
            shown = view.first_display(assignment_id)
        if shown is not None:  # the common case on a rerun needs no lock
            return shown
        with self._writing() as writer:
            shown = writer.first_display(assignment_id)
            if shown is not None:
                return shown
            self._refuse_unless_current(writer, assignment_id)
            return self._append(writer, "displayed", {}, assignment_id).saved_at

    def submit(
        self,
        assignment_id: str,
        answers: Mapping[str, object],
        client: Mapping[str, object] | None = None,
    ) -> Receipt:
        """Store the answers of the current reading or practice case, all in one event.

        The draft goes in the same transaction. Sending the same answers again changes nothing and
        returns the first receipt, so a page may retry.

        Parameters
        ----------
        assignment_id
            The reading.
        answers
            Item identifier to answer; see :func:`study.rating.validate_answers`.
        client
            Timings measured by the browser: short names to finite numbers from 0 to 1e9. What is
            not one is left out and counted: a reader's answer is not lost for a broken clock.

        Raises
        ------
        InvalidAnswer
            If an answer is missing or not allowed; names the item.
        UnknownAssignment
            If it is not a reading of this reader.
        AlreadyRated
            If the reading has a different rating or was skipped.
        NotCurrent
            If it is not its turn or was never displayed.
        StoreUnavailable
            If nothing could be saved.
        """
        assignment = self._own(assignment_id)
        given = self._checked(assignment, answers)
        timings, n_discarded = valid_timings(client or {})
        with self._writing() as writer:
            receipt = repeated(writer.submissions(assignment_id), given)
            if receipt is not None:
                return receipt
            self._refuse_unless_current(writer, assignment_id)
            payload = {
                "answers": given,
                "revision": 0,
                "supersedes": None,
                "reading_time_s": _seconds_since_display(writer, assignment_id),
                "client": timings,
                "client_discarded": n_discarded,
            }
            kind = "practised" if assignment.purpose == "practice" else "submitted"
            remove_draft(writer, assignment_id)
            return self._append(writer, kind, payload, assignment_id)

    def skip(self, assignment_id: str, reason: SkipReason, comment: str = "") -> Receipt:
        """Leave the current reading out, for good, with a reason.

        Of a sequential pair, skipping the unaided stage skips the aided one too. The same again
        changes nothing.

        Raises
        ------
        StudyError
            If the protocol allows no skipping, the reason is not known, or it is a practice case.
        UnknownAssignment, AlreadyRated, NotCurrent
            As for :meth:`submit`.
        """
        assignment = self._own(assignment_id)
        if not self.protocol.design.skips:
            raise StudyError("In this study no case can be skipped; answer it as well as you can.")
        if assignment.purpose == "practice":
            raise StudyError("A practice case cannot be skipped; answer it as well as you can.")
        if reason not in SKIP_REASONS:
            raise StudyError(
                f"The reason {str(reason)[:40]!r} is not known; choose one of "
                f"{', '.join(SKIP_REASONS)}."
            )
        words = {"reason": reason, "comment": plain_words(comment)}
        with self._writing() as writer:
            for event in writer.submissions(assignment_id):
                if event.kind == "skipped" and words.items() <= event.payload.items():
                    return Receipt.of(event)
                raise AlreadyRated(
                    "This reading is done already and stays as it is; go on with the next case."
                )
            self._refuse_unless_current(writer, assignment_id)
            payload: dict[str, object] = {**words, "revision": 0, "supersedes": None}
            payload["reading_time_s"] = _seconds_since_display(writer, assignment_id)
            remove_draft(writer, assignment_id)
            receipt = self._append(writer, "skipped", payload, assignment_id)
            second = self._plan.second_stage(assignment)
            if second is not None:
                payload = {**payload, "reading_time_s": 0.0, "skipped_with": assignment_id}
                self._append(writer, "skipped", payload, second.assignment_id)
            return receipt

    def revise(
        self, assignment_id: str, answers: Mapping[str, object], *, supersedes: int, reason: str
    ) -> Receipt:
        """Replace a rating by a revision that names it; the earlier one stays on record.

        Parameters
        ----------
        assignment_id
            A reading that this reader has done, in the session that was read last.
        answers
            All items again.
        supersedes
            ``seq`` of the answer to be replaced, which must be the latest.
        reason
            Why, in the reader's words.

        Raises
        ------
        StudyError
            If the protocol allows no revisions, the answer is locked, or ``supersedes`` is not the
            latest answer.
        """
        assignment = self._own(assignment_id)
        if not self.protocol.design.revisions:
            raise StudyError("In this study a submitted answer cannot be changed.")
        if assignment.purpose == "practice":
            raise StudyError("The answer to a practice case does not count and is not changed.")
        if not self._may_change(assignment):
            raise StudyError("The answer that was given without the explanation is locked.")
        given, words = self._checked(assignment, answers), plain_words(reason)
        with self._writing() as writer:
            earlier = writer.submissions(assignment_id)
            last = earlier[-1] if earlier else None
            sent_again = last is not None and last.payload["supersedes"] == supersedes
            if last is not None and sent_again and same_answers(last, given):
                return Receipt.of(last)
            if last is None or last.seq != supersedes:
                raise StudyError(
                    "The answer to be replaced is not the latest one; reload the page and "
                    "change it there."
                )
            if not reopened(self._plan, writer.progress(self._reader_id), assignment):
                raise StudyError(
                    "This answer can no longer be changed: a later session has begun, or the "
                    "closing questions have."
                )
            payload = {
                "answers": given,
                "revision": len(earlier),
                "supersedes": supersedes,
                "reason": words,
                "reading_time_s": earlier[0].payload["reading_time_s"],
                "client": earlier[0].payload.get("client", {}),
                "client_discarded": 0,
            }
            return self._append(writer, "revised", payload, assignment_id)

    def keep_draft(
        self, assignment_id: str, answers: Mapping[str, object], number: int
    ) -> datetime:
        """Keep answers that are not submitted yet.

        Parameters
        ----------
        assignment_id
            The reading or practice case, which is displayed and not done.
        answers
            Item identifier to answer, as far as given; not checked against the items.
        number
            Number of the change; a draft with a lower one than the stored draft is ignored.

        Returns
        -------
        datetime
            When the draft that is stored now was saved.

        Raises
        ------
        UnknownAssignment, AlreadyRated, NotCurrent, StudyError
            If it is no reading of this reader, is done, is not displayed, or is no draft at all.
        """
        assignment = self._own(assignment_id)
        items = {item.id for item in self.protocol.items_of(assignment.condition)}
        kept, place = checked_draft(answers, number, items)
        with self._writing() as writer:
            if writer.submissions(assignment_id):
                raise AlreadyRated("This reading is done; nothing more is kept for it.")
            if writer.first_display(assignment_id) is None:
                raise NotCurrent("This reading is not displayed yet; reload the page.")
            return write_draft(writer, assignment_id, self._reader_id, kept, place)

    def log_viewer(
        self, assignment_id: str, entries: Sequence[ViewerEntry], *, n_discarded: int = 0
    ) -> int:
        """Store what was done in the viewer; late posts of a reading that is done are taken too.

        The same post again is not stored again.

        Parameters
        ----------
        assignment_id
            The reading.
        entries
            Checked by :func:`study.viewer_log.parse_entries`.
        n_discarded
            How many others were sent; stored with them.

        Returns
        -------
        int
            Number of entries stored; 0 once a reading has very many.

        Raises
        ------
        UnknownAssignment, NotCurrent
            If it is no reading of this reader, or it was never displayed.
        """
        self._own(assignment_id)
        if not entries and not n_discarded:
            return 0
        with self._writing() as writer:
            if writer.first_display(assignment_id) is None:
                raise NotCurrent("This reading is not displayed yet; nothing is logged for it.")
            payload = {"entries": to_payload(entries), "n_discarded": n_discarded}
            last = writer.last("viewer", assignment_id)
            if last is not None and payload.items() <= last.payload.items():
                return len(entries)  # sent again, because the answer was lost on its way
            if writer.count("viewer", subject=assignment_id) >= MAXIMUM_LOGS:
                return 0
            self._append(writer, "viewer", payload, assignment_id)
        return len(entries)

    def read_feedback(self, assignment_id: str) -> Receipt:
        """Record that the feedback on a practice case was read; a second time changes nothing.

        Raises
        ------
        UnknownAssignment, NotCurrent
            If it is no case of this reader, or its feedback is not what comes next.
        """
        assignment = self._own(assignment_id)
        with self._writing() as writer:
            earlier = writer.events("feedback_read", self._reader_id, assignment_id)
            if earlier:
                return Receipt.of(earlier[0])
            step = self._step(writer, writer.now)
            if step.kind != "practice_feedback" or step.assignment != assignment:
                raise NotCurrent(
                    "There is no feedback to be read for this case; reload the page to go on."
                )
            return self._append(writer, "feedback_read", {}, assignment_id)

    def _checked(self, assignment: Assignment, answers: Mapping[str, object]) -> dict[str, Answer]:
        return validate_answers(self.protocol.items_of(assignment.condition), answers)


def _seconds_since_display(writer: Writer, assignment_id: str) -> float:
    shown = writer.first_display(assignment_id)
    if shown is None:
        raise NotCurrent("This reading was answered before it was displayed; reload the page.")
    return max(0.0, (writer.now - shown).total_seconds())
