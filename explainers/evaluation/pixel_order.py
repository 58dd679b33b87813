"""Deletion and insertion: f as the strongest pixels of a map are taken away, or come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.evaluation.maps import predictions
from explainers.evaluation.perturbation import with_blur

Baseline: TypeAlias = Literal["blur", "black"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)

BLUR_SHARE = 0.05
"""σ of the blurred baseline as a share of the longer side of the film."""

_BATCH = 32


def baseline_films(films: NDArray[np.float32], baseline: Baseline) -> NDArray[np.float32]:
    """Return what takes the place of deleted pixels, (N, H, W).

    ``"blur"``: the film under a Gaussian of 5 % of its longer side, which removes detail but draws
    no edge; ``"black"``: zero, which a classifier may take for air.

    Raises
    ------
    ExplainerError
        If the baseline is unknown.
    """
    if baseline == "blur":
        return with_blur(films, BLUR_SHARE * max(films.shape[1:]))
    if baseline == "black":
        return np.zeros_like(films)
    raise ExplainerError(f"The baseline is one of {', '.join(BASELINES)}; {baseline!r} was given.")


def pixel_order(values: NDArray[np.floating], random: np.random.Generator) -> NDArray[np.intp]:
    """Return flat indices from the largest to the smallest absolute value; ties in random order.

    (In the order of a stable sort, a map that is zero almost everywhere would be deleted row by
    row, from the top of the film.)
    """
    return np.lexsort((random.random(values.size), -np.abs(values).ravel()))


def curves(
    films: NDArray[np.float32],
    others: NDArray[np.float32],
    orders: Sequence[NDArray[np.intp]],
    shares: Sequence[float],
    findings: Sequence[str],
    classifier: Classifier,
) -> NDArray[np.float64]:
    """Return f as a growing share of pixels is replaced, (N, number of shares).

    Deletion goes from the film to its baseline, insertion from the baseline to the film: exchange
    the two arguments.

    Parameters
    ----------
    films, others
        (N, H, W), in [0, 1]: what one starts from, and what one goes to.
    orders
        N orders of the pixels, as :func:`pixel_order` gives them.
    shares
        Of all pixels, each in [0, 1]; rounded to whole pixels.

    Raises
    ------
    ExplainerError
        If a share is outside [0, 1].
    """
    if not shares or min(shares) < 0 or max(shares) > 1:
        raise ExplainerError(f"The shares are {list(shares)}; expected numbers in [0, 1].")
    counts = [round(share * films[0].size) for share in shares] if len(films) else []
    found = []
    for film, other, order, finding in zip(films, others, orders, findings, strict=True):
        stack = np.repeat(film.reshape(1, -1), len(counts), axis=0)  # (shares, H·W)
        for row, count in zip(stack, counts, strict=True):
            row[order[:count]] = other.ravel()[order[:count]]
        stack = stack.reshape(len(counts), *film.shape)
        found.append(
            np.concatenate(
                [
                    predictions(part, [finding] * len(part), classifier)[1]
                    for part in (stack[at : at + _BATCH] for at in range(0, len(stack), _BATCH))
                ]
            )
        )
    return np.stack(found) if found else np.zeros((0, len(shares)))


def area(shares: Sequence[float], curve: NDArray[np.floating]) -> float:
    """Return the area under a curve by trapezia, over the range of its shares: a mean f."""
    x = np.asarray(shares, np.float64)
    return float(np.trapezoid(curve, x) / (x[-1] - x[0]))
