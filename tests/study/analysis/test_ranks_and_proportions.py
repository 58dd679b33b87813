"""Crossover effects by ranks, relative effects, correlations, paired proportions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from study.analysis.correlation import kendall, kendall_z, pearson, spearman
from study.analysis.crossover import koch_tests, rank_sum, stratified_rank_sum
from study.analysis.estimate import AnalysisError, Scope
from study.analysis.proportions import (
    PairedTable,
    mcnemar_test,
    tango_difference,
    wald_difference,
)
from study.analysis.rank_effects import brunner_munzel, relative_effects

SCOPE = Scope("this reader", "descriptive", 1, 40)


def _crossover(condition=0.0, period=0.0, carry_over=0.0, seed=0):
    dice = np.random.default_rng(seed)
    starts = np.arange(400) % 2 == 0
    first = dice.normal(size=400) + np.where(starts, condition, 0)
    second = dice.normal(size=400) + np.where(starts, carry_over, condition) + period
    return koch_tests(first, second, starts, SCOPE)


def test_each_effect_of_a_crossover_is_found_by_its_own_test():
    arm, carry, period = _crossover(condition=0.6)
    assert arm.p_value < 1e-4 and period.p_value > 0.01
    arm, carry, period = _crossover(period=0.6)
    assert period.p_value < 1e-4 and arm.p_value > 0.01
    arm, carry, period = _crossover(carry_over=1.2)
    assert carry.p_value < 1e-4


def test_one_stratum_is_the_rank_sum_test():
    x, first = np.random.default_rng(0).normal(size=30).round(1), np.arange(30) % 3 == 0
    one = stratified_rank_sum([x], [first], SCOPE, "condition")
    assert one.p_value == pytest.approx(rank_sum(x[first], x[~first], SCOPE, "c").p_value, rel=0.05)
    with pytest.raises(AnalysisError, match="one group only"):
        stratified_rank_sum([x], [np.ones(30)], SCOPE, "condition")
    assert rank_sum([], [1.0], SCOPE, "c").value is None
    assert rank_sum([1.0], [1.0], SCOPE, "c").note == "All values are equal."


def test_relative_effects_are_half_on_average_and_invariant_to_the_scale():
    ratings = pd.DataFrame(
        np.random.default_rng(0).integers(1, 6, (50, 4)),
        columns=pd.MultiIndex.from_product([["A", "B"], ["r1", "r2"]]),
    )
    one, other = (
        relative_effects(ratings, "arm", "reader"),
        relative_effects(np.exp(ratings), "arm", "reader"),
    )
    assert one.cells.to_numpy().mean() == pytest.approx(0.5)
    assert one.tests == other.tests
    assert [each.term for each in one.tests] == ["arm", "reader", "arm:reader"]


def test_a_shifted_condition_has_a_higher_effect_and_a_small_p():
    dice = np.random.default_rng(1)
    base = dice.normal(size=60)
    ratings = pd.DataFrame({"A": base + dice.normal(size=60), "B": base + 1 + dice.normal(size=60)})
    effects = relative_effects(ratings, "arm")
    assert effects.cells.loc["B", "arm"] > effects.cells.loc["A", "arm"]
    assert effects.tests[0].p_value < 1e-3
    with pytest.raises(AnalysisError, match="complete subjects"):
        relative_effects(ratings.iloc[:1], "arm")


def test_brunner_munzel_is_scipys():
    x, y = np.random.default_rng(2).integers(1, 6, (2, 30))
    ours, theirs = brunner_munzel(x, y, SCOPE), stats.brunnermunzel(x, y)
    assert ours.p_value == pytest.approx(theirs.pvalue)
    assert ours.value == pytest.approx(stats.mannwhitneyu(y, x).statistic / 900)


def test_correlations_are_those_of_scipy_with_their_estimate_inside():
    dice = np.random.default_rng(0)
    x = dice.normal(size=80)
    y = np.round(x + dice.normal(size=80))
    for ours, theirs in (
        (spearman(x, y, SCOPE), stats.spearmanr(x, y)),
        (kendall(x, y, SCOPE), stats.kendalltau(x, y, method="asymptotic")),
        (pearson(x, y, SCOPE), stats.pearsonr(x, y)),
    ):
        assert (ours.value, ours.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
        assert ours.ci[0] < ours.value < ours.ci[1]
    z = kendall_z(x, y)
    assert 2 * stats.norm.sf(abs(z)) == pytest.approx(kendall(x, y, SCOPE).p_value)


def test_a_correlation_with_a_constant_is_refused_in_words():
    assert "does not vary" in spearman([1, 1, 1, 1, 1], [1, 2, 3, 4, 5], SCOPE).note
    assert "at least five" in kendall([1, 2], [1, 2], SCOPE).note


def test_tangos_interval_is_where_the_score_meets_its_quantile():
    # 44 pairs of which one changed: an interval that Wald cannot give.
    table = PairedTable(both=43, first_only=0, second_only=1, neither=0)
    low, high = tango_difference(table, SCOPE).ci
    assert low == pytest.approx(-0.0604, abs=2e-3) and high == pytest.approx(0.1182, abs=2e-3)


def test_exchanged_conditions_mirror_the_interval():
    table, other = PairedTable(20, 9, 3, 8), PairedTable(20, 3, 9, 8)
    for form in (tango_difference, wald_difference):
        one, mirrored = form(table, SCOPE), form(other, SCOPE)
        assert mirrored.value == pytest.approx(-one.value)
        assert mirrored.ci == pytest.approx((-one.ci[1], -one.ci[0]))


def test_non_inferiority_follows_from_the_interval():
    table = PairedTable(60, 5, 8, 7)
    estimate = tango_difference(table, SCOPE, margin=0.1)
    assert (estimate.p_value < 0.025) == (estimate.ci[0] > -0.1)


def test_nothing_changed_is_nothing_to_test():
    assert mcnemar_test(PairedTable(5, 0, 0, 5), SCOPE).value is None
    assert mcnemar_test(PairedTable(5, 1, 9, 5), SCOPE).p_value == pytest.approx(22 / 1024)
