"""Least squares whose standard errors know that readings of one case belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError


@dataclass(frozen=True, eq=False)
class ClusteredFit:
    """Coefficients of a linear model and their cluster-robust covariance.

    Parameters
    ----------
    coefficients
        Shape (K,).
    covariance
        Shape (K, K), CR1.
    n, n_clusters
        Rows and clusters used.
    """

    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]
    n: int
    n_clusters: int

    @property
    def df(self) -> int:
        """Degrees of freedom of the t distribution: clusters minus one."""
        return self.n_clusters - 1

    def interval(self, weights: ArrayLike, level: float) -> tuple[float, float, float]:
        """Return a linear combination of the coefficients with its lower and upper limit.

        Parameters
        ----------
        weights
            Shape (K,).
        level
            Confidence level in (0, 1).
        """
        w = np.asarray(weights, dtype=float)
        value = float(w @ self.coefficients)
        reach = float(stats.t.ppf(0.5 + level / 2, self.df)) * self.standard_error(w)
        return value, value - reach, value + reach

    def standard_error(self, weights: ArrayLike) -> float:
        """Return the standard error of a linear combination of the coefficients."""
        w = np.asarray(weights, dtype=float)
        return float(np.sqrt(max(w @ self.covariance @ w, 0.0)))

    def p_value(self, weights: ArrayLike) -> float | None:
        """Return the two-sided p-value of a linear combination being 0; ``None`` without error."""
        w = np.asarray(weights, dtype=float)
        error = self.standard_error(w)
        if error == 0:
            return None
        return float(2 * stats.t.sf(abs(float(w @ self.coefficients)) / error, self.df))


def fit_clustered(design: ArrayLike, response: ArrayLike, clusters: ArrayLike) -> ClusteredFit:
    """Fit ordinary least squares with the CR1 sandwich covariance.

    With residuals u, V = c (X'X)⁻¹ [Σ_g X_g' u_g u_g' X_g] (X'X)⁻¹ and
    c = G/(G − 1) · (n − 1)/(n − K), as in Stata and statsmodels (Cameron and Miller, J Hum Resour
    2015, eq. 11–12, doi:10.3368/jhr.50.2.317); the reference distribution is t with G − 1 degrees
    of freedom. For an intercept alone and clusters of one size this is the one-sample t of the
    cluster means.

    Parameters
    ----------
    design
        Shape (n, K), of full column rank.
    response
        Shape (n,).
    clusters
        Shape (n,), any labels.

    Raises
    ------
    AnalysisError
        If there are fewer than two clusters, no more rows than coefficients, or dependent columns.
    """
    X = np.asarray(design, dtype=float)  # (n, K)
    y = np.asarray(response, dtype=float)  # (n,)
    codes, g = group_codes(clusters)
    n, k = X.shape
    if g < 2 or n <= k:
        raise AnalysisError(
            f"A clustered fit of {k} coefficients needs at least two clusters and more rows than "
            f"coefficients; it was given {g} clusters and {n} rows."
        )
    if np.linalg.matrix_rank(X) < k:
        raise AnalysisError(
            "The columns of the regression depend on each other; leave out the one that says "
            "nothing new."
        )
    q, r = np.linalg.qr(X)
    coefficients = np.linalg.solve(r, q.T @ y)
    inverse = np.linalg.inv(r.T @ r)
    scores = np.zeros((g, k))  # (clusters, K)
    np.add.at(scores, codes, X * (y - X @ coefficients)[:, None])
    factor = g / (g - 1) * (n - 1) / (n - k)
    covariance = factor * inverse @ (scores.T @ scores) @ inverse
    return ClusteredFit(coefficients, covariance, n, g)


def group_codes(*labels: ArrayLike) -> tuple[NDArray[np.intp], int]:
    """Number the combinations of labels from 0 in order of appearance.

    Parameters
    ----------
    labels
        One or more arrays of shape (n,).

    Returns
    -------
    tuple
        The number of each row's group, shape (n,), and the number of groups.
    """
    codes = pd.factorize(np.asarray(labels[0]))[0]
    for more in labels[1:]:
        further, names = pd.factorize(np.asarray(more))
        codes = pd.factorize(codes * len(names) + further)[0]
    return codes, int(codes.max()) + 1 if len(codes) else 0


def group_means(values: ArrayLike, codes: NDArray[np.intp], n_groups: int) -> NDArray[np.float64]:
    """Return the mean of the values of each group, shape (groups,)."""
    totals = np.bincount(codes, np.asarray(values, dtype=float), n_groups)
    return totals / np.bincount(codes, minlength=n_groups)
