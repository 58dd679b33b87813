"""Everything reported about the agreement of the readers on one item under one condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from study.analysis.agreement.alpha import kendall_w, krippendorff_alpha
from study.analysis.agreement.bland_altman import BlandAltman, bland_altman
from study.analysis.agreement.icc import FORMS, intraclass_correlations
from study.analysis.agreement.icc_reml import icc_by_reml
from study.analysis.agreement.intra import IntraReader, intra_reader
from study.analysis.agreement.kappa import light_kappa, pairwise_kappas
from study.analysis.agreement.multirater import (
    brennan_prediger,
    conger_kappa,
    fleiss_kappa,
    gwet_ac,
    percent_agreement,
)
from study.analysis.agreement.ratings import RatingMatrix, Weights, matrix_of_table
from study.analysis.columns import natural_order
from study.analysis.estimate import AnalysisError, Estimate, Scope


@dataclass(frozen=True)
class PairAgreement:
    """Two readers.

    Parameters
    ----------
    readers
        Their names.
    n_units
        Units that both rated.
    kappa
        Weighted kappa; ``None`` for a continuous measurement.
    limits
        Bland–Altman analysis; ``None`` for categories or fewer than three units.
    """

    readers: tuple[str, str]
    n_units: int
    kappa: Estimate | None
    limits: BlandAltman | None


@dataclass(frozen=True)
class Agreement:
    """Agreement between readers on one item under one condition.

    Parameters
    ----------
    item, condition
        What and where; agreement is never pooled over conditions.
    scale
        The whole scale; empty for a continuous measurement.
    weights
        Of the weighted coefficients.
    n_readers, n_units, n_complete, n_missing
        Readers; cases (× findings) rated at all, rated by everybody; missing ratings.
    coefficients
        Raw agreement, mean pairwise kappa, Fleiss, Conger, Gwet's AC, Brennan–Prediger,
        Krippendorff's alpha — those that the scale admits.
    icc
        The six forms, and ICC(2,1) by REML where ratings are missing.
    kendall
        Kendall's W.
    pairs
        Every pair of readers.
    intra
        Each reader's agreement with himself or herself; empty without repeats.
    notes
        What was left out and what cannot be estimated.
    """

    item: str
    condition: str
    scale: tuple[float, ...]
    weights: Weights
    n_readers: int
    n_units: int
    n_complete: int
    n_missing: int
    coefficients: tuple[Estimate, ...]
    icc: tuple[Estimate, ...]
    kendall: Estimate
    pairs: tuple[PairAgreement, ...]
    intra: tuple[IntraReader, ...]
    notes: tuple[str, ...]

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """All coefficients in the order in which they are reported."""
        return (*self.coefficients, *self.icc, self.kendall)


def agreement_of(
    table: pd.DataFrame,
    item: str,
    condition: str,
    scale: Sequence[float] = (),
    *,
    weights: Weights = "quadratic",
    ci_level: float = 0.95,
) -> Agreement:
    """Return the agreement of the readers on one item under one condition.

    Parameters
    ----------
    table
        Canonical ratings (:class:`study.analysis.columns.Ratings`): reader, case_id, condition,
        item, value, and finding and session where there are any.
    item, condition
        Which ratings.
    scale
        The whole scale of the item, e.g. ``range(1, 6)``; empty for a continuous measurement
        (0–100), for which ICCs and limits of agreement are given.
    weights
        Of kappa, AC2 and the like.
    ci_level
        Confidence level in (0, 1).

    Raises
    ------
    AnalysisError
        If the item or condition does not occur, there is no rating, a rating is off the scale, or
        a reader rated the same thing twice in one session.
    """
    frame = _select(table, item, condition)
    units = ["case_id"] + (["finding"] if "finding" in frame.columns else [])
    notes: list[str] = []
    categories = tuple(float(category) for category in scale)
    first, intra = _first_and_repeats(frame, units, categories, notes, ci_level)
    matrix = matrix_of_table(first, value="value", units=units, rater="reader", scale=categories)
    n_cases = int(first.loc[first["value"].notna(), "case_id"].nunique())
    scope = Scope("these readers", "descriptive", matrix.n_raters, n_cases)
    notes.extend(_notes(matrix))
    return Agreement(
        item=item,
        condition=condition,
        scale=categories,
        weights=weights,
        n_readers=matrix.n_raters,
        n_units=matrix.n_units,
        n_complete=matrix.complete.n_units,
        n_missing=matrix.n_missing,
        coefficients=_coefficients(matrix, weights, scope, ci_level),
        icc=_correlations(matrix, scope, ci_level),
        kendall=_kendall(matrix, scope),
        pairs=_pairs(matrix, weights, n_cases, ci_level),
        intra=intra,
        notes=tuple(notes),
    )


def _select(table: pd.DataFrame, item: str, condition: str) -> pd.DataFrame:
    for name in ("reader", "case_id", "condition", "item", "value"):
        if name not in table.columns:
            raise AnalysisError(
                f"The table has no column {name!r}; expected canonical ratings with reader, "
                "case_id, condition, item and value."
            )
    for name, wanted in (("item", item), ("condition", condition)):
        if wanted not in set(table[name]):
            known = ", ".join(natural_order([str(one) for one in table[name].unique()]))
            raise AnalysisError(f"There is no {name} {wanted!r} in the table; it has {known}.")
    frame = table[(table["item"] == item) & (table["condition"] == condition)]
    if not frame["value"].notna().any():
        raise AnalysisError(
            f"Item {item!r} has no rating under condition {condition}; there is nothing to compare."
        )
    return frame


def _first_and_repeats(
    frame: pd.DataFrame,
    units: list[str],
    scale: tuple[float, ...],
    notes: list[str],
    ci_level: float,
) -> tuple[pd.DataFrame, tuple[IntraReader, ...]]:
    """Return each reader's first rating of each unit, and the comparison with the second."""
    rated = frame[frame["value"].notna()]
    key = [*units, "reader"]
    if "session" not in frame.columns or not rated.duplicated(key).any():
        return frame, ()
    order = {
        name: i
        for i, name in enumerate(natural_order([str(one) for one in rated["session"].unique()]))
    }
    ordered = rated.assign(_rank=rated["session"].astype(str).map(order)).sort_values(
        "_rank", kind="stable"
    )
    if ordered.duplicated([*key, "_rank"]).any():
        return frame, ()  # twice in one session: refused with a sentence further on
    first = ordered.drop_duplicates(key).drop(columns="_rank")
    notes.append(
        f"{len(rated) - len(first)} ratings repeat an earlier one of the same reader; agreement "
        "between readers uses the first, agreement within readers both."
    )
    try:
        repeats = intra_reader(
            rated,
            value="value",
            units=units,
            reader="reader",
            occasion="session",
            scale=scale,
            ci_level=ci_level,
        )
    except AnalysisError as problem:
        notes.append(str(problem))
        repeats = ()
    return first, repeats


