"""In which order a reader sees the frames of a moving film.

Latent Shift puts the unchanged film at the same place of every moving film, with frames of a lower
prediction on one side and of a higher one on the other. Other methods turn the prediction to the
other side, so that in their records the unchanged film is the last frame where the classifier
calls a film positive, and the first one where it calls it negative: its place would tell readers a
prediction that they are not to know. For those, readers see the frames from the unchanged film
outward to the change, whichever side that is on, and always as many of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from explainers.record import Counterfactual
from explainers.registry import spec

OPERATING_POINT = 0.5

UNCHANGED = "No change of this film was found."
"""Said of a moving film that does not move; the same whatever the prediction is."""


def is_one_way(method: str) -> bool:
    """Say whether a method's moving film goes to the other side of the prediction only.

    Those that can be told how many frames lie on either side of the unchanged film do not.
    """
    found = spec(method)
    sides = {"frames_below", "frames_above"}
    return found.kind == "counterfactual" and not sides & {p.name for p in found.parameters}


def outward(film: Counterfactual) -> Counterfactual:
    """Return the frames from the unchanged film to the change, as many as the record has.

    Frames on the other side of the unchanged film, which exaggerate a finding, are left out. Where
    fewer frames than asked for remain, frames between two of them are the mixture of both.

    Parameters
    ----------
    film
        Of any method.

    Returns
    -------
    Counterfactual
        With the unchanged film at frame 0; its steps count the frames of the record from there.
    """
    n_frames, last = len(film.frames), len(film.frames) - 1
    down = film.origin > 0 and (film.origin == last or film.probability_image >= OPERATING_POINT)
    end = 0 if down else last
    places = np.linspace(film.origin, end, n_frames)  # (T,), in frames of the record
    steps = np.abs(places - film.origin) if end != film.origin else np.arange(n_frames)
    return replace(
        film,
        frames=_at(film.frames, places).astype(np.float32),
        probabilities=_at(film.probabilities, places).astype(np.float64),
        steps=steps.astype(np.float64),
        origin=0,
    )


def does_not_move(film: Counterfactual) -> bool:
    """Say whether all frames are the same picture."""
    return bool((film.frames == film.frames[0]).all())


def _at(values: NDArray[np.floating], places: NDArray[np.float64]) -> NDArray[np.floating]:
    """Return values (T, …) at places between their indices."""
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, len(values) - 1)
    share = (places - below).reshape(-1, *[1] * (values.ndim - 1)).astype(values.dtype)
    mixed: NDArray[np.floating] = (1 - share) * values[below] + share * values[above]
    return mixed
