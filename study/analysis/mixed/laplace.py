"""The Laplace approximation to the likelihood of a mixed model, with its exact gradient.

With linear predictor η = Xβ + ZΛu and u standard normal, the log-likelihood is approximated by
L = ℓ(û) − û'û/2 − log|H|/2, where û maximises ℓ(u) − u'u/2 and H = I + Λ'Z'WZΛ with
W = −∂²ℓ/∂η² (Pinheiro and Bates, J Comput Graph Stat 1995;4:12–35). The gradient uses third
derivatives of ℓ and the implicit derivative of û, so that no difference quotient is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from study.analysis.estimate import AnalysisError
from study.analysis.mixed.random_effects import Array, Factor, RandomEffects, factorise

_MAX_NEWTON = 200
_STEP = 1e-10


@dataclass(frozen=True, eq=False)
class Pointwise:
    """Derivatives of each row's log-likelihood with respect to its linear predictor.

    Parameters
    ----------
    rows
        Shape (n,), the log-likelihoods; −∞ outside the range of the parameters.
    d1, d2, d3
        Shape (n,).
    """

    rows: Array
    d1: Array
    d2: Array
    d3: Array

    @property
    def log_lik(self) -> float:
        """The sum of the rows."""
        return float(self.rows.sum())


@dataclass(frozen=True, eq=False)
class OfParameters:
    """Derivatives with respect to the k parameters of a family.

    Parameters
    ----------
    log_lik
        Shape (k,), of the summed log-likelihood.
    d1, d2
        Shape (n, k), of the first and second derivative in η.
    """

    log_lik: Array
    d1: Array
    d2: Array


class Family(Protocol):
    """What a row's response contributes, given its linear predictor."""

    @property
    def n_parameters(self) -> int:
        """Number of parameters besides coefficients and variances (thresholds, dispersion)."""

    def pointwise(self, eta: Array, parameters: Array) -> Pointwise:
        """Return the log-likelihood and its derivatives in η, each of shape (n,)."""

    def of_parameters(self, eta: Array, parameters: Array) -> OfParameters:
        """Return the derivatives with respect to the family's parameters."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A mixed model: X of shape (n, p), family, random effects.

    Parameters are ordered as family parameters, coefficients, variance parameters (entries of the
    Cholesky factors).
    """

    X: Array
    family: Family
    effects: RandomEffects

    @property
    def n_parameters(self) -> int:
        """Length of the parameter vector."""
        return self.family.n_parameters + self.X.shape[1] + self.effects.n_parameters

    def split(self, parameters: Array) -> tuple[Array, Array, Array]:
        """Return family parameters, coefficients and variance parameters."""
        k, p = self.family.n_parameters, self.X.shape[1]
        return parameters[:k], parameters[k : k + p], parameters[k + p :]


@dataclass(frozen=True, eq=False)
class Mode:
    """The maximum û of the penalised log-likelihood and what was computed there.

    Parameters
    ----------
    block, dense
        û, shapes (G, q) and (m,).
    eta
        Shape (n,).
    points
        Derivatives at the maximum.
    factor
        Factorisation of H.
    log_lik
        The Laplace approximation L.
    """

    block: Array
    dense: Array
    eta: Array
    points: Pointwise
    factor: Factor
    log_lik: float


def find_mode(problem: Problem, parameters: Array, start: Mode | None = None) -> Mode | None:
    """Maximise ℓ(u) − u'u/2 by Newton steps with halving.

    Parameters
    ----------
    problem
        The model.
    parameters
        Its parameters.
    start
        A mode of nearby parameters to begin at.

    Returns
    -------
    Mode or None
        ``None`` if the likelihood is 0 at these parameters.
    """
    phi, beta, tau = problem.split(parameters)
    effects = problem.effects
    scale_block, scale_dense = effects.factors(tau)
    fixed = problem.X @ beta
    G, q = len(effects.block_term.levels), scale_block.shape[0]
    u = np.zeros((G, q)) if start is None else start.block
    v = np.zeros(scale_dense.shape[0]) if start is None else start.dense

    def at(u: Array, v: Array) -> tuple[Array, Pointwise, float]:
        eta = fixed + effects.predict(u @ scale_block.T, scale_dense @ v)
        points = problem.family.pointwise(eta, phi)
        return eta, points, points.log_lik - 0.5 * float((u * u).sum() + v @ v)

    eta, points, value = at(u, v)
    if not np.isfinite(value) and start is not None:
        u, v = np.zeros((G, q)), np.zeros(scale_dense.shape[0])
        eta, points, value = at(u, v)
    if not np.isfinite(value):
        return None
    for _ in range(_MAX_NEWTON):
        factor = factorise(effects.cross(-points.d2), scale_block, scale_dense)
        score_block, score_dense = effects.project(points.d1[:, None])
        g_block = score_block[:, :, 0] @ scale_block - u
        g_dense = scale_dense.T @ score_dense[:, 0] - v
        s_block, s_dense = factor.solve(g_block[:, :, None], g_dense[:, None])
        step_u, step_v = s_block[:, :, 0], s_dense[:, 0]
        size = max(float(np.abs(step_u).max()), float(np.abs(step_v).max(initial=0.0)))
        if size < _STEP:
            break
        length = 1.0
        while length > 1e-8:
            new = at(u + length * step_u, v + length * step_v)
            if new[2] >= value - 1e-9 * (1 + abs(value)):
                break
            length /= 2
        u, v = u + length * step_u, v + length * step_v
        eta, points, value = new
    else:
        return None
    return Mode(u, v, eta, points, factor, value - 0.5 * factor.log_det)


