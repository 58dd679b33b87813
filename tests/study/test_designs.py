"""Balance of every design: what each reader sees, whatever the seed and the size of the study."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from study.allocation import Assignment, algorithm, allocate, sham_partners
from study.errors import AllocationError
from study.protocol import StudyProtocol
from tests.support.design_protocols import (
    FILM,
    FRAMES,
    MAP,
    allocated,
    condition,
    design,
    practice,
    practice_choices,
)
from tests.support.small_study import choices_of

SEEDS = (0, 1, 7, 12345, 2**63 - 1)
SIZES = ((2, 1), (4, 2), (10, 3), (6, 4))  # per finding, findings
SHAM = (
    condition("A", FILM, MAP),
    condition("B", FILM, FRAMES),
    condition("C", FILM, FRAMES, sham="other_case"),
)


def pairs_of(protocol: StudyProtocol) -> set[tuple[str, str]]:
    return {(c.case_id, c.finding) for c in choices_of(protocol)}


def by_session(assignments: tuple[Assignment, ...]) -> dict[tuple[str, int], list[Assignment]]:
    sessions: dict[tuple[str, int], list[Assignment]] = defaultdict(list)
    for each in assignments:
        sessions[each.reader_id, each.session].append(each)
    return sessions


def every_design(per_finding: int, n_findings: int, seed: int) -> list[StudyProtocol]:
    size = {"per_finding": per_finding, "n_findings": n_findings}
    repeats = 1 + seed % (per_finding * n_findings)
    return [
        design(**size, repeats=repeats),
        design(**size, conditions=SHAM, readers=5, repeats=repeats),
        design("sequential", **size, readers=3, repeats=repeats),
        design("parallel", **size, readers=4, repeats=repeats),
        design("parallel", **size, conditions=SHAM, readers=6, repeats=repeats),
    ]


@pytest.mark.parametrize(("per_finding", "n_findings"), SIZES)
@pytest.mark.parametrize("seed", SEEDS)
def test_positions_have_no_gaps_ids_are_unique_and_readings_in_order(
    per_finding: int, n_findings: int, seed: int
) -> None:
    for protocol in every_design(per_finding, n_findings, seed):
        found = allocated(protocol, seed)
        assert len({a.assignment_id for a in found}) == len(found)
        assert all(len(a.assignment_id) == 32 and int(a.assignment_id, 16) >= 0 for a in found)
        assert list(found) == sorted(found, key=lambda a: (a.reader_id, a.session, a.position))
        for inside in by_session(found).values():
            assert [a.position for a in inside] == list(range(1, len(inside) + 1))


@pytest.mark.parametrize(("per_finding", "n_findings"), SIZES)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_crossover_shows_every_case_once_in_each_condition_and_session(
    per_finding: int, n_findings: int, seed: int
) -> None:
    protocol = design(per_finding=per_finding, n_findings=n_findings, conditions=SHAM, readers=6)
    n_cases = per_finding * n_findings
    found = allocated(protocol, seed)
    for (_, session), inside in by_session(found).items():
        assert 1 <= session <= 3
        assert {(a.case_id, a.finding) for a in inside} == pairs_of(protocol)
        assert len(inside) == n_cases
        counts = Counter(a.condition for a in inside)
        assert max(counts.values()) - min(counts[name] for name in "ABC") <= 1
    for reader in {a.reader_id for a in found}:
        seen = Counter((a.condition, a.case_id) for a in found if a.reader_id == reader)
        assert set(seen.values()) == {1}
        assert len(seen) == 3 * n_cases
    # Within a block of three readers, a case meets every condition in every session.
    blocks = Counter(
        (int(a.reader_id[1:]) > 3, a.session, a.case_id, a.finding, a.condition) for a in found
    )
    assert set(blocks.values()) == {1}


@pytest.mark.parametrize(("per_finding", "n_findings"), SIZES)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_sequential_case_is_read_without_and_at_once_with_the_explanation(
    per_finding: int, n_findings: int, seed: int
) -> None:
    protocol = design(
        "sequential", per_finding=per_finding, n_findings=n_findings, readers=3, repeats=2
    )
    orders = set()
    for (_, session), inside in by_session(allocated(protocol, seed)).items():
        for first, second in zip(inside[::2], inside[1::2], strict=True):
            assert (first.case_id, first.finding) == (second.case_id, second.finding)
            assert (first.condition, second.condition) == ("A", "B")
        cases = [(a.case_id, a.finding) for a in inside[::2]]
        assert len(set(cases)) == len(cases)
        if session == 1:
            assert set(cases) == pairs_of(protocol)
            orders.add(tuple(cases))
        else:
            assert session == protocol.n_sessions == 2
            assert len(cases) == 2
            assert {a.purpose for a in inside} == {"repeat"}
    assert len(orders) > 1 or per_finding * n_findings <= 2


@pytest.mark.parametrize(("per_finding", "n_findings"), SIZES)
@pytest.mark.parametrize("seed", SEEDS)
def test_parallel_readers_see_every_case_in_one_condition_and_groups_are_equal(
    per_finding: int, n_findings: int, seed: int
) -> None:
    protocol = design(
        "parallel", per_finding=per_finding, n_findings=n_findings, conditions=SHAM, readers=6
    )
    groups = {}
    for (reader, session), inside in by_session(allocated(protocol, seed)).items():
        assert session == 1
        assert {(a.case_id, a.finding) for a in inside} == pairs_of(protocol)
        (groups[reader],) = {a.condition for a in inside}
    assert Counter(groups.values()) == {"A": 2, "B": 2, "C": 2}
    # Whoever stops after a block leaves equal groups.
    assert {groups[f"R{n}"] for n in (1, 2, 3)} == set("ABC")


def test_the_group_of_a_parallel_reader_hangs_on_the_seed() -> None:
    protocol = design("parallel", readers=2)
    first = Counter(allocated(protocol, seed)[0].condition for seed in range(60))
    assert 15 < first["A"] < 45


@pytest.mark.parametrize(("per_finding", "n_findings"), SIZES)
@pytest.mark.parametrize("seed", SEEDS)
def test_repeats_are_read_once_more_in_the_condition_of_the_first_time(
    per_finding: int, n_findings: int, seed: int
) -> None:
    for protocol in every_design(per_finding, n_findings, seed):
        found = allocated(protocol, seed)
        stages = 2 if protocol.design.kind == "sequential" else 1
        for reader in {a.reader_id for a in found}:
            mine = [a for a in found if a.reader_id == reader]
            first = {(a.case_id, a.finding, a.condition) for a in mine if a.session == 1}
            again = [a for a in mine if a.purpose == "repeat"]
            assert {a.session for a in again} == {protocol.n_sessions}
            assert len(again) == stages * protocol.design.repeats
            assert {(a.case_id, a.finding, a.condition) for a in again} <= first
            assert len({(a.case_id, a.finding, a.condition) for a in again}) == len(again)
            by_condition = Counter(a.condition for a in again)
            names = {condition for _, _, condition in first}
            counts = [by_condition[name] for name in names]
            if protocol.design.kind != "crossover" or 2 * len(again) <= len(first):
                assert max(counts) - min(counts) <= 1


def test_repeats_spread_over_findings_and_differ_between_readers() -> None:
    protocol = design(per_finding=8, n_findings=4, readers=4, repeats=8)
    drawn = set()
    for (_, session), inside in by_session(allocated(protocol, 3)).items():
        if session == 3:
            assert max(Counter(a.finding for a in inside).values()) <= 4
            drawn.add(tuple(a.case_id for a in inside))
    assert len(drawn) == 4


def test_no_order_of_cases_is_met_twice() -> None:
    protocol = design(per_finding=8, readers=4, repeats=16)
    orders = [
        tuple(a.case_id for a in inside) for inside in by_session(allocated(protocol, 1)).values()
    ]
    assert len(set(orders)) == len(orders) == 4 * 3


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("per_finding", "n_findings"), SIZES)
def test_a_sham_shows_another_case_of_the_finding_and_each_case_lends_once(
    per_finding: int, n_findings: int, seed: int
) -> None:
    protocol = design(
        per_finding=per_finding, n_findings=n_findings, conditions=SHAM, readers=3, repeats=2
    )
    choices = choices_of(protocol)
    partners = sham_partners(choices, seed)
    findings = {(c.case_id, c.finding): c.finding for c in choices}
    assert set(partners) == set(findings)
    for (case_id, finding), other in partners.items():
        assert other != case_id
        assert (other, finding) in findings
    lent = Counter((other, finding) for (_, finding), other in partners.items())
    assert set(lent.values()) == {1}
    for each in allocated(protocol, seed):
        if each.condition == "C":
            assert each.explained_case == partners[each.case_id, each.finding]
        else:
            assert each.shown_case_id == ""
            assert each.explained_case == each.case_id


def test_sham_partners_hang_on_the_seed_and_not_on_the_order_of_the_choices() -> None:
    choices = choices_of(design(per_finding=8))
    assert sham_partners(choices, 1) == sham_partners(choices[::-1], 1)
    assert sham_partners(choices, 1) != sham_partners(choices, 2)


def test_a_finding_with_one_case_has_no_sham() -> None:
    choices = choices_of(design(per_finding=2))
    with pytest.raises(AllocationError, match="'Lung Opacity' has one case only"):
        sham_partners(choices[:3], 1)


def test_practice_comes_before_the_first_session_and_is_the_same_for_every_reader() -> None:
    protocol = design(readers=3, practised=(practice("Mass", "B"), practice("Lung Opacity", "A")))
    found = allocated(protocol)
    for reader in ("R1", "R2", "R3"):
        tried = [a for a in found if a.reader_id == reader][:2]
        assert [(a.session, a.position, a.condition, a.case_id, a.purpose) for a in tried] == [
            (0, 1, "B", "p000", "practice"),
            (0, 2, "A", "p001", "practice"),
        ]
    assert all(a.purpose == "study" for a in found if a.session)
    without = allocated(design(readers=3))
    rest = [(a.case_id, a.condition, a.position) for a in found if a.session]
    assert rest == [(a.case_id, a.condition, a.position) for a in without]


def test_parallel_readers_practise_only_what_they_will_read() -> None:
    protocol = design("parallel", practised=(practice("Mass", "B"), practice("Mass", "A")))
    for (_, session), inside in by_session(allocated(protocol)).items():
        if session == 0:
            (tried,) = inside
            plan = protocol.practice[tried.position - 1]
            assert tried.condition == plan.condition
            others = {a.condition for a in allocated(protocol) if a.reader_id == tried.reader_id}
            assert others == {tried.condition}


def test_practice_cases_that_do_not_fit_are_refused() -> None:
    protocol = design(practised=(practice("Mass", "B"),))
    choices, fitting = choices_of(protocol), practice_choices(protocol)

    def with_practice(*cases: object) -> None:
        allocate(
            protocol, choices, 1, ["R1", "R2"], entropy=bytes(32),
            practice=cases,  # type: ignore[arg-type]
        )  # fmt: skip

    with_practice(*fitting)
    with pytest.raises(AllocationError, match="0 practice cases are given; the protocol has 1"):
        with_practice()
    with pytest.raises(AllocationError, match="is also a case of the study"):
        with_practice(choices[0])
    with pytest.raises(AllocationError, match="for 'Lung Opacity'; the protocol asks for"):
        with_practice(type(fitting[0])("p000", "Lung Opacity"))


def test_every_design_names_its_algorithm() -> None:
    names = [algorithm(design(kind)) for kind in ("crossover", "sequential", "parallel")]
    assert names == ["crossover-2", "sequential-1", "parallel-1"]


def test_ids_follow_no_pattern_between_readers_sessions_and_positions() -> None:
    found = allocated(design(per_finding=10, readers=4))
    numbers = [int(a.assignment_id, 16) for a in found]
    rising = sum(a < b for a, b in pairwise(numbers)) / (len(numbers) - 1)
    assert 0.35 < rising < 0.65
