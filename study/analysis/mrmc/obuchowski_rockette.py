"""The Obuchowski–Rockette analysis of variance of readers' figures of merit.

θ̂_ij = μ + τ_i + R_j + (τR)_ij + ε_ij for condition i and reader j, with errors that are correlated
because all read the same cases: Cov₁ (same reader, different condition), Cov₂ (different reader,
same condition), Cov₃ (both different). With mean squares MS over the T × R table and

D = MS(TR) + max(R (Cov₂ − Cov₃), 0),

random readers and random cases: F = MS(T) / D on T − 1 and D² / (MS(TR)² / ((T − 1)(R − 1)))
degrees of freedom. Sources: Obuchowski & Rockette 1995, Commun Stat Simul 24:285; Hillis 2007, Stat
Med 26:596 (degrees of freedom); Hillis 2014, Stat Med 33:330 (fixed readers, fixed cases, single
conditions).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError

Array = NDArray[np.float64]
Generalise = Literal["readers and cases", "cases", "readers"]
"""What is taken for a random sample; the other is fixed at the study's own."""


@dataclass(frozen=True)
class Components:
    """Mean squares, error (co)variances and variance components.

    Parameters
    ----------
    ms_condition, ms_reader, ms_interaction
        MS(T), MS(R), MS(TR) of the T × R table.
    error, cov1, cov2, cov3
        Mean error variance and covariances.
    reader, interaction
        Variance components of readers and of reader × condition; may be negative.
    n_conditions, n_readers
        T and R.
    """

    ms_condition: float
    ms_reader: float
    ms_interaction: float
    error: float
    cov1: float
    cov2: float
    cov3: float
    reader: float
    interaction: float
    n_conditions: int
    n_readers: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each estimate that a variance cannot have."""
        found = [
            f"The variance component of {name} is estimated as {value:.3g}, below 0: it is small, "
            "or there are too few readers to tell."
            for name, value in (("readers", self.reader), ("reader × condition", self.interaction))
            if value < 0
        ]
        if self.cov2 < self.cov3:
            found.append(
                "Cov2 is estimated below Cov3, which cannot be; their difference is taken as 0 "
                "where readers are random."
            )
        return tuple(found)


@dataclass(frozen=True)
class Test:
    """A global test of no difference between conditions.

    Parameters
    ----------
    statistic
        F, or χ² where ``df2`` is ``None``; ``None`` if there is no variance to test against.
    df1, df2
        Degrees of freedom.
    p_value
        In [0, 1], or ``None``.
    """

    statistic: float | None
    df1: float
    df2: float | None
    p_value: float | None


@dataclass(frozen=True)
class Contrast:
    """An estimate with standard error and interval.

    Parameters
    ----------
    value
        A condition's mean figure of merit, or a difference of two.
    standard_error
        ≥ 0.
    df
        Of the t distribution; ``None``: normal.
    ci
        Interval at the level asked for.
    p_value
        Of a difference of 0; ``None`` for a single mean or without variance.
    """

    value: float
    standard_error: float
    df: float | None
    ci: tuple[float, float]
    p_value: float | None


def components(theta: Array, covariance: Array) -> Components:
    """Return what the analysis is made of.

    Parameters
    ----------
    theta
        Figures of merit, shape (T, R).
    covariance
        Error covariance of the cells, condition-major, shape (T · R, T · R).

    Raises
    ------
    AnalysisError
        If there are fewer than two conditions.
    """
    t, r = theta.shape
    if t < 2:
        raise AnalysisError("There is one condition; a comparison needs two.")
    grand = theta.mean()
    by_condition, by_reader = theta.mean(axis=1), theta.mean(axis=0)
    ms_condition = r * float(((by_condition - grand) ** 2).sum()) / (t - 1)
    rest = theta - by_condition[:, None] - by_reader[None, :] + grand
    ms_reader = t * float(((by_reader - grand) ** 2).sum()) / (r - 1) if r > 1 else 0.0
    ms_interaction = float((rest**2).sum()) / ((t - 1) * (r - 1)) if r > 1 else 0.0
    cells = covariance.reshape(t, r, t, r)
    error = float(np.einsum("ijij->", cells)) / (t * r)
    same_reader = float(np.einsum("ijkj->", cells))
    same_condition = float(np.einsum("ijik->", cells))
    own = error * t * r
    cov1 = (same_reader - own) / (t * (t - 1) * r)
    cov2 = (same_condition - own) / (t * r * (r - 1)) if r > 1 else 0.0
    others = float(cells.sum()) - same_reader - same_condition + own
    cov3 = others / (t * (t - 1) * r * (r - 1)) if r > 1 else 0.0
    return Components(
        ms_condition,
        ms_reader,
        ms_interaction,
        error,
        cov1,
        cov2,
        cov3,
        reader=(ms_reader - ms_interaction) / t - cov1 + cov3,
        interaction=ms_interaction - error + cov1 + (cov2 - cov3),
        n_conditions=t,
        n_readers=r,
    )


def global_test(
    parts: Components, generalise: Generalise = "readers and cases", *, truncate: bool = False
) -> Test:
    """Return the test of no difference between conditions.

    Parameters
    ----------
    parts
        See :func:`components`.
    generalise
        ``readers and cases``, ``cases`` (fixed readers: χ²) or ``readers`` (fixed cases: for two
        conditions the paired t test over readers).
    truncate
        Fixed readers only: take Cov₂ − Cov₃ as 0 where it is negative (Iowa OR-DBM). Without it
        the denominator is the estimated variance of the reader-averaged difference itself.
    """
    t = parts.n_conditions
    below, df2 = _denominator(parts, generalise, truncate)
    if below <= 0:
        return Test(None, t - 1, df2, None)
    if df2 is None:
        chi_square = (t - 1) * parts.ms_condition / below
        return Test(chi_square, t - 1, None, float(stats.chi2.sf(chi_square, t - 1)))
    f_value = parts.ms_condition / below
    return Test(f_value, t - 1, df2, float(stats.f.sf(f_value, t - 1, df2)))


def difference(
    theta: Array,
    parts: Components,
    pair: tuple[int, int] = (0, 1),
    generalise: Generalise = "readers and cases",
    *,
    truncate: bool = False,
    ci_level: float = 0.95,
) -> Contrast:
    """Return the first condition's mean minus the second's with SE² = 2/R times the denominator."""
    below, df = _denominator(parts, generalise, truncate)
    value = float(theta[pair[0]].mean() - theta[pair[1]].mean())
    error = float(np.sqrt(2 / parts.n_readers * max(below, 0.0)))
    return _contrast(value, error, df, ci_level, test=True)


def reader_difference(
    theta: Array,
    covariance: Array,
    reader: int,
    pair: tuple[int, int] = (0, 1),
    *,
    ci_level: float = 0.95,
) -> Contrast:
    """Return one reader's difference with a normal interval over cases.

    Error variance and Cov₁ are this reader's own, averaged over conditions.
    """
    t, r = theta.shape
    own = covariance.reshape(t, r, t, r)[:, reader, :, reader]
    variance = float(np.trace(own)) / t
    shared = (float(own.sum()) - float(np.trace(own))) / (t * (t - 1))
    value = float(theta[pair[0], reader] - theta[pair[1], reader])
    error = float(np.sqrt(max(2 * (variance - shared), 0.0)))
    return _contrast(value, error, None, ci_level, test=True)


def single_condition(
    theta: Array,
    covariance: Array,
    condition: int,
    generalise: Generalise = "readers and cases",
    *,
    ci_level: float = 0.95,
) -> Contrast:
    """Return a condition's mean with an interval from its own MS(R) and Cov₂, cut at 0 and 1.

    SE² = (MS(R) + max(R Cov₂, 0)) / R on that² / (MS(R)² / (R − 1)) degrees of freedom for random
    readers and cases; (σ²_ε + (R − 1) Cov₂) / R, normal, for fixed readers; MS(R) / R on R − 1 for
    fixed cases.

    Raises
    ------
    AnalysisError
        If readers are random and there is one.
    """
    t, r = theta.shape
    own = covariance.reshape(t, r, t, r)[condition, :, condition, :]
    values = theta[condition]
    mean = float(values.mean())
    if generalise == "cases":
        return _cut(_contrast(mean, float(np.sqrt(max(own.mean(), 0.0))), None, ci_level))
    _check_readers(r)
    ms_reader = float(values.var(ddof=1))
    cov2 = (float(own.sum()) - float(np.trace(own))) / (r * (r - 1))
    below = ms_reader + (max(r * cov2, 0.0) if generalise == "readers and cases" else 0.0)
    df = below**2 / (ms_reader**2 / (r - 1)) if ms_reader > 0 else None
    return _cut(_contrast(mean, float(np.sqrt(below / r)), df, ci_level))


def _denominator(
    parts: Components, generalise: Generalise, truncate: bool
) -> tuple[float, float | None]:
    """Return the denominator of F or χ² and its degrees of freedom (``None``: none, normal)."""
    t, r = parts.n_conditions, parts.n_readers
    apart = parts.cov2 - parts.cov3
    if generalise == "cases":
        apart = max(apart, 0.0) if truncate else apart
        return parts.error - parts.cov1 + (r - 1) * apart, None
    _check_readers(r)
    df = float((t - 1) * (r - 1))
    if generalise == "readers":
        return parts.ms_interaction, df
    below = parts.ms_interaction + max(r * apart, 0.0)
    if parts.ms_interaction <= 0:
        return below, None
    return below, below**2 / (parts.ms_interaction**2 / df)


def _check_readers(n_readers: int) -> None:
    if n_readers < 2:
        raise AnalysisError(
            "There is one reader; nothing can be said about readers like this one. Ask for these "
            "readers and cases like the study's instead."
        )


def _contrast(
    value: float, error: float, df: float | None, ci_level: float, *, test: bool = False
) -> Contrast:
    distribution = stats.norm if df is None else stats.t(df)
    reach = float(distribution.ppf(0.5 + ci_level / 2)) * error
    p_value = float(2 * distribution.sf(abs(value) / error)) if test and error > 0 else None
    return Contrast(value, error, df, (value - reach, value + reach), p_value)


def _cut(made: Contrast) -> Contrast:
    ci = (max(0.0, made.ci[0]), min(1.0, made.ci[1]))
    return Contrast(made.value, made.standard_error, made.df, ci, made.p_value)
