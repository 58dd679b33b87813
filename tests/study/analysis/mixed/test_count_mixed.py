"""Mixed models of counts."""

from __future__ import annotations

import numpy as np
import pytest

from study.analysis.estimate import AnalysisError
from study.analysis.mixed.counts import NegativeBinomialFamily, PoissonFamily, fit_counts
from study.analysis.mixed.laplace import Family, Problem, find_mode, gradient
from study.analysis.mixed.random_effects import RandomTerm, assemble, random_term


def _data(k: float | None) -> tuple[np.ndarray, np.ndarray, list[RandomTerm]]:
    rng = np.random.default_rng(5)
    reader, case = (part.ravel() for part in np.meshgrid(range(5), range(60)))
    reader, case, x = np.tile(reader, 2), np.tile(case, 2), np.repeat([0.0, 1.0], 300)
    mu = np.exp(0.2 + 0.4 * x + rng.normal(0, 0.3, 5)[reader] + rng.normal(0, 0.4, 60)[case])
    if k is not None:
        mu = mu * rng.gamma(k, 1 / k, len(mu))
    terms = [random_term("reader", reader), random_term("case", case)]
    return rng.poisson(mu).astype(float), np.column_stack([np.ones(600), x]), terms


@pytest.mark.parametrize("negative", [True, False])
def test_the_gradient_is_the_derivative(negative: bool) -> None:
    y, X, terms = _data(1.5)
    family: Family = NegativeBinomialFamily(y) if negative else PoissonFamily(y)
    problem = Problem(X, family, assemble(terms))
    psi = np.array(([0.6] if negative else []) + [0.1, 0.5, 0.4, 0.3])
    mode = find_mode(problem, psi)
    assert mode is not None
    numeric = []
    for k in range(len(psi)):
        step = 1e-5 * np.eye(len(psi))[k]
        up, down = find_mode(problem, psi + step), find_mode(problem, psi - step)
        assert up is not None and down is not None
        numeric.append((up.log_lik - down.log_lik) / 2e-5)
    assert np.allclose(gradient(problem, psi, mode), numeric, atol=1e-5)


def test_it_recovers_rates_and_overdispersion() -> None:
    y, X, terms = _data(1.5)
    fit = fit_counts(y, X, ["1", "x"], terms, family="negative binomial")
    assert abs(fit.coefficients[1] - 0.4) < 3 * fit.standard_errors[1]
    assert fit.dispersion == pytest.approx(1.5, rel=0.5)
    poisson = fit_counts(y, X, ["1", "x"], terms)
    assert poisson.dispersion is None
    assert fit.log_lik > poisson.log_lik + 10
    assert poisson.standard_errors[1] < fit.standard_errors[1]


def test_what_is_no_count_is_refused() -> None:
    y, X, terms = _data(None)
    with pytest.raises(AnalysisError, match="missing, negative or broken"):
        fit_counts(y - 1, X, ["1", "x"], terms)
    with pytest.raises(AnalysisError, match="All counts are 0"):
        fit_counts(0 * y, X, ["1", "x"], terms)
