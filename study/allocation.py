"""Who reads what, when, and in which condition; drawn once, stored, never drawn again.

A crossover over k conditions and k sessions: the choices of each finding and stratum are dealt
into k groups of equal size (to within one), and a cyclic Latin square sends group g of a reader
with shift r, in session s, to condition (g + r + s) mod k. Readers come in blocks of k that share
one deal and have shifts 0 … k-1, so that within a block every choice is read in every condition in
every session: with two conditions the readers of a pair are complementary. Positions are permuted
for each reader and session separately, so that no sequence of cases repeats.

Order is derived from SHA-256 and not from a library's random generator, whose stream may change
from one release to the next.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from study.errors import AllocationError
from study.protocol import StudyProtocol

ALGORITHM = "crossover-1"
MINIMUM_ENTROPY = 16


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
        Opaque label of what is to be balanced; used while allocating and stored nowhere.
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
        16 hexadecimal digits that nobody can guess; the only name a browser sees.
    reader_id
        Pseudonym of the reader.
    session
        Session of the reading, from 1.
    position
        Place within the reader's session, from 1.
    condition
        Identifier of the condition.
    case_id, finding
        What is read.
    """

    assignment_id: str
    reader_id: str
    session: int
    position: int
    condition: str
    case_id: str
    finding: str


def allocate(
    protocol: StudyProtocol,
    choices: Sequence[CaseChoice],
    seed: int,
    reader_ids: Sequence[str],
    *,
    entropy: bytes,
) -> tuple[Assignment, ...]:
    """Allocate every reading of the study.

    Parameters
    ----------
    protocol
        Gives conditions, sessions and the number of readers.
    choices
        Cases with findings; each pair once.
    seed
        Decides the deal and the order; the same seed gives the same allocation.
    reader_ids
        Pseudonyms, as many as the protocol has readers.
    entropy
        At least 16 secret random bytes, which make the assignment ids unguessable; keep them
        nowhere.

    Returns
    -------
    tuple of Assignment
        Ordered by reader, session and position; without any trace of the strata.

    Raises
    ------
    AllocationError
        If readers or choices repeat or do not match the protocol, or ``entropy`` is too short.
    """
    _check(protocol, choices, reader_ids, entropy)
    conditions = [condition.id for condition in protocol.conditions]
    readings: list[Assignment] = []
    for r, reader_id in enumerate(reader_ids):
        block, shift = divmod(r, len(conditions))
        groups = _deal(choices, len(conditions), f"{seed}/{ALGORITHM}/block {block}")
        for s in range(protocol.design.sessions):
            key = f"{seed}/{ALGORITHM}/order/{reader_id}/{s}"
            for p, choice in enumerate(_shuffled(choices, key)):
                condition = conditions[
                    (groups[choice.case_id, choice.finding] + shift + s) % len(conditions)
                ]
                name = f"{seed}/{reader_id}/{s}/{p}"
                opaque = hmac.new(entropy, name.encode(), hashlib.sha256).hexdigest()[:16]
                readings.append(
                    Assignment(
                        opaque, reader_id, s + 1, p + 1, condition, choice.case_id, choice.finding
                    )
                )
    if len({reading.assignment_id for reading in readings}) < len(readings):
        raise AllocationError("Two assignment ids coincide; allocate again with fresh entropy.")
    return tuple(readings)


def _deal(choices: Sequence[CaseChoice], n_groups: int, key: str) -> dict[tuple[str, str], int]:
    """Deal choices into groups, evenly within each finding and stratum, finding, and overall."""
    strata: dict[str, dict[str, list[CaseChoice]]] = defaultdict(lambda: defaultdict(list))
    for choice in choices:
        strata[choice.finding][choice.stratum].append(choice)
    turn = int.from_bytes(hashlib.sha256(f"{key}/start".encode()).digest()[:8]) % n_groups
    groups: dict[tuple[str, str], int] = {}
    for finding in strata:
        for stratum in strata[finding]:
            for choice in _shuffled(strata[finding][stratum], f"{key}/deal"):
                groups[choice.case_id, choice.finding] = turn
                turn = (turn + 1) % n_groups  # runs on, so that odd strata even out
    return groups


def _shuffled(choices: Sequence[CaseChoice], key: str) -> list[CaseChoice]:
    """Return a permutation that depends on ``key`` and on nothing else."""

    def rank(choice: CaseChoice) -> bytes:
        return hashlib.sha256(f"{key}/{choice.case_id}/{choice.finding}".encode()).digest()

    return sorted(choices, key=rank)


def _check(
    protocol: StudyProtocol,
    choices: Sequence[CaseChoice],
    reader_ids: Sequence[str],
    entropy: bytes,
) -> None:
    wanted = protocol.design.readers
    if len(reader_ids) != wanted or len(set(reader_ids)) != wanted or "" in reader_ids:
        raise AllocationError(
            f"The protocol has {wanted} readers, but the pseudonyms given are "
            f"{', '.join(map(repr, reader_ids)) or 'none'}; give {wanted} different ones."
        )
    if len(entropy) < MINIMUM_ENTROPY:
        raise AllocationError(
            f"Assignment ids need at least {MINIMUM_ENTROPY} secret random bytes, not "
            f"{len(entropy)}; pass secrets.token_bytes(32)."
        )
    pairs = [(choice.case_id, choice.finding) for choice in choices]
    if len(set(pairs)) < len(pairs):
        twice = next(pair for n, pair in enumerate(pairs) if pair in pairs[:n])
        raise AllocationError(
            f"Case {twice[0]!r} is chosen twice for {twice[1]!r}; choose each case once per "
            "finding."
        )
    for finding in protocol.cases.findings:
        n = sum(choice.finding == finding for choice in choices)
        if n != protocol.cases.per_finding:
            raise AllocationError(
                f"{n} cases are chosen for {finding!r}; the protocol asks for "
                f"{protocol.cases.per_finding}. Select the cases again for this protocol."
            )
    unknown = {choice.finding for choice in choices} - set(protocol.cases.findings)
    if unknown:
        raise AllocationError(
            f"Cases are chosen for {', '.join(sorted(map(repr, unknown)))}, which the protocol "
            "does not list; select the cases again for this protocol."
        )
