"""Residual frames: the film itself where nothing is changed, at its own resolution."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.base import ExplainerError
from explainers.record import Counterfactual
from explainers.residual import residual_frames


def film_of(frames, origin=1):
    steps = np.arange(len(frames), dtype=float) - origin
    return Counterfactual(
        frames=np.asarray(frames, np.float32),
        steps=steps,
        origin=origin,
        probabilities=np.linspace(0.2, 0.8, len(frames)),
        finding="Mass",
        reached_low=True,
        reached_high=True,
        probability_image=0.6,
    )


def noise(*shape):
    return np.random.default_rng(1).random(shape).astype(np.float32)


def test_the_unshifted_residual_frame_is_the_film_exactly():
    film = noise(21, 14)
    frames = residual_frames(film, film_of(noise(3, 8, 8)))
    np.testing.assert_array_equal(frames[1], film)
    assert frames.shape == (3, 21, 14)
    assert frames.dtype == np.float32


def test_a_change_is_added_to_the_film_and_clipped():
    film = noise(8, 8)
    base = np.full((8, 8), 0.5)
    frames = residual_frames(film, film_of([base - 0.3, base, base + 0.2]))
    np.testing.assert_allclose(frames[0], np.clip(film - 0.3, 0, 1), atol=1e-6)
    np.testing.assert_allclose(frames[2], np.clip(film + 0.2, 0, 1), atol=1e-6)


def test_an_even_change_stays_even_at_the_resolution_of_the_film():
    base = noise(8, 8) / 2
    frames = residual_frames(np.full((24, 40), 0.3), film_of([base, base, base + 0.25]))
    np.testing.assert_allclose(frames[2], 0.55, atol=1e-6)


@pytest.mark.parametrize(
    "film", [np.zeros((2, 8, 8)), np.full((8, 8), np.nan), np.full((8, 8), 2.0), np.zeros((0, 8))]
)
def test_what_is_no_film_is_refused(film):
    with pytest.raises(ExplainerError, match=r"expected (finite numbers|\[0, 1\])"):
        residual_frames(film, film_of(noise(3, 8, 8)))
