"""Rank correlation and SSIM of maps: closed forms, an outside authority, constants."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from explainers.base import ExplainerError
from explainers.evaluation.similarity import rank_correlation, structural_similarity

RANDOM = np.random.default_rng(3)
MAP = RANDOM.standard_normal((16, 16))


@pytest.mark.parametrize("measure", [rank_correlation, structural_similarity])
def test_a_map_is_wholly_like_itself_whatever_its_unit_and_sign(measure):
    assert measure(MAP, MAP) == pytest.approx(1)
    assert measure(MAP, -1000 * MAP) == pytest.approx(1)


def test_the_rank_correlation_is_scipys():
    other = np.round(MAP + RANDOM.standard_normal(MAP.shape), 1)  # with ties
    expected = spearmanr(np.abs(MAP), np.abs(other), axis=None).statistic
    assert rank_correlation(MAP, other) == pytest.approx(expected)


def test_reversed_ranks_correlate_at_minus_one():
    values = RANDOM.random((16, 16)) + 0.1
    assert rank_correlation(values, 1 / values) == pytest.approx(-1)


def test_unrelated_maps_do_not_correlate():
    found = [rank_correlation(*RANDOM.standard_normal((2, 16, 16))) for _ in range(100)]
    assert abs(np.mean(found)) < 0.02


@pytest.mark.parametrize("measure", [rank_correlation, structural_similarity])
@pytest.mark.parametrize("constant", [np.zeros((16, 16)), np.where(MAP > 0, 2.0, -2.0)])
def test_a_map_of_constant_magnitude_is_neither_alike_nor_unlike(measure, constant):
    assert math.isnan(measure(MAP, constant))
    assert math.isnan(measure(constant, constant))


@pytest.mark.parametrize("measure", [rank_correlation, structural_similarity])
@pytest.mark.parametrize(
    ("other", "said"),
    [(MAP[:12], "shapes"), (np.full((16, 16), np.nan), "NaN"), (MAP[None], "shapes")],
)
def test_what_cannot_be_compared_is_refused(measure, other, said):
    with pytest.raises(ExplainerError, match=said):
        measure(MAP, other)


def test_a_map_smaller_than_the_window_is_refused():
    with pytest.raises(ExplainerError, match="at least 11"):
        structural_similarity(MAP[:8, :8], MAP[:8, :8])
