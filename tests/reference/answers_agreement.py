"""Answers of the agreement analyses: kappas, alpha, ICC, within a condition or over a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.agreement.alpha import kendall_w, krippendorff_alpha
from study.analysis.agreement.coefficient import Coefficient
from study.analysis.agreement.icc import IntraclassCorrelation, intraclass_correlations
from study.analysis.agreement.kappa import CohenKappa, cohen_kappa, light_kappa
from study.analysis.agreement.multirater import (
    brennan_prediger,
    conger_kappa,
    fleiss_detail,
    fleiss_kappa,
    gwet_ac,
    linearised_alpha,
    percent_agreement,
)
from study.analysis.agreement.ratings import (
    RatingMatrix,
    consecutive_scale,
    matrix_of_ratings,
    matrix_of_table,
)
from study.analysis.estimate import AnalysisError
from tests.reference.case import ReferenceCase

_UNIT_NAMES = {"unit", "target", "patient", "subject", "case", "id", "item"}
_WEIGHTS = "unweighted|linear|quadratic|ordinal"
_TWO_RATERS = ("unweighted", "linear", "quadratic")
_ASKED = re.compile(r"krippendorff|kappa|fleiss|conger|gwet|ICC\d|icc_|light$|bias_mean_diff|ase$")


@dataclass(frozen=True, eq=False)
class _Group:
    """One matrix of ratings that checks ask about."""

    matrix: RatingMatrix
    n_units: int
    n_missing: int

    @cached_property
    def kappas(self) -> dict[str, CohenKappa]:
        return {kind: cohen_kappa(self.matrix, kind) for kind in _TWO_RATERS}  # type: ignore[arg-type]

    @cached_property
    def icc(self) -> dict[str, IntraclassCorrelation]:
        found = intraclass_correlations(self.matrix, average_interval="irr")
        return {f"ICC{one.form[4]}_{one.form[6]}": one for one in found}


def answers(case: ReferenceCase) -> Mapping[str, object]:
    """Return the answers to the checks that are known here."""
    asked = [check.id for check in case.checks]
    if case.data is None or not any(_ASKED.search(name) for name in asked):
        return {}
    given: dict[str, object] = {}
    try:
        groups = dict(_groups(case))
    except AnalysisError:  # ratings that are not those of an agreement study
        return {}
    for name in asked:
        for prefix in sorted(groups, key=len, reverse=True):
            if not name.startswith(prefix):
                continue
            try:
                value = _answer(groups[prefix], name.removeprefix(prefix))
            except AnalysisError:
                value = None
            if value is not None:
                given[name] = value
                break
    return given


def _groups(case: ReferenceCase) -> Iterator[tuple[str, _Group]]:
    """Yield each prefix of check ids with the ratings it speaks of."""
    table = case.table()
    roles = _roles(case, table)
    if {"rating", "unit", "rater"} <= set(roles):
        yield from _groups_of_long(case, table, roles)
        return
    columns = [c for c in table.columns if str(c).lower() not in _UNIT_NAMES]
    try:
        values = table[columns].to_numpy(dtype=float)
    except ValueError:
        return
    scale = _scale(case, values)
    whole = _group(values, scale)
    yield "", whole
    yield "all_", whole
    yield "published_", whole
    for i in range(values.shape[1]):
        for j in range(i + 1, values.shape[1]):
            yield f"r{i + 1}{j + 1}_", _group(values[:, [i, j]], scale)


def _groups_of_long(
    case: ReferenceCase, table: pd.DataFrame, roles: Mapping[str, str]
) -> Iterator[tuple[str, _Group]]:
    value, unit, rater = roles["rating"], roles["unit"], roles["rater"]
    scale = _scale(case, table[value].to_numpy(dtype=float))
    arm = next((roles[name] for name in ("arm", "condition", "treatment") if name in roles), None)
    parts = [("", table)] if arm is None else list(table.groupby(arm))
    for name, part in parts:
        prefix = "" if arm is None else f"arm{name}_"
        matrix = matrix_of_table(part, value=value, units=[unit], rater=rater, scale=scale)
        n_units = int(part[unit].nunique())
        n_given = int(part[value].notna().sum())
        yield prefix, _Group(matrix, n_units, n_units * matrix.n_raters - n_given)
        for i in range(matrix.n_raters):
            for j in range(i + 1, matrix.n_raters):
                pair = matrix.pair(i, j)
                yield (
                    f"{prefix}{pair.raters[0]}{pair.raters[1]}_",
                    _Group(pair, pair.n_units, 0),
                )


def _roles(case: ReferenceCase, table: pd.DataFrame) -> dict[str, str]:
    """Return role → column; the case writes either side first."""
    roles = {}
    for left, right in case.columns.items():
        if left in table.columns and right in {"rating", "unit", "rater"}:
            roles[right] = left
        elif left in table.columns:
            roles[left] = left
        elif right in table.columns:
            roles[left] = right
    return roles


def _group(values: np.ndarray, scale: tuple[float, ...]) -> _Group:
    return _Group(matrix_of_ratings(values, scale), len(values), int(np.isnan(values).sum()))


def _scale(case: ReferenceCase, values: np.ndarray) -> tuple[float, ...]:
    """Return the declared scale if every value is on it, else the one observed."""
    declared = _declared_scale(case)
    if declared and np.isin(values[~np.isnan(values)], declared).all():
        return declared
    return _observed_scale(values)


def _declared_scale(case: ReferenceCase) -> tuple[float, ...]:
    texts = [check.recipe for check in case.checks] + [str(v) for v in case.columns.values()]
    for text in texts:
        found = re.search(r"(-?\d+)\.\.(-?\d+)", text)
        if found:
            low, high = int(found[1]), int(found[2])
            return tuple(float(x) for x in range(low, high + 1))
    return ()


def _observed_scale(values: np.ndarray) -> tuple[float, ...]:
    try:
        return consecutive_scale(values)
    except AnalysisError:
        return ()


def _answer(group: _Group, name: str) -> object:
    for pattern, function in _HANDLERS:
        found = re.fullmatch(pattern, name)
        if found:
            return function(group, found)
    return None


def _error_and_interval(made: Coefficient) -> object:
    assert made.ci is not None
    return [made.standard_error, *made.ci]


def _multi(group: _Group, found: re.Match[str]) -> object:
    weights: Any = found["weights"]
    kind = found["kind"]
    function = {"fleiss": fleiss_kappa, "conger": conger_kappa}.get(kind, gwet_ac)
    made = function(group.matrix, weights)
    return _error_and_interval(made) if found["error"] else made.value


def _two_raters(group: _Group, found: re.Match[str]) -> object:
    if group.matrix.n_raters != 2:
        return None
    name = found[0]
    quadratic = group.kappas["quadratic"].coefficient
    if name == "ase":
        return {kind: one.coefficient.standard_error for kind, one in group.kappas.items()}
    if name == "kappa_unweighted_z_null":
        return group.kappas["unweighted"].z
    if name.startswith("kappa_"):
        return group.kappas[name.removeprefix("kappa_")].coefficient.value
    if name == "CI95_quadratic_asymptotic":
        return None if quadratic.ci is None else list(quadratic.ci)
    if name == "CI95_quadratic_irrCAC":
        ci = conger_kappa(group.matrix, "quadratic").ci
        return None if ci is None else list(ci)
    return group.kappas["quadratic"].bias if name == "bias_mean_diff" else None


def _icc(group: _Group, found: re.Match[str]) -> object:
    one = group.icc[found[1]]
    if found[2] is None:
        return one.value
    if found[2] == "_CI95":
        return None if one.ci is None else list(one.ci)
    return {"F": one.f_value, "df1": one.df1, "df2": one.interval_df}


def _per_category(group: _Group, found: re.Match[str]) -> object:
    detail = fleiss_detail(group.matrix)
    return {
        f"cat{category:g}": kappa
        for category, kappa in zip(detail.categories, detail.per_category, strict=True)
    }


def _alpha(group: _Group, found: re.Match[str]) -> object:
    metric: Any = found[1]
    return krippendorff_alpha(group.matrix, metric, interval="none").value


Handler = Callable[[_Group, "re.Match[str]"], object]
_HANDLERS: tuple[tuple[str, Handler], ...] = (
    (r"n_pairs", lambda g, m: g.matrix.complete.n_units if g.matrix.n_raters == 2 else None),
    (r"n_units", lambda g, m: g.n_units),
    (r"n_missing", lambda g, m: g.n_missing),
    (r"n_complete", lambda g, m: g.matrix.complete.n_units),
    (r"(?:krippendorff|alpha)_(nominal|ordinal|interval|ratio)", _alpha),
    (
        r"krippendorff_interval_irrCAC_se_CI",
        lambda g, m: _error_and_interval(linearised_alpha(g.matrix, "quadratic")),
    ),
    (
        r"irrCAC_alpha_gwet_ordinal_weights",
        lambda g, m: linearised_alpha(g.matrix, "ordinal").value,
    ),
    (r"gwet_AC1", lambda g, m: gwet_ac(g.matrix).value),
    (
        rf"(?P<kind>gwet_AC2?|fleiss|conger)_(?P<weights>{_WEIGHTS})(?P<error>_se_CI)?",
        _multi,
    ),
    (
        r"brennan_prediger_(\w+)",
        lambda g, m: brennan_prediger(g.matrix, m[1]).value,  # type: ignore[arg-type]
    ),
    (r"percent_agreement", lambda g, m: percent_agreement(g.matrix).value),
    (r"fleiss(_irr_complete)?", lambda g, m: fleiss_detail(g.matrix).kappa),
    (r"fleiss(_irr)?_z", lambda g, m: fleiss_detail(g.matrix).z),
    (r"fleiss_per_category", _per_category),
    (r"conger_exact", lambda g, m: conger_kappa(g.matrix.complete).value),
    (r"light", lambda g, m: light_kappa(g.matrix.complete).value),
    (
        r"mean_pairwise_(unweighted|linear|quadratic|ordinal)_kappa",
        lambda g, m: light_kappa(g.matrix, m[1]).value,  # type: ignore[arg-type]
    ),
    (r"kendall_W", lambda g, m: kendall_w(g.matrix).w),
    (r"(ICC[123]_[1k])(_CI95|_F)?", _icc),
    (r"icc_twoway_agreement", lambda g, m: g.icc["ICC2_1"].value),
    (r"icc_twoway_consistency", lambda g, m: g.icc["ICC3_1"].value),
    (
        r"ase|kappa_\w+|CI95_quadratic_(asymptotic|irrCAC)|bias_mean_diff",
        _two_raters,
    ),
)