def _notes(matrix: RatingMatrix) -> list[str]:
    notes = []
    if matrix.n_raters == 1:
        notes.append(
            f"Only reader {matrix.raters[0]} rated; agreement between readers cannot be estimated."
        )
    for j, rater in enumerate(matrix.raters):
        given = matrix.values[~np.isnan(matrix.values[:, j]), j]
        if len(given) > 1 and np.ptp(given) == 0:
            notes.append(
                f"Reader {rater} gave {given[0]:g} throughout; chance-corrected agreement with "
                "this reader is 0 or not defined, whatever the others did."
            )
    if matrix.n_missing:
        notes.append(
            f"{matrix.n_missing} of {matrix.values.size} ratings are missing: alpha, Fleiss, "
            "Conger and Gwet use every unit with two ratings, ICCs and Kendall's W the "
            f"{matrix.complete.n_units} complete ones, each pair of readers what both rated."
        )
    return notes


def _coefficients(
    matrix: RatingMatrix, weights: Weights, scope: Scope, ci_level: float
) -> tuple[Estimate, ...]:
    if matrix.n_raters < 2:
        return (
            scope.unavailable(
                "agreement between readers",
                method="coefficients of agreement",
                note="One reader only; agreement between readers cannot be estimated.",
            ),
        )
    if not matrix.scale:
        made = [krippendorff_alpha(matrix, "interval", ci_level=ci_level)]
    else:
        made = [
            percent_agreement(matrix, ci_level=ci_level),
            light_kappa(matrix, weights, ci_level=ci_level),
            fleiss_kappa(matrix, weights, ci_level=ci_level),
            conger_kappa(matrix, weights, ci_level=ci_level),
            gwet_ac(matrix, weights, ci_level=ci_level),
            brennan_prediger(matrix, weights, ci_level=ci_level),
            krippendorff_alpha(matrix, "ordinal", ci_level=ci_level),
        ]
    return tuple(one.to_estimate(scope) for one in made)


def _correlations(matrix: RatingMatrix, scope: Scope, ci_level: float) -> tuple[Estimate, ...]:
    wide = scope.with_population("readers like them", "descriptive")
    scopes = [wide if form.startswith(("ICC(1", "ICC(2")) else scope for form in FORMS]
    try:
        forms = intraclass_correlations(matrix, ci_level=ci_level)
        made = [one.to_estimate(whom) for one, whom in zip(forms, scopes, strict=True)]
    except AnalysisError as problem:
        made = [
            whom.unavailable(form, method="analysis of variance", note=str(problem))
            for form, whom in zip(FORMS, scopes, strict=True)
        ]
    if matrix.n_missing:
        try:
            made.append(icc_by_reml(matrix, ci_level=ci_level).to_estimate(wide))
        except AnalysisError as problem:
            made.append(wide.unavailable("ICC(2,1) by REML", method="REML", note=str(problem)))
    return tuple(made)


def _kendall(matrix: RatingMatrix, scope: Scope) -> Estimate:
    method = "Kendall's W, corrected for ties, complete units"
    try:
        found = kendall_w(matrix)
    except AnalysisError as problem:
        return scope.unavailable("Kendall's W", method=method, note=str(problem))
    return scope.estimate("Kendall's W", found.w, method=method, p_value=found.p_value, df=found.df)


def _pairs(
    matrix: RatingMatrix, weights: Weights, n_cases: int, ci_level: float
) -> tuple[PairAgreement, ...]:
    found = []
    if matrix.scale:
        for readers, kappa in pairwise_kappas(matrix, weights, ci_level=ci_level):
            n = kappa.coefficient.n_units
            scope = Scope("these readers", "descriptive", 2, min(n, n_cases))
            found.append(PairAgreement(readers, n, kappa.coefficient.to_estimate(scope), None))
        return tuple(found)
    for i in range(matrix.n_raters):
        for j in range(i + 1, matrix.n_raters):
            pair = matrix.pair(i, j)
            scope = Scope("these readers", "descriptive", 2, min(pair.n_units, n_cases))
            limits = (
                bland_altman(pair.values[:, 0], pair.values[:, 1], scope, ci_level=ci_level)
                if pair.n_units >= 3
                else None
            )
            names = (pair.raters[0], pair.raters[1])
            found.append(PairAgreement(names, pair.n_units, None, limits))
    return tuple(found)
