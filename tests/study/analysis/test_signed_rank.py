"""Signed ranks by enumeration, textbook numbers and axioms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from study.analysis.estimate import Scope
from study.analysis.signed_rank import (
    dominance,
    hodges_lehmann,
    null_distribution,
    rank_biserial,
    sign_test,
    signed_rank,
    superiority,
    walsh_averages,
)

SCOPE = Scope("these readers", "descriptive", 2, 3)
LIKERT = [0, 1, -1, 2, 0, 1, 1, -2, 1, 0, 3]


def _by_enumeration(differences, zero_method):
    """Return the two-sided p-value over all signs of the differences that may change sign."""
    d = np.asarray(differences, float)
    d = d[d != 0] if zero_method == "wilcox" else d
    ranks = stats.rankdata(np.abs(d))
    free = ranks if zero_method == "zsplit" else ranks[d != 0]
    half = ranks[d == 0].sum() / 2 if zero_method == "zsplit" else 0
    centre, observed = free.sum() / 2, ranks[d > 0].sum() + half
    sums = [np.dot(free, signs) for signs in itertools.product((0, 1), repeat=len(free))]
    return np.mean([abs(s - centre) >= abs(observed - centre) - 1e-9 for s in sums])


@pytest.mark.parametrize("zero_method", ["wilcox", "pratt", "zsplit"])
def test_the_exact_p_value_is_the_one_of_all_sign_patterns(zero_method):
    test = signed_rank(LIKERT, zero_method=zero_method, distribution="exact")
    assert test.p_value == pytest.approx(_by_enumeration(LIKERT, zero_method), abs=1e-12)
    assert "exact" in test.method


def test_the_exact_test_agrees_with_scipy_where_there_are_no_ties():
    d = np.random.default_rng(3).normal(0.3, 1, 20)
    for side in ("two-sided", "greater", "less"):
        ours = signed_rank(d, alternative=side, distribution="exact").p_value
        assert ours == pytest.approx(stats.wilcoxon(d, alternative=side, method="exact").pvalue)


@pytest.mark.parametrize("correction", [False, True])
@pytest.mark.parametrize("zero_method", ["wilcox", "pratt", "zsplit"])
@pytest.mark.parametrize("side", ["two-sided", "greater", "less"])
def test_the_normal_approximation_is_scipys(zero_method, correction, side):
    ours = signed_rank(LIKERT, zero_method=zero_method, correction=correction, alternative=side)
    theirs = stats.wilcoxon(
        LIKERT,
        zero_method=zero_method,
        correction=correction,
        alternative=side,
        method="asymptotic",
    )
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=1e-12)


def test_averages_over_readers_tie_like_sums():
    sums = np.array([1, -1, 1, 2, 0, 3])
    assert signed_rank(sums / 3).p_value == signed_rank(sums).p_value
    assert signed_rank([0.1 + 0.2 - 0.3, 1]).n_nonzero == 1


def test_the_null_distribution_sums_to_one_and_is_symmetric():
    chances = null_distribution([1, 2.5, 2.5, 4])
    assert chances.sum() == pytest.approx(1)
    assert chances == pytest.approx(chances[::-1])
    assert len(chances) == 21


def test_nothing_to_rank_is_said():
    zero, none = signed_rank([0, 0]), signed_rank([])
    assert (zero.p_value, zero.statistic, none.p_value) == (None, None, None)
    assert "All 2 differences are 0" in zero.note and "no differences" in none.note
    assert zero.to_estimate(SCOPE).value is None


def test_the_shift_is_the_median_of_the_walsh_averages_and_moves_with_the_data():
    d = [1.0, 2.0, 4.0]
    assert walsh_averages(d).tolist() == [1.0, 1.5, 2.0, 2.5, 3.0, 4.0]
    assert hodges_lehmann(d, SCOPE).value == 2.25
    base = np.random.default_rng(1).normal(size=30)
    first, second = hodges_lehmann(base, SCOPE), hodges_lehmann(base + 5, SCOPE)
    assert second.value == pytest.approx(first.value + 5)
    assert second.ci == pytest.approx([limit + 5 for limit in first.ci])


def test_the_exact_interval_holds_what_the_exact_test_does_not_reject():
    d = np.random.default_rng(5).normal(0.4, 1, 12)
    low, high = hodges_lehmann(d, SCOPE, distribution="exact").ci
    for limit, inside in ((low, 1e-6), (high, -1e-6)):
        kept = signed_rank(d - limit - inside, distribution="exact").p_value
        left = signed_rank(d - limit + inside, distribution="exact").p_value
        assert left < 0.05 <= kept or left < kept


def test_too_few_differences_have_a_shift_without_interval():
    estimate = hodges_lehmann([1.0, 2.0], SCOPE)
    assert estimate.value == 1.5 and estimate.ci is None and "too few" in estimate.note


def test_the_rank_biserial_correlation_has_an_interval_around_it():
    estimate = rank_biserial(LIKERT, SCOPE)
    assert estimate.ci[0] < estimate.value < estimate.ci[1]
    mirrored = rank_biserial([-d for d in LIKERT], SCOPE)
    assert mirrored.ci == pytest.approx((-estimate.ci[1], -estimate.ci[0]))
    assert rank_biserial([1, 2, 3], SCOPE).ci is None


def test_superiority_counts_equal_pairs_half():
    estimate = superiority([1, 1, 0, -1], [1, 2, 3, 4], SCOPE)
    assert estimate.value == pytest.approx(0.625)
    assert 0 <= estimate.ci[0] < 0.625 < estimate.ci[1] <= 1
    assert dominance([1, 1, 0, -1]) == pytest.approx(0.25)


def test_the_sign_test_is_the_binomial_one():
    estimate = sign_test([1] * 9 + [-1] + [0] * 5, SCOPE)
    assert estimate.value == 0.9
    assert estimate.p_value == pytest.approx(2 * (1 + 10) / 2**10)
    assert math.isclose(sign_test([0, 0], SCOPE).value or 0, 0)
