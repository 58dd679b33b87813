"""The two ratings that a reader gave to one case in a crossover, and what they say.

Differences of the two hold the effects of condition, session and position; their sums hold that of
the sequence, which is condition × session and carry-over at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from study.analysis.columns import natural_order
from study.analysis.design.parts import READING, by_t, welch
from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.mixed.linear import LmmFit, fit_lmm
from study.analysis.mixed.random_effects import RandomTerm, random_term
from study.analysis.robust import fit_least_squares, standard_errors

SHOWN_ONLY = "Shown only: a test of carry-over must not choose the analysis."
PER = 100.0
"""Readings that ``position`` is counted in."""


@dataclass(frozen=True, eq=False)
class Units:
    """A reader's two ratings of each case, one in either session and condition.

    Parameters
    ----------
    frame
        reader, case_id, finding, ``first`` and ``second`` (ratings by session), ``position_1`` and
        ``position_2`` (by session, if given), ``starts`` (the contrast's first condition first).
    sessions
        Names of the two.
    """

    frame: pd.DataFrame
    sessions: tuple[str, str]


def find_units(rows: pd.DataFrame, contrast: tuple[str, str], notes: list[str]) -> Units | None:
    """Pair the readings of a crossover of two sessions.

    Parameters
    ----------
    rows
        One row per reading: reader, case_id, finding, condition, session, value, and position if
        known.
    contrast
        Two conditions; ``starts`` is about the first.
    notes
        Gets a sentence for what stands in the way.

    Returns
    -------
    Units or None
        ``None`` where the readings are no such crossover.
    """
    sessions = _two_sessions(rows, notes)
    if sessions is None:
        return None
    key = list(READING)
    sides = [rows[rows["session"].astype(str) == name].set_index(key) for name in sessions]
    both = sides[0].index.intersection(sides[1].index, sort=False)
    first, second = (side.loc[both] for side in sides)
    crossed = (first["condition"] != second["condition"]).to_numpy(bool)
    made = pd.DataFrame({"first": first["value"], "second": second["value"]})
    made["starts"] = first["condition"] == contrast[0]
    if "position" in rows and rows["position"].notna().all():
        made["position_1"], made["position_2"] = first["position"], second["position"]
    made = made[crossed].reset_index()
    if made.empty:
        notes.append("No case was read by one reader under both conditions in two sessions.")
        return None
    return Units(made, sessions)


def _two_sessions(rows: pd.DataFrame, notes: list[str]) -> tuple[str, str] | None:
    if "session" not in rows or rows["session"].isna().any():
        notes.append("The sessions are not given: no period and no carry-over can be estimated.")
        return None
    sessions = natural_order(rows["session"].astype(str).unique())
    if len(sessions) != 2:
        notes.append(
            f"The two conditions were read in {len(sessions)} sessions; the rank tests of period "
            "and carry-over need two."
        )
        return None
    if rows.duplicated([*READING, "session"]).any():
        notes.append(
            "A reader read one case under both conditions in one session: the conditions and the "
            "sessions cannot be told apart by ranks."
        )
        return None
    return sessions[0], sessions[1]


def _differences(
    units: Units, contrast: tuple[str, str]
) -> tuple[np.ndarray, list[np.ndarray], list[str]]:
    """Return the differences, the columns they are regressed on, and what these mean."""
    sign = np.where(units.frame["starts"], 1.0, -1.0)
    d = sign * (units.frame["first"] - units.frame["second"]).to_numpy(float)
    columns = [np.ones(len(d)), -sign]
    names = [
        f"points, condition {contrast[0]} compared to {contrast[1]}",
        f"points, session {units.sessions[1]} compared to {units.sessions[0]}",
    ]
    if "position_1" in units.frame:
        moved = units.frame["position_1"] - units.frame["position_2"]
        columns.append(sign * moved.to_numpy(float) / PER)
        names.append(f"points, position in the session, per {PER:g} readings")
    return d, columns, names


def within_effects(
    units: Units | None,
    contrast: tuple[str, str],
    scope: Scope,
    ci_level: float,
    notes: list[str],
) -> tuple[Estimate, ...]:
    """Regress each difference, first condition minus second, on those of session and position.

    Parameters
    ----------
    units
        The paired readings, or ``None``.
    contrast
        First minus second.
    scope
        Population, role and counts.
    ci_level
        In (0, 1).
    notes
        Gets a sentence for what cannot be told apart.

    Returns
    -------
    tuple
        Condition, session, and position per 100 readings if known; empty without pairs.
    """
    if units is None:
        return ()
    d, columns, names = _differences(units, contrast)
    method = "least squares of within-reading differences, clustered by case (CR2), Satterthwaite t"
    kept, left = _independent(columns)
    notes += [f"{names[k]} cannot be told apart from the others." for k in left]
    design, cases = np.column_stack([columns[k] for k in kept]), units.frame["case_id"]
    if cases.nunique() < 2 or len(d) <= len(kept):
        notes.append("Too few cases for effects within readings.")
        return ()
    fit = fit_least_squares(design, d)
    errors = standard_errors(fit.covariance_clustered(cases, "CR2"))
    result = []
    for place, k in enumerate(kept):
        value, error = float(fit.coefficients[place]), float(errors[place])
        if error < 1e-12:
            note = "The differences follow exactly: no variation, so no interval."
            result.append(scope.estimate(names[k], value, method=method, note=note))
            continue
        df = fit.satterthwaite_df(cases, np.eye(len(kept))[place])
        result.append(by_t(scope, names[k], value, error, df, method=method, ci_level=ci_level))
    return tuple(result)


def _independent(columns: list[np.ndarray]) -> tuple[list[int], list[int]]:
    """Return which columns say something new, and which do not."""
    kept: list[int] = []
    for k in range(len(columns)):
        chosen = np.column_stack([columns[j] for j in (*kept, k)])
        if np.linalg.matrix_rank(chosen) == len(kept) + 1:
            kept.append(k)
    return kept, [k for k in range(len(columns)) if k not in kept]


def carry_over_effect(
    units: Units | None,
    contrast: tuple[str, str],
    scope: Scope,
    ci_level: float,
    notes: list[str],
) -> tuple[Estimate, ...]:
    """Compare the sums of the two ratings between sequences: condition × session.

    Parameters
    ----------
    units, contrast, scope, ci_level, notes
        As :func:`within_effects`.

    Returns
    -------
    tuple
        One estimate, which says that it is shown only; empty without pairs.
    """
    if units is None:
        return ()
    quantity = f"points, condition {contrast[0]} × session {units.sessions[1]} (carry-over)"
    method = "linear mixed model of the sums of both ratings, REML, Satterthwaite t"
    data = units.frame
    sums = data["first"] + data["second"]
    design = np.column_stack([np.ones(len(data)), ~data["starts"].to_numpy(bool)])
    terms = intercepts_of(data)
    try:
        if not terms:
            raise AnalysisError("One reader read every case once; there is no random effect.")
        fit = fit_lmm(sums, design, ("(Intercept)", "sequence"), terms)
    except AnalysisError as problem:
        if np.ptp(design[:, 1]) == 0 or len(data) < 4 or np.ptp(sums) == 0:
            return (scope.unavailable(quantity, method=method, note=f"{problem} {SHOWN_ONLY}"),)
        return (_sequence_t(sums, design[:, 1] > 0, scope, quantity, ci_level),)
    notes += [f"Carry-over: {note}" for note in fit.notes]
    return (coefficient_of(fit, 1, quantity, method, scope, ci_level, SHOWN_ONLY),)


def _sequence_t(
    sums: pd.Series, second: np.ndarray, scope: Scope, quantity: str, ci_level: float
) -> Estimate:
    """Return Welch's t of the sums of one reader."""
    method = "Welch t of the sums of both ratings between sequences"
    a, b = sums.to_numpy(float)[second], sums.to_numpy(float)[~second]
    if min(len(a), len(b)) < 2 or np.ptp(a) + np.ptp(b) < 1e-9:
        note = f"Too few cases in one sequence, or no variation. {SHOWN_ONLY}"
        return scope.unavailable(quantity, method=method, note=note)
    return welch(a, b, scope, quantity, method=method, ci_level=ci_level, note=SHOWN_ONLY)


def intercepts_of(data: pd.DataFrame) -> list[RandomTerm]:
    """Return the random intercepts of reader and case that can be told from the residual."""
    terms = []
    if data["reader"].nunique() > 1:
        terms.append(random_term("reader", data["reader"]))
    if 1 < data["case_id"].nunique() < len(data):
        terms.append(random_term("case", data["case_id"]))
    return terms


def coefficient_of(
    fit: LmmFit,
    k: int,
    quantity: str,
    method: str,
    scope: Scope,
    ci_level: float,
    note: str = "",
) -> Estimate:
    """Return one coefficient of a linear mixed model."""
    low, high = fit.intervals(ci_level)[k]
    df = float(fit.df[k])
    return scope.estimate(
        quantity,
        float(fit.coefficients[k]),
        ci=(float(low), float(high)),
        ci_level=ci_level,
        p_value=float(fit.p_values[k]),
        df=df if np.isfinite(df) else None,
        method=method,
        note=note,
    )


def label_of(name: str) -> str:
    """Return the name of a design column in words."""
    words = []
    for part in name.split(":"):
        for column in ("condition", "session"):
            if part.startswith(column) and part != column:
                words.append(f"{column} {part.removeprefix(column)}")
                break
        else:
            words.append(f"position, per {PER:g} readings" if part == "position" else part)
    return " × ".join(words)
