"""Protocols of every kind of design, with the cases and practice cases to allocate."""

from __future__ import annotations

from collections.abc import Sequence

from study.allocation import Assignment, CaseChoice, allocate
from study.protocol import StudyProtocol, parse_protocol
from tests.support.small_study import choices_of

HEADER = """
format_version = 1
[study]
id = "small"
title = "Small study"
instructions = "Read."
seed = 5
simulated = true
[design]
kind = "{kind}"
sessions = {sessions}
readers = {readers}
repeats = {repeats}
[cases]
findings = [{findings}]
per_finding = {per_finding}
false_positive_share = 0.5
[[items]]
id = "confidence"
kind = "likert"
question = "How confident?"
low = "not at all"
high = "very"
[analysis]
primary = "confidence"
contrast = ["A", "B"]
"""

FILM = '{ show = "film" }'
MAP = '{ show = "map", method = "input_gradients" }'
FRAMES = '{ show = "frames", method = "latent_shift" }'


def condition(name: str, *panels: str, sham: str = "") -> str:
    """Return the TOML of a condition."""
    text = f'[[conditions]]\nid = "{name}"\nlabel = "Kind {name}"\npanels = [{", ".join(panels)}]\n'
    return text + (f'sham = "{sham}"\n' if sham else "")


def practice(finding: str, name: str) -> str:
    """Return the TOML of a practice case."""
    return f'[[practice]]\nfinding = "{finding}"\ncondition = "{name}"\nfeedback = "So."\n'


def design_toml(
    kind: str = "crossover",
    *,
    conditions: Sequence[str] = (),
    readers: int = 2,
    repeats: int = 0,
    per_finding: int = 4,
    n_findings: int = 2,
    practised: Sequence[str] = (),
) -> str:
    """Return a protocol; with two conditions A and B unless others are given."""
    first = condition("A", FILM) if kind == "sequential" else condition("A", FILM, MAP)
    conditions = conditions or (first, condition("B", FILM, MAP))
    names = ("Mass", "Lung Opacity", "Effusion", "Nodule")[:n_findings]
    return "".join(
        (
            HEADER.format(
                kind=kind,
                sessions=len(conditions) if kind == "crossover" else 1,
                readers=readers,
                repeats=repeats,
                findings=", ".join(f'"{name}"' for name in names),
                per_finding=per_finding,
            ),
            *conditions,
            *practised,
        )
    )


def design(kind: str = "crossover", **settings: object) -> StudyProtocol:
    """Return the protocol of :func:`design_toml`."""
    return parse_protocol(design_toml(kind, **settings))  # type: ignore[arg-type]


def practice_choices(protocol: StudyProtocol) -> list[CaseChoice]:
    """Return a case for each practice case of a protocol."""
    return [CaseChoice(f"p{n:03d}", each.finding) for n, each in enumerate(protocol.practice)]


def allocated(protocol: StudyProtocol, seed: int = 1) -> tuple[Assignment, ...]:
    """Allocate a protocol with a fixed secret."""
    readers = [f"R{n + 1}" for n in range(protocol.design.readers)]
    return allocate(
        protocol,
        choices_of(protocol),
        seed,
        readers,
        entropy=bytes(32),
        practice=practice_choices(protocol),
    )
