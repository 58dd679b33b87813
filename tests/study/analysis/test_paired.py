import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from study.analysis.columns import canonicalise
from study.analysis.estimate import AnalysisError, Scope
from study.analysis.paired import (
    NoPairs,
    case_means,
    mean_difference,
    mean_difference_over_readers,
    paired_differences,
    paired_t,
    standard_deviations,
    unpaired_rank_test,
)
from study.analysis.signed_rank import rank_biserial, signed_rank

# Cross- minus self-fertilised maize, eighths of an inch (Darwin 1876; Fisher 1935, section 17).
DARWIN = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)
TIES_AND_ZEROS = (1, 1, -1, 2, 0, 0)
SCOPE = Scope("these readers", "descriptive", 2, 3)


def _normal_p(z: float) -> float:
    return math.erfc(abs(z) / math.sqrt(2))


def ratings(rows):
    """Return canonical ratings from (reader, case, condition, value)."""
    frame = pd.DataFrame(rows, columns=["reader", "case_id", "condition", "value"])
    return canonicalise(frame.assign(finding="Mass", item="confidence")).frame


def test_the_maize_data_of_fisher_give_the_textbook_rank_sums():
    result = signed_rank(DARWIN)
    assert (result.w_plus, result.w_minus, result.statistic) == (96, 24, 24)
    assert result.p_value == pytest.approx(_normal_p(-36 / math.sqrt(310)), abs=1e-12)


# By hand. Dropped: ranks 2 2 2 4, variance 7.5 − 24/48. Pratt: ranks 4 4 4 6, mean (42 − 6)/4,
# variance 516/24 − 24/48. Split: half of the zeros' ranks 1.5 1.5 to either side, mean 42/4,
# variance 546/24 − (24 + 6)/48.
@pytest.mark.parametrize(
    ("zero_method", "w_plus", "w_minus", "mean", "variance"),
    [
        ("wilcox", 8.0, 2.0, 5.0, 7.0),
        ("pratt", 14.0, 4.0, 9.0, 21.0),
        ("zsplit", 15.5, 5.5, 10.5, 22.125),
    ],
)
@pytest.mark.parametrize("correction", [False, True])
def test_ties_and_zeros_are_handled_as_computed_by_hand(
    zero_method, w_plus, w_minus, mean, variance, correction
):
    result = signed_rank(TIES_AND_ZEROS, zero_method=zero_method, correction=correction)
    assert (result.w_plus, result.w_minus, result.n, result.n_nonzero) == (w_plus, w_minus, 6, 4)
    distance = abs(w_minus - mean) - (0.5 if correction else 0.0)
    assert result.p_value == pytest.approx(_normal_p(distance / math.sqrt(variance)), abs=1e-12)


def test_the_sides_of_a_one_sided_test_add_up_to_one():
    greater = signed_rank(DARWIN, alternative="greater").p_value
    less = signed_rank(DARWIN, alternative="less").p_value
    assert greater + less == pytest.approx(1.0, abs=1e-12)
    assert greater < less


def test_exchanging_the_conditions_changes_the_sign_of_the_effect_and_nothing_else():
    forth, back = signed_rank(DARWIN), signed_rank([-d for d in DARWIN])
    assert (forth.statistic, forth.p_value) == (back.statistic, back.p_value)
    assert rank_biserial(DARWIN, SCOPE).value == -rank_biserial([-d for d in DARWIN], SCOPE).value


def test_the_test_names_every_choice_that_changes_its_number():
    text = signed_rank(DARWIN, zero_method="pratt", correction=True, alternative="greater").method
    for words in ("Pratt", "continuity correction", "normal approximation", "one-sided (greater)"):
        assert words in text


def test_differences_of_zero_alone_give_no_test_and_a_reason():
    result = signed_rank([0, 0, 0])
    assert result.statistic is None
    assert result.p_value is None
    estimate = result.to_estimate(SCOPE)
    assert estimate.value is None
    assert estimate.note == "All 3 differences are 0: nothing to rank."
    assert rank_biserial([0, 0, 0], SCOPE).value is None


def test_few_differences_are_tested_with_a_caution():
    assert "rough" in signed_rank([1, 2, -1]).note
    assert signed_rank(DARWIN).note == ""


def test_averages_that_differ_by_rounding_only_are_tied():
    tied = signed_rank([0.1 + 0.2, -0.3, 1.0])
    assert (tied.w_plus, tied.w_minus) == (4.5, 1.5)


def test_the_rank_biserial_correlation_is_the_difference_of_rank_shares():
    assert rank_biserial(TIES_AND_ZEROS, SCOPE).value == pytest.approx((8 - 2) / 10)
    assert rank_biserial([1, 2, 3], SCOPE).value == 1.0


def test_the_mean_difference_has_the_t_interval_of_the_case_means():
    d, cases = [1, 2, 0, -1, 3, 1], ["a", "a", "b", "b", "c", "c"]
    estimate = mean_difference(d, cases, SCOPE)
    by_hand = stats.ttest_1samp([1.5, -0.5, 2.0], 0.0)
    assert estimate.value == pytest.approx(1.0)
    assert estimate.ci == pytest.approx(tuple(by_hand.confidence_interval()), abs=1e-12)
    assert estimate.p_value == pytest.approx(by_hand.pvalue, abs=1e-12)
    assert estimate.df == 2


def test_the_interval_of_the_mean_covers_as_often_as_it_says():
    rng = np.random.default_rng(11)
    cases = np.repeat(np.arange(24), 2)
    covered = 0
    for _ in range(600):
        d = 0.3 + rng.normal(size=24)[cases] + rng.normal(size=48)
        low, high = mean_difference(d, cases, SCOPE).ci
        covered += low <= 0.3 <= high
    assert 0.93 <= covered / 600 <= 0.97


