"""Answers of multiplicity, sizing, crossover effects, paired proportions and relative effects."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from study.analysis.crossover import koch_tests, stratified_rank_sum
from study.analysis.estimate import Scope
from study.analysis.multiplicity import FAMILYWISE, Gatekeeping, adjusted, fixed_sequence
from study.analysis.power import sizing
from study.analysis.proportions import (
    PairedTable,
    mcnemar_test,
    tango_difference,
    wald_difference,
)
from study.analysis.rank_effects import RelativeEffects, brunner_munzel, relative_effects
from tests.reference.case import ReferenceCase

_SCOPE = Scope("this reader", "descriptive", 1, 1)

# Two primary hypotheses that each gate their own secondary one (the checks name this graph).
_SUCCESSIVE = Gatekeeping(
    names=("H1", "H2", "H3", "H4"),
    weights=(0.5, 0.5, 0, 0),
    transitions=((0, 0.5, 0.5, 0), (0.5, 0, 0, 0.5), (0, 1, 0, 0), (1, 0, 0, 0)),
)
# The planning examples of the checks: categories of Hmisc's documentation, and the components of
# the Van Dyke study as R's RJafroc starts from them.
_SHARES = (0.1, 0.2, 0.4, 0.3)
_PILOT = sizing.MrmcComponents(
    0.0002004025, 0.0003466137, 0.0003440748, 0.0002390284, 0.0008022883, 114
)


def answers(case: ReferenceCase) -> Mapping[str, object]:
    """Return the answers to the checks that are known here."""
    asked = {check.id for check in case.checks}
    if "hochberg" in asked:
        return _multiplicity(case.setup["p"])
    if "paired_t_n" in asked:
        return _sizing(asked)
    if any(name.startswith("koch_") for name in asked):
        return _design(case.table())
    return {}


def _multiplicity(p: list[float]) -> dict[str, object]:
    names = {"holm_sidak": "holm-sidak"}
    methods = ("bonferroni", "holm", "hochberg", "hommel", "BH", "BY", "sidak", "holm_sidak")
    given: dict[str, object] = {
        name: adjusted(p, names.get(name, name)).tolist()  # type: ignore[arg-type]
        for name in methods
    }
    counted = ("bonferroni", "holm", "hochberg", "BH")
    for alpha in (0.05, 0.01):
        given[f"n_reject_{alpha:g}"] = {
            name: int((adjusted(p, name) <= alpha).sum())  # type: ignore[arg-type]
            for name in counted
        }
    rejected = given["n_reject_0.05"]
    assert isinstance(rejected, dict)
    given["published_rejections_0.05"] = {
        name: rejected[name] for name in ("bonferroni", "hochberg", "BH")
    }
    with_gap = adjusted([*p, math.nan], "holm")
    given["with_NA_holm"] = np.where(np.isnan(with_gap), -1, with_gap).tolist()
    first = dict(zip(_SUCCESSIVE.names, p, strict=False))
    given["graph_successive_2_adjusted_p"] = _SUCCESSIVE.adjusted(first)
    given["graph_successive_2_rejected"] = _SUCCESSIVE.rejected(first, 0.025)
    given["graph_successive_2_definition"] = {
        "weights": list(_SUCCESSIVE.weights),  # type: ignore[arg-type]
        "transitions": np.asarray(_SUCCESSIVE.transitions, float).ravel().tolist(),
    }
    given["fixed_sequence_adjusted_p"] = fixed_sequence(p[:4]).tolist()
    assert "BH" not in FAMILYWISE
    return given


def _sizing(asked: set[str]) -> dict[str, object]:
    n_t = sizing.paired_t_n(0.3)
    sign = sizing.sign_test_power(0.65, 80)
    effect, effective = sizing.effective_number(240, 4, 0.35)
    power, efficiency = sizing.proportional_odds_power(_SHARES, 1.2, 1000)
    n_odds, efficiency_n = sizing.proportional_odds_n(_SHARES, 1.2)
    total, m, n = sizing.ordinal_rank_sum_n(
        (0.66, 0.15, 0.19), (0.61, 0.23, 0.16), share_second=0.53
    )
    given: dict[str, object] = {
        "paired_t_n": n_t,
        "wilcoxon_n_ARE_normal": n_t / sizing.NORMAL_EFFICIENCY,
        "wilcoxon_n_ARE_min": n_t / sizing.LEAST_EFFICIENCY,
        "paired_t_power_n60": sizing.paired_t_power(0.3, 60),
        "noether_signed_rank_n": sizing.signed_rank_n(0.62),
        "noether_inflated_zero30pct": sizing.signed_rank_n(0.62, zero_share=0.3),
        "noether_sign_test_n": sizing.sign_test_n(0.6),
        "exact_sign_test_power": {
            "n": 80,
            "lower_critical": sign.lower_critical,
            "size": sign.size,
            "power": sign.power,
        },
        "design_effect_n_eff": {"deff": effect, "n_eff": effective},
        "correlation_n": sizing.correlation_n(0.3),
        "anova_f2_n_denominator_df": sizing.regression_df(2, 0.05),
        "hmisc_popower": {"power": power, "efficiency": efficiency},
        "hmisc_posamsize": {"n": n_odds, "efficiency": efficiency_n},
        "po_inputs": list(_SHARES),
        "zhao_n_wilcox_ord": {"total sample size": total, "m": m, "n": n},
        "noninferiority_paired_n_normal": sizing.non_inferiority_n(0.3, 1.1),
        "tost_equivalence_paired_n_normal": sizing.equivalence_n(0.3, 1.1),
        "cantor_kappa_n": sizing.kappa_n(0.3, 0.2, kappa=0.4, null=0.25),
        "bonett_icc_n": sizing.icc_n(0.6, 4, 0.2),
        "OR_components": {
            "TR": _PILOT.reader_by_condition,
            "C1": _PILOT.covariance_1,
            "C2": _PILOT.covariance_2,
            "C3": _PILOT.covariance_3,
            "V": _PILOT.error,
            "K0": _PILOT.n_cases,
        },
        "published_hmisc_popower": power,
        "published_hmisc_posamsize": n_odds,
    }
    for name in asked:
        found = re.fullmatch(r"OR_power_J(\d+)_K(\d+)_d([\d.]+)", name)
        if found:
            plan = sizing.mrmc_power(_PILOT, float(found[3]), int(found[1]), int(found[2]))
            given[name] = {"ncp": plan.non_centrality, "df2": plan.df, "power": plan.power}
    return given


def _design(table: pd.DataFrame) -> dict[str, object]:
    given: dict[str, object] = {}
    differences, sequences = [], []
    for reader, rows in table.groupby("reader"):
        wide = rows.pivot(index="case", columns="period", values="trust")
        starts = rows.groupby("case")["sequence"].first().reindex(wide.index) == "AB"
        whole = wide.notna().all(axis=1)
        wide, starts = wide[whole], starts[whole]
        tests = koch_tests(wide[1], wide[2], starts, _SCOPE)
        for name, test in zip(("arm", "carryover", "period"), tests, strict=True):
            given[f"koch_{name}_{reader}"] = {"W": test.value, "p": test.p_value}
        differences.append((wide[1] - wide[2]).to_numpy())
        sequences.append(starts.to_numpy())
        given |= _specificity(str(reader), rows)
    stratified = stratified_rank_sum(differences, sequences, _SCOPE, "condition over readers")
    given["van_elteren_like_rank_stratified_Z"] = stratified.value
    given["van_elteren_like_p"] = stratified.p_value
    return given | _case_level(table) | _ranks(table)


def _specificity(reader: str, rows: pd.DataFrame) -> dict[str, object]:
    normals = rows[rows["truth"] == 0]
    right = (normals.pivot(index="case", columns="arm", values="call") == 0).astype(bool)
    table = PairedTable(
        both=int((right["A"] & right["B"]).sum()),
        first_only=int((right["A"] & ~right["B"]).sum()),
        second_only=int((~right["A"] & right["B"]).sum()),
        neither=int((~right["A"] & ~right["B"]).sum()),
    )
    plain, exact = mcnemar_test(table, _SCOPE, exact=False), mcnemar_test(table, _SCOPE)
    tango, wald = tango_difference(table, _SCOPE), wald_difference(table, _SCOPE)
    return {
        f"spec_table_{reader}": {
            "both_neg": table.both,
            "A_only": table.first_only,
            "B_only": table.second_only,
            "both_pos": table.neither,
        },
        f"mcnemar_{reader}": {"chi2": plain.value, "p": plain.p_value, "p_exact": exact.p_value},
        f"tango_CI_{reader}": list(tango.ci or ()),
        f"wald_paired_{reader}": [wald.value, *(wald.ci or ())],
    }


def _case_level(table: pd.DataFrame) -> dict[str, object]:
    def of(column: pd.Series) -> tuple[float, float, int]:
        data = table.assign(value=column)
        wide = data.pivot(index=["reader", "case"], columns="arm", values="value").dropna()
        means = (wide["B"] - wide["A"]).groupby("case").mean()
        return float(means.mean()), float(means.std(ddof=1) / math.sqrt(len(means))), len(means)

    time, time_error, n = of(np.log(table["time_s"]))
    fp, fp_error, _ = of(table["fp"])
    reach = float(stats.t.ppf(0.975, n - 1))
    given: dict[str, object] = {
        "time_caselevel_GMR": {
            "GMR": math.exp(time),
            "lo": math.exp(time - reach * time_error),
            "hi": math.exp(time + reach * time_error),
        },
        "fp_caselevel_rate_difference": {
            "diff": fp,
            "lo": fp - reach * fp_error,
            "hi": fp + reach * fp_error,
        },
    }
    for margin in ("0.05", "0.10"):
        p = float(stats.t.cdf((fp - float(margin)) / fp_error, n - 1))
        given[f"fp_rate_difference_NI_{margin}"] = p
    return given


def _ranks(table: pd.DataFrame) -> dict[str, object]:
    wide = table.pivot(index="case", columns=["arm", "reader"], values="trust")
    wide = wide[sorted(wide.columns)]
    both = relative_effects(wide, "arm", "reader")
    sums = table.pivot_table(index="case", columns="arm", values="trust", aggfunc="sum")
    one = relative_effects(sums, "arm")
    arm_a = table[table["arm"] == "A"]
    readers = sorted(table["reader"].unique())[:2]
    pair = [arm_a[arm_a["reader"] == reader]["trust"].dropna() for reader in readers]
    test = brunner_munzel(*pair, _SCOPE)
    assert test.value is not None and test.ci is not None
    z = (test.value - 0.5) / ((test.ci[1] - test.value) / stats.t.ppf(0.975, test.df))
    return {
        "nparLD_f2_RTE": _effects(both),
        "nparLD_f2_ATS": {
            "terms": [each.term for each in both.tests],
            "statistic": [each.statistic for each in both.tests],
            "df": [each.df for each in both.tests],
            "p": [each.p_value for each in both.tests],
        },
        "nparLD_f1_casesum_RTE": {
            f"arm{arm}": float(value) for arm, value in one.cells["arm"].items()
        },
        "nparLD_f1_casesum_ATS": {
            "stat": one.tests[0].statistic,
            "df": one.tests[0].df,
            "p": one.tests[0].p_value,
        },
        f"brunner_munzel_{readers[0]}_{readers[1]}": {
            "W": float(z),
            "df": test.df,
            "p": test.p_value,
            "est": test.value,
            "lo": test.ci[0],
            "hi": test.ci[1],
        },
    }


def _effects(effects: RelativeEffects) -> dict[str, float]:
    cells = effects.cells
    given = {
        f"arm{arm}:reader{reader}": float(cells.loc[arm, reader])
        for arm in cells.index
        for reader in cells.columns
    }
    given |= {f"arm{arm}": float(value) for arm, value in cells.mean(axis=1).items()}
    return given | {f"reader{name}": float(value) for name, value in cells.mean(axis=0).items()}
