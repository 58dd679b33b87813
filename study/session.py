"""A reader's way through a study: what comes next, what was shown, what was answered.

The state is derived from the store at every call and kept nowhere else, so a reload, a second
window or a restarted server continues at the same reading.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from study.allocation import Assignment
from study.clock import Clock
from study.errors import AlreadyRated, NotCurrent, StudyError, UnknownAssignment
from study.events import Event, View, Writer
from study.protocol import StudyProtocol
from study.rating import validate_answers
from study.store import StudyStore

MAXIMUM_TIMING = 1e7
MAXIMUM_TIMINGS = 32


@dataclass(frozen=True)
class Overview:
    """Where a reader stands.

    Parameters
    ----------
    session, n_sessions
        Session that is being read or comes next, from 1, and their number.
    n_done, n_total
        Readings done and planned in that session.
    state
        ``"open"``; ``"washout"``: the session opens later; ``"finished"``: nothing is left.
    opens_at
        When the session opens, while in washout; otherwise ``None``.
    n_done_study, n_total_study
        Readings done and planned over all sessions.
    """

    session: int
    n_sessions: int
    n_done: int
    n_total: int
    state: Literal["open", "washout", "finished"]
    opens_at: datetime | None
    n_done_study: int
    n_total_study: int


class ReadingDesk:
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

    def __init__(
        self, store: StudyStore, reader_id: str, clock: Clock, *, simulated: bool = False
    ) -> None:
        self._store = store
        self._reader_id = reader_id
        self._clock = clock
        self._simulated = simulated
        self._assignments = store.assignments(reader_id)
        if not self._assignments:
            raise UnknownAssignment(
                f"{reader_id!r} is not a reader of this study; its readers are "
                f"{', '.join(store.reader_ids)}."
            )

    @property
    def reader_id(self) -> str:
        """Pseudonym of the reader."""
        return self._reader_id

    @property
    def protocol(self) -> StudyProtocol:
        """The study's frozen protocol."""
        return self._store.protocol

    @property
    def instructions_accepted(self) -> bool:
        """Whether the reader has accepted the instructions."""
        with self._store.reading() as view:
            return self._has_accepted(view)

    def accept_instructions(self) -> None:
        """Record that the reader accepts the instructions; a second time changes nothing."""
        with self._store.writing(self._clock) as writer:
            if not self._has_accepted(writer):
                payload = {
                    "protocol_digest": self._store.protocol.digest,
                    "simulated": self._simulated,
                }
                writer.append("instructions_accepted", self._reader_id, payload)

    def overview(self) -> Overview:
        """Return where the reader stands now."""
        with self._store.reading() as view:
            return self._overview(view.submitted_at(self._reader_id), self._clock())

    def current(self) -> Assignment | None:
        """Return the reading whose turn it is, or ``None`` during washout and when finished."""
        with self._store.reading() as view:
            return self._current(view.submitted_at(self._reader_id), self._clock())

    def owns(self, assignment_id: str) -> bool:
        """Tell whether the assignment is this reader's."""
        return any(a.assignment_id == assignment_id for a in self._assignments)

    def visible(self, assignment_id: str) -> bool:
        """Tell whether the reader may see its pictures: own, and current or already read."""
        if not self.owns(assignment_id):
            return False
        with self._store.reading() as view:
            done = view.submitted_at(self._reader_id)
        current = self._current(done, self._clock())
        return assignment_id in done or (
            current is not None and current.assignment_id == assignment_id
        )

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
            If it is not its turn, or the instructions are not accepted yet.
        """
        self._own(assignment_id)
        with self._store.reading() as view:
            shown = view.first_display(assignment_id)
        if shown is not None:  # the common case on a rerun needs no lock
            return shown
        with self._store.writing(self._clock) as writer:
            shown = writer.first_display(assignment_id)
            if shown is not None:
                return shown
            if not self._has_accepted(writer):
                raise NotCurrent("Read and accept the instructions before the first case.")
            self._refuse_unless_current(writer, assignment_id)
            payload = {"simulated": self._simulated}
            return writer.append("displayed", self._reader_id, payload, assignment_id).created_at

    def submit(
        self,
        assignment_id: str,
        answers: Mapping[str, object],
        client: Mapping[str, object] | None = None,
    ) -> None:
        """Store the answers of the current reading, all in one event.

        Sending the same answers again changes nothing, so a page may retry.

        Parameters
        ----------
        assignment_id
            The reading.
        answers
            Item identifier to answer; see :func:`study.rating.validate_answers`.
        client
            Timings measured by the browser: short names to finite numbers from 0 to 1e7. What is
            not one is left out and counted: a reader's answer is not lost for a broken clock.

        Raises
        ------
        InvalidAnswer
            If an answer is missing or not allowed; names the item.
        UnknownAssignment
            If it is not a reading of this reader.
        AlreadyRated
            If the reading has a different rating.
        NotCurrent
            If it is not its turn or was never displayed.
        StoreUnavailable
            If nothing could be saved.
        """
        self._own(assignment_id)
        given = validate_answers(self._store.protocol, answers)
        timings, n_discarded = valid_timings(client or {})
        with self._store.writing(self._clock) as writer:
            if not _ensure_unrated(writer.submissions(assignment_id), given):
                return
            self._refuse_unless_current(writer, assignment_id)
            shown = writer.first_display(assignment_id)
            if shown is None:
                raise NotCurrent(
                    "This reading was answered before it was displayed; reload the page."
                )
            payload = {
                "answers": given,
                "revision": 0,
                "supersedes": None,
                "reading_time_s": max(0.0, (writer.now - shown).total_seconds()),
                "client": timings,
                "client_discarded": n_discarded,
                "simulated": self._simulated,
            }
            writer.append("submitted", self._reader_id, payload, assignment_id)

    def revise(
        self, assignment_id: str, answers: Mapping[str, object], *, supersedes: int, reason: str
    ) -> None:
        """Replace a rating by a revision that names it; the earlier one stays on record.

        Parameters
        ----------
        assignment_id
            A reading that this reader has done.
        answers
            All items again.
        supersedes
            ``Rating.seq`` of the rating to be replaced, which must be the latest.
        reason
            Why, in the reader's words.

        Raises
        ------
        StudyError
            If the protocol allows no revisions, or ``supersedes`` is not the latest submission.
        """
        self._own(assignment_id)
        if not self._store.protocol.design.revisions:
            raise StudyError("In this study a submitted answer cannot be changed.")
        given = validate_answers(self._store.protocol, answers)
        with self._store.writing(self._clock) as writer:
            earlier = writer.submissions(assignment_id)
            if not earlier or earlier[-1].seq != supersedes:
                raise StudyError(
                    "The answer to be replaced is not the latest one; reload the page and "
                    "change it there."
                )
            payload = {
                "answers": given,
                "revision": len(earlier),
                "supersedes": supersedes,
                "reason": reason[:2000],
                "reading_time_s": earlier[0].payload["reading_time_s"],
                "client": {},
                "client_discarded": 0,
                "simulated": self._simulated,
            }
            writer.append("revised", self._reader_id, payload, assignment_id)

    def _own(self, assignment_id: str) -> Assignment:
        # Another reader's reading and one that does not exist get the same answer.
        if not self.owns(assignment_id):
            raise UnknownAssignment(
                "There is no such reading for this reader; go back to the worklist."
            )
        return self._store.assignment(assignment_id)

    def _has_accepted(self, view: View) -> bool:
        return bool(view.events("instructions_accepted", self._reader_id))

    def _refuse_unless_current(self, writer: Writer, assignment_id: str) -> None:
        done = writer.submitted_at(self._reader_id)
        overview = self._overview(done, writer.now)
        if overview.state == "washout" and overview.opens_at is not None:
            raise NotCurrent(
                f"Session {overview.session} opens on "
                f"{overview.opens_at:%Y-%m-%d at %H:%M} UTC; come back then."
            )
        current = self._current(done, writer.now)
        if current is None or current.assignment_id != assignment_id:
            raise NotCurrent("It is not this reading's turn; reload the page to go on.")

    def _current(self, done: Mapping[str, datetime], now: datetime) -> Assignment | None:
        if self._overview(done, now).state != "open":
            return None
        return next(a for a in self._assignments if a.assignment_id not in done)

    def _overview(self, done: Mapping[str, datetime], now: datetime) -> Overview:
        waiting = next((a for a in self._assignments if a.assignment_id not in done), None)
        session = (waiting or self._assignments[-1]).session
        inside = [a for a in self._assignments if a.session == session]
        n_done = sum(a.assignment_id in done for a in inside)
        opens_at = self._opens_at(session, done) if waiting and n_done == 0 else None
        state: Literal["open", "washout", "finished"] = "open" if waiting else "finished"
        if opens_at is not None and now < opens_at:
            state = "washout"
        return Overview(
            session=session,
            n_sessions=self._assignments[-1].session,
            n_done=n_done,
            n_total=len(inside),
            state=state,
            opens_at=opens_at if state == "washout" else None,
            n_done_study=sum(a.assignment_id in done for a in self._assignments),
            n_total_study=len(self._assignments),
        )

    def _opens_at(self, session: int, done: Mapping[str, datetime]) -> datetime | None:
        """Return the end of the washout before ``session``; ``None`` before the first one."""
        before = [
            done[a.assignment_id]
            for a in self._assignments
            if a.session < session and a.assignment_id in done
        ]
        if not before:
            return None
        return max(before) + timedelta(days=self._store.protocol.design.washout_days)


def valid_timings(client: Mapping[str, object]) -> tuple[dict[str, float], int]:
    """Keep the browser's timings that are what they should be.

    Parameters
    ----------
    client
        Untrusted names and values.

    Returns
    -------
    timings
        At most 32 short lower-case names with finite numbers from 0 to 1e7, as given.
    n_discarded
        Number of entries left out.
    """
    timings: dict[str, float] = {}
    for name, value in client.items():
        fits = (
            isinstance(name, str)
            and re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) is not None
            and isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and 0 <= value <= MAXIMUM_TIMING
        )
        if fits and len(timings) < MAXIMUM_TIMINGS:
            timings[name] = value  # type: ignore[assignment]
    return timings, len(client) - len(timings)


def _ensure_unrated(earlier: Sequence[Event], answers: Mapping[str, object]) -> bool:
    """Tell whether a submission is new.

    Parameters
    ----------
    earlier
        Submissions of the reading so far, oldest first.
    answers
        Normalised answers now submitted.

    Returns
    -------
    bool
        ``True`` if the reading has no rating yet, ``False`` if it has this one.

    Raises
    ------
    AlreadyRated
        If the reading has a different rating.
    """
    if not earlier:
        return True
    if earlier[-1].payload["answers"] == answers:
        return False
    raise AlreadyRated(
        "This reading is already rated and its answers stay as they are; go on with the next case."
    )
