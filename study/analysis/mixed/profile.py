"""The profiled deviance of a linear mixed model, from cross-products computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from study.analysis.estimate import AnalysisError
from study.analysis.mixed.numeric import differences
from study.analysis.mixed.random_effects import (
    Array,
    Cross,
    RandomEffects,
    RandomTerm,
    assemble,
    factorise,
)


@dataclass(frozen=True, eq=False)
class LmmData:
    """Cross-products from which every evaluation starts.

    Parameters
    ----------
    X, y
        Shapes (n, p) and (n,).
    effects
        Random structure.
    cross
        Z'Z.
    zx_block, zx_dense
        Z'[X y], shapes (G, q, p + 1) and (m, p + 1).
    xx
        [X y]'[X y], shape (p + 1, p + 1).
    reml
        Whether to integrate β out.
    """

    X: Array
    y: Array
    effects: RandomEffects
    cross: Cross
    zx_block: Array
    zx_dense: Array
    xx: Array
    reml: bool


@dataclass(frozen=True, eq=False)
class Profile:
    """Everything at one Λ: penalised sums of squares, coefficients, deviance."""

    deviance: float
    coefficients: Array
    information: Array
    residual: float
    log_det: float
    u_block: Array
    u_dense: Array


def prepare(
    response: ArrayLike,
    design: ArrayLike,
    names: Sequence[str],
    random: Sequence[RandomTerm],
    reml: bool,
) -> LmmData:
    """Check the input of :func:`study.analysis.mixed.linear.fit_lmm` and form cross-products."""
    y = np.asarray(response, dtype=float)
    n = len(y)
    X = np.asarray(design, dtype=float).reshape(n, -1)
    effects = assemble(random)
    if X.shape[1] != len(names) or effects.n != n:
        raise AnalysisError(
            f"The linear mixed model was given {n} values, a design of shape {X.shape} with "
            f"{len(names)} names and random effects of {effects.n} rows; expected one row each."
        )
    if not (np.isfinite(y).all() and np.isfinite(X).all()):
        raise AnalysisError(
            "The linear mixed model was given missing or infinite values; expected a number in "
            "every row. Leave those rows out."
        )
    if n <= X.shape[1] or np.linalg.matrix_rank(X) < X.shape[1]:
        raise AnalysisError(
            f"The {X.shape[1]} columns of the linear mixed model depend on each other, or there "
            f"are too few rows ({n}); leave out the column that says nothing new."
        )
    if len(np.unique(y)) < 2:
        raise AnalysisError("All values of the response are equal: there is nothing to explain.")
    for term in random:
        if not 2 <= len(term.levels) < n:
            raise AnalysisError(
                f"A random effect of {term.name} has {len(term.levels)} levels in {n} rows; "
                "expected at least two levels and fewer than rows. Leave it out."
            )
    both = np.column_stack([X, y])
    zx_block, zx_dense = effects.project(both)
    return LmmData(
        X, y, effects, effects.cross(np.ones(n)), zx_block, zx_dense, both.T @ both, reml
    )


def evaluate(data: LmmData, theta: Array) -> Profile:
    """Return the profiled deviance (−2 log-likelihood) and what belongs to it at ``theta``.

    Parameters
    ----------
    data
        Cross-products.
    theta
        Relative Cholesky entries; signs of whole columns do not matter.
    """
    scale_block, scale_dense = data.effects.factors(theta)
    factor = factorise(data.cross, scale_block, scale_dense)
    right_block = scale_block.T @ data.zx_block
    right_dense = scale_dense.T @ data.zx_dense
    sol_block, sol_dense = factor.solve(right_block, right_dense)
    reduced = data.xx - np.einsum("gqi,gqj->ij", right_block, sol_block) - right_dense.T @ sol_dense
    information, score = reduced[:-1, :-1], reduced[:-1, -1]
    beta = np.linalg.solve(information, score)
    residual = float(reduced[-1, -1] - score @ beta)
    n, p = data.X.shape
    if residual <= 0 or not np.isfinite(residual):
        return Profile(np.inf, beta, information, 1e-300, 0.0, sol_block, sol_dense)
    log_det = factor.log_det
    free = n - p if data.reml else n
    if data.reml:
        log_det += float(np.linalg.slogdet(information)[1])
    deviance = log_det + free * (1 + np.log(2 * np.pi * residual / free))
    u_block = sol_block[:, :, -1] - sol_block[:, :, :-1] @ beta
    u_dense = sol_dense[:, -1] - sol_dense[:, :-1] @ beta
    return Profile(float(deviance), beta, information, residual, log_det, u_block, u_dense)


@dataclass(frozen=True, eq=False)
class VarianceUncertainty:
    """How uncertain the variance parameters (θ, σ) are, and what hangs on them.

    Parameters
    ----------
    covariance
        Shape (k, k), twice the inverse Hessian of the deviance; flat directions left out.
    slopes
        Shape (k, p, p), derivatives of the coefficients' covariance.
    """

    covariance: Array
    slopes: Array


def variance_uncertainty(data: LmmData, theta: Array, sigma: float) -> VarianceUncertainty:
    """Return the uncertainty of the variance parameters at a fit, by central differences."""
    n, p = data.X.shape
    free = n - p if data.reml else n

    def deviance(parameters: Array) -> float:
        at, s = evaluate(data, parameters[:-1]), float(parameters[-1])
        return at.log_det + free * float(np.log(2 * np.pi * s**2)) + at.residual / s**2

    def covariance(parameters: Array) -> Array:
        information = evaluate(data, parameters[:-1]).information
        return np.asarray(float(parameters[-1]) ** 2 * np.linalg.inv(information), dtype=float)

    x = np.append(theta, sigma)
    _, hessian = differences(deviance, x)
    values, vectors = np.linalg.eigh(hessian)
    curved = values > 1e-8 * max(float(values.max()), 1.0)
    spread = 2 * (vectors[:, curved] / values[curved]) @ vectors[:, curved].T
    slopes = []
    for k in range(len(x)):
        wide, narrow = (np.eye(len(x))[k] * h * max(1.0, abs(x[k])) for h in (1e-3, 5e-4))
        far = (covariance(x + wide) - covariance(x - wide)) / (2 * wide[k])
        near = (covariance(x + narrow) - covariance(x - narrow)) / (2 * narrow[k])
        slopes.append((4 * near - far) / 3)
    return VarianceUncertainty(spread, np.array(slopes))