def test_a_single_case_has_a_mean_without_an_interval_and_a_reason():
    estimate = mean_difference([1, 0], ["a", "a"], SCOPE)
    assert estimate.value == 0.5
    assert estimate.ci is None
    assert "two cases" in estimate.note


def test_equal_differences_have_a_mean_without_an_interval_and_a_reason():
    estimate = mean_difference([1, 1, 1], ["a", "b", "c"], SCOPE)
    assert (estimate.value, estimate.ci, estimate.p_value) == (1.0, None, None)
    assert "no variation" in estimate.note


def test_readers_like_them_are_spoken_for_by_the_t_interval_of_the_readers_means():
    d, readers = [1, 2, 0, 0, 2, 4], ["r", "r", "s", "s", "t", "t"]
    estimate = mean_difference_over_readers(d, readers, SCOPE)
    by_hand = stats.ttest_1samp([1.5, 0.0, 3.0], 0.0)
    assert estimate.ci == pytest.approx(tuple(by_hand.confidence_interval()), abs=1e-12)
    assert estimate.p_value == pytest.approx(by_hand.pvalue, abs=1e-12)


def test_one_reader_cannot_speak_for_readers_like_them():
    estimate = mean_difference_over_readers([1, 2], ["r", "r"], SCOPE)
    assert estimate.value is None
    assert "One reader" in estimate.note


def test_readers_with_equal_means_have_no_interval():
    estimate = mean_difference_over_readers([1, 0, 1, 0], ["r", "r", "s", "s"], SCOPE)
    assert (estimate.value, estimate.ci) == (0.5, None)


def test_the_paired_t_is_the_one_of_scipy():
    estimate = paired_t(DARWIN, SCOPE)
    theirs = stats.ttest_1samp(DARWIN, 0.0)
    assert estimate.value == pytest.approx(theirs.statistic)
    assert estimate.p_value == pytest.approx(theirs.pvalue)
    assert paired_t([1], SCOPE).value is None
    assert "equal" in paired_t([1, 1], SCOPE).note


def test_both_standard_deviations_are_named_and_differ():
    assert standard_deviations([1, 3]) == (1.0, pytest.approx(math.sqrt(2)))
    assert standard_deviations([1]) == (0.0, None)


def test_pairs_are_made_on_reader_case_and_finding():
    frame = ratings(
        [
            ("r", "1", "A", 2),
            ("r", "1", "B", 5),
            ("s", "1", "B", 1),
            ("s", "1", "A", 3),
            ("s", "2", "A", 3),
        ]
    )
    pairs = paired_differences(frame, item="confidence", contrast=("B", "A"))
    assert dict(zip(pairs.frame["reader"], pairs.frame["difference"], strict=True)) == {
        "r": 3,
        "s": -2,
    }
    assert pairs.n_incomplete == 1
    back = paired_differences(frame, item="confidence", contrast=("A", "B"))
    assert list(back.frame["difference"]) == [-3, 2]


def test_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(0)
    rows = [(r, c, k, int(rng.integers(1, 6))) for r in "rs" for c in "12345" for k in "AB"]
    one = paired_differences(ratings(rows), item="confidence", contrast=("B", "A"))
    other = paired_differences(ratings(rows[::-1]), item="confidence", contrast=("B", "A"))
    key = ["reader", "case_id"]
    pd.testing.assert_frame_equal(
        one.frame.sort_values(key, ignore_index=True),
        other.frame.sort_values(key, ignore_index=True),
    )


def test_the_mean_over_readers_has_one_row_for_each_case():
    frame = ratings([(r, c, k, v) for r in "rs" for c in "12" for k, v in (("A", 1), ("B", 4))])
    means = case_means(paired_differences(frame, item="confidence", contrast=("B", "A")).frame)
    assert list(means) == [3, 3]


def test_the_unpaired_test_ignores_who_is_paired_with_whom():
    pairs = pd.DataFrame({"rating_1": [1, 2, 3, 4, 5], "rating_2": [1, 1, 2, 2, 3]})
    shuffled = pairs.assign(rating_2=[3, 2, 2, 1, 1])
    assert unpaired_rank_test(pairs, SCOPE) == unpaired_rank_test(shuffled, SCOPE)


def test_no_reading_under_both_conditions_is_a_named_failure():
    frame = ratings([("r", "1", "A", 2), ("r", "2", "B", 5)])
    with pytest.raises(NoPairs, match="under both B and A"):
        paired_differences(frame, item="confidence", contrast=("B", "A"))


@pytest.mark.parametrize(
    ("item", "contrast", "words"),
    [
        ("trust", ("B", "A"), "no ratings of an item 'trust'"),
        ("confidence", ("C", "A"), "condition 'C'; the table has A, B"),
        ("confidence", ("A", "A"), "not a pair"),
    ],
)
def test_a_request_for_what_is_not_there_names_what_is(item, contrast, words):
    frame = ratings([("r", "1", "A", 2), ("r", "1", "B", 5)])
    with pytest.raises(AnalysisError, match=words):
        paired_differences(frame, item=item, contrast=contrast)


def test_a_condition_read_twice_is_refused_instead_of_paired_at_random():
    rows = pd.DataFrame(
        {
            "reader": "r",
            "case": "1",
            "arm": ["A", "B", "B"],
            "session": [1, 2, 3],
            "rating": [1, 2, 3],
        }
    )
    with pytest.raises(AnalysisError, match="more than once under condition B"):
        paired_differences(canonicalise(rows).frame, item="rating", contrast=("B", "A"))
