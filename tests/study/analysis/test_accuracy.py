import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from study.analysis.accuracy import accuracy, proportion_interval
from study.analysis.estimate import AnalysisError, Scope

SCOPE = Scope("this reader", "descriptive", 1, 10)


@pytest.mark.parametrize("hits", [0, 1, 7, 19, 20])
@pytest.mark.parametrize(("ours", "theirs"), [("wilson", "wilson"), ("clopper-pearson", "beta")])
def test_intervals_are_those_of_statsmodels(hits, ours, theirs):
    made = proportion_interval(hits, 20, interval=ours)
    np.testing.assert_allclose(made, proportion_confint(hits, 20, method=theirs), atol=1e-12)


def test_the_exact_interval_holds_at_least_its_level_and_wilson_about_it():
    for share in (0.5, 0.9):
        hits = np.arange(31)
        mass = stats.binom.pmf(hits, 30, share)
        for kind, least in (("clopper-pearson", 0.95), ("wilson", 0.92)):
            limits = [proportion_interval(int(h), 30, interval=kind) for h in hits]
            covered = sum(
                m for m, (low, high) in zip(mass, limits, strict=True) if low <= share <= high
            )
            assert covered >= least


def test_counts_and_shares_are_those_of_the_four_fold_table():
    made = accuracy([1, 1, 0, 0, 0, 1, np.nan], [1, 1, 1, 0, 0, 0, 1], SCOPE)
    assert (made.true_positives, made.false_negatives) == (2, 1)
    assert (made.true_negatives, made.false_positives) == (2, 1)
    assert made.sensitivity.value == pytest.approx(2 / 3)
    assert made.specificity.value == pytest.approx(2 / 3)


def test_an_empty_class_leaves_one_of_the_two_without_a_value():
    made = accuracy([1, 0], [1, 1], SCOPE)
    assert made.sensitivity.value == 0.5
    assert made.specificity.value is None and "No case is without" in made.specificity.note


@pytest.mark.parametrize(
    ("calls", "truth", "sentence"),
    [([2], [1], "A call is 2"), ([1], [3], "reference standard is 3"), ([1, 0], [1], "2 calls")],
)
def test_calls_other_than_zero_and_one_are_refused(calls, truth, sentence):
    with pytest.raises(AnalysisError, match=sentence):
        accuracy(calls, truth, SCOPE)


def test_impossible_counts_are_refused():
    with pytest.raises(AnalysisError, match="no proportion"):
        proportion_interval(3, 2)
