"""Krippendorff's alpha: any number of raters, any scale, missing ratings allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from study.analysis.agreement.coefficient import Coefficient, coefficient_from_error, undefined
from study.analysis.agreement.ratings import RatingMatrix
from study.analysis.estimate import AnalysisError

Metric = Literal["nominal", "ordinal", "interval", "ratio"]
Interval = Literal["jackknife", "bootstrap", "none"]
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Pieces:
    """What each unit adds to alpha: alpha is a function of the sum of the rows.

    ``of_unit`` has the shape (U, P); ``value`` maps sums of shape (S, P) to (S,), NaN if undefined.
    """

    of_unit: Array
    value: Callable[[Array], Array]


def krippendorff_alpha(
    matrix: RatingMatrix,
    metric: Metric = "ordinal",
    *,
    interval: Interval = "jackknife",
    ci_level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Coefficient:
    """Return Krippendorff's alpha, 1 − D_o / D_e.

    D_o and D_e are the mean squared distances within units and over all pairs of values; with
    coincidences o and margins n_c summing to n, α = 1 − (n − 1) Σ o_ck δ²_ck / Σ n_c n_k δ²_ck.

    Parameters
    ----------
    matrix
        Ratings; units with fewer than two are dropped, others keep all they have.
    metric
        δ² = ``nominal``: 1 if c ≠ k; ``ordinal``: (Σ_{g=c..k} n_g − (n_c + n_k)/2)²;
        ``interval``: (c − k)²; ``ratio``: ((c − k)/(c + k))².
    interval
        ``jackknife`` over units with t quantiles, ``bootstrap`` over units (percentiles), ``none``.
    ci_level
        Confidence level in (0, 1).
    draws, seed
        Of the bootstrap.

    Notes
    -----
    Krippendorff 2011, Computing Krippendorff's Alpha-Reliability. Gwet's ordinal weights give
    another number (:func:`~study.analysis.agreement.multirater.linearised_alpha`).
    """
    quantity = f"Krippendorff's alpha ({metric})"
    method = f"Krippendorff's alpha, {metric} metric, coincidence matrix"
    made = _pieces(matrix, metric)
    n = len(made.of_unit)
    value = float(made.value(made.of_unit.sum(axis=0, keepdims=True))[0])
    if not np.isfinite(value):
        reason = "No unit was rated by two raters" if n == 0 else "All paired ratings are the same"
        return undefined(
            quantity,
            method=method,
            n_units=n,
            ci_level=ci_level,
            note=f"{reason}; alpha is not defined.",
        )
    if interval == "none" or n < 3:
        note = "" if interval == "none" else "Too few units for an interval."
        return Coefficient(quantity, value, None, None, None, ci_level, None, method, n, note)
    if interval == "bootstrap":
        return _bootstrapped(quantity, method, value, made, ci_level, draws=draws, seed=seed)
    jack = made.value(made.of_unit.sum(axis=0) - made.of_unit)
    usable = jack[np.isfinite(jack)]
    if len(usable) < n:
        note = "Without one unit alpha is not defined; there is no interval by jackknife."
        return Coefficient(quantity, value, None, None, None, ci_level, None, method, n, note)
    error = float(np.sqrt((n - 1) / n * ((jack - jack.mean()) ** 2).sum()))
    return coefficient_from_error(
        quantity,
        value,
        error if error > 1e-12 else 0.0,
        df=n - 1,
        ci_level=ci_level,
        method=f"{method}, jackknife over units, t with {n} − 1 df",
        n_units=n,
    )


def _bootstrapped(
    quantity: str,
    method: str,
    value: float,
    made: _Pieces,
    ci_level: float,
    *,
    draws: int,
    seed: int,
) -> Coefficient:
    generator = np.random.default_rng(seed)
    n = len(made.of_unit)
    kinds, count = np.unique(made.of_unit, axis=0, return_counts=True)
    times = generator.multinomial(n, count / n, size=draws)  # (draws, kinds)
    drawn = made.value(times @ kinds)
    usable = drawn[np.isfinite(drawn)]
    tail = (1 - ci_level) / 2
    low, high = np.quantile(usable, [tail, 1 - tail])
    note = "" if len(usable) == draws else f"{draws - len(usable)} draws without spread left out."
    return Coefficient(
        quantity,
        value,
        float(usable.std(ddof=1)),
        None,
        (float(low), float(high)),
        ci_level,
        None,
        f"{method}, bootstrap over units, percentiles, {draws} draws",
        n,
        note,
    )


def _pieces(matrix: RatingMatrix, metric: Metric) -> _Pieces:
    values = matrix.values[(~np.isnan(matrix.values)).sum(axis=1) >= 2]
    if metric == "interval":
        return _interval_pieces(values)
    categories = np.asarray(matrix.scale or np.unique(values[~np.isnan(values)]))
    if matrix.scale:
        counts = matrix.counts
        counts = counts[counts.sum(axis=1) >= 2]
    else:
        counts = (values[:, :, None] == categories).sum(axis=1).astype(float)
    ratings = counts.sum(axis=1)
    size = len(categories)
    if metric == "ordinal":
        pairs = counts[:, :, None] * counts[:, None, :]
        pairs[:, np.arange(size), np.arange(size)] -= counts
        pairs /= (ratings - 1)[:, None, None]

        def ordinal(sums: Array) -> Array:
            coincidence = sums.reshape(-1, size, size)
            margins = coincidence.sum(axis=2)
            middle = np.cumsum(margins, axis=1) - margins / 2
            distance = (middle[:, :, None] - middle[:, None, :]) ** 2
            within = (coincidence * distance).sum(axis=(1, 2))
            return _alpha(
                within, np.einsum("sc,sk,sck->s", margins, margins, distance), margins.sum(axis=1)
            )

        return _Pieces(pairs.reshape(len(counts), size * size), ordinal)
    distance = _squared_distances(categories, metric)
    within = np.einsum("uc,ck,uk->u", counts, distance, counts) / (ratings - 1)

    def fixed(sums: Array) -> Array:
        margins = sums[:, 1:]
        overall = np.einsum("sc,ck,sk->s", margins, distance, margins)
        return _alpha(sums[:, 0], overall, margins.sum(axis=1))

    return _Pieces(np.column_stack([within, counts]), fixed)


def _interval_pieces(values: Array) -> _Pieces:
    """Return, per unit, the squared distances, the number of ratings and their first two sums."""
    given = ~np.isnan(values)
    centre = values[given].mean() if given.any() else 0.0
    x = np.where(given, values - centre, 0.0)
    ratings, sums, squares = given.sum(axis=1), x.sum(axis=1), (x**2).sum(axis=1)
    mean = sums / np.maximum(ratings, 1)
    apart = np.where(given, x - mean[:, None], 0.0)
    within = 2 * ratings * (apart**2).sum(axis=1) / (ratings - 1)

    def interval(total: Array) -> Array:
        disagreement, n, first, second = total.T
        overall = 2 * (n * second - first**2)
        floor = 1e-12 * np.maximum(n * second, 0.0)
        return _alpha(disagreement, np.where(overall > floor, overall, 0.0), n)

    return _Pieces(np.column_stack([within, ratings, sums, squares]).astype(float), interval)


def _alpha(within: Array, overall: Array, n: Array) -> Array:
    """Return 1 − (n − 1) Σ o δ² / Σ n_c n_k δ², NaN where nothing differs."""
    safe = np.where(overall > 0, overall, 1.0)
    return np.where(overall > 0, 1 - (n - 1) * within / safe, np.nan)


def _squared_distances(categories: Array, metric: Metric) -> Array:
    c, k = categories[:, None], categories[None, :]
    if metric == "nominal":
        return np.asarray(c != k, dtype=float)
    if metric == "ratio":
        if len(categories) and categories.min() < 0:
            raise AnalysisError(
                "The ratio metric needs values of 0 or more; the ratings hold a negative one. Use "
                "the interval metric."
            )
        total = np.where(c + k > 0, c + k, 1.0)
        return np.asarray(((c - k) / total) ** 2)
    raise AnalysisError(
        f"There is no metric {metric!r}; expected nominal, ordinal, interval or ratio."
    )


@dataclass(frozen=True)
class Concordance:
    """Kendall's coefficient of concordance.

    Parameters
    ----------
    w
        In [0, 1].
    chi_square, df, p_value
        Test of no concordance.
    n_units, n_raters
        Units rated by every rater; raters.
    """

    w: float
    chi_square: float
    df: int
    p_value: float
    n_units: int
    n_raters: int


def kendall_w(matrix: RatingMatrix) -> Concordance:
    """Return Kendall's W with correction for ties, of the units that every rater rated.

    W = 12 S / (m² (n³ − n) − m Σ_j Σ_t (t³ − t)), S the sum of squares of the units' rank sums
    about their mean. Kendall & Babington Smith 1939, Ann Math Stat 10:275.

    Raises
    ------
    AnalysisError
        If fewer than two raters or two complete units are left, or every rater is constant.
    """
    complete = matrix.complete
    n, m = complete.values.shape
    if n < 2 or m < 2:
        raise AnalysisError(
            f"Kendall's W needs two raters and two units rated by all; there are {m} raters and "
            f"{n} such units."
        )
    ranks = stats.rankdata(complete.values, axis=0)
    sums = ranks.sum(axis=1)
    ties = 0.0
    for column in complete.values.T:
        count = np.unique(column, return_counts=True)[1].astype(float)
        ties += float((count**3 - count).sum())
    spread = m**2 * (n**3 - n) - m * ties
    if spread <= 0:
        raise AnalysisError("Every rater gave one and the same rating; Kendall's W is not defined.")
    w = float(12 * ((sums - sums.mean()) ** 2).sum() / spread)
    chi_square = m * (n - 1) * w
    return Concordance(w, chi_square, n - 1, float(stats.chi2.sf(chi_square, n - 1)), n, m)
