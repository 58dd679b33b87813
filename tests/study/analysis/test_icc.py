import numpy as np
import pytest

from study.analysis.agreement.icc import FORMS, intraclass_correlations, mean_squares
from study.analysis.agreement.icc_reml import icc_by_reml
from study.analysis.agreement.ratings import matrix_of_ratings
from study.analysis.estimate import AnalysisError, Scope

# Shrout & Fleiss 1979, Table 2: 6 targets, 4 judges.
TARGETS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
SCOPE = Scope("readers like them", "descriptive", 4, 6)


def _by_form(values, **choices):
    found = intraclass_correlations(matrix_of_ratings(values), **choices)
    return {one.form: one for one in found}


def _simulated(n=120, k=5, unit=1.0, rater=0.5, error=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return (
        unit * rng.normal(size=(n, 1))
        + rater * rng.normal(size=k)
        + error * rng.normal(size=(n, k))
    )


def test_the_table_of_shrout_and_fleiss_is_reproduced():
    published = dict(zip(FORMS, (0.17, 0.29, 0.71, 0.44, 0.62, 0.91), strict=True))
    found = _by_form(TARGETS)
    for form, value in published.items():
        assert round(found[form].value, 2) == value


def test_the_mean_squares_add_up():
    values = _simulated()
    m = mean_squares(matrix_of_ratings(values))
    n, k = values.shape
    total = ((values - values.mean()) ** 2).sum()
    parts = m.units * (n - 1) + m.raters * (k - 1) + m.error * (n - 1) * (k - 1)
    assert parts == pytest.approx(total)
    assert m.units * (n - 1) + m.within * n * (k - 1) == pytest.approx(total)


def test_averages_are_the_spearman_brown_step_up_of_single_ratings():
    found = _by_form(TARGETS)
    for number in "123":
        single, mean = found[f"ICC({number},1)"], found[f"ICC({number},k)"]
        stepped = 4 * np.array([single.value, *single.ci])
        stepped /= 1 + 3 * np.array([single.value, *single.ci])
        np.testing.assert_allclose([mean.value, *mean.ci], stepped, rtol=1e-10)


def test_irr_widens_the_interval_of_icc_2_k_only():
    ours, theirs = _by_form(TARGETS), _by_form(TARGETS, average_interval="irr")
    wider = theirs["ICC(2,k)"].ci
    assert wider[0] < ours["ICC(2,k)"].ci[0] and wider[1] > ours["ICC(2,k)"].ci[1]
    for form in FORMS:
        if form != "ICC(2,k)":
            assert theirs[form] == ours[form]


def test_a_rater_who_is_always_higher_lowers_agreement_but_not_consistency():
    values = _simulated(rater=0.0)
    shifted = values + np.array([0, 0, 0, 0, 3.0])
    plain, moved = _by_form(values), _by_form(shifted)
    assert moved["ICC(3,1)"].value == pytest.approx(plain["ICC(3,1)"].value)
    assert moved["ICC(2,1)"].value < plain["ICC(2,1)"].value - 0.1


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    truth = 1 / (1 + 0.25 + 1)
    hits = 0
    for seed in range(200):
        ci = _by_form(_simulated(n=30, k=6, seed=seed))["ICC(2,1)"].ci
        hits += ci[0] <= truth <= ci[1]
    assert 0.90 <= hits / 200 <= 0.99


def test_identical_raters_give_one_without_an_interval():
    values = np.repeat(np.arange(6.0)[:, None], 3, axis=1)
    for one in intraclass_correlations(matrix_of_ratings(values)):
        assert one.value == pytest.approx(1)
        assert one.ci is None and "no residual variance" in one.note
        assert one.to_estimate(SCOPE).value == pytest.approx(1)


def test_equal_ratings_everywhere_give_no_number():
    for one in intraclass_correlations(matrix_of_ratings(np.full((5, 3), 2.0))):
        estimate = one.to_estimate(SCOPE)
        assert estimate.value is None and "not defined" in estimate.note


def test_incomplete_units_are_left_out_and_counted():
    values = np.array(TARGETS, dtype=float)
    gapped = np.vstack([values, [5, np.nan, 3, 4]])
    for a, b in zip(
        intraclass_correlations(matrix_of_ratings(gapped)),
        intraclass_correlations(matrix_of_ratings(values)),
        strict=True,
    ):
        assert a.value == b.value and "1 units with a missing rating" in a.note


def test_one_rater_is_refused():
    with pytest.raises(AnalysisError, match="at least two raters"):
        intraclass_correlations(matrix_of_ratings([[1.0], [2.0]]))


def test_reml_of_complete_data_is_the_analysis_of_variance():
    values = _simulated()
    anova, reml = _by_form(values)["ICC(2,1)"], icc_by_reml(matrix_of_ratings(values))
    assert reml.value == pytest.approx(anova.value, abs=1e-6)
    m = mean_squares(matrix_of_ratings(values))
    assert reml.error == pytest.approx(m.error, rel=1e-5)
    assert reml.unit == pytest.approx((m.units - m.error) / 5, rel=1e-5)
    assert reml.ci[0] < reml.value < reml.ci[1]


def test_reml_keeps_incomplete_units():
    values = _simulated(n=200)
    gapped = values.copy()
    gapped[np.random.default_rng(1).random(values.shape) < 0.3] = np.nan
    whole, part = icc_by_reml(matrix_of_ratings(values)), icc_by_reml(matrix_of_ratings(gapped))
    assert part.n_ratings < whole.n_ratings
    assert part.value == pytest.approx(whole.value, abs=0.08)


def test_reml_does_not_depend_on_where_the_scale_starts():
    values = _simulated(n=40)
    a, b = icc_by_reml(matrix_of_ratings(values)), icc_by_reml(matrix_of_ratings(values + 1000))
    assert a.value == pytest.approx(b.value, abs=1e-6)


def test_reml_without_variance_between_units_says_so():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 4))
    values -= values.mean(axis=1, keepdims=True)
    made = icc_by_reml(matrix_of_ratings(values))
    assert made.value == pytest.approx(0, abs=1e-5)
    assert made.ci is None and "units is estimated as 0" in made.note


def test_reml_of_equal_ratings_is_refused():
    with pytest.raises(AnalysisError, match="All ratings are the same"):
        icc_by_reml(matrix_of_ratings(np.ones((4, 2))))


def test_reml_without_residual_variance_has_no_interval():
    values = np.repeat(np.arange(8.0)[:, None], 3, axis=1)
    values[0, 0] = np.nan
    made = icc_by_reml(matrix_of_ratings(values))
    assert made.value == pytest.approx(1, abs=1e-4)
    assert made.ci is None and "residual variance" in made.note


def test_reml_with_a_flat_likelihood_has_no_interval():
    made = icc_by_reml(matrix_of_ratings([[1, 2], [2, 1], [np.nan, 3]]))
    assert 0 <= made.value <= 1
    assert made.ci is None or 0 <= made.ci[0] <= made.ci[1] <= 1
