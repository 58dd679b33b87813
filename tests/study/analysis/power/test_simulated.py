"""Simulated studies have the variances, shares and nulls that their model states."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from study.analysis.columns import canonicalise
from study.analysis.estimate import AnalysisError
from study.analysis.paired import paired_differences
from study.analysis.power.studies import (
    ACCURACY,
    PRESETS,
    PUBLISHED_CONFIDENCE,
    TYPICAL,
    StudyModel,
    simulate_studies,
)

NULL = replace(TYPICAL, effect=0.0)


def drawn(model: StudyModel, *sizes: int, seed: int = 1, **more: str) -> np.ndarray:
    dice = np.random.default_rng(seed)
    return simulate_studies(model, *sizes, dice, **more).differences.astype(float)


def test_the_same_seed_gives_the_same_studies() -> None:
    assert np.array_equal(drawn(TYPICAL, 3, 8, 4), drawn(TYPICAL, 3, 8, 4))
    assert not np.array_equal(drawn(TYPICAL, 3, 8, 4), drawn(TYPICAL, 3, 8, 4, seed=2))


@pytest.mark.parametrize(("name", "model"), PRESETS)
def test_the_mean_difference_is_the_one_stated(name: str, model: StudyModel) -> None:
    means = drawn(model, 10, 20, 1500).mean(axis=(1, 2))
    error = means.std() / math.sqrt(len(means))
    assert means.mean() == pytest.approx(model.expected_difference(), abs=4 * error), name


def test_marginal_shares_follow_the_cut_points() -> None:
    model = replace(PUBLISHED_CONFIDENCE, effect=0.0)
    studies = simulate_studies(model, 10, 30, 500, np.random.default_rng(3))
    for level, cut in enumerate(model.cuts, start=1):
        below = 0.5 * math.erfc(-cut / model.marginal_sd / math.sqrt(2))
        assert (studies.ratings <= level).mean() == pytest.approx(below, abs=0.01)


def test_exchanging_the_conditions_changes_nothing_under_no_effect() -> None:
    d = drawn(NULL, 6, 30, 2000)
    assert abs(d.mean()) < 4 * d.mean(axis=(1, 2)).std() / math.sqrt(2000)
    shares = [(d == k).mean() - (d == -k).mean() for k in range(1, 5)]
    assert np.abs(shares).max() < 0.01


@pytest.mark.parametrize("held", ["readers", "cases"])
def test_what_is_held_leaves_the_mean_without_its_variance(held: str) -> None:
    model = replace(NULL, reader_condition_sd=0.6, case_condition_sd=0.6)
    free = drawn(model, 6, 40, 1500).mean(axis=(1, 2))
    kept = drawn(model, 6, 40, 1500, held=held).mean(axis=(1, 2))
    assert kept.std() < free.std()
    assert abs(kept.mean()) < 4 * kept.std() / math.sqrt(1500)


def test_holding_readers_shows_them_the_stated_effect_exactly() -> None:
    model = replace(TYPICAL, reader_condition_sd=1.0, case_condition_sd=0.0)
    d = drawn(model, 2, 2000, 40, held="readers").mean(axis=(1, 2))
    assert d == pytest.approx(np.full(40, model.expected_difference()), abs=0.12)


def test_readings_of_the_second_session_move_by_the_period() -> None:
    model = replace(NULL, period=0.8)
    studies = simulate_studies(model, 4, 40, 300, np.random.default_rng(5))
    second = studies.ratings[:, studies.second_session].mean()
    first = studies.ratings[:, ~studies.second_session].mean()
    assert second - first > 0.4
    assert studies.second_session.mean() == 0.5
    assert abs(studies.differences.mean()) < 0.02


def test_the_share_of_missing_ratings_is_the_one_stated() -> None:
    studies = simulate_studies(replace(TYPICAL, missing=0.2), 5, 40, 50, np.random.default_rng(6))
    assert np.isnan(studies.ratings).mean() == pytest.approx(0.2, abs=0.01)
    table = studies.table(0)
    assert len(table) == np.isfinite(studies.ratings[0]).sum()
    assert table["value"].notna().all()


def test_a_study_is_a_table_that_the_analysis_reads() -> None:
    studies = simulate_studies(TYPICAL, 3, 10, 2, np.random.default_rng(7))
    ratings = canonicalise(studies.table(1))
    pairs = paired_differences(ratings.frame, item=ratings.items[0], contrast=("B", "A"))
    assert len(pairs.frame) == 30
    assert pairs.frame["difference"].mean() == pytest.approx(float(studies.differences[1].mean()))


def test_accuracy_studies_have_two_classes_and_a_higher_auc_with_the_effect() -> None:
    studies = simulate_studies(ACCURACY, 3, 40, 100, np.random.default_rng(8))
    assert studies.positive.sum() == 20
    gap = studies.ratings[..., studies.positive].mean(axis=(0, 2, 3)) - studies.ratings[
        ..., ~studies.positive
    ].mean(axis=(0, 2, 3))
    assert gap[0] > gap[1] > 1


@pytest.mark.parametrize(
    "change",
    [
        {"reader_sd": -0.1},
        {"case_sd": math.nan},
        {"residual_sd": 0.0},
        {"effect": math.inf},
        {"missing": 1.0},
        {"cuts": (0.0, 0.0)},
        {"cuts": ()},
        {"separation": math.inf},
    ],
)
def test_a_model_out_of_range_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(AnalysisError):
        replace(TYPICAL, **change)


@pytest.mark.parametrize(
    ("model", "sizes", "held"),
    [
        (TYPICAL, (0, 10, 1), "nothing"),
        (TYPICAL, (2, 1, 1), "nothing"),
        (TYPICAL, (64, 2000, 10_000), "nothing"),
        (ACCURACY, (2, 10, 1), "readers"),
    ],
)
def test_studies_that_cannot_be_drawn_are_refused(
    model: StudyModel, sizes: tuple[int, int, int], held: str
) -> None:
    with pytest.raises(AnalysisError):
        simulate_studies(model, *sizes, np.random.default_rng(1), held=held)
