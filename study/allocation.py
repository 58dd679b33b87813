"""Who reads what, when, and in which condition; drawn once, stored, never drawn again.

Crossover over k conditions and k sessions: the choices of each finding and stratum are dealt into
k groups of equal size (to within one), and a cyclic Latin square sends group g of a reader with
shift r, in session s, to condition (g + r + s) mod k. Readers come in blocks of k that share one
deal and have shifts 0 … k-1, so that within a block every choice is read in every condition in
every session: with two conditions the readers of a pair are complementary.

Sequential: every reader reads every case in the first condition and at once in the second.
Parallel: readers come in blocks of k, of which each reader has another condition.
Review: every expert judges every card, the cards of a dimension (the stratum) one after another;
the order of the dimensions and that within them differ from expert to expert.

Positions are permuted for each reader and session separately, so that no sequence of cases
repeats. Order is derived from SHA-256 and not from a library's random generator, whose stream may
change from one release to the next.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, TypeVar

from study.allocation_checks import check_allocation
from study.errors import AllocationError
from study.protocol import StudyProtocol

Purpose: TypeAlias = Literal["study", "repeat", "practice"]

ALGORITHMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "crossover": "crossover-2",
        "sequential": "sequential-1",
        "parallel": "parallel-1",
        "review": "review-1",
    }
)
"""Kind of design to the name and version of its allocation; a change of any draw is a new one."""

ID_DIGITS: Final = 32
PRACTICE_SESSION: Final = 0


@dataclass(frozen=True)
class CaseChoice:
    """One question of the study: is this finding present in this case.

    Parameters
    ----------
    case_id
        The case.
    finding
        The finding that the classifier claims.
    stratum
        Opaque label of what is to be balanced, in a review the dimension; used while allocating
        and stored nowhere.
    """

    case_id: str
    finding: str
    stratum: str = field(default="", repr=False)


@dataclass(frozen=True)
class Assignment:
    """One reading to be done.

    Parameters
    ----------
    assignment_id
        32 hexadecimal digits that nobody can guess; the only name a browser sees.
    reader_id
        Pseudonym of the reader.
    session
        Session of the reading, from 1; 0 for practice.
    position
        Place within the reader's session, from 1; for practice the place in the protocol's list.
    condition
        Identifier of the condition.
    case_id, finding
        What is read.
    purpose
        ``"study"``; ``"repeat"``: a reading done once more; ``"practice"``: does not count.
    shown_case_id
        The case whose explanation is shown; empty for the case itself.
    """

    assignment_id: str
    reader_id: str
    session: int
    position: int
    condition: str
    case_id: str
    finding: str
    purpose: Purpose = "study"
    shown_case_id: str = ""

    @property
    def explained_case(self) -> str:
        """The case whose explanation is shown."""
        return self.shown_case_id or self.case_id


@dataclass(frozen=True)
class _Reading:
    """A reading of one reader before it has a name."""

    session: int
    position: int
    condition: str
    choice: CaseChoice
    purpose: Purpose


_Shown: TypeAlias = tuple[str, CaseChoice]  # condition and what is read in it
_T = TypeVar("_T")


def allocate(
    protocol: StudyProtocol,
    choices: Sequence[CaseChoice],
    seed: int,
    reader_ids: Sequence[str],
    *,
    entropy: bytes,
    practice: Sequence[CaseChoice] = (),
) -> tuple[Assignment, ...]:
    """Allocate every reading of the study.

    Parameters
    ----------
    protocol
        Gives conditions, sessions, repeats and the number of readers.
    choices
        Cases with findings; each pair once.
    seed
        Decides the deal and the order; the same seed gives the same allocation.
    reader_ids
        Pseudonyms, as many as the protocol has readers.
    entropy
        At least 16 secret random bytes, which make the assignment ids unguessable; keep them
        nowhere.
    practice
        The cases of ``protocol.practice``, in its order; none of them a case of the study.

    Returns
    -------
    tuple of Assignment
        Ordered by reader, session and position, practice first; without any trace of the strata.
        In a parallel design a reader practises in the own condition only.

    Raises
    ------
    AllocationError
        If readers, choices or practice cases repeat or do not match the protocol, ``entropy`` is
        too short, or a sham condition has no other case to show.
    """
    check_allocation(protocol, choices, reader_ids, entropy, practice)
    borrowed = {c.id for c in protocol.conditions if c.sham == "other_case"}
    partners = sham_partners(choices, seed) if borrowed else {}
    assignments = []
    for number, reader_id in enumerate(reader_ids):
        for reading in _readings(protocol, choices, seed, number, reader_id, practice):
            name = f"{seed}/{reader_id}/{reading.session}/{reading.position}"
            opaque = hmac.new(entropy, name.encode(), hashlib.sha256).hexdigest()[:ID_DIGITS]
            choice, shown = reading.choice, ""
            if reading.condition in borrowed:
                shown = partners[choice.case_id, choice.finding]
            assignments.append(
                Assignment(
                    opaque,
                    reader_id,
                    reading.session,
                    reading.position,
                    reading.condition,
                    choice.case_id,
                    choice.finding,
                    reading.purpose,
                    shown,
                )
            )
    if len({each.assignment_id for each in assignments}) < len(assignments):
        raise AllocationError("Two assignment ids coincide; allocate again with fresh entropy.")
    return tuple(assignments)


def algorithm(protocol: StudyProtocol) -> str:
    """Return name and version of the allocation of a design, as the store records it."""
    return ALGORITHMS[protocol.design.kind]


def sham_partners(choices: Sequence[CaseChoice], seed: int) -> dict[tuple[str, str], str]:
    """Draw for every case another case of the same finding, whose explanation a sham shows.

    Every case lends its explanation exactly once, and none to itself.

    Parameters
    ----------
    choices
        Cases with findings; each pair once.
    seed
        The study's; there is one draw in a study.

    Returns
    -------
    dict
        (case_id, finding) to the case_id that is shown with it.

    Raises
    ------
    AllocationError
        If a finding has one case only.
    """
    by_finding: dict[str, list[CaseChoice]] = defaultdict(list)
    for choice in choices:
        by_finding[choice.finding].append(choice)
    partners: dict[tuple[str, str], str] = {}
    for finding, inside in by_finding.items():
        if len(inside) < 2:
            raise AllocationError(
                f"{finding!r} has one case only, so a sham has no other case to show; choose at "
                "least two cases of every finding, or take out the sham condition."
            )
        ring = _shuffled(inside, f"{seed}/sham")
        for choice, other in zip(ring, [*ring[1:], ring[0]], strict=True):
            partners[choice.case_id, finding] = other.case_id
    return partners


def _readings(
    protocol: StudyProtocol,
    choices: Sequence[CaseChoice],
    seed: int,
    number: int,
    reader_id: str,
    practice: Sequence[CaseChoice],
) -> Iterable[_Reading]:
    """Yield the readings of a reader in order."""
    key = f"{seed}/{algorithm(protocol)}"
    sessions = _DESIGNS[protocol.design.kind](protocol, choices, key, number, reader_id)
    seen = {condition for session in sessions for condition, _ in session}
    for position, (plan, choice) in enumerate(zip(protocol.practice, practice, strict=True), 1):
        if plan.condition in seen:
            yield _Reading(PRACTICE_SESSION, position, plan.condition, choice, "practice")
    for s, session in enumerate(sessions, start=1):
        for position, (condition, choice) in enumerate(session, start=1):
            yield _Reading(s, position, condition, choice, "study")
    again = _repeated(protocol, sessions[0], f"{key}/repeats/{reader_id}", number)
    for position, (condition, choice) in enumerate(again, start=1):
        yield _Reading(protocol.n_sessions, position, condition, choice, "repeat")


def _crossover(
    protocol: StudyProtocol, choices: Sequence[CaseChoice], key: str, number: int, reader_id: str
) -> list[list[_Shown]]:
    conditions = [condition.id for condition in protocol.conditions]
    block, shift = divmod(number, len(conditions))
    groups = _deal(choices, len(conditions), f"{key}/block {block}")
    return [
        [
            (
                conditions[(groups[choice.case_id, choice.finding] + shift + s) % len(conditions)],
                choice,
            )
            for choice in _shuffled(choices, f"{key}/order/{reader_id}/{s}")
        ]
        for s in range(protocol.design.sessions)
    ]


def _sequential(
    protocol: StudyProtocol, choices: Sequence[CaseChoice], key: str, number: int, reader_id: str
) -> list[list[_Shown]]:
    order = _shuffled(choices, f"{key}/order/{reader_id}/0")
    return [[(stage.id, choice) for choice in order for stage in protocol.conditions]]


def _parallel(
    protocol: StudyProtocol, choices: Sequence[CaseChoice], key: str, number: int, reader_id: str
) -> list[list[_Shown]]:
    block, place = divmod(number, len(protocol.conditions))
    names = [condition.id for condition in protocol.conditions]
    names.sort(key=lambda name: _digest(f"{key}/block {block}/{name}"))
    return [[(names[place], c) for c in _shuffled(choices, f"{key}/order/{reader_id}/0")]]


def _review(
    protocol: StudyProtocol, choices: Sequence[CaseChoice], key: str, number: int, reader_id: str
) -> list[list[_Shown]]:
    blocks: dict[str, list[CaseChoice]] = defaultdict(list)
    for choice in _shuffled(choices, f"{key}/order/{reader_id}/0"):
        blocks[choice.stratum].append(choice)
    turns = sorted(blocks, key=lambda name: _digest(f"{key}/blocks/{reader_id}/{name}"))
    return [[(protocol.conditions[0].id, c) for name in turns for c in blocks[name]]]


_Design: TypeAlias = Callable[
    [StudyProtocol, Sequence[CaseChoice], str, int, str], list[list[_Shown]]
]
_DESIGNS: Final[Mapping[str, _Design]] = MappingProxyType(
    {
        "crossover": _crossover,
        "sequential": _sequential,
        "parallel": _parallel,
        "review": _review,
    }
)


def _repeated(
    protocol: StudyProtocol, first: Sequence[_Shown], key: str, number: int
) -> list[_Shown]:
    """Draw what a reader reads once more: evenly by condition, then by finding and stratum.

    Parameters
    ----------
    first
        The reader's first session, whose conditions are kept.
    number
        Of the reader; says which condition has one case more where they cannot be equal.
    """
    n_repeats = protocol.design.repeats
    stages: dict[tuple[str, str], list[_Shown]] = defaultdict(list)
    for condition, choice in first:  # a sequential case has two of them
        stages[choice.case_id, choice.finding].append((condition, choice))
    conditions = [condition.id for condition in protocol.conditions]
    drawn = _shuffled([shown[0][1] for shown in stages.values()], f"{key}/draw")
    drawn = _alternating(drawn, lambda choice: (choice.finding, choice.stratum))
    names = {pair: shown[0][0] for pair, shown in stages.items()}

    def turn(choice: CaseChoice) -> int:
        place = conditions.index(names[choice.case_id, choice.finding])
        return (place + number) % len(conditions)

    drawn = _alternating(drawn, turn, ordered=True)[:n_repeats]
    again = _shuffled(drawn, f"{key}/order")
    return [shown for choice in again for shown in stages[choice.case_id, choice.finding]]


def _alternating(
    entries: Sequence[_T], group: Callable[[_T], object], *, ordered: bool = False
) -> list[_T]:
    """Take entries from each group in turn, keeping the order within a group.

    Groups take turns in the order of their first entry, or in their own order if ``ordered``.
    """
    inside: dict[object, list[_T]] = defaultdict(list)
    for entry in entries:
        inside[group(entry)].append(entry)
    groups = [inside[name] for name in (sorted(inside) if ordered else inside)]  # type: ignore[type-var]
    longest = max(map(len, groups), default=0)
    return [members[n] for n in range(longest) for members in groups if n < len(members)]


def _deal(choices: Sequence[CaseChoice], n_groups: int, key: str) -> dict[tuple[str, str], int]:
    """Deal choices into groups, evenly within each finding and stratum, finding, and overall."""
    strata: dict[str, dict[str, list[CaseChoice]]] = defaultdict(lambda: defaultdict(list))
    for choice in choices:
        strata[choice.finding][choice.stratum].append(choice)
    turn = int.from_bytes(_digest(f"{key}/start")[:8]) % n_groups
    groups: dict[tuple[str, str], int] = {}
    for finding in strata:
        for stratum in strata[finding]:
            for choice in _shuffled(strata[finding][stratum], f"{key}/deal"):
                groups[choice.case_id, choice.finding] = turn
                turn = (turn + 1) % n_groups  # runs on, so that odd strata even out
    return groups


def _shuffled(choices: Iterable[CaseChoice], key: str) -> list[CaseChoice]:
    """Return a permutation that depends on ``key`` and on nothing else."""
    return sorted(choices, key=lambda c: _digest(f"{key}/{c.case_id}/{c.finding}"))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
