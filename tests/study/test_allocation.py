"""Properties of every allocation, checked over seeds."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import pytest

from study.allocation import Assignment, CaseChoice, allocate
from study.errors import AllocationError
from study.protocol import load_protocol, shipped_protocol
from tests.support.small_study import allocation_of, choices_of, small_protocol

SEEDS = range(25)
GOLDEN = [
    ("3a508458d4bde004e3d49095907e8ad5", "c1001", "B"),
    ("1d20dfb307317fedbec300acada7de8d", "c1000", "A"),
    ("c920f829b512d9496c77cbeae0070593", "c1002", "B"),
    ("7649bd225117fedbe83d862d0c14dcd9", "c0001", "B"),
]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_reader_reads_every_case_once_in_each_condition_and_session(seed: int) -> None:
    protocol = small_protocol(per_finding=8)
    pairs = {(c.case_id, c.finding) for c in choices_of(protocol)}
    for reader in ("R1", "R2"):
        mine = [a for a in allocation_of(protocol, seed) if a.reader_id == reader]
        for condition in ("A", "B"):
            read = [(a.case_id, a.finding) for a in mine if a.condition == condition]
            assert len(read) == len(pairs)
            assert set(read) == pairs
        for session in (1, 2):
            inside = [a for a in mine if a.session == session]
            assert {(a.case_id, a.finding) for a in inside} == pairs
            assert [a.position for a in inside] == list(range(1, len(pairs) + 1))


@pytest.mark.parametrize("seed", SEEDS)
def test_each_session_is_balanced_by_condition_finding_and_stratum(seed: int) -> None:
    protocol = small_protocol(per_finding=8)
    strata = {(c.case_id, c.finding): c.stratum for c in choices_of(protocol)}
    cells = Counter(
        (a.reader_id, a.session, a.finding, strata[a.case_id, a.finding], a.condition)
        for a in allocation_of(protocol, seed)
    )
    assert set(cells.values()) == {2}  # 8 per finding, 2 strata, 2 conditions
    assert len(cells) == 2 * 2 * 2 * 2 * 2


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("per_finding", [2, 6, 10])
def test_odd_strata_are_balanced_to_within_one_and_even_out(seed: int, per_finding: int) -> None:
    protocol = small_protocol(per_finding=per_finding)
    first = [a for a in allocation_of(protocol, seed) if a.reader_id == "R1" and a.session == 1]
    strata = {(c.case_id, c.finding): c.stratum for c in choices_of(protocol)}
    for finding in protocol.cases.findings:
        inside = [a for a in first if a.finding == finding]
        assert sum(a.condition == "A" for a in inside) == per_finding // 2
        for stratum in "xy":
            part = [a for a in inside if strata[a.case_id, a.finding] == stratum]
            n_first = sum(a.condition == "A" for a in part)
            assert abs(2 * n_first - len(part)) <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_the_readers_of_a_pair_are_complementary_and_session_two_is_swapped(seed: int) -> None:
    readings = {
        (a.reader_id, a.session, a.case_id, a.finding): a.condition
        for a in allocation_of(small_protocol(per_finding=8, readers=4), seed)
    }
    for (reader, session, case_id, finding), condition in readings.items():
        other = {"R1": "R2", "R2": "R1", "R3": "R4", "R4": "R3"}[reader]
        assert readings[other, session, case_id, finding] != condition
        assert readings[reader, 3 - session, case_id, finding] != condition


@pytest.mark.parametrize("seed", SEEDS)
def test_no_sequence_of_cases_or_strata_repeats_between_readers_and_sessions(seed: int) -> None:
    protocol = load_protocol(shipped_protocol("gifsplanation"))
    choices = choices_of(protocol)
    strata = {(c.case_id, c.finding): c.stratum for c in choices}
    readings = allocate(protocol, choices, seed, ["R1", "R2"], entropy=bytes(16))
    cases, classes, by_finding = set(), set(), set()
    for reader in ("R1", "R2"):
        for session in (1, 2):
            inside = [a for a in readings if (a.reader_id, a.session) == (reader, session)]
            cases.add(tuple(a.case_id for a in inside))
            classes.add("".join(strata[a.case_id, a.finding] for a in inside))
            for finding in protocol.cases.findings:
                part = [a for a in inside if a.finding == finding]
                by_finding.add("".join(strata[a.case_id, a.finding] for a in part))
    assert len(cases) == len(classes) == 4
    # In the original study these 24 sequences were one and the same.
    assert len(by_finding) == 24


def test_the_place_in_a_session_tells_nothing_about_the_stratum() -> None:
    protocol = small_protocol(per_finding=8)
    strata = {(c.case_id, c.finding): c.stratum for c in choices_of(protocol)}
    places = [
        a.position
        for seed in range(200)
        for a in allocation_of(protocol, seed)
        if strata[a.case_id, a.finding] == "x"
    ]
    # Mean of 1 … 16 is 8.5; standard error of the mean of 6,400 places is about 0.06.
    assert sum(places) / len(places) == pytest.approx(8.5, abs=0.2)


def test_the_same_seed_gives_the_same_allocation_and_another_seed_another_one() -> None:
    protocol = small_protocol()
    assert allocation_of(protocol, 3) == allocation_of(protocol, 3)
    assert allocation_of(protocol, 3) != allocation_of(protocol, 4)


def test_the_allocation_of_a_seed_never_changes() -> None:
    """Order hangs on SHA-256 alone; a change of this list is a new name in ALGORITHMS."""
    first = [a for a in allocation_of(small_protocol(), 1) if a.reader_id == "R1"][:4]
    assert [(a.assignment_id, a.case_id, a.condition) for a in first] == GOLDEN


def test_the_order_of_the_choices_decides_nothing_but_the_deal_of_findings() -> None:
    protocol = small_protocol()
    choices = choices_of(protocol)
    swapped = [choices[1], choices[0], *choices[2:]]  # two of one finding and stratum
    one = allocate(protocol, choices, 1, ["R1", "R2"], entropy=bytes(16))
    assert allocate(protocol, swapped, 1, ["R1", "R2"], entropy=bytes(16)) == one


def test_assignment_ids_are_opaque_unique_and_hang_on_the_secret() -> None:
    protocol = small_protocol()
    one = [a.assignment_id for a in allocation_of(protocol, 1, b"1" * 32)]
    two = [a.assignment_id for a in allocation_of(protocol, 1, b"2" * 32)]
    assert len(set(one)) == len(one)
    assert not set(one) & set(two)
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in one)


def test_an_assignment_holds_no_stratum() -> None:
    assert {f.name for f in fields(Assignment)} == {
        "assignment_id",
        "reader_id",
        "session",
        "position",
        "condition",
        "case_id",
        "finding",
        "purpose",
        "shown_case_id",
    }


def test_readers_choices_and_secrets_that_do_not_fit_are_refused() -> None:
    protocol = small_protocol()
    choices, secret = choices_of(protocol), bytes(16)
    with pytest.raises(AllocationError, match="2 readers"):
        allocate(protocol, choices, 1, ["R1"], entropy=secret)
    with pytest.raises(AllocationError, match="2 different"):
        allocate(protocol, choices, 1, ["R1", "R1"], entropy=secret)
    with pytest.raises(AllocationError, match="secret random bytes"):
        allocate(protocol, choices, 1, ["R1", "R2"], entropy=b"short")
    with pytest.raises(AllocationError, match="chosen twice"):
        allocate(protocol, [*choices[1:], choices[1]], 1, ["R1", "R2"], entropy=secret)
    with pytest.raises(AllocationError, match="3 cases are chosen for 'Mass'"):
        allocate(protocol, choices[1:], 1, ["R1", "R2"], entropy=secret)
    with pytest.raises(AllocationError, match="does not list"):
        allocate(protocol, [*choices, CaseChoice("z", "Gout")], 1, ["R1", "R2"], entropy=secret)
