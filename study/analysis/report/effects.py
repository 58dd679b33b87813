"""Sections about the effect itself: primary endpoint, ratings, and all paired differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from study.analysis.clustered_rank import cluster_sign_flip, datta_satten, rosner_glynn_lee
from study.analysis.crossed_mean import crossed_mean_difference
from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.paired import mean_difference
from study.analysis.rendering import label_of, readers_and_cases
from study.analysis.report.analysis import Analysis
from study.analysis.report.material import Material
from study.analysis.report.sections import Line, Section, joined
from study.analysis.signed_rank import hodges_lehmann, sign_test, superiority
from study.analysis.summary import PairedDifference, by_correctness

MOST_WALSH = 3000
"""Pairs up to which the Hodges–Lehmann shift is computed; it averages every two of them."""

_MOST_DATTA = 20_000_000


def primary_section(material: Material) -> Section:
    """Return the primary endpoint, and the same pairs by every test and population."""
    analysis = material.analysis
    primary = analysis.primary
    group = primary.difference
    lines = [
        _line(primary.item, primary.subset, "", estimate)
        for estimate in (
            primary.estimate,
            *same_pairs(
                analysis,
                group,
                leave_out=(primary.estimate.quantity, primary.estimate.population),
            ),
        )
    ]
    notes = [
        "Each p-value names whom it speaks for. The signed-rank test over pooled pairs is shown "
        "because it is customary; it takes the readings of one reader, and those of one case, for "
        "independent ones, and its p is too small."
        if group.n_readers > 1
        else "",
    ]
    return Section("primary", "Primary endpoint", analysis.sentence, tuple(lines), joined(notes))


def same_pairs(
    analysis: Analysis, group: PairedDifference, *, leave_out: tuple[str, str] = ("", "")
) -> tuple[Estimate, ...]:
    """Return what the pairs of one group say by every method, each with its population."""
    pairs = _pairs_of(analysis, group)
    d, readers = pairs["difference"].to_numpy(float), pairs["reader"]
    cases = pairs["case_id"].astype(str) + " · " + pairs["finding"].astype(str)
    level = analysis.choices.ci_level
    own = group.mean_difference
    these = Scope(own.population, "descriptive", group.n_readers, group.n_cases)
    like = these.with_population("readers like them", "descriptive")
    made = [
        group.mean_difference,
        group.mean_over_readers,
        _tried(
            lambda: crossed_mean_difference(d, readers, cases, like, ci_level=level),
            like, "mean difference, readers and cases like these",
        ),
        _clustered(lambda: rosner_glynn_lee(d, pairs["case_id"]).to_estimate(these, "case"), these),
        _datta(d, pairs["case_id"], these),
        cluster_sign_flip(d, readers, like, cluster="reader")
        if group.n_readers > 1
        else like.unavailable(
            "sum of signed ranks",
            method="sign-flip test of the signed-rank sum, whole readers flipped",
            note="One reader: readers like them cannot be spoken for.",
        ),
        group.signed_rank_of_cases,
        superiority(d, pairs["case_id"], these, ci_level=level),
        _shift(d, group, level),
        sign_test(d, _pooled(group)),
        group.rank_biserial,
        group.signed_rank,
    ]  # fmt: skip
    return tuple(e for e in made if (e.quantity, e.population) != leave_out)


def ratings_section(material: Material) -> Section:
    """Return the mean rating of every item and condition with its interval."""
    analysis = material.analysis
    lines: list[Line] = []
    for item in analysis.ratings.items:
        rated = material.frame[(material.frame["item"] == item) & material.frame["value"].notna()]
        for correctness, rows in by_correctness(rated):
            for condition in analysis.conditions:
                part = rows[rows["condition"] == condition]
                if len(part):
                    estimate = _mean_rating(part, analysis.choices.ci_level)
                    lines.append(_line(item, correctness, f"condition {condition}", estimate))
    who = readers_and_cases(analysis.n_readers, analysis.n_cases)
    sentence = (
        f"{analysis.n_ratings} ratings of {len(analysis.ratings.items)} "
        f"{'item' if len(analysis.ratings.items) == 1 else 'items'} by {who} under "
        f"{len(analysis.conditions)} conditions."
    )
    return Section("ratings", "Ratings", sentence, tuple(lines))


def paired_section(material: Material) -> Section:
    """Return the mean difference of every group of pairs with its signed-rank test."""
    analysis = material.analysis
    first, second = analysis.contrast
    lines: list[Line] = []
    for group in analysis.differences:
        part = " · ".join(
            word for word in (group.finding, group.reader and f"reader {group.reader}") if word
        )
        main = group.finding is None or group.reader is None
        chosen: tuple[Estimate, ...] = (group.mean_difference, group.rank_biserial)
        if group.n_readers > 1:
            chosen = (*chosen, group.mean_over_readers)
        for estimate in (*chosen, group.signed_rank):
            lines.append(_line(group.item, group.correctness, part, estimate, main=main))
    pooled = [g for g in analysis.differences if g.finding is None and g.reader is None]
    n_pairs = sum(g.n_pairs for g in pooled if g.correctness == "all")
    sentence = (
        f"{n_pairs} pairs of ratings, {first} − {second}, over all items; intervals and p-values "
        "of parts are descriptive and not adjusted for their number."
    )
    return Section("paired", "Paired differences", sentence, tuple(lines))


def _pairs_of(analysis: Analysis, group: PairedDifference) -> pd.DataFrame:
    frame = analysis.pairs_of(group.item).frame
    if group.correctness != "all":
        frame = frame[frame["correctness"] == group.correctness]
    if group.finding is not None:
        frame = frame[frame["finding"] == group.finding]
    if group.reader is not None:
        frame = frame[frame["reader"] == group.reader]
    return frame


def _line(item: str, correctness: str, part: str, estimate: Estimate, *, main: bool = True) -> Line:
    return Line(item, label_of(correctness), part, estimate, main)


def _pooled(group: PairedDifference) -> Scope:
    like = group.signed_rank
    return Scope(like.population, like.role, group.n_readers, group.n_cases)


def _mean_rating(part: pd.DataFrame, level: float) -> Estimate:
    n_readers, n_cases = part["reader"].nunique(), part["case_id"].nunique()
    scope = Scope(
        "this reader" if n_readers == 1 else "these readers", "descriptive", n_readers, n_cases
    )
    mean = mean_difference(part["value"].to_numpy(float), part["case_id"], scope, ci_level=level)
    note = mean.note.replace("has the same difference", "has the same mean").replace(
        "Pairs of", "Ratings of"
    )
    return replace(
        mean,
        quantity="mean rating",
        p_value=None,
        method="mean of the ratings, clustered by case (CR1), t with cases − 1 df",
        note=note,
    )


def _shift(d: np.ndarray, group: PairedDifference, level: float) -> Estimate:
    if len(d) <= MOST_WALSH:
        return hodges_lehmann(d, _pooled(group), ci_level=level)
    return _pooled(group).unavailable(
        "Hodges–Lehmann shift",
        method="Hodges–Lehmann shift, median of the Walsh averages",
        note=f"{len(d)} pairs: computed up to {MOST_WALSH}, as it averages every two of them.",
    )


def _datta(d: np.ndarray, cases: pd.Series, scope: Scope) -> Estimate:
    if len(d) * cases.nunique() > _MOST_DATTA:
        return scope.unavailable(
            "clustered signed-rank z",
            method="Datta-Satten signed-rank test clustered by case",
            note=f"Not computed for {len(d)} pairs of {cases.nunique()} cases: it compares every "
            "pair with every case.",
        )
    return _clustered(lambda: datta_satten(d, cases).to_estimate(scope, "case"), scope)


def _clustered(make: Callable[[], Estimate], scope: Scope) -> Estimate:
    return _tried(make, scope, "clustered signed-rank z")


def _tried(make: Callable[[], Estimate], scope: Scope, quantity: str) -> Estimate:
    """Return an estimate, or the reason why there is none."""
    try:
        return make()
    except AnalysisError as problem:
        return scope.unavailable(quantity, method="not computed", note=str(problem))
