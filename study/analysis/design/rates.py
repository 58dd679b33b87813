"""False positives per reading, such as marks, also for non-inferiority.

Counts are over-dispersed and come in clusters: the rate ratio is by Poisson estimating equations
with errors clustered by case, never by a plain Poisson model. The margin is declared, on the scale
of the ratio (such as 1.25) or of the difference per reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from study.analysis.cells import NOT_GIVEN
from study.analysis.design.margins import at_margin, ratio_at_margin
from study.analysis.design.parts import READING, check_level, need, refuse_repeats, scope_of
from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.gee import fit_gee
from study.analysis.groups import group_codes, group_means
from study.analysis.means import mean_by_case, mean_over_readers
from study.analysis.mixed.fixed_design import fixed_design

_RATES = "The analysis of false-positive rates"
_GEE = "Poisson estimating equations, independence, sandwich errors by case"


@dataclass(frozen=True)
class FalsePositiveRates:
    """Counts per reading compared between two conditions.

    Parameters
    ----------
    contrast
        Conditions, first against second.
    rates
        Mean count per reading under each.
    ratio
        Rate ratio, adjusted for session and reader.
    ratio_non_inferior
        One-sided test that the ratio is below the margin; ``None`` without a margin.
    difference
        Mean difference per reading over cases (paired t of case means).
    difference_non_inferior
        One-sided test that the difference is below the margin; ``None`` without a margin.
    over_readers
        The difference for readers like them.
    notes
        What to mind.
    """

    contrast: tuple[str, str]
    rates: tuple[Estimate, ...]
    ratio: Estimate
    ratio_non_inferior: Estimate | None
    difference: Estimate
    difference_non_inferior: Estimate | None
    over_readers: Estimate
    notes: tuple[str, ...]


def false_positive_rates(
    frame: pd.DataFrame,
    contrast: tuple[str, str],
    *,
    count: str = "count",
    margin_ratio: float | None = None,
    margin_difference: float | None = None,
    ci_level: float = 0.95,
) -> FalsePositiveRates:
    """Compare counts per reading, such as false-positive marks.

    Parameters
    ----------
    frame
        One row per reading: reader, case_id, condition, the counts, and if known finding and
        session.
    contrast
        Two conditions, the first against the second.
    count
        Column of counts, whole numbers of at least 0; missing ones are left out.
    margin_ratio
        Largest acceptable rate ratio, above 1.
    margin_difference
        Largest acceptable increase per reading, above 0.
    ci_level
        In (0, 1); tests of margins are one-sided at half of 1 − ``ci_level``.

    Raises
    ------
    AnalysisError
        If columns or a condition are missing, a count is not one, rows repeat, or a margin is out
        of range.
    """
    check_level(ci_level)
    if margin_ratio is not None and not margin_ratio > 1:
        raise AnalysisError(f"The margin of the rate ratio is {margin_ratio}; expected above 1.")
    if margin_difference is not None and not margin_difference > 0:
        raise AnalysisError(
            f"The margin of the rate difference is {margin_difference}; expected above 0."
        )
    rows = _count_rows(frame, contrast, count)
    scope = scope_of(rows)
    notes: list[str] = []
    ratio = _ratio(rows, contrast, scope, ci_level, notes)
    pairs = _count_pairs(rows, contrast)
    words = f"false positives per reading, {contrast[0]} − {contrast[1]}"
    difference, at_margin = _case_difference(pairs, scope, words, ci_level, margin_difference)
    return FalsePositiveRates(
        contrast=contrast,
        rates=tuple(_rate(rows, name, ci_level) for name in contrast),
        ratio=ratio,
        ratio_non_inferior=None if margin_ratio is None else ratio_at_margin(ratio, margin_ratio),
        difference=difference,
        difference_non_inferior=at_margin,
        over_readers=mean_over_readers(
            pairs["d"], pairs["reader"], scope, words, ci_level=ci_level
        ),
        notes=tuple(notes),
    )


def _count_rows(frame: pd.DataFrame, contrast: tuple[str, str], count: str) -> pd.DataFrame:
    need(frame, ("reader", "case_id", "condition", count), _RATES)
    rows = frame[frame["condition"].isin(contrast) & frame[count].notna()].copy()
    if "finding" not in rows:
        rows["finding"] = NOT_GIVEN
    rows["count"] = pd.to_numeric(rows[count], errors="coerce").astype(float)
    wrong = ~((rows["count"] >= 0) & (rows["count"] % 1 == 0))
    if wrong.any():
        raise AnalysisError(
            f"{_RATES} finds a count of {rows.loc[wrong, count].iloc[0]!r}; expected whole numbers "
            "of at least 0."
        )
    for condition in contrast:
        if not (rows["condition"] == condition).any():
            raise AnalysisError(f"{_RATES} finds no count under condition {condition!r}.")
    refuse_repeats(rows, _RATES)
    return rows.reset_index(drop=True)


def _rate(rows: pd.DataFrame, condition: str, ci_level: float) -> Estimate:
    own = rows[rows["condition"] == condition]
    words = f"false positives per reading under {condition}"
    ends = (0.0, float("inf"))
    return mean_by_case(
        own["count"], own["case_id"], scope_of(own), words, ci_level=ci_level, limits=ends
    )


def _ratio(
    rows: pd.DataFrame,
    contrast: tuple[str, str],
    scope: Scope,
    ci_level: float,
    notes: list[str],
) -> Estimate:
    """Return the rate ratio."""
    words = f"rate ratio of false positives, {contrast[0]} / {contrast[1]}"
    totals = [float(rows.loc[rows["condition"] == name, "count"].sum()) for name in contrast]
    if min(totals) == 0:
        note = (
            f"{totals[0]:g} false positives under {contrast[0]} and {totals[1]:g} under "
            f"{contrast[1]}: a ratio needs some under both."
        )
        return scope.unavailable(words, method=_GEE, note=note)
    terms = ["condition"]
    if "session" in rows and rows["session"].notna().all() and rows["session"].nunique() > 1:
        terms.append("session")
    if rows["reader"].nunique() > 1:
        terms.append("reader")
    design = fixed_design(rows, terms, {"condition": contrast[1]})
    wide = design.with_intercept()
    try:
        with np.errstate(invalid="ignore"):  # without variation the sandwich may fall below 0
            fit = fit_gee(rows["count"], wide.matrix, wide.names, rows["case_id"], family="poisson")
    except AnalysisError as problem:
        return scope.unavailable(words, method=_GEE, note=str(problem))
    notes += fit.notes
    beta, error = float(fit.coefficients[1]), float(fit.standard_errors[1])
    method = f"{_GEE}; adjusted for {', '.join(terms[1:])}" if len(terms) > 1 else _GEE
    if not error > 1e-12:
        note = "No variation between the cases: no interval."
        return scope.estimate(words, float(np.exp(beta)), method=method, note=note)
    reach = float(stats.norm.ppf(0.5 + ci_level / 2)) * error
    return scope.estimate(
        words,
        float(np.exp(beta)),
        ci=(float(np.exp(beta - reach)), float(np.exp(beta + reach))),
        ci_level=ci_level,
        p_value=float(2 * stats.norm.sf(abs(beta) / error)),
        method=method,
    )


def _count_pairs(rows: pd.DataFrame, contrast: tuple[str, str]) -> pd.DataFrame:
    wide = rows.pivot(index=list(READING), columns="condition", values="count").dropna()
    return pd.DataFrame({"d": wide[contrast[0]] - wide[contrast[1]]}).reset_index()


def _case_difference(
    pairs: pd.DataFrame, scope: Scope, words: str, ci_level: float, margin: float | None
) -> tuple[Estimate, Estimate | None]:
    """Return the paired t of case means, and the test against a margin above it."""
    codes, n = group_codes(pairs["case_id"])
    means = group_means(pairs["d"], codes, n) if n else np.zeros(0)
    found = mean_by_case(means, np.arange(n), scope, words, ci_level=ci_level)
    if margin is None:
        return found, None
    return found, at_margin(found, margin, lower_is_better=True)
