"""Binormal ROC curve of ratings by maximum likelihood.

Cases without the finding are N(0, 1) and cases with it N(a/b, 1/b²) on a latent scale that cut
points turn into ratings; the curve is TPR = Φ(a + b Φ⁻¹(FPR)), its area Φ(a / √(1 + b²)). Dorfman
& Alf 1969, J Math Psychol 6:487; many-valued scores are first grouped into runs of one truth state
(Metz, Herman & Shen 1998, Stat Med 17:1033), which changes no likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.roc import split_by_truth

Array = NDArray[np.float64]
_MAX_CATEGORIES = 300


@dataclass(frozen=True, eq=False)
class BinormalFit:
    """A fitted binormal curve.

    Parameters
    ----------
    a, b
        Intercept and slope of the curve on normal-deviate axes, b > 0.
    cutpoints
        Between the categories, ascending, shape (K − 1,).
    covariance
        Of (a, b), shape (2, 2), from the expected information.
    log_likelihood
        At the maximum.
    auc, standard_error
        Area and its standard error (delta method).
    n_negatives, n_positives
        Cases.
    note
        What to mind, e.g. a hook in the curve.
    """

    a: float
    b: float
    cutpoints: Array
    covariance: Array
    log_likelihood: float
    auc: float
    standard_error: float
    n_negatives: int
    n_positives: int
    note: str = ""

    def true_positive_rate(self, false_positive_rate: ArrayLike) -> Array:
        """Return the curve's height at false-positive rates in [0, 1]."""
        x = np.asarray(false_positive_rate, dtype=float)
        return np.asarray(stats.norm.cdf(self.a + self.b * stats.norm.ppf(x)), dtype=float)


def fit_binormal(scores: ArrayLike, truth: ArrayLike) -> BinormalFit:
    """Fit a binormal curve to ratings.

    Parameters
    ----------
    scores
        Ratings, shape (C,), higher speaks for the finding; only their order matters.
    truth
        0 or 1, shape (C,).

    Raises
    ------
    AnalysisError
        If a class is empty, or the ratings are degenerate: fewer than two operating points inside
        the unit square determine no curve.
    """
    negatives, positives = split_by_truth(scores, truth)
    low, high = _grouped_counts(negatives, positives)
    _check_determined(low, high)
    parameters, log_likelihood = _maximise(_start(low, high), low, high)
    a, b, cut = float(parameters[0]), float(parameters[1]), parameters[2:]
    information = _information(parameters, low.sum(), high.sum())
    covariance = np.asarray(np.linalg.inv(information)[:2, :2], dtype=float)
    root = float(np.sqrt(1 + b**2))
    auc = float(stats.norm.cdf(a / root))
    slope = float(stats.norm.pdf(a / root)) * np.array([1 / root, -a * b / root**3])
    return BinormalFit(
        a,
        b,
        cut,
        covariance,
        log_likelihood,
        auc,
        float(np.sqrt(slope @ covariance @ slope)),
        int(low.sum()),
        int(high.sum()),
        _hook_note(a, b),
    )


def binormal_auc(
    scores: ArrayLike, truth: ArrayLike, scope: Scope, *, ci_level: float = 0.95
) -> Estimate:
    """Return the binormal AUC with a normal interval on the probit scale, or why there is none."""
    method = "binormal AUC, maximum likelihood (Dorfman & Alf 1969), probit interval"
    try:
        fit = fit_binormal(scores, truth)
    except AnalysisError as problem:
        return scope.unavailable("AUC (binormal)", method=method, note=str(problem))
    root = float(np.sqrt(1 + fit.b**2))
    centre = fit.a / root
    slope = np.array([1 / root, -fit.a * fit.b / root**3])
    reach = float(stats.norm.ppf(0.5 + ci_level / 2)) * float(
        np.sqrt(slope @ fit.covariance @ slope)
    )
    low, high = (float(stats.norm.cdf(x)) for x in (centre - reach, centre + reach))
    return scope.estimate(
        "AUC (binormal)", fit.auc, method=method, ci=(low, high), ci_level=ci_level, note=fit.note
    )


def _grouped_counts(negatives: Array, positives: Array) -> tuple[Array, Array]:
    """Return counts per category, lowest first, runs of one truth state taken together."""
    levels = np.unique(np.concatenate([negatives, positives]))
    low = np.bincount(np.searchsorted(levels, negatives), minlength=len(levels)).astype(float)
    high = np.bincount(np.searchsorted(levels, positives), minlength=len(levels)).astype(float)
    if len(levels) <= 20:
        return low, high
    state = np.where(high == 0, 0, np.where(low == 0, 1, 2))
    new_run = np.concatenate([[True], (state[1:] != state[:-1]) | (state[1:] == 2)])
    run = np.cumsum(new_run) - 1
    low, high = (np.bincount(run, count).astype(float) for count in (low, high))
    if len(low) > _MAX_CATEGORIES:
        cumulated = np.cumsum(low + high)
        group = np.minimum(
            (cumulated * _MAX_CATEGORIES / cumulated[-1]).astype(int), _MAX_CATEGORIES - 1
        )
        group = np.unique(group, return_inverse=True)[1]
        low, high = (np.bincount(group, count).astype(float) for count in (low, high))
    return low, high


