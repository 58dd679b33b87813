"""Adjusted p-values and gatekeeping graphs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from study.analysis.estimate import AnalysisError
from study.analysis.multiplicity import FAMILYWISE, Gatekeeping, adjusted, fixed_sequence


def test_holm_by_hand():
    assert adjusted([0.01, 0.04, 0.03], "holm") == pytest.approx([0.03, 0.06, 0.06])


def test_no_adjustment_is_below_the_p_value_and_holm_is_never_above_bonferroni():
    p = np.random.default_rng(0).uniform(size=12)
    for name in (*FAMILYWISE, "BH", "BY"):
        assert (adjusted(p, name) >= p - 1e-12).all()
    assert (adjusted(p, "holm") <= adjusted(p, "bonferroni") + 1e-12).all()
    assert (adjusted(p, "hochberg") <= adjusted(p, "holm") + 1e-12).all()


def test_a_missing_p_value_stays_missing_and_does_not_count():
    out = adjusted([0.01, math.nan, 0.04], "bonferroni")
    assert out[[0, 2]] == pytest.approx([0.02, 0.08]) and math.isnan(out[1])


def test_a_graph_of_equal_weights_that_pass_on_evenly_is_holm():
    p = {"a": 0.01, "b": 0.02, "c": 0.3}
    graph = Gatekeeping(tuple(p), (1 / 3,) * 3, ((0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)))
    assert list(graph.adjusted(p).values()) == pytest.approx(adjusted(list(p.values()), "holm"))


def test_a_chain_is_the_fixed_sequence():
    p = {"first": 0.01, "second": 0.04, "third": 0.02}
    graph = Gatekeeping(tuple(p), (1, 0, 0), ((0, 1, 0), (0, 0, 1), (0, 0, 0)))
    assert list(graph.adjusted(p).values()) == pytest.approx(fixed_sequence(list(p.values())))
    assert graph.rejected(p, 0.03) == {"first": True, "second": False, "third": False}


def test_a_secondary_hypothesis_waits_for_its_gate():
    graph = Gatekeeping(("primary", "secondary"), (1, 0), ((0, 1), (0, 0)))
    assert graph.adjusted({"primary": 0.2, "secondary": 0.001})["secondary"] == 0.2


@pytest.mark.parametrize(
    ("weights", "transitions"),
    [((0.7, 0.7), ((0, 1), (1, 0))), ((1, 0), ((0.5, 0.5), (0, 0))), ((1,), ((0, 1), (1, 0)))],
)
def test_what_is_no_graph_is_refused(weights, transitions):
    with pytest.raises(AnalysisError):
        Gatekeeping(("a", "b"), weights, transitions)


def test_p_values_outside_their_range_are_refused():
    with pytest.raises(AnalysisError, match=r"\[0, 1\]"):
        adjusted([0.1, 1.2], "holm")
