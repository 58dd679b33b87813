"""IoU at matched area: identities, ties, the trap of sparse maps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from explainers.archive import ExplanationArchive
from explainers.base import ExplainerError
from explainers.evaluation.localisation import chance_iou, iou_at_matched_area, measure, table
from explainers.record import Attribution, Provenance

RANDOM = np.random.default_rng(7)


def mask_of(side, n_pixels):
    mask = np.zeros(side * side, bool)
    mask[:n_pixels] = True
    return mask.reshape(side, side)


@pytest.mark.parametrize("n_covered", [0, 1, 7, 20])
def test_the_iou_is_r_over_two_minus_r(n_covered):
    mask = mask_of(20, 20)
    values = RANDOM.random((20, 20)) * 0.1
    values.ravel()[:n_covered] += 1  # hits
    values.ravel()[100 : 120 - n_covered] += 1  # misses
    share = n_covered / 20
    assert iou_at_matched_area(values, mask) == pytest.approx(share / (2 - share))


def test_it_agrees_with_counting_the_pixels_of_both_areas():
    mask = RANDOM.random((32, 32)) < 0.2
    values = RANDOM.standard_normal((32, 32))
    chosen = np.zeros(mask.size, bool)
    chosen[np.argsort(-np.abs(values), axis=None)[: mask.sum()]] = True
    chosen = chosen.reshape(mask.shape)
    expected = (chosen & mask).sum() / (chosen | mask).sum()
    assert iou_at_matched_area(values, mask) == pytest.approx(expected)


def test_only_ranks_matter():
    mask = mask_of(16, 40)
    values = RANDOM.random((16, 16))
    assert iou_at_matched_area(np.exp(9 * values), mask) == iou_at_matched_area(values, mask)


def test_the_sign_of_a_map_does_not_matter():
    mask = mask_of(16, 40)
    values = RANDOM.standard_normal((16, 16))
    assert iou_at_matched_area(-values, mask) == iou_at_matched_area(values, mask)


def test_a_sparse_map_does_not_select_every_pixel():
    """With ``map >= percentile`` the threshold is 0 and the whole film is chosen: IoU = 0.25."""
    mask = mask_of(20, 100)
    values = np.zeros((20, 20))
    values[0, 0] = 1.0
    assert (values >= np.percentile(values, 75)).all()
    assert iou_at_matched_area(values, mask) == pytest.approx(chance_iou(mask), abs=0.005)
    assert iou_at_matched_area(values, mask) < 0.16


def test_ties_give_the_expected_iou_over_all_ways_to_break_them():
    mask = np.array([[1, 1, 1, 0, 0, 0, 0, 0]], bool)
    values = np.array([[9, 5, 0, 5, 5, 0, 0, 5.0]])
    tied = [1, 3, 4, 7]
    ways = []
    for two in itertools.combinations(tied, 2):
        hits = 1 + sum(mask[0, each] for each in two)
        ways.append(hits / (6 - hits))
    assert iou_at_matched_area(values, mask) == pytest.approx(np.mean(ways))


def test_a_constant_map_scores_chance_wherever_the_mask_lies():
    for mask in (mask_of(16, 30), mask_of(16, 30)[::-1], mask_of(16, 30).T):
        assert iou_at_matched_area(np.full((16, 16), 3.0), mask) == pytest.approx(chance_iou(mask))


def test_chance_is_what_random_maps_score():
    mask = mask_of(24, 120)
    scores = [iou_at_matched_area(RANDOM.random((24, 24)), mask) for _ in range(400)]
    assert np.mean(scores) == pytest.approx(chance_iou(mask), abs=0.004)


def test_perfect_and_opposite_maps_score_one_and_zero():
    mask = mask_of(16, 40)
    assert iou_at_matched_area(mask.astype(float), mask) == 1
    assert iou_at_matched_area(1.0 - mask, mask) == 0
    assert iou_at_matched_area(RANDOM.random((16, 16)), np.ones((16, 16), bool)) == 1


def test_a_map_is_measured_at_the_resolution_of_the_film():
    mask = np.zeros((64, 64), bool)
    mask[16:32, 16:32] = True
    values = np.zeros((8, 8))
    values[2:4, 2:4] = 1.0
    assert iou_at_matched_area(values, mask) > 0.9
    assert iou_at_matched_area(np.roll(values, 4, axis=0), mask) == 0


@pytest.mark.parametrize(
    ("values", "mask", "said"),
    [
        (np.zeros((4, 4)), np.zeros((4, 4), bool), "mask is empty"),
        (np.full((4, 4), np.nan), np.ones((4, 4), bool), "NaN"),
        (np.zeros((2, 4, 4)), np.ones((4, 4), bool), "map has shape"),
        (np.zeros((4, 4)), np.ones((4, 4)), "float64 of shape"),
    ],
)
def test_what_cannot_be_measured_is_refused(values, mask, said):
    with pytest.raises(ExplainerError, match=said):
        iou_at_matched_area(values, mask)


class References:
    """A reference standard of two cases, one without a mask."""

    def __contains__(self, case_id):
        return case_id in ("c1", "c2")

    def mask(self, case_id, _finding):
        return mask_of(16, 64) if case_id == "c1" else None


def test_archived_maps_are_measured_where_there_is_a_mask(tmp_path):
    archive, told = ExplanationArchive(tmp_path), []
    values = mask_of(8, 16).astype(np.float32)
    made = Provenance("c1", "Mass", "m", "", None, {}, "", 0.0, "", "")
    archive.save(Attribution(values, "Mass", 0.0, 0.5), made)
    pairs = [("c1", "Mass"), ("c2", "Mass"), ("c3", "Mass")]
    rows = table(
        measure(archive, References(), pairs, ["m"], on_progress=lambda *each: told.append(each))
    )
    assert list(rows.columns) == ["case_id", "finding", "map", "iou", "mask_share"]
    assert rows.to_dict("records") == [
        {"case_id": "c1", "finding": "Mass", "map": "m", "iou": 1.0, "mask_share": 0.25}
    ]
    assert told[-1] == (3, 3)
