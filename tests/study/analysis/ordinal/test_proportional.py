"""Checks of proportional odds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from study.analysis.estimate import Scope
from study.analysis.mixed.fixed_design import fixed_design
from study.analysis.ordinal.clm import fit_clm
from study.analysis.ordinal.cumulative import read_categories
from study.analysis.ordinal.proportional import nominal_tests, odds_ratios_by_cut
from tests.support.ordinal_data import simulate_ratings

SCOPE = Scope("these readers", "descriptive", 6, 60)


def test_two_groups_set_free_are_the_multinomial_model() -> None:
    counts = np.array([[5, 10, 15], [12, 9, 7]])
    y = np.concatenate([np.repeat([1, 2, 3], row) for row in counts])
    x = np.repeat([0.0, 1.0], counts.sum(axis=1))
    design = fixed_design(pd.DataFrame({"group": x}), ["group"])
    found = nominal_tests(read_categories(y), design)
    shares = counts / counts.sum(axis=1, keepdims=True)
    saturated = float((counts * np.log(shares)).sum())
    base = fit_clm(y, x, ["group"]).log_lik
    assert found[0].test.statistic == pytest.approx(2 * (saturated - base), abs=1e-8)
    assert found[0].test.df == 1


def test_it_finds_a_spread_that_differs_and_leaves_proportional_data_alone() -> None:
    table = simulate_ratings(6, 60, 1)
    design = fixed_design(table, ["condition"])
    fine = nominal_tests(read_categories(table["value"]), design)
    assert fine[0].test.p_value > 0.01
    rng = np.random.default_rng(1)
    is_b = table["condition"] == "B"
    middle = np.where(is_b, rng.integers(2, 5, len(table)), rng.integers(1, 6, len(table)))
    broken = nominal_tests(read_categories(middle), design)
    assert broken[0].test.p_value < 1e-6


def test_two_categories_have_nothing_to_test() -> None:
    table = simulate_ratings(3, 20, 1)
    design = fixed_design(table, ["condition"])
    assert nominal_tests(read_categories((table["value"] > 2).astype(float)), design) == ()


def test_every_cut_has_an_odds_ratio_or_a_reason() -> None:
    table = simulate_ratings(4, 30, 2)
    x = (table["condition"] == "B").to_numpy(float)
    found = odds_ratios_by_cut(table["value"], x, ["B"], "B", table["case_id"], SCOPE)
    assert len(found) == table["value"].nunique() - 1
    assert all(one.value is not None and one.value > 1 for one in found)
    y = np.where(x == 1, np.maximum(table["value"], 2), table["value"])
    separated = odds_ratios_by_cut(y, x, ["B"], "B", table["case_id"], SCOPE)
    assert separated[0].value is None
    assert "separated" in separated[0].note
