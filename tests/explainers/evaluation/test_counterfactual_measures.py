"""Measures of changed images: closed forms, and what does not exist stays NaN."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.base import ExplainerError
from explainers.evaluation.counterfactual_measures import (
    change_of,
    coverage,
    errors,
    fine_share,
    first_below,
    monotone_share,
    n_spots,
)

SIDE = 32


def grey(value=0.5):
    return np.full((SIDE, SIDE), value, np.float32)


def test_a_prediction_at_the_operating_point_is_negative():
    assert first_below(np.array([0.9, 0.5, 0.4])) == 1
    assert first_below(np.array([0.5])) == 0
    assert first_below(np.array([0.9, 0.51])) is None


def test_monotone_steps_are_counted_and_a_wiggle_within_the_tolerance_is_none():
    assert monotone_share(np.array([0.9, 0.7, 0.8, 0.5, 0.4])) == 0.75
    assert monotone_share(np.array([0.9, 0.9005, 0.5])) == 1
    assert monotone_share(np.array([0.9, 0.9005, 0.5]), tolerance=0) == 0.5
    assert np.isnan(monotone_share(np.array([0.9])))


def test_sizes_of_a_change_have_their_closed_form():
    changed = grey()
    changed[:8, :8] += 10 / 255  # a sixteenth of the film by ten grey levels
    changed[8:16, :8] += 4 / 255  # another one by four, which is not counted as changed
    change = change_of(grey(), changed)
    assert change.l1 == pytest.approx(14 / 16, abs=1e-4)
    assert change.l2 == pytest.approx(np.sqrt(116 / 16), abs=1e-4)
    assert change.share == 1 / 16


def test_errors_inside_outside_and_over_the_film_have_their_closed_form():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:16] = True
    wrong = grey()
    wrong[:16] += 20 / 255
    wrong[16:] -= 2 / 255
    found = errors(wrong, grey(), coverage(mask, (SIDE, SIDE)))
    assert found.inside == pytest.approx(20, abs=1e-3)
    assert found.outside == pytest.approx(2, abs=1e-3)
    assert found.film == pytest.approx(11, abs=1e-3)


def test_a_line_narrower_than_a_pixel_keeps_its_weight():
    mask = np.zeros((4 * SIDE, 4 * SIDE), bool)
    mask[:, 8] = True  # a quarter of the third column once the film is shrunk
    covered = coverage(mask, (SIDE, SIDE))
    assert covered[:, 2] == pytest.approx(0.25)
    assert covered.sum() == pytest.approx(SIDE * 0.25)


def test_without_a_mask_only_the_whole_film_has_an_error():
    found = errors(grey(0.6), grey(0.5), None)
    assert found.film == pytest.approx(25.5, abs=1e-3)
    assert np.isnan(found.inside)
    assert np.isnan(found.outside)


@pytest.mark.parametrize(("filled", "missing"), [(False, "inside"), (True, "outside")])
def test_an_empty_side_of_a_mask_has_no_error(filled, missing):
    covered = coverage(np.full((SIDE, SIDE), filled), (SIDE, SIDE))
    assert np.isnan(getattr(errors(grey(0.6), grey(), covered), missing))


def test_images_of_different_sizes_and_masks_that_are_none_are_refused():
    with pytest.raises(ExplainerError, match="Resample both"):
        change_of(grey(), grey()[:8])
    with pytest.raises(ExplainerError, match="expected bool"):
        coverage(grey(), (8, 8))


def test_a_wide_change_is_not_fine_and_noise_is():
    rows = np.arange(SIDE)[:, None]
    wide = np.cos(np.pi * (rows + 0.5) / SIDE) * np.ones((1, SIDE))
    assert fine_share(wide) == pytest.approx(0, abs=1e-9)
    noise = np.random.default_rng(1).standard_normal((SIDE, SIDE))
    assert fine_share(noise) > 0.95
    assert fine_share(wide) < fine_share(wide + 0.2 * noise) < fine_share(noise)
    assert np.isnan(fine_share(np.zeros((SIDE, SIDE))))


def test_spots_are_counted_as_pieces_of_the_strongest_pixels():
    values = np.zeros((20, 20))
    values[2:4, 2:5] = -3  # 6 pixels, one piece; the sign does not matter
    values[10, 10] = values[11, 11] = 2  # two pixels that touch at a corner
    values[18, 3] = 1
    assert n_spots(values, share=0.02) == 2
    assert n_spots(values, share=0.05) == 3
    assert n_spots(np.zeros((20, 20))) == 0