def _check_determined(low: Array, high: Array) -> None:
    false = 1 - np.cumsum(low)[:-1] / low.sum()
    true = 1 - np.cumsum(high)[:-1] / high.sum()
    inside = (false > 1e-12) & (false < 1 - 1e-12) & (true > 1e-12) & (true < 1 - 1e-12)
    points = {
        (round(f, 12), round(t, 12)) for f, t in zip(false[inside], true[inside], strict=True)
    }
    distinct = {f for f, _ in points} if len(points) > 1 else set()
    if len(points) < 2 or len(distinct) < 2:
        raise AnalysisError(
            f"The ratings give {len(points)} operating points inside the unit square; a binormal "
            "curve needs two with different false-positive rates. Use the empirical AUC."
        )


def _start(low: Array, high: Array) -> Array:
    false = (1 - (np.cumsum(low)[:-1] + 0.25) / (low.sum() + 0.5)).clip(1e-4, 1 - 1e-4)
    true = (1 - (np.cumsum(high)[:-1] + 0.25) / (high.sum() + 0.5)).clip(1e-4, 1 - 1e-4)
    x, y = stats.norm.ppf(false), stats.norm.ppf(true)
    spread = float(np.ptp(x))
    b = 1.0 if spread == 0 else float(np.clip(np.polyfit(x, y, 1)[0], 0.3, 3.0))
    a = float(np.mean(y - b * x))
    cut = np.maximum.accumulate(-x) + 1e-3 * np.arange(len(x))
    return np.concatenate([[a, b], cut])


def _maximise(start: Array, low: Array, high: Array) -> tuple[Array, float]:
    """Climb the likelihood of (a, b, cut points) by Fisher scoring with step halving."""
    at = start
    value, slope = _log_likelihood(at, low, high)
    for _ in range(200):
        information = _information(at, low.sum(), high.sum())
        information[np.diag_indices_from(information)] *= 1 + 1e-10
        step = np.linalg.solve(information, slope)
        gain = float(step @ slope)
        if gain < 1e-12:
            return at, value
        length = 1.0
        while length > 1e-8:
            trial = at + length * step
            if trial[1] > 0 and (np.diff(trial[2:]) > 0).all():
                new_value, new_slope = _log_likelihood(trial, low, high)
                if new_value > value:
                    break
            length /= 2
        else:
            if gain < 1e-6:
                return at, value
            break
        at, value, slope = trial, new_value, new_slope
        if not 0.02 < at[1] < 50 or abs(at[0]) > 100:
            break
    raise AnalysisError(
        "The ratings are degenerate for a binormal curve: the likelihood has no maximum. Use the "
        "empirical AUC."
    )


def _log_likelihood(at: Array, low: Array, high: Array) -> tuple[float, Array]:
    """Return the log likelihood of (a, b, cut points) and its gradient."""
    a, b, cut = at[0], at[1], at[2:]
    total, gradient = 0.0, np.zeros(len(at))
    for counts, diseased in ((low, False), (high, True)):
        z = b * cut - a if diseased else cut
        share = _shares(z)
        total += float(counts @ np.log(share))
        ratio = counts / share
        by_z = stats.norm.pdf(z) * (ratio[:-1] - ratio[1:])
        gradient[2:] += (b if diseased else 1.0) * by_z
        if diseased:
            gradient[:2] += [-by_z.sum(), float(by_z @ cut)]
    return total, gradient


def _shares(z: Array) -> Array:
    """Return the probabilities between ascending cut points, shape (K,), each above 0."""
    cdf = np.concatenate([[0.0], stats.norm.cdf(z), [1.0]])
    upper = np.concatenate([[1.0], stats.norm.sf(z), [0.0]])
    return np.maximum(np.where(cdf[1:] < 0.5, np.diff(cdf), -np.diff(upper)), 1e-300)


def _information(at: Array, n_low: float, n_high: float) -> Array:
    """Return the expected information of (a, b, cut points), shape (K + 1, K + 1)."""
    a, b, cut = at[0], at[1], at[2:]
    size = len(cut)
    information = np.zeros((size + 2, size + 2))
    for n, diseased in ((n_low, False), (n_high, True)):
        z = b * cut - a if diseased else cut
        share = np.maximum(_shares(z), 1e-12)
        density = stats.norm.pdf(z)
        of_cdf = np.zeros((size, size + 2))  # derivative of Φ(z_k)
        of_cdf[:, 2:] = np.diag(density * (b if diseased else 1.0))
        if diseased:
            of_cdf[:, 0], of_cdf[:, 1] = -density, density * cut
        edge = np.zeros((1, size + 2))
        of_share = np.diff(np.vstack([edge, of_cdf, edge]), axis=0)
        information += n * of_share.T @ (of_share / share[:, None])
    return information


def _hook_note(a: float, b: float) -> str:
    """Say so if the curve visibly dips below the diagonal (b ≠ 1) in the unit square."""
    rates = np.linspace(0.001, 0.999, 999)
    dip = float((rates - stats.norm.cdf(a + b * stats.norm.ppf(rates))).max())
    if dip < 0.01 or a < 0:
        return ""
    return (
        f"The fitted curve falls below the diagonal by up to {dip:.2f} (b = {b:.2f}); the "
        "empirical AUC is the safer number."
    )
