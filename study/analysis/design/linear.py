"""The condition effect on the item's own scale by linear mixed models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from study.analysis.design.parts import scope_of
from study.analysis.design.within import coefficient_of, intercepts_of
from study.analysis.estimate import AnalysisError, Estimate
from study.analysis.means import ALONE, with_like_them
from study.analysis.mixed.fixed_design import fixed_design
from study.analysis.mixed.linear import fit_lmm
from study.analysis.mixed.random_effects import RandomTerm, random_term
from study.analysis.ordinal.effects import FEW_READERS


def linear_effect(
    rows: pd.DataFrame,
    contrast: tuple[str, str],
    *,
    random_readers: bool,
    terms: Sequence[str] = (),
    ci_level: float = 0.95,
) -> Estimate:
    """Return the condition effect in points by a linear mixed model, REML, Satterthwaite t.

    Parameters
    ----------
    rows
        reader, case_id, condition, value and the columns of ``terms``, one row per reading.
    contrast
        First minus second.
    random_readers
        Whether the condition slope varies over readers (readers like them); otherwise there are
        intercepts of reader and case only (these readers).
    terms
        Further fixed effects.
    ci_level
        In (0, 1).
    """
    scope = scope_of(rows)
    scope = with_like_them(scope) if random_readers else scope
    quantity = f"points, condition {contrast[0]} compared to {contrast[1]}"
    what = (
        "reader intercept and condition slope, case intercept" if random_readers else "intercepts"
    )
    method = f"linear mixed model, REML, random {what}, Satterthwaite t"
    if random_readers and scope.n_readers < 2:
        return scope.unavailable(quantity, method=method, note=ALONE)
    random = intercepts_of(rows)
    if random_readers:
        random = [condition_slope(rows, contrast), *(t for t in random if t.name != "reader")]
    try:
        if not random:
            raise AnalysisError("One reader and no case read twice: no random effect.")
        design = fixed_design(rows, ("condition", *terms), {"condition": contrast[1]})
        wide = design.with_intercept()
        if wide.terms[1:2] != ("condition",):
            raise AnalysisError("The conditions cannot be told apart in these readings.")
        fit = fit_lmm(rows["value"], wide.matrix, wide.names, random)
    except AnalysisError as problem:
        return scope.unavailable(quantity, method=method, note=str(problem))
    return coefficient_of(fit, 1, quantity, method, scope, ci_level, " ".join(fit.notes))


def condition_slope(rows: pd.DataFrame, contrast: tuple[str, str]) -> RandomTerm:
    """Return a reader intercept and condition slope.

    With at least four readers they may be correlated and the condition is coded 0/1; with fewer
    their correlation cannot be estimated, and the condition is coded ∓1/2.
    """
    x = (rows["condition"] == contrast[0]).to_numpy(float)
    correlated = rows["reader"].nunique() >= FEW_READERS
    columns = np.column_stack([np.ones(len(x)), x if correlated else x - 0.5])
    return random_term(
        "reader", rows["reader"], columns, ("(Intercept)", "condition"), correlated=correlated
    )
