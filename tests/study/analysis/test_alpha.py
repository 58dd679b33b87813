import numpy as np
import pytest

from study.analysis.agreement.alpha import kendall_w, krippendorff_alpha
from study.analysis.agreement.multirater import fleiss_kappa, linearised_alpha
from study.analysis.agreement.ratings import matrix_of_ratings
from study.analysis.estimate import AnalysisError

X = np.nan
# Krippendorff 2011, 4 observers x 12 units.
TEXTBOOK = [
    [1, 1, X, 1],
    [2, 2, 3, 2],
    [3, 3, 3, 3],
    [3, 3, 3, 3],
    [2, 2, 2, 2],
    [1, 2, 3, 4],
    [4, 4, 4, 4],
    [1, 1, 2, 1],
    [2, 2, 2, 2],
    [X, 5, 5, 5],
    [X, X, 1, 1],
    [X, 3, X, X],
]
SCALE = (1, 2, 3, 4, 5)
METRICS = ("nominal", "ordinal", "interval", "ratio")


def _ratings(n=60, seed=0):
    rng = np.random.default_rng(seed)
    values = np.clip(np.round(rng.normal(3, 1, (n, 1)) + rng.normal(size=(n, 3))), 1, 5)
    values[rng.random(values.shape) < 0.1] = X
    return matrix_of_ratings(values, SCALE)


@pytest.mark.parametrize(
    ("metric", "published"),
    [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)],
)
def test_krippendorffs_own_example_gives_his_numbers(metric, published):
    made = krippendorff_alpha(matrix_of_ratings(TEXTBOOK, SCALE), metric)
    assert round(made.value, 3) == published
    assert made.n_units == 11


@pytest.mark.parametrize("metric", METRICS)
def test_identical_raters_give_one(metric):
    values = np.repeat(np.tile(SCALE, 5)[:, None], 3, axis=1)
    assert krippendorff_alpha(matrix_of_ratings(values, SCALE), metric).value == pytest.approx(1)


@pytest.mark.parametrize("metric", METRICS)
def test_alpha_is_the_ratio_of_mean_squared_distances(metric):
    matrix = _ratings(n=20)
    values = matrix.values[(~np.isnan(matrix.values)).sum(axis=1) >= 2]
    flat = values[~np.isnan(values)]
    n_of = {c: (flat == c).sum() for c in SCALE}

    def squared(a, b):
        if metric == "nominal":
            return float(a != b)
        if metric == "interval":
            return (a - b) ** 2
        if metric == "ratio":
            return ((a - b) / (a + b)) ** 2
        low, high = min(a, b), max(a, b)
        between = sum(n_of[c] for c in SCALE if low <= c <= high)
        return 0.0 if a == b else (between - (n_of[a] + n_of[b]) / 2) ** 2

    within = 0.0
    for row in values:
        own = row[~np.isnan(row)]
        within += sum(squared(a, b) for a in own for b in own) / (len(own) - 1)
    overall = sum(squared(a, b) for a in flat for b in flat)
    n = len(flat)
    expected = 1 - (within / n) / (overall / (n * (n - 1)))
    assert krippendorff_alpha(matrix, metric, interval="none").value == pytest.approx(expected)


def test_nominal_and_interval_alpha_are_alpha_with_those_agreement_weights():
    matrix = _ratings()
    for metric, weights in (("nominal", "unweighted"), ("interval", "quadratic")):
        alpha = krippendorff_alpha(matrix, metric).value
        assert alpha == pytest.approx(linearised_alpha(matrix, weights).value)
    ordinal = krippendorff_alpha(matrix, "ordinal").value
    assert ordinal != pytest.approx(linearised_alpha(matrix, "ordinal").value, abs=1e-3)


def test_nominal_alpha_of_complete_data_differs_from_fleiss_kappa_by_one_over_n():
    values = _ratings().complete
    n = values.values.size
    alpha = krippendorff_alpha(values, "nominal").value
    kappa = fleiss_kappa(values).value
    assert alpha == pytest.approx(kappa + (1 - kappa) / n)


def test_the_scale_of_a_continuous_measurement_is_not_needed():
    matrix = _ratings()
    bare = matrix_of_ratings(matrix.values)
    for metric in METRICS:
        assert krippendorff_alpha(bare, metric).value == pytest.approx(
            krippendorff_alpha(matrix, metric).value
        )


def test_shifting_all_ratings_leaves_interval_alpha_alone():
    matrix = _ratings()
    far = matrix_of_ratings(matrix.values * 1e-3 + 1e4)
    assert krippendorff_alpha(far, "interval").value == pytest.approx(
        krippendorff_alpha(matrix, "interval").value, rel=1e-6
    )


def test_the_jackknife_is_literal_and_the_bootstrap_is_near_it():
    matrix = _ratings()
    made = krippendorff_alpha(matrix, "ordinal")
    rows = np.arange(matrix.n_units)
    jack = []
    for i in rows:
        less = matrix.select(rows != i)
        jack.append(krippendorff_alpha(less, "ordinal", interval="none").value)
    paired = (~np.isnan(matrix.values)).sum(axis=1) >= 2
    jack = np.array(jack)[paired]
    n = paired.sum()
    error = np.sqrt((n - 1) / n * ((jack - jack.mean()) ** 2).sum())
    assert made.standard_error == pytest.approx(error)
    drawn = krippendorff_alpha(matrix, "ordinal", interval="bootstrap", draws=2000, seed=3)
    assert "2000 draws" in drawn.method
    np.testing.assert_allclose(drawn.ci, made.ci, atol=0.06)
    again = krippendorff_alpha(matrix, "ordinal", interval="bootstrap", draws=2000, seed=3)
    assert drawn.ci == again.ci


def test_no_spread_gives_no_number_and_says_why():
    made = krippendorff_alpha(matrix_of_ratings(np.full((5, 2), 3), SCALE))
    assert made.value is None and "not defined" in made.note


def test_negative_values_have_no_ratio_metric():
    with pytest.raises(AnalysisError, match="interval metric"):
        krippendorff_alpha(matrix_of_ratings([[-1, 2], [2, 3], [1, 1]]), "ratio")


def test_kendalls_w_is_one_for_equal_ranks_and_zero_for_opposite_ones():
    a = np.arange(10.0)
    assert kendall_w(matrix_of_ratings(np.column_stack([a, 5 * a, a**2]))).w == pytest.approx(1)
    assert kendall_w(matrix_of_ratings(np.column_stack([a, -a]))).w == pytest.approx(0)


def test_kendalls_w_is_the_mean_spearman_correlation_rescaled():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(15, 1)) + rng.normal(size=(15, 3))
    from scipy import stats

    rho = np.mean(
        [stats.spearmanr(values[:, i], values[:, j])[0] for i, j in ((0, 1), (0, 2), (1, 2))]
    )
    assert kendall_w(matrix_of_ratings(values)).w == pytest.approx((1 + 2 * rho) / 3)


def test_kendalls_w_of_constant_raters_is_refused():
    with pytest.raises(AnalysisError, match="not defined"):
        kendall_w(matrix_of_ratings(np.ones((4, 2))))
