"""Adaptive Gauss–Hermite quadrature for a mixed model with one random intercept.

∫ exp(ℓ_g(u)) φ(u) du is summed over nodes placed around the mode of each level and scaled by the
curvature there (Pinheiro and Bates 1995); one node is the Laplace approximation. Crossed random
effects have no such one-dimensional integrals.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from study.analysis.estimate import AnalysisError
from study.analysis.mixed.laplace import Mode, Problem, find_mode
from study.analysis.mixed.random_effects import Array

_DIFFERENCE = 1e-5


def log_likelihood(
    problem: Problem, parameters: Array, points: int, start: Mode | None = None
) -> tuple[float, Mode | None]:
    """Return the log-likelihood by quadrature, and the modes.

    Parameters
    ----------
    problem
        A model with one random intercept.
    parameters
        Its parameters.
    points
        Number of nodes, at least 1.
    start
        Modes to begin at.

    Raises
    ------
    AnalysisError
        If the model has another random structure.
    """
    effects = problem.effects
    if len(effects.terms) != 1 or len(effects.block_term.columns) != 1:
        raise AnalysisError(
            "Adaptive quadrature handles one random intercept; this model has crossed or several "
            "random coefficients. Use one point, the Laplace approximation."
        )
    mode = find_mode(problem, parameters, start)
    if mode is None:
        return -np.inf, None
    phi, beta, tau = problem.split(parameters)
    scale = effects.factors(tau)[0]
    nodes, weights = special.roots_hermite(points)
    spread = np.sqrt(mode.factor.inverse[:, 0, 0])
    logs = []
    for x, weight in zip(nodes, weights, strict=True):
        u = mode.block[:, 0] + np.sqrt(2) * x * spread
        eta = problem.X @ beta + effects.predict(u[:, None] @ scale.T, np.zeros(0))
        rows = problem.family.pointwise(eta, phi).rows
        logs.append(effects.indicator @ rows - 0.5 * u * u + x * x + np.log(weight))
    total = special.logsumexp(np.array(logs), axis=0) + np.log(spread) - 0.5 * np.log(np.pi)
    return float(total.sum()), mode


def objective(problem: Problem, points: int, parameters: Array) -> tuple[float, Array]:
    """Return minus the log-likelihood and its gradient by central differences."""
    value, mode = log_likelihood(problem, parameters, points)
    if mode is None:
        return np.inf, np.zeros(len(parameters))
    slope = np.zeros(len(parameters))
    for k in range(len(parameters)):
        step = np.zeros(len(parameters))
        step[k] = _DIFFERENCE * max(1.0, abs(parameters[k]))
        up = log_likelihood(problem, parameters + step, points, mode)[0]
        down = log_likelihood(problem, parameters - step, points, mode)[0]
        slope[k] = (up - down) / (2 * step[k])
    return -value, -slope
