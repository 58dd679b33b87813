"""Power: the simulated tests are the reported ones, formulas agree, runs can be stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from commands.power import command, model_of
from commands.power_parts import line_of, plan_key, read_parts, usable
from study.analysis.clustered_rank import cluster_sign_flip, rosner_glynn_lee
from study.analysis.crossed_mean import crossed_mean_difference, crossed_means
from study.analysis.estimate import AnalysisError, Scope
from study.analysis.guarded import guarded_test
from study.analysis.mrmc.obuchowski_rockette import components, global_test
from study.analysis.paired import mean_difference, mean_difference_over_readers
from study.analysis.power import batch_tests
from study.analysis.power.forms import (
    closed_form,
    difference_moments,
    floor_of_error,
    pairs_needed,
    power_ceiling,
    standard_error,
)
from study.analysis.power.methods import METHODS, method_of
from study.analysis.power.simulate import (
    Part,
    PowerPlan,
    Rate,
    power,
    run_parts,
    sample_size,
    summarise,
)
from study.analysis.power.studies import ACCURACY, PRESETS, TYPICAL, StudyModel, simulate_studies
from study.analysis.power.table import power_figure, power_table
from study.analysis.signed_rank import signed_rank

SCOPE = Scope("readers like them", "descriptive", 5, 30)
PLAN = PowerPlan(TYPICAL, ("mean_readers_cases", "pooled_signed_rank"), (4, 8), (20, 40), 100)


def differences(missing: float, seed: int = 3) -> NDArray[np.float64]:
    model = replace(TYPICAL, missing=missing)
    return simulate_studies(model, 5, 30, 12, np.random.default_rng(seed)).differences.astype(float)


Reported = Callable[[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]], float | None]


def _case_means(d: NDArray[np.float64], _: object, case: NDArray[np.intp]) -> float | None:
    return signed_rank([d[case == c].mean() for c in np.unique(case)]).p_value


REPORTED: dict[str, Reported] = {
    "pooled_signed_rank": lambda d, r, c: signed_rank(d).p_value,
    "signed_rank_by_case": lambda d, r, c: rosner_glynn_lee(d, c).p_value(),
    "signed_rank_by_reader": lambda d, r, c: rosner_glynn_lee(d, r).p_value(),
    "signed_rank_case_means": _case_means,
    "reader_sign_flip": lambda d, r, c: cluster_sign_flip(d, r, SCOPE, cluster="reader").p_value,
    "mean_by_case": lambda d, r, c: mean_difference(d, c, SCOPE).p_value,
    "mean_over_readers": lambda d, r, c: mean_difference_over_readers(d, r, SCOPE).p_value,
    "mean_readers_cases": lambda d, r, c: crossed_mean_difference(d, r, c, SCOPE).p_value,
}


@pytest.mark.parametrize("missing", [0.0, 0.15])
@pytest.mark.parametrize("name", sorted(REPORTED))
def test_the_simulated_test_is_the_reported_one(name: str, missing: float) -> None:
    model = replace(TYPICAL, missing=missing)
    studies = simulate_studies(model, 5, 30, 12, np.random.default_rng(3))
    found = method_of(name).test(studies)
    reader, case = np.indices((5, 30))
    for study, p in zip(studies.differences.astype(float), found, strict=True):
        there = np.isfinite(study)
        assert p == pytest.approx(REPORTED[name](study[there], reader[there], case[there]))


def test_every_fast_method_is_compared_with_its_report() -> None:
    assert set(REPORTED) == {m.id for m in METHODS if not m.slow}


def test_batches_without_any_difference_reject_nothing() -> None:
    still = np.zeros((2, 3, 6))
    for name in REPORTED:
        p = {
            "signed_rank_by_case": lambda d: batch_tests.clustered_signed_rank(d, "case"),
            "signed_rank_by_reader": lambda d: batch_tests.clustered_signed_rank(d, "reader"),
            "signed_rank_case_means": batch_tests.signed_rank_of_case_means,
            "mean_readers_cases": batch_tests.mean_over_readers_and_cases,
        }.get(name) or getattr(batch_tests, name)
        assert (p(still) == 1).all(), name


def test_the_crossed_mean_is_the_analysis_of_obuchowski_and_rockette() -> None:
    model = replace(TYPICAL, reader_condition_sd=0.9, effect=0.2)
    ratings = simulate_studies(model, 6, 40, 8, np.random.default_rng(2)).ratings.astype(float)
    for study in ratings:
        flat = study.reshape(12, 40)
        covariance = np.cov(flat) / 40
        parts = components(study.mean(axis=2), covariance)
        means = crossed_means((study[0] - study[1])[None])
        guarded = guarded_test(parts)
        assert guarded.statistic == pytest.approx(
            float(means.mean[0] / means.standard_error[0]) ** 2
        )
        published = global_test(parts)
        if parts.interaction > 0:
            assert guarded == published


def test_a_small_mean_square_of_readers_cannot_shrink_the_guarded_denominator() -> None:
    theta = np.array([[0.80, 0.81, 0.82, 0.83], [0.78, 0.79, 0.80, 0.81]])  # readers agree exactly
    covariance = np.full((8, 8), 1e-4) + np.eye(8) * 3e-4
    parts = components(theta, covariance)
    assert parts.ms_interaction == pytest.approx(0, abs=1e-12)
    guarded = guarded_test(parts)
    assert guarded.statistic == pytest.approx(parts.ms_condition / 3e-4)
    assert guarded.df2 == pytest.approx(3)
    with pytest.raises(AnalysisError, match="one reader"):
        guarded_test(components(theta[:, :1], covariance[:2, :2]))


def test_one_reader_or_no_variation_is_said_and_not_computed() -> None:
    one = crossed_mean_difference([1.0, 0.0], ["a", "a"], ["x", "y"], SCOPE)
    assert one.value is None and "One reader" in one.note
    same = crossed_mean_difference([1.0] * 4, list("aabb"), list("xyxy"), SCOPE)
    assert same.value == 1 and same.p_value is None and same.ci is None
    with pytest.raises(AnalysisError, match="several differences"):
        crossed_mean_difference([1, 0, 1, 1], list("aabb"), list("xxyy"), SCOPE)
    with pytest.raises(AnalysisError):
        crossed_means(np.zeros((3, 1, 4)))


@pytest.mark.parametrize(("name", "model"), PRESETS)
def test_moments_by_formula_are_those_of_simulated_differences(
    name: str, model: StudyModel
) -> None:
    moments = difference_moments(model)
    d = simulate_studies(model, 16, 20, 1500, np.random.default_rng(4)).differences.astype(float)
    error = d - d.mean()
    by_reader = ((error.sum(axis=2) ** 2).sum() - (error**2).sum()) / (d.size * 19)
    by_case = ((error.sum(axis=1) ** 2).sum() - (error**2).sum()) / (d.size * 15)
    assert d.var() == pytest.approx(moments.variance, rel=0.02)
    assert by_reader == pytest.approx(moments.reader_variance, abs=0.006), name
    assert by_case == pytest.approx(moments.case_variance, abs=0.02), name
    assert (d == 0).mean() == pytest.approx(moments.zero_share, abs=0.01)


def test_formula_and_simulation_agree_for_readers_and_cases() -> None:
    model = replace(TYPICAL, effect=0.2)
    plan = PowerPlan(model, ("mean_readers_cases",), (8, 12), (60, 120), 1000)
    moments = difference_moments(model)
    for point in power(plan):
        form = closed_form(moments, point.method, point.n_readers, point.n_cases)
        assert form is not None
        assert point.rate.value == pytest.approx(form.power, abs=0.05)
        assert form.power <= form.ceiling


def test_formula_and_simulation_agree_for_these_readers_however_large_the_study() -> None:
    plan = PowerPlan(TYPICAL, ("mean_by_case",), (4, 8), (20, 40, 240), 1000)
    moments = difference_moments(TYPICAL)
    for point in power(plan):
        form = closed_form(moments, point.method, point.n_readers, point.n_cases)
        assert form is not None and form.ceiling == 1
        assert point.rate.value == pytest.approx(form.power, abs=0.04)


def test_the_variance_between_readers_sets_a_floor_that_cases_cannot_beat() -> None:
    moments = difference_moments(TYPICAL)
    assert standard_error(moments, 4, 10**9) == pytest.approx(floor_of_error(moments, 4))
    assert floor_of_error(moments, 16) == pytest.approx(floor_of_error(moments, 4) / 2)
    ceilings = [power_ceiling(moments, n) for n in (3, 4, 8, 16)]
    assert ceilings == sorted(ceilings) and ceilings[0] < 0.4
    alike = difference_moments(replace(TYPICAL, reader_condition_sd=0.0))
    assert power_ceiling(alike, 3) == 1.0


def test_pairs_by_noether_fall_with_the_effect() -> None:
    needed = [pairs_needed(difference_moments(replace(TYPICAL, effect=e))) for e in (0.2, 0.5)]
    assert needed[0] is not None and needed[1] is not None and needed[0] > needed[1] > 5
    assert pairs_needed(difference_moments(replace(TYPICAL, effect=0.0))) is None


def test_closed_forms_say_where_there_is_none() -> None:
    moments = difference_moments(TYPICAL)
    assert closed_form(moments, "reader_sign_flip", 4, 40) is None
    with pytest.raises(AnalysisError):
        difference_moments(ACCURACY)
    with pytest.raises(AnalysisError):
        difference_moments(replace(TYPICAL, cuts=tuple(np.linspace(-2, 2, 40))))


def test_a_run_that_was_stopped_and_resumed_gives_the_same_numbers() -> None:
    whole = power(PLAN)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    first = list(run_parts(PLAN, stop=stop))
    assert len(first) == 3
    rest = list(run_parts(PLAN, done=[r.part for r in first]))
    assert summarise(PLAN, [*first, *rest]) == whole


def test_progress_counts_parts_and_starts_where_the_last_run_ended() -> None:
    said: list[tuple[int, int]] = []
    done = PLAN.parts[:2]
    list(run_parts(PLAN, done=done, on_progress=lambda *counts: said.append(counts)))
    assert said == [(k, 8) for k in range(2, 9)]


def test_more_studies_extend_a_run() -> None:
    longer = replace(PLAN, n_studies=150)
    assert set(PLAN.parts) < set(longer.parts)
    assert longer.parts[: len(PLAN.parts)] == PLAN.parts


def test_power_rises_with_readers_and_pooling_always_claims_more() -> None:
    rates = {(p.method, p.n_readers, p.n_cases): p.rate.value for p in power(PLAN)}
    assert rates["mean_readers_cases", 8, 40] > rates["mean_readers_cases", 4, 40]
    for size in ((4, 20), (8, 20), (4, 40), (8, 40)):
        assert rates["pooled_signed_rank", *size] > rates["mean_readers_cases", *size]


def test_the_monte_carlo_interval_is_wilsons() -> None:
    low, high = Rate(5, 100).interval()
    assert (low, high) == (pytest.approx(0.0215, abs=1e-3), pytest.approx(0.1118, abs=1e-3))
    assert Rate(0, 50).interval()[0] == 0


def test_a_sample_size_is_the_fewest_cases_that_reach_the_power() -> None:
    plan = PowerPlan(TYPICAL, ("mean_readers_cases",), (12,), tuple(range(10, 110, 10)), 200)
    found = sample_size(plan)
    assert found.n_cases is not None and found.point is not None
    assert found.point.rate.value >= 0.8
    if found.n_cases > 10:
        (less,) = power(replace(plan, cases=(found.n_cases - 10,)))
        assert less.rate.value < 0.8


def test_a_power_above_the_ceiling_has_no_sample_size() -> None:
    found = sample_size(PowerPlan(TYPICAL, ("mean_readers_cases",), (3,), (20, 400), 100))
    assert found.n_cases is None and "plan more readers" in found.note
    assert sample_size(found_plan(), stop=lambda: True).n_cases is None


def found_plan() -> PowerPlan:
    return PowerPlan(TYPICAL, ("mean_readers_cases",), (8,), (20, 40), 50)


@pytest.mark.parametrize(
    "change",
    [
        {"readers": (1,)},
        {"cases": (4,)},
        {"n_studies": 0},
        {"alpha": 1.0},
        {"seed": -1},
        {"methods": ("nonsense",)},
        {"methods": ()},
        {"methods": ("auc",)},
        {"methods": ("reader_sign_flip",), "readers": (20,)},
    ],
)
def test_a_plan_out_of_range_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(AnalysisError):
        replace(PLAN, **change)


def test_models_are_fitted_to_simulated_studies_and_reject_a_large_effect() -> None:
    model = replace(TYPICAL, effect=2.5)
    studies = simulate_studies(model, 5, 14, 2, np.random.default_rng(1))
    for method in METHODS:
        if method.slow:
            p = method.test(studies)
            assert p.shape == (2,) and (p < 0.05).all(), method.id


def test_the_table_names_population_and_role_and_the_figure_has_axes() -> None:
    table = power_table(PLAN, power(replace(PLAN, n_studies=50)))
    assert set(table["role"]) == {"confirmatory", "warning"}
    assert (table["low"] <= table["power"]).all() and (table["power"] <= table["high"]).all()
    assert (table["floor"] < table["standard_error"]).all()
    figure = power_figure(table, "mean_readers_cases")
    assert "Cases" in figure.layout.xaxis.title.text and "Power" in figure.layout.yaxis.title.text
    assert "readers like them" in figure.layout.title.text
    assert sum(trace.error_y.array is not None for trace in figure.data) == 2


def test_the_command_writes_a_table_and_goes_on_from_what_is_done(tmp_path: Path) -> None:
    out = tmp_path / "power.csv"
    words = ["--readers", "4", "--cases", "20,30", "--studies", "100", "--out", str(out)]
    first = CliRunner().invoke(command, words)
    assert first.exit_code == 0, first.output
    assert "Speaks for: readers like them, cases like the study's" in first.output
    text, parts = out.read_bytes(), out.with_suffix(".parts.jsonl")
    lines = parts.read_text().splitlines()
    assert len(lines) == 4
    parts.write_text("\n".join(lines[:2]) + "\n{torn")
    again = CliRunner().invoke(command, words)
    assert again.exit_code == 0 and out.read_bytes() == text


def test_the_command_finds_the_fewest_cases_or_says_that_there_are_none() -> None:
    words = ["--readers", "3,12", "--cases", "60", "--studies", "100", "--target", "0.8"]
    result = CliRunner().invoke(command, [*words, "--method", "mean_readers_cases"])
    assert result.exit_code == 0, result.output
    assert "3 readers, power 0.8: Even 60 cases give a power of" in result.output
    assert "12 readers, power 0.8: " in result.output and result.output.rstrip()[-6:] == "cases."


@pytest.mark.parametrize(
    "words", [["--readers", "four"], ["--cases", "2.5"], ["--readers", ""], ["--cuts", "1,0"]]
)
def test_the_command_refuses_what_is_no_number(words: list[str]) -> None:
    result = CliRunner().invoke(command, words)
    assert isinstance(result.exception, AnalysisError)


def test_the_file_of_parts_keeps_plans_apart(tmp_path: Path) -> None:
    file = tmp_path / "parts.jsonl"
    (result,) = run_parts(replace(PLAN, readers=(4,), cases=(20,), n_studies=50))
    file.write_text(line_of(plan_key(PLAN), result) + "[]\n" + line_of("other", result))
    found = read_parts(file)
    assert found[plan_key(PLAN)] == [result] and set(found) == {plan_key(PLAN), "other"}
    assert usable(PLAN, [result]) == [result]
    assert usable(replace(PLAN, n_studies=20), [result]) == []
    assert result.part == Part(4, 20, 0)
    changed = replace(PLAN, model=model_of("typical", None, {"effect": 0.1}))
    assert plan_key(changed) != plan_key(PLAN)
