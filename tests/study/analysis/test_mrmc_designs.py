import itertools

import numpy as np
import pytest
from scipy import stats

from study.analysis.estimate import AnalysisError
from study.analysis.mrmc.dbm import dbm_analysis
from study.analysis.mrmc.merit import error_covariance, figures_of_merit, jackknife_values
from study.analysis.mrmc.noninferiority import non_inferiority
from study.analysis.mrmc.obuchowski_rockette import (
    components,
    difference,
    global_test,
    reader_difference,
    single_condition,
)
from study.analysis.mrmc.scores import ReaderScores
from study.analysis.mrmc.sizing import cases_for_power, pilot_components
from study.analysis.mrmc.ustatistics import u_statistics
from study.analysis.power.sizing import mrmc_power
from study.analysis.roc import compare_aucs, delong, empirical_auc


def roe_metz(conditions=2, readers=4, n=40, seed=0, between=0.3, effect=0.0, levels=None):
    """Simulate crossed scores as Roe & Metz 1997: reader, case and interaction effects."""
    rng = np.random.default_rng(seed)
    truth = np.r_[np.zeros(n), np.ones(n)].astype(int)
    t, r, c = conditions, readers, 2 * n
    signal = 1.2 + effect * np.arange(t)[:, None] + between * rng.normal(size=(t, r))
    values = (
        truth * signal[:, :, None]
        + 0.4 * rng.normal(size=(r, 2))[:, truth][None]
        + 0.6 * rng.normal(size=c)
        + 0.4 * rng.normal(size=(t, 1, c))
        + 0.5 * rng.normal(size=(t, r, c))
    )
    if levels:
        values = np.round(values * levels)
    names = [
        tuple(f"{letter}{i}" for i in range(k)) for letter, k in (("T", t), ("R", r), ("C", c))
    ]
    return ReaderScores(values, truth, *names)


def with_gaps(scores, share=0.15, seed=1):
    values = scores.values.copy()
    values[np.random.default_rng(seed).random(values.shape) < share] = np.nan
    return ReaderScores(values, scores.truth, scores.conditions, scores.readers, scores.cases)


@pytest.mark.parametrize("outcome", ["auc", "sensitivity", "specificity"])
def test_the_jackknife_is_literal(outcome):
    scores = with_gaps(roe_metz(readers=2, n=6, levels=1))
    if outcome != "auc":
        scores = scores.called_at(1)
    left = jackknife_values(scores, outcome)
    for k in range(len(scores.cases)):
        keep = np.arange(len(scores.cases)) != k
        np.testing.assert_allclose(
            left[:, :, k], figures_of_merit(scores.select_cases(keep), outcome)
        )


def test_a_monotone_map_of_each_readers_scores_changes_nothing():
    scores = roe_metz()
    mapped = ReaderScores(
        np.exp(scores.values) * 7, scores.truth, *[("T0", "T1")], scores.readers, scores.cases
    )
    for method in ("jackknife", "delong", "unbiased"):
        np.testing.assert_allclose(
            error_covariance(scores, "auc", method), error_covariance(mapped, "auc", method)
        )


def test_delongs_covariance_is_that_of_two_scores():
    scores = roe_metz(readers=2, levels=2)
    cells = [scores.values[i, j] for i in range(2) for j in range(2)]
    np.testing.assert_allclose(
        error_covariance(scores, "auc", "delong"), delong(cells, scores.truth).covariance
    )


def test_the_unbiased_covariance_is_its_definition():
    scores = roe_metz(readers=2, n=4, levels=1)
    low, high = scores.negatives.reshape(4, 4), scores.positives.reshape(4, 4)
    kernel = (high[:, None, :] > low[:, :, None]) + 0.5 * (high[:, None, :] == low[:, :, None])
    made = error_covariance(scores, "auc", "unbiased")
    for a, b in itertools.product(range(4), repeat=2):
        apart = np.mean(
            [
                kernel[a, i, j] * kernel[b, k, m]
                for i, k in itertools.permutations(range(4), 2)
                for j, m in itertools.permutations(range(4), 2)
            ]
        )
        assert made[a, b] == pytest.approx(kernel[a].mean() * kernel[b].mean() - apart)


@pytest.mark.parametrize("outcome", ["auc", "sensitivity"])
def test_dbm_is_obuchowski_rockette_with_the_jackknife(outcome):
    scores = roe_metz(conditions=3, levels=2)
    if outcome == "sensitivity":
        # pseudo-values run over all cases, so give the two the same cases
        scores = scores.called_at(1).select_cases(scores.truth == 1)
    theta = figures_of_merit(scores, outcome)
    parts = components(theta, error_covariance(scores, outcome))
    anova, ours = dbm_analysis(scores, outcome), global_test(parts)
    assert anova.test.statistic == pytest.approx(ours.statistic)
    assert anova.test.df2 == pytest.approx(ours.df2)
    assert anova.test.p_value == pytest.approx(ours.p_value)
    n = len(scores.cases)
    assert anova.condition_case == pytest.approx(n * (parts.cov2 - parts.cov3))
    assert anova.reader_case == pytest.approx(n * (parts.cov1 - parts.cov3))
    assert anova.reader == pytest.approx(parts.reader)


