"""The Dorfman–Berbaum–Metz analysis: a three-way analysis of variance of jackknife pseudo-values.

Y_ijk = C θ̂_ij − (C − 1) θ̂_ij(k) is taken for an observation of condition i, reader j and case k.
With Hillis's degrees of freedom and without model reduction it is the Obuchowski–Rockette analysis
with jackknife covariances (Hillis, Berbaum & Metz 2008, Acad Radiol 15:647). Source: Dorfman,
Berbaum & Metz 1992, Invest Radiol 27:723.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from study.analysis.estimate import AnalysisError
from study.analysis.mrmc.merit import Outcome, figures_of_merit, jackknife_values
from study.analysis.mrmc.obuchowski_rockette import Test
from study.analysis.mrmc.scores import ReaderScores

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DbmAnalysis:
    """Mean squares and variance components of the pseudo-values.

    Parameters
    ----------
    ms_condition, ms_condition_reader, ms_condition_case, ms_residual
        MS(T), MS(TR), MS(TC), MS(TRC).
    reader, case, condition_reader, condition_case, reader_case, residual
        Variance components; may be negative.
    test
        Random readers and random cases.
    """

    ms_condition: float
    ms_condition_reader: float
    ms_condition_case: float
    ms_residual: float
    reader: float
    case: float
    condition_reader: float
    condition_case: float
    reader_case: float
    residual: float
    test: Test


def pseudo_values(scores: ReaderScores, outcome: Outcome = "auc") -> Array:
    """Return the jackknife pseudo-values, shape (T, R, C)."""
    n = scores.values.shape[2]
    whole = figures_of_merit(scores, outcome)[:, :, None]
    return n * whole - (n - 1) * jackknife_values(scores, outcome)


def dbm_analysis(scores: ReaderScores, outcome: Outcome = "auc") -> DbmAnalysis:
    """Analyse the pseudo-values of a fully crossed design.

    Raises
    ------
    AnalysisError
        If readings are missing, or there are fewer than two conditions or readers.
    """
    if scores.n_missing:
        raise AnalysisError(
            f"{scores.n_missing} readings are missing; the DBM analysis needs a fully crossed "
            "design. Use U-statistics."
        )
    t, r, c = scores.values.shape
    if t < 2 or r < 2:
        raise AnalysisError(
            f"There are {t} conditions and {r} readers; the DBM analysis needs two of each."
        )
    squares = _mean_squares(pseudo_values(scores, outcome))
    ms_t, ms_r, ms_c, ms_tr, ms_tc, ms_rc, ms_trc = squares
    below = ms_tr + max(ms_tc - ms_trc, 0.0)
    df1, df2 = float(t - 1), float((t - 1) * (r - 1))
    if ms_tr > 0:
        df2 = below**2 / (ms_tr**2 / df2)
    f_value = ms_t / below if below > 0 else None
    p_value = None if f_value is None else float(stats.f.sf(f_value, df1, df2))
    return DbmAnalysis(
        ms_t,
        ms_tr,
        ms_tc,
        ms_trc,
        reader=(ms_r - ms_tr - ms_rc + ms_trc) / (t * c),
        case=(ms_c - ms_tc - ms_rc + ms_trc) / (t * r),
        condition_reader=(ms_tr - ms_trc) / c,
        condition_case=(ms_tc - ms_trc) / r,
        reader_case=(ms_rc - ms_trc) / t,
        residual=ms_trc,
        test=Test(f_value, df1, df2, p_value),
    )


def _mean_squares(y: Array) -> tuple[float, ...]:
    """Return MS of T, R, C, TR, TC, RC and TRC of a balanced three-way table."""
    t, r, c = y.shape
    grand = y.mean()
    one = [y.mean(axis=axes) - grand for axes in ((1, 2), (0, 2), (0, 1))]
    tr = y.mean(axis=2) - grand - one[0][:, None] - one[1][None, :]
    tc = y.mean(axis=1) - grand - one[0][:, None] - one[2][None, :]
    rc = y.mean(axis=0) - grand - one[1][:, None] - one[2][None, :]
    main = one[0][:, None, None] + one[1][None, :, None] + one[2][None, None, :]
    rest = y - grand - main - tr[:, :, None] - tc[:, None, :] - rc[None, :, :]
    return (
        r * c * float((one[0] ** 2).sum()) / (t - 1),
        t * c * float((one[1] ** 2).sum()) / (r - 1),
        t * r * float((one[2] ** 2).sum()) / (c - 1),
        c * float((tr**2).sum()) / ((t - 1) * (r - 1)),
        r * float((tc**2).sum()) / ((t - 1) * (c - 1)),
        t * float((rc**2).sum()) / ((r - 1) * (c - 1)),
        float((rest**2).sum()) / ((t - 1) * (r - 1) * (c - 1)),
    )
