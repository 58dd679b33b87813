"""Case selection: classes, margin, films used once, and what is said when there are too few."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from study.errors import SelectionError
from study.plans import PracticeCase
from study.protocol import StudyProtocol
from study.selection import select_cases, select_practice
from tests.support.small_study import small_protocol

FINDINGS = ("Mass", "Lung Opacity")


def tables(
    n_cases: int, seed: int = 0, findings: tuple[str, ...] = FINDINGS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Random reference standard (some unknown) and predictions, unrelated to each other."""
    rng = np.random.default_rng(seed)
    reference = pd.DataFrame({"case_id": [f"c{n:04d}" for n in range(n_cases)]})
    for finding in findings:
        reference[f"finding:{finding}"] = rng.choice([0.0, 1.0, np.nan], n_cases, p=[0.5, 0.4, 0.1])
    predictions = pd.DataFrame(
        [
            {"case_id": case_id, "finding": finding, "probability": rng.uniform()}
            for case_id in reference["case_id"]
            for finding in findings
        ]
    )
    return reference, predictions


def with_margin(protocol: StudyProtocol, margin: float) -> StudyProtocol:
    cases = protocol.cases.model_copy(update={"minimum_margin": margin})
    return protocol.model_copy(update={"cases": cases})


@pytest.mark.parametrize("seed", range(10))
def test_half_are_true_and_half_false_positives_and_no_film_is_used_twice(seed: int) -> None:
    reference, predictions = tables(200, seed)
    protocol = small_protocol(per_finding=20)
    choices = select_cases(reference, predictions, protocol, seed)
    truth = reference.set_index("case_id")
    probability = predictions.set_index(["case_id", "finding"])["probability"]
    classes = Counter((c.finding, truth.loc[c.case_id, f"finding:{c.finding}"]) for c in choices)
    assert classes == {(finding, value): 10 for finding in FINDINGS for value in (0.0, 1.0)}
    assert all(probability[c.case_id, c.finding] > 0.5 for c in choices)
    assert len({c.case_id for c in choices}) == len(choices) == 40


def test_the_margin_keeps_uncertain_predictions_out_and_its_edge_in() -> None:
    reference, predictions = tables(100)
    predictions["probability"] = np.where(np.arange(200) % 4 < 2, 0.55, 0.549)
    protocol = with_margin(small_protocol(), 0.05)
    choices = select_cases(reference, predictions, protocol, 1)
    probability = predictions.set_index(["case_id", "finding"])["probability"]
    assert {probability[c.case_id, c.finding] for c in choices} == {0.55}


def test_exactly_one_half_claims_nothing() -> None:
    reference, predictions = tables(100)
    predictions["probability"] = 0.5
    with pytest.raises(SelectionError, match="Mass: 0 true positives found, 2 needed"):
        select_cases(reference, predictions, small_protocol(), 1)


def test_strata_balance_the_classes_but_their_labels_mean_nothing() -> None:
    reference, predictions = tables(200)
    meanings = set()
    for seed in range(20):
        for finding in FINDINGS:
            choices = select_cases(reference, predictions, small_protocol(per_finding=8), seed)
            mine = [c for c in choices if c.finding == finding]
            truth = reference.set_index("case_id")[f"finding:{finding}"]
            by_label = {c.stratum: truth[c.case_id] for c in mine}
            assert Counter(c.stratum for c in mine) == {"0": 4, "1": 4}
            assert all(by_label[c.stratum] == truth[c.case_id] for c in mine)
            meanings.add(by_label["0"])
    assert meanings == {0.0, 1.0}


def test_the_seed_decides_and_the_order_of_the_tables_does_not() -> None:
    reference, predictions = tables(200)
    protocol = small_protocol()
    once = select_cases(reference, predictions, protocol, 1)
    shuffled = predictions.sample(frac=1, random_state=0)
    assert select_cases(reference.iloc[::-1], shuffled, protocol, 1) == once
    assert select_cases(reference, predictions, protocol, 2) != once


def test_a_film_is_moved_to_another_finding_if_that_frees_one() -> None:
    # c0–c3 suit both findings as true positives, c4 and c5 Mass only: a greedy choice of c0 … c3
    # for Mass would leave Lung Opacity with used films.
    rows, truth = [], []
    for n in range(6):
        truth.append((f"c{n}", 1.0, 1.0 if n < 2 else np.nan))
        rows += [(f"c{n}", "Mass", 0.9), (f"c{n}", "Lung Opacity", 0.9 if n < 2 else 0.1)]
    for n in range(6, 10):
        truth.append((f"c{n}", 0.0, 0.0))
        rows += [(f"c{n}", "Mass", 0.9), (f"c{n}", "Lung Opacity", 0.9)]
    reference = pd.DataFrame(truth, columns=["case_id", "finding:Mass", "finding:Lung Opacity"])
    predictions = pd.DataFrame(rows, columns=["case_id", "finding", "probability"])
    for seed in range(20):
        choices = select_cases(reference, predictions, small_protocol(), seed)
        assert len({c.case_id for c in choices}) == 8


