import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as their_curve

from study.analysis.estimate import AnalysisError, Scope
from study.analysis.roc import (
    auc_estimate,
    compare_aucs,
    delong,
    empirical_auc,
    mean_roc_curve,
    partial_auc,
    placements,
    roc_curve,
)

SCOPE = Scope("this reader", "descriptive", 1, 80)


def _scores(seed=0, n=80, levels=None):
    rng = np.random.default_rng(seed)
    truth = np.r_[np.zeros(n // 2), np.ones(n - n // 2)]
    score = rng.normal(size=n) + truth
    return (score if levels is None else np.round(score * levels)), truth


@pytest.mark.parametrize("levels", [None, 1])
def test_the_auc_is_that_of_scikit_learn_and_of_mann_whitney(levels):
    score, truth = _scores(levels=levels)
    auc = empirical_auc(score, truth)
    assert auc == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
    u = stats.mannwhitneyu(score[truth == 1], score[truth == 0]).statistic
    assert auc == pytest.approx(u / (40 * 40))


def test_a_monotone_map_leaves_auc_and_variance_alone_and_a_reversal_mirrors_the_auc():
    score, truth = _scores()
    plain, mapped = delong([score], truth), delong([np.exp(3 * score)], truth)
    np.testing.assert_allclose(plain.aucs, mapped.aucs)
    np.testing.assert_allclose(plain.covariance, mapped.covariance)
    assert empirical_auc(-score, truth) == pytest.approx(1 - plain.aucs[0])


def test_placement_values_average_to_the_auc_on_either_side():
    score, truth = _scores(levels=1)
    of_negatives, of_positives = placements(score[truth == 0], score[truth == 1])
    auc = empirical_auc(score, truth)
    assert of_negatives.mean() == pytest.approx(auc)
    assert of_positives.mean() == pytest.approx(auc)


def test_delongs_variance_is_its_definition():
    score, truth = _scores(levels=1)
    low, high = score[truth == 0], score[truth == 1]
    kernel = (high[None] > low[:, None]) + 0.5 * (high[None] == low[:, None])
    expected = kernel.mean(axis=1).var(ddof=1) / 40 + kernel.mean(axis=0).var(ddof=1) / 40
    assert delong([score], truth).covariance[0, 0] == pytest.approx(expected)


def test_a_score_compared_with_itself_differs_by_nothing_without_a_test():
    score, truth = _scores()
    made = compare_aucs(delong([score, score], truth))
    assert made.difference == 0 and made.z is None and made.p_value is None


def test_paired_scores_are_compared_more_sharply_than_unpaired_ones():
    score, truth = _scores()
    other = score + 0.3 * np.random.default_rng(1).normal(size=len(score))
    both = delong([score, other], truth)
    made = compare_aucs(both)
    assert made.standard_error < np.sqrt(np.trace(both.covariance))
    assert made.p_value == pytest.approx(2 * stats.norm.sf(abs(made.z)))


def test_delongs_test_keeps_its_level():
    rejected = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        truth = np.r_[np.zeros(60), np.ones(60)]
        case = rng.normal(size=120) + truth
        pair = [case + rng.normal(size=120) for _ in range(2)]
        rejected += compare_aucs(delong(pair, truth)).p_value < 0.05
    assert rejected / 300 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_the_curve_is_that_of_scikit_learn_and_its_area_is_the_auc():
    score, truth = _scores(levels=1)
    ours = roc_curve(score, truth)
    x, y, _ = their_curve(truth, score, drop_intermediate=False)
    np.testing.assert_allclose(ours.false_positive_rate, x)
    np.testing.assert_allclose(ours.true_positive_rate, y)
    area = np.trapezoid(ours.true_positive_rate, ours.false_positive_rate)
    assert area == pytest.approx(empirical_auc(score, truth))


@pytest.mark.parametrize("limit", [0.1, 0.33, 1.0])
def test_the_standardised_partial_auc_is_that_of_scikit_learn(limit):
    score, truth = _scores()
    ours = partial_auc(score, truth, max_fpr=limit, standardised=True)
    theirs = (
        roc_auc_score(truth, score, max_fpr=limit) if limit < 1 else roc_auc_score(truth, score)
    )
    assert ours == pytest.approx(theirs)
    with pytest.raises(AnalysisError, match="false-positive rate"):
        partial_auc(score, truth, max_fpr=0)


def test_the_mean_curve_has_the_mean_auc():
    curves, aucs = [], []
    for seed in range(3):
        score, truth = _scores(seed)
        curves.append(roc_curve(score, truth))
        aucs.append(empirical_auc(score, truth))
    x, y = mean_roc_curve(curves, np.linspace(0, 1, 20001))
    assert np.trapezoid(y, x) == pytest.approx(np.mean(aucs), abs=1e-3)


def test_a_perfect_score_has_auc_one_and_says_that_its_variance_is_zero():
    made = auc_estimate([1, 2, 3, 4], [0, 0, 1, 1], SCOPE)
    assert made.value == 1 and made.ci == (1, 1) and "variance is 0" in made.note


@pytest.mark.parametrize(
    ("scores", "truth", "sentence"),
    [
        ([1, 2], [1, 1], "without the finding"),
        ([1, 2], [0, 0], "with the finding"),
        ([1, np.nan], [0, 1], "with the finding"),
        ([1, 2, 3], [0, 1], "expected one of each per case"),
        ([1, 2], [0, 2], "expected 0"),
    ],
)
def test_a_reference_standard_of_one_class_or_kind_is_refused(scores, truth, sentence):
    with pytest.raises(AnalysisError, match=sentence):
        empirical_auc(scores, truth)


def test_a_variance_needs_two_cases_of_each_kind():
    with pytest.raises(AnalysisError, match="at least two of each"):
        delong([[1, 2, 3]], [0, 1, 1])
