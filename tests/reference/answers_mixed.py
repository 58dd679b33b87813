"""Answers of linear and count mixed models, estimating equations, ordinal regressions on IoU."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy import stats

from study.analysis.columns import natural_order
from study.analysis.gee import fit_gee, fit_ordinal_gee
from study.analysis.mixed.counts import fit_counts
from study.analysis.mixed.fixed_design import FixedDesign, fixed_design
from study.analysis.mixed.kenward_roger import kenward_roger
from study.analysis.mixed.linear import LmmFit, fit_lmm
from study.analysis.mixed.random_effects import RandomTerm, random_term
from study.analysis.ordinal.clm import fit_clm
from tests.reference.case import ReferenceCase

_GROUPS: tuple[tuple[str, str], ...] = (
    ("polr_|orm_|lrm_", "_ordinal_on_iou"),
    ("lmer_", "_linear_on_iou"),
    ("gee_exch_", "_gee_on_iou"),
    ("time_lmer|time_GMR|time_learning|time_random_slope", "_time"),
    ("fp_gee|fp_rate_ratio|fp_glmer|fp_glmmTMB", "_false_positives"),
    ("ordgee_", "_ordinal_gee"),
)


def mixed_answers(case: ReferenceCase) -> dict[str, object]:
    """Return the answers to the checks that are known here."""
    given: dict[str, object] = {}
    functions: Mapping[str, Callable[[pd.DataFrame, ReferenceCase], dict[str, object]]] = {
        "_ordinal_on_iou": _ordinal_on_iou,
        "_linear_on_iou": _linear_on_iou,
        "_gee_on_iou": _gee_on_iou,
        "_time": _time,
        "_false_positives": _false_positives,
        "_ordinal_gee": _ordinal_gee,
    }
    for pattern, name in _GROUPS:
        if any(re.match(pattern, check.id) for check in case.checks):
            given |= functions[name](_frame(case), case)
    return given


def _frame(case: ReferenceCase) -> pd.DataFrame:
    """Return the table with a 0/1 column for the second arm and the second period."""
    frame = case.table()
    arms = natural_order(frame["arm"].astype(str).unique())
    frame[arms[1]] = (frame["arm"] == arms[1]).astype(float)
    for name in ("period2", "p2"):
        frame[name] = (frame["period"] == frame["period"].max()).astype(float)
    return frame


def _arm(frame: pd.DataFrame) -> str:
    return natural_order(frame["arm"].astype(str).unique())[1]


def _response(case: ReferenceCase) -> str:
    return case.columns.get("y", "trust").split()[0]


def _rated(frame: pd.DataFrame, case: ReferenceCase) -> pd.DataFrame:
    return frame[frame[_response(case)].notna()]


def _both(frame: pd.DataFrame) -> list[RandomTerm]:
    return [random_term("case", frame["case"]), random_term("reader", frame["reader"])]


def _named(design_names: tuple[str, ...], values: np.ndarray) -> dict[str, float]:
    return dict(zip(design_names, map(float, values), strict=True))


def _ordinal_on_iou(frame: pd.DataFrame, case: ReferenceCase) -> dict[str, object]:
    rows = _rated(frame, case)
    design = fixed_design(rows, ["iou", _arm(rows)])
    fit = fit_clm(rows[_response(case)], design.matrix, design.names)
    clustered = _named(design.names, fit.clustered_errors(rows["case"]))
    return {
        "polr_coef": _named(design.names, fit.coefficients),
        "polr_thresholds": _named(fit.categories.cuts, fit.thresholds),
        "polr_se": _named(design.names, fit.standard_errors),
        "polr_logLik": fit.log_lik,
        "orm_cluster_se": clustered,
        "lrm_cluster_se": clustered,
    }


def _linear_on_iou(frame: pd.DataFrame, case: ReferenceCase) -> dict[str, object]:
    rows = _rated(frame, case)
    arm = _arm(rows)
    design = fixed_design(rows, ["iou", arm, "period2"]).with_intercept()
    fit = fit_lmm(rows[_response(case)], design.matrix, design.names, _both(rows))
    exact = kenward_roger(fit, np.array([name == arm for name in design.names], float))
    return {
        **_of_lmm("lmer", design, fit),
        "lmer_satterthwaite_df": _named(design.names, fit.df),
        "lmer_p_satterthwaite": _named(design.names, fit.p_values),
        "lmer_REML_logLik": fit.log_lik,
        f"lmer_kenward_roger_{arm}": {
            "se": exact.standard_error,
            "df": exact.df,
            "p": exact.p_value,
        },
    }


def _of_lmm(prefix: str, design: FixedDesign, fit: LmmFit) -> dict[str, object]:
    return {
        f"{prefix}_coef": _named(design.names, fit.coefficients),
        f"{prefix}_se": _named(design.names, fit.standard_errors),
        f"{prefix}_df": _named(design.names, fit.df),
        f"{prefix}_variances": {part.name: part.sds[0] ** 2 for part in fit.components},
    }


def _gee_on_iou(frame: pd.DataFrame, case: ReferenceCase) -> dict[str, object]:
    # The reference adjusts for the reader; it prints the intercept, the IoU and the arm only.
    rows = _rated(frame, case)
    design = fixed_design(rows, ["iou", _arm(rows), "reader"]).with_intercept()
    fit = fit_gee(
        rows[_response(case)], design.matrix, design.names, rows["case"], working="exchangeable"
    )
    return {
        "gee_exch_coef": _named(design.names[:3], fit.coefficients[:3]),
        "gee_exch_robust_se": _named(design.names[:3], fit.standard_errors[:3]),
        "gee_exch_alpha": fit.dependence,
    }


def _time(frame: pd.DataFrame, case: ReferenceCase) -> dict[str, object]:
    rows = frame[frame["time_s"].notna()].copy()
    rows["ordc"] = (rows["order"] - 1) / 100
    arm = _arm(rows)
    log_time = np.log(rows["time_s"])
    design = fixed_design(rows, [arm, "p2", "ordc"]).with_intercept()
    fit = fit_lmm(log_time, design.matrix, design.names, _both(rows))
    ratio = np.exp([fit.coefficients[1], *fit.intervals(0.95)[1]])
    learning = fixed_design(rows, [arm, "p2", "ordc", f"{arm}:ordc"]).with_intercept()
    changed = fit_lmm(log_time, learning.matrix, learning.names, _both(rows))
    slope = random_term(
        "reader", rows["reader"], np.column_stack([np.ones(len(rows)), rows[arm]]), ("1", arm)
    )
    wide = fit_lmm(log_time, design.matrix, design.names, [_both(rows)[0], slope])
    return {
        **_of_lmm("time_lmer", design, fit),
        f"time_GMR_{arm}_CI95": [float(x) for x in ratio],
        "time_learning_interaction": {
            "est": float(changed.coefficients[-1]),
            "se": float(changed.standard_errors[-1]),
            "p": float(changed.p_values[-1]),
        },
        "time_random_slope_REML_logLik": wide.log_lik,
        "time_random_slope_singular": wide.singular,
    }


def _false_positives(frame: pd.DataFrame, case: ReferenceCase) -> dict[str, object]:
    rows = frame[frame["fp"].notna()]
    arm = _arm(rows)
    design = fixed_design(rows, [arm, "p2", "reader"]).with_intercept()
    plain = fit_gee(rows["fp"], design.matrix, design.names, rows["case"], family="poisson")
    alike = fit_gee(
        rows["fp"],
        design.matrix,
        design.names,
        rows["case"],
        family="poisson",
        working="exchangeable",
    )
    beta, error = float(plain.coefficients[1]), float(plain.standard_errors[1])
    reach = stats.norm.ppf(0.975) * error
    margins = {
        f"p_NI_{margin}": float(stats.norm.cdf((beta - np.log(float(margin))) / error))
        for margin in _margins(case, "fp_rate_ratio_NI")
    }
    mixed = fixed_design(rows, [arm, "p2"]).with_intercept()
    poisson = fit_counts(rows["fp"], mixed.matrix, mixed.names, _both(rows))
    wide = fit_counts(
        rows["fp"], mixed.matrix, mixed.names, _both(rows), family="negative binomial"
    )
    return {
        "fp_gee_indep_coef": _named(design.names, plain.coefficients),
        "fp_gee_indep_robust_se": _named(design.names, plain.standard_errors),
        "fp_rate_ratio_NI": {
            "RR": float(np.exp(beta)),
            "lo": float(np.exp(beta - reach)),
            "hi": float(np.exp(beta + reach)),
            **margins,
        },
        f"fp_gee_exch_{arm}": {
            "coef": float(alike.coefficients[1]),
            "se": float(alike.standard_errors[1]),
        },
        f"fp_glmer_poisson_{arm}": {
            "coef": float(poisson.coefficients[1]),
            "se": float(poisson.standard_errors[1]),
        },
        "fp_glmer_poisson_logLik": poisson.log_lik,
        f"fp_glmmTMB_nb2_{arm}": {
            "coef": float(wide.coefficients[1]),
            "se": float(wide.standard_errors[1]),
            "theta": wide.dispersion,
            "logLik": wide.log_lik,
        },
    }


def _margins(case: ReferenceCase, name: str) -> list[str]:
    recipe = next((check.recipe for check in case.checks if check.id == name), "")
    return re.findall(r"margin (\d+(?:\.\d+)?)", recipe)


def _ordinal_gee(frame: pd.DataFrame, case: ReferenceCase) -> dict[str, object]:
    rows = _rated(frame, case)
    arm = _arm(rows)
    design = fixed_design(rows, [arm, "p2", "reader"])
    response = rows[_response(case)]
    fit = fit_ordinal_gee(response, design.matrix, design.names, rows["case"])
    n_cuts = len(fit.names) - len(design.names)
    # multgee: logit P(Y <= j) = beta0j + x'beta, so coefficients have the opposite sign.
    names = (*(f"beta{j + 1}0" for j in range(n_cuts)), *design.names)
    sign = np.where(np.arange(len(names)) < n_cuts, 1.0, -1.0)
    uniform = fit_ordinal_gee(
        response, design.matrix, design.names, rows["case"], association="odds ratio"
    )
    return {
        "ordgee_indep_coef": _named(names, sign * fit.coefficients),
        "ordgee_indep_robust_se": _named(names, fit.standard_errors),
        f"ordgee_uniformLOR_{arm}": {
            "coef": float(-uniform.coefficients[n_cuts]),
            "se": float(uniform.standard_errors[n_cuts]),
        },
    }
