"""Relative effects: ranks of ordinal ratings without a model of the scale.

The relative effect of a cell is the chance that a rating drawn from all readings is lower than one
from the cell, plus half the chance that they are equal (Brunner, Domhof and Langer 2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError, Estimate, Scope


@dataclass(frozen=True)
class AnovaType:
    """An ANOVA-type statistic: F with ``df`` and infinitely many degrees of freedom."""

    term: str
    statistic: float
    df: float
    p_value: float


@dataclass(frozen=True, eq=False)
class RelativeEffects:
    """Effects of every cell, of the margins, and the tests.

    Parameters
    ----------
    cells
        Relative effects, rows by the first factor, columns by the second (one column without it).
    tests
        Terms in the order first, second, interaction.
    n_subjects
        Complete subjects.
    """

    cells: pd.DataFrame
    tests: tuple[AnovaType, ...]
    n_subjects: int


def relative_effects(
    ratings: pd.DataFrame, first: str, second: str | None = None
) -> RelativeEffects:
    """Return relative effects of one or two factors that vary within subjects.

    Parameters
    ----------
    ratings
        One row per subject (complete), columns a MultiIndex (first, second) or an Index (first).
    first, second
        Names of the factors.

    Raises
    ------
    AnalysisError
        If fewer than two subjects are complete.
    """
    complete = ratings.dropna()
    n, t = complete.shape
    if n < 2 or t < 2:
        raise AnalysisError(
            f"Relative effects need two complete subjects and two cells; got {n} and {t}."
        )
    ranks = stats.rankdata(np.round(complete.to_numpy(float), 9)).reshape(n, t)
    effects = (ranks.mean(axis=0) - 0.5) / (n * t)
    covariance = np.cov(ranks, rowvar=False) / (n * t) ** 2  # of √n · p̂
    if second is None:
        cells = pd.DataFrame({first: effects}, index=complete.columns)
        shapes = [(first, _centred(t))]
    else:
        columns = complete.columns
        a, b = (columns.get_level_values(level).unique() for level in (0, 1))
        cells = pd.DataFrame(effects.reshape(len(a), len(b)), index=a, columns=b)
        mean_a, mean_b = (np.full((len(x), len(x)), 1 / len(x)) for x in (a, b))
        shapes = [
            (first, np.kron(_centred(len(a)), mean_b)),
            (second, np.kron(mean_a, _centred(len(b)))),
            (f"{first}:{second}", np.asarray(np.kron(_centred(len(a)), _centred(len(b))), float)),
        ]
    tests = tuple(_anova_type(name, t_, effects, covariance, n) for name, t_ in shapes)
    return RelativeEffects(cells, tests, n)


def brunner_munzel(
    first: ArrayLike, second: ArrayLike, scope: Scope, *, ci_level: float = 0.95
) -> Estimate:
    """Return P(first < second) + ½ P(equal) of two independent samples, against ½.

    Brunner and Munzel, Biom J 2000; t with Satterthwaite's degrees of freedom.
    """
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    n, m = len(x), len(y)
    pooled = stats.rankdata(np.concatenate([x, y]))
    excess_x, excess_y = pooled[:n] - stats.rankdata(x), pooled[n:] - stats.rankdata(y)
    value = (pooled[n:].mean() - (m + 1) / 2) / n
    parts = excess_x.var(ddof=1) / (n * m**2), excess_y.var(ddof=1) / (m * n**2)
    spread = float(np.sqrt(parts[0] + parts[1]))
    method = "Brunner–Munzel test, independent samples, t with Satterthwaite's df"
    quantity = "relative effect"
    if spread == 0:
        note = "The two samples do not overlap or do not vary: no standard error."
        return scope.estimate(quantity, value, method=method, note=note)
    df = spread**4 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (m - 1))
    t = (value - 0.5) / spread
    reach = float(stats.t.ppf(0.5 + ci_level / 2, df)) * spread
    return scope.estimate(
        quantity,
        value,
        ci=(value - reach, value + reach),
        ci_level=ci_level,
        p_value=float(2 * stats.t.sf(abs(t), df)),
        df=df,
        method=method,
    )


def _centred(k: int) -> NDArray[np.float64]:
    return np.eye(k) - 1 / k


def _anova_type(
    term: str,
    projection: NDArray[np.float64],
    effects: NDArray[np.float64],
    covariance: NDArray[np.float64],
    n: int,
) -> AnovaType:
    moved = projection @ covariance
    trace = float(np.trace(moved))
    df = trace**2 / float(np.trace(moved @ moved))
    statistic = n * float(effects @ projection @ effects) / trace
    return AnovaType(term, statistic, df, float(stats.chi2.sf(statistic * df, df)))
