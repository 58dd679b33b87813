"""Measures of a map against a mask, counted by hand on 4 × 4 pixels."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.base import ExplainerError
from explainers.evaluation.localisation import chance_iou
from explainers.evaluation.localisation_measures import (
    PERCENTILES,
    chosen_at,
    measures,
    ncc,
    regions,
)

RANDOM = np.random.default_rng(11)
CORNER = np.zeros((4, 4), bool)
CORNER[:2, :2] = True
BLOCK = np.zeros((40, 40), bool)
BLOCK[10:18, 4:12] = True


def of(values, mask=CORNER, lungs=None, spacing=None):
    return measures(np.asarray(values, float), regions(mask, lungs, spacing))


def test_a_case_counted_by_hand():
    """Ranks: 9 and 8 in the mask, 7 outside, 6 in the mask, all else 0; 30 in all."""
    values = np.zeros((4, 4))
    values[0, 0], values[0, 1], values[3, 3], values[1, 1] = 9, -8, 7, 6
    found = of(values)
    # four chosen: three hits, five pixels in the union
    assert found["iou"] == pytest.approx(3 / 5)
    assert found["precision"] == pytest.approx(3 / 4)
    assert found["pointing"] == 1
    assert found["share_inside"] == pytest.approx(23 / 30)
    assert found["share_other_lung"] == pytest.approx(7 / 30)
    # hits at ranks 1, 2, 4; the last is among 12 tied, so that it comes at threshold 0
    expected = 0.25 * (1 / 1 + 2 / 2 + 3 / 4 + 4 / 16)
    assert found["auprc"] == pytest.approx(expected)
    # percentile 85: 16 · 0.15 = 2.4, two pixels; 98: at least one
    assert found["precision_p85"] == 1 and found["recall_p85"] == pytest.approx(2 / 4)
    assert found["iou_p85"] == pytest.approx(2 / 4) and found["recall_p98"] == pytest.approx(1 / 4)
    flat = np.corrcoef(np.abs(values).ravel(), CORNER.ravel())[0, 1]
    assert found["ncc"] == pytest.approx(flat)


def test_a_perfect_map_scores_one():
    found = of(CORNER)
    for name in ("iou", "precision", "auprc", "ncc", "pointing", "share_inside"):
        assert found[name] == pytest.approx(1), name
    assert found["share_rim"] == found["share_other_lung"] == 0
    # fewer pixels are chosen than the mask has: all hit, the recall is what they can reach
    assert found["precision_p85"] == 1 and found["recall_p85"] == pytest.approx(2 / 4)


def test_the_opposite_map_scores_zero():
    found = of(~BLOCK, BLOCK)
    assert found["iou"] == found["precision"] == found["share_inside"] == 0
    assert found["ncc"] == pytest.approx(-1)


@pytest.mark.parametrize("level", [1.0, -3.0, 0.0])
@pytest.mark.parametrize("mask", [CORNER, CORNER[::-1], BLOCK], ids=["corner", "flipped", "block"])
def test_a_constant_map_scores_chance(mask, level):
    around = regions(mask)
    found = measures(np.full(mask.shape, level), around)
    share = mask.mean()
    assert found["iou"] == pytest.approx(chance_iou(mask))
    assert found["precision"] == found["auprc"] == pytest.approx(share)
    assert found["ncc"] == 0
    assert found["pointing"] == pytest.approx(around.near.mean())
    for percentile in PERCENTILES:
        assert found[f"precision_p{percentile:g}"] == pytest.approx(share)
        chosen = chosen_at(percentile, mask.size) / mask.size
        assert found[f"recall_p{percentile:g}"] == pytest.approx(chosen)
    if level:
        assert found["share_inside"] == pytest.approx(share)
    else:
        assert np.isnan(found["share_inside"]) and np.isnan(found["share_rim"])


def test_only_the_ranks_count_where_the_measure_is_one_of_ranks():
    values = RANDOM.random((40, 40)) + BLOCK * 0.4
    plain, warped = of(values, BLOCK), of(np.exp(7 * values), BLOCK)
    ranked = ["iou", "precision", "auprc", "pointing"]
    ranked += [f"{name}_p{each:g}" for name in ("iou", "precision") for each in PERCENTILES]
    assert {name: plain[name] for name in ranked} == {name: warped[name] for name in ranked}
    assert plain["ncc"] != pytest.approx(warped["ncc"])


def test_scale_and_sign_do_not_count():
    values = RANDOM.standard_normal((40, 40))
    assert of(-5 * values, BLOCK) == pytest.approx(of(values, BLOCK))


@pytest.mark.parametrize(("offset", "hit"), [(0, 1), (1, 1), (2, 0)])
def test_the_pointing_game_tolerates_three_percent_of_the_width(offset, hit):
    """The mask ends at column 11; 3 % of 40 columns are 1.2 pixels."""
    values = np.zeros((40, 40))
    values[13, 11 + offset] = 1
    assert of(values, BLOCK)["pointing"] == hit


def test_several_maxima_count_by_their_share():
    values = np.zeros((40, 40))
    values[12, 6] = values[30, 30] = values[31, 30] = values[32, 30] = 1
    assert of(values, BLOCK)["pointing"] == pytest.approx(1 / 4)


def test_the_rim_is_ten_millimetres_where_the_spacing_is_known():
    around = regions(BLOCK, spacing_mm=(5.0, 2.0))
    rows, columns = np.nonzero(around.rim)
    assert (rows.min(), rows.max()) == (8, 19)  # two rows of 5 mm
    assert (columns.min(), columns.max()) == (0, 16)  # five columns of 2 mm, cut by the film
    assert not (around.rim & BLOCK).any()


def test_the_rim_is_a_share_of_the_width_otherwise():
    around = regions(BLOCK)  # 2.5 % of 40 columns
    rows, _ = np.nonzero(around.rim)
    assert (rows.min(), rows.max()) == (9, 18)
    assert around.rim.sum() == 4 * 8  # one pixel at each side, corners are farther


def test_the_rim_has_at_least_one_pixel():
    assert regions(CORNER).rim.sum() == 4


def test_the_other_lung_comes_from_the_lungs():
    lungs = np.zeros((40, 40), bool)
    lungs[5:30, 2:16] = lungs[5:30, 22:38] = True
    other = regions(BLOCK, lungs).other_lung
    assert np.array_equal(other, lungs & (np.arange(40) > 19))


def test_the_middle_is_that_of_the_lungs_and_not_of_the_film():
    lungs = np.zeros((40, 40), bool)
    lungs[5:30, 16:26] = lungs[5:30, 28:38] = True
    mask = np.zeros((40, 40), bool)
    mask[10:14, 20:26] = True  # across the middle of the film, in the left one of the lungs
    assert np.array_equal(regions(mask, lungs).other_lung, lungs & (np.arange(40) > 27))


@pytest.mark.parametrize("lungs", [None, np.zeros((40, 40), bool), np.ones((8, 8), bool)])
def test_without_lungs_it_is_the_other_half_of_the_film(lungs):
    other = regions(BLOCK, lungs).other_lung
    assert np.array_equal(other, np.broadcast_to(np.arange(40) >= 20, (40, 40)))
    mirrored = regions(BLOCK[:, ::-1], lungs).other_lung
    assert np.array_equal(mirrored, other[:, ::-1])


def test_a_finding_on_both_sides_has_no_other_lung():
    both = BLOCK | BLOCK[:, ::-1]
    assert regions(both).other_lung is None
    found = of(RANDOM.random((40, 40)), both)
    assert np.isnan(found["share_other_lung"]) and np.isfinite(found["share_inside"])


def test_a_map_of_another_size_is_interpolated_to_that_of_the_film():
    values = np.zeros((8, 8))
    values[2:4, 1:3] = 1
    mask = np.zeros((64, 64), bool)
    mask[16:32, 8:24] = True
    assert of(values, mask)["iou"] > 0.9 and of(values, mask)["pointing"] == 1


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.zeros((4, 4), bool), "mask is empty"),
        (np.arange(16).reshape(4, 4) < 10, "covers 62% of the film"),
    ],
)
def test_masks_that_mark_no_place_are_refused(mask, said):
    with pytest.raises(ExplainerError, match=said):
        regions(mask)


def test_half_the_film_is_not_too_much():
    assert of(np.ones((4, 4)), np.arange(16).reshape(4, 4) < 8)["precision"] == 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_map_that_is_not_finite_is_refused(bad):
    with pytest.raises(ExplainerError, match="NaN or infinite"):
        of(np.where(CORNER, bad, 0.0))


def test_the_correlation_survives_tiny_and_huge_maps():
    values = RANDOM.random((40, 40)) + BLOCK
    expected = ncc(values, BLOCK)
    assert ncc(values * 1e-30, BLOCK) == pytest.approx(expected)
    assert ncc(values * 1e30, BLOCK) == pytest.approx(expected)
    assert ncc(np.full((40, 40), 0.1), BLOCK) == 0
