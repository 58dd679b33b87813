"""Maximise a Laplace-approximated likelihood and describe the maximum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from study.analysis.estimate import AnalysisError
from study.analysis.mixed.laplace import Mode, Problem, check_rows, find_mode, gradient
from study.analysis.mixed.random_effects import Array, RandomTerm

Flags = NDArray[np.bool_]

_BOUNDARY_SD = 0.02
_SAME = 1e-4
_ATTEMPTS = 4
_DIFFERENCE = 1e-4


@dataclass(frozen=True, eq=False)
class Maximum:
    """A maximum of a mixed model's likelihood.

    Parameters
    ----------
    parameters
        Shape (k,): family parameters, coefficients, Cholesky entries (diagonal not negative).
    covariance
        Shape (k, k), inverse of the negative Hessian; rows and columns of entries that lie on the
        boundary are 0.
    log_lik
        Laplace approximation at the maximum.
    mode
        Conditional modes there.
    gradient_norm, condition
        Largest entry of the gradient; condition number of the Hessian over the free entries.
    boundary
        Shape (variance parameters,), which Cholesky entries are on the boundary.
    flat
        Shape (k,), parameters along which the likelihood does not fall off.
    """

    parameters: Array
    covariance: Array
    log_lik: float
    mode: Mode
    gradient_norm: float
    condition: float
    boundary: Flags
    flat: Flags


Objective = Callable[[Array], tuple[float, Array]]


def laplace_objective(problem: Problem) -> Objective:
    """Return a function that gives minus the Laplace log-likelihood and its gradient."""
    last: list[Mode] = []

    def evaluate(parameters: Array) -> tuple[float, Array]:
        mode = find_mode(problem, parameters, last[0] if last else None)
        if mode is None:
            return np.inf, np.zeros(len(parameters))
        last[:] = [mode]
        return -mode.log_lik, -gradient(problem, parameters, mode)

    return evaluate


def maximise(
    problem: Problem, start: Array, scale: Array, objective: Objective | None = None
) -> Maximum:
    """Maximise by BFGS from a scaled start, then by Newton steps on the exact gradient.

    The Hessian is the central difference of the exact gradient. Standard deviations may take either
    sign on the way (the likelihood is even in them), so that the boundary is an ordinary point.

    Parameters
    ----------
    problem
        The model.
    start
        Shape (k,).
    scale
        Shape (k, k), an approximate inverse of the Hessian at the start.
    objective
        Minus the log-likelihood with its gradient; the Laplace approximation by default.

    Raises
    ------
    AnalysisError
        If no maximum is found.
    """
    check_rows(problem)
    evaluate = objective or laplace_objective(problem)
    root: Array = np.asarray(np.linalg.cholesky(scale), dtype=float)
    psi, value = _climb(evaluate, np.asarray(start, dtype=float), root)
    if not np.isfinite(value):
        raise AnalysisError(
            "The mixed model has no finite likelihood at its start; check the ratings and the "
            "design for extreme values."
        )
    n_fixed = len(psi) - problem.effects.n_parameters
    for attempt in range(_ATTEMPTS):
        psi, free, hessian, norm = _polish(evaluate, psi, n_fixed, problem.effects.terms)
        away = None if attempt == _ATTEMPTS - 1 else _leave_saddle(evaluate, psi, free, hessian)
        if away is None:
            break
        psi, value = _climb(evaluate, away, root)
    sign = _signs(problem, psi)
    psi = sign * psi
    mode = find_mode(problem, psi, None)
    if mode is None:
        raise AnalysisError("The mixed model broke off at its maximum; simplify the model.")
    covariance = np.zeros((len(psi), len(psi)))
    index = np.flatnonzero(free)
    covariance[np.ix_(index, index)], along = _inverse(hessian)
    flat = np.zeros(len(psi), bool)
    flat[index] = along
    return Maximum(
        parameters=psi,
        covariance=covariance * np.outer(sign, sign),
        log_lik=-evaluate(psi)[0],
        mode=mode,
        gradient_norm=norm,
        condition=_condition(hessian),
        boundary=~free[n_fixed:],
        flat=flat,
    )


def _climb(evaluate: Objective, start: Array, root: Array) -> tuple[Array, float]:
    """Return the end of a BFGS ascent in scaled parameters, and minus the log-likelihood."""

    def scaled(x: Array) -> tuple[float, Array]:
        value, slope = evaluate(start + root @ x)
        return value, root.T @ slope

    with np.errstate(all="ignore"):
        found = optimize.minimize(
            scaled,
            np.zeros(len(start)),
            jac=True,
            method="BFGS",
            options={"gtol": 1e-5, "maxiter": 150},
        )
    return start + root @ found.x, float(found.fun)


def _leave_saddle(evaluate: Objective, psi: Array, free: Flags, hessian: Array) -> Array | None:
    """Return parameters uphill of a saddle, or ``None`` if there is none.

    A variance of 0 makes the gradient vanish in its direction; only the curvature tells whether the
    likelihood rises away from it.
    """
    full = hessian if free.all() else _difference(evaluate, psi, np.arange(len(psi)))
    values, vectors = np.linalg.eigh(full)
    if values[0] > -1e-3:
        return None
    here = evaluate(psi)[0]
    for length in (0.2, 0.05):
        sides = [psi + sign * length * vectors[:, 0] for sign in (1.0, -1.0)]
        best = min(sides, key=lambda side: evaluate(side)[0])
        if evaluate(best)[0] < here - _SAME:
            return best
    return None


def _condition(hessian: Array) -> float:
    """Return the condition number; infinite if the Hessian is not positive definite."""
    values = np.linalg.eigvalsh(hessian)
    return float(values[-1] / values[0]) if values[0] > 0 else float("inf")


def _inverse(hessian: Array) -> tuple[Array, Flags]:
    """Return the inverse over the directions in which the likelihood falls off, and the others."""
    values, vectors = np.linalg.eigh(hessian)
    curved = values > 1e-8 * values.max()
    inverse = (vectors[:, curved] / values[curved]) @ vectors[:, curved].T
    return inverse, (np.abs(vectors[:, ~curved]) > 0.05).any(axis=1)


def _polish(
    evaluate: Objective,
    psi: Array,
    n_fixed: int,
    terms: tuple[RandomTerm, ...],
) -> tuple[Array, Flags, Array, float]:
    """Return refined parameters, which are free, their Hessian, and the gradient norm."""
    psi = psi.copy()
    value = evaluate(psi)[0]
    for _ in range(6):
        tau, boundary = _canonical(psi[n_fixed:], terms)
        free = np.ones(len(psi), bool)
        if boundary.any():
            pinned = np.concatenate([psi[:n_fixed], tau])
            at_zero = evaluate(pinned)[0]
            if at_zero <= value + _SAME:
                psi, value = pinned, at_zero
                free[n_fixed:] = ~boundary
        index = np.flatnonzero(free)
        slope = evaluate(psi)[1][index]
        hessian = _difference(evaluate, psi, index)
        norm = float(np.abs(slope).max())
        if norm < 1e-6 or np.linalg.eigvalsh(hessian)[0] <= 0:
            break
        step = np.zeros(len(psi))
        step[index] = np.linalg.solve(hessian, slope)
        new = evaluate(psi - step)[0]
        if not new <= value + 1e-9 * (1 + abs(value)):
            break
        psi, value = psi - step, new
    return psi, free, hessian, norm


def _canonical(tau: Array, terms: tuple[RandomTerm, ...]) -> tuple[Array, Flags]:
    """Return Cholesky entries with vanishing columns set to 0, and which those are.

    A random coefficient without (conditional) variance has a column of zeros; what stood there is
    carried by the later columns, so that no direction is left in which nothing changes.
    """
    entries, boundary = [], []
    first = 0
    for term in terms:
        part = tau[first : first + len(term.positions)]
        first += len(part)
        factor = term.cholesky(part)
        rest = factor @ factor.T
        lower = np.zeros_like(rest)
        gone = np.zeros(len(rest), bool)
        for c in range(len(rest)):
            pivot = float(np.sqrt(max(rest[c, c], 0.0)))
            gone[c] = pivot < _BOUNDARY_SD
            if not gone[c]:
                lower[:, c] = rest[:, c] / pivot * np.sign(factor[c, c] or 1.0)
                rest = rest - np.outer(lower[:, c], lower[:, c])
        entries += [lower[r, c] for r, c in term.positions]
        boundary += [gone[c] for _, c in term.positions]
    return np.array(entries), np.array(boundary, bool)


def _difference(evaluate: Objective, psi: Array, index: NDArray[np.intp]) -> Array:
    """Return the Hessian over ``index`` by central differences of the gradient."""
    rows = []
    for k in index:
        h = _DIFFERENCE * max(1.0, abs(psi[k]))
        step = np.zeros(len(psi))
        step[k] = h
        rows.append((evaluate(psi + step)[1][index] - evaluate(psi - step)[1][index]) / (2 * h))
    hessian = np.array(rows)
    return (hessian + hessian.T) / 2


def _signs(problem: Problem, psi: Array) -> Array:
    """Return the signs that make the diagonals of the Cholesky factors not negative."""
    sign = np.ones(len(psi))
    first = len(psi) - problem.effects.n_parameters
    for term in problem.effects.terms:
        for c in range(len(term.columns)):
            column = [first + i for i, (_, b) in enumerate(term.positions) if b == c]
            if psi[column[0]] < 0:
                sign[column] = -1.0
        first += len(term.positions)
    return sign
