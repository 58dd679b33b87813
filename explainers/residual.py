"""The residual film: the change that a counterfactual makes, laid on the film itself.

A decoded frame x'_λ has the resolution and the blur of the autoencoder. The residual frame
x + (x'_λ − x'_0) keeps every detail of the film and shows nothing but the change. NumPy only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data.raster import resize
from explainers.base import ExplainerError
from explainers.record import Counterfactual, Toggles


def residual_frames(
    film: NDArray[np.floating], counterfactual: Counterfactual
) -> NDArray[np.float32]:
    """Lay the changes of all frames on the film: clip(x + resize(x'_λ − x'_0), 0, 1).

    Parameters
    ----------
    film
        (H, W), in [0, 1], at any resolution; the whole film that was explained, so that its edges
        are those of the frames.
    counterfactual
        Its frames are (T, h, w).

    Returns
    -------
    ndarray
        (T, H, W), float32, in [0, 1], at the film's resolution. The frame at the counterfactual's
        ``origin`` is the film, exactly.

    Raises
    ------
    ExplainerError
        If the film is not a finite (H, W) array in [0, 1].
    """
    _check(film)
    return _laid_on(film, counterfactual.frames, counterfactual.origin)


def residual_states(film: NDArray[np.floating], toggles: Toggles) -> NDArray[np.float32]:
    """Lay the changes of all states on the film, as :func:`residual_frames` those of a film.

    Parameters
    ----------
    film
        (H, W), in [0, 1], at any resolution.
    toggles
        Its frames are (3^K, h, w).

    Returns
    -------
    ndarray
        (3^K, H, W), float32, in [0, 1]. The state in which nothing is switched is the film.

    Raises
    ------
    ExplainerError
        If the film is not a finite (H, W) array in [0, 1].
    """
    _check(film)
    return _laid_on(film, toggles.frames, toggles.origin)


def _check(film: NDArray[np.floating]) -> None:
    """Refuse what is no film."""
    if film.ndim != 2 or not film.size or not np.isfinite(film).all():
        raise ExplainerError(
            f"A film of shape {film.shape} with {int((~np.isfinite(film)).sum())} values that are "
            "NaN or infinite was given; expected finite numbers of shape (rows, columns)."
        )
    if film.min() < 0 or film.max() > 1:
        raise ExplainerError(
            f"The film runs from {film.min():.3g} to {film.max():.3g}; expected [0, 1]. Read it "
            "through a case set, which scales it."
        )


def _laid_on(
    film: NDArray[np.floating], frames: NDArray[np.float32], origin: int
) -> NDArray[np.float32]:
    """Return clip(film + resize(frame - frame at the origin), 0, 1) for every frame."""
    change = frames - frames[origin]  # (T, h, w), in [-1, 1]
    if change.shape[1:] != film.shape:
        change = resize(change, (film.shape[0], film.shape[1]))
    laid = np.clip(film.astype(np.float32) + change, 0, 1)
    laid[origin] = film
    return laid
