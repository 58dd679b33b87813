"""Ordered categories as a family of the mixed model, and the reading of ratings into categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from study.analysis.estimate import AnalysisError
from study.analysis.mixed.laplace import OfParameters, Pointwise
from study.analysis.ordinal.links import Array, LinkName, check_link, interval


@dataclass(frozen=True, eq=False)
class Categories:
    """Ratings as categories 0 … J − 1.

    Parameters
    ----------
    codes
        Shape (n,).
    values
        The J values that occur, ascending.
    empty
        Whole numbers between them that nobody used.
    """

    codes: NDArray[np.intp]
    values: tuple[float, ...]
    empty: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The categories in words."""
        return tuple(f"{value:g}" for value in self.values)

    @property
    def cuts(self) -> tuple[str, ...]:
        """Names of the J − 1 thresholds, such as ``1|2``."""
        return tuple(f"{a}|{b}" for a, b in zip(self.names, self.names[1:], strict=False))

    @property
    def note(self) -> str:
        """What to say about categories that nobody used; empty if every one was."""
        if not self.empty:
            return ""
        which = ", ".join(map(str, self.empty))
        return (
            f"Nobody used category {which}: its threshold cannot be estimated, and its neighbours "
            "are treated as adjacent."
        )


def read_categories(ratings: ArrayLike) -> Categories:
    """Number the ratings that occur.

    Parameters
    ----------
    ratings
        Shape (n,), finite whole numbers.

    Raises
    ------
    AnalysisError
        If a rating is missing or not whole, or all are the same.
    """
    values = np.asarray(ratings, dtype=float)
    if not np.isfinite(values).all():
        raise AnalysisError(
            f"{int((~np.isfinite(values)).sum())} ratings are missing; expected a number in every "
            "row. Leave those rows out."
        )
    broken = values != np.round(values)
    if broken.any():
        raise AnalysisError(
            f"A rating is {values[broken][0]:g}; an ordinal model expects whole numbers. Use the "
            "linear mixed model for other scales."
        )
    found, codes = np.unique(values, return_inverse=True)
    if len(found) < 2:
        what = f"all {len(values)} ratings are {found[0]:g}" if len(found) else "there is no rating"
        raise AnalysisError(f"An ordinal model needs two categories that occur, but {what}.")
    span = np.arange(found[0], found[-1] + 1) if found[-1] - found[0] < 1000 else found
    empty = tuple(int(v) for v in np.setdiff1d(span, found))
    return Categories(codes.astype(np.intp), tuple(float(v) for v in found), empty)


@dataclass(frozen=True, eq=False)
class CumulativeFamily:
    """P(Y ≤ j) = F(θ_j + N ν_j − η), ν_j being cut-specific effects of the columns of N, if any.

    Parameters
    ----------
    upper, lower
        Shape (n, k), by which the family's parameters give the limits of each rating.
    open_upper, open_lower
        Shape (n,), 0 or ±∞: whether the rating lies at an end of the scale.
    link
        The link.
    """

    upper: Array
    lower: Array
    open_upper: Array
    open_lower: Array
    link: LinkName

    @property
    def n_parameters(self) -> int:
        """Thresholds and cut-specific effects."""
        return self.upper.shape[1]

    def limits(self, eta: Array, parameters: Array) -> tuple[Array, Array]:
        """Return upper and lower limits of each rating, each of shape (n,)."""
        upper = self.upper @ parameters - eta + self.open_upper
        lower = self.lower @ parameters - eta + self.open_lower
        return upper, lower

    def pointwise(self, eta: Array, parameters: Array) -> Pointwise:
        """Return the log-likelihood and its derivatives in η."""
        upper, lower = self.limits(eta, parameters)
        if not (upper > lower).all():
            empty = np.zeros(len(eta))
            return Pointwise(np.full(len(eta), -np.inf), empty, empty, empty)
        at = interval(self.link, upper, lower)
        p1, p2, p3 = (
            at.upper.f - at.lower.f,
            at.upper.f1 - at.lower.f1,
            at.upper.f2 - at.lower.f2,
        )
        d2 = np.minimum(p2 - p1 * p1, 0.0)  # the links are log-concave; rounding aside
        return Pointwise(at.log_p, -p1, d2, -(p3 - 3 * p1 * p2 + 2 * p1**3))

    def of_parameters(self, eta: Array, parameters: Array) -> OfParameters:
        """Return the derivatives with respect to thresholds and cut-specific effects."""
        at = interval(self.link, *self.limits(eta, parameters))
        p1 = at.upper.f - at.lower.f
        p2 = at.upper.f1 - at.lower.f1
        parts = []
        for sign, side in ((1.0, at.upper), (-1.0, at.lower)):
            l1 = sign * side.f
            q1 = sign * side.f1 - p1 * l1  # derivative of p1/p
            q2 = sign * side.f2 - p2 * l1 - 2 * p1 * q1
            parts.append((l1, -q1, q2))
        (lu, du, eu), (ll, dl, el) = parts
        return OfParameters(
            log_lik=self.upper.T @ lu + self.lower.T @ ll,
            d1=self.upper * du[:, None] + self.lower * dl[:, None],
            d2=self.upper * eu[:, None] + self.lower * el[:, None],
        )


def cumulative_family(
    categories: Categories, link: LinkName, nominal: Array | None = None
) -> CumulativeFamily:
    """Make the family of these ratings.

    Parameters
    ----------
    categories
        The ratings.
    link
        ``logit`` (odds ratios), ``probit`` or ``cloglog``.
    nominal
        Shape (n, r): columns whose effects differ between cuts, or ``None``. Their parameters
        follow the thresholds, cut by cut within a column; a positive one *lowers* the rating.
    """
    check_link(link)
    n, n_cuts = len(categories.codes), len(categories.values) - 1
    extra = np.zeros((n, 0)) if nominal is None else np.asarray(nominal, dtype=float)
    at_cut = np.zeros((2, n, n_cuts))
    rows = np.arange(n)
    below_top, above_bottom = categories.codes < n_cuts, categories.codes > 0
    at_cut[0, rows[below_top], categories.codes[below_top]] = 1.0
    at_cut[1, rows[above_bottom], categories.codes[above_bottom] - 1] = 1.0
    designs = [
        np.hstack([side, *(side * extra[:, [j]] for j in range(extra.shape[1]))]) for side in at_cut
    ]
    return CumulativeFamily(
        upper=designs[0],
        lower=designs[1],
        open_upper=np.where(below_top, 0.0, np.inf),
        open_lower=np.where(above_bottom, 0.0, -np.inf),
        link=link,
    )


def check_names(names: Sequence[str], X: Array, n: int) -> None:
    """Refuse a design that does not fit its names or the rows."""
    if X.shape != (n, len(names)):
        raise AnalysisError(
            f"The design has shape {X.shape} and {len(names)} names for {n} ratings; expected "
            f"shape ({n}, {len(names)})."
        )
    if not np.isfinite(X).all():
        raise AnalysisError(
            "The design holds missing or infinite values; expected a number in every cell. Leave "
            "those rows out."
        )
