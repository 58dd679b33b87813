"""Everything reported about a multi-reader multi-case comparison of two conditions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from study.analysis.estimate import AnalysisError, Estimate, Population, Role, Scope
from study.analysis.mrmc.comparison import (
    Comparison,
    Method,
    ReaderDifference,
    ReaderFigure,
    estimate_alternatives,
    estimate_as_asked,
    estimate_margin,
    estimate_means,
    reader_differences_of,
    reader_figures,
)
from study.analysis.mrmc.merit import (
    OUTCOMES,
    Covariance,
    Outcome,
    error_covariance,
    figures_of_merit,
)
from study.analysis.mrmc.obuchowski_rockette import Components, Generalise, components
from study.analysis.mrmc.scores import ReaderScores, scores_of_table


@dataclass(frozen=True)
class Mrmc:
    """A comparison of two conditions over readers and cases.

    Parameters
    ----------
    outcome, contrast, method
        What is compared; first condition minus second; the analysis asked for.
    difference
        Of the mean figures of merit, for the population asked for.
    alternatives
        The same difference for the other populations and by the other analyses; descriptive.
    by_condition
        Mean figure of merit of each condition of the contrast.
    by_reader, reader_differences
        Each reader alone.
    non_inferiority
        Loses the first condition less than the margin against the second? ``None`` without a
        margin; p and limit are one-sided.
    components
        Of the Obuchowski–Rockette analysis; ``None`` where it cannot be computed.
    n_missing
        Readings missing from a fully crossed design.
    notes
        What was left out, what cannot be estimated, negative variance estimates.
    """

    outcome: Outcome
    contrast: tuple[str, str]
    method: Method
    difference: Estimate
    alternatives: tuple[Estimate, ...]
    by_condition: tuple[Estimate, ...]
    by_reader: tuple[ReaderFigure, ...]
    reader_differences: tuple[ReaderDifference, ...]
    non_inferiority: Estimate | None
    components: Components | None
    n_missing: int
    notes: tuple[str, ...]


def mrmc_of(
    table: pd.DataFrame,
    score: str,
    truth: str,
    contrast: tuple[str, str],
    method: Method = "obuchowski-rockette",
    population: Population = "readers like them",
    margin: float | None = None,
    *,
    outcome: Outcome = "auc",
    threshold: float | None = None,
    covariance: Covariance = "jackknife",
    role: Role = "descriptive",
    alpha: float = 0.05,
    reader: str = "reader",
    case: str = "case_id",
    condition: str = "condition",
) -> Mrmc:
    """Compare two conditions over readers and cases.

    Parameters
    ----------
    table
        Long table, one row per reading; choose one finding and one session per condition first.
    score, truth
        Columns: the reader's confidence that the finding is there (higher: more), and the
        reference standard (0 or 1).
    contrast
        Two conditions; differences are the first minus the second.
    method
        ``obuchowski-rockette``; ``dbm``, which gives the same by pseudo-values; ``u-statistics``
        for AUCs of designs with gaps.
    population
        ``readers like them``: random readers and random cases. ``these readers``: fixed readers,
        random cases.
    margin
        Largest acceptable loss of the first condition against the second, > 0.
    outcome, threshold
        ``auc``, ``sensitivity`` or ``specificity``; scores of at least ``threshold`` are calls.
        Without a threshold the scores must be calls (0 or 1).
    covariance
        Of the Obuchowski–Rockette analysis, see
        :func:`~study.analysis.mrmc.merit.error_covariance`. With gaps the jackknife keeps every
        reading, the others the cases that everybody read.
    role
        Of the difference asked for; everything else is descriptive.
    alpha
        Two-sided level of the intervals; half of it one-sided for the margin.
    reader, case, condition
        Columns.

    Raises
    ------
    AnalysisError
        If the table cannot be read (see :func:`~study.analysis.mrmc.scores.scores_of_table`),
        a condition has no reading, or the request contradicts itself.
    """
    _check_request(contrast, method, population, outcome, covariance)
    scores = scores_of_table(
        table,
        score=score,
        truth=truth,
        reader=reader,
        case=case,
        condition=condition,
        both_classes=outcome == "auc",
    ).select_conditions(contrast)
    notes: list[str] = []
    scores = _both_conditions(scores, outcome, notes)
    if threshold is not None and outcome != "auc":
        scores = scores.called_at(threshold)
    made = _prepare(scores, outcome, covariance, role, 1 - alpha, notes)
    parts = None if made.errors is None else components(made.theta, made.errors)
    if parts is not None and parts.n_readers > 1:
        notes.extend(parts.warnings)
    wanted: Generalise = "cases" if population == "these readers" else "readers and cases"
    asked = estimate_as_asked(made, parts, method, wanted, notes)
    return Mrmc(
        outcome=outcome,
        contrast=contrast,
        method=method,
        difference=asked[0],
        alternatives=estimate_alternatives(made, parts, method, wanted),
        by_condition=estimate_means(made, wanted),
        by_reader=reader_figures(made),
        reader_differences=reader_differences_of(made),
        non_inferiority=None if margin is None else estimate_margin(made, asked, margin, alpha),
        components=parts,
        n_missing=scores.n_missing,
        notes=tuple(dict.fromkeys(notes)),
    )


def _check_request(
    contrast: tuple[str, str],
    method: Method,
    population: Population,
    outcome: Outcome,
    covariance: Covariance,
) -> None:
    if len(contrast) != 2 or contrast[0] == contrast[1]:
        raise AnalysisError(
            f"The contrast is {contrast}; expected two different conditions, first minus second."
        )
    if population not in ("readers like them", "these readers"):
        raise AnalysisError(
            f"An MRMC analysis cannot speak for {population!r}; expected 'readers like them' or "
            "'these readers'."
        )
    if method not in ("obuchowski-rockette", "dbm", "u-statistics"):
        raise AnalysisError(
            f"There is no method {method!r}; expected obuchowski-rockette, dbm or u-statistics."
        )
    if outcome not in OUTCOMES:
        raise AnalysisError(f"There is no outcome {outcome!r}; expected {', '.join(OUTCOMES)}.")
    if covariance not in ("jackknife", "delong", "unbiased"):
        raise AnalysisError(
            f"There is no covariance {covariance!r}; expected jackknife, delong or unbiased."
        )
    if method == "u-statistics" and outcome != "auc":
        raise AnalysisError(
            f"U-statistics are for the AUC; {outcome} was asked for. Use obuchowski-rockette."
        )
    if method != "obuchowski-rockette" and population == "these readers":
        raise AnalysisError(
            f"{method} generalises to readers; for these readers use obuchowski-rockette."
        )


def _both_conditions(scores: ReaderScores, outcome: Outcome, notes: list[str]) -> ReaderScores:
    """Leave out readers without the cases that are needed under both conditions; say who."""
    needed = [k for k, o in ((0, "specificity"), (1, "sensitivity")) if outcome in ("auc", o)]
    keep = []
    for j in range(len(scores.readers)):
        read = ~np.isnan(scores.values[:, j])
        keep.append(all((read & (scores.truth == k)).any(axis=1).all() for k in needed))
    if not all(keep):
        gone = [name for name, kept in zip(scores.readers, keep, strict=True) if not kept]
        notes.append(
            f"Left out for lack of cases of every needed kind under both conditions: reader "
            f"{', '.join(gone)}."
        )
    if not any(keep):
        raise AnalysisError(
            f"No reader scored the cases that {outcome} needs under both conditions "
            f"{' and '.join(scores.conditions)}; they cannot be compared."
        )
    index = np.flatnonzero(keep)
    names = tuple(scores.readers[j] for j in index)
    kept = ReaderScores(
        scores.values[:, index], scores.truth, scores.conditions, names, scores.cases
    )
    return kept.select_cases(np.asarray(~np.isnan(kept.values).all(axis=(0, 1)), dtype=bool))


def _prepare(
    scores: ReaderScores,
    outcome: Outcome,
    covariance: Covariance,
    role: Role,
    ci_level: float,
    notes: list[str],
) -> Comparison:
    if scores.n_missing:
        notes.append(
            f"{scores.n_missing} of {scores.values.size} readings are missing from the crossed "
            "design; U-statistics and the jackknife keep all others."
        )
        if covariance != "jackknife":
            crossed = scores.fully_crossed
            if len(np.unique(crossed.truth)) < len(np.unique(scores.truth)):
                raise AnalysisError(
                    f"The {len(crossed.cases)} cases that everybody read under both conditions are "
                    f"not of both kinds; the {covariance} covariance cannot be estimated. Use the "
                    "jackknife or U-statistics."
                )
            notes.append(
                f"The {covariance} covariance uses the {len(crossed.cases)} cases that everybody "
                "read under both conditions."
            )
            scores = crossed
    scope = Scope("readers like them", role, len(scores.readers), len(scores.cases))
    theta = figures_of_merit(scores, outcome)
    try:
        errors = error_covariance(scores, outcome, covariance)
    except AnalysisError as problem:
        notes.append(str(problem))
        errors = None
    return Comparison(scores, outcome, theta, errors, covariance, scope, ci_level)
