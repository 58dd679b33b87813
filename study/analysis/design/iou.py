"""Ratings and the IoU of the maps that were shown, map by map, and between conditions.

Where a condition shows several maps, each map has a result of its own, and so have their mean and
their best; every result names which. Slopes are compared between conditions on each one's own IoU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from study.analysis.columns import Ratings, natural_order
from study.analysis.design.parts import by_t, check_level, scope_of
from study.analysis.design.within import intercepts_of
from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.ordinal.clmm import fit_clmm
from study.analysis.regression import (
    BEST_MAP,
    MEAN_MAP,
    IouRegression,
    iou_columns,
    iou_on_rating,
    rating_on_iou,
    readings_with_iou,
)
from study.analysis.robust import (
    Correction,
    LeastSquares,
    fit_least_squares,
    standard_errors,
)

PER_IOU = 0.1
"""Step of the IoU that odds ratios are given for."""


@dataclass(frozen=True)
class MapRelation:
    """The ratings of one item under one condition and the IoU of one map.

    Parameters
    ----------
    condition, map_name
        Which; the map may be the mean or the best of several.
    overall
        Rating on IoU, all findings together.
    by_finding
        The same for each finding.
    as_published
        IoU on rating for each finding (Fig. 6B of the published study).
    slopes
        The overall slope by other standard errors: CR0 and CR2 by case, two-way by case and reader.
    odds_ratio
        Of a higher rating per 0.1 of IoU, cumulative-link mixed model; ``None`` if not asked for.
    """

    condition: str
    map_name: str
    overall: IouRegression
    by_finding: tuple[IouRegression, ...]
    as_published: tuple[IouRegression, ...]
    slopes: tuple[Estimate, ...]
    odds_ratio: Estimate | None


@dataclass(frozen=True)
class SlopeComparison:
    """Two conditions compared, each on the IoU of its own map.

    Parameters
    ----------
    contrast, maps
        Conditions, first minus second, and the map of each.
    difference
        Of the slopes.
    within
        Points per unit of IoU within a case, the condition's own effect taken out: is the better
        map of a case rated higher?
    between
        Points per unit of IoU between cases, likewise.
    """

    contrast: tuple[str, str]
    maps: tuple[str, str]
    difference: Estimate
    within: Estimate
    between: Estimate


@dataclass(frozen=True)
class IouResult:
    """Everything about one item and localisation.

    Parameters
    ----------
    item
        The item.
    maps
        By condition and map.
    comparisons
        Of the conditions of the contrast; a condition with several maps enters by their mean and
        by their best.
    notes
        What to mind.
    """

    item: str
    maps: tuple[MapRelation, ...]
    comparisons: tuple[SlopeComparison, ...]
    notes: tuple[str, ...]


def iou_relations(
    ratings: Ratings,
    item: str,
    contrast: tuple[str, str],
    *,
    ordinal: bool = True,
    ci_level: float = 0.95,
) -> IouResult:
    """Relate the ratings of an item to the IoU of the maps shown.

    Parameters
    ----------
    ratings
        The checked table with its ``iou_<map>`` columns.
    item
        The item, usually the one about the feature.
    contrast
        Two conditions, the first minus the second.
    ordinal
        Whether to fit the ordinal mixed models (about a second for each map).
    ci_level
        In (0, 1).

    Raises
    ------
    AnalysisError
        If the item is not rated, or no map has an IoU.
    """
    check_level(ci_level)
    if item not in ratings.items:
        raise AnalysisError(
            f"There are no ratings of an item {item!r}; the table rates {', '.join(ratings.items)}."
        )
    if not ratings.maps:
        raise AnalysisError(
            "No map has an IoU, so ratings cannot be compared with it; give reference masks, or "
            "columns iou_<map>."
        )
    notes: list[str] = []
    found: list[MapRelation] = []
    for condition in natural_order(ratings.frame["condition"].unique()):
        columns = iou_columns(ratings, condition)
        if not columns:
            notes.append(f"No map of condition {condition} has an IoU.")
        found += [
            _relation(ratings, item, condition, name, iou, ordinal, ci_level)
            for name, iou in columns
        ]
    return IouResult(
        item, tuple(found), _comparisons(ratings, item, contrast, ci_level), tuple(notes)
    )


def _relation(
    ratings: Ratings,
    item: str,
    condition: str,
    map_name: str,
    iou: pd.Series,
    ordinal: bool,
    ci_level: float,
) -> MapRelation:
    frame = ratings.frame
    data = readings_with_iou(frame, iou, item=item, condition=condition)
    overall = rating_on_iou(
        frame, iou, item=item, condition=condition, map_name=map_name, ci_level=ci_level
    )
    forwards, backwards = (
        tuple(
            regress(
                frame,
                iou,
                item=item,
                condition=condition,
                map_name=map_name,
                finding=finding,
                ci_level=ci_level,
            )
            for finding in natural_order(data["finding"].unique())
        )
        for regress in (rating_on_iou, iou_on_rating)
    )
    return MapRelation(
        condition=condition,
        map_name=map_name,
        overall=overall,
        by_finding=forwards,
        as_published=backwards,
        slopes=() if overall.fit is None else _slopes(overall.fit.least_squares, data, ci_level),
        odds_ratio=_odds_ratio(data, ci_level) if ordinal else None,
    )


def _slopes(fit: LeastSquares, data: pd.DataFrame, ci_level: float) -> tuple[Estimate, ...]:
    """Return the slope with the other standard errors."""
    scope, cases, readers = scope_of(data), data["case_id"], data["reader"]
    g = cases.nunique()
    corrections: tuple[tuple[Correction, float], ...] = (
        ("CR0", g - 1),
        ("CR2", fit.satterthwaite_df(cases, (0.0, 1.0))),
    )
    made = [
        _slope(
            fit,
            float(standard_errors(fit.covariance_clustered(cases, name))[1]),
            df,
            scope,
            f"ordinary least squares, clustered by case ({name}), t with {df:.4g} df",
            ci_level,
        )
        for name, df in corrections
    ]
    if readers.nunique() > 1:
        n = min(g, readers.nunique()) - 1
        error = float(standard_errors(fit.covariance_two_way(cases, readers))[1])
        method = f"ordinary least squares, clustered by case and by reader, t with {n} df"
        like = scope.with_population("readers like them", "descriptive")
        made.append(_slope(fit, error, n, like, method, ci_level))
    return tuple(made)


def _slope(
    fit: LeastSquares, error: float, df: float, scope: Scope, method: str, ci_level: float
) -> Estimate:
    value = float(fit.coefficients[1])
    if not error > 1e-12:
        note = "The variance is estimated as negative or 0: no interval."
        return scope.estimate("slope", value, method=method, note=note)
    return by_t(scope, "slope", value, error, df, method=method, ci_level=ci_level)


def _odds_ratio(data: pd.DataFrame, ci_level: float) -> Estimate:
    """Return the odds ratio of a higher rating per 0.1 of IoU."""
    scope = scope_of(data)
    quantity = f"odds ratio of a higher rating per {PER_IOU:g} of IoU"
    method = "cumulative-link mixed model, logit, Laplace, random intercepts of reader and case"
    if data["value"].nunique() < 2 or data["iou"].round(9).nunique() < 3:
        note = "The ratings or the IoU do not vary enough for a model."
        return scope.unavailable(quantity, method=method, note=note)
    random = intercepts_of(data)
    design = data[["iou"]].to_numpy(float) / PER_IOU
    try:
        if not random:
            raise AnalysisError("One reader and no case read twice: no random effect.")
        fit = fit_clmm(data["value"], design, ("iou",), random)
    except AnalysisError as problem:
        return scope.unavailable(quantity, method=method, note=str(problem))
    doubts = [note for note in fit.notes if "effect of iou is not estimable" in note]
    beta, error = float(fit.coefficients[0]), float(fit.standard_errors[0])
    if doubts or not np.isfinite(error) or not error > 1e-6 or abs(beta) > 500:
        note = doubts[0] if doubts else "The effect cannot be told from the case."
        return scope.unavailable(quantity, method=method, note=note)
    reach = float(stats.norm.ppf(0.5 + ci_level / 2)) * error
    low, high = (float(np.exp(np.clip(beta + s * reach, -700, 700))) for s in (-1, 1))
    return scope.estimate(
        quantity,
        float(np.exp(beta)),
        ci=(low, high),
        ci_level=ci_level,
        p_value=float(2 * stats.norm.sf(abs(beta) / error)),
        method=f"{method}, Wald",
        note=" ".join(fit.notes),
    )


def _comparisons(
    ratings: Ratings, item: str, contrast: tuple[str, str], ci_level: float
) -> tuple[SlopeComparison, ...]:
    """Compare conditions, a condition with several maps by their mean and by their best."""
    sides = []
    for condition in contrast:
        columns = iou_columns(ratings, condition)
        if len(columns) > 1:
            columns = tuple(pair for pair in columns if pair[0] in (MEAN_MAP, BEST_MAP))
        sides.append(
            [
                (name, readings_with_iou(ratings.frame, iou, item=item, condition=condition))
                for name, iou in columns
            ]
        )
    return tuple(
        _compare(first, second, contrast, (name_1, name_2), ci_level)
        for name_1, first in sides[0]
        for name_2, second in sides[1]
    )


def _compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    contrast: tuple[str, str],
    maps: tuple[str, str],
    ci_level: float,
) -> SlopeComparison:
    data = pd.concat([first.assign(x=1.0), second.assign(x=0.0)], ignore_index=True)
    one, iou, x = np.ones(len(data)), data["iou"].to_numpy(float), data["x"].to_numpy(float)
    y = data["value"].to_numpy(float)
    means = data.groupby(["case_id", "finding"])["iou"].transform("mean").to_numpy(float)
    crossed = np.column_stack([one, iou, x, iou * x])
    split = np.column_stack([one, iou - means, means, x])
    words = f"{contrast[0]} on {maps[0]}, {contrast[1]} on {maps[1]}"
    return SlopeComparison(
        contrast=contrast,
        maps=maps,
        difference=_coefficient(
            crossed, y, data, 3, f"difference of the slopes, {words}", ci_level
        ),
        within=_coefficient(split, y, data, 1, f"slope within cases, {words}", ci_level),
        between=_coefficient(split, y, data, 2, f"slope between cases, {words}", ci_level),
    )


def _coefficient(
    design: np.ndarray, y: np.ndarray, data: pd.DataFrame, k: int, quantity: str, ci_level: float
) -> Estimate:
    """Return a coefficient with a CR2 standard error by case and Satterthwaite df."""
    method = "ordinary least squares, clustered by case (CR2), Satterthwaite t"
    scope, cases = scope_of(data), data["case_id"]
    try:
        fit = fit_least_squares(design, y)
        error = float(standard_errors(fit.covariance_clustered(cases, "CR2"))[k])
    except AnalysisError as problem:
        return scope.unavailable(quantity, method=method, note=str(problem))
    value = float(fit.coefficients[k])
    if not error > 1e-12:
        note = "The ratings follow exactly or do not vary: no interval."
        return scope.estimate(quantity, value, method=method, note=note)
    df = fit.satterthwaite_df(cases, np.eye(design.shape[1])[k])
    return by_t(scope, quantity, value, error, df, method=method, ci_level=ci_level)
