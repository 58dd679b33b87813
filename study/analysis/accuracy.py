"""Sensitivity and specificity of one reader, and intervals of a proportion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from study.analysis.estimate import AnalysisError, Estimate, Scope

ProportionInterval = Literal["wilson", "clopper-pearson"]

_NAMES = {"wilson": "Wilson score interval", "clopper-pearson": "exact Clopper–Pearson interval"}


@dataclass(frozen=True)
class Accuracy:
    """How one reader's calls agree with the reference standard.

    Parameters
    ----------
    true_positives, false_negatives, true_negatives, false_positives
        Counts.
    sensitivity, specificity
        Shares of called positives and of uncalled negatives; without a value where the class is
        empty.
    """

    true_positives: int
    false_negatives: int
    true_negatives: int
    false_positives: int
    sensitivity: Estimate
    specificity: Estimate


def accuracy(
    calls: ArrayLike,
    truth: ArrayLike,
    scope: Scope,
    *,
    interval: ProportionInterval = "wilson",
    ci_level: float = 0.95,
) -> Accuracy:
    """Return sensitivity and specificity of calls (0 or 1); missing calls are left out.

    Raises
    ------
    AnalysisError
        If the lengths differ or a value is neither 0, 1 nor missing.
    """
    call, label = np.asarray(calls, dtype=float), np.asarray(truth, dtype=float)
    if call.shape != label.shape:
        raise AnalysisError(
            f"There are {call.size} calls and {label.size} cases with a reference standard; "
            "expected one of each per case."
        )
    given = ~np.isnan(call)
    call, label = call[given], label[given]
    for name, values in (("call", call), ("reference standard", label)):
        if not np.isin(values, (0, 1)).all():
            wrong = values[~np.isin(values, (0, 1))][0]
            raise AnalysisError(f"A {name} is {wrong:g}; expected 0 or 1.")
    tp = int(((call == 1) & (label == 1)).sum())
    fn = int(((call == 0) & (label == 1)).sum())
    tn = int(((call == 0) & (label == 0)).sum())
    fp = int(((call == 1) & (label == 0)).sum())
    made = [
        _share(scope, name, hit, hit + miss, interval, ci_level)
        for name, hit, miss in (("sensitivity", tp, fn), ("specificity", tn, fp))
    ]
    return Accuracy(tp, fn, tn, fp, made[0], made[1])


def _share(
    scope: Scope, name: str, hits: int, n: int, interval: ProportionInterval, ci_level: float
) -> Estimate:
    if n == 0:
        kind = "with" if name == "sensitivity" else "without"
        return scope.unavailable(
            name,
            method=_NAMES[interval],
            note=f"No case is {kind} the finding; {name} cannot be estimated.",
        )
    return scope.estimate(
        name,
        hits / n,
        method=f"{hits} of {n}, {_NAMES[interval]}",
        ci=proportion_interval(hits, n, interval=interval, ci_level=ci_level),
        ci_level=ci_level,
    )


def proportion_interval(
    hits: int, n: int, *, interval: ProportionInterval = "wilson", ci_level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of a proportion of independent readings.

    Parameters
    ----------
    hits, n
        Successes among n > 0 trials.
    interval
        Wilson 1927 (score, no correction) or Clopper & Pearson 1934 (exact, by the beta
        distribution).

    Raises
    ------
    AnalysisError
        If the counts are impossible.
    """
    if not 0 <= hits <= n or n == 0:
        raise AnalysisError(f"{hits} of {n} is no proportion; expected 0 ≤ hits ≤ n and n > 0.")
    tail = (1 - ci_level) / 2
    if interval == "clopper-pearson":
        low = 0.0 if hits == 0 else float(stats.beta.ppf(tail, hits, n - hits + 1))
        high = 1.0 if hits == n else float(stats.beta.ppf(1 - tail, hits + 1, n - hits))
        return low, high
    z = float(stats.norm.ppf(1 - tail))
    share = hits / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * float(np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))) / (1 + z**2 / n)
    low = 0.0 if hits == 0 else max(0.0, centre - reach)
    high = 1.0 if hits == n else min(1.0, centre + reach)
    return low, high
