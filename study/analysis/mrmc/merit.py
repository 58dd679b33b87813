"""Figures of merit of every reader under every condition, and their error covariances.

The error covariance is what cases add: how two estimates of one sample of cases vary together. It
is a matrix over the T · R cells (condition-major), estimated by jackknife over cases, by DeLong's
placement values, or unbiasedly (A₁ A₂ minus the unbiased estimate of its expectation under
independence).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from study.analysis.estimate import AnalysisError
from study.analysis.mrmc.scores import ReaderScores
from study.analysis.roc import placements

Outcome = Literal["auc", "sensitivity", "specificity"]
Covariance = Literal["jackknife", "delong", "unbiased"]
Array = NDArray[np.float64]

OUTCOMES: tuple[Outcome, ...] = ("auc", "sensitivity", "specificity")
_BLOCK = 4_000_000


def figures_of_merit(scores: ReaderScores, outcome: Outcome = "auc") -> Array:
    """Return each reader's figure of merit under each condition, shape (T, R).

    Parameters
    ----------
    scores
        Scores; calls (0 or 1) for sensitivity and specificity.
    outcome
        ``auc`` (empirical, ties ½), ``sensitivity`` or ``specificity``.

    Raises
    ------
    AnalysisError
        If a reader read no case of a class that is needed under some condition, or a call is not
        0 or 1.
    """
    return np.asarray(_influences(scores, outcome)[0])


def jackknife_values(scores: ReaderScores, outcome: Outcome = "auc") -> Array:
    """Return the figures of merit without each case in turn, shape (T, R, C).

    Raises
    ------
    AnalysisError
        As :func:`figures_of_merit`, or if a class has a single case.
    """
    value, influence, size = _influences(scores, outcome)
    if (size[~np.isnan(influence)] < 2).any():
        raise AnalysisError(
            "A reader read a single case of one class; the jackknife needs at least two of each."
        )
    # A mean of n parts without one of them: (n · mean − part) / (n − 1).
    whole = np.broadcast_to(value[:, :, None], influence.shape)
    left = (size * whole - influence) / (size - 1)
    return np.asarray(np.where(np.isnan(influence), whole, left))


def error_covariance(
    scores: ReaderScores, outcome: Outcome = "auc", method: Covariance = "jackknife"
) -> Array:
    """Return the error covariance of the T · R figures of merit, shape (T · R, T · R).

    Parameters
    ----------
    method
        ``jackknife``: over the C cases of the design that matter to the outcome,
        (C − 1)/C Σ (θ₍ᵢ₎ − θ̄)(θ₍ᵢ₎ − θ̄)′, also for designs
        that are not fully crossed. ``delong`` and ``unbiased``: fully crossed only.

    Raises
    ------
    AnalysisError
        As :func:`jackknife_values`, or if readings are missing for ``delong`` or ``unbiased``.
    """
    t, r, c = scores.values.shape
    if method == "jackknife":
        matters = {"sensitivity": scores.truth == 1, "specificity": scores.truth == 0}
        if outcome in matters:
            scores, c = scores.select_cases(matters[outcome]), int(matters[outcome].sum())
        left = jackknife_values(scores, outcome).reshape(t * r, c)
        centred = left - left.mean(axis=1, keepdims=True)
        return np.asarray((c - 1) / c * centred @ centred.T)
    if scores.n_missing:
        raise AnalysisError(
            f"{scores.n_missing} readings are missing; the {method} covariance needs a fully "
            "crossed design. Use the jackknife, the cases that everybody read, or U-statistics."
        )
    if method == "delong" or outcome != "auc":
        return _covariance_of_means(scores, outcome)
    if method == "unbiased":
        return _unbiased(scores)
    raise AnalysisError(
        f"There is no covariance {method!r}; expected jackknife, delong or unbiased."
    )


def _influences(scores: ReaderScores, outcome: Outcome) -> tuple[Array, Array, Array]:
    """Return the figures (T, R), each case's part of them and the size of its class (T, R, C).

    The figure is the mean of the parts over either class; parts are NaN where a case does not
    matter.
    """
    t, r, c = scores.values.shape
    part, size = np.full((t, r, c), np.nan), np.ones((t, r, c))
    value = np.empty((t, r))
    for i in range(t):
        for j in range(r):
            cell = scores.values[i, j]
            with_finding = ~np.isnan(cell) & (scores.truth == 1)
            without = ~np.isnan(cell) & (scores.truth == 0)
            _check_cell(scores, i, j, outcome, with_finding, without)
            if outcome == "auc":
                part[i, j, without], part[i, j, with_finding] = placements(
                    cell[without], cell[with_finding]
                )
                size[i, j, without], size[i, j, with_finding] = without.sum(), with_finding.sum()
                value[i, j] = part[i, j, with_finding].mean()
            else:
                used = with_finding if outcome == "sensitivity" else without
                right = cell[used] if outcome == "sensitivity" else 1 - cell[used]
                part[i, j, used], size[i, j, used] = right, used.sum()
                value[i, j] = right.mean()
    return value, part, size


def _check_cell(
    scores: ReaderScores,
    i: int,
    j: int,
    outcome: Outcome,
    with_finding: NDArray[np.bool_],
    without: NDArray[np.bool_],
) -> None:
    where = f"Reader {scores.readers[j]} under condition {scores.conditions[i]}"
    if outcome not in OUTCOMES:
        raise AnalysisError(f"There is no outcome {outcome!r}; expected one of {OUTCOMES}.")
    for needed, mask, kind in (
        (outcome != "specificity", with_finding, "with"),
        (outcome != "sensitivity", without, "without"),
    ):
        if needed and not mask.any():
            raise AnalysisError(
                f"{where} scored no case {kind} the finding; {outcome} cannot be estimated there. "
                "Leave the reader out or complete the readings."
            )
    if outcome != "auc":
        given = scores.values[i, j]
        given = given[~np.isnan(given)]
        if not np.isin(given, (0, 1)).all():
            raise AnalysisError(
                f"{where} holds the call {given[~np.isin(given, (0, 1))][0]:g}; expected 0 or 1. "
                "Name a threshold that turns scores into calls."
            )


def _covariance_of_means(scores: ReaderScores, outcome: Outcome) -> Array:
    """Return DeLong's covariance: the covariance of the class means of placement values."""
    t, r, _ = scores.values.shape
    _, part, _ = _influences(scores, outcome)
    total = np.zeros((t * r, t * r))
    for label in (0, 1):
        of_class = part[:, :, scores.truth == label].reshape(t * r, -1)
        if np.isnan(of_class).any():
            continue
        n = of_class.shape[1]
        if n < 2:
            raise AnalysisError("A class has a single case; its covariance needs at least two.")
        total += np.atleast_2d(np.cov(of_class)) / n
    return total


