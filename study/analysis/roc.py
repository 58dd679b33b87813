"""Receiver operating characteristics of one reader or one score: AUC, DeLong, points, partial AUC.

Higher scores speak for the finding. ``negatives`` are the scores of cases without it, ``positives``
those of cases with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError, Estimate, Scope

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RocCurve:
    """Points of the empirical ROC curve, from (0, 0) to (1, 1).

    Parameters
    ----------
    false_positive_rate, true_positive_rate
        In [0, 1], ascending, shape (P,).
    thresholds
        A score of at least this counts as positive, shape (P,); the first is +inf.
    """

    false_positive_rate: Array
    true_positive_rate: Array
    thresholds: Array


@dataclass(frozen=True, eq=False)
class DeLong:
    """Empirical AUCs of several scores on the same cases, and their covariance.

    Parameters
    ----------
    aucs
        Shape (M,), in [0, 1].
    covariance
        Shape (M, M).
    n_negatives, n_positives
        Cases.
    """

    aucs: Array
    covariance: Array
    n_negatives: int
    n_positives: int


@dataclass(frozen=True)
class AucDifference:
    """Two correlated AUCs compared.

    Parameters
    ----------
    difference, standard_error
        First AUC minus second.
    z, p_value
        Normal test of no difference; ``None`` where the standard error is 0.
    ci
        Normal interval.
    """

    difference: float
    standard_error: float
    z: float | None
    p_value: float | None
    ci: tuple[float, float]


def split_by_truth(scores: ArrayLike, truth: ArrayLike) -> tuple[Array, Array]:
    """Return the scores of cases without and with the finding; missing scores are left out.

    Raises
    ------
    AnalysisError
        If the lengths differ, the reference standard is not 0 or 1, or one class is empty.
    """
    score, label = np.asarray(scores, dtype=float), np.asarray(truth, dtype=float)
    if score.shape != label.shape or score.ndim != 1:
        raise AnalysisError(
            f"There are {score.size} scores and {label.size} cases with a reference standard; "
            "expected one of each per case."
        )
    if not np.isin(label, (0, 1)).all():
        wrong = label[~np.isin(label, (0, 1))][0]
        raise AnalysisError(
            f"The reference standard holds {wrong:g}; expected 0 (absent) or 1 (present)."
        )
    given = ~np.isnan(score)
    negatives, positives = score[given & (label == 0)], score[given & (label == 1)]
    if len(negatives) == 0 or len(positives) == 0:
        missing = "without" if len(negatives) == 0 else "with"
        raise AnalysisError(
            f"No scored case is {missing} the finding; an AUC needs cases of both kinds."
        )
    return negatives, positives


def placements(negatives: ArrayLike, positives: ArrayLike) -> tuple[Array, Array]:
    """Return the placement values of negatives, shape (N,), and positives, shape (P,).

    A positive's is the share of negatives below it, ties counting one half; a negative's the share
    of positives above it. The mean of either is the AUC.
    """
    low, high = np.asarray(negatives, dtype=float), np.asarray(positives, dtype=float)
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, side="left")
    upto = np.searchsorted(ordered, high, side="right")
    of_positives = (below + upto) / (2 * len(low))
    ordered = np.sort(high)
    below = np.searchsorted(ordered, low, side="left")
    upto = np.searchsorted(ordered, low, side="right")
    return 1 - (below + upto) / (2 * len(high)), of_positives


def empirical_auc(scores: ArrayLike, truth: ArrayLike) -> float:
    """Return P(positive > negative) + ½ P(equal), the trapezoidal area (Bamber 1975)."""
    return float(placements(*split_by_truth(scores, truth))[1].mean())


def delong(scores: Sequence[ArrayLike], truth: ArrayLike) -> DeLong:
    """Return the AUCs of several scores of the same cases with DeLong's covariance.

    Parameters
    ----------
    scores
        One or more arrays of shape (C,); a case without one of them is left out of all.
    truth
        Shape (C,), 0 or 1.

    Raises
    ------
    AnalysisError
        As :func:`split_by_truth`, or if a class has fewer than two cases.

    Notes
    -----
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837.
    """
    columns = np.array([np.asarray(score, dtype=float) for score in scores])
    given = ~np.isnan(columns).any(axis=0)
    label = np.asarray(truth, dtype=float)
    parts = [placements(*split_by_truth(column[given], label[given])) for column in columns]
    of_negatives = np.array([part[0] for part in parts])
    of_positives = np.array([part[1] for part in parts])
    n, p = of_negatives.shape[1], of_positives.shape[1]
    if n < 2 or p < 2:
        raise AnalysisError(
            f"There are {n} cases without and {p} with the finding; the variance of an AUC needs "
            "at least two of each."
        )
    covariance = np.atleast_2d(np.cov(of_positives)) / p + np.atleast_2d(np.cov(of_negatives)) / n
    return DeLong(of_positives.mean(axis=1), covariance, n, p)


def auc_estimate(
    scores: ArrayLike, truth: ArrayLike, scope: Scope, *, ci_level: float = 0.95
) -> Estimate:
    """Return the AUC with DeLong's normal interval, cut at 0 and 1."""
    made = delong([scores], truth)
    value, error = float(made.aucs[0]), float(np.sqrt(made.covariance[0, 0]))
    reach = float(stats.norm.ppf(0.5 + ci_level / 2)) * error
    note = ""
    if error == 0:
        note = "All pairs are ordered the same way; the variance is 0 and the interval a point."
    return scope.estimate(
        "AUC",
        value,
        method="empirical AUC (ties ½), DeLong variance, normal interval",
        ci=(max(0.0, value - reach), min(1.0, value + reach)),
        ci_level=ci_level,
        note=note,
    )


