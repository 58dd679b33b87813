"""Answers of the paired analyses: signed rank, Hodges–Lehmann, effect sizes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

from study.analysis.estimate import Estimate, Scope
from study.analysis.signed_rank import (
    dominance,
    hodges_lehmann,
    rank_biserial,
    sign_test,
    signed_rank,
    superiority,
)
from tests.reference.case import ReferenceCase

_SCOPE = Scope("these readers", "descriptive", 1, 1)
_SIDES = {"two.sided": "two-sided", "greater": "greater", "less": "less"}


def answers(case: ReferenceCase) -> Mapping[str, object]:
    """Return the answers to the checks that are known here."""
    asked = {check.id for check in case.checks}
    if "all_zero_behaviour" in asked:
        return _edges(case.table())
    if not any(name.endswith("W_plus_zeros_dropped") for name in asked):
        return {}
    table = case.table()
    if {"reader", "case", "arm", "trust"} <= set(table.columns):
        return _of_study(table)
    return _of_differences(_differences(table, case.columns.get("d", "d")), len(table))


def _differences(table: pd.DataFrame, recipe: str) -> NDArray[np.float64]:
    """Return d as the case defines it: a column, or one column minus another."""
    parts = [part.strip() for part in recipe.split(" - ")]
    if len(parts) == 2 and set(parts) <= set(table.columns):
        d = table[parts[0]] - table[parts[1]]
    else:
        d = table["d"] if "d" in table else table.select_dtypes("number").iloc[:, -1]
    return d.dropna().to_numpy(float)


def _of_study(table: pd.DataFrame) -> dict[str, object]:
    wide = table.pivot(index=["reader", "case"], columns="arm", values="trust")
    pairs = (wide["B"] - wide["A"]).dropna()
    given: dict[str, object] = {}
    readers = sorted(pairs.index.unique("reader"))
    p_values = []
    for reader in readers:
        d = pairs.xs(reader, level="reader").to_numpy(float)
        given |= _prefixed(f"{reader}_", _of_differences(d, len(d)))
        p_values.append(signed_rank(d).p_value)
    corrected = multipletests(p_values, method="holm")[1]
    given["holm_over_readers_correctFALSE"] = dict(zip(readers, map(float, corrected), strict=True))
    given["pooled_naive_p_correctFALSE"] = signed_rank(pairs).p_value
    by_case = pairs.groupby(level="case")
    sums, means = by_case.sum().to_numpy(float), by_case.mean().to_numpy(float)
    given |= _prefixed("casesum_", _of_differences(sums, len(sums)))
    given["casemean_must_equal_casesum_p"] = signed_rank(means).p_value
    given["casemean_HL_walsh_all"] = hodges_lehmann(means, _SCOPE).value
    return given


def _prefixed(prefix: str, given: Mapping[str, object]) -> dict[str, object]:
    return {prefix + name: value for name, value in given.items()}


def _of_differences(d: NDArray[np.float64], n_rows: int) -> dict[str, object]:
    plain, pratt = signed_rank(d), signed_rank(d, zero_method="pratt")
    given: dict[str, object] = {
        "n_rows": n_rows,
        "n_pairs": plain.n,
        "n_zero": plain.n - plain.n_nonzero,
        "n_pos": int((d > 0).sum()),
        "n_neg": int((d < 0).sum()),
        "W_plus_zeros_dropped": plain.w_plus,
        "W_minus_zeros_dropped": plain.w_minus,
        "W_plus_pratt": pratt.w_plus,
        "W_minus_pratt": pratt.w_minus,
        "coin_Wilcoxon_asymptotic_Z": plain.z,
        "coin_Wilcoxon_asymptotic_p": plain.p_value,
        "coin_Pratt_asymptotic_Z": pratt.z,
        "coin_Pratt_asymptotic_p": pratt.p_value,
        "published_scipy_statistic_min": plain.statistic,
        "published_V": plain.w_plus,
        "published_scipy_doc_exact_p": signed_rank(d, distribution="exact").p_value,
        "published_p_greater": signed_rank(d, distribution="exact", alternative="greater").p_value,
        "rank_biserial": rank_biserial(d, _SCOPE).value,
        "rank_biserial_CI95_fisherz": _limits(rank_biserial(d, _SCOPE)),
        "rank_biserial_pratt": rank_biserial(d, _SCOPE, zero_method="pratt").value,
        "prob_superiority_ties_half": superiority(d, np.arange(len(d)), _SCOPE).value,
        "paired_dominance": dominance(d),
        "sign_test_p": sign_test(d, _SCOPE).p_value,
    }
    for name, side in _SIDES.items():
        for correct in (True, False):
            test = signed_rank(d, correction=correct, alternative=side)  # type: ignore[arg-type]
            given[f"R_wilcox_normal_correct{str(correct).upper()}_p_{name}"] = test.p_value
        for zeros, method in (("Wilcoxon", "wilcox"), ("Pratt", "pratt")):
            exact = signed_rank(d, zero_method=method, alternative=side, distribution="exact")  # type: ignore[arg-type]
            given[f"coin_{zeros}_exact_p_{name}"] = exact.p_value
            if zeros == "Wilcoxon":
                given[f"R_wilcox_exact_p_{name}"] = exact.p_value
    return given | _shifts(d)


def _shifts(d: NDArray[np.float64]) -> dict[str, object]:
    kept = hodges_lehmann(d, _SCOPE)
    dropped = hodges_lehmann(d, _SCOPE, zeros="dropped")
    exact = hodges_lehmann(d, _SCOPE, zeros="dropped", distribution="exact")
    return {
        "HL_walsh_all": kept.value,
        "HL_walsh_nonzero": dropped.value,
        "HL_walsh_all_CI95_normal": _limits(kept),
        "R_pseudomedian_uniroot": dropped.value,
        "R_pseudomedian_CI95": _limits(dropped),
        "R_exact_pseudomedian": exact.value,
        "R_exact_CI95": _limits(exact),
    }


def _limits(estimate: Estimate) -> list[float] | None:
    return None if estimate.ci is None else list(estimate.ci)


def _edges(table: pd.DataFrame) -> dict[str, object]:
    sets = {name: part["d"].dropna().to_numpy(float) for name, part in table.groupby("set")}

    def exact(name: str) -> float | None:
        return signed_rank(sets[name], distribution="exact").p_value

    zero, empty = signed_rank(sets["all_zero"]), signed_rank([])
    given: dict[str, object] = {}
    if zero.p_value in (None, 1.0) and zero.note:
        given["all_zero_behaviour"] = "p=1 or not_estimable; never nan silently, never p<1"
    if empty.p_value is None and empty.note:
        given["n0_behaviour"] = "not_estimable"
    for check, name in _matched(sets).items():
        given[check] = exact(name)
    unties = next((name for name in sets if "n50" in name), None)
    if unties is not None:
        given["n50_noties_exact_p"] = exact(unties)
        corrected = signed_rank(sets[unties], correction=True)
        given["n50_noties_normal_correctTRUE_p"] = corrected.p_value
    return given


def _matched(sets: Mapping[str, object]) -> dict[str, str]:
    """Return the check of an exact p-value for each set named like it."""
    return {f"{name}_exact_p": name for name in sets if name != "all_zero"}
