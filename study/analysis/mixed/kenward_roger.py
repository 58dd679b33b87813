"""Kenward–Roger standard errors and degrees of freedom of a linear mixed model.

The covariance of the coefficients is corrected for the variances being estimated, and the degrees
of freedom follow from matching two moments (Kenward and Roger, Biometrics 1997;53:983–997; computed
as in Halekoh and Højsgaard, J Stat Softw 2014;59(9)). It works with dense matrices (rows × levels)
and is meant for studies, not for registers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from study.analysis.estimate import AnalysisError
from study.analysis.mixed.linear import LmmFit
from study.analysis.mixed.random_effects import Array, RandomEffects

_LARGEST = 40_000_000


@dataclass(frozen=True)
class KenwardRoger:
    """A linear combination of coefficients.

    Parameters
    ----------
    estimate, standard_error
        With the corrected standard error.
    df
        Degrees of freedom of t.
    p_value
        Two-sided.
    """

    estimate: float
    standard_error: float
    df: float
    p_value: float


def kenward_roger(fit: LmmFit, weights: ArrayLike) -> KenwardRoger:
    """Test a linear combination of coefficients.

    Parameters
    ----------
    fit
        A model fitted by restricted likelihood.
    weights
        Shape (p,).

    Raises
    ------
    AnalysisError
        If the model was fitted by full likelihood or is too large for dense matrices.
    """
    data = fit.data
    if not data.reml:
        raise AnalysisError("Kenward–Roger needs a model fitted by restricted likelihood.")
    Z, parts = _designs(data.effects)
    if Z.size > _LARGEST:
        raise AnalysisError(
            f"Kenward–Roger would need dense matrices of {Z.shape[0]} × {Z.shape[1]}; use "
            "Satterthwaite degrees of freedom for a study of this size."
        )
    w = np.asarray(weights, dtype=float)
    phi = fit.covariance
    P, Q, information = _pieces(fit, Z, parts)
    k = len(P)
    W = 2 * np.linalg.pinv(information, hermitian=True)
    bulk = np.zeros_like(phi)
    for i in range(k):
        for j in range(k):
            bulk += W[i, j] * (Q[i][j] - P[i] @ phi @ P[j])
    adjusted = phi + 2 * phi @ bulk @ phi
    slopes = np.array([w @ phi @ p @ phi @ w for p in P])
    spread = float(slopes @ W @ slopes) / float(w @ phi @ w) ** 2
    df = 2 / spread if spread > 0 else np.inf
    estimate = float(w @ fit.coefficients)
    error = float(np.sqrt(w @ adjusted @ w))
    return KenwardRoger(
        estimate, error, float(df), float(2 * stats.t.sf(abs(estimate) / error, df))
    )


def _designs(effects: RandomEffects) -> tuple[Array, list[tuple[Array, Array]]]:
    """Return Z (n, m) and for each variance parameter G = A B' + B A' over 2 as the pair (A, B)."""
    blocks = []
    pairs = []
    for term in effects.terms:
        q, G = len(term.columns), len(term.levels)
        wide = np.zeros((q, effects.n, G))
        for j in range(q):
            wide[j, np.arange(effects.n), term.codes] = term.design[:, j]
        blocks += list(wide)
        pairs += [(wide[r], wide[c]) for r, c in term.positions]
    return np.hstack(blocks), pairs


def _pieces(
    fit: LmmFit, Z: Array, pairs: list[tuple[Array, Array]]
) -> tuple[list[Array], list[list[Array]], Array]:
    """Return P_i, Q_ij and the expected information of the variance parameters times 2."""
    data, effects = fit.data, fit.data.effects
    X = data.X
    n = len(X)
    relative = []
    for term, part in zip(effects.terms, effects.split(fit.theta), strict=True):
        factor = term.cholesky(part)
        relative.append(np.kron(factor @ factor.T, np.eye(len(term.levels))))
    D = np.zeros((Z.shape[1], Z.shape[1]))
    first = 0
    for block in relative:
        D[first : first + len(block), first : first + len(block)] = block
        first += len(block)
    # V⁻¹ = (I − Z M Z')/σ² with M = (I + D Z'Z)⁻¹ D.
    ZtZ = Z.T @ Z
    M = np.linalg.solve(np.eye(len(D)) + D @ ZtZ, D)
    sigma2 = fit.sigma**2

    def inverse_times(A: Array) -> Array:
        return (A - Z @ (M @ (Z.T @ A))) / sigma2

    vx = inverse_times(X)
    va = [(inverse_times(a), inverse_times(b)) for a, b in pairs]
    # G V⁻¹X for each parameter, the residual (identity) last.
    gvx = [(a @ (b.T @ vx) + b @ (a.T @ vx)) / (2 if a is b else 1) for a, b in pairs] + [vx]
    k = len(gvx)
    P = [-vx.T @ g for g in gvx]
    vg = [inverse_times(g) for g in gvx]
    Q = [[gvx[i].T @ vg[j] for j in range(k)] for i in range(k)]
    trace = np.zeros((k, k))
    for i, (a, b) in enumerate(pairs):
        for j, (c, d) in enumerate(pairs):
            vc, vd = va[j]
            # tr(V⁻¹ G_i V⁻¹ G_j) with G = (ab' + ba')/(2 if a is b else 1)
            value = 2 * float(((b.T @ vc) * (a.T @ vd)).sum() + ((a.T @ vc) * (b.T @ vd)).sum())
            trace[i, j] = value / ((2 if a is b else 1) * (2 if c is d else 1))
        va_i, vb_i = va[i]
        value = 2 * float((va_i * vb_i).sum())
        trace[i, -1] = trace[-1, i] = value / (2 if a is b else 1)
    S = M @ ZtZ
    trace[-1, -1] = (n - 2 * float(np.trace(S)) + float((S * S.T).sum())) / sigma2**2
    information = np.zeros((k, k))
    for i in range(k):
        for j in range(k):
            information[i, j] = (
                trace[i, j]
                - 2 * float((fit.covariance * Q[i][j]).sum())
                + float(((fit.covariance @ P[i]) * (P[j] @ fit.covariance)).sum())
            )
    return P, Q, information
