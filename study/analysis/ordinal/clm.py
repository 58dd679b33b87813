"""Cumulative-link models without random effects, by Newton's method with exact derivatives.

P(Y ≤ j) = F(θ_j − x'β), so a positive coefficient raises ratings; with the logit link exp(β) is the
odds ratio of a higher rating, the same at every cut (McCullagh, J R Stat Soc B 1980;42:109–142).
Readings of one reader or case are taken for independent ones, which they are not: for tests use the
mixed model of :mod:`study.analysis.ordinal.clmm` or a sandwich covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError
from study.analysis.groups import group_codes
from study.analysis.ordinal.cumulative import (
    Categories,
    CumulativeFamily,
    check_names,
    cumulative_family,
    read_categories,
)
from study.analysis.ordinal.links import Array, LinkName, interval, quantile

_MAX_NEWTON = 100
_SEPARATED_SE = 30.0
_FARTHEST = 15.0


@dataclass(frozen=True, eq=False)
class ClmFit:
    """A fitted cumulative-link model.

    Parameters
    ----------
    categories
        The ratings.
    link
        The link.
    names
        Names of the p coefficients.
    thresholds, coefficients
        Shapes (J − 1,) and (p,).
    nominal
        Shape (r, J − 1), cut-specific effects, sign as thresholds; no rows if there are none.
    covariance
        Shape (k, k), inverse of the observed information, parameters in the order thresholds,
        cut-specific effects, coefficients.
    scores
        Shape (n, k), each rating's contribution to the gradient.
    log_lik
        Log-likelihood at the maximum.
    gradient_norm, condition
        Largest entry of the gradient at the end; condition number of the information.
    notes
        What cannot be estimated, or only badly.
    """

    categories: Categories
    link: LinkName
    names: tuple[str, ...]
    thresholds: Array
    coefficients: Array
    nominal: Array
    covariance: Array
    scores: Array
    log_lik: float
    gradient_norm: float
    condition: float
    notes: tuple[str, ...]

    @property
    def n_parameters(self) -> int:
        """Number of free parameters."""
        return len(self.covariance)

    @property
    def aic(self) -> float:
        """Akaike's criterion −2 log L + 2 k."""
        return -2 * self.log_lik + 2 * self.n_parameters

    @property
    def standard_errors(self) -> Array:
        """Standard errors of the coefficients, shape (p,)."""
        return np.sqrt(np.diag(self.covariance))[self.n_parameters - len(self.names) :]

    @property
    def threshold_errors(self) -> Array:
        """Standard errors of the thresholds, shape (J − 1,)."""
        return np.sqrt(np.diag(self.covariance))[: len(self.thresholds)]

    @property
    def p_values(self) -> Array:
        """Two-sided Wald p-values of the coefficients, shape (p,); readings independent."""
        return 2 * stats.norm.sf(np.abs(self.coefficients) / self.standard_errors)

    def clustered_errors(self, clusters: ArrayLike) -> Array:
        """Return sandwich standard errors of the coefficients, shape (p,), clustered, no factor.

        V = I⁻¹ [Σ_g s_g s_g'] I⁻¹ with s_g the summed scores of a cluster (Liang and Zeger 1986);
        no small-sample factor, as ``rms::robcov``.

        Parameters
        ----------
        clusters
            Shape (n,), labels.
        """
        codes, n_groups = group_codes(clusters)
        if n_groups < 2:
            raise AnalysisError(
                f"Clustered standard errors need at least two clusters; there is {n_groups}."
            )
        sums = np.zeros((n_groups, self.scores.shape[1]))
        np.add.at(sums, codes, self.scores)
        spread = self.covariance @ (sums.T @ sums) @ self.covariance
        return np.sqrt(np.maximum(np.diag(spread), 0.0))[self.n_parameters - len(self.names) :]


