import numpy as np
import pandas as pd
import pytest

from study.analysis.columns import canonicalise
from study.analysis.design.iou import iou_relations
from study.analysis.estimate import AnalysisError
from study.analysis.regression import BEST_MAP, MEAN_MAP, iou_on_rating, rating_on_iou

CONTRAST = ("B", "A")


def table(slope_b=4.0, slope_a=2.0, n_cases=40, n_readers=3, noise=0.3, seed=0):
    """Condition A shows maps one and two, B shows map three; the scale is 0 to 1000."""
    rng = np.random.default_rng(seed)
    ious = rng.random((n_cases, 3))
    rows = []
    for r in range(n_readers):
        for c in range(n_cases):
            seen = {"A": ious[c, :2].mean(), "B": ious[c, 2]}
            for condition, slope in (("A", slope_a), ("B", slope_b)):
                value = 100 * (1 + slope * seen[condition] + rng.normal(0, noise))
                rows.append(
                    {
                        "reader": f"r{r}",
                        "case_id": f"c{c}",
                        "finding": ("Mass", "Effusion")[c % 2],
                        "condition": condition,
                        "item": "feature",
                        "value": round(value),
                        "iou_one": ious[c, 0],
                        "iou_two": ious[c, 1],
                        "iou_three": ious[c, 2],
                    }
                )
    shown = {"A": ("one", "two"), "B": ("three",)}
    return canonicalise(pd.DataFrame(rows), shown_maps=shown)


def test_each_map_has_a_result_and_so_have_the_mean_and_the_best_by_name():
    found = iou_relations(table(), "feature", CONTRAST, ordinal=False)
    assert [(m.condition, m.map_name) for m in found.maps] == [
        ("A", "one"),
        ("A", "two"),
        ("A", MEAN_MAP),
        ("A", BEST_MAP),
        ("B", "three"),
    ]
    assert [len(m.by_finding) for m in found.maps] == [2] * 5
    assert [c.maps for c in found.comparisons] == [("three", MEAN_MAP), ("three", BEST_MAP)]


def test_slopes_and_their_difference_are_recovered():
    found = iou_relations(table(), "feature", CONTRAST, ordinal=False)
    comparison = found.comparisons[0]
    assert comparison.difference.ci[0] < 200 < comparison.difference.ci[1]
    assert "CR2" in comparison.difference.method
    three = found.maps[-1]
    assert three.overall.slope.ci[0] < 400 < three.overall.slope.ci[1]
    assert {e.value for e in three.slopes} == {three.slopes[0].value}
    assert three.slopes[0].value == pytest.approx(three.overall.slope.value)
    assert three.slopes[-1].population == "readers like them"


def test_equal_slopes_are_found_within_and_between_cases():
    found = iou_relations(table(3.0, 3.0, seed=1), "feature", CONTRAST, ordinal=False).comparisons[
        0
    ]
    for slope in (found.within, found.between):
        assert slope.ci[0] < 300 < slope.ci[1]


def test_the_ordinal_model_sees_the_direction():
    ratings = table(n_cases=24, noise=0.8)
    ratings.frame["value"] = np.clip(np.rint(ratings.frame["value"] / 100), 1, 5)
    found = iou_relations(ratings, "feature", CONTRAST)
    ratio = found.maps[-1].odds_ratio
    assert ratio.value > 1
    assert ratio.p_value < 0.01


def test_the_published_figure_regresses_the_iou_on_the_rating():
    ratings = table()
    frame, iou = ratings.frame, ratings.frame["iou_three"]
    given = {"item": "feature", "condition": "B", "map_name": "three", "finding": "Mass"}
    found = iou_on_rating(frame, iou, **given)
    rows = frame[(frame["condition"] == "B") & (frame["finding"] == "Mass")]
    slope, intercept = np.polyfit(rows["value"], rows["iou_three"], 1)
    assert (found.slope.value, found.intercept.value) == pytest.approx((slope, intercept))
    assert found.direction == "IoU on rating"
    middle, low, high = found.band([200.0, 300.0], 0.95)
    assert middle == pytest.approx(intercept + slope * np.array([200.0, 300.0]))
    assert (low < middle).all() and (middle < high).all()
    forward = rating_on_iou(frame, iou, **given)
    assert found.r_squared.value == pytest.approx(forward.r_squared.value)
    assert found.kendall_of_cases == forward.kendall_of_cases
    assert found.kendall_of_cases.ci is not None


def test_a_constant_rater_has_no_line_in_either_direction_but_a_reason():
    ratings = table()
    ratings.frame["value"] = 300.0
    found = iou_relations(ratings, "feature", CONTRAST)
    for relation in found.maps:
        assert relation.overall.slope.value == 0.0
        assert relation.as_published[0].slope.value is None
        assert "nothing can be regressed on it" in relation.as_published[0].slope.note
        assert relation.odds_ratio.value is None
        assert relation.overall.kendall_of_cases.value is None


def test_one_map_of_the_same_iou_everywhere_gives_reasons():
    ratings = table()
    ratings.frame["iou_three"] = 0.5
    found = iou_relations(ratings, "feature", CONTRAST)
    assert found.maps[-1].overall.slope.value is None
    assert found.comparisons[0].difference.value is None
    assert found.comparisons[0].difference.note


def test_without_iou_or_item_there_is_nothing_to_relate():
    ratings = table()
    with pytest.raises(AnalysisError, match="no ratings of an item 'x'"):
        iou_relations(ratings, "x", CONTRAST)
    bare = canonicalise(
        pd.DataFrame(
            {"reader": ["a"], "case_id": ["1"], "condition": ["A"], "item": ["f"], "value": [1]}
        )
    )
    with pytest.raises(AnalysisError, match="No map has an IoU"):
        iou_relations(bare, "f", CONTRAST)
