"""What an ordinal model predicts: the share of each category, with intervals, and odds ratios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.ordinal.clm import ClmFit
from study.analysis.ordinal.clmm import ClmmFit
from study.analysis.ordinal.links import Array, density, distribution

Over = Literal["typical", "population"]

_NODES = 31


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted shares of the J categories for one row of the design.

    Parameters
    ----------
    names
        The categories.
    probability, low, high
        Shape (J,), in [0, 1]; the probabilities sum to 1, the limits are pointwise.
    mean, mean_low, mean_high
        The expected rating and its limits.
    over
        ``typical``: a reader and case in the middle of their distributions; ``population``:
        averaged over readers and cases.
    ci_level
        Of the limits.
    """

    names: tuple[str, ...]
    probability: Array
    low: Array
    high: Array
    mean: float
    mean_low: float
    mean_high: float
    over: Over
    ci_level: float


def predict(
    fit: ClmFit | ClmmFit,
    row: ArrayLike,
    *,
    over: Over = "population",
    ci_level: float = 0.95,
    random_rows: tuple[Array, ...] | None = None,
) -> Prediction:
    """Predict the categories for one combination of fixed effects.

    ``population`` integrates the normal random effects out by Gauss–Hermite quadrature over their
    sum. Limits are Wald limits of the logit of each probability by the delta method, with the
    uncertainty of thresholds, coefficients and variances; they do not include the random effects'
    own spread.

    Parameters
    ----------
    fit
        A model without cut-specific effects.
    row
        Shape (p,), values of the fixed effects.
    over
        Whom the prediction is for; without random effects both are the same.
    ci_level
        In (0, 1).
    random_rows
        For each random term the (q,) row of its design; ones by default, which is right for
        intercepts only.

    Raises
    ------
    AnalysisError
        If the row has the wrong length, the level is not in (0, 1), or the model has cut-specific
        effects.
    """
    x = np.asarray(row, dtype=float)
    if x.shape != fit.coefficients.shape:
        raise AnalysisError(
            f"A prediction was asked for {x.size} values of fixed effects; the model has "
            f"{len(fit.names)}: {', '.join(fit.names)}."
        )
    if fit.nominal.size or not 0 < ci_level < 1:
        raise AnalysisError(
            "Predictions need a model without cut-specific effects and a confidence level between "
            "0 and 1."
        )
    parameters = np.concatenate([fit.thresholds, fit.coefficients])
    if isinstance(fit, ClmmFit):
        parameters = np.concatenate([parameters, fit.cholesky])
    probability, slopes = _shares(fit, x, over, parameters, random_rows)
    spread = np.sqrt(np.maximum(np.einsum("jk,kl,jl->j", slopes, fit.covariance, slopes), 0.0))
    z = float(stats.norm.ppf(0.5 + ci_level / 2))
    safe = np.clip(probability, 1e-12, 1 - 1e-12)
    reach = z * spread / (safe * (1 - safe))
    values = np.array(fit.categories.values)
    mean = float(values @ probability)
    error = float(np.sqrt(max(values @ slopes @ fit.covariance @ slopes.T @ values, 0.0)))
    return Prediction(
        names=fit.categories.names,
        probability=probability,
        low=special.expit(special.logit(safe) - reach),
        high=special.expit(special.logit(safe) + reach),
        mean=mean,
        mean_low=max(mean - z * error, float(values[0])),
        mean_high=min(mean + z * error, float(values[-1])),
        over=over,
        ci_level=ci_level,
    )


