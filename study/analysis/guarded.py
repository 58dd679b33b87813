"""The Obuchowski–Rockette test with variances not below 0: for a confirmatory comparison of AUCs.

With few readers the test with Hillis' degrees of freedom rejects a little too often (docs:
calibration), because a mean square of readers that is small by chance gives a small denominator and
many degrees of freedom. Here the variance component of reader × condition counts as 0 where its
estimate is negative, as in :mod:`study.analysis.crossed_mean`:

D = A + B,  A = max(MS(TR), σ²_ε − Cov₁ − (Cov₂ − Cov₃)),  B = max(R (Cov₂ − Cov₃), 0),
df = D² / (A² / ((T − 1)(R − 1))).
"""

from __future__ import annotations

from scipy import stats

from study.analysis.estimate import AnalysisError
from study.analysis.mrmc.obuchowski_rockette import Components, Test


def guarded_test(parts: Components) -> Test:
    """Return the test of no difference between conditions, random readers and cases.

    Parameters
    ----------
    parts
        Of :func:`study.analysis.mrmc.obuchowski_rockette.components`.

    Raises
    ------
    AnalysisError
        If there is one reader.
    """
    t, r = parts.n_conditions, parts.n_readers
    if r < 2:
        raise AnalysisError(
            "There is one reader; nothing can be said about readers like this one. Ask for these "
            "readers and cases like the study's instead."
        )
    apart = max(parts.cov2 - parts.cov3, 0.0)
    from_readers = max(parts.ms_interaction, parts.error - parts.cov1 - apart, 0.0)
    below = from_readers + r * apart
    if from_readers <= 0 or below <= 0:
        return Test(None, t - 1, None, None)
    df2 = below**2 / (from_readers**2 / ((t - 1) * (r - 1)))
    f_value = parts.ms_condition / below
    return Test(f_value, t - 1, df2, float(stats.f.sf(f_value, t - 1, df2)))
