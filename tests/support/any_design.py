"""Small studies of every design, with consent, practice, breaks and closing questions."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from study.allocation import Assignment, CaseChoice, allocate
from study.protocol import StudyProtocol, parse_protocol
from study.session import ReadingDesk
from study.store import StudyStore
from tests.support.small_study import PROFILE, Small, StepClock

KINDS = ("crossover", "sequential", "parallel")

FILM = 'panels = [{ show = "film" }]'
MAP = 'panels = [{ show = "film" }, { show = "map", method = "input_gradients" }]'
FRAMES = 'panels = [{ show = "film" }, { show = "frames", method = "latent_shift" }]'
SHAM = f'{MAP}\nsham = "other_case"'

TOML = """
format_version = 1
[study]
id = "designs"
title = "A study of some design"
instructions = "Read."
consent = "You may stop at any time."
consent_version = "2"
seed = 5
simulated = true
[design]
kind = "{kind}"
sessions = {sessions}
washout_days = {washout_days}
readers = {readers}
revisions = {revisions}
repeats = {repeats}
skips = {skips}
break_every = {break_every}
[cases]
findings = ["Mass", "Lung Opacity"]
per_finding = {per_finding}
false_positive_share = 0.5
[[conditions]]
id = "A"
label = "Words for A"
{first}
[[conditions]]
id = "B"
label = "Words for B"
{second}
{items}
{practice}
{closing}
[analysis]
primary = "{primary}"
contrast = ["B", "A"]
"""

ITEMS = """
[[items]]
id = "confidence"
kind = "likert"
question = "How confident?"
low = "not at all"
high = "very"
[[items]]
id = "certainty"
kind = "scale"
question = "How certain?"
low = "not"
high = "fully"
[[items]]
id = "management"
kind = "choice"
question = "What next?"
options = [{ id = "none", label = "Nothing" }, { id = "ct", label = "CT" }]
[[items]]
id = "signs"
kind = "multi_choice"
question = "Which signs?"
required = false
options = [{ id = "edge", label = "Edge" }, { id = "shadow", label = "Shadow" }]
[[items]]
id = "place"
kind = "point"
question = "Where?"
required = false
max_marks = 2
[[items]]
id = "useful"
kind = "likert"
question = "Was it useful?"
low = "no"
high = "yes"
conditions = ["B"]
[[items]]
id = "comment"
kind = "text"
question = "Comment"
required = false
"""

PRACTICE = """
[[practice]]
finding = "Mass"
condition = "A"
feedback = "There was a mass."
[[practice]]
finding = "Lung Opacity"
condition = "{second}"
feedback = "There was none."
"""

CLOSING = """
[[closing]]
id = "liked"
kind = "likert"
question = "Did you like it?"
low = "no"
high = "yes"
[[closing]]
id = "words"
kind = "text"
question = "In your words"
required = false
"""


def design_protocol(
    kind: str = "crossover",
    *,
    per_finding: int = 2,
    readers: int = 2,
    washout_days: float = 0,
    revisions: bool = False,
    repeats: int = 0,
    skips: bool = True,
    break_every: int = 0,
    sham: bool = False,
    practice: bool = True,
    closing: bool = True,
    primary: str = "confidence",
) -> StudyProtocol:
    """Return a protocol in which everything is asked."""
    return parse_protocol(
        TOML.format(
            kind=kind,
            sessions=2 if kind == "crossover" else 1,
            washout_days=washout_days,
            readers=readers,
            revisions=str(revisions).lower(),
            repeats=repeats,
            skips=str(skips).lower(),
            break_every=break_every,
            per_finding=per_finding,
            first=FILM if kind == "sequential" else MAP,
            second=SHAM if sham else FRAMES,
            items=ITEMS,
            practice=PRACTICE.format(second="A" if sham else "B") if practice else "",
            closing=CLOSING if closing else "",
            primary=primary,
        )
    )


def design_choices(protocol: StudyProtocol) -> list[CaseChoice]:
    """Return cases; the first half of each finding are true positives."""
    n_true = protocol.cases.n_true_positives
    return [
        CaseChoice(f"c{f}{n:03d}", finding, "x" if n < n_true else "y")
        for f, finding in enumerate(protocol.cases.findings)
        for n in range(protocol.cases.per_finding)
    ]


def design_allocation(protocol: StudyProtocol) -> tuple[Assignment, ...]:
    """Allocate the cases, and the practice cases p0, p1, …"""
    practice = [CaseChoice(f"p{n}", each.finding) for n, each in enumerate(protocol.practice)]
    readers = [f"R{n + 1}" for n in range(protocol.design.readers)]
    choices = design_choices(protocol)
    return allocate(protocol, choices, 1, readers, entropy=bytes(32), practice=practice)


def make_design(root: Path, kind: str = "crossover", **design: object) -> Small:
    """Write the store of a study."""
    protocol = design_protocol(kind, **design)  # type: ignore[arg-type]
    clock, path = StepClock(), root / "study.sqlite"
    store = StudyStore.create(path, protocol, design_allocation(protocol), clock=clock)
    return Small(store, clock, path)


def design_tables(protocol: StudyProtocol) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return reference standard and predictions that agree with :func:`design_choices`."""
    choices = design_choices(protocol)
    reference = pd.DataFrame({"case_id": [c.case_id for c in choices]})
    for finding in protocol.cases.findings:
        reference[f"finding:{finding}"] = [
            float(c.stratum == "x") if c.finding == finding else float("nan") for c in choices
        ]
    predictions = pd.DataFrame(
        {
            "case_id": [c.case_id for c in choices],
            "finding": [c.finding for c in choices],
            "probability": 0.7,
        }
    )
    return reference, predictions


def answers_for(desk: ReadingDesk, assignment: Assignment, value: int = 4) -> dict[str, object]:
    """Return answers to everything that is asked about a case."""
    answers: dict[str, object] = {
        "confidence": value,
        "certainty": 60,
        "management": "ct",
        "signs": ["shadow", "edge"],
        "place": [[0.25, 0.5]],
        "useful": 3,
        "comment": "a nodule",
    }
    asked = {item.id for item in desk.protocol.items_of(assignment.condition)}
    return {name: answer for name, answer in answers.items() if name in asked}


def begin(desk: ReadingDesk) -> None:
    """Take every step before the first reading."""
    while (step := desk.step()).kind in (
        "consent",
        "profile",
        "instructions",
        "practice",
        "practice_feedback",
    ):
        take(desk, step.kind)


def take(desk: ReadingDesk, kind: str) -> None:
    """Take the step that is next, which is of that kind."""
    step = desk.step()
    assert step.kind == kind
    if kind == "consent":
        desk.consent()
    elif kind == "profile":
        desk.keep_profile(PROFILE)
    elif kind == "instructions":
        desk.accept_instructions()
    elif kind == "practice_feedback" and step.assignment is not None:
        desk.read_feedback(step.assignment.assignment_id)
    elif kind in ("practice", "reading") and step.assignment is not None:
        desk.display(step.assignment.assignment_id)
        desk.submit(step.assignment.assignment_id, answers_for(desk, step.assignment))
    elif kind == "break":
        desk.end_break()
    elif kind == "closing" and step.condition is not None:
        desk.close_condition(step.condition, {"liked": 4})
    else:
        raise AssertionError(f"no way to take {kind}")


def walk(desk: ReadingDesk, *, until: str = "finished") -> list[str]:
    """Take steps until one of that kind comes; return the kinds taken."""
    taken: list[str] = []
    while (kind := desk.step().kind) != until:
        take(desk, kind)
        taken.append(kind)
    return taken
