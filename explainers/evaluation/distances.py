"""How far a set of generated images is from a set of films, in the features of a network.

The features are those of one of our own classifiers, not of a network trained on photographs; the
distances therefore compare with each other, and with no published Fréchet distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, eigvalsh
from scipy.spatial.distance import cdist

from explainers.base import ExplainerError


@dataclass(frozen=True)
class SetDistance:
    """Distances of generated from real images.

    Parameters
    ----------
    frechet
        Fréchet distance of normal distributions fitted to the features, ≥ 0.
    precision
        Share of generated images that lie among the real ones, in [0, 1].
    recall
        Share of real images that lie among the generated ones, in [0, 1].
    """

    frechet: float
    precision: float
    recall: float


def set_distance(
    real: NDArray[np.floating], generated: NDArray[np.floating], *, neighbours: int = 3
) -> SetDistance:
    """Compare features (N, D) of real with features (M, D) of generated images.

    Precision and recall follow Kynkäänniemi et al. 2019 (arXiv:1904.06991): an image lies among
    a set if it is no farther from one of its members than that member's k-th neighbour.

    Raises
    ------
    ExplainerError
        If there are too few images, or features differ in number.
    """
    if min(len(real), len(generated)) <= neighbours + 1 or real.shape[1] != generated.shape[1]:
        raise ExplainerError(
            f"Features of shape {real.shape} and {generated.shape} cannot be compared; expected "
            f"equal columns and more than {neighbours + 1} images on each side."
        )
    return SetDistance(
        frechet(real, generated),
        _share_among(generated, real, neighbours),
        _share_among(real, generated, neighbours),
    )


def frechet(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return |μ1 − μ2|² + tr(C1 + C2 − 2 (C1^½ C2 C1^½)^½) of features (N, D) and (M, D)."""
    means = first.mean(axis=0) - second.mean(axis=0)
    covariances = [np.atleast_2d(np.cov(each, rowvar=False)) for each in (first, second)]
    values, vectors = eigh(covariances[0])
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T  # symmetric, also where C1 is singular
    cross = np.sqrt(eigvalsh(root @ covariances[1] @ root).clip(0)).sum()
    trace = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * cross
    return float(max(means @ means + trace, 0.0))


def _share_among(
    points: NDArray[np.floating], members: NDArray[np.floating], neighbours: int
) -> float:
    """Share of points within the k-th neighbour distance of at least one member."""
    radii = np.partition(cdist(members, members), neighbours, axis=1)[:, neighbours]
    return float((cdist(points, members) <= radii[None, :]).any(axis=1).mean())