def fit_clm(
    ratings: ArrayLike | Categories,
    design: ArrayLike,
    names: Sequence[str],
    *,
    link: LinkName = "logit",
    nominal: ArrayLike | None = None,
) -> ClmFit:
    """Fit a cumulative-link model by maximum likelihood.

    Parameters
    ----------
    ratings
        Shape (n,), whole numbers; or categories already read.
    design
        Shape (n, p), without a column for the intercept (the thresholds are the intercepts).
    names
        p names.
    link
        ``logit``, ``probit`` or ``cloglog``.
    nominal
        Shape (n, r): columns with an effect of their own at every cut (partial proportional odds);
        they must not be in ``design`` too.

    Raises
    ------
    AnalysisError
        If the ratings are no categories, all the same, the shapes do not fit, columns depend on
        each other, or no maximum is found.
    """
    categories = ratings if isinstance(ratings, Categories) else read_categories(ratings)
    n = len(categories.codes)
    X = np.asarray(design, dtype=float).reshape(n, -1)
    check_names(names, X, n)
    extra = np.zeros((n, 0)) if nominal is None else np.asarray(nominal, dtype=float).reshape(n, -1)
    columns = np.hstack([np.ones((n, 1)), X, extra])
    if np.linalg.matrix_rank(columns) < columns.shape[1]:
        raise AnalysisError(
            "The columns of the ordinal model depend on each other or do not vary; leave out the "
            f"one that says nothing new (of {', '.join(names) or 'the cut-specific ones'})."
        )
    family = cumulative_family(categories, link, extra)
    A, B = np.hstack([family.upper, -X]), np.hstack([family.lower, -X])
    start = np.zeros(A.shape[1])
    start[: len(categories.values) - 1] = start_thresholds(categories, link)
    psi, log_lik, scores, information, norm = _newton(family, A, B, start)
    condition = float(np.linalg.cond(information))
    covariance: Array = np.asarray(np.linalg.pinv(information, hermitian=True), dtype=float)
    n_cuts, p = len(categories.values) - 1, X.shape[1]
    notes = [categories.note] if categories.note else []
    notes += separation_notes(
        names, psi[len(psi) - p :], np.sqrt(np.diag(covariance))[len(psi) - p :], X
    )
    return ClmFit(
        categories=categories,
        link=link,
        names=tuple(names),
        thresholds=psi[:n_cuts],
        coefficients=psi[len(psi) - p :],
        nominal=psi[n_cuts : len(psi) - p].reshape(extra.shape[1], n_cuts),
        covariance=covariance,
        scores=scores,
        log_lik=log_lik,
        gradient_norm=norm,
        condition=condition,
        notes=tuple(notes),
    )


def start_thresholds(categories: Categories, link: LinkName) -> Array:
    """Return the thresholds of a model without coefficients: F⁻¹ of the cumulative shares."""
    counts = np.bincount(categories.codes, minlength=len(categories.values))
    return quantile(link, np.cumsum(counts)[:-1] / counts.sum())


def _newton(
    family: CumulativeFamily, A: Array, B: Array, psi: Array
) -> tuple[Array, float, Array, Array, float]:
    """Return parameters, log-likelihood, scores (n, k), information (k, k), gradient norm."""

    def log_lik(psi: Array) -> float:
        upper, lower = A @ psi + family.open_upper, B @ psi + family.open_lower
        if not (upper > lower).all():
            return -np.inf
        return float(interval(family.link, upper, lower).log_p.sum())

    value = log_lik(psi)
    for _ in range(_MAX_NEWTON):
        scores, information = _derivatives(family, A, B, psi)
        g = scores.sum(axis=0)
        step = np.linalg.lstsq(information, g, rcond=1e-14)[0]
        gain = float(g @ step)
        if gain < 1e-20 * (1 + abs(value)):
            break
        length = 1.0
        while length > 1e-10 and log_lik(psi + length * step) < value - 1e-12 * (1 + abs(value)):
            length /= 2
        if length <= 1e-10:
            break
        psi = psi + length * step
        value = log_lik(psi)
    return psi, value, scores, information, float(np.abs(scores.sum(axis=0)).max())


def _derivatives(family: CumulativeFamily, A: Array, B: Array, psi: Array) -> tuple[Array, Array]:
    """Return the scores (n, k) and the observed information (k, k)."""
    at = interval(family.link, A @ psi + family.open_upper, B @ psi + family.open_lower)
    scores = A * at.upper.f[:, None] - B * at.lower.f[:, None]
    information = scores.T @ scores - A.T @ (A * at.upper.f1[:, None])
    information += B.T @ (B * at.lower.f1[:, None])
    return scores, information


def separation_notes(
    names: Sequence[str],
    coefficients: Array,
    errors: Array,
    X: Array,
    flat: NDArray[np.bool_] | None = None,
) -> list[str]:
    """Say which coefficients run away because one group lies wholly beyond the others.

    Parameters
    ----------
    names, coefficients, errors
        The p coefficients with their standard errors.
    X
        Shape (n, p).
    flat
        Shape (p,): coefficients along which the likelihood does not fall off.
    """
    notes = []
    reach = np.abs(coefficients) * np.ptp(X, axis=0) if len(names) else np.zeros(0)
    for k, name in enumerate(names):
        if errors[k] > _SEPARATED_SE or reach[k] > _FARTHEST or (flat is not None and flat[k]):
            notes.append(
                f"The effect of {name} is not estimable: its ratings are separated (one group lies "
                "wholly beyond the others), so that the likelihood rises without end."
            )
    return notes
