import numpy as np
import pytest
from scipy import optimize, stats

from study.analysis.binormal import binormal_auc, fit_binormal
from study.analysis.estimate import AnalysisError, Scope
from study.analysis.roc import delong, empirical_auc

SCOPE = Scope("this reader", "descriptive", 1, 600)


def _expand(low, high):
    score = np.r_[np.repeat(np.arange(len(low)), low), np.repeat(np.arange(len(high)), high)]
    return score, np.r_[np.zeros(sum(low)), np.ones(sum(high))]


def _continuous(seed=1, n=300):
    rng = np.random.default_rng(seed)
    truth = np.r_[np.zeros(n), np.ones(n)]
    return np.r_[rng.normal(0, 1, n), rng.normal(1.2, 1.3, n)], truth


def test_the_classic_rating_example_gives_its_published_parameters():
    # Default example of the ROCFIT programs: a 1.3204, b 0.6075, area 0.8705 (SE 0.0378).
    made = fit_binormal(*_expand([30, 19, 8, 2, 1], [5, 6, 5, 12, 22]))
    assert made.a == pytest.approx(1.3204, abs=1e-4)
    assert made.b == pytest.approx(0.6075, abs=1e-4)
    assert made.auc == pytest.approx(0.8705, abs=1e-4)
    assert made.standard_error == pytest.approx(0.0378, abs=1e-4)


def test_no_other_parameters_are_likelier():
    low, high = np.array([20, 14, 9, 7]), np.array([6, 9, 14, 21])
    made = fit_binormal(*_expand(low, high))

    def loss(at):
        cut = np.sort(at[2:])
        share = [np.diff(np.r_[0, stats.norm.cdf(z), 1]) for z in (cut, at[1] * cut - at[0])]
        return -sum(
            float(n @ np.log(np.maximum(p, 1e-12))) for n, p in zip((low, high), share, strict=True)
        )

    start = np.r_[made.a, made.b, made.cutpoints]
    assert loss(start) == pytest.approx(-made.log_likelihood)
    best = optimize.minimize(loss, start + 0.1, method="Nelder-Mead", options={"maxiter": 4000})
    assert -best.fun <= made.log_likelihood + 1e-6


def test_continuous_binormal_scores_give_back_the_true_area():
    score, truth = _continuous()
    made = fit_binormal(score, truth)
    true = stats.norm.cdf(1.2 / np.sqrt(1 + 1.3**2))
    assert abs(made.auc - true) < 3 * made.standard_error
    assert made.auc == pytest.approx(empirical_auc(score, truth), abs=0.02)
    assert made.standard_error == pytest.approx(
        np.sqrt(delong([score], truth).covariance[0, 0]), rel=0.15
    )


def test_only_the_order_of_the_scores_matters():
    score, truth = _continuous(n=60)
    a, b = fit_binormal(score, truth), fit_binormal(np.exp(score), truth)
    assert a.auc == pytest.approx(b.auc) and a.log_likelihood == pytest.approx(b.log_likelihood)


def test_the_fitted_curve_has_the_fitted_area():
    made = fit_binormal(*_expand([30, 19, 8, 2, 1], [5, 6, 5, 12, 22]))
    x = np.linspace(0, 1, 200001)
    assert np.trapezoid(made.true_positive_rate(x), x) == pytest.approx(made.auc, abs=1e-4)


def test_separated_classes_are_degenerate_and_the_estimate_says_so():
    score, truth = _expand([10, 10, 0, 0], [0, 0, 10, 10])
    with pytest.raises(AnalysisError, match="operating points"):
        fit_binormal(score, truth)
    made = binormal_auc(score, truth, SCOPE)
    assert made.value is None and "Use the empirical AUC" in made.note


def test_two_categories_do_not_determine_a_curve():
    with pytest.raises(AnalysisError, match="1 operating points"):
        fit_binormal(*_expand([10, 5], [4, 9]))


def test_a_curve_with_a_hook_says_so():
    made = fit_binormal(*_expand([40, 10, 5, 5, 40], [5, 20, 50, 20, 5]))
    assert made.a < 0 or "below the diagonal" in made.note


def test_the_estimate_has_an_interval_inside_the_unit_interval():
    made = binormal_auc(*_expand([30, 19, 8, 2, 1], [1, 2, 5, 12, 42]), SCOPE)
    assert 0 < made.ci[0] < made.value < made.ci[1] < 1
