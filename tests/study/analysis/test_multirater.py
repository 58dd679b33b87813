import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as their_fleiss

from study.analysis.agreement.kappa import cohen_kappa, light_kappa
from study.analysis.agreement.multirater import (
    brennan_prediger,
    conger_kappa,
    fleiss_detail,
    fleiss_kappa,
    gwet_ac,
    linearised_alpha,
    percent_agreement,
)
from study.analysis.agreement.ratings import matrix_of_ratings
from study.analysis.estimate import AnalysisError

SCALE = (1, 2, 3, 4, 5)
ALL = (fleiss_kappa, conger_kappa, gwet_ac, brennan_prediger, linearised_alpha)


def _ratings(n=80, raters=4, seed=2):
    rng = np.random.default_rng(seed)
    noisy = rng.normal(size=(n, 1)) + rng.normal(size=(n, raters)) + np.linspace(0, 0.8, raters)
    return np.clip(np.round(noisy + 3), 1, 5)


def _with_gaps(values, share=0.1, seed=5):
    values = values.copy()
    values[np.random.default_rng(seed).random(values.shape) < share] = np.nan
    return values


def test_fleiss_kappa_is_that_of_statsmodels():
    values = _ratings()
    table = aggregate_raters(values.astype(int))[0]
    ours = fleiss_kappa(matrix_of_ratings(values, SCALE)).value
    assert ours == pytest.approx(their_fleiss(table), abs=1e-12)
    assert fleiss_detail(matrix_of_ratings(values, SCALE)).kappa == pytest.approx(ours)


def test_conger_kappa_of_two_raters_is_cohen_kappa():
    pair = matrix_of_ratings(_ratings(raters=2), SCALE)
    for weights in ("unweighted", "linear", "quadratic"):
        assert conger_kappa(pair, weights).value == pytest.approx(
            cohen_kappa(pair, weights).coefficient.value, abs=1e-12
        )


def test_raters_with_equal_margins_have_equal_conger_and_light_kappa():
    rng = np.random.default_rng(3)
    base = np.repeat(SCALE, 8)
    values = np.column_stack([base, rng.permutation(base), rng.permutation(base)])
    matrix = matrix_of_ratings(values, SCALE)
    assert conger_kappa(matrix).value == pytest.approx(light_kappa(matrix).value)


@pytest.mark.parametrize("coefficient", ALL)
@pytest.mark.parametrize("weights", ["unweighted", "quadratic", "ordinal"])
def test_identical_raters_agree_with_one(coefficient, weights):
    values = np.repeat(np.tile(SCALE, 6)[:, None], 3, axis=1)
    assert coefficient(matrix_of_ratings(values, SCALE), weights).value == pytest.approx(1)


@pytest.mark.parametrize("coefficient", (*ALL, percent_agreement))
def test_the_order_of_units_and_raters_does_not_matter(coefficient):
    values = _with_gaps(_ratings())
    rng = np.random.default_rng(1)
    mixed = values[rng.permutation(len(values))][:, [2, 0, 3, 1]]
    a, b = (coefficient(matrix_of_ratings(one, SCALE)) for one in (values, mixed))
    assert a.value == pytest.approx(b.value)
    assert a.standard_error == pytest.approx(b.standard_error)


@pytest.mark.parametrize("coefficient", ALL)
@pytest.mark.parametrize("gaps", [0.0, 0.15])
def test_the_linearised_error_is_close_to_the_jackknife(coefficient, gaps):
    values = _with_gaps(_ratings(n=150), gaps)
    values = values[~np.isnan(values).all(axis=1)]
    made = coefficient(matrix_of_ratings(values, SCALE), "quadratic")
    jack = np.array(
        [
            coefficient(matrix_of_ratings(np.delete(values, i, 0), SCALE), "quadratic").value
            for i in range(len(values))
        ]
    )
    n = len(jack)
    error = np.sqrt((n - 1) / n * ((jack - jack.mean()) ** 2).sum())
    assert made.standard_error == pytest.approx(error, rel=0.03)
    reach = stats.t.ppf(0.975, made.df) * made.standard_error
    np.testing.assert_allclose(made.ci, (made.value - reach, min(1, made.value + reach)))


def test_ac1_stays_high_where_kappa_collapses():
    # 95 of 100 units agreed absent: the prevalence paradox (Feinstein & Cicchetti 1990).
    table = [(0, 0)] * 95 + [(0, 1)] * 3 + [(1, 0)] * 2
    matrix = matrix_of_ratings(table, (0, 1))
    assert conger_kappa(matrix).value < 0.05
    assert gwet_ac(matrix).value > 0.9


def test_brennan_prediger_of_two_categories_is_twice_the_raw_agreement_less_one():
    table = [(0, 0)] * 20 + [(0, 1)] * 5 + [(1, 0)] * 10 + [(1, 1)] * 15
    matrix = matrix_of_ratings(table, (0, 1))
    assert percent_agreement(matrix).value == pytest.approx(0.7)
    assert percent_agreement(matrix).p_value is None
    assert brennan_prediger(matrix).value == pytest.approx(0.4)


def test_one_category_throughout_gives_no_number_and_says_why():
    matrix = matrix_of_ratings(np.full((10, 3), 2.0), SCALE)
    for coefficient in (fleiss_kappa, conger_kappa, linearised_alpha):
        made = coefficient(matrix)
        assert made.value is None and "one category" in made.note
    with pytest.raises(AnalysisError, match="one category"):
        fleiss_detail(matrix)


def test_no_unit_with_two_ratings_gives_no_number_and_says_why():
    matrix = matrix_of_ratings([[1, np.nan], [np.nan, 2]], SCALE)
    made = gwet_ac(matrix)
    assert made.value is None and "two raters" in made.note


def test_kappa_of_each_category_averages_to_fleiss_kappa():
    detail = fleiss_detail(matrix_of_ratings(_ratings(), SCALE))
    values = _ratings()
    share = np.array([(values == c).mean() for c in detail.categories])
    weight = share * (1 - share)
    mean = (weight * detail.per_category).sum() / weight.sum()
    assert detail.kappa == pytest.approx(mean)
    assert detail.p_value == pytest.approx(2 * stats.norm.sf(abs(detail.z)))
