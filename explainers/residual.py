"""The residual film: the change that a counterfactual makes, laid on the film itself.

A decoded frame x'_λ has the resolution and the blur of the autoencoder. The residual frame
x + (x'_λ − x'_0) keeps every detail of the film and shows nothing but the change. NumPy only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data.raster import resize
from explainers.base import ExplainerError
from explainers.record import Counterfactual


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
    change = counterfactual.frames - counterfactual.reconstruction  # (T, h, w), in [-1, 1]
    if change.shape[1:] != film.shape:
        change = resize(change, (film.shape[0], film.shape[1]))
    frames = np.clip(film.astype(np.float32) + change, 0, 1)
    frames[counterfactual.origin] = film
    return frames
