import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa

from study.analysis.agreement.kappa import (
    cohen_kappa,
    contingency_table,
    light_kappa,
    pairwise_kappas,
)
from study.analysis.agreement.multirater import gwet_ac
from study.analysis.agreement.ratings import (
    consecutive_scale,
    matrix_of_ratings,
    weight_matrix,
)
from study.analysis.estimate import AnalysisError, Scope

SCALE = (1, 2, 3, 4, 5)
SCOPE = Scope("these readers", "descriptive", 2, 60)


def _two_raters(n=60, seed=1, scale=SCALE):
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=n)
    noisy = latent[:, None] + rng.normal(size=(n, 2))
    return matrix_of_ratings(np.clip(np.round(noisy + 3), scale[0], scale[-1]), scale)


@pytest.mark.parametrize(
    ("weights", "theirs"), [("unweighted", None), ("linear", "linear"), ("quadratic", "quadratic")]
)
def test_kappa_and_both_standard_errors_are_those_of_statsmodels(weights, theirs):
    pair = _two_raters()
    ours = cohen_kappa(pair, weights)
    reference = cohens_kappa(contingency_table(pair), wt=theirs)
    assert ours.coefficient.value == pytest.approx(reference.kappa, abs=1e-12)
    assert ours.coefficient.standard_error == pytest.approx(reference.std_kappa, rel=1e-10)
    assert ours.z == pytest.approx(reference.z_value, rel=1e-10)


def test_identical_raters_agree_with_kappa_one():
    ratings = np.tile(np.arange(1, 6), 4)
    pair = matrix_of_ratings(np.column_stack([ratings, ratings]), SCALE)
    for weights in ("unweighted", "linear", "quadratic", "ordinal"):
        made = cohen_kappa(pair, weights).coefficient
        assert made.value == pytest.approx(1)
        assert made.ci is not None and made.ci[1] <= 1


def test_exchanging_the_raters_changes_only_the_sign_of_the_bias():
    pair = _two_raters()
    turned = matrix_of_ratings(pair.values[:, ::-1], SCALE)
    a, b = cohen_kappa(pair), cohen_kappa(turned)
    assert a.coefficient.value == pytest.approx(b.coefficient.value)
    assert a.bias == pytest.approx(-b.bias)


def test_quadratic_kappa_with_equal_margins_is_the_pearson_correlation():
    a = np.repeat(np.arange(1, 6), 4)
    b = np.random.default_rng(0).permutation(a)
    kappa = cohen_kappa(matrix_of_ratings(np.column_stack([a, b]), SCALE)).coefficient.value
    assert kappa == pytest.approx(np.corrcoef(a, b)[0, 1])


def test_unused_categories_at_the_end_leave_kappa_alone_but_not_gwets_coefficient():
    pair = _two_raters()
    wider = matrix_of_ratings(pair.values, (1, 2, 3, 4, 5, 6, 7))
    for weights in ("linear", "quadratic", "ordinal"):
        kappas = [cohen_kappa(one, weights).coefficient.value for one in (pair, wider)]
        assert kappas[0] == pytest.approx(kappas[1])
        assert abs(gwet_ac(pair, weights).value - gwet_ac(wider, weights).value) > 0.01


def test_the_two_category_table_has_its_textbook_kappa():
    # 20 + 15 agreements of 50: p_o 0.7, p_e 0.5.
    table = [(0, 0)] * 20 + [(0, 1)] * 5 + [(1, 0)] * 10 + [(1, 1)] * 15
    assert cohen_kappa(matrix_of_ratings(table, (0, 1))).coefficient.value == pytest.approx(0.4)


def test_a_constant_rater_gives_zero_and_says_why():
    varied = np.tile(np.arange(1, 6), 4)
    made = cohen_kappa(matrix_of_ratings(np.column_stack([varied, np.full(20, 3)]), SCALE))
    assert made.coefficient.value == pytest.approx(0)
    assert "one and the same rating throughout" in made.coefficient.note


def test_two_constant_raters_give_no_number_and_say_why():
    made = cohen_kappa(matrix_of_ratings(np.full((9, 2), 3), SCALE)).coefficient
    estimate = made.to_estimate(SCOPE)
    assert estimate.value is None and "not defined" in estimate.note


def test_units_that_one_rater_missed_are_left_out():
    pair = _two_raters()
    values = pair.values.copy()
    values[:5, 0] = np.nan
    made = cohen_kappa(matrix_of_ratings(values, SCALE))
    assert made.coefficient.n_units == 55
    rest = cohen_kappa(matrix_of_ratings(pair.values[5:], SCALE))
    assert made.coefficient.value == pytest.approx(rest.coefficient.value)


def test_raters_without_a_common_unit_are_refused():
    with pytest.raises(AnalysisError, match="no unit in common"):
        cohen_kappa(matrix_of_ratings([[1, np.nan], [np.nan, 2]], SCALE))


def test_the_mean_pairwise_kappa_is_the_mean_of_the_pairs_and_its_jackknife_is_literal():
    rng = np.random.default_rng(4)
    values = np.clip(np.round(rng.normal(3, 1, (25, 1)) + rng.normal(size=(25, 3))), 1, 5)
    values[0, 0] = np.nan
    matrix = matrix_of_ratings(values, SCALE)
    made = light_kappa(matrix, "quadratic")
    pairs = [kappa.coefficient.value for _, kappa in pairwise_kappas(matrix)]
    assert made.value == pytest.approx(np.mean(pairs))
    jack = [
        light_kappa(matrix_of_ratings(np.delete(values, i, 0), SCALE), "quadratic").value
        for i in range(25)
    ]
    literal = np.sqrt(24 / 25 * ((jack - np.mean(jack)) ** 2).sum())
    assert made.standard_error == pytest.approx(literal, rel=1e-8)


def test_weights_are_one_on_the_diagonal_and_fall_with_distance():
    for kind in ("unweighted", "linear", "quadratic", "ordinal"):
        weight = weight_matrix(kind, SCALE)
        np.testing.assert_allclose(np.diag(weight), 1)
        np.testing.assert_allclose(weight, weight.T)
        assert (np.diff(weight[0]) <= 0).all() and weight[0, -1] == 0
    np.testing.assert_allclose(weight_matrix("ordinal", (1, 2, 3))[0], [1, 2 / 3, 0])


def test_a_rating_off_the_scale_is_refused():
    with pytest.raises(AnalysisError, match="A rating is 7; expected one of the scale"):
        matrix_of_ratings([[1, 7]], SCALE)


def test_a_scale_cannot_be_told_from_fractions():
    assert consecutive_scale([2, 4, np.nan]) == (2, 3, 4)
    with pytest.raises(AnalysisError, match="expected whole numbers"):
        consecutive_scale([1, 2.5])
