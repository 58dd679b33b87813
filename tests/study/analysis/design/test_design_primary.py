from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from study.analysis.design.per_reader import per_reader
from study.analysis.design.primary import (
    SUITED,
    Declaration,
    declaration_of,
    primary_endpoint,
)
from study.analysis.estimate import AnalysisError
from tests.support.simulated_readings import crossover, likert

SMALL = {
    "A": [[1, 2, 3, 2, 4, 3], [2, 2, 2, 3, 3, 1], [3, 2, 4, 2, 2, 5]],
    "B": [[2, 2, 4, 3, 4, 5], [2, 3, 2, 4, 2, 2], [4, 4, 4, 2, 3, 5]],
}
CONTRAST = ("B", "A")


def declared(**change):
    return Declaration(**{"item": "confidence", "contrast": CONTRAST} | change)


def differences(values=SMALL):
    return np.array(values["B"], float) - np.array(values["A"], float)


def test_for_these_readers_the_default_is_the_t_interval_of_the_case_means():
    result = primary_endpoint(likert(SMALL), declared(), mixed_models=False)
    by_hand = stats.ttest_1samp(differences().mean(axis=0), 0.0)
    assert result.estimate.p_value == pytest.approx(by_hand.pvalue, rel=1e-9)
    assert result.estimate.ci == pytest.approx(tuple(by_hand.confidence_interval()), rel=1e-9)
    assert (result.estimate.population, result.estimate.role) == ("these readers", "confirmatory")
    assert (result.n_pairs, result.n_incomplete) == (18, 0)


def test_for_readers_like_them_the_default_draws_readers_and_cases():
    result = primary_endpoint(
        likert(SMALL), declared(population="readers like them", alpha=0.1), mixed_models=False
    )
    d = differences()  # (readers, cases)
    r, c = d.shape
    readers, cases, mean = d.mean(axis=1), d.mean(axis=0), d.mean()
    rest = d - readers[:, None] - cases[None] + mean
    mse = (rest**2).sum() / ((r - 1) * (c - 1))
    a = max(c * readers.var(ddof=1), mse)
    b = max(r * cases.var(ddof=1) - mse, 0.0)
    df = (a + b) ** 2 / (a**2 / (r - 1) + b**2 / (c - 1))
    t = mean / np.sqrt((a + b) / (r * c))
    assert result.estimate.p_value == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-9)
    assert result.estimate.df == pytest.approx(df)
    assert result.estimate.ci_level == pytest.approx(0.9)
    assert result.estimate.population == "readers like them"
    over_readers = stats.ttest_1samp(readers, 0.0)  # beside it, as description
    assert over_readers.pvalue in [pytest.approx(e.p_value) for e in result.sensitivity]


@pytest.mark.parametrize(
    ("population", "method"), [(p, m) for p, methods in SUITED.items() for m in methods]
)
def test_every_declared_method_gives_the_one_confirmatory_estimate(population, method):
    result = primary_endpoint(
        likert(SMALL), declared(population=population, method=method), mixed_models=False
    )
    assert result.estimate.value is not None
    assert (result.estimate.role, result.estimate.population) == ("confirmatory", population)
    assert all(other.role != "confirmatory" for other in result.sensitivity)
    assert {other.population for other in result.sensitivity} >= set(SUITED)


def test_the_pooled_test_is_a_warning_and_says_so():
    result = primary_endpoint(likert(SMALL), declared(), mixed_models=False)
    pooled = result.sensitivity[-1]
    assert (pooled.role, pooled.population) == ("warning", "independent readings")
    assert "treats readings as independent" in pooled.note


def test_a_simulated_effect_is_recovered_for_both_populations():
    frame = crossover(6, 40, effect=25.0, seed=4)
    result = primary_endpoint(frame, declared(), mixed_models=True)
    linear = [
        e
        for e in (result.estimate, *result.sensitivity)
        if e.quantity.startswith(("mean difference", "points"))
    ]
    assert len(linear) == 5
    for estimate in linear:
        assert estimate.ci[0] < 25.0 < estimate.ci[1]
    assert result.estimate.p_value < 1e-6


def test_the_choice_of_method_does_not_depend_on_the_numbers():
    up, down = crossover(4, 30, effect=40.0), crossover(4, 30, effect=0.0)
    methods = [
        primary_endpoint(frame, declared(), mixed_models=False).estimate.method
        for frame in (up, down)
    ]
    assert methods[0] == methods[1]


@pytest.mark.parametrize(
    ("shift", "margin", "words"),
    [
        (0.0, 2.0, "no difference that would matter."),
        (0.4, 3.0, "a difference, but a small one"),
        (3.0, 1.0, "a difference that matters"),
        (0.6, 0.5, "excludes 0, but not differences smaller"),
        (0.0, 0.05, "leaves open"),
    ],
)
def test_the_interval_is_compared_with_the_margin(shift, margin, words):
    rng = np.random.default_rng(2)
    base = rng.integers(3, 6, (3, 30))
    moved = base + np.rint(shift + rng.normal(0, 0.6, base.shape))
    frame = likert({"A": base.tolist(), "B": moved.tolist()})
    result = primary_endpoint(frame, declared(margin=margin), mixed_models=False)
    assert words in result.against_margin


def test_a_margin_in_points_is_not_held_against_log_odds():
    plan = declared(method="clustered_signed_rank", margin=0.5)
    result = primary_endpoint(likert(SMALL), plan, mixed_models=False)
    assert "cannot be compared" in result.against_margin


def test_one_reader_speaks_for_itself_and_not_for_readers_like_them():
    one = likert({name: values[:1] for name, values in SMALL.items()})
    these = primary_endpoint(one, declared())
    assert these.estimate.population == "this reader"
    like = primary_endpoint(one, declared(population="readers like them"), mixed_models=False)
    assert like.estimate.value is None
    assert "One reader" in like.estimate.note


