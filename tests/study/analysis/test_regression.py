import numpy as np
import pandas as pd
import pytest
from scipy import stats

from study.analysis.columns import canonicalise
from study.analysis.regression import BEST_MAP, MEAN_MAP, iou_columns, rating_on_iou


def table(values, ious, readers=("r1", "r2"), **columns):
    """Return ratings of one case per IoU by each reader; ``values`` is (readers, cases)."""
    rows = [
        {
            "reader": reader,
            "case_id": f"c{c}",
            "condition": "B",
            "value": values[r][c],
            "iou_m": iou,
        }
        for r, reader in enumerate(readers)
        for c, iou in enumerate(ious)
    ]
    return canonicalise(pd.DataFrame(rows).assign(finding="Mass", item="feature", **columns))


def regress(ratings, **change):
    given = {"item": "feature", "condition": "B", "map_name": "m"} | change
    return rating_on_iou(ratings.frame, ratings.frame["iou_m"], **given)


def test_ratings_on_a_line_give_back_the_line():
    result = regress(table([[1, 2, 3, 5], [1, 2, 3, 5]], [0.0, 0.25, 0.5, 1.0]))
    assert result.slope.value == pytest.approx(4.0)
    assert result.intercept.value == pytest.approx(1.0)
    assert result.r_squared.value == pytest.approx(1.0)
    assert result.spearman.value == pytest.approx(1.0)
    assert result.spearman_of_cases.value == pytest.approx(1.0)
    fitted, low, high = result.band([0.5], 0.95)
    assert (fitted[0], low[0], high[0]) == pytest.approx((3.0, 3.0, 3.0))


def test_slope_and_interval_are_those_of_statsmodels_clustered_by_case():
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(5)
    ious = rng.random(15)
    values = rng.integers(1, 6, (3, 15))
    ratings = table(values, ious, readers=("a", "b", "c"))
    result = regress(ratings)
    frame = ratings.frame
    theirs = sm.OLS(frame["value"], sm.add_constant(frame["iou_m"])).fit(
        cov_type="cluster", cov_kwds={"groups": pd.factorize(frame["case_id"])[0]}, use_t=True
    )
    assert result.slope.value == pytest.approx(theirs.params["iou_m"], rel=1e-10)
    assert result.slope.ci == pytest.approx(tuple(theirs.conf_int().loc["iou_m"]), rel=1e-8)
    assert result.slope.p_value == pytest.approx(theirs.pvalues["iou_m"], rel=1e-8)
    assert result.r_squared.value == pytest.approx(theirs.rsquared, rel=1e-10)
    rho = stats.spearmanr(frame["iou_m"], frame["value"])
    assert result.spearman.value == pytest.approx(rho.statistic)
    assert result.spearman.p_value == pytest.approx(rho.pvalue)


def test_the_correlation_over_readings_is_a_warning_and_over_cases_is_not():
    rng = np.random.default_rng(1)
    result = regress(table(rng.integers(1, 6, (2, 8)), rng.random(8)))
    assert (result.spearman.role, result.spearman.population) == ("warning", "independent readings")
    assert result.spearman_of_cases.role == "descriptive"
    assert result.slope.population == "these readers"


def test_one_reader_is_spoken_for_as_one_reader():
    result = regress(table([[1, 3, 2, 5]], [0.1, 0.2, 0.3, 0.4], readers=("r",)))
    assert result.slope.population == result.spearman.population == "this reader"


def test_fewer_than_three_different_iou_give_a_reason_instead_of_a_line():
    result = regress(table([[1, 2, 3, 4], [1, 2, 3, 4]], [0.1, 0.1, 0.2, 0.2]))
    for estimate in (result.slope, result.intercept, result.r_squared, result.spearman):
        assert estimate.value is None
        assert "8 ratings of 4 cases with 2 different IoU" in estimate.note
    assert result.fit is None
    assert result.band([0.1], 0.95) is None


def test_no_iou_at_all_gives_a_reason():
    result = regress(table([[1, 2, 3]], [None, None, None], readers=("r",)))
    assert result.slope.value is None
    assert "0 ratings" in result.slope.note


def test_a_constant_rater_has_slope_zero_and_no_correlation():
    result = regress(table([[3, 3, 3]], [0.1, 0.2, 0.3], readers=("r",)))
    assert result.slope.value == 0.0
    assert result.intercept.value == 3.0
    assert result.r_squared.value is None
    assert result.spearman.value is None
    assert "Every rating is 3" in result.spearman_of_cases.note


def test_missing_ratings_are_left_out_of_the_regression():
    result = regress(table([[1, 2, 3, ""], [2, 3, 5, 5]], [0.1, 0.2, 0.3, 0.4]))
    assert result.n_readings == 7


def test_several_maps_are_given_singly_and_as_mean_and_best():
    ratings = table([[1, 2, 3]], [0.1, 0.2, 0.3], readers=("r",), iou_n=[0.3, 0.0, None])
    columns = dict(iou_columns(ratings, "B"))
    assert list(columns) == ["m", "n", MEAN_MAP, BEST_MAP]
    assert list(columns[MEAN_MAP].iloc[:2]) == pytest.approx([0.2, 0.1])
    assert list(columns[BEST_MAP].iloc[:2]) == pytest.approx([0.3, 0.2])
    assert columns[BEST_MAP].isna().iloc[2]


def test_one_map_has_neither_mean_nor_best():
    assert [name for name, _ in iou_columns(table([[1, 2]], [0.1, 0.2], ("r",)), "B")] == ["m"]
