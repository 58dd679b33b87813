"""Least squares with robust covariances: statsmodels, closed forms, axioms."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from study.analysis.estimate import AnalysisError
from study.analysis.robust import fit_least_squares, standard_errors, two_sided_t


@pytest.fixture
def data():
    dice = np.random.default_rng(2)
    clusters = np.repeat(np.arange(15), [2, 3, 4] * 5)
    x = dice.normal(size=len(clusters)) + dice.normal(size=15)[clusters]
    y = 1 + 2 * x + dice.normal(size=15)[clusters] + dice.normal(size=len(clusters))
    return np.column_stack([np.ones_like(x), x]), y, clusters


def test_naive_hc3_and_cr1_are_those_of_statsmodels(data):
    X, y, clusters = data
    fit, theirs = fit_least_squares(X, y), sm.OLS(y, X)
    assert fit.coefficients == pytest.approx(theirs.fit().params)
    assert standard_errors(fit.covariance_naive()) == pytest.approx(theirs.fit().bse)
    assert standard_errors(fit.covariance_hc3()) == pytest.approx(theirs.fit(cov_type="HC3").bse)
    robust = theirs.fit(cov_type="cluster", cov_kwds={"groups": clusters})
    assert standard_errors(fit.covariance_clustered(clusters)) == pytest.approx(robust.bse)
    assert fit.r_squared == pytest.approx(theirs.fit().rsquared)


def test_every_row_its_own_cluster_makes_cr0_into_hc0_and_cr2_into_hc2(data):
    X, y, _ = data
    fit, rows = fit_least_squares(X, y), np.arange(len(y))
    for correction, name in (("CR0", "HC0"), ("CR2", "HC2")):
        theirs = sm.OLS(y, X).fit(cov_type=name).bse
        ours = standard_errors(fit.covariance_clustered(rows, correction))
        assert ours == pytest.approx(theirs)


def test_cr2_of_a_balanced_mean_is_the_t_test_of_the_cluster_means():
    clusters = np.repeat(np.arange(8), 5)
    y = np.random.default_rng(0).normal(size=40)
    fit = fit_least_squares(np.ones((40, 1)), y)
    means = y.reshape(8, 5).mean(axis=1)
    error = standard_errors(fit.covariance_clustered(clusters, "CR2"))[0]
    assert error == pytest.approx(means.std(ddof=1) / np.sqrt(8))
    assert fit.satterthwaite_df(clusters, [1.0]) == pytest.approx(7)


def test_cr1_with_two_equal_ways_is_cr1(data):
    X, y, clusters = data
    fit = fit_least_squares(X, y)
    assert fit.covariance_two_way(clusters, clusters) == pytest.approx(
        fit.covariance_clustered(clusters)
    )


def test_what_cannot_be_fitted_is_said(data):
    X, y, _ = data
    with pytest.raises(AnalysisError, match="do not depend"):
        fit_least_squares(np.column_stack([X, X[:, 1]]), y)
    with pytest.raises(AnalysisError, match="one cluster"):
        fit_least_squares(X, y).covariance_clustered(np.zeros(len(y)))
    assert two_sided_t(0.0, 1.0, 5) == 1.0
