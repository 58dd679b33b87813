"""The mean paired difference for readers *and* cases like the study's.

Readers vary in what a condition does for them, and so do cases; a study draws both. With the
differences d_jk of reader j and case k taken for μ + r_j + c_k + e_jk, the variance of their mean
is the sum of a part from readers and a part from cases,

V R C = A + B,  A = max(MSR, MSE),  B = max(MSC − MSE, 0),
df = (A + B)² / (A²/(R − 1) + B²/(C − 1)).

This is the analysis of Obuchowski and Rockette with the mean rating for a figure of merit (Hillis,
Stat Med 2007;26:596), but for two things that keep its level. The variance component of readers
counts as 0 where its estimate is negative: a mean square of 3 readers that is small by chance would
otherwise give a small variance *and* many degrees of freedom (of 15,000 simulated studies without
effect 5.5 to 6.6 % were rejected with 3 or 4 readers, so 1.3 to 5.5 %). And the part from cases has
its C − 1 degrees of freedom instead of endlessly many. With missing cells the components come from
the method of moments (Henderson's first, Biometrics 1953;9:226), the same where none is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.groups import group_codes

Array = NDArray[np.float64]
METHOD = (
    "mean of the differences, random readers and cases (analysis of variance, variances not below "
    "0, Satterthwaite's degrees of freedom)"
)


@dataclass(frozen=True, eq=False)
class CrossedMeans:
    """Mean differences of S studies and what they are tested by; each of shape (S,).

    Parameters
    ----------
    mean
        Mean difference.
    reader_part, case_part
        Parts of its variance from readers (and the rest) and from cases, the latter not below 0.
    df
        Degrees of freedom; nan where nothing varies over readers.
    """

    mean: Array
    reader_part: Array
    case_part: Array
    df: Array

    @property
    def standard_error(self) -> Array:
        """Of the mean."""
        return np.sqrt(self.reader_part + self.case_part)

    @property
    def p_values(self) -> Array:
        """Two-sided p-values; nan where nothing varies."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(
                2 * stats.t.sf(np.abs(self.mean) / self.standard_error, self.df), dtype=float
            )


def crossed_means(differences: ArrayLike) -> CrossedMeans:
    """Analyse many studies of one size at once.

    Parameters
    ----------
    differences
        Shape (S, R, C), nan where a pair is missing.

    Raises
    ------
    AnalysisError
        If there are fewer than two readers or two cases.
    """
    d = np.asarray(differences, dtype=float)
    if d.ndim != 3 or min(d.shape[1:]) < 2:
        raise AnalysisError(
            f"Differences of shape {d.shape} cannot speak for readers and cases; expected studies "
            "× at least two readers × at least two cases."
        )
    there = np.isfinite(d)
    d = np.where(there, d, 0.0)
    by_reader, by_case = there.sum(axis=2), there.sum(axis=1)  # (S, R), (S, C)
    n = np.maximum(by_reader.sum(axis=1), 1)
    n_readers, n_cases = (by_reader > 0).sum(axis=1), (by_case > 0).sum(axis=1)
    mean = d.sum(axis=(1, 2)) / n
    centred = np.where(there, d - mean[:, None, None], 0.0)
    over_readers = (centred.sum(axis=2) ** 2 / np.maximum(by_reader, 1)).sum(axis=1)
    over_cases = (centred.sum(axis=1) ** 2 / np.maximum(by_case, 1)).sum(axis=1)
    over_all = (centred**2).sum(axis=(1, 2))
    typical_reader = (by_reader.astype(float) ** 2).sum(axis=1) / n
    typical_case = (by_case.astype(float) ** 2).sum(axis=1) / n
    system = np.stack(
        [
            np.stack([n - typical_reader, n_readers - typical_case, n_readers - 1.0], axis=1),
            np.stack([n_cases - typical_reader, n - typical_case, n_cases - 1.0], axis=1),
            np.stack([n - typical_reader, n - typical_case, n - 1.0], axis=1),
        ],
        axis=1,
    )
    solvable = (n_readers > 1) & (n_cases > 1) & (n > n_readers + n_cases)
    system[~solvable] = np.eye(3)
    sums = np.stack([over_readers, over_cases, over_all], axis=1)
    reader, case, rest = np.linalg.solve(system, sums[..., None])[..., 0].T
    reader_part = np.maximum((typical_reader * np.maximum(reader, 0.0) + rest) / n, 0.0)
    case_part = np.maximum(typical_case * case / n, 0.0)
    reader_part = np.where(reader_part < 1e-15, 0.0, reader_part)
    with np.errstate(invalid="ignore", divide="ignore"):
        df = (reader_part + case_part) ** 2 / (
            reader_part**2 / (n_readers - 1) + case_part**2 / (n_cases - 1)
        )
    df = np.where(solvable & np.isfinite(df), df, np.nan)
    return CrossedMeans(mean, reader_part, case_part, df)


def crossed_mean_difference(
    differences: ArrayLike,
    readers: ArrayLike,
    cases: ArrayLike,
    scope: Scope,
    *,
    ci_level: float = 0.95,
) -> Estimate:
    """Return the mean difference with an interval for readers and cases like the study's.

    Parameters
    ----------
    differences, readers, cases
        Shape (n,): one row for each pair; a reader and case occur together once.
    scope
        Population ``readers like them``, role and counts.
    ci_level
        In (0, 1).

    Raises
    ------
    AnalysisError
        If a reader and case occur together more than once.
    """
    d = np.asarray(differences, dtype=float)
    row, n_readers = group_codes(readers)
    column, n_cases = group_codes(cases)
    quantity = "mean difference, readers and cases like these"
    if n_readers < 2 or n_cases < 2:
        what = "One reader" if n_readers < 2 else "One case"
        note = f"{what}: others like it cannot be spoken for."
        return scope.unavailable(quantity, method=METHOD, note=note)
    grid = np.full((1, n_readers, n_cases), np.nan)
    grid[0, row, column] = d
    if int(np.isfinite(grid).sum()) != len(d):
        raise AnalysisError(
            "A reader has several differences for one case; expected one. Average them, or count "
            "case and finding together as the case."
        )
    found = crossed_means(grid)
    value, error, df = (float(v[0]) for v in (found.mean, found.standard_error, found.df))
    if not np.isfinite(df) or error < 1e-12:
        note = (
            "Nothing varies over readers, or too few pairs are left: no interval can be given for "
            "readers like these."
        )
        return scope.estimate(quantity, value, method=METHOD, note=note)
    reach = float(stats.t.ppf(0.5 + ci_level / 2, df)) * error
    share = float(found.reader_part[0]) / error**2
    return scope.estimate(
        quantity,
        value,
        ci=(value - reach, value + reach),
        ci_level=ci_level,
        p_value=float(found.p_values[0]),
        df=df,
        method=METHOD,
        note=(
            f"speaks for cases like the study's too; {100 * share:.0f} % of the variance comes "
            "from readers, which more cases do not remove"
        ),
    )
