"""Smooth calibration: a probability of 0.5 is the operating point.

Per finding, p = sigmoid(a · logit + b) with a > 0. The slope a comes from Platt scaling on
validation films (Platt 1999, with his smoothed targets); b is then moved so that the logit with
the largest Youden index J = sensitivity + specificity − 1 on the same films maps to p = 0.5. One
smooth, strictly rising map per finding: ranks and the direction of gradients stay as they are, and
the slope does not jump at 0.5.

The price of the shift: where the finding is rarer or commoner than the operating point implies, p
is no longer the frequency of the finding. It is a probability at the operating prevalence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from explainers.base import ExplainerError

_LOGIT_SMALLEST_SLOPE = 1e-3


@dataclass(frozen=True)
class Calibration:
    """Slope and intercept per finding.

    Parameters
    ----------
    slopes
        a, one per finding, above 0.
    intercepts
        b, one per finding.

    Raises
    ------
    ExplainerError
        If the lengths differ, or a slope is not a positive finite number.
    """

    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.slopes) != len(self.intercepts):
            raise ExplainerError(
                f"A calibration has one slope and one intercept per finding; got "
                f"{len(self.slopes)} slopes and {len(self.intercepts)} intercepts."
            )
        if not all(np.isfinite(a) and a > 0 for a in self.slopes):
            raise ExplainerError(
                f"Calibration slopes must be above 0, or ranks would turn; got {self.slopes}."
            )
        if not np.isfinite(self.intercepts).all():
            raise ExplainerError(f"Calibration intercepts must be finite; got {self.intercepts}.")

    @classmethod
    def identity(cls, n_findings: int) -> Calibration:
        """p = sigmoid(logit) for every finding."""
        return cls((1.0,) * n_findings, (0.0,) * n_findings)

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrated probabilities (N, F) of logits (N, F)."""
        slopes, intercepts = np.array(self.slopes), np.array(self.intercepts)
        return expit(np.asarray(logits, np.float64) * slopes + intercepts)


def youden_threshold(logits: NDArray[np.floating], labels: NDArray[np.floating]) -> float:
    """Logit that maximises sensitivity + specificity − 1.

    Parameters
    ----------
    logits
        (N,) scores.
    labels
        (N,) 1 or 0.

    Returns
    -------
    float
        Midpoint between the lowest logit called positive and the highest called negative; among
        equally good cuts the middle one.

    Raises
    ------
    ExplainerError
        If only one class is present.
    """
    scores, truth = np.asarray(logits, np.float64), np.asarray(labels) > 0.5
    if truth.all() or not truth.any():
        raise ExplainerError(
            "An operating point needs films with and without the finding; "
            f"all {len(truth)} validation films are {'positive' if truth.any() else 'negative'}."
        )
    order = np.argsort(scores, kind="stable")
    scores, truth = scores[order], truth[order]
    # A cut after position i calls everything above it positive.
    specificity = np.cumsum(~truth) / (~truth).sum()
    missed = np.cumsum(truth) / truth.sum()
    youden = (specificity - missed)[:-1]
    distinct = scores[1:] > scores[:-1]
    if not distinct.any():
        return float(scores[0])
    youden = np.where(distinct, youden, -np.inf)
    best = np.flatnonzero(youden >= youden.max() - 1e-12)
    cut = best[len(best) // 2]
    return float((scores[cut] + scores[cut + 1]) / 2)


def platt_slope(logits: NDArray[np.floating], labels: NDArray[np.floating]) -> float:
    """Slope a of the logistic regression of the label on the logit, with Platt's targets."""
    scores, truth = np.asarray(logits, np.float64), np.asarray(labels) > 0.5
    n_positive, n_negative = truth.sum(), (~truth).sum()
    targets = np.where(truth, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    centre, spread = scores.mean(), max(float(scores.std()), 1e-9)
    standard = (scores - centre) / spread

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        linear = parameters[0] * standard + parameters[1]
        residual = expit(linear) - targets
        value = float(np.mean(np.logaddexp(0, linear) - targets * linear))
        return value, np.array([np.mean(residual * standard), np.mean(residual)])

    fitted = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS")
    return max(float(fitted.x[0]) / spread, _LOGIT_SMALLEST_SLOPE)


def fit_calibration(
    logits: NDArray[np.floating], labels: NDArray[np.floating], findings: tuple[str, ...]
) -> Calibration:
    """Fit slope and operating point of every finding.

    Parameters
    ----------
    logits
        (N, F) uncalibrated logits of validation films.
    labels
        (N, F) 1, 0, or NaN where unknown; unknown films are left out of that finding.
    findings
        Names of the F findings, for messages.

    Raises
    ------
    ExplainerError
        If a finding has only one class among the known labels.
    """
    slopes, intercepts = [], []
    for target, finding in enumerate(findings):
        known = np.isfinite(labels[:, target])
        scores, truth = logits[known, target], labels[known, target]
        try:
            threshold = youden_threshold(scores, truth)
        except ExplainerError as error:
            raise ExplainerError(f"{finding} cannot be calibrated: {error}") from error
        slope = platt_slope(scores, truth)
        slopes.append(slope)
        intercepts.append(-slope * threshold)
    return Calibration(tuple(slopes), tuple(intercepts))
