"""No test that is offered as confirmatory rejects more than 5 % of studies without effect.

Crossed variance of readers and cases, both with effects of their own; 4, 8 and 16 readers. The full
run with its figure is ``python -m benchmarks.calibration``.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from study.analysis.power.methods import ACCURACY_METHODS, METHODS, Method
from study.analysis.power.simulate import PowerPlan, Rate, power
from study.analysis.power.studies import ACCURACY, PRESETS, TYPICAL, Held, StudyModel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
READERS = (4, 8, 16)
CONFIRMATORY = tuple(m for m in METHODS if m.role == "confirmatory")
SURE = 0.999  # of the Monte-Carlo interval: some forty cells are judged


def rates(
    model: StudyModel, method: Method, n_studies: int, held: Held, seed: int = 11
) -> dict[int, Rate]:
    plan = PowerPlan(model, (method.id,), READERS, (60,), n_studies, seed=seed, held=held)
    return {point.n_readers: point.rate for point in power(plan)}


@pytest.mark.parametrize(("name", "model"), PRESETS)
@pytest.mark.parametrize("method", CONFIRMATORY, ids=lambda m: m.id)
def test_a_confirmatory_test_keeps_its_level(method: Method, name: str, model: StudyModel) -> None:
    assert model.reader_condition_sd > 0 and model.case_condition_sd > 0
    null = replace(model, effect=0.0)
    for n_readers, rate in rates(null, method, 2000, method.null).items():
        assert rate.interval(SURE)[0] <= 0.05, (name, n_readers, rate)


def test_the_confirmatory_comparison_of_aucs_keeps_its_level() -> None:
    null = replace(ACCURACY, effect=0.0)
    for n_readers, rate in rates(null, ACCURACY_METHODS[0], 1000, "nothing").items():
        assert rate.interval(SURE)[0] <= 0.05, (n_readers, rate)


@pytest.mark.parametrize(("name", "model"), PRESETS)
def test_the_pooled_test_rejects_far_more(name: str, model: StudyModel) -> None:
    (pooled,) = (m for m in METHODS if m.id == "pooled_signed_rank")
    null = replace(model, effect=0.0)
    for n_readers, rate in rates(null, pooled, 1000, "nothing").items():
        assert rate.interval(SURE)[0] > 0.15, (name, n_readers, rate)


@pytest.mark.parametrize("method", CONFIRMATORY, ids=lambda m: m.id)
def test_a_confirmatory_test_has_power_that_grows_with_readers(method: Method) -> None:
    found = rates(TYPICAL, method, 500, "nothing")
    assert 0.3 < found[4].value < found[8].value < found[16].value + 0.01


def test_tests_that_hold_the_cases_fixed_are_not_confirmatory_for_good_reason() -> None:
    model = replace(dict(PRESETS)["published: correct feature"], effect=0.0)
    for method in METHODS:
        if method.cases == "of the study" and not method.slow:
            assert method.role != "confirmatory"
            assert rates(model, method, 500, "nothing")[16].interval(SURE)[0] > 0.2, method.id


@pytest.mark.parametrize("method", [m for m in METHODS if m.slow], ids=lambda m: m.id)
def test_a_mixed_model_fits_every_simulated_study_and_does_not_run_wild(method: Method) -> None:
    null = replace(TYPICAL, effect=0.0)
    plan = PowerPlan(null, (method.id,), (8,), (40,), 60, seed=12, held=method.null)
    (point,) = power(plan)
    assert point.rate.interval(SURE)[0] <= 0.08, point