def test_a_film_is_used_for_two_findings_only_where_there_is_no_other() -> None:
    truth = [(f"c{n}", float(n < 2), float(n < 2)) for n in range(4)]
    reference = pd.DataFrame(truth, columns=["case_id", "finding:Mass", "finding:Lung Opacity"])
    predictions = pd.DataFrame(
        [(f"c{n}", finding, 0.9) for n in range(4) for finding in FINDINGS],
        columns=["case_id", "finding", "probability"],
    )
    choices = select_cases(reference, predictions, small_protocol(), 1)
    assert len(choices) == len({(c.case_id, c.finding) for c in choices}) == 8


def test_too_few_cases_are_counted_by_finding_and_class() -> None:
    reference, predictions = tables(12, seed=3)
    with pytest.raises(SelectionError) as caught:
        select_cases(reference, predictions, small_protocol(per_finding=40), 1)
    message = str(caught.value)
    for finding in FINDINGS:
        for correctness in ("true positives", "false positives"):
            assert f"{finding}: " in message
            assert f"{correctness} found, 20 needed" in message


def test_a_finding_that_the_case_set_does_not_have_is_named() -> None:
    reference, predictions = tables(50, findings=("Mass",))
    with pytest.raises(SelectionError, match="no column 'finding:Lung Opacity'"):
        select_cases(reference, predictions, small_protocol(), 1)
    reference, _ = tables(50)
    with pytest.raises(SelectionError, match="no predictions for 'Lung Opacity'"):
        select_cases(reference, predictions, small_protocol(), 1)


def test_doubled_rows_are_refused() -> None:
    reference, predictions = tables(50)
    with pytest.raises(SelectionError, match="lists case 'c0000' twice"):
        select_cases(pd.concat([reference, reference[:1]]), predictions, small_protocol(), 1)
    with pytest.raises(SelectionError, match="two predictions for 'Mass'"):
        select_cases(reference, pd.concat([predictions, predictions[:1]]), small_protocol(), 1)
    with pytest.raises(SelectionError, match="no column 'probability'"):
        select_cases(reference, predictions.drop(columns="probability"), small_protocol(), 1)


def practising(*cases: PracticeCase) -> StudyProtocol:
    return small_protocol(per_finding=8).model_copy(update={"practice": cases})


def trial(finding: str = "Mass", **entries: str) -> PracticeCase:
    return PracticeCase(finding=finding, condition="A", feedback="So.", **entries)


@pytest.mark.parametrize("seed", range(10))
def test_practice_cases_are_of_the_wanted_kind_and_no_cases_of_the_study(seed: int) -> None:
    reference, predictions = tables(200, seed)
    protocol = practising(trial(), trial(), trial(subset="false_positive"), trial("Lung Opacity"))
    taken = {c.case_id for c in select_cases(reference, predictions, protocol, seed)}
    found = select_practice(reference, predictions, protocol, seed, taken)
    assert [c.finding for c in found] == ["Mass", "Mass", "Mass", "Lung Opacity"]
    assert len({c.case_id for c in found} - taken) == 4
    truth = reference.set_index("case_id")
    assert [truth.loc[c.case_id, f"finding:{c.finding}"] for c in found] == [1.0, 1.0, 0.0, 1.0]
    assert found == select_practice(reference, predictions, protocol, seed, taken)
    assert select_practice(reference, predictions, small_protocol(), seed, taken) == ()


def test_a_named_practice_case_is_kept_out_of_the_study_and_of_the_rule() -> None:
    reference, predictions = tables(200)
    studied = select_cases(reference, predictions, practising(), 1)
    named = studied[0].case_id
    protocol = practising(trial(case_id=named), trial())
    choices = select_cases(reference, predictions, protocol, 1)
    assert named not in {c.case_id for c in choices}
    taken = {c.case_id for c in choices}
    first, second = select_practice(reference, predictions, protocol, 1, taken)
    assert first.case_id == named != second.case_id


def test_practice_cases_that_cannot_be_had_are_named() -> None:
    reference, predictions = tables(200)
    with pytest.raises(
        SelectionError, match=r"practice\[0\].case_id is 'x', for which there is no"
    ):
        select_practice(reference, predictions, practising(trial(case_id="x")), 1, set())
    with pytest.raises(SelectionError, match="which is a case of the study"):
        select_practice(reference, predictions, practising(trial(case_id="c0001")), 1, {"c0001"})
    everything = set(reference["case_id"])
    with pytest.raises(SelectionError, match=r"No true positive of 'Mass' is left for practice\[0"):
        select_practice(reference, predictions, practising(trial()), 1, everything)
