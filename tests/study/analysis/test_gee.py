"""Estimating equations."""

from __future__ import annotations

import numpy as np
import pytest

from study.analysis.estimate import AnalysisError
from study.analysis.gee import fit_gee, fit_ordinal_gee
from study.analysis.ordinal.clm import fit_clm
from study.analysis.robust import fit_clustered
from tests.support.ordinal_data import simulate_ratings


def _data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = simulate_ratings(4, 40, 3)
    x = (table["condition"] == "B").to_numpy(float)[:, None]
    return table["value"].to_numpy(), x, table["case_id"].to_numpy()


def test_gaussian_equations_under_independence_are_least_squares_with_cr0() -> None:
    y, x, case = _data()
    X = np.hstack([np.ones_like(x), x])
    ours = fit_gee(y, X, ["1", "B"], case)
    squares = fit_clustered(X, y, case)
    assert np.allclose(ours.coefficients, squares.coefficients)
    g, (n, k) = 40, X.shape
    factor = g / (g - 1) * (n - 1) / (n - k)
    expected = np.sqrt(np.diag(squares.covariance) / factor)
    assert np.allclose(ours.standard_errors, expected, rtol=1e-6)
    assert ours.dependence is None and ours.n_clusters == 40


def test_the_order_of_rows_does_not_matter() -> None:
    y, x, case = _data()
    X = np.hstack([np.ones_like(x), x])
    order = np.random.default_rng(1).permutation(len(y))
    a = fit_gee(y, X, ["1", "B"], case, working="exchangeable")
    b = fit_gee(y[order], X[order], ["1", "B"], case[order], working="exchangeable")
    assert np.allclose(a.coefficients, b.coefficients, atol=1e-9)
    assert a.dependence == pytest.approx(b.dependence)


def test_ordinal_equations_under_independence_have_the_likelihood_estimate_and_its_sign() -> None:
    y, x, case = _data()
    ours, plain = fit_ordinal_gee(y, x, ["B"], case), fit_clm(y, x, ["B"])
    assert ours.names[-1] == "B" and ours.names[0] == "1|2"
    assert ours.coefficients[-1] == pytest.approx(plain.coefficients[0], abs=1e-9)
    clustered = plain.clustered_errors(case)[0]
    assert ours.standard_errors[-1] == pytest.approx(clustered, rel=0.02)


def test_the_global_odds_ratio_of_statsmodels_comes_with_our_signs() -> None:
    y, x, case = _data()
    plain = fit_ordinal_gee(y, x, ["B"], case)
    wide = fit_ordinal_gee(y, x, ["B"], case, association="odds ratio")
    assert np.allclose(wide.coefficients, plain.coefficients, atol=0.05)
    assert wide.dependence is not None and wide.dependence > 1


def test_counts_give_a_rate_ratio() -> None:
    y = np.array([1, 2, 3, 4, 5, 6])
    x = np.array([0, 0, 0, 1, 1, 1])
    X = np.column_stack([np.ones(6), x])
    fit = fit_gee(y, X, ["1", "x"], [1, 2, 3, 1, 2, 3], family="poisson")
    assert fit.coefficients[1] == pytest.approx(np.log(15 / 6))


def test_one_cluster_is_refused() -> None:
    y, x, case = _data()
    with pytest.raises(AnalysisError, match="at least two"):
        fit_gee(y, np.ones_like(x), ["1"], np.zeros(len(y)))
    with pytest.raises(AnalysisError, match="missing or infinite"):
        fit_gee(np.where(y == 1, np.nan, y), np.ones_like(x), ["1"], case)
    with pytest.raises(AnalysisError, match="depend on each other"):
        fit_gee(y, np.hstack([x, x]), ["B", "again"], case)
