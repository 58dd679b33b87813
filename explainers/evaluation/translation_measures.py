"""How far translated images are from the images of the other side, in an embedding. NumPy only.

Charachon et al. 2021, §4: Fréchet distance of the embeddings, and Jensen–Shannon distance of
kernel densities on their first two principal components. The components are those of the real
images alone, so that a translation cannot bend the plane it is judged in. A distance counts beside
that between the real images of the two sides: 1 is a translation that might as well have done
nothing, 0 one that cannot be told from the real images it wants to be among.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import gaussian_kde

from explainers.base import ExplainerError
from explainers.evaluation.distances import frechet

_GRID = 64
_MARGIN = 0.25


@dataclass(frozen=True, eq=False)
class Plane:
    """First two principal components of the real images' embeddings.

    Parameters
    ----------
    mean
        (D,).
    axes
        (2, D), orthonormal.
    explained
        Share of the variance along each axis.
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]
    explained: tuple[float, float]

    def project(self, embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
        """Coordinates (N, 2) of embeddings (N, D)."""
        return (np.asarray(embeddings, float) - self.mean) @ self.axes.T


@dataclass(frozen=True)
class DomainDistance:
    """Distances of a set of translated images from the real images of the side it went to.

    Parameters
    ----------
    frechet, jensen_shannon
        To the real images of the other side; the second in [0, 1], base 2.
    frechet_ratio, jensen_shannon_ratio
        The same by the distance between the real images of both sides; NaN where that is 0.
    """

    frechet: float
    jensen_shannon: float
    frechet_ratio: float
    jensen_shannon_ratio: float


def fit_plane(real: NDArray[np.floating]) -> Plane:
    """Return the plane of the real images' embeddings (N, D).

    Raises
    ------
    ExplainerError
        If there are fewer than three images or two dimensions, or they do not vary in a plane.
    """
    values = np.asarray(real, float)
    if values.ndim != 2 or len(values) < 3 or values.shape[1] < 2:
        raise ExplainerError(
            f"Embeddings of shape {values.shape} span no plane; expected at least three images of "
            "at least two dimensions."
        )
    mean = values.mean(axis=0)
    _, strength, axes = np.linalg.svd(values - mean, full_matrices=False)
    if strength[1] <= 1e-9 * max(strength[0], 1e-30):
        raise ExplainerError("The embeddings lie on one line; give images that differ.")
    share = strength**2 / (strength**2).sum()
    return Plane(mean, axes[:2], (float(share[0]), float(share[1])))


def jensen_shannon(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Jensen–Shannon distance, base 2, of kernel densities of points (N, 2) and (M, 2).

    Both densities (Scott's bandwidth) are taken on one grid around all points. Where a set's points
    coincide, or lie on a line, they have no density and are counted in the grid's cells instead:
    a generator that draws one image for all is as far from the real ones as can be.

    Raises
    ------
    ExplainerError
        If a set has fewer than three points, or all points of both lie on a line along an axis.
    """
    both = np.concatenate([first, second])
    low, high = both.min(axis=0), both.max(axis=0)
    if min(len(first), len(second)) < 3 or not (high > low).all():
        raise ExplainerError(
            f"The densities of {len(first)} and {len(second)} points cannot be estimated; give at "
            "least three points each that do not all coincide."
        )
    margin = _MARGIN * (high - low)
    sides = [np.linspace(low[k] - margin[k], high[k] + margin[k], _GRID) for k in (0, 1)]
    densities = [_density(points, sides) for points in (first, second)]
    return float(jensenshannon(*densities, base=2))


def _density(
    points: NDArray[np.floating], sides: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Shares (G²,) of the density of points (N, 2) on a grid."""
    grid = np.stack([each.ravel() for each in np.meshgrid(*sides, indexing="ij")])
    try:
        values = gaussian_kde(np.asarray(points).T)(grid)
    except np.linalg.LinAlgError:  # no spread in some direction
        values = np.zeros(grid.shape[1])
    if not values.sum() > 0:  # no spread, or kernels that fit between the points of the grid
        edges = [
            np.append(each, 2 * each[-1] - each[-2]) - (each[1] - each[0]) / 2 for each in sides
        ]
        values = np.histogram2d(points[:, 0], points[:, 1], bins=edges)[0].ravel()
    shares: NDArray[np.float64] = values / values.sum()
    return shares


def domain_distance(
    translated: NDArray[np.floating],
    real_there: NDArray[np.floating],
    real_here: NDArray[np.floating],
    plane: Plane,
) -> DomainDistance:
    """Judge a translation by embeddings.

    Parameters
    ----------
    translated
        (N, D), of the adversarial images.
    real_there
        (M, D), of real images of the side they went to.
    real_here
        (K, D), of real images of the side they came from.
    plane
        Of the real images of both sides.
    """
    there, here = plane.project(real_there), plane.project(real_here)
    distance = frechet(translated, real_there)
    density = jensen_shannon(plane.project(translated), there)
    apart, apart_density = frechet(real_here, real_there), jensen_shannon(here, there)
    return DomainDistance(
        distance, density, _ratio(distance, apart), _ratio(density, apart_density)
    )


def _ratio(value: float, whole: float) -> float:
    return value / whole if whole > 0 else float("nan")