def _shares(
    fit: ClmFit | ClmmFit,
    x: Array,
    over: Over,
    parameters: Array,
    random_rows: tuple[Array, ...] | None,
) -> tuple[Array, Array]:
    """Return probabilities (J,) and their derivatives in the parameters (J, k)."""
    n_cuts, p = len(fit.thresholds), len(fit.coefficients)
    theta, beta = parameters[:n_cuts], parameters[n_cuts : n_cuts + p]
    sd, sd_slope = 0.0, np.zeros(len(parameters) - n_cuts - p)
    if isinstance(fit, ClmmFit) and over == "population":
        sd, sd_slope = _total_sd(fit, random_rows)
    nodes, weights = special.roots_hermitenorm(_NODES if sd > 0 else 1)
    weights = weights / weights.sum()
    cut = theta[:, None] - x @ beta - sd * nodes[None, :]  # (J − 1, nodes)
    below = distribution(fit.link, cut) @ weights
    f = density(fit.link, cut).f
    slope = np.hstack(
        [
            np.diag(f @ weights),
            -(f @ weights)[:, None] * x,
            -(f @ (weights * nodes))[:, None] * sd_slope,
        ]
    )
    zero, one = np.zeros((1, slope.shape[1])), np.zeros((1, slope.shape[1]))
    probability = np.diff(np.concatenate([[0.0], below, [1.0]]))
    return probability, np.diff(np.vstack([zero, slope, one]), axis=0)


def _total_sd(fit: ClmmFit, random_rows: tuple[Array, ...] | None) -> tuple[float, Array]:
    """Return the standard deviation of z'b over readers and cases, and its gradient."""
    terms = fit.effects.terms
    rows = random_rows or tuple(np.ones(len(term.columns)) for term in terms)
    if len(rows) != len(terms):
        raise AnalysisError(
            f"A prediction was given {len(rows)} rows of random effects; the model has "
            f"{len(terms)} random terms."
        )
    total = 0.0
    slopes = []
    for term, part, z in zip(terms, fit.effects.split(fit.cholesky), rows, strict=True):
        t = term.cholesky(part).T @ np.asarray(z, dtype=float)
        total += float(t @ t)
        slopes += [float(z[r] * t[c]) for r, c in term.positions]
    sd = float(np.sqrt(total))
    return sd, np.array(slopes) / sd if sd > 0 else np.zeros(len(slopes))


def odds_ratio(
    fit: ClmFit | ClmmFit, name: str, scope: Scope, *, ci_level: float = 0.95
) -> Estimate:
    """Return exp(β) of one coefficient with its Wald interval.

    With the logit link this is the odds ratio of a higher rating; with random effects it compares
    readings of the same reader and case. Other links have no odds ratio: the estimate says so.

    Parameters
    ----------
    fit
        The model.
    name
        A coefficient.
    scope
        Population, role and counts.
    ci_level
        In (0, 1).
    """
    if name not in fit.names:
        raise AnalysisError(
            f"The model has no coefficient {name!r}; it has {', '.join(fit.names)}."
        )
    quantity = f"odds ratio of a higher rating, {name}"
    method = model_words(fit)
    if fit.link != "logit":
        return scope.unavailable(
            quantity, method=method, note=f"The {fit.link} link has no odds ratio."
        )
    k = fit.names.index(name)
    beta, error = float(fit.coefficients[k]), float(fit.standard_errors[k])
    doubts = [note for note in fit.notes if f"effect of {name} is not estimable" in note]
    if doubts or error <= 0:
        why = doubts[0] if doubts else "Its standard error is 0."
        return scope.unavailable(quantity, method=method, note=why)
    reach = float(stats.norm.ppf(0.5 + ci_level / 2)) * error
    return scope.estimate(
        quantity,
        np.exp(beta),
        ci=(np.exp(beta - reach), np.exp(beta + reach)),
        ci_level=ci_level,
        p_value=float(fit.p_values[k]),
        method=method,
    )


def model_words(fit: ClmFit | ClmmFit, *, wald: bool = True) -> str:
    """Return the model in words: link, approximation, random terms, kind of interval."""
    end = ", Wald" if wald else ""
    if isinstance(fit, ClmFit):
        return f"cumulative-link model, {fit.link}, no random effects{end}"
    terms = ", ".join(
        f"{' + '.join(v.columns)} over {v.name}".replace("(Intercept)", "intercept")
        for v in fit.variances
    )
    how = "Laplace" if fit.points == 1 else f"adaptive quadrature, {fit.points} points"
    return f"cumulative-link mixed model, {fit.link}, {how}, random {terms}{end}"