def test_fixed_cases_are_the_paired_t_test_over_readers():
    scores = roe_metz(effect=0.3)
    theta = figures_of_merit(scores)
    made = difference(theta, components(theta, error_covariance(scores)), (0, 1), "readers")
    paired = stats.ttest_rel(theta[0], theta[1])
    assert made.p_value == pytest.approx(paired.pvalue)
    np.testing.assert_allclose(made.ci, paired.confidence_interval(), rtol=1e-8)


@pytest.mark.parametrize("generalise", ["readers and cases", "cases", "readers"])
def test_the_global_test_of_two_conditions_is_the_test_of_their_difference(generalise):
    scores = roe_metz(effect=0.3)
    theta = figures_of_merit(scores)
    parts = components(theta, error_covariance(scores))
    one, whole = difference(theta, parts, (0, 1), generalise), global_test(parts, generalise)
    assert one.p_value == pytest.approx(whole.p_value)
    assert (one.value / one.standard_error) ** 2 == pytest.approx(whole.statistic)


def test_fixed_readers_are_the_variance_of_the_reader_averaged_difference():
    scores = roe_metz(effect=0.3)
    theta, errors = figures_of_merit(scores), error_covariance(scores)
    made = difference(theta, components(theta, errors), (0, 1), "cases")
    contrast = np.r_[np.full(4, 0.25), np.full(4, -0.25)]
    assert made.standard_error == pytest.approx(np.sqrt(contrast @ errors @ contrast))


def test_one_fixed_reader_is_delongs_test():
    scores = roe_metz(readers=1)
    theta, errors = figures_of_merit(scores), error_covariance(scores, "auc", "delong")
    made = difference(theta, components(theta, errors), (0, 1), "cases")
    paired = compare_aucs(delong([scores.values[0, 0], scores.values[1, 0]], scores.truth))
    assert made.p_value == pytest.approx(paired.p_value)
    alone = reader_difference(theta, errors, 0)
    assert alone.ci == pytest.approx(paired.ci)


def test_one_reader_cannot_speak_for_readers():
    scores = roe_metz(readers=1)
    theta, errors = figures_of_merit(scores), error_covariance(scores)
    for ask in (
        lambda: difference(theta, components(theta, errors)),
        lambda: single_condition(theta, errors, 0),
    ):
        with pytest.raises(AnalysisError, match="There is one reader"):
            ask()


def test_u_statistics_of_a_crossed_design_are_the_unbiased_obuchowski_rockette_variance():
    scores = roe_metz(levels=2)
    theta, errors = figures_of_merit(scores), error_covariance(scores, "auc", "unbiased")
    parts = components(theta, errors)
    made = u_statistics(scores)
    expected = 2 / 4 * (parts.ms_interaction + 4 * (parts.cov2 - parts.cov3))
    assert made.variance == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(made.aucs, theta.mean(axis=1))


def _brute_moment(kernels, designs, same):
    """Average products of two successes that share exactly what ``same`` says."""
    total, count = 0.0, 0
    readers, n, p = designs[0].shape
    cells = list(itertools.product(range(readers), range(n), range(p)))
    for a, b in itertools.product(cells, cells):
        if (
            tuple(x == y for x, y in zip(a, b, strict=True)) == same
            and designs[0][a] * designs[1][b]
        ):
            total += kernels[0][a] * kernels[1][b]
            count += 1
    return total, count


def test_u_statistics_with_gaps_are_their_definition():
    scores = with_gaps(roe_metz(readers=3, n=4, levels=1), share=0.2)
    low, high = scores.negatives, scores.positives
    kernel = (high[:, :, None, :] > low[..., None]) + 0.5 * (high[:, :, None, :] == low[..., None])
    design = ~np.isnan(low)[..., None] & ~np.isnan(high)[:, :, None, :]
    covariance = np.empty((2, 2))
    for x, y in itertools.product((0, 1), repeat=2):
        value = 0.0
        total = design[x].sum() * design[y].sum()
        for same in itertools.product((True, False), repeat=3):
            won, count = _brute_moment(kernel[[x, y]], design[[x, y]], same)
            if not count:
                continue
            share = count / total - (not any(same))
            value += share * won / count
        covariance[x, y] = value
    made = u_statistics(scores)
    np.testing.assert_allclose(made.variances, np.diag(covariance))
    assert made.variance == pytest.approx(
        covariance[0, 0] + covariance[1, 1] - covariance[0, 1] - covariance[1, 0]
    )
    for k in (0, 1):
        assert made.aucs[k] == pytest.approx(kernel[k][design[k]].mean())


