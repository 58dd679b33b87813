"""Cumulative-link mixed models: ordered ratings with crossed random effects of readers and cases.

P(Y ≤ j) = F(θ_j − x'β − z'b) with b normal (Tutz and Hennevogl, Comput Stat Data Anal 1996;22:537).
The likelihood is the Laplace approximation of :mod:`study.analysis.mixed.laplace`; standard errors
come from its Hessian. With random intercepts of reader and case the condition effect speaks for
these readers; a random condition slope over readers lets it speak for readers like them. Variances
are estimated by maximum likelihood and are biased down with few levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError
from study.analysis.mixed.fit import Maximum, maximise
from study.analysis.mixed.laplace import Mode, Problem
from study.analysis.mixed.random_effects import RandomEffects, RandomTerm, assemble
from study.analysis.ordinal.clm import fit_clm, separation_notes
from study.analysis.ordinal.cumulative import (
    Categories,
    check_names,
    cumulative_family,
    read_categories,
)
from study.analysis.ordinal.links import Array, LinkName
from study.analysis.ordinal.quadrature import objective

_START_SD = {"logit": 0.6, "probit": 0.35, "cloglog": 0.45}
_ENDLESS = {"logit": 15.0, "probit": 8.0, "cloglog": 12.0}
_FLAT = 1e-3


@dataclass(frozen=True, eq=False)
class VarianceTerm:
    """The random coefficients of one grouping factor.

    Parameters
    ----------
    name, levels, columns
        The factor, its G levels, its q coefficients.
    sds
        Shape (q,), standard deviations on the scale of the linear predictor.
    correlation
        Shape (q, q); entries of a coefficient without variance are 0 off the diagonal.
    modes
        Shape (G, q), conditional modes of the levels.
    boundary
        Whether a variance is 0 or a correlation ±1.
    """

    name: str
    levels: tuple[str, ...]
    columns: tuple[str, ...]
    sds: Array
    correlation: Array
    modes: Array
    boundary: bool


@dataclass(frozen=True, eq=False)
class ClmmFit:
    """A fitted cumulative-link mixed model.

    Parameters
    ----------
    categories, link, names
        The ratings, the link, names of the p coefficients.
    thresholds, coefficients
        Shapes (J − 1,) and (p,).
    nominal
        Shape (r, J − 1), cut-specific effects, sign as thresholds.
    variances
        One entry per random term.
    covariance
        Shape (k, k): thresholds, cut-specific effects, coefficients, Cholesky entries.
    cholesky
        Shape (variance parameters,), the last entries of the parameter vector.
    log_lik
        At the maximum; Laplace, or by quadrature.
    points
        Quadrature points per level; 1 is the Laplace approximation.
    gradient_norm, condition
        Largest entry of the gradient; condition number of the Hessian.
    effects
        Random structure.
    notes
        Boundary fits, separation, unused categories, doubts about convergence.
    """

    categories: Categories
    link: LinkName
    names: tuple[str, ...]
    thresholds: Array
    coefficients: Array
    nominal: Array
    variances: tuple[VarianceTerm, ...]
    covariance: Array
    cholesky: Array
    log_lik: float
    points: int
    gradient_norm: float
    condition: float
    effects: RandomEffects
    notes: tuple[str, ...]

    @property
    def n_parameters(self) -> int:
        """Number of parameters, those on the boundary included."""
        return len(self.covariance)

    @property
    def aic(self) -> float:
        """Akaike's criterion −2 log L + 2 k."""
        return -2 * self.log_lik + 2 * self.n_parameters

    @property
    def standard_errors(self) -> Array:
        """Standard errors of the coefficients, shape (p,)."""
        first = self.thresholds.size + self.nominal.size
        return np.sqrt(np.diag(self.covariance))[first : first + len(self.names)]

    @property
    def threshold_errors(self) -> Array:
        """Standard errors of the thresholds, shape (J − 1,)."""
        return np.sqrt(np.diag(self.covariance))[: len(self.thresholds)]

    @property
    def p_values(self) -> Array:
        """Two-sided Wald p-values (normal) of the coefficients, shape (p,)."""
        return 2 * stats.norm.sf(np.abs(self.coefficients) / self.standard_errors)

    def variance(self, name: str) -> VarianceTerm:
        """Return the random term of this name."""
        for term in self.variances:
            if term.name == name:
                return term
        raise AnalysisError(
            f"The model has no random term {name!r}; it has "
            f"{', '.join(term.name for term in self.variances)}."
        )


def fit_clmm(
    ratings: ArrayLike | Categories,
    design: ArrayLike,
    names: Sequence[str],
    random: Sequence[RandomTerm],
    *,
    link: LinkName = "logit",
    nominal: ArrayLike | None = None,
    points: int = 1,
) -> ClmmFit:
    """Fit a cumulative-link mixed model by maximum (Laplace) likelihood.

    Parameters
    ----------
    ratings
        Shape (n,), whole numbers; or categories already read.
    design
        Shape (n, p), without an intercept.
    names
        p names.
    random
        Random terms, crossed or nested, from
        :func:`study.analysis.mixed.random_effects.random_term`.
    link
        ``logit``, ``probit`` or ``cloglog``.
    nominal
        Shape (n, r), columns with an effect of their own at every cut.
    points
        Adaptive quadrature points; more than 1 only with a single random intercept.

    Raises
    ------
    AnalysisError
        If ratings or shapes do not fit, columns depend on each other, a random term has one level,
        or no maximum is found.
    """
    categories = ratings if isinstance(ratings, Categories) else read_categories(ratings)
    n = len(categories.codes)
    X = np.asarray(design, dtype=float).reshape(n, -1)
    check_names(names, X, n)
    effects = assemble(random)
    _check_levels(effects)
    fixed = fit_clm(categories, X, names, link=link, nominal=nominal)
    extra = None if nominal is None else np.asarray(nominal, dtype=float).reshape(n, -1)
    problem = Problem(X, cumulative_family(categories, link, extra), effects)
    start, scale = _start(fixed.thresholds, fixed.nominal, fixed.coefficients, effects, link)
    scale[: fixed.n_parameters, : fixed.n_parameters] = _capped(fixed.covariance)
    function = None if points == 1 else partial(objective, problem, points)
    found = maximise(problem, start, scale, function)
    return _describe(problem, found, categories, link, tuple(names), points)


