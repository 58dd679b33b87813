"""What the analyses of the design share: rows of an item, and means and shares by cluster."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.cells import CORRECTNESS
from study.analysis.estimate import AnalysisError, Estimate, Role, Scope
from study.analysis.groups import group_codes, group_means
from study.analysis.means import TINY
from study.analysis.robust import fit_clustered

READING = ("reader", "case_id", "finding")
"""What a paired reading is made of."""
_BETWEEN = "Welch t of the readers' means between groups of readers"


def need(frame: pd.DataFrame, columns: Sequence[str], purpose: str) -> None:
    """Refuse a table without the columns.

    Raises
    ------
    AnalysisError
        Names what is missing and what it is for.
    """
    missing = [name for name in columns if name not in frame]
    if missing:
        raise AnalysisError(
            f"{purpose} needs the columns {', '.join(missing)}, which the table lacks; it has "
            f"{', '.join(map(str, frame.columns))}."
        )


def rated_rows(
    frame: pd.DataFrame,
    item: str,
    conditions: Collection[str],
    *,
    subset: str = "all",
    purpose: str = "The analysis",
) -> pd.DataFrame:
    """Return the rated readings of an item under some conditions.

    Parameters
    ----------
    frame
        Canonical ratings (:class:`study.analysis.columns.Ratings`).
    item
        The item.
    conditions
        Conditions, each of which must occur.
    subset
        A correctness, or ``"all"``.
    purpose
        What asks, for the sentences.

    Raises
    ------
    AnalysisError
        If the item, a condition or the subset has no rating, or one was given twice.
    """
    need(frame, (*READING, "condition", "item", "value"), purpose)
    of_item = frame[(frame["item"] == item) & frame["value"].notna()]
    if of_item.empty:
        known = ", ".join(map(str, frame["item"].unique())) or "nothing"
        raise AnalysisError(
            f"{purpose} finds no ratings of an item {item!r}; the table rates {known}."
        )
    of_subset = of_item if subset == "all" else _subset(of_item, subset, purpose)
    for condition in conditions:
        if not (of_subset["condition"] == condition).any():
            known = ", ".join(sorted(map(str, of_subset["condition"].unique())))
            raise AnalysisError(
                f"{purpose} finds no ratings of {item!r} under condition {condition!r}; there are "
                f"under {known}."
            )
    rows = of_subset[of_subset["condition"].isin(list(conditions))].reset_index(drop=True)
    refuse_repeats(rows, purpose)
    return rows


def _subset(frame: pd.DataFrame, subset: str, purpose: str) -> pd.DataFrame:
    if subset not in CORRECTNESS:
        raise AnalysisError(
            f"{purpose} was asked for the subset {subset!r}; expected 'all' or one of "
            f"{', '.join(CORRECTNESS)}."
        )
    need(frame, ("correctness",), purpose)
    rows = frame[frame["correctness"] == subset]
    if rows.empty:
        raise AnalysisError(
            f"{purpose} finds no ratings in the subset {subset!r}; the table has "
            f"{', '.join(map(str, frame['correctness'].unique()))}."
        )
    return rows


def refuse_repeats(rows: pd.DataFrame, purpose: str) -> None:
    """Refuse a table in which a reader read one case twice under one condition."""
    repeated = rows.duplicated([*READING, "condition"])
    if repeated.any():
        first = rows[repeated].iloc[0]
        raise AnalysisError(
            f"{purpose} finds two readings by reader {first['reader']} of case "
            f"{first['case_id']}, finding {first['finding']}, under condition "
            f"{first['condition']}; expected one. Keep the one that counts."
        )


def scope_of(rows: pd.DataFrame, role: Role = "descriptive") -> Scope:
    """Return the counts of some rows for the readers in them."""
    n_readers, n_cases = rows["reader"].nunique(), rows["case_id"].nunique()
    return Scope("these readers" if n_readers > 1 else "this reader", role, n_readers, n_cases)


def share_by_case(
    hits: ArrayLike,
    cases: ArrayLike,
    scope: Scope,
    quantity: str,
    *,
    ci_level: float = 0.95,
    empty: str = "No reading is of this kind.",
) -> Estimate:
    """Return a share with an exact interval that knows that readings of a case belong together.

    With one reading per case: Clopper and Pearson 1934. Otherwise their interval for the effective
    number of readings n* = p(1 − p)/v, v the variance clustered by case (CR1), n* at most n and
    shrunk by (t(n − 1)/t(cases − 1))² (Korn and Graubard, Survey Methodology 1998;24:193). Where
    every reading is alike, n* is the number of cases.

    Parameters
    ----------
    hits
        0 or 1, shape (n,).
    cases
        Shape (n,).
    scope, quantity
        Population and words.
    ci_level
        In (0, 1).
    empty
        What to say where there is no reading.
    """
    y = np.asarray(hits, dtype=float)
    n, (_, g) = len(y), group_codes(cases)
    if n == 0:
        method = "share of readings"
        return scope.unavailable(quantity, method=method, note=empty)
    count = f"{int(y.sum())} of {n}"
    share = float(y.mean())
    if g == n:
        method, effective = f"{count}; exact interval (Clopper–Pearson)", float(n)
    else:
        method = f"{count}; exact interval for the effective number of readings, clustered by case"
        effective = _effective(y, cases, g, ci_level)
    ci = _clopper_pearson(share, effective, ci_level)
    return scope.estimate(quantity, share, ci=ci, ci_level=ci_level, method=method)


def _effective(y: NDArray[np.float64], cases: ArrayLike, g: int, ci_level: float) -> float:
    """Return the effective number of readings of Korn and Graubard."""
    share, n = float(y.mean()), len(y)
    if g < 2 or share in (0.0, 1.0):
        return float(g)
    error = fit_clustered(np.ones((n, 1)), y, cases).standard_error([1.0])
    if error < TINY:
        return float(g)
    tail = 0.5 + ci_level / 2
    shrink = float(stats.t.ppf(tail, n - 1) / stats.t.ppf(tail, g - 1)) ** 2
    return min(float(n), share * (1 - share) / error**2 * shrink)


def _clopper_pearson(share: float, n: float, ci_level: float) -> tuple[float, float]:
    tail, k = (1 - ci_level) / 2, share * n
    low = 0.0 if share == 0 else float(stats.beta.ppf(tail, k, n - k + 1))
    high = 1.0 if share == 1 else float(stats.beta.ppf(1 - tail, k + 1, n - k))
    return min(low, share), max(high, share)


def between_readers(
    rows: pd.DataFrame, contrast: tuple[str, str], scope: Scope, *, ci_level: float = 0.95
) -> Estimate:
    """Return the difference of two groups of readers, Welch's t of the readers' means.

    Parameters
    ----------
    rows
        reader, condition, value; every reader under one condition.
    contrast
        First minus second.
    scope
        Readers like them.
    ci_level
        In (0, 1).
    """
    quantity = f"mean difference {contrast[0]} − {contrast[1]} between groups"
    sides = []
    for condition in contrast:
        part = rows[rows["condition"] == condition]
        sides.append(group_means(part["value"], *group_codes(part["reader"])))
    first, second = sides
    if min(len(first), len(second)) < 2:
        note = (
            f"{len(first)} and {len(second)} readers: a comparison of groups needs at least two "
            "readers in each."
        )
        return scope.unavailable(quantity, method=_BETWEEN, note=note)
    value = float(first.mean() - second.mean())
    error, df = _welch(first, second)
    if error < TINY:
        note = "The readers of a group do not differ: no variation, so no interval."
        return scope.estimate(quantity, value, method=_BETWEEN, note=note)
    method = f"{_BETWEEN}; cases held fixed"
    return by_t(scope, quantity, value, error, df, method=method, ci_level=ci_level)


def welch(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    scope: Scope,
    quantity: str,
    *,
    method: str,
    ci_level: float,
    note: str = "",
) -> Estimate:
    """Return the difference of two independent means by Welch's t (Biometrika 1947).

    Parameters
    ----------
    first, second
        Shape (n,) and (m,), at least two values each, not all alike in both.
    scope, quantity, method, ci_level, note
        Of the estimate.
    """
    error, df = _welch(first, second)
    value = float(first.mean() - second.mean())
    return by_t(scope, quantity, value, error, df, method=method, ci_level=ci_level, note=note)


def _welch(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float]:
    """Return standard error and degrees of freedom."""
    parts = [float(side.var(ddof=1)) / len(side) for side in (first, second)]
    total = sum(parts)
    if total <= 0:
        return 0.0, 1.0
    spread = sum(
        part**2 / (len(side) - 1) for part, side in zip(parts, (first, second), strict=True)
    )
    return float(np.sqrt(total)), total**2 / spread


def by_t(
    scope: Scope,
    quantity: str,
    value: float,
    error: float,
    df: float,
    *,
    method: str,
    ci_level: float,
    note: str = "",
) -> Estimate:
    """Return an estimate with the interval and two-sided p of t; ``error`` is above 0."""
    reach = float(stats.t.ppf(0.5 + ci_level / 2, df)) * error
    return scope.estimate(
        quantity,
        value,
        ci=(value - reach, value + reach),
        ci_level=ci_level,
        p_value=float(2 * stats.t.sf(abs(value) / error, df)),
        df=df,
        method=method,
        note=note,
    )


def check_level(ci_level: float) -> None:
    """Refuse a confidence level outside (0, 1)."""
    if not 0 < ci_level < 1:
        raise AnalysisError(f"The confidence level is {ci_level}; expected one between 0 and 1.")
