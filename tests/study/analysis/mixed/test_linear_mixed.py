"""Linear mixed models against closed forms of balanced designs, and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from study.analysis.estimate import AnalysisError
from study.analysis.mixed.kenward_roger import kenward_roger
from study.analysis.mixed.linear import fit_lmm, satterthwaite_df
from study.analysis.mixed.random_effects import random_term


def _crossed(seed: int, slope_sd: float) -> tuple[np.ndarray, ...]:
    """Return response, condition, reader and case of 6 readers x 15 cases x 2 conditions."""
    rng = np.random.default_rng(seed)
    reader, case, x = (part.ravel() for part in np.meshgrid(range(6), range(15), [0.0, 1.0]))
    y = rng.normal(0, 0.7, 6)[reader] + rng.normal(0, 0.9, 15)[case] + 0.5 * x
    y = y + rng.normal(0, slope_sd, 6)[reader] * x + rng.normal(0, 1, len(y))
    return y, x, reader, case


def test_balanced_groups_give_the_analysis_of_variance() -> None:
    rng = np.random.default_rng(3)
    n_groups, size = 7, 5
    y = (rng.normal(0, 2, (n_groups, 1)) + rng.normal(0, 1, (n_groups, size))).ravel()
    group = np.repeat(np.arange(n_groups), size)
    fit = fit_lmm(y, np.ones((len(y), 1)), ["(Intercept)"], [random_term("group", group)])
    means = y.reshape(n_groups, size).mean(axis=1)
    within = y.reshape(n_groups, size).var(axis=1, ddof=1).mean()
    between = size * means.var(ddof=1)
    assert fit.components[0].sds[0] ** 2 == pytest.approx((between - within) / size, rel=1e-5)
    assert fit.components[-1].sds[0] ** 2 == pytest.approx(within, rel=1e-5)
    assert fit.standard_errors[0] == pytest.approx(np.sqrt(between / len(y)), rel=1e-6)
    assert fit.df[0] == pytest.approx(n_groups - 1, rel=1e-3)
    exact = kenward_roger(fit, [1.0])
    assert exact.df == pytest.approx(n_groups - 1, rel=1e-3)
    assert exact.standard_error == pytest.approx(fit.standard_errors[0], rel=1e-6)


def test_a_condition_slope_over_readers_leaves_readers_minus_one_degrees_of_freedom() -> None:
    y, x, reader, case = _crossed(5, 1.5)
    X = np.column_stack([np.ones(len(y)), x])
    reader_term = random_term("reader", reader, X, ("(Intercept)", "x"))
    fit = fit_lmm(y, X, ["(Intercept)", "x"], [reader_term, random_term("case", case)])
    per_reader = np.array([y[(reader == r) & (x == 1)].mean() for r in range(6)])
    per_reader -= np.array([y[(reader == r) & (x == 0)].mean() for r in range(6)])
    error = per_reader.std(ddof=1) / np.sqrt(6)
    assert fit.coefficients[1] == pytest.approx(per_reader.mean())
    assert fit.standard_errors[1] == pytest.approx(error, rel=1e-4)
    assert fit.df[1] == pytest.approx(5, rel=5e-3)
    assert satterthwaite_df(fit, [0, 1]) == fit.df[1]


def test_one_grouping_factor_agrees_with_statsmodels() -> None:
    y, x, reader, _ = _crossed(8, 0.0)
    X = np.column_stack([np.ones(len(y)), x])
    for reml in (True, False):
        ours = fit_lmm(y, X, ["1", "x"], [random_term("reader", reader)], reml=reml)
        theirs = sm.MixedLM(y, X, groups=reader).fit(reml=reml)
        assert np.allclose(ours.coefficients, theirs.fe_params, atol=1e-6)
        assert ours.log_lik == pytest.approx(theirs.llf, abs=1e-5)
        assert ours.components[0].sds[0] ** 2 == pytest.approx(
            float(np.asarray(theirs.cov_re)[0, 0]), rel=1e-3
        )


def test_no_variation_between_readers_is_a_singular_fit() -> None:
    y, x, reader, _ = _crossed(2, 0.0)
    X = np.column_stack([np.ones(len(y)), x])
    centred = y - np.array([y[reader == r].mean() for r in range(6)])[reader]
    fit = fit_lmm(centred, X, ["1", "x"], [random_term("reader", reader)])
    assert fit.singular
    assert fit.components[0].sds[0] == 0
    assert any("singular" in note for note in fit.notes)
    assert np.isfinite(fit.p_values).all()


def test_intervals_and_p_values_agree() -> None:
    y, x, reader, case = _crossed(4, 0.3)
    X = np.column_stack([np.ones(len(y)), x])
    fit = fit_lmm(y, X, ["1", "x"], [random_term("reader", reader), random_term("case", case)])
    edge = fit.intervals(1 - float(fit.p_values[1]))[1]
    assert min(abs(edge)) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("constant", "nothing to explain"),
        ("missing", "missing or infinite"),
        ("dependent", "depend on each other"),
        ("one level", "1 levels"),
        ("each row", "fewer than rows"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change: str, words: str) -> None:
    y, x, reader, _ = _crossed(1, 0.0)
    X = np.column_stack([np.ones(len(y)), x])
    group: np.ndarray = reader
    if change == "constant":
        y = np.ones(len(y))
    elif change == "missing":
        y = np.where(np.arange(len(y)) == 3, np.nan, y)
    elif change == "dependent":
        X = np.column_stack([X[:, 0], X[:, 0]])
    else:
        group = np.zeros(len(y)) if change == "one level" else np.arange(len(y))
    with pytest.raises(AnalysisError, match=words):
        fit_lmm(y, X, ["1", "x"], [random_term("reader", group)])


def test_kenward_roger_needs_restricted_likelihood() -> None:
    y, x, reader, _ = _crossed(1, 0.0)
    X = np.column_stack([np.ones(len(y)), x])
    fit = fit_lmm(y, X, ["1", "x"], [random_term("reader", reader)], reml=False)
    with pytest.raises(AnalysisError, match="restricted likelihood"):
        kenward_roger(fit, [0, 1])
