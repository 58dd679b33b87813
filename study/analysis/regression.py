"""Do ratings follow localisation? A rating regressed on the IoU of a map, and the reverse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.columns import MAP_PREFIX, Ratings
from study.analysis.correlation import kendall, spearman
from study.analysis.estimate import Estimate, Scope
from study.analysis.groups import group_codes, group_means
from study.analysis.robust import ClusteredFit, fit_clustered

Direction = Literal["rating on IoU", "IoU on rating"]

MEAN_MAP = "mean of the maps"
BEST_MAP = "best of the maps"

_OLS = "ordinary least squares, standard error clustered by case (CR1), t with cases − 1 df"
_SPEARMAN = "Spearman rank correlation, t approximation"
_ENOUGH = 5


@dataclass(frozen=True, eq=False)
class IouRegression:
    """One item's ratings and the IoU of one map under one condition, one regressed on the other.

    Parameters
    ----------
    item, condition, map_name
        What was regressed on what; ``map_name`` may be :data:`MEAN_MAP` or :data:`BEST_MAP`.
    finding
        One finding, or ``None`` for all together.
    n_readings
        Ratings with an IoU.
    slope
        Points of the rating scale per unit of IoU; or the reverse, see ``direction``.
    intercept
        Rating at IoU 0; or IoU at rating 0.
    r_squared
        Share of the variance that the line takes up.
    spearman
        Rank correlation over the readings.
    spearman_of_cases, kendall_of_cases
        Rank correlations of each case's mean rating with its IoU: one point per case and finding.
    fit
        The fit, for drawing the line; ``None`` if there is none.
    direction
        What was regressed on what.
    """

    item: str
    condition: str
    map_name: str
    finding: str | None
    n_readings: int
    slope: Estimate
    intercept: Estimate
    r_squared: Estimate
    spearman: Estimate
    spearman_of_cases: Estimate
    kendall_of_cases: Estimate
    fit: ClusteredFit | None
    direction: Direction = "rating on IoU"

    def band(
        self, at: ArrayLike, level: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None:
        """Return the line with lower and upper pointwise limits, each (n,).

        Parameters
        ----------
        at
            Where: IoU, or ratings for ``"IoU on rating"``, shape (n,).
        level
            In (0, 1).
        """
        if self.fit is None:
            return None
        rows = [self.fit.interval((1.0, x), level) for x in np.asarray(at, dtype=float)]
        fitted, low, high = np.array(rows).T
        return fitted, low, high


def iou_columns(ratings: Ratings, condition: str) -> tuple[tuple[str, pd.Series], ...]:
    """Return the IoU of each map shown under ``condition``, their mean and their best.

    Returns
    -------
    tuple
        Pairs (map name, IoU per row of ``ratings.frame``); mean and best only where a condition
        shows more than one map, and only for rows in which every one of them has an IoU.
    """
    names = ratings.maps_of(condition)
    columns = [(name, ratings.frame[MAP_PREFIX + name]) for name in names]
    if len(names) > 1:
        all_maps = ratings.frame[[MAP_PREFIX + name for name in names]]
        columns.append((MEAN_MAP, all_maps.mean(axis=1, skipna=False)))
        columns.append((BEST_MAP, all_maps.max(axis=1, skipna=False)))
    return tuple(columns)


def rating_on_iou(
    frame: pd.DataFrame,
    iou: pd.Series,
    *,
    item: str,
    condition: str,
    map_name: str,
    finding: str | None = None,
    ci_level: float = 0.95,
) -> IouRegression:
    """Regress the ratings of ``item`` under ``condition`` on the IoU of a map.

    Parameters
    ----------
    frame
        Canonical ratings.
    iou
        IoU in [0, 1] for each row of ``frame``, NaN where there is none.
    item, condition, map_name, finding
        Which ratings; ``finding`` ``None`` takes all findings together.
    ci_level
        In (0, 1).

    Returns
    -------
    IouRegression
        With fewer than three distinct IoU or three cases every estimate is without a value and
        says so; with a constant rater the slope is 0 and the correlations are without a value.
    """
    return _regress(
        readings_with_iou(frame, iou, item=item, condition=condition, finding=finding),
        IouOf(item, condition, map_name, finding),
        "rating on IoU",
        ci_level,
    )


def iou_on_rating(
    frame: pd.DataFrame,
    iou: pd.Series,
    *,
    item: str,
    condition: str,
    map_name: str,
    finding: str | None = None,
    ci_level: float = 0.95,
) -> IouRegression:
    """Regress the IoU of a map on the ratings of ``item``, as Fig. 6B of the published study does.

    Parameters
    ----------
    frame, iou, item, condition, map_name, finding, ci_level
        As :func:`rating_on_iou`.
    """
    return _regress(
        readings_with_iou(frame, iou, item=item, condition=condition, finding=finding),
        IouOf(item, condition, map_name, finding),
        "IoU on rating",
        ci_level,
    )


@dataclass(frozen=True)
class IouOf:
    """Which ratings and which map.

    Parameters
    ----------
    item, condition, map_name, finding
        As in :class:`IouRegression`.
    """

    item: str
    condition: str
    map_name: str
    finding: str | None


def readings_with_iou(
    frame: pd.DataFrame, iou: pd.Series, *, item: str, condition: str, finding: str | None = None
) -> pd.DataFrame:
    """Return reader, case_id, finding, value and iou of each reading that has both.

    Parameters
    ----------
    frame, iou, item, condition, finding
        As :func:`rating_on_iou`.
    """
    chosen = (frame["item"] == item) & (frame["condition"] == condition) & frame["value"].notna()
    chosen &= iou.notna()
    if finding is not None:
        chosen &= frame["finding"] == finding
    return frame.loc[chosen, ["reader", "case_id", "finding", "value"]].assign(iou=iou[chosen])


def _regress(
    data: pd.DataFrame, what: IouOf, direction: Direction, ci_level: float
) -> IouRegression:
    n_readers, n_cases = data["reader"].nunique(), data["case_id"].nunique()
    one = n_readers <= 1
    scope = Scope("this reader" if one else "these readers", "descriptive", n_readers, n_cases)
    readings = scope if one else scope.with_population("independent readings", "warning")
    n_distinct = data["iou"].round(9).nunique()
    note = ""
    if n_distinct < 3 or n_cases < 3:
        note = (
            f"{len(data)} ratings of {n_cases} cases with {n_distinct} different IoU; a regression "
            "needs at least three cases and three different IoU."
        )
    slope, intercept, r_squared, fit = _line(data, scope, ci_level, direction, note)
    rho, tau = _correlations_of_cases(data, scope, note, ci_level)
    return IouRegression(
        item=what.item,
        condition=what.condition,
        map_name=what.map_name,
        finding=what.finding,
        n_readings=len(data),
        slope=slope,
        intercept=intercept,
        r_squared=r_squared,
        spearman=_spearman(
            data["iou"], data["value"], readings, "over the readings", note, ci_level
        ),
        spearman_of_cases=rho,
        kendall_of_cases=tau,
        fit=fit,
        direction=direction,
    )


def _line(
    data: pd.DataFrame, scope: Scope, ci_level: float, direction: Direction, note: str
) -> tuple[Estimate, Estimate, Estimate, ClusteredFit | None]:
    """Return slope, intercept, R² and the fit."""
    x, y = data["iou"].to_numpy(float), data["value"].to_numpy(float)
    if direction == "IoU on rating":
        x, y = y, x
        if not note and np.ptp(x) == 0:
            note = f"Every rating is {x[0]:g}: nothing can be regressed on it."
    if note:
        slope, intercept, r_squared = (
            scope.unavailable(quantity, method=_OLS, note=note)
            for quantity in ("slope", "intercept", "R²")
        )
        return slope, intercept, r_squared, None
    if np.ptp(y) == 0:
        reason = f"Every rating is {y[0]:g}: there is no variation to explain."
        slope = scope.estimate("slope", 0.0, method=_OLS, note=reason)
        intercept = scope.estimate("intercept", y[0], method=_OLS, note=reason)
        return slope, intercept, scope.unavailable("R²", method=_OLS, note=reason), None
    fit = fit_clustered(np.column_stack([np.ones_like(x), x]), y, data["case_id"])
    slope = _coefficient("slope", fit, (0.0, 1.0), scope, ci_level)
    intercept = _coefficient("intercept", fit, (1.0, 0.0), scope, ci_level)
    share = fit.least_squares.r_squared
    return slope, intercept, scope.estimate("R²", share, method=_OLS), fit


def _coefficient(
    quantity: str, fit: ClusteredFit, weights: tuple[float, float], scope: Scope, ci_level: float
) -> Estimate:
    value, low, high = fit.interval(weights, ci_level)
    return scope.estimate(
        quantity,
        value,
        ci=(low, high),
        ci_level=ci_level,
        p_value=fit.p_value(weights),
        df=fit.df,
        method=_OLS,
    )


def _spearman(
    x: pd.Series, y: pd.Series, scope: Scope, which: str, note: str, ci_level: float
) -> Estimate:
    quantity = f"Spearman's rho {which}"
    if not note and y.nunique() < 2:
        note = f"Every rating is {y.iloc[0]:g}: ranks cannot be correlated."
    if note:
        return scope.unavailable(quantity, method=_SPEARMAN, note=note)
    warning = "Takes the readings of one case for independent." if scope.role == "warning" else ""
    if len(x) >= _ENOUGH:
        found = spearman(x, y, scope, ci_level=ci_level)
        return replace(found, quantity=quantity, note=f"{found.note} {warning}".strip())
    rho, p_value = stats.spearmanr(x, y)
    return scope.estimate(quantity, rho, p_value=p_value, method=_SPEARMAN, note=warning)


def _correlations_of_cases(
    data: pd.DataFrame, scope: Scope, note: str, ci_level: float
) -> tuple[Estimate, Estimate]:
    """Correlate case means; rounding restores ties between means that are equal."""
    codes, n = group_codes(data["case_id"], data["finding"])
    means = pd.DataFrame({name: group_means(data[name], codes, n) for name in ("iou", "value")})
    means = means.round(9)
    if not note and means["iou"].nunique() < 3:
        note = "Fewer than three cases with different IoU."
    rho = _spearman(means["iou"], means["value"], scope, "over case means", note, ci_level)
    words = "Kendall's tau-b over case means"
    if note:
        return rho, scope.unavailable(words, method="Kendall's tau-b", note=note)
    tau = kendall(means["iou"], means["value"], scope, ci_level=ci_level)
    return rho, replace(tau, quantity=words)
