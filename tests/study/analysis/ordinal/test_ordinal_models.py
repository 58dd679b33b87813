"""The ordinal analysis of an item: who is spoken for, and what cannot be estimated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from study.analysis.estimate import AnalysisError
from study.analysis.mixed.likelihood_ratio import LikelihoodRatio, compare_variances
from study.analysis.ordinal.models import ordinal_models
from study.analysis.ordinal.sensitivity import ordinal_sensitivity
from tests.support.ordinal_data import Truth, simulate_ratings

BA = ("B", "A")


def test_the_effect_is_that_of_the_first_condition_and_names_its_population() -> None:
    table = simulate_ratings(5, 40, 3, Truth(effect=1.0, slope_sd=0.3))
    found = ordinal_models(table, "trust", BA)
    here, beyond = found.these_readers, found.readers_like_them
    assert here.coefficient.population == "these readers"
    assert beyond.coefficient.population == "readers like them"
    assert here.coefficient.value is not None and here.coefficient.value > 0
    assert beyond.coefficient.df == 4
    assert beyond.coefficient.p_value is not None and here.coefficient.p_value is not None
    assert beyond.coefficient.p_value > here.coefficient.p_value
    assert (found.n_readers, found.n_cases, found.n_readings) == (5, 40, 400)
    turned = ordinal_models(table, "trust", ("A", "B"))
    assert turned.these_readers.coefficient.value == pytest.approx(
        -here.coefficient.value, abs=1e-5
    )


def test_shares_are_predicted_for_both_conditions() -> None:
    found = ordinal_models(simulate_ratings(4, 30, 2), "trust", BA, terms=["session"])
    (first, of_b), (second, of_a) = found.shares
    assert (first, second) == BA
    assert of_b.mean > of_a.mean
    assert of_a.probability.sum() == pytest.approx(1)


def test_further_terms_are_estimated_and_interactions_leave_the_main_effect_alone() -> None:
    table = simulate_ratings(4, 40, 5)
    plain = ordinal_models(table, "trust", BA, terms=["session", "position", "correctness"])
    crossed = ordinal_models(
        table, "trust", BA, terms=["session", "position", "correctness", "condition:session"]
    )
    assert [effect.name for effect in crossed.terms] == [
        "session 2",
        "position in the session, per 100 readings",
        "correctness true_positive",
        "condition B compared to A × session 2",
    ]
    assert crossed.these_readers == plain.these_readers
    assert all(effect.likelihood_ratio.p_value is not None for effect in crossed.terms)


def test_only_the_declared_population_becomes_confirmatory() -> None:
    table = simulate_ratings(4, 30, 1)
    found = ordinal_models(table, "trust", BA, role="confirmatory")
    assert found.readers_like_them.coefficient.role == "confirmatory"
    assert found.readers_like_them.likelihood_ratio.role == "descriptive"
    assert found.these_readers.coefficient.role == "descriptive"
    other = ordinal_models(table, "trust", BA, role="confirmatory", population="these readers")
    assert other.these_readers.coefficient.role == "confirmatory"
    assert other.readers_like_them.coefficient.role == "descriptive"


def test_one_reader_speaks_for_nobody_else() -> None:
    found = ordinal_models(simulate_ratings(1, 60, 4), "trust", BA)
    assert found.these_readers.coefficient.population == "this reader"
    assert found.these_readers.coefficient.value is not None
    assert found.readers_like_them.coefficient.value is None
    assert "One reader" in found.readers_like_them.coefficient.note


def test_two_readers_are_said_to_say_little() -> None:
    found = ordinal_models(simulate_ratings(2, 60, 4), "trust", BA)
    assert found.readers_like_them.coefficient.df == 1
    assert "2 readers say little" in found.readers_like_them.coefficient.note


def test_a_constant_rating_gives_no_number_but_a_reason() -> None:
    table = simulate_ratings(3, 10, 4).assign(value=3.0)
    found = ordinal_models(table, "trust", BA)
    assert found.these_readers.coefficient.value is None
    assert "All 60 ratings are 3" in found.these_readers.coefficient.note
    assert found.shares == ()


def test_one_constant_rater_among_others_is_no_obstacle() -> None:
    table = simulate_ratings(4, 30, 4)
    table.loc[table["reader"] == "R2", "value"] = 3.0
    found = ordinal_models(table, "trust", BA)
    assert found.these_readers.coefficient.value is not None


def test_equal_ratings_under_both_conditions_are_no_effect() -> None:
    for n_readers in (1, 4):
        table = simulate_ratings(n_readers, 25, 2)
        of_a = table[table["condition"] == "A"].set_index(["reader", "case_id"])["value"]
        pairs = list(zip(table["reader"], table["case_id"], strict=True))
        table["value"] = of_a.loc[pairs].to_numpy()
        found = ordinal_models(table, "trust", BA)
        assert found.these_readers.coefficient.value == pytest.approx(0, abs=1e-4)
        assert found.these_readers.coefficient.p_value == pytest.approx(1, abs=1e-3)
        cut = found.proportional_odds[-1]
        assert cut.value is None and "No variation" in cut.note
        if n_readers == 1:  # both ratings of a case are the same: its variance has no bound
            assert any("grows without end" in note for note in found.notes)
            assert found.standard_deviations[0].value is None


def test_a_scale_of_a_hundred_points_is_taken_in_classes_and_says_so() -> None:
    table = simulate_ratings(3, 30, 1)
    rng = np.random.default_rng(1)
    table["value"] = np.clip(20 * table["value"] - rng.integers(0, 20, len(table)), 0, 100)
    found = ordinal_models(table, "trust", BA)
    assert any("classes of about equal size" in note for note in found.notes)
    assert len(found.shares[0][1].names) <= 10
    assert found.these_readers.coefficient.value is not None
    assert found.these_readers.coefficient.value > 0


def test_a_single_rating_that_differs_is_not_an_effect() -> None:
    table = simulate_ratings(4, 20, 1)
    table["value"] = np.where(np.arange(len(table)) == 5, 2.0, 1.0)
    found = ordinal_models(table, "trust", BA)
    assert found.these_readers.coefficient.value is None
    assert found.these_readers.odds_ratio.value is None


def test_separated_conditions_are_not_estimable() -> None:
    table = simulate_ratings(3, 15, 4)
    table["value"] = np.where(table["condition"] == "B", 4.0, 1.0) + (table["position"] % 2)
    found = ordinal_models(table, "trust", BA)
    assert found.these_readers.coefficient.value is None
    assert any("separated" in note for note in found.notes)


def test_missing_ratings_and_absent_columns_are_counted_and_named() -> None:
    table = simulate_ratings(3, 20, 4)
    table.loc[:6, "value"] = np.nan
    found = ordinal_models(table, "trust", BA, terms=["expertise", "finding"])
    assert found.n_readings == 113
    assert any("7 of 120 ratings" in note for note in found.notes)
    assert any("no column 'expertise'" in note for note in found.notes)
    assert any("finding is effusion everywhere" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("item", "no ratings of an item 'clarity'"),
        ("condition", "Nobody rated 'trust' under condition 'C'"),
        ("same", "is not a pair"),
        ("twice", "more than once"),
        ("half", "A rating is 2.5"),
        ("level", "confidence level is 95"),
        ("column", "need the columns reader"),
    ],
)
def test_bad_input_is_refused_in_words(change: str, words: str) -> None:
    table = simulate_ratings(2, 8, 1)
    item = "clarity" if change == "item" else "trust"
    contrast = {"condition": ("C", "A"), "same": ("A", "A")}.get(change, BA)
    if change == "twice":
        table.loc[2] = table.loc[0]
    if change == "half":
        table.loc[2, "value"] = 2.5
    if change == "column":
        table = table.drop(columns="reader")
    with pytest.raises(AnalysisError, match=words):
        ordinal_models(table, item, contrast, ci_level=95 if change == "level" else 0.95)


def test_other_models_agree_in_sign() -> None:
    table = simulate_ratings(5, 40, 3, Truth(effect=1.0))
    found = ordinal_sensitivity(table, "trust", BA, terms=["session"])
    assert [one.population for one in found] == [
        "these readers",
        "these readers",
        "readers like them",
        "these readers",
    ]
    assert all(one.value is not None and one.value > 0 for one in found)
    alone = ordinal_sensitivity(simulate_ratings(1, 40, 3), "trust", BA)
    assert alone[2].value is None


def test_a_variance_is_tested_against_half_a_chi_squared() -> None:
    class Fit:
        def __init__(self, log_lik: float, n_parameters: int) -> None:
            self.log_lik, self.n_parameters = log_lik, n_parameters

    one: LikelihoodRatio = compare_variances(Fit(-10.0, 5), Fit(-11.5, 4))
    assert one.p_value == pytest.approx(stats.chi2.sf(3.0, 1) / 2)
    two = compare_variances(Fit(-10.0, 6), Fit(-11.5, 4))
    assert two.p_value == pytest.approx((stats.chi2.sf(3.0, 1) + stats.chi2.sf(3.0, 2)) / 2)
    none = compare_variances(Fit(-10.0, 5), Fit(-10.0, 4))
    assert none.p_value == 1.0