def _unbiased(scores: ReaderScores) -> Array:
    """Return the unbiased covariance of AUCs (Gallas 2006, Acad Radiol 13:353, moments 1–4)."""
    t, r, _ = scores.values.shape
    low = scores.negatives.reshape(t * r, -1)
    high = scores.positives.reshape(t * r, -1)
    n, p = low.shape[1], high.shape[1]
    if n < 2 or p < 2:
        raise AnalysisError(
            f"There are {n} cases without and {p} with the finding; the unbiased covariance needs "
            "two of each."
        )
    same_pair = np.zeros((t * r, t * r))
    of_low, of_high = np.empty((t * r, n)), np.zeros((t * r, p))
    block = max(1, _BLOCK // (p * t * r))
    for start in range(0, n, block):
        part = low[:, start : start + block, None]
        kernel = (high[:, None, :] > part) + 0.5 * (high[:, None, :] == part)
        flat = kernel.reshape(t * r, -1)
        same_pair += flat @ flat.T
        of_low[:, start : start + block] = kernel.sum(axis=2)
        of_high += kernel.sum(axis=1)
    total = of_low.sum(axis=1)
    product = np.outer(total, total)
    different = product - of_low @ of_low.T - of_high @ of_high.T + same_pair
    return np.asarray(product / (n * p) ** 2 - different / (n * (n - 1) * p * (p - 1)))
