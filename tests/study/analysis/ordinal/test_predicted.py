"""Predicted shares of categories and odds ratios."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from study.analysis.estimate import AnalysisError, Scope
from study.analysis.mixed.random_effects import random_term
from study.analysis.ordinal.clm import fit_clm
from study.analysis.ordinal.clmm import ClmmFit, fit_clmm
from study.analysis.ordinal.links import LinkName
from study.analysis.ordinal.predicted import odds_ratio, predict
from tests.support.ordinal_data import simulate_ratings

SCOPE = Scope("these readers", "descriptive", 4, 30)


def _mixed(link: LinkName = "logit") -> ClmmFit:
    table = simulate_ratings(4, 30, 6)
    x = (table["condition"] == "B").to_numpy(float)[:, None]
    terms = [random_term("reader", table["reader"]), random_term("case", table["case_id"])]
    return fit_clmm(table["value"], x, ["B"], terms, link=link)


def test_shares_add_up_to_one_and_lie_within_their_limits() -> None:
    fit = _mixed()
    for row in ([0.0], [1.0]):
        shares = predict(fit, row)
        assert shares.probability.sum() == pytest.approx(1.0)
        assert (shares.low < shares.probability).all() and (shares.probability < shares.high).all()
        assert shares.mean_low < shares.mean < shares.mean_high


def test_a_positive_effect_raises_the_expected_rating() -> None:
    fit = _mixed()
    assert fit.coefficients[0] > 0
    assert predict(fit, [1.0]).mean > predict(fit, [0.0]).mean


def test_the_population_share_of_a_probit_model_has_a_closed_form() -> None:
    fit = _mixed("probit")
    variance = sum(float(term.sds[0]) ** 2 for term in fit.variances)
    below = special.ndtr((fit.thresholds - fit.coefficients[0]) / np.sqrt(1 + variance))
    shares = predict(fit, [1.0], over="population")
    assert np.allclose(np.cumsum(shares.probability)[:-1], below, atol=1e-9)
    typical = predict(fit, [1.0], over="typical")
    plain = special.ndtr(fit.thresholds - fit.coefficients[0])
    assert np.allclose(np.cumsum(typical.probability)[:-1], plain)


def test_a_model_of_nothing_predicts_the_observed_shares_with_the_binomial_error() -> None:
    y = np.repeat([1, 2], [30, 70])
    shares = predict(fit_clm(y, np.zeros((100, 0)), []), [])
    assert np.allclose(shares.probability, [0.3, 0.7])
    reach = 1.959964 * np.sqrt(0.3 * 0.7 / 100) / (0.3 * 0.7)
    assert shares.low[0] == pytest.approx(special.expit(special.logit(0.3) - reach), rel=1e-5)


def test_an_odds_ratio_is_the_exponential_with_its_interval() -> None:
    fit = _mixed()
    ratio = odds_ratio(fit, "B", SCOPE)
    assert ratio.value == pytest.approx(np.exp(fit.coefficients[0]))
    assert ratio.ci is not None
    assert np.sqrt(ratio.ci[0] * ratio.ci[1]) == pytest.approx(ratio.value)
    assert "Laplace" in ratio.method and "intercept over reader" in ratio.method


def test_a_probit_model_has_no_odds_ratio() -> None:
    ratio = odds_ratio(_mixed("probit"), "B", SCOPE)
    assert ratio.value is None
    assert "no odds ratio" in ratio.note


def test_a_separated_effect_has_no_odds_ratio() -> None:
    fit = fit_clm([1, 1, 1, 2, 2, 3, 3, 3], np.array([0, 0, 0, 1, 1, 1, 1, 1]), ["group"])
    ratio = odds_ratio(fit, "group", SCOPE)
    assert ratio.value is None
    assert "separated" in ratio.note


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(AnalysisError, match="asked for 2 values"):
        predict(_mixed(), [1.0, 2.0])
    with pytest.raises(AnalysisError, match="no coefficient 'C'"):
        odds_ratio(_mixed(), "C", SCOPE)
