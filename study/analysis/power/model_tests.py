"""The model-based tests of this package on simulated studies, one fit after another.

Each function takes a batch of studies and returns two-sided p-values; where the model cannot be
fitted, or the effect not estimated, p is 1 (the study does not reject).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError
from study.analysis.guarded import guarded_test
from study.analysis.mixed.fixed_design import fixed_design
from study.analysis.mixed.linear import fit_lmm
from study.analysis.mixed.random_effects import random_term
from study.analysis.mrmc.merit import error_covariance, figures_of_merit
from study.analysis.mrmc.obuchowski_rockette import components, global_test
from study.analysis.mrmc.scores import ReaderScores
from study.analysis.ordinal.clmm import ClmmFit, fit_clmm
from study.analysis.ordinal.cumulative import read_categories
from study.analysis.ordinal.effects import (
    CONDITION,
    Setting,
    effect_for_readers_like_them,
    intercepts,
)
from study.analysis.ordinal.table import ordinal_table
from study.analysis.power.studies import CONTRAST, ITEM, Studies

Array = NDArray[np.float64]


def ordinal_slope_tests(studies: Studies) -> Array:
    """Return p of the cumulative-link mixed model with a condition slope over readers.

    Returns
    -------
    ndarray
        Shape (S, 3): t with readers − 1 degrees of freedom as reported for readers like them, the
        Wald z of the same fit, and the likelihood-ratio test.
    """
    return np.array([_ordinal_slope(studies, k) for k in range(len(studies.ratings))])


def ordinal_crossed_test(studies: Studies) -> Array:
    """Return p of the model with condition slopes over readers *and* over cases, shape (S, 1).

    t with readers − 1 degrees of freedom and the standard error corrected as in
    :func:`study.analysis.ordinal.effects.effect_for_readers_like_them`.
    """
    p = np.ones((len(studies.ratings), 1))
    for k in range(len(p)):
        try:
            setting = _setting(studies, k)
            frame = setting.table.frame
            design = fixed_design(frame, (CONDITION,), {CONDITION: CONTRAST[1]})
            x = (frame["condition"] == CONTRAST[0]).to_numpy(float) - 0.5
            slope = np.column_stack([np.ones(len(x)), x])
            names = ("(Intercept)", CONDITION)
            random = [
                random_term("reader", frame["reader"], slope, names, correlated=False),
                random_term("case", frame["case_id"], slope, names, correlated=False),
            ]
            fit = fit_clmm(setting.categories, design.matrix, design.names, random)
        except AnalysisError:
            continue
        n = setting.table.n_readers
        spread = float(fit.variance("reader").sds[-1]) ** 2 / (n * (n - 1))
        error = float(np.sqrt(fit.standard_errors[0] ** 2 + spread))
        p[k, 0] = _finite(float(2 * stats.t.sf(abs(fit.coefficients[0]) / error, n - 1)))
    return p


def ordinal_intercept_test(studies: Studies) -> Array:
    """Return the Wald p of the model with intercepts of reader and case, shape (S, 1)."""
    p = np.ones((len(studies.ratings), 1))
    for k in range(len(p)):
        try:
            setting = _setting(studies, k)
            design = fixed_design(setting.table.frame, (CONDITION,), {CONDITION: CONTRAST[1]})
            fit = setting.fit(design, intercepts(setting.table))
        except AnalysisError:
            continue
        p[k, 0] = _finite(float(fit.p_values[0]))
    return p


def linear_slope_test(studies: Studies) -> Array:
    """Return p of the linear mixed model with condition slopes over readers and over cases.

    Returns
    -------
    ndarray
        Shape (S, 1), t with Satterthwaite's degrees of freedom.
    """
    p = np.ones((len(studies.ratings), 1))
    _, n_readers, n_cases = studies.ratings.shape[1:]
    condition, reader, case = np.indices((2, n_readers, n_cases)).reshape(3, -1)
    for k in range(len(p)):
        y = studies.ratings[k].astype(float).ravel()
        there = np.isfinite(y)
        x = 0.5 - condition[there]
        slope = np.column_stack([np.ones(len(x)), x])
        names = ("(Intercept)", CONDITION)
        random = [
            random_term("case", case[there], slope, names, correlated=False),
            random_term("reader", reader[there], slope, names, correlated=False),
        ]
        try:
            fit = fit_lmm(y[there], slope, names, random)
        except AnalysisError:
            continue
        p[k, 0] = _finite(float(fit.p_values[1]))
    return p


def auc_test(studies: Studies) -> Array:
    """Return p of the Obuchowski–Rockette test of two AUCs, random readers and cases.

    Returns
    -------
    ndarray
        Shape (S, 2): guarded (:mod:`study.analysis.guarded`), and as published.
    """
    p = np.ones((len(studies.ratings), 2))
    truth = studies.positive.astype(int)
    n_readers, n_cases = studies.ratings.shape[2:]
    for k in range(len(p)):
        scores = ReaderScores(
            studies.ratings[k].astype(float),
            truth,
            CONTRAST,
            tuple(f"R{j + 1}" for j in range(n_readers)),
            tuple(f"C{j + 1}" for j in range(n_cases)),
        )
        covariance = error_covariance(scores, "auc", "jackknife")
        parts = components(figures_of_merit(scores, "auc"), covariance)
        p[k] = _finite(guarded_test(parts).p_value), _finite(global_test(parts).p_value)
    return p


def _ordinal_slope(studies: Studies, k: int) -> tuple[float, float, float]:
    try:
        setting = _setting(studies, k)
        design = fixed_design(setting.table.frame, (CONDITION,), {CONDITION: CONTRAST[1]})
        fit: ClmmFit | None = setting.fit_slopes(design)
    except AnalysisError:
        return 1.0, 1.0, 1.0
    if fit is None:
        return 1.0, 1.0, 1.0
    effect = effect_for_readers_like_them(setting, design, fit)
    return (
        _finite(effect.coefficient.p_value),
        _finite(float(fit.p_values[0])),
        _finite(effect.likelihood_ratio.p_value),
    )


def _setting(studies: Studies, k: int) -> Setting:
    data = ordinal_table(studies.table(k), item=ITEM, contrast=CONTRAST, terms=())
    return Setting(data, read_categories(data.frame["value"]), "logit", 0.95)


def _finite(p_value: float | None) -> float:
    return 1.0 if p_value is None or not np.isfinite(p_value) else p_value
