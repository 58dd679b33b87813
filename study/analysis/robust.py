"""Least squares with standard errors for readings that belong together, each by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError
from study.analysis.groups import group_codes

Correction = Literal["CR0", "CR1", "CR2"]
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """An ordinary least-squares fit.

    Parameters
    ----------
    design, response
        Shape (n, K) and (n,).
    coefficients, residuals
        Shape (K,) and (n,).
    inverse
        (X'X)⁻¹, shape (K, K).
    """

    design: Array
    response: Array
    coefficients: Array
    residuals: Array
    inverse: Array

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.response)

    @property
    def df_residual(self) -> int:
        """Rows minus coefficients."""
        return self.n - len(self.coefficients)

    @property
    def r_squared(self) -> float:
        """Share of the variance about the mean that is explained."""
        about = self.response - self.response.mean()
        total = float(about @ about)
        return 1 - float(self.residuals @ self.residuals) / total if total else 0.0

    def covariance_naive(self) -> Array:
        """Return s²(X'X)⁻¹, which takes every reading for an independent one."""
        return np.asarray(self.residuals @ self.residuals / self.df_residual * self.inverse)

    def covariance_hc3(self) -> Array:
        """Return the HC3 covariance (MacKinnon and White 1985): residuals over 1 − leverage."""
        leverage = np.einsum("ij,jk,ik->i", self.design, self.inverse, self.design)
        scores = self.design * (self.residuals / (1 - leverage))[:, None]
        return np.asarray(self.inverse @ (scores.T @ scores) @ self.inverse)

    def covariance_clustered(self, clusters: ArrayLike, correction: Correction = "CR1") -> Array:
        """Return the cluster-robust covariance, shape (K, K).

        ``CR0`` has no correction; ``CR1`` multiplies by G/(G − 1) · (n − 1)/(n − K) as Stata and
        statsmodels do; ``CR2`` adjusts each cluster's residuals by (I − H_gg)^(−1/2), which is
        unbiased under independence (Bell and McCaffrey, Survey Methodology 2002).
        """
        codes, g = _clusters(clusters)
        if correction == "CR2":
            scores = np.stack(
                [
                    (self.design[rows].T @ root) @ self.residuals[rows]
                    for rows, root in self._adjusted(codes, g)
                ]
            )
        else:
            scores = np.zeros((g, self.design.shape[1]))
            np.add.at(scores, codes, self.design * self.residuals[:, None])
        covariance = self.inverse @ (scores.T @ scores) @ self.inverse
        if correction == "CR1":
            covariance = covariance * g / (g - 1) * (self.n - 1) / self.df_residual
        return np.asarray(covariance)

    def covariance_two_way(self, first: ArrayLike, second: ArrayLike) -> Array:
        """Return V(first) + V(second) − V(both), each CR1-like with its own G/(G − 1).

        Cameron, Gelbach and Miller, J Bus Econ Stat 2011. It need not be positive; a negative
        variance on the diagonal is left to be seen.
        """
        both = _clusters(first)[0] * (int(_clusters(second)[1])) + _clusters(second)[0]
        parts = []
        for clusters in (first, second, both):
            codes, g = _clusters(clusters)
            scores = np.zeros((g, self.design.shape[1]))
            np.add.at(scores, codes, self.design * self.residuals[:, None])
            factor = g / (g - 1) * (self.n - 1) / self.df_residual
            parts.append(factor * self.inverse @ (scores.T @ scores) @ self.inverse)
        return np.asarray(parts[0] + parts[1] - parts[2])

    def satterthwaite_df(self, clusters: ArrayLike, weights: ArrayLike) -> float:
        """Return the degrees of freedom of a CR2 standard error (Bell and McCaffrey 2002).

        With c the weights of the coefficients: df = (Σλ)²/Σλ², λ the eigenvalues of G'G, where
        column g of G is (I − H)_g A_g X_g (X'X)⁻¹ c. I − H being idempotent, the entries of G'G
        follow from p_g = A_g X_g (X'X)⁻¹ c and X_g'p_g alone, so that no matrix of clusters by
        clusters is needed.
        """
        codes, g = _clusters(clusters)
        c = np.asarray(weights, dtype=float)
        own, crossed = np.empty(g), np.empty((g, self.design.shape[1]))
        for number, (rows, root) in enumerate(self._adjusted(codes, g)):
            part = root @ self.design[rows] @ self.inverse @ c  # (rows,)
            own[number] = part @ part
            crossed[number] = self.design[rows].T @ part
        shared = np.einsum("gk,kl,gl->g", crossed, self.inverse, crossed)
        both = self.inverse @ (crossed.T @ crossed)
        total = float((own - shared).sum())
        squares = float((own**2 - 2 * own * shared).sum()) + float(np.trace(both @ both))
        return total**2 / squares

    def _adjusted(self, codes: NDArray[np.intp], g: int) -> list[tuple[NDArray[np.intp], Array]]:
        """Return each cluster's rows and (I − H_gg)^(−1/2)."""
        order = np.argsort(codes, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
        adjusted = []
        for rows in parts:
            own = np.eye(len(rows)) - self.design[rows] @ self.inverse @ self.design[rows].T
            values, vectors = np.linalg.eigh(own)
            roots = np.where(values > 1e-10, 1 / np.sqrt(np.maximum(values, 1e-10)), 0.0)
            adjusted.append((rows, (vectors * roots) @ vectors.T))
        assert len(adjusted) == g
        return adjusted


def fit_least_squares(design: ArrayLike, response: ArrayLike) -> LeastSquares:
    """Fit ordinary least squares.

    Parameters
    ----------
    design
        Shape (n, K), of full column rank, n > K.
    response
        Shape (n,).

    Raises
    ------
    AnalysisError
        If there are too few rows or the columns depend on each other.
    """
    X, y = np.asarray(design, dtype=float), np.asarray(response, dtype=float)
    n, k = X.shape
    if n <= k or np.linalg.matrix_rank(X) < k:
        raise AnalysisError(
            f"A regression of {k} coefficients on {n} rows needs more rows than coefficients and "
            "columns that do not depend on each other; leave out what says nothing new."
        )
    q, r = np.linalg.qr(X)
    coefficients = np.linalg.solve(r, q.T @ y)
    return LeastSquares(X, y, coefficients, y - X @ coefficients, np.linalg.inv(r.T @ r))


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
    least_squares
        The fit without regard to clusters.
    """

    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]
    n: int
    n_clusters: int
    least_squares: LeastSquares

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

    The reference distribution is t with G − 1 degrees of freedom (Cameron and Miller, J Hum Resour
    2015, eq. 11–12, doi:10.3368/jhr.50.2.317). For an intercept alone and clusters of one size this
    is the one-sample t of the cluster means.

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
    _, g = _clusters(clusters)
    fit = fit_least_squares(design, response)
    covariance = fit.covariance_clustered(clusters, "CR1")
    return ClusteredFit(fit.coefficients, covariance, fit.n, g, fit)


def standard_errors(covariance: Array) -> Array:
    """Return the square roots of the diagonal; NaN where a two-way variance is negative."""
    diagonal = np.diag(covariance)
    return np.asarray(np.sqrt(np.where(diagonal >= 0, diagonal, np.nan)))


def two_sided_t(value: float, error: float, df: float) -> float:
    """Return the two-sided p-value of value/error on t with ``df`` degrees of freedom."""
    return float(2 * stats.t.sf(abs(value) / error, df))


def _clusters(clusters: ArrayLike) -> tuple[NDArray[np.intp], int]:
    codes, g = group_codes(clusters)
    if g < 2:
        raise AnalysisError(
            "All rows lie in one cluster; a clustered standard error needs at least two clusters."
        )
    return codes, g
