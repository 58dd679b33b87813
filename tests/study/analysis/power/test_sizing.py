"""Sizes and powers: published numbers, inverses, limits."""

from __future__ import annotations

import pytest
from scipy import stats

from study.analysis.estimate import AnalysisError
from study.analysis.power import sizing


def test_the_documented_example_of_popower_and_posamsize():
    # Hmisc's manual: popower(c(.1,.2,.4,.3), 1.2, 1000) has power 0.351; posamsize needs 3148.
    shares = (0.1, 0.2, 0.4, 0.3)
    assert sizing.proportional_odds_power(shares, 1.2, 1000)[0] == pytest.approx(0.351, abs=6e-4)
    assert sizing.proportional_odds_n(shares, 1.2)[0] == pytest.approx(3148, abs=1)


def test_size_and_power_are_inverse():
    n = sizing.paired_t_n(0.4, power=0.9)
    assert sizing.paired_t_power(0.4, n) == pytest.approx(0.9, abs=1e-6)
    n_odds, _ = sizing.proportional_odds_n((0.25,) * 4, 1.5)
    assert sizing.proportional_odds_power((0.25,) * 4, 1.5, n_odds)[0] == pytest.approx(
        0.8, abs=0.01
    )


def test_the_sign_test_keeps_its_level_and_its_power_is_the_binomial_one():
    plan = sizing.sign_test_power(0.7, 50)
    assert plan.size <= 0.05 < 2 * stats.binom.cdf(plan.lower_critical + 1, 50, 0.5)
    assert sizing.sign_test_power(0.5, 50).power == pytest.approx(plan.size)


def test_zeros_must_be_made_up_for():
    assert sizing.signed_rank_n(0.62, zero_share=0.5) == pytest.approx(
        2 * sizing.signed_rank_n(0.62)
    )


def test_readings_that_agree_fully_count_once():
    assert sizing.effective_number(100, 4, 1.0) == (4.0, 100.0)
    assert sizing.effective_number(100, 4, 0.0) == (1.0, 400.0)


def test_no_number_of_cases_beats_the_variance_between_readers():
    pilot = sizing.MrmcComponents(0.0004, 0.0003, 0.0003, 0.0002, 0.0008, 100)
    few, many, endless = (
        sizing.mrmc_power(pilot, 0.03, 4, n).power for n in (100, 1000, 10_000_000)
    )
    assert few < many < endless < 0.7
    assert sizing.mrmc_power(pilot, 0.03, 12, 1000).power > endless


def test_a_smaller_margin_needs_more_pairs():
    assert sizing.non_inferiority_n(0.2, 1.0) > sizing.non_inferiority_n(0.3, 1.0)
    assert sizing.equivalence_n(0.3, 1.0) > sizing.non_inferiority_n(0.3, 1.0, alpha=0.05)


def test_impossible_shares_are_refused():
    with pytest.raises(AnalysisError, match="power is 1"):
        sizing.paired_t_n(0.3, power=1.0)
