"""What a reader does next, derived from what the record holds and from nothing else.

consent → profile → instructions → practice, each case with its feedback → readings, with breaks
and washouts → closing feedback on each condition → finished.

Everything here is a pure function of the frozen plan, of the reader's progress and of the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from study.allocation import Assignment
from study.clock import moment
from study.progress import Progress
from study.protocol import StudyProtocol

StepKind: TypeAlias = Literal[
    "consent",
    "profile",
    "instructions",
    "practice",
    "practice_feedback",
    "reading",
    "break",
    "washout",
    "closing",
    "finished",
]

_REFUSALS: Final[Mapping[StepKind, str]] = MappingProxyType(
    {
        "consent": "Give your consent before anything else.",
        "profile": "Fill in the reader profile before you go on.",
        "instructions": "Read and accept the instructions before the first case.",
        "practice": "Do the practice cases first; reload the page to go on.",
        "practice_feedback": "Read the feedback on the practice case before you go on.",
        "reading": "There are cases to be read first; reload the page to go on.",
        "break": "You are on a break; end it to go on.",
        "washout": "The next session is not open yet; come back later.",
        "closing": "All cases are read; answer the closing questions in their order.",
        "finished": "Everything is done; nothing is left to be answered.",
    }
)


@dataclass(frozen=True)
class Step:
    """What the reader does next.

    Parameters
    ----------
    kind
        Kind of step.
    assignment
        The case of ``"practice"``, ``"practice_feedback"`` and ``"reading"``; otherwise ``None``.
    condition
        Identifier of the condition that ``"closing"`` asks about; otherwise ``None``.
    opens_at
        When the session opens, in ``"washout"``; otherwise ``None``.
    sequence
        Place and number, e.g. (2, 3) for the second of three practice cases, the second reading of
        a session of three, the second of three conditions to be closed, or the second of three
        sessions that is waited for; otherwise ``None``.
    """

    kind: StepKind
    assignment: Assignment | None = None
    condition: str | None = None
    opens_at: datetime | None = None
    sequence: tuple[int, int] | None = None


@dataclass(frozen=True)
class Overview:
    """Where a reader stands; practice does not count, a skipped reading is done.

    Parameters
    ----------
    session, n_sessions
        Session that is being read or comes next, from 1, and their number.
    n_done, n_total
        Readings done and planned in that session.
    state
        ``"open"``; ``"washout"``: the session opens later; ``"finished"``: no reading is left.
    opens_at
        When the session opens, while in washout; otherwise ``None``.
    n_done_study, n_total_study
        Readings done and planned over all sessions.
    n_skipped
        How many of the readings done were skipped.
    """

    session: int
    n_sessions: int
    n_done: int
    n_total: int
    state: Literal["open", "washout", "finished"]
    opens_at: datetime | None
    n_done_study: int
    n_total_study: int
    n_skipped: int = 0


@dataclass(frozen=True)
class Plan:
    """What one reader is to do, as it was frozen.

    Parameters
    ----------
    protocol
        The study.
    practice, readings
        The reader's practice cases, and all other readings, by session and position.
    """

    protocol: StudyProtocol
    practice: tuple[Assignment, ...]
    readings: tuple[Assignment, ...]

    @classmethod
    def of(cls, protocol: StudyProtocol, assignments: Iterable[Assignment]) -> Plan:
        """Sort one reader's assignments, given by session and position, into a plan."""
        mine = tuple(assignments)
        return cls(
            protocol,
            tuple(a for a in mine if a.purpose == "practice"),
            tuple(a for a in mine if a.purpose != "practice"),
        )

    @property
    def conditions(self) -> tuple[str, ...]:
        """Conditions in which the reader reads, in the protocol's order."""
        read = {a.condition for a in self.readings}
        return tuple(c.id for c in self.protocol.conditions if c.id in read)

    def is_past(self, assignment: Assignment, progress: Progress) -> bool:
        """Tell whether a session after the one of this reading has begun."""
        return any(
            a.session > assignment.session
            and (a.assignment_id in progress.displayed or a.assignment_id in progress.done)
            for a in self.readings
        )

    def is_first_stage(self, assignment: Assignment) -> bool:
        """Tell whether the reading is the unaided one of a sequential pair."""
        return (
            self.protocol.design.kind == "sequential"
            and assignment.purpose != "practice"
            and assignment.condition == self.protocol.conditions[0].id
        )

    def second_stage(self, assignment: Assignment) -> Assignment | None:
        """Return the aided reading of the same case, if this is the unaided one of a pair."""
        if not self.is_first_stage(assignment):
            return None
        place = self.readings.index(assignment) + 1
        after = self.readings[place] if place < len(self.readings) else None
        return after if after is not None and _same_case(assignment, after) else None


def overview_of(plan: Plan, progress: Progress, now: datetime) -> Overview:
    """Return where a reader stands at ``now``."""
    done = progress.done
    waiting = next((a for a in plan.readings if a.assignment_id not in done), None)
    session = (waiting or plan.readings[-1]).session
    inside = [a.assignment_id for a in plan.readings if a.session == session]
    # A session that has begun stays open, even if the server's clock is set back.
    begun = any(name in done or name in progress.displayed for name in inside)
    opens_at = None if waiting is None or begun else _opens_at(plan, progress, session)
    state: Literal["open", "washout", "finished"] = "open" if waiting else "finished"
    if opens_at is not None and now < opens_at:
        state = "washout"
    return Overview(
        session=session,
        n_sessions=plan.readings[-1].session,
        n_done=sum(name in done for name in inside),
        n_total=len(inside),
        state=state,
        opens_at=opens_at if state == "washout" else None,
        n_done_study=sum(a.assignment_id in done for a in plan.readings),
        n_total_study=len(plan.readings),
        n_skipped=sum(mark.kind == "skipped" for mark in done.values()),
    )


