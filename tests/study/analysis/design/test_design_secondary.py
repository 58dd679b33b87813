import numpy as np
import pytest

from study.analysis.design.primary import declaration_of, primary_endpoint
from study.analysis.design.secondary import PRIMARY, declared_family, gate
from study.analysis.estimate import AnalysisError
from study.analysis.multiplicity import adjusted
from study.plans import AnalysisPlan
from tests.support.simulated_readings import crossover


def plan(*secondary, **change):
    return AnalysisPlan.model_validate(
        {"primary": "confidence", "contrast": ["B", "A"], "secondary": list(secondary)} | change
    )


def family(frame, declared):
    primary = primary_endpoint(frame, declaration_of(declared), mixed_models=False)
    return declared_family(frame, declared, primary)


RATING = {"id": "true", "subset": "true_positive"}
TIME = {"id": "time", "outcome": "reading_time", "non_inferiority": 1.25}
AUC = {"id": "auc", "outcome": "auc", "non_inferiority": 0.2}
CALLS = {"id": "calls", "outcome": "specificity", "threshold": 50, "non_inferiority": 0.2}


def test_a_fixed_sequence_is_the_running_maximum():
    p = {PRIMARY: 0.01, "a": 0.04, "b": 0.02, "c": 0.2}
    got = gate(list(p), "fixed_sequence").adjusted(p)
    assert list(got.values()) == pytest.approx([0.01, 0.04, 0.04, 0.2])


def test_holm_behind_the_gate_is_holm_of_the_others_or_the_primary_if_larger():
    p = {PRIMARY: 0.03, "a": 0.004, "b": 0.02, "c": 0.2}
    got = gate(list(p), "holm").adjusted(p)
    holm = adjusted([0.004, 0.02, 0.2], "holm")
    assert list(got.values()) == pytest.approx([0.03, *np.maximum(holm, 0.03)])


def test_a_lone_primary_passes_its_gate_and_an_unknown_gate_is_refused():
    assert gate([PRIMARY], "holm").adjusted({PRIMARY: 0.04}) == {PRIMARY: 0.04}
    with pytest.raises(AnalysisError, match="no gatekeeping 'best'"):
        gate([PRIMARY, "a"], "best")


@pytest.mark.parametrize("population", ["these_readers", "readers_like_them"])
def test_every_outcome_has_an_estimate_for_the_declared_population(population):
    frame = crossover(5, 40, effect=30.0)
    declared = plan(RATING, TIME, AUC, CALLS, population=population)
    found = family(frame, declared)
    assert [r.name for r in found.results] == ["true", "time", "auc", "calls"]
    assert [r.claim for r in found.results] == ["difference"] + ["non-inferiority"] * 3
    for result in found.results[:3]:
        assert result.estimate.value is not None
        assert result.estimate.population == population.replace("_", " ")
    calls = found.results[3]  # every rating is a call: no variation
    assert calls.estimate.value == 0 or calls.estimate.note
    assert not calls.met


def test_nothing_passes_a_gate_that_stays_closed():
    frame = crossover(4, 30, effect=0.0, seed=11)
    found = family(frame, plan(TIME))
    assert not found.primary_met
    assert not found.results[0].met
    assert found.results[0].estimate.p_value < 0.05
    assert found.sentence == (
        "The primary endpoint is not met. No secondary endpoint can be claimed."
    )


def test_the_order_decides_what_can_be_claimed():
    frame = crossover(5, 40, effect=60.0)
    hopeless = {"id": "hopeless", "outcome": "reading_time"}
    first = family(frame, plan(RATING, hopeless))
    last = family(frame, plan(hopeless, RATING))
    assert [r.met for r in first.results] == [True, False]
    assert [r.met for r in last.results] == [False, False]
    assert "true can be claimed" in first.sentence


def test_an_endpoint_that_cannot_be_estimated_is_not_met_and_says_why():
    frame = crossover(3, 20, effect=60.0).drop(columns="reading_time_s")
    found = family(frame, plan(TIME, {"id": "other", "item": "feature"}))
    for result in found.results:
        assert not result.met
        assert result.p_adjusted == 1.0
        assert result.estimate.value is None
    assert "reading_time_s" in found.results[0].estimate.note
    assert "feature" in found.results[1].estimate.note
