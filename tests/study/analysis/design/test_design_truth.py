"""AUC of true against false positives, probability, calls, rates and margins, against the sham."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from study.analysis.design.calls import compare_calls
from study.analysis.design.discrimination import discrimination
from study.analysis.design.margins import at_margin, ratio_at_margin
from study.analysis.design.probability import against_probability
from study.analysis.design.rates import false_positive_rates
from study.analysis.design.sham import beyond_placebo
from study.analysis.estimate import AnalysisError, Scope
from study.analysis.roc import delong
from tests.support.simulated_readings import crossover, likert

CONTRAST = ("B", "A")
KINDS = ["true_positive", "false_positive"] * 10


def ratings(seed=0, n_readers=1, n_cases=20, **change):
    rng = np.random.default_rng(seed)
    values = {name: rng.integers(1, 6, (n_readers, n_cases)).tolist() for name in "AB"}
    return likert(values | change, correctness=KINDS[:n_cases])


def test_one_reader_of_different_cases_has_delongs_areas_and_errors():
    frame = ratings()
    found = discrimination(frame, "confidence", CONTRAST)
    wide = frame.pivot(index="case_id", columns="condition", values="value")
    kinds = frame.drop_duplicates("case_id").set_index("case_id")["correctness"]
    truth = (kinds.reindex(wide.index) == "true_positive").astype(int)
    theirs = delong([wide["B"], wide["A"]], truth)
    assert [e.value for e in found.by_condition] == pytest.approx(theirs.aucs.tolist())
    error = (found.by_condition[0].ci[1] - found.by_condition[0].value) / stats.norm.ppf(0.975)
    assert error == pytest.approx(np.sqrt(theirs.covariance[0, 0]))
    spread = theirs.covariance
    expected = np.sqrt(spread[0, 0] + spread[1, 1] - 2 * spread[0, 1])
    got = (found.difference.ci[1] - found.difference.value) / stats.norm.ppf(0.975)
    assert got == pytest.approx(expected)
    assert found.difference.population == "this reader"


def test_a_reader_counted_twice_makes_no_interval_narrower():
    frame = ratings()
    twin = frame.assign(reader="r2")
    one = discrimination(frame, "confidence", CONTRAST)
    two = discrimination(pd.concat([frame, twin]), "confidence", CONTRAST)
    assert two.difference.ci == pytest.approx(one.difference.ci)
    assert two.mrmc is not None


def test_a_perfect_reader_has_an_area_of_one_and_no_interval():
    values = [5, 1] * 10
    found = discrimination(
        likert({"A": [values], "B": [values]}, correctness=KINDS), "confidence", CONTRAST
    )
    assert found.by_condition[0].value == 1.0
    assert found.by_condition[0].ci is None
    assert "No variance" in found.by_condition[0].note


def test_one_class_of_cases_is_refused():
    with pytest.raises(AnalysisError, match="20 true and 0 false positives"):
        discrimination(ratings().assign(correctness="true_positive"), "confidence", CONTRAST)


def test_findings_of_one_case_are_one_cluster():
    frame = ratings(n_readers=2)
    both = pd.concat([frame, frame.assign(finding="Effusion")])
    found = discrimination(both, "confidence", CONTRAST)
    once = discrimination(frame, "confidence", CONTRAST)
    assert found.difference.ci == pytest.approx(once.difference.ci)
    assert any("several findings" in note for note in found.notes)


def test_ratings_that_follow_the_probability_have_its_slope():
    frame = crossover(2, 30, noise=0.0)
    frame["value"] = np.rint(1000 * frame["probability"]) * np.where(
        frame["condition"] == "B", 1.0, 0.5
    )
    found = against_probability(frame, "confidence", CONTRAST)
    slopes = {(r.condition, r.correctness): r.slope.value for r in found.ratings}
    assert slopes["B", "all"] == pytest.approx(1000, rel=0.02)
    assert slopes["A", "true_positive"] == pytest.approx(500, rel=0.02)
    assert found.slope_difference.value == pytest.approx(500, rel=0.05)
    assert found.ratings[0].of_cases.value == pytest.approx(1, abs=1e-3)
    assert found.ratings[0].pooled.role == "warning"
    assert len(found.ratings[0].by_reader) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop(columns="probability"), "needs the columns probability"),
        (lambda f: f.assign(probability=np.nan), "finds no probability"),
        (lambda f: f.assign(probability=60.0), "a probability of 60"),
        (
            lambda f: f.assign(probability=np.linspace(0, 1, len(f))),
            "different probabilities of case",
        ),
    ],
)
def test_probabilities_that_are_none_are_refused(change, words):
    with pytest.raises(AnalysisError, match=words):
        against_probability(change(crossover(2, 8)), "confidence", CONTRAST)


def test_a_constant_rater_does_not_follow_the_probability():
    found = against_probability(crossover(2, 8).assign(value=3.0), "confidence", CONTRAST)
    assert found.ratings[0].slope.value == 0.0
    assert found.ratings[0].of_cases.value is None
    assert found.slope_difference.value is not None or found.slope_difference.note


# Calls


def test_specificity_counts_the_calls_on_cases_without_the_finding():
    frame = ratings(n_readers=2, seed=3)
    found = compare_calls(frame, "confidence", CONTRAST, threshold=4, margin=0.1)
    normals = frame[frame["correctness"] == "false_positive"]
    right = (normals["value"] < 4).groupby(normals["condition"]).mean()
    assert found.by_condition[0].value == pytest.approx(right["B"])
    assert found.difference.value == pytest.approx(right["B"] - right["A"])
    assert found.non_inferior.value == found.difference.value
    assert found.mrmc is not None
    table = found.by_reader[0].table
    assert table.n == 10
    assert found.by_reader[0].difference.value == pytest.approx(table.difference)


def test_sensitivity_counts_the_calls_on_cases_with_the_finding():
    frame = ratings(seed=3)
    found = compare_calls(frame, "confidence", CONTRAST, threshold=4, share="sensitivity")
    positives = frame[(frame["correctness"] == "true_positive") & (frame["condition"] == "B")]
    assert found.by_condition[0].value == pytest.approx((positives["value"] >= 4).mean())
    assert found.non_inferior is None


def test_without_cases_of_the_kind_there_is_no_specificity():
    with pytest.raises(AnalysisError, match="no case without the finding"):
        compare_calls(
            ratings().assign(correctness="true_positive"), "confidence", CONTRAST, threshold=3
        )


def test_calls_that_never_change_have_no_interval_but_a_reason():
    frame = likert({"A": [[1] * 20], "B": [[1] * 20]}, correctness=KINDS)
    found = compare_calls(frame, "confidence", CONTRAST, threshold=3, margin=0.1)
    assert (found.difference.value, found.difference.ci) == (0.0, None)
    assert found.non_inferior.value is None
    assert found.by_reader[0].mcnemar.value is None


@pytest.mark.parametrize("margin", [0.0, -0.1, 1.5])
def test_a_margin_of_calls_is_a_share(margin):
    with pytest.raises(AnalysisError, match=r"expected a share in \(0, 1\)"):
        compare_calls(ratings(), "confidence", CONTRAST, threshold=3, margin=margin)


# Rates


def counts(ratio=1.0, n_readers=4, n_cases=200, seed=0):
    rng = np.random.default_rng(seed)
    rate = rng.gamma(2.0, 0.3, n_cases)
    rows = [
        {
            "reader": f"r{r}",
            "case_id": f"c{c}",
            "condition": name,
            "count": rng.poisson(rate[c] * factor),
        }
        for r in range(n_readers)
        for c in range(n_cases)
        for name, factor in (("A", 1.0), ("B", ratio))
    ]
    return pd.DataFrame(rows)


def test_a_rate_ratio_and_a_rate_difference_are_recovered():
    found = false_positive_rates(counts(1.3), CONTRAST, margin_ratio=2.0, margin_difference=1.0)
    assert found.ratio.ci[0] < 1.3 < found.ratio.ci[1]
    assert found.difference.ci[0] < 0.18 < found.difference.ci[1]
    assert found.ratio_non_inferior.p_value < 0.001
    assert "non-inferiority is shown" in found.ratio_non_inferior.note
    assert "non-inferiority is shown" in found.difference_non_inferior.note
    assert found.over_readers.population == "readers like them"


def test_more_false_positives_than_the_margin_allows_are_not_non_inferior():
    found = false_positive_rates(counts(1.6), CONTRAST, margin_ratio=1.25)
    assert found.ratio_non_inferior.p_value > 0.5
    assert "not shown" in found.ratio_non_inferior.note
    assert found.difference_non_inferior is None


def test_no_false_positives_at_all_have_a_difference_but_no_ratio():
    found = false_positive_rates(counts().assign(count=0), CONTRAST, margin_ratio=1.25)
    assert found.ratio.value is None
    assert "needs some under both" in found.ratio.note
    assert found.ratio_non_inferior.value is None
    assert (found.difference.value, found.difference.ci) == (0.0, None)


@pytest.mark.parametrize(
    ("change", "given", "words"),
    [
        (lambda f: f.assign(count=0.5), {}, "finds a count of"),
        (lambda f: f.assign(count=-1), {}, "finds a count of"),
        (lambda f: f[f["condition"] == "A"], {}, "no count under condition 'B'"),
        (lambda f: pd.concat([f, f]), {}, "two readings by reader"),
        (lambda f: f, {"margin_ratio": 0.9}, "expected above 1"),
        (lambda f: f, {"margin_difference": 0.0}, "expected above 0"),
        (lambda f: f.drop(columns="count"), {}, "needs the columns count"),
    ],
)
def test_counts_that_are_none_are_refused(change, given, words):
    with pytest.raises(AnalysisError, match=words):
        false_positive_rates(change(counts(n_cases=5)), CONTRAST, **given)


def test_a_margin_is_tested_one_sided_where_the_interval_ends():
    scope = Scope("these readers", "descriptive", 2, 20)
    reach = stats.t.ppf(0.975, 9)
    found = scope.estimate(
        "difference", 0.0, method="t", ci=(-reach, reach), ci_level=0.95, p_value=1.0, df=9
    )
    assert at_margin(found, reach).p_value == pytest.approx(0.025)
    assert at_margin(found, reach, lower_is_better=True).p_value == pytest.approx(0.025)
    ratio = scope.estimate(
        "ratio", 1.0, method="z", ci=(np.exp(-1.0), np.exp(1.0)), ci_level=0.95, p_value=1.0
    )
    assert ratio_at_margin(ratio, np.e).p_value == pytest.approx(0.025)
    with pytest.raises(AnalysisError, match="above 1"):
        ratio_at_margin(ratio, 1.0)


# Against the sham


def test_total_is_placebo_and_what_lies_beyond_it():
    rng = np.random.default_rng(5)
    plain = rng.integers(1, 4, (3, 20))
    sham, shown = plain + rng.integers(0, 2, (3, 20)), plain + rng.integers(1, 3, (3, 20))
    frame = likert(
        {"P": plain.tolist(), "S": sham.tolist(), "E": shown.tolist()}, correctness=KINDS
    )
    found = beyond_placebo(frame, "confidence", explanation="E", sham="S", plain="P")
    beyond, placebo, total = (each.these_readers.value for each in found.effects)
    assert total == pytest.approx(beyond + placebo)
    assert beyond == pytest.approx((shown - sham).mean())
    by_hand = stats.ttest_1samp((shown - sham).mean(axis=1), 0)
    assert found.effects[0].readers_like_them.p_value == pytest.approx(by_hand.pvalue)
    assert {kind for kind, _ in found.by_correctness} == {"true_positive", "false_positive"}
    assert len(found.effects[0].by_reader) == 3


def test_a_sham_read_by_others_is_compared_between_groups():
    a = likert({"E": [[1, 2, 3], [2, 3, 3]]})
    b = likert({"S": [[1, 1, 2], [2, 2, 1]]})
    b["reader"] = "s" + b["reader"]
    found = beyond_placebo(pd.concat([a, b]), "confidence", explanation="E", sham="S")
    assert found.effects[0].these_readers.value is None
    assert found.effects[0].readers_like_them.value == pytest.approx(14 / 6 - 9 / 6)


def test_a_sham_that_is_the_explanation_is_refused():
    with pytest.raises(AnalysisError, match="expected different ones"):
        beyond_placebo(ratings(), "confidence", explanation="A", sham="A")
    with pytest.raises(AnalysisError, match="under condition 'S'"):
        beyond_placebo(ratings(), "confidence", explanation="A", sham="S")
