"""Link functions of cumulative-link models, and the derivatives of the log-probability of a rating.

A rating y of J ordered categories has P(Y ≤ j) = F(θ_j − η); the probability of the rating itself
is F(upper) − F(lower) with upper = θ_y − η and lower = θ_{y−1} − η, infinite at the ends
(McCullagh, J R Stat Soc B 1980;42:109–142).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import special

from study.analysis.estimate import AnalysisError

LinkName = Literal["logit", "probit", "cloglog"]

Array = NDArray[np.float64]

_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Density:
    """The density of a link's distribution and its first two derivatives, each of one shape."""

    f: Array
    f1: Array
    f2: Array


@dataclass(frozen=True, eq=False)
class Interval:
    """Log-probability of lying between two limits, and what its derivatives are made of.

    Parameters
    ----------
    log_p
        Shape (n,), log(F(upper) − F(lower)).
    upper, lower
        Densities at the limits divided by the probability, each of shape (n,).
    """

    log_p: Array
    upper: Density
    lower: Density


def check_link(link: str) -> None:
    """Refuse a link that does not exist."""
    if link not in get_args(LinkName):
        raise AnalysisError(
            f"There is no link {link!r}; expected one of {', '.join(get_args(LinkName))}."
        )


def distribution(link: LinkName, x: Array) -> Array:
    """Return F(x) in [0, 1]; ``x`` may be infinite."""
    if link == "logit":
        return np.asarray(special.expit(x))
    if link == "probit":
        return np.asarray(special.ndtr(x))
    return -np.expm1(-np.exp(np.minimum(x, 700.0)))


def quantile(link: LinkName, p: Array) -> Array:
    """Return F⁻¹(p) for p in (0, 1)."""
    if link == "logit":
        return np.asarray(special.logit(p))
    if link == "probit":
        return np.asarray(special.ndtri(p))
    return np.log(-np.log1p(-p))


def log_difference(link: LinkName, upper: Array, lower: Array) -> Array:
    """Return log(F(upper) − F(lower)) without cancellation; upper > lower, infinite allowed.

    logit: F(a) − F(b) = F(a) F(−b) (1 − e^{b−a}). probit: the tail with the smaller numbers.
    cloglog: exp(−e^b) (1 − exp(e^b − e^a)). Where upper ≤ lower the result is −∞.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if link == "logit":
            gap = np.log(-np.expm1(np.minimum(lower - upper, 0.0)))
            return special.log_expit(upper) + special.log_expit(-lower) + gap
        if link == "probit":
            flip = lower > 0
            a = np.where(flip, -lower, upper)
            b = np.where(flip, -upper, lower)
            return np.log(np.maximum(special.ndtr(a) - special.ndtr(b), 0.0))
        ea, eb = np.exp(np.minimum(upper, 700.0)), np.exp(np.minimum(lower, 700.0))
        return -eb + np.log(-np.expm1(np.minimum(eb - ea, 0.0)))


def density(link: LinkName, x: Array) -> Density:
    """Return f, f′ and f″ at ``x``, all 0 where ``x`` is infinite."""
    if link == "logit":
        F = special.expit(x)
        f = F * special.expit(-x)
        return Density(f, f * (1 - 2 * F), f * (1 - 6 * f))
    finite = np.isfinite(x)
    z = np.where(finite, x, 0.0)
    if link == "probit":
        f = np.where(finite, np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi), 0.0)
        return Density(f, -z * f, (z * z - 1) * f)
    e = np.exp(np.minimum(z, 700.0))
    f = np.where(finite, np.exp(np.minimum(z, 700.0) - np.minimum(e, 700.0)), 0.0)
    return Density(f, f * (1 - e), f * (1 - 3 * e + e * e))


def interval(link: LinkName, upper: Array, lower: Array) -> Interval:
    """Return log-probability and scaled densities of ratings with these limits.

    Parameters
    ----------
    link
        Name of the link.
    upper, lower
        Shape (n,), upper > lower; ±∞ at the ends of the scale.
    """
    log_p = log_difference(link, upper, lower)
    p = np.maximum(np.exp(log_p), _TINY)
    scaled = []
    for x in (upper, lower):
        d = density(link, x)
        scaled.append(Density(d.f / p, d.f1 / p, d.f2 / p))
    return Interval(log_p, scaled[0], scaled[1])
