"""Do ratings, and maps, follow the model's probability?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from study.analysis.columns import MAP_PREFIX, natural_order
from study.analysis.correlation import spearman
from study.analysis.design.parts import check_level, need, rated_rows, scope_of
from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.groups import group_codes, group_means
from study.analysis.robust import ClusteredFit, fit_clustered
from study.analysis.summary import by_correctness

_PURPOSE = "The comparison with the model's probability"
_OLS = "ordinary least squares, clustered by case (CR1), t with cases − 1 df"


@dataclass(frozen=True)
class RatingsByProbability:
    """The ratings of one item under one condition against the predicted probability.

    Parameters
    ----------
    condition, correctness
        Which ratings; ``correctness`` may be ``"all"``.
    n_readings
        Ratings with a probability.
    slope
        Points per unit of probability.
    of_cases
        Spearman's rho of the case means: one point for each case and finding.
    by_reader
        Pairs (reader, Spearman's rho).
    pooled
        Spearman's rho over all readings; a warning where readers share cases.
    """

    condition: str
    correctness: str
    n_readings: int
    slope: Estimate
    of_cases: Estimate
    by_reader: tuple[tuple[str, Estimate], ...]
    pooled: Estimate


@dataclass(frozen=True)
class ProbabilityResult:
    """Ratings and IoU against the predicted probability.

    Parameters
    ----------
    item, contrast
        The item; conditions, first minus second.
    ratings
        By condition and correctness.
    slope_difference
        How much more the ratings follow the probability under the first condition.
    iou
        Pairs (map, Spearman's rho of its IoU and the probability over cases).
    notes
        What to mind.
    """

    item: str
    contrast: tuple[str, str]
    ratings: tuple[RatingsByProbability, ...]
    slope_difference: Estimate
    iou: tuple[tuple[str, Estimate], ...]
    notes: tuple[str, ...]


def against_probability(
    frame: pd.DataFrame, item: str, contrast: tuple[str, str], *, ci_level: float = 0.95
) -> ProbabilityResult:
    """Compare ratings and IoU with the model's probability.

    Parameters
    ----------
    frame
        Canonical ratings with ``probability`` and, if known, ``correctness`` and ``iou_<map>``.
    item, contrast
        The item; two conditions, the first minus the second.
    ci_level
        In (0, 1).

    Raises
    ------
    AnalysisError
        If the probability is not given, lies outside [0, 1], contradicts itself, or ratings are
        missing or repeat.
    """
    check_level(ci_level)
    need(frame, ("probability", "correctness"), _PURPOSE)
    rows = rated_rows(frame, item, contrast, purpose=_PURPOSE)
    notes: list[str] = []
    lacking = int(rows["probability"].isna().sum())
    if lacking == len(rows):
        raise AnalysisError(f"{_PURPOSE} finds no probability in any row; give the predictions.")
    if lacking:
        notes.append(f"{lacking} ratings have no probability and are left out.")
    rows = rows[rows["probability"].notna()].reset_index(drop=True)
    _check(rows)
    parts = []
    for condition in contrast:
        of_condition = rows[rows["condition"] == condition]
        for correctness, part in by_correctness(of_condition):
            if len(part):
                parts.append(_ratings(part, condition, correctness, ci_level))
    return ProbabilityResult(
        item=item,
        contrast=contrast,
        ratings=tuple(parts),
        slope_difference=_difference(rows, contrast, ci_level),
        iou=_iou(frame, ci_level),
        notes=tuple(notes),
    )


def _check(rows: pd.DataFrame) -> None:
    outside = ~rows["probability"].between(0, 1)
    if outside.any():
        raise AnalysisError(
            f"{_PURPOSE} finds a probability of {rows.loc[outside, 'probability'].iloc[0]:g}; "
            "expected numbers from 0 to 1."
        )
    several = rows.groupby(["case_id", "finding"])["probability"].nunique() > 1
    if several.any():
        case_id, finding = several.index[several.to_numpy(bool)][0]
        raise AnalysisError(
            f"{_PURPOSE} finds different probabilities of case {case_id}, finding {finding}; "
            "expected one."
        )


def _ratings(
    part: pd.DataFrame, condition: str, correctness: str, ci_level: float
) -> RatingsByProbability:
    scope = scope_of(part)
    pooled = scope
    if scope.n_readers > 1:
        pooled = scope.with_population("independent readings", "warning")
    rho = spearman(part["probability"], part["value"], pooled, ci_level=ci_level)
    if scope.n_readers > 1:
        note = f"{rho.note} Takes the readings of one case for independent.".strip()
        rho = replace(rho, note=note)
    readers = natural_order(part["reader"].unique())
    return RatingsByProbability(
        condition=condition,
        correctness=correctness,
        n_readings=len(part),
        slope=_slope(part, scope, ci_level),
        of_cases=_of_cases(part, scope, ci_level),
        by_reader=tuple(
            (
                reader,
                spearman(own["probability"], own["value"], scope_of(own), ci_level=ci_level),
            )
            for reader in readers
            for own in [part[part["reader"] == reader]]
        ),
        pooled=rho,
    )


def _of_cases(part: pd.DataFrame, scope: Scope, ci_level: float) -> Estimate:
    codes, n = group_codes(part["case_id"], part["finding"])
    means = [group_means(part[name], codes, n) for name in ("probability", "value")]
    rho = spearman(means[0], means[1], scope, ci_level=ci_level)
    return replace(rho, quantity="Spearman's rho of case means")


def _slope(part: pd.DataFrame, scope: Scope, ci_level: float) -> Estimate:
    quantity = "points per unit of probability"
    p, y = part["probability"].to_numpy(float), part["value"].to_numpy(float)
    if np.ptp(y) == 0:
        note = f"Every rating is {y[0]:g}: there is no variation to explain."
        return scope.estimate(quantity, 0.0, method=_OLS, note=note)
    return _coefficient(
        np.column_stack([np.ones_like(p), p]), y, part["case_id"], 1, scope, quantity, ci_level
    )


def _difference(rows: pd.DataFrame, contrast: tuple[str, str], ci_level: float) -> Estimate:
    """Return the interaction of probability and condition."""
    quantity = f"points per unit of probability, {contrast[0]} − {contrast[1]}"
    p, first = rows["probability"].to_numpy(float), rows["condition"] == contrast[0]
    x = first.to_numpy(float)
    design = np.column_stack([np.ones_like(p), p, x, p * x])
    return _coefficient(
        design,
        rows["value"].to_numpy(float),
        rows["case_id"],
        3,
        scope_of(rows),
        quantity,
        ci_level,
    )


def _coefficient(
    design: np.ndarray,
    y: np.ndarray,
    cases: pd.Series,
    k: int,
    scope: Scope,
    quantity: str,
    ci_level: float,
) -> Estimate:
    try:
        fit: ClusteredFit = fit_clustered(design, y, cases)
    except AnalysisError as problem:
        return scope.unavailable(quantity, method=_OLS, note=str(problem))
    weights = np.eye(design.shape[1])[k]
    value, low, high = fit.interval(weights, ci_level)
    if high - low < 1e-12:
        note = "The ratings follow exactly: no variation, so no interval."
        return scope.estimate(quantity, value, method=_OLS, note=note)
    return scope.estimate(
        quantity,
        value,
        ci=(low, high),
        ci_level=ci_level,
        p_value=fit.p_value(weights),
        df=fit.df,
        method=_OLS,
    )


def _iou(frame: pd.DataFrame, ci_level: float) -> tuple[tuple[str, Estimate], ...]:
    """Correlate each map's IoU with the probability, one point for each case and finding."""
    result = []
    for column in (name for name in map(str, frame.columns) if name.startswith(MAP_PREFIX)):
        cases = frame[frame[column].notna() & frame["probability"].notna()]
        cases = cases.drop_duplicates(["case_id", "finding"])
        scope = Scope("these readers", "descriptive", 0, cases["case_id"].nunique())
        rho = spearman(cases["probability"], cases[column], scope, ci_level=ci_level)
        note = f"{rho.note} No reader is involved: it speaks for cases like these.".strip()
        result.append((column.removeprefix(MAP_PREFIX), replace(rho, note=note)))
    return tuple(result)