def compare_aucs(made: DeLong, *, ci_level: float = 0.95) -> AucDifference:
    """Return the first AUC minus the second with DeLong's test for paired cases."""
    difference = float(made.aucs[0] - made.aucs[1])
    c = made.covariance
    variance = float(c[0, 0] + c[1, 1] - 2 * c[0, 1])
    error = float(np.sqrt(max(variance, 0.0)))
    reach = float(stats.norm.ppf(0.5 + ci_level / 2)) * error
    z = None if error == 0 else difference / error
    return AucDifference(
        difference,
        error,
        z,
        None if z is None else float(2 * stats.norm.sf(abs(z))),
        (difference - reach, difference + reach),
    )


def roc_curve(scores: ArrayLike, truth: ArrayLike) -> RocCurve:
    """Return the empirical ROC curve, one point per distinct score."""
    negatives, positives = split_by_truth(scores, truth)
    levels = np.unique(np.concatenate([negatives, positives]))[::-1]
    low, high = np.sort(negatives), np.sort(positives)
    false = 1 - np.searchsorted(low, levels, side="left") / len(low)
    true = 1 - np.searchsorted(high, levels, side="left") / len(high)
    return RocCurve(
        np.concatenate([[0.0], false]),
        np.concatenate([[0.0], true]),
        np.concatenate([[np.inf], levels]),
    )


def partial_auc(
    scores: ArrayLike, truth: ArrayLike, *, max_fpr: float, standardised: bool = False
) -> float:
    """Return the area under the empirical curve for false-positive rates in [0, ``max_fpr``].

    Parameters
    ----------
    max_fpr
        In (0, 1].
    standardised
        Map the area to 0.5 for a useless and 1 for a perfect score (McClish 1989, Med Decis
        Making 9:190).
    """
    if not 0 < max_fpr <= 1:
        raise AnalysisError(
            f"The largest false-positive rate is {max_fpr}; expected one above 0 and up to 1."
        )
    curve = roc_curve(scores, truth)
    x, y = curve.false_positive_rate, curve.true_positive_rate
    inside = x <= max_fpr
    x_in, y_in = x[inside], y[inside]
    if x_in[-1] < max_fpr:
        i = int(inside.sum())
        share = (max_fpr - x[i - 1]) / (x[i] - x[i - 1])
        x_in = np.append(x_in, max_fpr)
        y_in = np.append(y_in, y[i - 1] + share * (y[i] - y[i - 1]))
    area = float(np.trapezoid(y_in, x_in))
    if not standardised:
        return area
    least, most = max_fpr**2 / 2, max_fpr
    return 0.5 * (1 + (area - least) / (most - least))


def mean_roc_curve(
    curves: Sequence[RocCurve], grid: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Return the vertical average of several readers' curves: (false-positive rates, mean rates).

    At a rate where a curve is vertical its upper end is taken.
    """
    if not curves:
        raise AnalysisError("There is no ROC curve to average.")
    x = np.linspace(0, 1, 101) if grid is None else np.asarray(grid, dtype=float)
    rates = [_upper_interpolation(curve, x) for curve in curves]
    return x, np.mean(rates, axis=0)


def _upper_interpolation(curve: RocCurve, x: Array) -> Array:
    """Return the curve's height at ``x``: upper end of a vertical part, straight in between."""
    rates, first = np.unique(curve.false_positive_rate, return_index=True)
    lower = curve.true_positive_rate[first]
    upper = curve.true_positive_rate[np.append(first[1:], len(curve.true_positive_rate)) - 1]
    left = np.clip(np.searchsorted(rates, x, side="right") - 1, 0, len(rates) - 1)
    right = np.minimum(left + 1, len(rates) - 1)
    width = np.where(right > left, rates[right] - rates[left], 1.0)
    share = (x - rates[left]) / width
    ahead = np.where(right > left, lower[right], upper[left])
    return np.asarray(upper[left] + share * (ahead - upper[left]))
