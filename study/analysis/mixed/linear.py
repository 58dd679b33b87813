"""Linear mixed models with crossed random effects by profiled (restricted) maximum likelihood.

y = Xβ + ZΛu + ε with u ~ N(0, σ²I), ε ~ N(0, σ²I); Λ is relative to σ. σ and β are profiled out
(Bates, Mächler, Bolker and Walker, J Stat Softw 2015;67(1), section 3), Z'Z is kept in the sparse
blocks of :mod:`study.analysis.mixed.random_effects`, so that an evaluation does not depend on the
number of rows. Degrees of freedom follow Satterthwaite as in lmerTest (Kuznetsova, Brockhoff and
Christensen, J Stat Softw 2017;82(13)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from study.analysis.mixed.numeric import differences
from study.analysis.mixed.profile import (
    LmmData,
    VarianceUncertainty,
    evaluate,
    prepare,
    variance_uncertainty,
)
from study.analysis.mixed.random_effects import Array, RandomEffects, RandomTerm

SINGULAR = 1e-4
"""Relative standard deviation below which a fit counts as singular, as in lme4."""


@dataclass(frozen=True)
class Component:
    """One variance component.

    Parameters
    ----------
    name
        The grouping factor, or ``"Residual"``.
    columns
        Names of its q coefficients.
    sds
        Their standard deviations.
    correlations
        Correlations of coefficients below the diagonal, column by column.
    """

    name: str
    columns: tuple[str, ...]
    sds: tuple[float, ...]
    correlations: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class LmmFit:
    """A fitted linear mixed model.

    Parameters
    ----------
    names
        Names of the p coefficients, the intercept included.
    coefficients
        Shape (p,).
    covariance
        Shape (p, p).
    df
        Shape (p,), Satterthwaite degrees of freedom.
    components
        Variance components in the order of the random terms, the residual last.
    log_lik
        (Restricted) log-likelihood.
    reml
        Which.
    singular
        Whether a variance is 0 or a correlation ±1 (relative tolerance 1e-4).
    theta
        Relative Cholesky entries.
    sigma
        Residual standard deviation.
    data
        Cross-products.
    uncertainty
        Of the variance parameters, for degrees of freedom.
    n_parameters
        Coefficients, variance parameters and the residual variance.
    notes
        What to mind.
    """

    names: tuple[str, ...]
    coefficients: Array
    covariance: Array
    df: Array
    components: tuple[Component, ...]
    log_lik: float
    reml: bool
    singular: bool
    theta: Array
    sigma: float
    data: LmmData
    uncertainty: VarianceUncertainty
    n_parameters: int
    notes: tuple[str, ...]

    @property
    def standard_errors(self) -> Array:
        """Standard errors of the coefficients, shape (p,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def p_values(self) -> Array:
        """Two-sided p-values by t with Satterthwaite degrees of freedom, shape (p,)."""
        return 2 * stats.t.sf(np.abs(self.coefficients) / self.standard_errors, self.df)

    def intervals(self, level: float) -> Array:
        """Return limits of the coefficients, shape (p, 2), t with Satterthwaite df.

        Parameters
        ----------
        level
            In (0, 1).
        """
        reach = stats.t.ppf(0.5 + level / 2, self.df) * self.standard_errors
        return np.column_stack([self.coefficients - reach, self.coefficients + reach])


def fit_lmm(
    response: ArrayLike,
    design: ArrayLike,
    names: Sequence[str],
    random: Sequence[RandomTerm],
    *,
    reml: bool = True,
) -> LmmFit:
    """Fit a linear mixed model.

    Parameters
    ----------
    response
        Shape (n,), finite.
    design
        Shape (n, p), with a column of ones for the intercept.
    names
        p names.
    random
        Random terms.
    reml
        Restricted likelihood (default), or full likelihood for tests of fixed effects.

    Raises
    ------
    AnalysisError
        If shapes do not fit, values are missing, columns depend on each other, a random term has
        one level or as many as there are rows, or the response does not vary.
    """
    data = prepare(response, design, names, random, reml)
    theta = _optimise(data)
    profile = evaluate(data, theta)
    n, p = data.X.shape
    sigma2 = profile.residual / (n - p if reml else n)
    sigma = float(np.sqrt(sigma2))
    covariance = sigma2 * np.linalg.inv(profile.information)
    singular = _is_singular(data.effects, theta)
    notes = []
    if singular:
        notes.append(
            "A variance component is estimated as 0 or a correlation as ±1 (singular fit): the "
            "data show no such variation, which is not proof that there is none."
        )
    uncertainty = variance_uncertainty(data, theta, sigma)
    return LmmFit(
        names=tuple(names),
        coefficients=profile.coefficients,
        covariance=covariance,
        df=np.array([_df(covariance, uncertainty, row) for row in np.eye(p)]),
        components=_components(data.effects, theta, sigma),
        log_lik=-profile.deviance / 2,
        reml=reml,
        singular=singular,
        theta=theta,
        sigma=sigma,
        data=data,
        uncertainty=uncertainty,
        n_parameters=p + data.effects.n_parameters + 1,
        notes=tuple(notes),
    )


def _optimise(data: LmmData) -> Array:
    """Return the Cholesky entries of least deviance, diagonals not negative."""
    start = np.array([0.5 if r == c else 0.0 for t in data.effects.terms for r, c in t.positions])

    def deviance(theta: Array) -> float:
        return evaluate(data, theta).deviance

    best, value = start, np.inf
    for guess in (start, 0.2 * start):
        with np.errstate(all="ignore"):
            found = optimize.minimize(deviance, guess, method="BFGS", options={"gtol": 1e-4})
        if found.fun < value - 1e-9:
            best, value = found.x, float(found.fun)
        if np.abs(np.concatenate([np.diag(f) for f in _small_factors(data, best)])).min() > 0.01:
            break
    for _ in range(5):
        slope, hessian = differences(deviance, best)
        if np.linalg.eigvalsh(hessian)[0] <= 1e-8:
            break
        new = best - np.linalg.solve(hessian, slope)
        at = deviance(new)
        if not at <= value + 1e-10:
            break
        done = float(np.abs(new - best).max()) < 1e-8
        best, value = new, at
        if done:
            break
    return _with_positive_diagonals(data.effects, best)


def _small_factors(data: LmmData, theta: Array) -> list[Array]:
    parts = data.effects.split(theta)
    return [term.cholesky(part) for term, part in zip(data.effects.terms, parts, strict=True)]


def _with_positive_diagonals(effects: RandomEffects, theta: Array) -> Array:
    """Turn the signs of whole Cholesky columns; what is 0 but for rounding becomes 0."""
    theta = theta.copy()
    first = 0
    for term in effects.terms:
        for c in range(len(term.columns)):
            column = [first + i for i, (_, b) in enumerate(term.positions) if b == c]
            if theta[column[0]] < 0:
                theta[column] = -theta[column]
        first += len(term.positions)
    return np.where(np.abs(theta) < 1e-6, 0.0, theta)


def satterthwaite_df(fit: LmmFit, weights: ArrayLike) -> float:
    """Return the Satterthwaite degrees of freedom of a linear combination of coefficients.

    df = 2 (l'Vl)² / (g'Ag), g the gradient of l'Vl in the variance parameters (θ, σ) and A twice
    the inverse Hessian of the deviance in them, as lmerTest.

    Parameters
    ----------
    fit
        The model.
    weights
        Shape (p,).
    """
    w = np.asarray(weights, dtype=float)
    return _df(fit.covariance, fit.uncertainty, w)


def _df(covariance: Array, uncertainty: VarianceUncertainty, w: Array) -> float:
    slope = np.einsum("i,kij,j->k", w, uncertainty.slopes, w)
    spread = float(slope @ uncertainty.covariance @ slope)
    return float(2 * (w @ covariance @ w) ** 2 / spread) if spread > 0 else np.inf


def _is_singular(effects: RandomEffects, theta: Array) -> bool:
    for term, part in zip(effects.terms, effects.split(theta), strict=True):
        diagonal = np.diag(term.cholesky(part))
        if (np.abs(diagonal) < SINGULAR).any():
            return True
    return False


def _components(effects: RandomEffects, theta: Array, sigma: float) -> tuple[Component, ...]:
    result = []
    for term, part in zip(effects.terms, effects.split(theta), strict=True):
        factor = sigma * term.cholesky(part)
        covariance = factor @ factor.T
        sds = np.sqrt(np.diag(covariance))
        safe = np.where(sds > 0, sds, 1.0)
        correlation = covariance / np.outer(safe, safe)
        q = len(sds)
        pairs = [float(correlation[r, c]) for c in range(q) for r in range(c + 1, q)]
        result.append(
            Component(term.name, term.columns, tuple(float(s) for s in sds), tuple(pairs))
        )
    return (*result, Component("Residual", ("(Intercept)",), (sigma,), ()))
