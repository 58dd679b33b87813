"""A small study in memory and on disk: two findings, two readers, no films."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from study.allocation import Assignment, CaseChoice, allocate
from study.profile import ReaderProfile
from study.protocol import StudyProtocol, parse_protocol
from study.session import ReadingDesk
from study.store import StudyStore

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

TOML = """
format_version = 1
[study]
id = "small"
title = "Small study"
instructions = "Read."
seed = 5
simulated = true
[design]
kind = "crossover"
sessions = 2
washout_days = {washout_days}
readers = {readers}
revisions = {revisions}
[cases]
findings = ["Mass", "Lung Opacity"]
per_finding = {per_finding}
false_positive_share = 0.5
[[conditions]]
id = "A"
label = "Maps"
panels = [{{ show = "film" }}, {{ show = "map", method = "input_gradients" }}]
[[conditions]]
id = "B"
label = "Moving film"
panels = [{{ show = "film" }}, {{ show = "frames", method = "latent_shift" }}]
controls = ["slider"]
[[items]]
id = "confidence"
kind = "likert"
question = "How confident?"
low = "not at all"
high = "very"
[[items]]
id = "comment"
kind = "text"
question = "Comment"
required = false
max_length = 50
[analysis]
primary = "confidence"
contrast = ["B", "A"]
"""

PROFILE = ReaderProfile(
    role="radiologist",
    years_of_practice=9,
    subspecialty="chest",
    prior_ai_use="tried",
    display="diagnostic",
    attested=True,
)

ANSWERS = {"confidence": 4, "comment": "a nodule"}


class StepClock:
    """A clock that goes on by a second whenever it is read, and by more when told."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def advance(self, **step: float) -> None:
        self.now += timedelta(**step)


def small_protocol(
    *,
    per_finding: int = 4,
    readers: int = 2,
    washout_days: float = 0,
    revisions: bool = False,
) -> StudyProtocol:
    return parse_protocol(
        TOML.format(
            per_finding=per_finding,
            readers=readers,
            washout_days=washout_days,
            revisions=str(revisions).lower(),
        )
    )


def choices_of(protocol: StudyProtocol) -> list[CaseChoice]:
    n_true = protocol.cases.n_true_positives
    return [
        CaseChoice(f"c{f}{n:03d}", finding, "x" if n < n_true else "y")
        for f, finding in enumerate(protocol.cases.findings)
        for n in range(protocol.cases.per_finding)
    ]


def allocation_of(
    protocol: StudyProtocol, seed: int = 1, entropy: bytes = bytes(32)
) -> tuple[Assignment, ...]:
    readers = [f"R{n + 1}" for n in range(protocol.design.readers)]
    return allocate(protocol, choices_of(protocol), seed, readers, entropy=entropy)


@dataclass(frozen=True)
class Small:
    """A store with its clock and path."""

    store: StudyStore
    clock: StepClock
    path: Path

    def desk(self, reader_id: str = "R1", *, accepted: bool = True) -> ReadingDesk:
        """Return a reader's desk, past profile and instructions unless told otherwise."""
        desk = ReadingDesk(self.store, reader_id, self.clock)
        if accepted and not desk.instructions_accepted:
            desk.keep_profile(PROFILE)
            desk.accept_instructions()
        return desk

    def read(self, desk: ReadingDesk, n: int | None = None) -> list[Assignment]:
        """Read the next ``n`` cases, or all that are open."""
        read = []
        for _ in itertools.count() if n is None else range(n):
            assignment = desk.current()
            if assignment is None:
                break
            desk.display(assignment.assignment_id)
            desk.submit(assignment.assignment_id, ANSWERS)
            read.append(assignment)
        return read


def make_small(root: Path, **design: object) -> Small:
    protocol = small_protocol(**design)  # type: ignore[arg-type]
    clock, path = StepClock(), root / "study.sqlite"
    store = StudyStore.create(path, protocol, allocation_of(protocol), clock=clock)
    return Small(store, clock, path)
