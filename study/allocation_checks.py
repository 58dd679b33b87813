"""Whether readers, cases and secret fit the protocol that is to be allocated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from study.errors import AllocationError

if TYPE_CHECKING:
    from study.allocation import CaseChoice
    from study.protocol import StudyProtocol

MINIMUM_ENTROPY: Final = 16
"""Secret random bytes that assignment ids need at least."""


def check_allocation(
    protocol: StudyProtocol,
    choices: Sequence[CaseChoice],
    reader_ids: Sequence[str],
    entropy: bytes,
    practice: Sequence[CaseChoice],
) -> None:
    """Refuse what cannot be allocated; the arguments are those of ``allocate``.

    Raises
    ------
    AllocationError
        If readers, choices or practice cases repeat or do not match the protocol, or ``entropy``
        is too short.
    """
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
    _check_choices(protocol, choices)
    _check_practice(protocol, choices, practice)


def _check_choices(protocol: StudyProtocol, choices: Sequence[CaseChoice]) -> None:
    pairs = [(choice.case_id, choice.finding) for choice in choices]
    if len(set(pairs)) < len(pairs):
        twice = next(pair for n, pair in enumerate(pairs) if pair in pairs[:n])
        raise AllocationError(
            f"Case {twice[0]!r} is chosen twice for {twice[1]!r}; choose each case once per "
            "finding."
        )
    if protocol.design.kind == "review":
        _check_dimensions(protocol, choices)
    for finding in protocol.cases.findings if protocol.design.kind != "review" else ():
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


def _check_dimensions(protocol: StudyProtocol, choices: Sequence[CaseChoice]) -> None:
    films, wanted = Counter(choice.stratum for choice in choices), protocol.cases.per_finding
    if not films:
        raise AllocationError(
            "There is no card to be reviewed: no dimension was selected. Find factors with a lower "
            "threshold, then prepare the review again."
        )
    for dimension, n in films.items():
        if n != wanted:
            raise AllocationError(
                f"Dimension {dimension} has {n} films; the review asks for {wanted} of each. "
                "Choose the cards again for this protocol."
            )


def _check_practice(
    protocol: StudyProtocol, choices: Sequence[CaseChoice], practice: Sequence[CaseChoice]
) -> None:
    plans = protocol.practice
    if len(practice) != len(plans):
        raise AllocationError(
            f"{len(practice)} practice cases are given; the protocol has {len(plans)}. Pass those "
            "of select_practice."
        )
    studied = {choice.case_id for choice in choices}
    for n, (plan, choice) in enumerate(zip(plans, practice, strict=True)):
        if choice.case_id in studied:
            raise AllocationError(
                f"Practice case {choice.case_id!r} is also a case of the study; practise with "
                "another one."
            )
        if choice.finding != plan.finding or plan.case_id not in (None, choice.case_id):
            raise AllocationError(
                f"Practice case {n + 1} is {choice.case_id!r} for {choice.finding!r}; the protocol "
                f"asks for {plan.case_id or 'a case'!r} for {plan.finding!r}. Pass those of "
                "select_practice."
            )