def test_ratings_that_never_differ_give_a_mean_of_zero_and_say_why_there_is_no_interval():
    frame = likert({"A": SMALL["A"], "B": SMALL["A"]})
    result = primary_endpoint(frame, declared(), mixed_models=False)
    assert (result.estimate.value, result.estimate.ci) == (0.0, None)
    assert "no variation" in result.estimate.note
    assert all(e.value is not None or e.note for e in result.sensitivity)


def test_a_constant_rater_gives_reasons_instead_of_models():
    frame = likert({name: [[3] * 5] * 2 for name in "AB"})
    result = primary_endpoint(frame, declared())
    assert (result.estimate.value, result.estimate.p_value) == (0.0, None)
    assert result.estimate.note
    without = [e for e in result.sensitivity if e.value is None]
    assert len(without) >= 2 and all(e.note for e in without)


@pytest.mark.parametrize("method", ["ordinal_mixed_model", "mean_over_readers"])
def test_a_method_that_did_not_keep_its_level_cannot_be_declared(method):
    with pytest.raises(AnalysisError, match="cannot speak for"):
        declared(method=method, population="readers like them")


def test_missing_cells_are_left_out_of_the_pairs_and_counted():
    holes = {"A": SMALL["A"], "B": [[np.nan, *SMALL["B"][0][1:]], *SMALL["B"][1:]]}
    result = primary_endpoint(likert(holes), declared(), mixed_models=False)
    assert (result.n_pairs, result.n_incomplete) == (17, 1)


def parallel(values):
    frame = likert({"A": values["A"]})
    other = likert({"B": values["B"]})
    other["reader"] = "s" + other["reader"]
    return pd.concat([frame, other], ignore_index=True)


def test_groups_of_readers_are_compared_by_welch_and_speak_for_readers_like_them_only():
    frame = parallel(SMALL)
    like = primary_endpoint(frame, declared(population="readers like them"))
    means = [np.mean(SMALL[name], axis=1) for name in CONTRAST]
    by_hand = stats.ttest_ind(*means, equal_var=False)
    assert like.estimate.p_value == pytest.approx(by_hand.pvalue)
    these = primary_endpoint(frame, declared())
    assert these.estimate.value is None
    assert "between groups of readers" in these.estimate.note
    assert these.sensitivity[0].p_value == pytest.approx(by_hand.pvalue)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"item": "trust"}, "no ratings of an item 'trust'; the table rates confidence"),
        ({"contrast": ("C", "A")}, "under condition 'C'; there are under A, B"),
        ({"subset": "false_positive"}, "in the subset 'false_positive'"),
        ({"subset": "some"}, "expected 'all' or one of"),
    ],
)
def test_what_is_not_there_is_named(change, words):
    with pytest.raises(AnalysisError, match=words):
        primary_endpoint(likert(SMALL), declared(**change))


def test_a_reading_that_occurs_twice_is_named():
    frame = likert(SMALL)
    with pytest.raises(AnalysisError, match="two readings by reader r1 of case c1"):
        primary_endpoint(pd.concat([frame, frame.iloc[:1]]), declared())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alpha": 1.5}, "alpha is 1.5"),
        ({"margin": -1.0}, "margin is -1.0"),
        ({"population": "independent readings"}, "cannot speak for 'independent readings'"),
        ({"method": "mean_over_readers_and_cases"}, "cannot speak for these readers"),
        (
            {"population": "readers like them", "method": "mean_difference_by_case"},
            "cannot speak for readers like them",
        ),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(change, words):
    with pytest.raises(AnalysisError, match=words):
        declared(**change)


def test_the_declaration_is_that_of_the_plan():
    plan = SimpleNamespace(
        primary="confidence",
        contrast=CONTRAST,
        subset="true_positive",
        alpha=0.01,
        population="readers_like_them",
        primary_method="mean_over_readers_and_cases",
        margin=0.5,
    )
    made = declaration_of(plan)
    assert (made.population, made.resolved, made.alpha) == (
        "readers like them",
        "mean_over_readers_and_cases",
        0.01,
    )


def test_every_reader_has_a_result_and_is_left_out_once():
    readers = per_reader(likert(SMALL), declared())
    assert [each.reader for each in readers.by_reader] == ["r1", "r2", "r3"]
    d = differences()
    for k, each in enumerate(readers.by_reader):
        assert each.mean_difference.value == pytest.approx(d[k].mean())
        assert (each.n_up, each.n_down, each.n_zero) == (
            (d[k] > 0).sum(),
            (d[k] < 0).sum(),
            (d[k] == 0).sum(),
        )
        assert each.mean_difference.population == "this reader"
        assert "exact" in each.signed_rank.method
    for k, left in enumerate(readers.without):
        assert left.estimate.value == pytest.approx(np.delete(d, k, axis=0).mean())
        assert left.estimate.role == "descriptive"


def test_a_single_reader_who_makes_the_whole_gain_is_noticed():
    rng = np.random.default_rng(0)
    base = rng.integers(1, 4, (3, 40))
    moved = base + np.vstack([np.tile([-1, 0, 0, 1], (2, 10)), rng.integers(1, 3, (1, 40))])
    readers = per_reader(likert({"A": base.tolist(), "B": moved.tolist()}), declared())
    assert "depends on a single reader" in readers.sentence


def test_one_reader_cannot_be_left_out():
    readers = per_reader(likert({k: v[:1] for k, v in SMALL.items()}), declared())
    assert readers.without == ()
    assert readers.notes == ("One reader: nobody can be left out.",)
