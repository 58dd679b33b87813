import numpy as np
import pandas as pd
import pytest
from scipy import stats

from study.analysis.design.missing import missingness
from study.analysis.design.parts import share_by_case
from study.analysis.design.reliance import MEASURES, reliance
from study.analysis.estimate import AnalysisError, Scope
from tests.support.simulated_readings import crossover, likert

CONTRAST = ("B", "A")
KEY = ["reader", "case_id", "finding", "condition"]


def test_nothing_missing_is_a_share_of_zero_with_an_exact_interval():
    found = missingness(crossover(2, 10), "confidence", contrast=CONTRAST)
    assert found.share.value == 0.0
    assert found.share.ci[0] == 0.0
    assert found.share.ci[1] == pytest.approx(1 - 0.025 ** (1 / 10))  # 10 cases
    assert found.reasons == ()
    assert [step.n_readings for step in found.flow] == [40, 40, 40, 40]


def test_missing_ratings_are_counted_by_reader_condition_and_session():
    frame = crossover(2, 10)
    lost = (frame["reader"] == "r1") & (frame["condition"] == "B") & (frame["session"] == "2")
    frame.loc[lost, "value"] = np.nan
    found = missingness(frame, "confidence", contrast=CONTRAST)
    cells = {(c.reader, c.condition, c.session): c for c in found.cells}
    assert cells["r1", "B", "2"].n_missing == cells["r1", "B", "2"].n_expected == lost.sum()
    assert sum(cell.n_missing for cell in found.cells) == lost.sum()
    assert found.reasons == (("no reason given", int(lost.sum())),)
    assert found.by_condition[1].value == pytest.approx(lost.sum() / 20)
    assert found.difference.value == pytest.approx(lost.sum() / 20)
    assert found.flow[-1].n_readings == 40 - 2 * lost.sum()
    assert found.flow[-1].lost == (("rated under one condition only", int(lost.sum())),)


def test_the_plan_and_the_reasons_of_an_export_are_followed():
    frame = crossover(2, 6)
    plan = frame[[*KEY, "session"]].copy()
    plan["purpose"] = "study"
    plan["displayed_at"] = "2026-01-01T00:00:00Z"
    plan.loc[plan.index[:2], "displayed_at"] = ""
    extra = plan.iloc[[5]].assign(purpose="repeat")
    gone = frame.index[:3]
    reasons = frame.loc[gone, KEY].assign(reason=["not_read", "not_read", "poor_quality"])
    found = missingness(
        frame.drop(index=gone),
        "confidence",
        plan=pd.concat([plan, extra]),
        reasons=reasons,
        contrast=CONTRAST,
        subset="true_positive",
    )
    assert found.planned
    assert found.reasons == (("not_read", 2), ("poor_quality", 1))
    labels = [step.label for step in found.flow]
    assert labels[:3] == ["planned readings", "displayed", "rated"]
    assert [step.n_readings for step in found.flow[:3]] == [24, 22, 21]
    assert found.flow[1].lost == (("never displayed", 2),)
    assert found.flow[2].lost == (("poor_quality", 1),)
    assert "in the subset true_positive" in labels
    assert found.notes == ("1 repeated readings are not counted.",)


def test_every_step_loses_what_it_says():
    frame = crossover(3, 12)
    frame.loc[frame.index[::7], "value"] = np.nan
    found = missingness(frame, "confidence", contrast=CONTRAST, subset="false_positive")
    for before, after in zip(found.flow, found.flow[1:], strict=False):
        assert before.n_readings - after.n_readings == sum(n for _, n in after.lost)


@pytest.mark.parametrize(
    ("change", "given", "words"),
    [
        (lambda f: f, {"plan": pd.DataFrame({"reader": ["r1"]})}, "needs the columns case_id"),
        (lambda f: f[f["item"] == "x"], {}, "finds no item 'confidence'"),
        (lambda f: f, {"plan": pd.concat([crossover(1, 2)] * 2)}, "twice under condition"),
    ],
)
def test_an_account_that_cannot_be_made_is_refused(change, given, words):
    with pytest.raises(AnalysisError, match=words):
        missingness(change(crossover(2, 4)), "confidence", **given)


def test_conditions_of_different_readers_have_no_paired_difference():
    a, b = likert({"A": [[1, 2]]}), likert({"B": [[1, 2]]})
    b["reader"] = "s1"
    found = missingness(pd.concat([a, b]), "confidence", contrast=CONTRAST)
    assert found.difference.value is None
    assert "planned under both" in found.difference.note


# Shares by case


