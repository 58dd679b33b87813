"""Intraclass correlation by restricted maximum likelihood, where some ratings are missing.

The model is rating = mean + unit + rater + error with independent normal effects, the model behind
ICC(2,1). With complete data and positive variance components it gives the same number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from study.analysis.agreement.ratings import RatingMatrix
from study.analysis.estimate import AnalysisError, Estimate, Scope

Array = NDArray[np.float64]
_SMALL, _LARGE = 1e-7, 1e7
_FLAT = 20.0  # half width of a logit interval that says nothing
_WIDEST = 18.0  # of the log variance ratios


@dataclass(frozen=True)
class RemlCorrelation:
    """ICC(2,1) by restricted maximum likelihood.

    Parameters
    ----------
    value
        σ²_unit / (σ²_unit + σ²_rater + σ²_error), in [0, 1].
    ci, ci_level
        Normal interval on the logit scale (delta method); ``None`` at a boundary.
    unit, rater, error
        Variance components.
    n_units, n_raters, n_ratings
        Units, raters and ratings that entered.
    note
        What to mind.
    """

    value: float
    ci: tuple[float, float] | None
    ci_level: float
    unit: float
    rater: float
    error: float
    n_units: int
    n_raters: int
    n_ratings: int
    note: str = ""

    def to_estimate(self, scope: Scope) -> Estimate:
        """Return the correlation as an :class:`~study.analysis.estimate.Estimate`."""
        return scope.estimate(
            "ICC(2,1) by REML",
            self.value,
            method="two-way random effects, absolute agreement, single rating; restricted maximum "
            f"likelihood on all {self.n_ratings} ratings, logit interval",
            ci=self.ci,
            ci_level=self.ci_level,
            note=self.note,
        )


@dataclass(frozen=True, eq=False)
class _Data:
    values: Array  # (N,)
    n_units: int
    n_raters: int
    table: Array  # (U, 1 + R): sums over a unit of the intercept and rater columns
    cross: Array  # (1 + R, 1 + R)
    sums: Array  # (1 + R,)
    unit_sums: Array  # (U,)


def icc_by_reml(matrix: RatingMatrix, *, ci_level: float = 0.95) -> RemlCorrelation:
    """Return ICC(2,1) from all ratings, complete or not, missing at random.

    Raises
    ------
    AnalysisError
        If there are fewer than two raters or units, no unit with two ratings, or no variance.
    """
    data = _gather(matrix)

    def penalised(logs: Array) -> float:
        inside = np.clip(logs, -_WIDEST, _WIDEST)
        return _deviance(np.exp(inside), data)[0] + float(((logs - inside) ** 2).sum())

    found = optimize.minimize(
        penalised,
        np.array([0.0, -1.0]),
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4000},
    )
    logs = np.clip(found.x, -_WIDEST, _WIDEST)
    ratios = np.exp(logs)
    boundary = ratios < _SMALL
    ratios = np.where(boundary, 0.0, ratios)
    error = _deviance(np.maximum(ratios, 1e-12), data)[1]
    unit, rater = float(ratios[0] * error), float(ratios[1] * error)
    value = unit / (unit + rater + error)
    notes = [
        f"The variance of {name} is estimated as 0."
        for name, at in zip(("units", "raters"), boundary, strict=True)
        if at
    ]
    ci = None
    if ratios.max() > _LARGE:
        notes.append("There is next to no residual variance.")
    elif not boundary[0]:
        ci = _logit_interval(logs, boundary, data, value, ci_level)
    if ci is None:
        notes.append("The likelihood is too flat or at its boundary: there is no interval.")
    return RemlCorrelation(
        value,
        ci,
        ci_level,
        unit,
        rater,
        error,
        data.n_units,
        data.n_raters,
        len(data.values),
        " ".join(notes),
    )


def _gather(matrix: RatingMatrix) -> _Data:
    used = ~np.isnan(matrix.values)
    values = matrix.values[used]
    unit, rater = np.nonzero(used)
    n, k = matrix.values.shape
    if n < 2 or k < 2 or not (used.sum(axis=1) >= 2).any():
        raise AnalysisError(
            f"An ICC needs two raters and units rated by both; there are {k} raters and "
            f"{int((used.sum(axis=1) >= 2).sum())} units with two ratings."
        )
    if np.ptp(values) == 0:
        raise AnalysisError("All ratings are the same; an ICC is not defined.")
    values = values - values.mean()
    table = np.column_stack([used.sum(axis=1), used]).astype(float)
    cross = np.zeros((k + 1, k + 1))
    per_rater = used.sum(axis=0).astype(float)
    cross[0, 0], cross[0, 1:], cross[1:, 0] = len(values), per_rater, per_rater
    cross[1:, 1:] = np.diag(per_rater)
    sums = np.concatenate([[values.sum()], np.bincount(rater, values, minlength=k)])
    unit_sums = np.bincount(unit, values, minlength=n).astype(float)
    return _Data(values, n, k, table, cross, sums, unit_sums)


def _deviance(ratios: Array, data: _Data) -> tuple[float, float]:
    """Return −2 log restricted likelihood (up to a constant) and the error variance at its maximum.

    ``ratios`` are the variances of units and raters divided by that of the error. Units are
    absorbed, so that only a system of 1 + R equations is solved (Henderson's equations).
    """
    unit, rater = np.maximum(ratios, 1e-12)
    diagonal = data.table[:, 0] + 1 / unit  # (U,)
    left = data.cross - data.table.T @ (data.table / diagonal[:, None])
    left[1:, 1:] += np.eye(data.n_raters) / rater
    right = data.sums - data.table.T @ (data.unit_sums / diagonal)
    solved = np.linalg.solve(left, right)
    rest = float(data.values @ data.values - (data.unit_sums**2 / diagonal).sum() - right @ solved)
    free = len(data.values) - 1
    log_determinant = float(np.log(diagonal).sum() + np.linalg.slogdet(left)[1])
    log_determinant += data.n_units * float(np.log(unit)) + data.n_raters * float(np.log(rater))
    return free * float(np.log(max(rest, 1e-300))) + log_determinant, rest / free


def _logit_interval(
    logs: Array, boundary: NDArray[np.bool_], data: _Data, value: float, ci_level: float
) -> tuple[float, float] | None:
    """Return a Wald interval of logit(ICC) from the curvature in the log variance ratios."""
    free = np.flatnonzero(~boundary)
    step = 1e-3

    def deviance(shift: Array) -> float:
        moved = logs.copy()
        moved[free] += shift
        return _deviance(np.exp(moved), data)[0]

    size = len(free)
    curvature = np.zeros((size, size))
    unit = np.eye(size) * step
    for i in range(size):
        for j in range(size):
            curvature[i, j] = (
                deviance(unit[i] + unit[j])
                - deviance(unit[i] - unit[j])
                - deviance(unit[j] - unit[i])
                + deviance(-unit[i] - unit[j])
            ) / (4 * step**2)
    if np.linalg.eigvalsh(curvature).min() <= 1e-9:
        return None
    covariance = 2 * np.linalg.inv(curvature)
    ratios = np.where(boundary, 0.0, np.exp(logs))
    # logit(ICC) = log λ_unit − log(λ_rater + 1)
    gradient = np.array([1.0, -ratios[1] / (ratios[1] + 1)])[free]
    reach = float(stats.norm.ppf(0.5 + ci_level / 2)) * float(
        np.sqrt(gradient @ covariance @ gradient)
    )
    centre = float(np.log(value / (1 - value)))
    if not np.isfinite(reach) or reach > _FLAT:
        return None
    low, high = (float(special.expit(x)) for x in (centre - reach, centre + reach))
    return low, high
