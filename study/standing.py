"""Where a reader stands: what comes next, how much is done, which pictures may be seen."""

from __future__ import annotations

from datetime import datetime

from study.allocation import Assignment
from study.answering import DoneReading
from study.clock import Clock
from study.drafts import Draft, read_draft
from study.errors import UnknownAssignment
from study.events import Event, View, answers_in
from study.protocol import StudyProtocol
from study.steps import Overview, Plan, Step, following_of, overview_of, reopened, step_of
from study.store import StudyStore


class Standing:
    """Questions about one reader's way through the study; it changes nothing.

    Parameters
    ----------
    store
        The study's record.
    reader_id
        Pseudonym of the reader.
    clock
        Server clock; returns aware moments.

    Raises
    ------
    UnknownAssignment
        If the study has no such reader.
    """

    def __init__(self, store: StudyStore, reader_id: str, clock: Clock) -> None:
        self._store = store
        self._reader_id = reader_id
        self._clock = clock
        assignments = store.assignments(reader_id)
        if not assignments:
            raise UnknownAssignment(
                f"{reader_id!r} is not a reader of this study; its readers are "
                f"{', '.join(store.reader_ids)}."
            )
        self._own_readings = {a.assignment_id: a for a in assignments}
        self._plan = Plan.of(store.protocol, assignments)

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
            return "instructions_accepted" in view.progress(self._reader_id).reached

    def step(self) -> Step:
        """Return what the reader does next."""
        with self._store.reading() as view:
            return self._step(view, self._clock())

    def overview(self) -> Overview:
        """Return how much is done."""
        with self._store.reading() as view:
            return overview_of(self._plan, view.progress(self._reader_id), self._clock())

    def current(self) -> Assignment | None:
        """Return the reading or practice case whose turn it is, if there is one now."""
        step = self.step()
        return step.assignment if step.kind in ("practice", "reading") else None

    def following(self) -> Assignment | None:
        """Return the one assignment whose pictures may be fetched before its turn, if any."""
        with self._store.reading() as view:
            return following_of(self._plan, view.progress(self._reader_id), self._clock())

    def owns(self, assignment_id: str) -> bool:
        """Tell whether the assignment is this reader's."""
        return assignment_id in self._own_readings

    def visible(self, assignment_id: str) -> bool:
        """Tell whether the reader may see its pictures.

        They are its own, and it is being read or practised, or is :meth:`following`, or is done
        and the protocol allows revisions, until a later session begins.
        """
        assignment = self._own_readings.get(assignment_id)
        if assignment is None:
            return False
        with self._store.reading() as view:
            progress, now = view.progress(self._reader_id), self._clock()
        if step_of(self._plan, progress, now).assignment == assignment:
            return True
        if following_of(self._plan, progress, now) == assignment:
            return True
        return reopened(self._plan, progress, assignment)

    def done(self) -> tuple[DoneReading, ...]:
        """Return the readings done in the session that was read last, newest first.

        Those of earlier sessions are not returned: a reader who saw them again would read the
        same case a second time with the first answer in mind.
        """
        with self._store.reading() as view:
            progress = view.progress(self._reader_id)
            latest = {str(event.subject): event for event in view.answers(self._reader_id)}
        inside = [
            _done(latest[name], a, reopened(self._plan, progress, a) and self._may_change(a))
            for name, a in self._own_readings.items()
            if name in latest and not self._plan.is_past(a, progress)
        ]
        return tuple(sorted(inside, key=lambda reading: reading.seq, reverse=True))

    def draft(self, assignment_id: str) -> Draft | None:
        """Return the answers of a reading that are not submitted yet, if any were kept.

        Raises
        ------
        UnknownAssignment
            If it is not a reading of this reader.
        """
        self._own(assignment_id)
        with self._store.reading() as view:
            return read_draft(view, assignment_id, self._reader_id)

    def _own(self, assignment_id: str) -> Assignment:
        # Another reader's reading and one that does not exist get the same answer.
        try:
            return self._own_readings[assignment_id]
        except KeyError:
            raise UnknownAssignment(
                "There is no such reading for this reader; go back to the worklist."
            ) from None

    def _step(self, view: View, now: datetime) -> Step:
        return step_of(self._plan, view.progress(self._reader_id), now)

    def _may_change(self, assignment: Assignment) -> bool:
        """Tell whether its answer is one that a revision may replace: never an unaided one."""
        return assignment.purpose != "practice" and not self._plan.is_first_stage(assignment)


def _done(event: Event, assignment: Assignment, revisable: bool) -> DoneReading:
    return DoneReading(
        assignment,
        "skipped" if event.kind == "skipped" else "submitted",
        {} if event.kind == "skipped" else answers_in(event),
        event.seq,
        event.created_at,
        revisable,
    )