def _start(
    thresholds: Array, nominal: Array, coefficients: Array, effects: RandomEffects, link: LinkName
) -> tuple[Array, Array]:
    """Return a start and the scale of its variance parameters."""
    tau = []
    for term in effects.terms:
        tau += [_START_SD[link] if r == c else 0.0 for r, c in term.positions]
    start = np.concatenate([thresholds, nominal.ravel(), coefficients, tau])
    return start, np.diag(np.full(len(start), 0.02))


def _capped(covariance: Array) -> Array:
    """Return a positive definite covariance of moderate size (separated effects have none)."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.clip(values, 1e-6, 10.0)) @ vectors.T


def _check_levels(effects: RandomEffects) -> None:
    for term in effects.terms:
        if len(term.levels) < 2:
            raise AnalysisError(
                f"A random effect of {term.name} needs at least two levels; there is only "
                f"{term.levels[0]}. Leave the random effect out: the model then speaks for that "
                f"{term.name} alone."
            )


def _describe(
    problem: Problem,
    found: Maximum,
    categories: Categories,
    link: LinkName,
    names: tuple[str, ...],
    points: int,
) -> ClmmFit:
    phi, beta, tau = problem.split(found.parameters)
    n_cuts = len(categories.values) - 1
    variances = describe_variances(problem.effects, tau, found.mode, found.boundary)
    errors = np.sqrt(np.diag(found.covariance))[len(phi) : len(phi) + len(beta)]
    notes = [categories.note] if categories.note else []
    notes += [boundary_note(term) for term in variances if term.boundary]
    notes += [_endless(term) for term in variances if (term.sds > _ENDLESS[link]).any()]
    flat = found.flat[len(phi) : len(phi) + len(beta)]
    notes += separation_notes(names, beta, errors, problem.X, flat)
    if not np.isfinite(found.condition):
        notes.append(
            "The likelihood is flat in some direction at its maximum: standard errors leave that "
            "direction out and are too small. Simplify the model."
        )
    if found.gradient_norm > _FLAT:
        notes.append(
            f"The fit stopped at a gradient of {found.gradient_norm:.1e}; do not rely on its last "
            "digits."
        )
    return ClmmFit(
        categories=categories,
        link=link,
        names=names,
        thresholds=phi[:n_cuts],
        coefficients=beta,
        nominal=phi[n_cuts:].reshape(-1, n_cuts),
        variances=variances,
        covariance=found.covariance,
        cholesky=tau,
        log_lik=found.log_lik,
        points=points,
        gradient_norm=found.gradient_norm,
        condition=found.condition,
        effects=problem.effects,
        notes=tuple(notes),
    )


def describe_variances(
    effects: RandomEffects, tau: Array, mode: Mode, boundary: NDArray[np.bool_]
) -> tuple[VarianceTerm, ...]:
    """Return standard deviations, correlations and conditional modes of every random term.

    Parameters
    ----------
    effects
        Random structure.
    tau
        Cholesky entries.
    mode
        Modes on the scale of independent standard normals.
    boundary
        Shape of ``tau``: which entries are on the boundary.
    """
    result = []
    flags = effects.split(boundary.astype(float))
    for k, (term, part) in enumerate(zip(effects.terms, effects.split(tau), strict=True)):
        q = len(term.columns)
        factor = term.cholesky(part)
        covariance = factor @ factor.T
        sds = np.sqrt(np.diag(covariance))
        safe = np.where(sds > 0, sds, 1.0)
        correlation = covariance / np.outer(safe, safe)
        np.fill_diagonal(correlation, 1.0)
        if k == effects.main:
            u = mode.block
        else:
            first = effects.offsets[effects.others.index(k)]
            u = mode.dense[first : first + len(term.levels) * q].reshape(-1, q)
        on = bool(flags[k].any())
        result.append(
            VarianceTerm(term.name, term.levels, term.columns, sds, correlation, u @ factor.T, on)
        )
    return tuple(result)


def _endless(term: VarianceTerm) -> str:
    return (
        f"The variance over {term.name} grows without end: the ratings of each {term.name} hardly "
        "differ among themselves. Standard deviations of it are not estimable."
    )


def boundary_note(term: VarianceTerm) -> str:
    """Say what a fit on the boundary means."""
    zero = [c for c, sd in zip(term.columns, term.sds, strict=True) if sd < 1e-3]
    if zero:
        what = " and ".join("intercept" if c == "(Intercept)" else f"slope of {c}" for c in zero)
        return (
            f"The variance of the {what} over {term.name} is estimated as 0 (on the boundary): "
            f"with {len(term.levels)} levels the data show no variation, which is not proof that "
            "there is none."
        )
    return (
        f"The random coefficients of {term.name} are estimated as perfectly correlated (on the "
        f"boundary): {len(term.levels)} levels cannot tell them apart."
    )
