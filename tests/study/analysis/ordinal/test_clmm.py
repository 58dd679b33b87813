"""Cumulative-link mixed models, their Laplace likelihood and its gradient."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special

from study.analysis.estimate import AnalysisError
from study.analysis.mixed.laplace import Problem, find_mode, gradient
from study.analysis.mixed.likelihood_ratio import compare, compare_variances
from study.analysis.mixed.random_effects import RandomTerm, assemble, random_term
from study.analysis.ordinal.clm import fit_clm
from study.analysis.ordinal.clmm import fit_clmm
from study.analysis.ordinal.cumulative import cumulative_family, read_categories
from study.analysis.ordinal.links import LinkName
from study.analysis.ordinal.quadrature import log_likelihood
from tests.support.ordinal_data import Truth, simulate_ratings


def _b(table: pd.DataFrame) -> np.ndarray:
    return (table["condition"] == "B").to_numpy(float)[:, None]


def _crossed(table: pd.DataFrame, *, slope: bool, correlated: bool = True) -> list[RandomTerm]:
    columns = np.hstack([np.ones((len(table), 1)), _b(table)])
    reader = (
        random_term("reader", table["reader"], columns, ("(Intercept)", "B"), correlated=correlated)
        if slope
        else random_term("reader", table["reader"])
    )
    return [reader, random_term("case", table["case_id"])]


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
@pytest.mark.parametrize("correlated", [True, False])
@pytest.mark.parametrize("nominal", [True, False])
def test_the_gradient_is_the_derivative_of_the_likelihood(
    link: LinkName, correlated: bool, nominal: bool
) -> None:
    table = simulate_ratings(3, 12, 5)
    terms = _crossed(table, slope=True, correlated=correlated)
    extra = (table["session"] == "2").to_numpy(float)[:, None] if nominal else None
    family = cumulative_family(read_categories(table["value"]), link, extra)
    problem = Problem(_b(table), family, assemble(terms))
    tau = [0.5, -0.2, 0.3, 0.6] if correlated else [0.5, 0.3, 0.6]
    start = fit_clm(table["value"], _b(table), ["B"], link=link)
    effects = 0.1 * np.arange(start.thresholds.size if nominal else 0)
    psi = np.concatenate([start.thresholds, effects, start.coefficients, tau])
    mode = find_mode(problem, psi)
    assert mode is not None
    numeric = []
    for k in range(len(psi)):
        step = 1e-5 * np.eye(len(psi))[k]
        up, down = find_mode(problem, psi + step), find_mode(problem, psi - step)
        assert up is not None and down is not None
        numeric.append((up.log_lik - down.log_lik) / 2e-5)
    assert np.allclose(gradient(problem, psi, mode), numeric, atol=2e-6)


def test_many_quadrature_points_give_the_integral_itself() -> None:
    table = simulate_ratings(1, 4, 3, Truth(case_sd=1.5))
    categories = read_categories(table["value"])
    term = random_term("case", table["case_id"])
    problem = Problem(_b(table), cumulative_family(categories, "logit"), assemble([term]))
    cuts = np.linspace(-1, 2, len(categories.values) - 1)
    psi = np.array([*cuts, 0.7, 1.3])
    ours, _ = log_likelihood(problem, psi, 40)
    ends = np.array([-np.inf, *cuts, np.inf])
    total = 0.0
    for level in range(len(term.levels)):
        rows = term.codes == level
        y, x = categories.codes[rows], _b(table)[rows, 0]

        def integrand(u: float, y: np.ndarray = y, x: np.ndarray = x) -> float:
            eta = 0.7 * x + 1.3 * u
            p = special.expit(ends[y + 1] - eta) - special.expit(ends[y] - eta)
            return float(np.prod(p)) * np.exp(-u * u / 2) / np.sqrt(2 * np.pi)

        total += np.log(integrate.quad(integrand, -10, 10, epsabs=1e-14)[0])
    assert ours == pytest.approx(total, abs=1e-8)
    laplace = find_mode(problem, psi)
    assert laplace is not None
    assert log_likelihood(problem, psi, 1)[0] == pytest.approx(laplace.log_lik, abs=1e-10)


def test_without_variation_it_falls_back_on_the_model_without_random_effects_and_says_so() -> None:
    rng = np.random.default_rng(4)
    group = np.tile(np.arange(10), 20)
    y = np.concatenate([rng.permutation([1, 2, 3, 4, 5] * 2) for _ in range(20)])
    x = rng.normal(size=200)[:, None]
    mixed = fit_clmm(y, x, ["x"], [random_term("day", np.repeat(np.arange(20), 10))])
    plain = fit_clm(y, x, ["x"])
    assert mixed.variances[0].boundary and mixed.variances[0].sds[0] == 0
    assert np.allclose(mixed.coefficients, plain.coefficients, atol=1e-6)
    assert np.allclose(mixed.standard_errors, plain.standard_errors, atol=1e-5)
    assert any("estimated as 0" in note and "20 levels" in note for note in mixed.notes)
    assert len(group) == 200


def test_it_recovers_what_was_simulated() -> None:
    truth = Truth(effect=0.8, reader_sd=0.6, case_sd=1.0)
    table = simulate_ratings(12, 80, 7, truth)
    fit = fit_clmm(table["value"], _b(table), ["B"], _crossed(table, slope=False))
    assert abs(fit.coefficients[0] - 0.8) < 3 * fit.standard_errors[0]
    assert fit.variance("case").sds[0] == pytest.approx(1.0, abs=0.25)
    assert fit.variance("reader").sds[0] == pytest.approx(0.6, abs=0.35)
    assert fit.gradient_norm < 1e-5
    assert np.isfinite(fit.condition)
    assert fit.notes == ()


def test_neither_the_order_of_rows_nor_the_names_of_readers_matter() -> None:
    table = simulate_ratings(4, 20, 2)
    mixed_up = table.sample(frac=1, random_state=1)
    mixed_up["reader"] = mixed_up["reader"].map({"R1": "z", "R2": "a", "R3": "m", "R4": "b"})
    fits = [fit_clmm(t["value"], _b(t), ["B"], _crossed(t, slope=False)) for t in (table, mixed_up)]
    assert fits[0].log_lik == pytest.approx(fits[1].log_lik, abs=1e-8)
    assert np.allclose(fits[0].coefficients, fits[1].coefficients, atol=1e-6)


def test_a_slope_that_varies_over_readers_widens_the_effect() -> None:
    table = simulate_ratings(8, 50, 11, Truth(slope_sd=0.9))
    plain = fit_clmm(table["value"], _b(table), ["B"], _crossed(table, slope=False))
    sloped = fit_clmm(table["value"], _b(table), ["B"], _crossed(table, slope=True))
    assert sloped.standard_errors[0] > 1.5 * plain.standard_errors[0]
    test = compare_variances(sloped, plain)
    assert test.df == 2
    assert test.p_value < 0.01
    assert -1 <= sloped.variance("reader").correlation[1, 0] <= 1


def test_an_effect_is_tested_by_leaving_it_out() -> None:
    table = simulate_ratings(4, 40, 3)
    terms = _crossed(table, slope=False)
    full = fit_clmm(table["value"], _b(table), ["B"], terms)
    empty = fit_clmm(table["value"], np.zeros((len(table), 0)), [], terms)
    test = compare(full, empty)
    wald = (full.coefficients[0] / full.standard_errors[0]) ** 2
    assert test.statistic == pytest.approx(float(wald), rel=0.1)
    with pytest.raises(AnalysisError, match="special case of the first"):
        compare(empty, full)


def test_four_readers_and_240_cases_take_about_a_second() -> None:
    table = simulate_ratings(4, 240, 9)
    began = time.perf_counter()
    fit_clmm(table["value"], _b(table), ["B"], _crossed(table, slope=False))
    assert time.perf_counter() - began < 10


def test_a_random_effect_of_one_level_is_refused() -> None:
    table = simulate_ratings(1, 10, 1)
    with pytest.raises(AnalysisError, match="needs at least two levels; there is only R1"):
        fit_clmm(table["value"], _b(table), ["B"], [random_term("reader", table["reader"])])


def test_quadrature_refuses_crossed_effects() -> None:
    table = simulate_ratings(3, 8, 1)
    with pytest.raises(AnalysisError, match="one random intercept"):
        fit_clmm(table["value"], _b(table), ["B"], _crossed(table, slope=False), points=5)


def test_a_missing_reader_is_refused() -> None:
    with pytest.raises(AnalysisError, match="1 rows have no reader"):
        random_term("reader", np.array(["R1", None, "R2"], dtype=object))
