"""Answers of the regressions of ratings on IoU and of the correlations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats

from study.analysis.correlation import kendall, kendall_z, pearson, spearman
from study.analysis.estimate import Estimate, Scope
from study.analysis.robust import fit_least_squares, standard_errors, two_sided_t
from tests.reference.case import ReferenceCase

_SCOPE = Scope("independent readings", "warning", 1, 1)
_LINE = ["(Intercept)", "iou"]


def answers(case: ReferenceCase) -> Mapping[str, object]:
    """Return the answers to the checks that are known here."""
    if not any(check.id == "ols_se_case_CR0" for check in case.checks):
        return {}
    table = case.table()
    rated = table[table["trust"].notna() & table["iou"].notna()].reset_index(drop=True)
    given: dict[str, object] = {"n_used": len(rated)}
    return (
        given
        | _line(rated)
        | _more_terms(rated)
        | _robust(rated)
        | _correlations(rated)
        | _case_level(table)
    )


def _named(names: list[str], values: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(names, map(float, values), strict=True))


def _line(rated: pd.DataFrame) -> dict[str, object]:
    X = np.column_stack([np.ones(len(rated)), rated["iou"]])
    fit = fit_least_squares(X, rated["trust"])
    cases, readers = rated["case"], rated["reader"]
    slope = float(fit.coefficients[1])
    errors = {
        name: standard_errors(fit.covariance_clustered(cases, name))
        for name in ("CR0", "CR1", "CR2")
    }  # type: ignore[arg-type]
    g = cases.nunique()
    df = fit.satterthwaite_df(cases, [0, 1])
    cr1, cr2 = float(errors["CR1"][1]), float(errors["CR2"][1])
    return {
        "ols_coef": _named(_LINE, fit.coefficients),
        "ols_naive_se": _named(_LINE, standard_errors(fit.covariance_naive())),
        "ols_R2": fit.r_squared,
        "ols_se_HC3": _named(_LINE, standard_errors(fit.covariance_hc3())),
        "ols_se_case_CR0": _named(_LINE, errors["CR0"]),
        "ols_se_case_CR1": _named(_LINE, errors["CR1"]),
        "ols_case_CR1_t_p_dfGm1": {"t": slope / cr1, "p": two_sided_t(slope, cr1, g - 1)},
        "ols_case_CR1_p_z": float(2 * stats.norm.sf(abs(slope / cr1))),
        "ols_case_CR2": {"se": cr2, "df": df, "p": two_sided_t(slope, cr2, df)},
        "ols_se_twoway_case_reader_HC1": _named(
            _LINE, standard_errors(fit.covariance_two_way(cases, readers))
        ),
    }


def _more_terms(rated: pd.DataFrame) -> dict[str, object]:
    one, iou, arm = (
        np.ones(len(rated)),
        rated["iou"].to_numpy(),
        (rated["arm"] == "B").to_numpy(float),
    )
    readers = sorted(rated["reader"].unique())
    dummies = [(rated["reader"] == reader).to_numpy(float) for reader in readers[1:]]
    names = ["(Intercept)", "iou", "B", *(f"reader{reader}" for reader in readers[1:])]
    adjusted = fit_least_squares(np.column_stack([one, iou, arm, *dummies]), rated["trust"])
    crossed = fit_least_squares(
        np.column_stack([one, iou, arm, iou * arm, *dummies]), rated["trust"]
    )
    between = rated.groupby("case")["iou"].transform("mean").to_numpy()
    split = fit_least_squares(
        np.column_stack([one, iou - between, between, *dummies]), rated["trust"]
    )
    cases = rated["case"]
    errors = [
        standard_errors(fit.covariance_clustered(cases)) for fit in (adjusted, crossed, split)
    ]
    return {
        "ols2_coef": _named(names, adjusted.coefficients),
        "ols2_se_case_CR1": _named(names, errors[0]),
        "ols3_interaction": {"coef": float(crossed.coefficients[3]), "se": float(errors[1][3])},
        "within_between_slopes": _named(["iw", "ib"], split.coefficients[1:3]),
        "within_between_se_CR1": _named(["iw", "ib"], errors[2][1:3]),
    }


def _robust(rated: pd.DataFrame) -> dict[str, object]:
    X = sm.add_constant(rated["iou"].to_numpy())
    fit = sm.RLM(rated["trust"].to_numpy(float), X, M=sm.robust.norms.HuberT(1.345)).fit(
        tol=1e-10, maxiter=500
    )
    return {"rlm_huber_coef": _named(_LINE, fit.params), "rlm_huber_se": _named(_LINE, fit.bse)}


def _correlations(rated: pd.DataFrame) -> dict[str, object]:
    x, y = rated["iou"], rated["trust"]
    rho, tau, r = spearman(x, y, _SCOPE), kendall(x, y, _SCOPE), pearson(x, y, _SCOPE)
    given: dict[str, object] = {
        "spearman_pooled": rho.value,
        "spearman_pooled_p": rho.p_value,
        "kendall_tau_b": tau.value,
        "kendall_z_p": {"z": kendall_z(x, y), "p": tau.p_value},
        "kendall_CI95_fieller": _limits(tau),
        "pearson_r_CI": [r.value, *(r.ci or ())],
    }
    for name, error in (
        ("fisher", "Fisher"),
        ("fieller", "Fieller"),
        ("bonett_wright", "Bonett-Wright"),
    ):
        given[f"spearman_CI95_{name}"] = _limits(spearman(x, y, _SCOPE, error=error))  # type: ignore[arg-type]
    return given


def _case_level(table: pd.DataFrame) -> dict[str, object]:
    given: dict[str, object] = {}
    for arm, rows in table[table["trust"].notna()].groupby("arm"):
        cases = rows.groupby("case").agg(iou=("iou", "first"), trust=("trust", "mean"))
        rho = spearman(cases["iou"], cases["trust"], _SCOPE)
        given[f"casemean_spearman_arm{arm}"] = {"rho": rho.value, "p": rho.p_value}
        given[f"casemean_kendall_arm{arm}"] = kendall(cases["iou"], cases["trust"], _SCOPE).value
    wide = table.pivot(index=["reader", "case"], columns="arm", values=["trust", "iou"])
    pairs = pd.DataFrame(
        {name: wide[name, "B"] - wide[name, "A"] for name in ("trust", "iou")}
    ).dropna()
    means = pairs.groupby("case").mean()
    fit = fit_least_squares(np.column_stack([np.ones(len(means)), means["iou"]]), means["trust"])
    hc3 = standard_errors(fit.covariance_hc3())
    given["delta_regression"] = {
        "(Intercept)": float(fit.coefficients[0]),
        "di": float(fit.coefficients[1]),
        "se_HC31": float(hc3[0]),
        "se_HC32": float(hc3[1]),
    }
    return given


def _limits(estimate: Estimate) -> list[float] | None:
    return None if estimate.ci is None else list(estimate.ci)
