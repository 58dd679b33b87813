"""The condition effect by other models: another link, a linear model, estimating equations.

Agreement in sign and size is what one hopes for; the numbers are on different scales and not meant
to be equal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.gee import fit_ordinal_gee
from study.analysis.mixed.fixed_design import FixedDesign, fixed_design
from study.analysis.mixed.linear import fit_lmm
from study.analysis.ordinal.clmm import fit_clmm
from study.analysis.ordinal.effects import CONDITION, condition_column, intercepts, slopes
from study.analysis.ordinal.predicted import model_words
from study.analysis.ordinal.table import OrdinalTable, ordinal_table

_NO_ERROR = 1e-6


def ordinal_sensitivity(
    table: pd.DataFrame,
    item: str,
    contrast: tuple[str, str],
    *,
    terms: Sequence[str] = (),
    ci_level: float = 0.95,
) -> tuple[Estimate, ...]:
    """Return the condition effect of the probit mixed model, linear mixed models and ordinal GEE.

    Parameters
    ----------
    table, item, contrast, terms
        As :func:`study.analysis.ordinal.models.ordinal_models`; interactions are left out.
    ci_level
        In (0, 1).

    Returns
    -------
    tuple
        Probit mixed model (these readers), linear mixed model with intercepts (these readers) and
        with a condition slope (readers like them; Satterthwaite), ordinal estimating equations
        clustered by case (these readers).
    """
    data = ordinal_table(
        table, item=item, contrast=contrast, terms=[name for name in terms if ":" not in name]
    )
    design = fixed_design(data.frame, (CONDITION, *data.terms), {CONDITION: contrast[1]})
    own = "these readers" if data.n_readers > 1 else "this reader"
    scope = Scope("these readers", "descriptive", data.n_readers, data.n_cases)
    scope = scope if own == "these readers" else scope.with_population("this reader", "descriptive")
    like = scope.with_population("readers like them", "descriptive")
    return (
        _probit(data, design, scope, ci_level),
        _linear(data, design, scope, ci_level, sloped=False),
        _linear(data, design, like, ci_level, sloped=True),
        _gee(data, design, scope, ci_level),
    )


def _probit(data: OrdinalTable, design: FixedDesign, scope: Scope, ci_level: float) -> Estimate:
    name = condition_column(design)
    quantity = f"probit scale, {data.label(name)}"
    random = intercepts(data)
    method = "cumulative-link mixed model, probit"
    if not random:
        return scope.unavailable(quantity, method=method, note="One reader and no repeated case.")
    try:
        fit = fit_clmm(data.frame["value"], design.matrix, design.names, random, link="probit")
    except AnalysisError as problem:
        return scope.unavailable(quantity, method=method, note=str(problem))
    doubts = [note for note in fit.notes if f"effect of {name} is not estimable" in note]
    if doubts:
        return scope.unavailable(quantity, method=method, note=doubts[0])
    k = fit.names.index(name)
    return _normal(
        scope,
        quantity,
        (float(fit.coefficients[k]), float(fit.standard_errors[k])),
        ci_level,
        model_words(fit),
    )


def _linear(
    data: OrdinalTable, design: FixedDesign, scope: Scope, ci_level: float, *, sloped: bool
) -> Estimate:
    name = condition_column(design)
    quantity = f"points of the scale, {data.label(name)}"
    what = "reader intercept and condition slope, case intercept" if sloped else "intercepts"
    method = f"linear mixed model, REML, random {what}, Satterthwaite t"
    random = slopes(data) if sloped and data.n_readers > 1 else intercepts(data)
    if not random or (sloped and data.n_readers < 2):
        return scope.unavailable(
            quantity,
            method=method,
            note="One reader: readers like them cannot be spoken for."
            if sloped
            else "One reader and no repeated case.",
        )
    wide = design.with_intercept()
    try:
        fit = fit_lmm(data.frame["value"], wide.matrix, wide.names, random)
    except AnalysisError as problem:
        return scope.unavailable(quantity, method=method, note=str(problem))
    k = wide.names.index(name)
    low, high = fit.intervals(ci_level)[k]
    df = float(fit.df[k])
    return scope.estimate(
        quantity,
        float(fit.coefficients[k]),
        ci=(float(low), float(high)),
        ci_level=ci_level,
        p_value=float(fit.p_values[k]),
        df=df if np.isfinite(df) else None,
        method=method,
        note=" ".join(fit.notes),
    )


def _gee(data: OrdinalTable, design: FixedDesign, scope: Scope, ci_level: float) -> Estimate:
    name = condition_column(design)
    quantity = f"log odds of a higher rating, averaged over cases, {data.label(name)}"
    method = "ordinal estimating equations, independence, sandwich errors by case"
    readers = fixed_design(data.frame, ("reader",))
    matrix = np.hstack([design.matrix, readers.matrix])
    try:
        fit = fit_ordinal_gee(
            data.frame["value"], matrix, (*design.names, *readers.names), data.frame["case_id"]
        )
    except AnalysisError as problem:
        return scope.unavailable(quantity, method=method, note=str(problem))
    doubts = [note for note in fit.notes if f"effect of {name} is not estimable" in note]
    if doubts:
        return scope.unavailable(quantity, method=method, note=doubts[0])
    k = fit.names.index(name)
    pair = (float(fit.coefficients[k]), float(fit.standard_errors[k]))
    return _normal(scope, quantity, pair, ci_level, f"{method}, reader as fixed effect")


def _normal(
    scope: Scope, quantity: str, pair: tuple[float, float], ci_level: float, method: str
) -> Estimate:
    """Return a Wald estimate from a value and its standard error."""
    value, error = pair
    if error < _NO_ERROR:
        note = "No variation between the cases: no interval can be given."
        return scope.unavailable(quantity, method=method, note=note)
    reach = float(stats.norm.ppf(0.5 + ci_level / 2)) * error
    return scope.estimate(
        quantity,
        value,
        ci=(value - reach, value + reach),
        ci_level=ci_level,
        p_value=float(2 * stats.norm.sf(abs(value) / error)),
        method=method,
        note=f"standard error {error:.4g}",
    )
