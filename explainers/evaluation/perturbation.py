"""Films made worse on purpose: noise and blur, seeded by case so that chunks do not matter."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from explainers.base import ExplainerError


def generator_of(case_id: str, seed: int) -> np.random.Generator:
    """Return the random numbers of a case: they depend on its name and the seed only.

    Raises
    ------
    ExplainerError
        If the seed is negative.
    """
    if seed < 0:
        raise ExplainerError(f"The seed is {seed}; expected 0 or more.")
    return np.random.default_rng([seed, zlib.crc32(case_id.encode())])


def with_noise(
    films: NDArray[np.floating], case_ids: Sequence[str], sigma: float, seed: int
) -> NDArray[np.float32]:
    """Add white Gaussian noise and clip to [0, 1].

    A case gets the same noise at every strength, scaled, so that a curve over strengths is smooth.

    Parameters
    ----------
    films
        (N, H, W), in [0, 1].
    sigma
        Standard deviation in brightness (black 0, white 1), at least 0.

    Returns
    -------
    ndarray
        (N, H, W), float32, in [0, 1].
    """
    _check_sigma(sigma)
    noisy = [
        film + sigma * generator_of(case_id, seed).standard_normal(film.shape)
        for film, case_id in zip(films, case_ids, strict=True)
    ]
    return np.clip(np.stack(noisy), 0, 1).astype(np.float32)


def with_blur(films: NDArray[np.floating], sigma: float) -> NDArray[np.float32]:
    """Blur films (N, H, W) with a Gaussian of ``sigma`` pixels; edges are repeated."""
    _check_sigma(sigma)
    blurred = [gaussian_filter(film, sigma, mode="nearest") for film in films]
    return np.clip(np.stack(blurred), 0, 1).astype(np.float32)


def _check_sigma(sigma: float) -> None:
    if not (np.isfinite(sigma) and sigma >= 0):
        raise ExplainerError(f"A standard deviation of {sigma} was given; expected 0 or more.")
