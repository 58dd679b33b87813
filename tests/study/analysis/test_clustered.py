import numpy as np
import pytest
from scipy import stats

from study.analysis.estimate import AnalysisError
from study.analysis.robust import fit_clustered


def _clustered_data():
    rng = np.random.default_rng(3)
    cases = np.repeat(np.arange(12), rng.integers(1, 5, 12))
    x = rng.random(12)[cases]
    y = 1 + 2 * x + rng.normal(size=12)[cases] + rng.normal(size=len(cases))
    return np.column_stack([np.ones_like(x), x]), y, cases


def test_coefficients_errors_and_p_values_are_those_of_statsmodels():
    sm = pytest.importorskip("statsmodels.api")
    design, y, cases = _clustered_data()
    theirs = sm.OLS(y, design).fit(cov_type="cluster", cov_kwds={"groups": cases}, use_t=True)
    ours = fit_clustered(design, y, cases)
    np.testing.assert_allclose(ours.coefficients, theirs.params, rtol=1e-10)
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=1e-10)
    np.testing.assert_allclose(
        [ours.p_value((1, 0)), ours.p_value((0, 1))], theirs.pvalues, rtol=1e-8
    )
    np.testing.assert_allclose(ours.interval((0, 1), 0.95)[1:], theirs.conf_int()[1], rtol=1e-8)


def test_an_intercept_alone_with_equal_clusters_is_the_t_interval_of_the_cluster_means():
    d = np.array([1.0, 2.0, 0.0, -1.0, 3.0, 1.0])
    fit = fit_clustered(np.ones((6, 1)), d, ["a", "a", "b", "b", "c", "c"])
    by_hand = stats.ttest_1samp([1.5, -0.5, 2.0], 0.0)
    assert fit.df == 2
    assert fit.p_value([1.0]) == pytest.approx(by_hand.pvalue, abs=1e-12)
    assert fit.interval([1.0], 0.95)[1:] == pytest.approx(by_hand.confidence_interval(), abs=1e-12)


def test_clusters_of_one_row_give_the_classical_interval_of_a_mean():
    d = np.array([1.0, 2.0, 4.0, 9.0])
    fit = fit_clustered(np.ones((4, 1)), d, np.arange(4))
    assert fit.standard_error([1.0]) == pytest.approx(d.std(ddof=1) / 2)


def test_a_perfect_fit_has_no_p_value_instead_of_a_zero():
    fit = fit_clustered(np.ones((4, 1)), np.ones(4), np.arange(4))
    assert fit.p_value([1.0]) is None


def test_one_cluster_is_refused():
    with pytest.raises(AnalysisError, match="two clusters"):
        fit_clustered(np.ones((3, 1)), [1.0, 2.0, 3.0], ["a", "a", "a"])


def test_columns_that_depend_on_each_other_are_refused():
    with pytest.raises(AnalysisError, match="depend on each other"):
        fit_clustered(np.ones((4, 2)), [1.0, 2.0, 3.0, 4.0], np.arange(4))