def test_with_one_reading_per_case_the_interval_is_clopper_and_pearsons():
    scope = Scope("this reader", "descriptive", 1, 10)
    found = share_by_case([1] * 3 + [0] * 7, range(10), scope, "share")
    assert found.ci == pytest.approx(
        (stats.beta.ppf(0.025, 3, 8), stats.beta.ppf(0.975, 4, 7)), rel=1e-9
    )


def test_readings_of_a_case_that_always_agree_count_as_one():
    scope = Scope("these readers", "descriptive", 2, 10)
    once = share_by_case([1] * 3 + [0] * 7, range(10), scope, "share")
    twice = share_by_case([1] * 6 + [0] * 14, np.repeat(range(10), 2), scope, "share")
    assert twice.value == once.value
    width = [found.ci[1] - found.ci[0] for found in (once, twice)]
    assert width[1] == pytest.approx(width[0], rel=0.15)


# Reliance: unaided and aided ratings of cases on which the model is right (first 4) or wrong.

UNAIDED = [5, 1, 1, 1, 1, 1, 5, 5]
AIDED = [5, 5, 5, 1, 5, 1, 5, 1]
KINDS = ["true_positive"] * 4 + ["false_positive"] * 4


def rely(unaided=UNAIDED, aided=AIDED, kinds=KINDS, sham=None, n=1, **change):
    values = {"A": [unaided] * n, "B": [aided] * n}
    if sham is not None:
        values["S"] = [sham] * n
    given = {"unaided": "A", "aided": "B", "threshold": 3} | change
    if sham is not None:
        given["sham"] = "S"
    return reliance(likert(values, correctness=kinds), "confidence", **given)


def test_the_shares_of_reliance_are_those_counted_by_hand():
    shares = {m.name.split(":")[0]: m.these_readers.value for m in rely().measures}
    assert shares == pytest.approx(
        {
            "appropriate switching to the model": 2 / 3,
            "under-reliance": 1 / 3,
            "over-reliance": 1 / 2,
            "self-reliance": 1 / 2,
            "appropriate switching away from a wrong model": 1 / 2,
            "kept siding with a wrong model": 1 / 2,
            "misled away from a right model": 0.0,
        }
    )


def test_complementary_measures_add_up_to_one():
    found = rely(n=3)
    by_cell = {}
    for measure, result in zip(MEASURES, found.measures, strict=True):
        by_cell.setdefault(measure[1:3], []).append(result.these_readers.value)
    assert all(sum(pair) == pytest.approx(1) for pair in by_cell.values() if len(pair) == 2)


def test_agreement_and_accuracy_change_as_counted():
    found = rely()
    assert [e.value for e in found.agreement[:3]] == pytest.approx([3 / 8, 5 / 8, 2 / 8])
    assert [e.value for e in found.accuracy[:3]] == pytest.approx([3 / 8, 5 / 8, 2 / 8])
    assert (found.n_readings, found.n_model_right) == (8, 4)
    assert found.agreement[0].population == "this reader"


def test_a_rating_of_presence_sides_with_a_model_that_denies_by_a_low_rating():
    kinds = ["true_negative"] * 4 + ["false_negative"] * 4
    turned = rely(
        [6 - v for v in UNAIDED],
        [6 - v for v in AIDED],
        kinds,
        threshold=4,
        rating_means="the finding is present",
    )
    assert [m.these_readers.value for m in turned.measures] == pytest.approx(
        [m.these_readers.value for m in rely().measures]
    )


def test_a_sham_that_moves_readers_as_much_leaves_nothing_beyond_it():
    found = rely(sham=AIDED, n=2)
    assert {e.value for e in found.against_sham if e.value is not None} == {0.0}
    better = rely(sham=UNAIDED, n=2)
    switching = better.against_sham[0]
    assert switching.quantity.startswith("appropriate switching")
    assert switching.value == pytest.approx(2 / 3)


def test_what_could_not_happen_says_so():
    found = rely(unaided=[5] * 8, aided=[5] * 8)
    assert found.measures[0].these_readers.value is None
    assert "could happen" in found.measures[0].these_readers.note


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"aided": "A"}, "expected different ones"),
        ({"aided": "C"}, "under condition 'C'"),
        ({"kinds": ["?"] * 8}, "expected one of true_positive"),
    ],
)
def test_reliance_on_nothing_is_refused(change, words):
    with pytest.raises(AnalysisError, match=words):
        kinds = change.pop("kinds", KINDS)
        values = {"A": [UNAIDED], "B": [AIDED]}
        given = {"unaided": "A", "aided": "B", "threshold": 3} | change
        reliance(likert(values, correctness=kinds), "confidence", **given)


def test_readings_without_a_counterpart_are_counted():
    found = rely(aided=[np.nan, *AIDED[1:]])
    assert found.n_readings == 7
    assert any("1 ratings have no counterpart" in note for note in found.notes)
