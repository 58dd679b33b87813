"""Non-inferiority: an interval against a margin that was declared, one-sided."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log

from scipy import stats

from study.analysis.estimate import AnalysisError, Estimate, Scope


def verdict(shown: bool, which: str, margin: float) -> str:
    """Say whether a limit of the interval is within the margin."""
    held = "is within" if shown else "is not within"
    word = "shown" if shown else "not shown"
    return f"The {which} limit {held} the margin {margin:g}: non-inferiority is {word}."


def at_margin(found: Estimate, margin: float, *, lower_is_better: bool = False) -> Estimate:
    """Return the one-sided test that a difference is not worse than its margin.

    Parameters
    ----------
    found
        A difference with a symmetric interval by t (or by the normal where it has no degrees of
        freedom), not cut at the ends of a scale.
    margin
        Largest acceptable loss, above 0.
    lower_is_better
        Whether a loss is an increase.

    Returns
    -------
    Estimate
        The same value and interval; p is one-sided.

    Raises
    ------
    AnalysisError
        If the margin is not above 0.
    """
    if not margin > 0:
        raise AnalysisError(f"The margin is {margin}; expected an acceptable loss above 0.")
    words = f"non-inferiority, {found.quantity}"
    method = f"{found.method}; one-sided test against {'' if lower_is_better else '−'}{margin:g}"
    own = Scope(found.population, found.role, found.n_readers, found.n_cases)
    if found.value is None or found.ci is None or found.ci_level is None:
        note = found.note or "There is no interval."
        return own.unavailable(words, method=method, note=note)
    law = stats.norm if found.df is None else stats.t(found.df)
    error = (found.ci[1] - found.ci[0]) / 2 / float(law.ppf(0.5 + found.ci_level / 2))
    distance = margin - found.value if lower_is_better else found.value + margin
    shown = found.ci[1] < margin if lower_is_better else found.ci[0] > -margin
    return own.estimate(
        words,
        found.value,
        ci=found.ci,
        ci_level=found.ci_level,
        p_value=float(law.sf(distance / error)),
        df=found.df,
        method=method,
        note=verdict(shown, "upper" if lower_is_better else "lower", margin),
    )


def ratio_at_margin(found: Estimate, margin: float) -> Estimate:
    """Return the one-sided test that a ratio, analysed on the log scale, is below its margin.

    Parameters
    ----------
    found
        A ratio with an interval symmetric on the log scale.
    margin
        Above 1.

    Raises
    ------
    AnalysisError
        If the margin is not above 1.
    """
    if not margin > 1:
        raise AnalysisError(f"The margin of a ratio is {margin}; expected above 1.")
    if found.value is None or found.ci is None:
        return at_margin(found, margin, lower_is_better=True)
    logs = replace(found, value=log(found.value), ci=(log(found.ci[0]), log(found.ci[1])))
    tested = at_margin(logs, log(margin), lower_is_better=True)
    low, high = tested.ci or logs.ci or found.ci
    return replace(
        tested,
        value=exp(tested.value if tested.value is not None else 0.0),
        ci=(exp(low), exp(high)),
        method=f"{found.method}; one-sided test against {margin:g}",
        note=verdict(found.ci[1] < margin, "upper", margin),
    )