def step_of(plan: Plan, progress: Progress, now: datetime) -> Step:
    """Return what a reader does next at ``now``."""
    if plan.protocol.study.consent and "consented" not in progress.reached:
        return Step("consent")
    if "profile" not in progress.reached:
        return Step("profile")
    if "instructions_accepted" not in progress.reached:
        return Step("instructions")
    return _practice_step(plan, progress) or _reading_step(plan, progress, now)


def following_of(plan: Plan, progress: Progress, now: datetime) -> Assignment | None:
    """Return the one assignment that may be fetched while the current one is read.

    The next one of the same session; never the second stage of the case that is being read
    unaided, and nothing during the last practice case.
    """
    step = step_of(plan, progress, now)
    if step.kind not in ("practice", "reading") or step.assignment is None:
        return None
    row = plan.practice if step.kind == "practice" else plan.readings
    done = progress.practised if step.kind == "practice" else progress.done
    rest = row[row.index(step.assignment) + 1 :]
    after = next((a for a in rest if a.assignment_id not in done), None)
    if after is None or after.session != step.assignment.session:
        return None
    return None if after == plan.second_stage(step.assignment) else after


def reopened(plan: Plan, progress: Progress, assignment: Assignment) -> bool:
    """Tell whether a reading that is done may be seen again, to revise its answer.

    Only if the protocol allows revisions, and only until a later session begins or the closing
    questions name the conditions: after that the reader would answer with other knowledge.
    """
    name = assignment.assignment_id
    if not plan.protocol.design.revisions or assignment.purpose == "practice":
        return False
    if name not in progress.done or name not in progress.displayed:
        return False
    if plan.protocol.closing and all(a.assignment_id in progress.done for a in plan.readings):
        return False
    return not plan.is_past(assignment, progress)


def refusal_of(step: Step) -> str:
    """Return the sentence for somebody who tries what is not the next step."""
    if step.kind == "washout" and step.opens_at is not None:
        opens_at = step.opens_at.astimezone(UTC)
        session = f"Session {step.sequence[0]}" if step.sequence else "The next session"
        return f"{session} opens on {opens_at:%Y-%m-%d at %H:%M} UTC; come back then."
    return _REFUSALS[step.kind]


def _practice_step(plan: Plan, progress: Progress) -> Step | None:
    n = len(plan.practice)
    for place, assignment in enumerate(plan.practice, start=1):
        name = assignment.assignment_id
        if name in progress.feedback_read:
            continue
        if name in progress.practised:
            return Step("practice_feedback", assignment, sequence=(place, n))
        if progress.on_break:
            return Step("break")
        return Step("practice", assignment, sequence=(place, n))
    return None


def _reading_step(plan: Plan, progress: Progress, now: datetime) -> Step:
    overview = overview_of(plan, progress, now)
    if overview.state == "finished":
        return _closing_step(plan, progress)
    if overview.state == "washout":
        place = (overview.session, overview.n_sessions)
        return Step("washout", opens_at=overview.opens_at, sequence=place)
    waiting = next(a for a in plan.readings if a.assignment_id not in progress.done)
    if progress.on_break or _break_is_due(plan, progress, waiting):
        return Step("break")
    return Step("reading", waiting, sequence=(overview.n_done + 1, overview.n_total))


def _closing_step(plan: Plan, progress: Progress) -> Step:
    conditions = plan.conditions if plan.protocol.closing else ()
    for place, condition in enumerate(conditions, start=1):
        if condition not in progress.closed:
            return Step("closing", condition=condition, sequence=(place, len(conditions)))
    return Step("finished")


def _break_is_due(plan: Plan, progress: Progress, waiting: Assignment) -> bool:
    """Tell whether a break is to be offered before ``waiting``: never within a case."""
    every = plan.protocol.design.break_every
    if not every or waiting.assignment_id in progress.displayed:
        return False
    if any(
        a.assignment_id in progress.done and plan.second_stage(a) == waiting
        for a in plan.readings
        if plan.is_first_stage(a) and _same_case(a, waiting)
    ):
        return False
    since = max(progress.break_ended, progress.signed_in)
    n_read = sum(
        a.session == waiting.session
        and a.assignment_id in progress.done
        and progress.done[a.assignment_id].seq > since
        for a in plan.readings
    )
    return n_read >= every


def _opens_at(plan: Plan, progress: Progress, session: int) -> datetime | None:
    """Return the end of the washout before ``session``; ``None`` before the first one."""
    before = [
        progress.done[a.assignment_id].created_at
        for a in plan.readings
        if a.session < session and a.assignment_id in progress.done
    ]
    if not before:
        return None
    return moment(max(before)) + timedelta(days=plan.protocol.design.washout_days)


def _same_case(one: Assignment, other: Assignment) -> bool:
    return (one.session, one.case_id, one.finding, one.purpose) == (
        other.session,
        other.case_id,
        other.finding,
        other.purpose,
    )
