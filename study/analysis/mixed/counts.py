"""Mixed models of counts (false-positive marks): Poisson or negative binomial, log link.

log μ = Xβ + ZΛu by the Laplace approximation of :mod:`study.analysis.mixed.laplace`; the negative
binomial has variance μ + μ²/k (``nbinom2``). exp(β) is a rate ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from study.analysis.estimate import AnalysisError
from study.analysis.mixed.fit import maximise
from study.analysis.mixed.laplace import OfParameters, Pointwise, Problem
from study.analysis.mixed.random_effects import Array, RandomTerm, assemble
from study.analysis.ordinal.clmm import VarianceTerm, boundary_note, describe_variances

Counts = Literal["poisson", "negative binomial"]

_MAX_ETA = 30.0


@dataclass(frozen=True, eq=False)
class PoissonFamily:
    """Counts with variance μ; ``y`` of shape (n,)."""

    y: Array

    @property
    def n_parameters(self) -> int:
        """None."""
        return 0

    def pointwise(self, eta: Array, parameters: Array) -> Pointwise:
        """Return the log-likelihood and its derivatives in η."""
        mu = np.exp(np.minimum(eta, _MAX_ETA))
        return Pointwise(self.y * eta - mu - special.gammaln(self.y + 1), self.y - mu, -mu, -mu)

    def of_parameters(self, eta: Array, parameters: Array) -> OfParameters:
        """Return nothing, in the right shapes."""
        none = np.zeros((len(eta), 0))
        return OfParameters(np.zeros(0), none, none)


@dataclass(frozen=True, eq=False)
class NegativeBinomialFamily:
    """Counts with variance μ + μ²/k; the parameter is log k. ``y`` has shape (n,)."""

    y: Array

    @property
    def n_parameters(self) -> int:
        """One."""
        return 1

    def pointwise(self, eta: Array, parameters: Array) -> Pointwise:
        """Return the log-likelihood and its derivatives in η."""
        y, k = self.y, float(np.exp(parameters[0]))
        r = special.expit(eta - parameters[0])  # μ / (k + μ)
        rows = (
            special.gammaln(y + k)
            - special.gammaln(k)
            - special.gammaln(y + 1)
            + y * special.log_expit(eta - parameters[0])
            + k * special.log_expit(parameters[0] - eta)
        )
        curve = (y + k) * r * (1 - r)
        return Pointwise(rows, y - (y + k) * r, -curve, -curve * (1 - 2 * r))

    def of_parameters(self, eta: Array, parameters: Array) -> OfParameters:
        """Return the derivatives with respect to log k."""
        y, k = self.y, float(np.exp(parameters[0]))
        r = special.expit(eta - parameters[0])
        bend = r * (1 - r)
        slope = special.digamma(y + k) - special.digamma(k) + 1
        slope = slope + special.log_expit(parameters[0] - eta) - (y + k) / k * (1 - r)
        return OfParameters(
            np.array([k * slope.sum()]),
            (-k * r + (y + k) * bend)[:, None],
            (-k * bend + (y + k) * bend * (1 - 2 * r))[:, None],
        )


@dataclass(frozen=True, eq=False)
class CountFit:
    """A fitted mixed model of counts.

    Parameters
    ----------
    names
        Names of the p coefficients.
    coefficients, standard_errors
        Shape (p,), on the log scale.
    dispersion
        k of the negative binomial, else ``None``.
    variances
        Random terms.
    log_lik
        Laplace approximation.
    n_parameters
        Number of parameters.
    notes
        Boundary fits.
    """

    names: tuple[str, ...]
    coefficients: Array
    standard_errors: Array
    dispersion: float | None
    variances: tuple[VarianceTerm, ...]
    log_lik: float
    n_parameters: int
    notes: tuple[str, ...]

    @property
    def p_values(self) -> Array:
        """Two-sided Wald p-values (normal), shape (p,)."""
        return 2 * stats.norm.sf(np.abs(self.coefficients) / self.standard_errors)


def fit_counts(
    counts: ArrayLike,
    design: ArrayLike,
    names: Sequence[str],
    random: Sequence[RandomTerm],
    *,
    family: Counts = "poisson",
) -> CountFit:
    """Fit a mixed model of counts.

    Parameters
    ----------
    counts
        Shape (n,), whole numbers of 0 or more.
    design
        Shape (n, p), with a column of ones for the intercept.
    names
        p names.
    random
        Random terms.
    family
        ``poisson`` or ``negative binomial``.

    Raises
    ------
    AnalysisError
        If a count is negative, broken or missing, all are 0, or a random term has one level.
    """
    y = np.asarray(counts, dtype=float)
    X = np.asarray(design, dtype=float).reshape(len(y), -1)
    if not np.isfinite(y).all() or (y < 0).any() or (y != np.round(y)).any():
        raise AnalysisError(
            "A model of counts was given a missing, negative or broken number; expected whole "
            "numbers of 0 or more. Correct or leave out those rows."
        )
    if not y.any():
        raise AnalysisError("All counts are 0: a rate ratio cannot be estimated.")
    effects = assemble(random)
    for term in effects.terms:
        if len(term.levels) < 2:
            raise AnalysisError(
                f"A random effect of {term.name} needs at least two levels; there is only one."
            )
    negative = family == "negative binomial"
    problem = Problem(X, NegativeBinomialFamily(y) if negative else PoissonFamily(y), effects)
    start, scale = _start(y, X, problem, negative)
    found = maximise(problem, start, scale)
    phi, beta, tau = problem.split(found.parameters)
    errors = np.sqrt(np.diag(found.covariance))[len(phi) : len(phi) + len(beta)]
    variances = describe_variances(effects, tau, found.mode, found.boundary)
    return CountFit(
        names=tuple(names),
        coefficients=beta,
        standard_errors=errors,
        dispersion=float(np.exp(phi[0])) if negative else None,
        variances=variances,
        log_lik=found.log_lik,
        n_parameters=len(found.parameters),
        notes=tuple(boundary_note(term) for term in variances if term.boundary),
    )


def _start(y: Array, X: Array, problem: Problem, negative: bool) -> tuple[Array, Array]:
    """Return a start from Poisson regression by reweighted least squares, and a scale."""
    eta = np.log(y + 0.5)
    beta = np.zeros(X.shape[1])
    for _ in range(8):
        mu = np.exp(np.clip(eta, -_MAX_ETA, _MAX_ETA))
        work = eta + (y - mu) / mu
        beta = np.linalg.lstsq(X * np.sqrt(mu)[:, None], work * np.sqrt(mu), rcond=None)[0]
        eta = X @ beta
    tau = [0.3 if r == c else 0.0 for term in problem.effects.terms for r, c in term.positions]
    start = np.concatenate([[1.0] if negative else [], beta, tau])
    scale = np.diag(np.full(len(start), 0.02))
    first = 1 if negative else 0
    information = X.T @ (X * np.exp(eta)[:, None])
    scale[first : first + len(beta), first : first + len(beta)] = np.linalg.inv(information)
    return start, scale
