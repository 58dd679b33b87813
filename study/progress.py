"""What one reader has done so far, collected from the record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

PROGRESS_KINDS: Final = (
    "consented",
    "profile",
    "instructions_accepted",
    "displayed",
    "practised",
    "feedback_read",
    "submitted",
    "skipped",
    "break_started",
    "break_ended",
    "closing",
    "signed_in",
)
"""Kinds of events from which the step follows."""

_DONE: Final = frozenset({"submitted", "skipped"})


class Mark(NamedTuple):
    """An event as far as progress needs it.

    Parameters
    ----------
    seq
        Place in the chain.
    kind
        One of :data:`PROGRESS_KINDS`.
    subject
        The assignment or, for ``"closing"``, the condition.
    created_at
        Server time, as :func:`study.clock.timestamp` writes it.
    """

    seq: int
    kind: str
    subject: str | None
    created_at: str


@dataclass(frozen=True)
class Progress:
    """What one reader has done so far.

    Parameters
    ----------
    reached
        Kinds of events that the reader has at least one of.
    displayed, practised, feedback_read
        Assignments shown; practice cases answered; practice cases whose feedback was read.
    done
        Readings submitted or skipped, and the event that says so.
    closed
        Conditions on which closing feedback was given.
    break_started, break_ended, signed_in
        Place in the chain of the last such event, 0 if there is none.
    """

    reached: frozenset[str] = frozenset()
    displayed: frozenset[str] = frozenset()
    practised: frozenset[str] = frozenset()
    feedback_read: frozenset[str] = frozenset()
    done: Mapping[str, Mark] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    break_started: int = 0
    break_ended: int = 0
    signed_in: int = 0

    @classmethod
    def of(cls, marks: Iterable[tuple[int, str, str | None, str]]) -> Progress:
        """Collect the progress of one reader from the fields of that reader's marks."""
        subjects: dict[str, set[str]] = {kind: set() for kind in PROGRESS_KINDS}
        last = dict.fromkeys(PROGRESS_KINDS, 0)
        done: dict[str, Mark] = {}
        for seq, kind, subject, created_at in marks:  # thousands, and at every request
            name = subject or ""
            subjects[kind].add(name)
            if seq > last[kind]:
                last[kind] = seq
            if kind in _DONE:
                done[name] = Mark(seq, kind, subject, created_at)
        return cls(
            reached=frozenset(kind for kind, seq in last.items() if seq),
            displayed=frozenset(subjects["displayed"]),
            practised=frozenset(subjects["practised"]),
            feedback_read=frozenset(subjects["feedback_read"]),
            done=done,
            closed=frozenset(subjects["closing"]),
            break_started=last["break_started"],
            break_ended=last["break_ended"],
            signed_in=last["signed_in"],
        )

    @property
    def on_break(self) -> bool:
        """Whether a break was started and not ended."""
        return self.break_started > self.break_ended
