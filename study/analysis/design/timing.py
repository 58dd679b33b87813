"""How long readings take, on the log scale: ratios of geometric means between conditions.

Pauses are left out by a rule that is an argument, never by looking at the result, and what it
removed is reported by condition.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from study.analysis.columns import natural_order
from study.analysis.design.linear import condition_slope
from study.analysis.design.parts import READING, check_level, need, refuse_repeats, scope_of
from study.analysis.design.within import PER, intercepts_of, label_of
from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.groups import group_codes, group_means
from study.analysis.means import ALONE, mean_by_case, mean_over_readers, with_like_them
from study.analysis.mixed.fixed_design import fixed_design
from study.analysis.mixed.linear import LmmFit, fit_lmm
from study.analysis.mixed.random_effects import RandomTerm

_PURPOSE = "The analysis of reading times"


@dataclass(frozen=True)
class Removed:
    """What was left out of the times of one condition.

    Parameters
    ----------
    condition
        The condition.
    n_readings
        Readings with a time, before anything was left out.
    n_pauses
        Longer than the rule allows.
    n_not_positive
        Times of 0 or less, which have no logarithm.
    n_missing
        Readings without a time.
    longest_kept_s
        Longest time that stayed, in s; ``None`` if none did.
    """

    condition: str
    n_readings: int
    n_pauses: int
    n_not_positive: int
    n_missing: int
    longest_kept_s: float | None


@dataclass(frozen=True)
class ReadingTimes:
    """Reading times compared between two conditions.

    Parameters
    ----------
    contrast
        Conditions, first over second.
    rule
        The rule for pauses in words.
    removed
        What was left out, by condition.
    geometric_means
        In s, of each condition of the contrast.
    ratio
        Geometric mean ratio from a linear mixed model of log time (readers of the study).
    ratio_of_cases
        The same from a paired t of case means of log differences.
    ratio_over_readers
        For readers like them: t over the readers' mean log differences.
    ratio_random_readers
        For readers like them: mixed model with a condition slope over readers.
    by_reader
        Pairs (reader, ratio).
    learning
        Ratio per 100 places in the session, per session, and condition × place.
    notes
        What to mind.
    """

    contrast: tuple[str, str]
    rule: str
    removed: tuple[Removed, ...]
    geometric_means: tuple[Estimate, ...]
    ratio: Estimate
    ratio_of_cases: Estimate
    ratio_over_readers: Estimate
    ratio_random_readers: Estimate
    by_reader: tuple[tuple[str, Estimate], ...]
    learning: tuple[Estimate, ...]
    notes: tuple[str, ...]


def reading_times(
    frame: pd.DataFrame,
    contrast: tuple[str, str],
    *,
    pause_minutes: float | None,
    subset: str = "all",
    ci_level: float = 0.95,
) -> ReadingTimes:
    """Compare reading times.

    The mixed model is log time on condition, session and place in the session (per 100, where they
    are given and vary) with random intercepts of reader and case, REML, Satterthwaite t.

    Parameters
    ----------
    frame
        Canonical ratings with ``reading_time_s`` (the same in every item's row of a reading), and
        ``session`` and ``position`` if known; or one row per reading.
    contrast
        Two conditions; the ratio is the first over the second.
    pause_minutes
        Readings that took longer are pauses and left out; ``None`` keeps all.
    subset
        A correctness, or ``"all"``.
    ci_level
        In (0, 1).

    Raises
    ------
    AnalysisError
        If there is no column of times, a condition has no time left, or rows contradict each other.
    """
    check_level(ci_level)
    if pause_minutes is not None and not pause_minutes > 0:
        raise AnalysisError(
            f"The longest reading is {pause_minutes} minutes; expected a number above 0, or none."
        )
    times = one_row_per_reading(frame, contrast, subset)
    kept, removed = _apart(times, contrast, pause_minutes)
    kept = kept.assign(log_s=np.log(kept["reading_time_s"].to_numpy(float)))
    scope = scope_of(kept)
    notes: list[str] = []
    pairs = _pairs(kept, contrast)
    if pairs.empty:
        notes.append("No reader has a time for one case under both conditions: no paired ratio.")
    model = _model(kept, contrast, scope, ci_level, notes)
    return ReadingTimes(
        contrast=contrast,
        rule=_rule(pause_minutes),
        removed=removed,
        geometric_means=tuple(_geometric_mean(kept, name, ci_level) for name in contrast),
        ratio=model[0],
        ratio_of_cases=_of_cases(pairs, scope, ci_level),
        ratio_over_readers=_exponent(
            mean_over_readers(
                pairs["d"], pairs["reader"], scope, _ratio_words(contrast), ci_level=ci_level
            )
        ),
        ratio_random_readers=_random_readers(kept, contrast, scope, ci_level),
        by_reader=_by_reader(pairs, contrast, ci_level),
        learning=model[1:],
        notes=tuple(dict.fromkeys(notes)),
    )


def one_row_per_reading(
    frame: pd.DataFrame, contrast: tuple[str, str], subset: str = "all"
) -> pd.DataFrame:
    """Return one row for each reading with its time.

    Raises
    ------
    AnalysisError
        If columns are missing, a condition does not occur, or one reading has two times.
    """
    need(frame, (*READING, "condition", "reading_time_s"), _PURPOSE)
    rows = frame[frame["condition"].isin(contrast)]
    if subset != "all":
        need(frame, ("correctness",), _PURPOSE)
        rows = rows[rows["correctness"] == subset]
    for condition in contrast:
        if not (rows["condition"] == condition).any():
            raise AnalysisError(
                f"{_PURPOSE} finds no reading under condition {condition!r} in the subset "
                f"{subset!r}."
            )
    key = [*READING, "condition"] + (["session"] if "session" in rows else [])
    times = rows.groupby(key, sort=False, dropna=False)["reading_time_s"].nunique()
    if (times > 1).any():
        where = times.index[(times > 1).to_numpy()][0]
        raise AnalysisError(
            f"{_PURPOSE} finds {int(times.max())} different times of one reading (reader "
            f"{where[0]}, case {where[1]}); expected the same in every item's row."
        )
    longest = rows.sort_values("reading_time_s", kind="stable", na_position="last")
    single = longest.drop_duplicates(key).sort_index().reset_index(drop=True)
    refuse_repeats(single, _PURPOSE)
    return single


def _apart(
    times: pd.DataFrame, contrast: tuple[str, str], pause_minutes: float | None
) -> tuple[pd.DataFrame, tuple[Removed, ...]]:
    """Leave out pauses, times that are not positive and missing ones, and count them."""
    seconds = times["reading_time_s"].astype(float)
    limit = np.inf if pause_minutes is None else 60 * pause_minutes
    good = (seconds > 0) & (seconds <= limit)
    removed = []
    for condition in contrast:
        here = times["condition"] == condition
        own, kept = seconds[here], seconds[here & good]
        removed.append(
            Removed(
                condition=condition,
                n_readings=int(own.notna().sum()),
                n_pauses=int((own > limit).sum()),
                n_not_positive=int((own <= 0).sum()),
                n_missing=int(own.isna().sum()),
                longest_kept_s=float(kept.max()) if len(kept) else None,
            )
        )
        if kept.empty:
            raise AnalysisError(
                f"{_PURPOSE} has no time left under condition {condition!r}: "
                f"{removed[-1].n_pauses} pauses, {removed[-1].n_not_positive} not above 0, "
                f"{removed[-1].n_missing} missing."
            )
    return times[good].reset_index(drop=True), tuple(removed)


def _rule(pause_minutes: float | None) -> str:
    if pause_minutes is None:
        return "No reading was left out as a pause."
    return f"Readings of more than {pause_minutes:g} minutes are pauses and were left out."


def _ratio_words(contrast: tuple[str, str]) -> str:
    return f"geometric mean ratio of reading times, {contrast[0]} / {contrast[1]}"


def _exponent(estimate: Estimate, unit: str = "") -> Estimate:
    """Return an estimate on the log scale as a ratio (or, with a unit, a geometric mean)."""
    method = f"exp of the {estimate.method}" if unit else f"log times; {estimate.method}"
    if estimate.value is None:
        return replace(estimate, method=method)
    ci = estimate.ci
    return replace(
        estimate,
        value=float(np.exp(estimate.value)),
        ci=None if ci is None else (float(np.exp(ci[0])), float(np.exp(ci[1]))),
        p_value=None if unit else estimate.p_value,
        method=method,
    )


def _geometric_mean(kept: pd.DataFrame, condition: str, ci_level: float) -> Estimate:
    rows = kept[kept["condition"] == condition]
    quantity = f"geometric mean reading time under {condition}, s"
    found = mean_by_case(
        rows["log_s"], rows["case_id"], scope_of(rows), quantity, ci_level=ci_level
    )
    return _exponent(found, "s")


def _pairs(kept: pd.DataFrame, contrast: tuple[str, str]) -> pd.DataFrame:
    """Return reader, case_id, finding and d, the difference of log times within a reading."""
    wide = kept.pivot(index=list(READING), columns="condition", values="log_s")
    wide = wide.dropna()
    return pd.DataFrame({"d": wide[contrast[0]] - wide[contrast[1]]}).reset_index()


def _of_cases(pairs: pd.DataFrame, scope: Scope, ci_level: float) -> Estimate:
    """Return the paired t over case means of log differences, as a ratio."""
    quantity = "geometric mean ratio of reading times over cases"
    codes, n = group_codes(pairs["case_id"])
    means = group_means(pairs["d"], codes, n) if n else np.zeros(0)
    method = "paired t of case means of log time"
    if n < 2:
        note = f"{n} cases with both conditions: a paired t needs two."
        return scope.unavailable(quantity, method=method, note=note)
    found = mean_by_case(means, np.arange(n), scope, quantity, ci_level=ci_level)
    return replace(_exponent(found), method=f"{method}, cases − 1 df")


def _by_reader(
    pairs: pd.DataFrame, contrast: tuple[str, str], ci_level: float
) -> tuple[tuple[str, Estimate], ...]:
    result = []
    for reader in natural_order(pairs["reader"].unique()):
        rows = pairs[pairs["reader"] == reader]
        own = mean_by_case(
            rows["d"], rows["case_id"], scope_of(rows), _ratio_words(contrast), ci_level=ci_level
        )
        result.append((reader, _exponent(own)))
    return tuple(result)


def _terms(kept: pd.DataFrame, notes: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the table with the place counted in hundreds, and the fixed effects it can serve."""
    data, terms = kept.copy(), ["condition"]
    if "session" in data and data["session"].notna().all() and data["session"].nunique() > 1:
        terms.append("session")
    if "position" in data and data["position"].notna().all() and data["position"].nunique() > 1:
        data["position"] = (data["position"] - 1) / PER
        terms.append("position")
    else:
        notes.append("The place in the session is not given or does not vary: no learning curve.")
    return data, terms


def _model(
    kept: pd.DataFrame,
    contrast: tuple[str, str],
    scope: Scope,
    ci_level: float,
    notes: list[str],
) -> tuple[Estimate, ...]:
    """Return the ratio, then the other effects, then condition × place."""
    data, terms = _terms(kept, notes)
    random = intercepts_of(data)
    words = _ratio_words(contrast)
    try:
        if not random:
            raise AnalysisError("One reader and no case read twice: no random effect.")
        fit, columns = _fit(data, terms, contrast, random)
    except AnalysisError as problem:
        return (scope.unavailable(words, method="linear mixed model", note=str(problem)),)
    notes += fit.notes
    found = [_of(fit, k, words if k == 1 else "", scope, ci_level) for k in columns]
    if columns[:1] != [1] or not fit.names[1].startswith("condition"):
        note = "The conditions cannot be told apart from the other terms."
        found.insert(0, scope.unavailable(words, method="linear mixed model", note=note))
    if "position" in terms:
        crossed, last = _fit(data, [*terms, "condition:position"], contrast, random)
        found += [_of(crossed, k, "", scope, ci_level) for k in last if ":" in crossed.names[k]]
    return tuple(found)


def _fit(
    data: pd.DataFrame, terms: list[str], contrast: tuple[str, str], random: list[RandomTerm]
) -> tuple[LmmFit, list[int]]:
    design = fixed_design(data, terms, {"condition": contrast[1]}).with_intercept()
    fit = fit_lmm(data["log_s"], design.matrix, design.names, random)
    return fit, list(range(1, len(design.names)))


def _of(fit: LmmFit, k: int, words: str, scope: Scope, ci_level: float) -> Estimate:
    """Return one coefficient as a ratio."""
    low, high = fit.intervals(ci_level)[k]
    df = float(fit.df[k])
    factors = ", ".join(f"{part.name} ({' + '.join(part.columns)})" for part in fit.components[:-1])
    return _exponent(
        scope.estimate(
            words or f"ratio of reading times, {label_of(fit.names[k])}",
            float(fit.coefficients[k]),
            ci=(float(low), float(high)),
            ci_level=ci_level,
            p_value=float(fit.p_values[k]),
            df=df if np.isfinite(df) else None,
            method=f"linear mixed model, REML, random {factors}, Satterthwaite t",
        )
    )


def _random_readers(
    kept: pd.DataFrame, contrast: tuple[str, str], scope: Scope, ci_level: float
) -> Estimate:
    """Return the ratio from the model with a condition slope over readers."""
    like, words = with_like_them(scope), _ratio_words(contrast)
    method = "linear mixed model, random condition slope over readers"
    if scope.n_readers < 2:
        return like.unavailable(words, method=method, note=ALONE)
    data, terms = _terms(kept, [])
    slope = condition_slope(data, contrast)
    random = [slope, *(term for term in intercepts_of(data) if term.name != "reader")]
    try:
        fit, _ = _fit(data, terms, contrast, random)
    except AnalysisError as problem:
        return like.unavailable(words, method=method, note=str(problem))
    if not fit.names[1].startswith("condition"):
        note = "The conditions cannot be told apart from the other terms."
        return like.unavailable(words, method=method, note=note)
    found = _of(fit, 1, words, like, ci_level)
    advice = "p may be too small then; rely on t over readers." if fit.singular else ""
    return replace(found, note=" ".join((*fit.notes, advice)).strip())
