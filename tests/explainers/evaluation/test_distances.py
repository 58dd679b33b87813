"""Distances between sets of images: closed forms, and failures that one number hides."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.base import ExplainerError
from explainers.evaluation.distances import frechet, set_distance


def test_the_frechet_distance_of_normal_samples_is_that_of_their_moments() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(0, 1, (20_000, 3))
    second = rng.normal([1, 0, 0], 2, (20_000, 3))
    assert frechet(first, second) == pytest.approx(1 + 3 * (2 - 1) ** 2, rel=0.05)
    assert frechet(first, first) == pytest.approx(0, abs=1e-6)


def test_collapsed_samples_have_precision_but_no_recall() -> None:
    rng = np.random.default_rng(1)
    films = rng.normal(size=(200, 4))
    collapsed = films[:1] + rng.normal(0, 1e-3, (200, 4))
    found = set_distance(films, collapsed)
    assert found.precision == 1.0
    assert found.recall < 0.05


def test_samples_far_from_every_film_have_neither() -> None:
    rng = np.random.default_rng(2)
    found = set_distance(rng.normal(size=(50, 2)), rng.normal(100, 1, (50, 2)))
    assert (found.precision, found.recall) == (0.0, 0.0)
    assert found.frechet > 1e4


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ExplainerError, match="more than 4 images"):
        set_distance(np.zeros((3, 2)), np.zeros((9, 2)))