def test_v_statistics_are_larger_and_never_negative():
    for seed in range(20):
        scores = roe_metz(readers=2, n=6, seed=seed, between=0.0)
        plain, biased = u_statistics(scores), u_statistics(scores, biased=True)
        assert biased.variance >= plain.variance
        assert biased.variance >= 0


def test_a_negative_unbiased_variance_is_given_without_an_interval():
    found = [u_statistics(roe_metz(readers=2, n=5, seed=s, between=0.0)) for s in range(60)]
    negative = [one for one in found if one.variance <= 0]
    assert negative
    for one in negative:
        assert one.ci is None and one.p_value is None and one.df is None


def test_cases_of_their_own_for_each_reader_leave_no_covariance_between_readers():
    nested = roe_metz(readers=3).nested_in("readers")
    assert len(nested.cases) == 240
    parts = components(figures_of_merit(nested), error_covariance(nested))
    assert parts.cov2 == pytest.approx(0, abs=1e-15)
    assert parts.cov3 == pytest.approx(0, abs=1e-15)
    unpaired = roe_metz(readers=3).nested_in("conditions")
    parts = components(figures_of_merit(unpaired), error_covariance(unpaired))
    assert parts.cov1 == pytest.approx(0, abs=1e-15) and parts.cov2 > 0


def test_a_gap_stops_the_covariances_that_need_a_crossed_design():
    gapped = with_gaps(roe_metz())
    for method in ("delong", "unbiased"):
        with pytest.raises(AnalysisError, match="readings are missing"):
            error_covariance(gapped, "auc", method)
    with pytest.raises(AnalysisError, match="fully crossed"):
        dbm_analysis(gapped)
    for j, reader in enumerate(gapped.readers):
        expected = empirical_auc(gapped.values[0, j], gapped.truth)
        assert figures_of_merit(gapped)[0, j] == pytest.approx(expected), reader


def test_random_readers_keep_the_level_and_fixed_readers_do_not_under_reader_variance():
    random, fixed, n = 0, 0, 150
    for seed in range(n):
        scores = roe_metz(readers=6, n=30, seed=seed, between=0.5)
        theta = figures_of_merit(scores)
        parts = components(theta, error_covariance(scores))
        random += global_test(parts).p_value < 0.05
        fixed += global_test(parts, "cases").p_value < 0.05
    assert random / n <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / n)
    assert fixed / n > 0.1


def test_a_perfect_reader_everywhere_leaves_no_variance_and_no_test():
    scores = roe_metz(readers=2, n=5)
    perfect = ReaderScores(
        np.broadcast_to(scores.truth, scores.values.shape).astype(float),
        scores.truth,
        scores.conditions,
        scores.readers,
        scores.cases,
    )
    parts = components(figures_of_merit(perfect), error_covariance(perfect))
    for generalise in ("readers and cases", "cases", "readers"):
        made = global_test(parts, generalise)
        assert made.statistic is None and made.p_value is None


def test_impossible_variances_are_named():
    parts = components(np.array([[0.8, 0.9], [0.9, 0.8]]), np.eye(4) * 1.0)
    assert any("below 0" in sentence for sentence in parts.warnings)
    errors = np.eye(4)
    errors[0, 3] = errors[3, 0] = 0.5
    parts = components(np.array([[0.8, 0.9], [0.9, 0.8]]), errors)
    assert any("Cov2 is estimated below Cov3" in sentence for sentence in parts.warnings)


def test_non_inferiority_mirrors_the_interval():
    made = non_inferiority(-0.01, 0.02, 10, margin=0.05)
    assert made.statistic == pytest.approx(2)
    assert made.p_value == pytest.approx(stats.t.sf(2, 10))
    assert made.lower_limit == pytest.approx(-0.01 - stats.t.ppf(0.975, 10) * 0.02)
    assert (made.lower_limit > -0.05) == (made.p_value < 0.025)
    assert made.p_equivalence == pytest.approx(max(stats.t.sf(2, 10), stats.t.sf(3, 10)))
    with pytest.raises(AnalysisError, match="positive loss"):
        non_inferiority(0, 1, 10, margin=0)
    assert non_inferiority(0, 0, None, margin=0.1).p_value is None


def test_a_pilot_says_how_many_cases_reach_the_power_and_that_some_number_never_will():
    scores = roe_metz(readers=5, between=0.1)
    parts = components(figures_of_merit(scores), error_covariance(scores))
    pilot = pilot_components(parts, len(scores.cases))
    n = cases_for_power(pilot, 0.1, 6)
    assert mrmc_power(pilot, 0.1, 6, n).power >= 0.8 > mrmc_power(pilot, 0.1, 6, n - 1).power
    with pytest.raises(AnalysisError, match="Plan more readers"):
        cases_for_power(pilot, 0.001, 3)
