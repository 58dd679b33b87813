import numpy as np
import pytest
from scipy import stats

from study.analysis.agreement.bland_altman import bland_altman
from study.analysis.estimate import AnalysisError, Scope

SCOPE = Scope("these readers", "descriptive", 2, 40)


def _pair(seed=0, n=40):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 100, n)
    return truth + rng.normal(0, 5, n), truth + rng.normal(2, 5, n)


def test_bias_and_limits_are_the_closed_forms():
    a, b = _pair()
    made = bland_altman(a, b, SCOPE)
    d = a - b
    assert made.bias.value == pytest.approx(d.mean())
    assert made.bias.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue)
    np.testing.assert_allclose(
        made.bias.ci, stats.ttest_rel(a, b).confidence_interval(), rtol=1e-10
    )
    z = stats.norm.ppf(0.975)
    assert made.lower.value == pytest.approx(d.mean() - z * d.std(ddof=1))
    assert made.upper.value == pytest.approx(d.mean() + z * d.std(ddof=1))


def test_limits_lie_within_their_intervals_and_mirror_each_other():
    a, b = _pair()
    for exact in (True, False):
        ab, ba = bland_altman(a, b, SCOPE, exact=exact), bland_altman(b, a, SCOPE, exact=exact)
        assert ab.upper.ci[0] < ab.upper.value < ab.upper.ci[1]
        np.testing.assert_allclose(ab.upper.ci, [-x for x in ba.lower.ci[::-1]])


def test_the_exact_interval_of_a_limit_covers_the_true_limit():
    truth = 1.959964
    hits = [0, 0]
    rng = np.random.default_rng(1)
    for _ in range(400):
        d = rng.normal(size=12)
        made = bland_altman(d, np.zeros(12), SCOPE)
        hits[0] += made.upper.ci[0] <= truth <= made.upper.ci[1]
        hits[1] += made.lower.ci[0] <= -truth <= made.lower.ci[1]
    assert all(0.92 <= h / 400 <= 0.98 for h in hits)


def test_growing_disagreement_shows_in_the_slope():
    truth = np.linspace(1, 100, 50)
    made = bland_altman(1.2 * truth, truth, SCOPE)
    assert made.slope.value == pytest.approx(0.2 / 1.1)


def test_missing_measurements_are_left_out_and_counted():
    a, b = _pair()
    a[0] = np.nan
    made = bland_altman(a, b, SCOPE)
    assert len(made.differences) == 39 and "1 pairs" in made.bias.note


def test_equal_measurements_give_points_and_no_test():
    a = np.arange(5.0)
    made = bland_altman(a, a, SCOPE)
    assert made.bias.value == 0 and made.bias.p_value is None
    assert made.upper.ci == (0, 0)
    flat = bland_altman(np.ones(5), np.ones(5), SCOPE)
    assert flat.slope.value is None and "no slope" in flat.slope.note


def test_two_pairs_are_too_few():
    with pytest.raises(AnalysisError, match="at least three pairs"):
        bland_altman([1, 2], [1, 3], SCOPE)
