"""Generalised estimating equations: effects averaged over the population, errors by cluster.

They need no distribution of random effects and serve as a sensitivity analysis of the mixed models;
with few clusters their errors are too small, so cluster by case, not by reader (Liang and Zeger,
Biometrika 1986;73:13–22). Signs follow :mod:`study.analysis.ordinal.clm`: a positive coefficient
raises ratings. statsmodels' OrdinalGEE models P(Y > j) = F(α_j + x'β), so that θ_j = −α_j with the
same β.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.genmod import cov_struct, families
from statsmodels.genmod.generalized_estimating_equations import GEE, OrdinalGEE
from statsmodels.tools.sm_exceptions import ConvergenceWarning, IterationLimitWarning

from study.analysis.estimate import AnalysisError
from study.analysis.groups import group_codes
from study.analysis.ordinal.clm import fit_clm
from study.analysis.ordinal.cumulative import read_categories
from study.analysis.ordinal.links import density, distribution

Array = NDArray[np.float64]
Working = Literal["independence", "exchangeable"]
Association = Literal["independence", "odds ratio"]
Response = Literal["gaussian", "poisson", "binomial"]

_FAMILIES = {
    "gaussian": families.Gaussian,
    "poisson": families.Poisson,
    "binomial": families.Binomial,
}


@dataclass(frozen=True, eq=False)
class GeeFit:
    """Coefficients with cluster-robust standard errors.

    Parameters
    ----------
    names
        Names of the coefficients (for ordered categories: thresholds first).
    coefficients, standard_errors
        Shape (k,).
    n_clusters
        Clusters.
    dependence
        The working correlation or odds ratio; ``None`` under independence.
    method
        In words.
    notes
        What to mind.
    """

    names: tuple[str, ...]
    coefficients: Array
    standard_errors: Array
    n_clusters: int
    dependence: float | None
    method: str
    notes: tuple[str, ...]

    @property
    def p_values(self) -> Array:
        """Two-sided Wald p-values (normal), shape (k,)."""
        return 2 * stats.norm.sf(np.abs(self.coefficients) / self.standard_errors)


def fit_gee(
    response: ArrayLike,
    design: ArrayLike,
    names: Sequence[str],
    clusters: ArrayLike,
    *,
    family: Response = "gaussian",
    working: Working = "independence",
) -> GeeFit:
    """Fit a generalised linear model by estimating equations.

    Parameters
    ----------
    response
        Shape (n,).
    design
        Shape (n, p), with a column of ones for the intercept.
    names
        p names.
    clusters
        Shape (n,), labels; the sandwich has no small-sample factor.
    family
        ``gaussian`` (identity), ``poisson`` (log) or ``binomial`` (logit).
    working
        Working correlation within a cluster; moment estimators of it differ between packages.

    Raises
    ------
    AnalysisError
        If shapes do not fit, values are missing, columns depend on each other, or there are fewer
        than two clusters.
    """
    y = np.asarray(response, dtype=float)
    X = np.asarray(design, dtype=float).reshape(len(y), -1)
    codes = _checked(y, X, clusters)
    structure = (
        cov_struct.Independence() if working == "independence" else cov_struct.Exchangeable()
    )
    order = np.argsort(codes, kind="stable")
    result, notes = _run(
        lambda: GEE(
            y[order],
            X[order],
            groups=codes[order],
            cov_struct=structure,
            family=_FAMILIES[family](),
        ).fit()
    )
    return GeeFit(
        names=tuple(names),
        coefficients=np.asarray(result.params),
        standard_errors=np.asarray(result.bse),
        n_clusters=int(codes.max()) + 1,
        dependence=None if working == "independence" else float(structure.dep_params),
        method=f"estimating equations, {family}, {working} within clusters, sandwich errors",
        notes=notes,
    )


def fit_ordinal_gee(
    ratings: ArrayLike,
    design: ArrayLike,
    names: Sequence[str],
    clusters: ArrayLike,
    *,
    association: Association = "independence",
    max_iterations: int = 20,
) -> GeeFit:
    """Fit a cumulative logit model by estimating equations.

    Under independence the equations are the score of the cumulative-link model with the multinomial
    covariance of a rating's cuts, and the bread of the sandwich is the expected information, as
    ``multgee::ordLORgee`` (Touloumis, J Stat Softw 2015;64(8)). With ``odds ratio`` statsmodels'
    OrdinalGEE with one global odds ratio between the readings of a cluster is used; its working
    model differs from multgee's, and its coefficients by about 1e-3.

    Parameters
    ----------
    ratings
        Shape (n,), whole numbers.
    design
        Shape (n, p), without an intercept.
    names
        p names.
    clusters
        Shape (n,), labels.
    association
        Working association within a cluster.
    max_iterations
        Of statsmodels.

    Returns
    -------
    GeeFit
        Thresholds θ_j of P(Y ≤ j) = F(θ_j − x'β) first, then the coefficients.
    """
    categories = read_categories(ratings)
    y = categories.codes.astype(float)
    X = np.asarray(design, dtype=float).reshape(len(y), -1)
    codes = _checked(y, X, clusters)
    labels = (*categories.cuts, *names)
    n_cuts = len(categories.cuts)
    n_clusters = int(codes.max()) + 1
    if association == "independence":
        fit = fit_clm(categories, X, names)
        sums = np.zeros((n_clusters, fit.n_parameters))
        np.add.at(sums, codes, fit.scores)
        bread = np.linalg.pinv(
            _expected_information(fit.thresholds, X, fit.coefficients), hermitian=True
        )
        spread = bread @ (sums.T @ sums) @ bread
        return GeeFit(
            names=labels,
            coefficients=np.concatenate([fit.thresholds, fit.coefficients]),
            standard_errors=np.sqrt(np.maximum(np.diag(spread), 0.0)),
            n_clusters=n_clusters,
            dependence=None,
            method="ordinal estimating equations, independence within clusters, sandwich errors",
            notes=fit.notes,
        )
    order = np.argsort(codes, kind="stable")
    structure = cov_struct.GlobalOddsRatio("ordinal")
    result, notes = _run(
        lambda: OrdinalGEE(y[order], X[order], groups=codes[order], cov_struct=structure).fit(
            maxiter=max_iterations
        )
    )
    sign = np.where(np.arange(n_cuts + len(names)) < n_cuts, -1.0, 1.0)
    return GeeFit(
        names=labels,
        coefficients=sign * np.asarray(result.params),
        standard_errors=np.asarray(result.bse),
        n_clusters=n_clusters,
        dependence=float(structure.dep_params),
        method="ordinal estimating equations, global odds ratio within clusters, sandwich errors",
        notes=notes,
    )


def _expected_information(thresholds: Array, X: Array, beta: Array) -> Array:
    """Return Σ_i Σ_j ∂p_ij ∂p_ij' / p_ij of the cumulative logit model, shape (k, k)."""
    n, n_cuts = len(X), len(thresholds)
    limits = np.hstack(
        [np.full((n, 1), -np.inf), thresholds - (X @ beta)[:, None], np.full((n, 1), np.inf)]
    )
    p = np.maximum(np.diff(distribution("logit", limits), axis=1), 1e-100)
    f = density("logit", limits).f
    total = np.zeros((n_cuts + X.shape[1], n_cuts + X.shape[1]))
    for j in range(n_cuts + 1):
        slope = np.zeros((n, n_cuts + X.shape[1]))
        if j < n_cuts:
            slope[:, j] = f[:, j + 1]
        if j > 0:
            slope[:, j - 1] = -f[:, j]
        slope[:, n_cuts:] = -(f[:, j + 1] - f[:, j])[:, None] * X
        total += slope.T @ (slope / p[:, [j]])
    return total


def _checked(y: Array, X: Array, clusters: ArrayLike) -> NDArray[np.intp]:
    """Return cluster numbers after checking the input."""
    if not (np.isfinite(y).all() and np.isfinite(X).all()):
        raise AnalysisError(
            "Estimating equations were given missing or infinite values; expected a number in "
            "every row. Leave those rows out."
        )
    if np.linalg.matrix_rank(X) < X.shape[1]:
        raise AnalysisError(
            "The columns of the estimating equations depend on each other; leave out the one that "
            "says nothing new."
        )
    codes, n_clusters = group_codes(clusters)
    if len(codes) != len(y) or n_clusters < 2:
        raise AnalysisError(
            f"Estimating equations were given {len(y)} rows and {n_clusters} clusters; expected a "
            "cluster for every row and at least two."
        )
    return codes


class _Result:
    """What is used of a statsmodels result."""

    params: Array
    bse: Array


def _run(fit: object) -> tuple[_Result, tuple[str, ...]]:
    """Run statsmodels; its warnings about convergence become a note."""
    if not callable(fit):
        raise AnalysisError("There is nothing to fit.")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fit()
    doubtful = any(
        issubclass(w.category, (ConvergenceWarning, IterationLimitWarning)) for w in caught
    )
    notes = (
        ("The estimating equations stopped before they converged; digits are doubtful.",)
        if doubtful
        else ()
    )
    return result, notes
