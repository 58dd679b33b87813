"""Cumulative-link models without random effects."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.miscmodels.ordinal_model import OrderedModel

from study.analysis.estimate import AnalysisError
from study.analysis.ordinal.clm import fit_clm
from study.analysis.ordinal.cumulative import read_categories
from study.analysis.ordinal.links import LinkName, quantile
from tests.support.ordinal_data import simulate_ratings


def _data(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    table = simulate_ratings(4, 30, seed)
    X = np.column_stack([table["condition"] == "B", table["session"] == "2"]).astype(float)
    return table["value"].to_numpy(), X


def test_two_groups_and_two_categories_give_the_log_odds_ratio_of_the_table() -> None:
    # 2 x 2: 30 of 50 against 18 of 60 above the cut.
    y = np.repeat([1, 2, 1, 2], [20, 30, 42, 18])
    x = np.repeat([1, 1, 0, 0], [20, 30, 42, 18])
    fit = fit_clm(y, x, ["group"])
    assert fit.coefficients[0] == pytest.approx(np.log(30 * 42 / (20 * 18)), abs=1e-9)
    woolf = np.sqrt(1 / 20 + 1 / 30 + 1 / 42 + 1 / 18)
    assert fit.standard_errors[0] == pytest.approx(woolf, abs=1e-9)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_without_coefficients_thresholds_are_quantiles_of_the_shares(link: LinkName) -> None:
    y = np.repeat([1, 2, 3], [10, 25, 15])
    fit = fit_clm(y, np.zeros((50, 0)), [], link=link)
    assert np.allclose(fit.thresholds, quantile(link, np.array([0.2, 0.7])), atol=1e-9)
    shares = np.array([10, 25, 15]) / 50
    assert fit.log_lik == pytest.approx(50 * float(shares @ np.log(shares)))


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_it_agrees_with_statsmodels(link: LinkName) -> None:
    y, X = _data()
    ours = fit_clm(y, X, ["B", "late"], link=link)
    theirs = OrderedModel(y, X, distr=link).fit(method="newton", disp=False, maxiter=200)
    assert np.allclose(ours.coefficients, theirs.params[:2], atol=1e-6)
    assert np.allclose(ours.standard_errors, theirs.bse[:2], atol=1e-4)
    assert ours.log_lik == pytest.approx(theirs.llf, abs=1e-8)


def test_turning_the_scale_around_turns_the_signs_around() -> None:
    y, X = _data()
    up, down = fit_clm(y, X, ["B", "late"]), fit_clm(6 - y, X, ["B", "late"])
    assert np.allclose(up.coefficients, -down.coefficients, atol=1e-8)
    assert np.allclose(up.thresholds, -down.thresholds[::-1], atol=1e-8)


def test_only_the_order_of_the_categories_matters() -> None:
    y, X = _data()
    plain, stretched = fit_clm(y, X, ["B", "late"]), fit_clm(y**2, X, ["B", "late"])
    assert np.allclose(plain.coefficients, stretched.coefficients)
    assert any("Nobody used category" in note for note in stretched.notes)
    assert not plain.notes


def test_cut_specific_effects_of_two_groups_saturate_the_table() -> None:
    y = np.repeat([1, 2, 3, 1, 2, 3], [5, 10, 15, 12, 9, 7])
    x = np.repeat([0.0, 1.0], [30, 28])
    fit = fit_clm(y, np.zeros((58, 0)), [], nominal=x)
    logit = lambda p: np.log(p / (1 - p))  # noqa: E731
    assert np.allclose(fit.thresholds, logit(np.array([5 / 30, 15 / 30])), atol=1e-8)
    other = logit(np.array([12 / 28, 21 / 28]))
    assert np.allclose(fit.thresholds + fit.nominal[0], other, atol=1e-8)


def test_clusters_of_one_rating_give_the_sandwich_of_logistic_regression() -> None:
    y, X = _data()
    above = (y > 3).astype(float)
    ours = fit_clm(above, X, ["B", "late"])
    theirs = sm.Logit(above, sm.add_constant(X)).fit(disp=False, cov_type="HC0")
    assert np.allclose(ours.clustered_errors(np.arange(len(y))), theirs.bse[1:], atol=1e-7)


def test_it_tells_a_separated_effect_from_an_estimate() -> None:
    y = np.array([1, 1, 1, 2, 2, 3, 3, 3])
    fit = fit_clm(y, np.array([0, 0, 0, 1, 1, 1, 1, 1]), ["group"])
    assert any("group is not estimable" in note for note in fit.notes)


@pytest.mark.parametrize(
    ("ratings", "words"),
    [
        ([3, 3, 3, 3], "all 4 ratings are 3"),
        ([1, 2, np.nan, 3], "1 ratings are missing"),
        ([1, 2, 2.5, 3], "A rating is 2.5"),
        ([], "there is no rating"),
    ],
)
def test_what_is_not_an_ordered_rating_is_refused(ratings: list[float], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        read_categories(ratings)


def test_columns_that_depend_on_each_other_are_refused() -> None:
    y, X = _data()
    with pytest.raises(AnalysisError, match="depend on each other"):
        fit_clm(y, np.column_stack([X, X[:, 0]]), ["B", "late", "again"])
    with pytest.raises(AnalysisError, match=r"shape \(\d+, 2\) and 1 names"):
        fit_clm(y, X, ["B"])