def gradient(problem: Problem, parameters: Array, mode: Mode) -> Array:
    """Return ∂L/∂parameters at the mode, shape (parameters,).

    With a_i the variance of η_i given the data, s_i = −∂³ℓ_i a_i/2 (half the derivative of log|H|),
    v = H⁻¹Λ'Z's and q = ZΛv: ∂L/∂β = X'(d − s + Wq), and for the others the direct derivative, half
    the derivative of log|H| at fixed û, and the path through û by v.
    """
    phi, _, tau = problem.split(parameters)
    effects, points, factor = problem.effects, mode.points, mode.factor
    term = effects.block_term
    scale_block, scale_dense = effects.factors(tau)
    w = -points.d2
    t = term.design @ scale_block  # (n, q): rows of ZΛ
    T = effects.dense_design @ scale_dense  # (n, m)
    carried = factor.carried[term.codes]  # (n, q, m)
    y_dense = (T - np.einsum("nqm,nq->nm", carried, t)) @ factor.schur_inverse
    y_block = np.einsum("nqr,nr->nq", factor.inverse[term.codes], t)
    y_block -= np.einsum("nqm,nm->nq", carried, y_dense)
    a = (t * y_block).sum(axis=1) + (T * y_dense).sum(axis=1)
    s = -0.5 * points.d3 * a
    right_block, right_dense = effects.project(s[:, None])
    v_block, v_dense = factor.solve(scale_block.T @ right_block, scale_dense.T @ right_dense)
    v_block, v_dense = v_block[:, :, 0], v_dense[:, 0]
    path = effects.predict(v_block @ scale_block.T, scale_dense @ v_dense)
    pull = points.d1 - s + w * path
    of_phi = problem.family.of_parameters(mode.eta, phi)
    g_phi = of_phi.log_lik + 0.5 * of_phi.d2.T @ a - of_phi.d1.T @ path
    g_tau = _of_variances(problem, mode, pull, w, (y_block, y_dense), (v_block, v_dense))
    return np.concatenate([g_phi, problem.X.T @ pull, g_tau])


def _of_variances(
    problem: Problem,
    mode: Mode,
    pull: Array,
    w: Array,
    y: tuple[Array, Array],
    v: tuple[Array, Array],
) -> Array:
    """Return the gradient in the entries of the Cholesky factors."""
    effects = problem.effects
    result = []
    for k, term in enumerate(effects.terms):
        u_rows = _rows(effects, k, mode.block, mode.dense, by_row=False)
        v_rows = _rows(effects, k, v[0], v[1], by_row=False)
        y_rows = _rows(effects, k, y[0], y[1], by_row=True)
        for r, c in term.positions:
            z = term.design[:, r]
            through_eta = pull @ (z * u_rows[:, c])
            trace = w @ (z * y_rows[:, c])
            through_mode = mode.points.d1 @ (z * v_rows[:, c])
            result.append(through_eta - trace - through_mode)
    return np.array(result)


def _rows(effects: RandomEffects, k: int, block: Array, dense: Array, *, by_row: bool) -> Array:
    """Return the part of a vector (or of one vector per row) that belongs to a row's level."""
    term = effects.terms[k]
    if k == effects.main:
        return block if by_row else block[term.codes]
    q = len(term.columns)
    first = effects.offsets[effects.others.index(k)]
    columns: NDArray[np.intp] = first + term.codes[:, None] * q + np.arange(q)
    return np.take_along_axis(dense, columns, axis=1) if by_row else dense[columns]


def check_rows(problem: Problem) -> None:
    """Refuse a design whose rows differ from the random effects', or whose columns depend."""
    n, p = problem.X.shape
    if n != problem.effects.n:
        raise AnalysisError(
            f"The fixed effects have {n} rows and the random effects {problem.effects.n}; expected "
            "the same rows."
        )
    if p and np.linalg.matrix_rank(problem.X) < p:
        raise AnalysisError(
            "The columns of the model depend on each other; leave out the one that says nothing "
            "new."
        )
