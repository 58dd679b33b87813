"""Does confidence tell true from false positives? AUC by condition, clustered by case and MRMC.

A case may be read for several findings; its readings then belong together. The area averaged over
readers has the variance of Obuchowski (Biometrics 1997;53:567), placements averaged over readers
and summed by case; with one reading per case and one reader it is that of DeLong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from study.analysis.columns import natural_order
from study.analysis.design.parts import check_level, need, rated_rows, scope_of
from study.analysis.estimate import AnalysisError, Estimate, Population, Role, Scope
from study.analysis.groups import group_codes
from study.analysis.mrmc.summary import Mrmc, mrmc_of
from study.analysis.roc import placements

Array = NDArray[np.float64]
_PURPOSE = "The AUC of ratings for true against false positives"
_METHOD = "empirical AUC averaged over readers, variance clustered by case (Obuchowski), normal"


@dataclass(frozen=True)
class Discrimination:
    """How well the ratings of an item tell true from false positives.

    Parameters
    ----------
    item, contrast
        The item; conditions, first minus second.
    n_true, n_false
        True and false positives (case and finding).
    by_condition
        AUC averaged over the readers of the study, by condition of the contrast.
    by_reader
        Triples (reader, condition, AUC).
    difference
        Of the averaged AUCs, for the readers of the study.
    mrmc
        The multi-reader multi-case analysis, for readers like them; ``None`` where it is not
        possible.
    notes
        What to mind.
    """

    item: str
    contrast: tuple[str, str]
    n_true: int
    n_false: int
    by_condition: tuple[Estimate, ...]
    by_reader: tuple[tuple[str, str, Estimate], ...]
    difference: Estimate
    mrmc: Mrmc | None
    notes: tuple[str, ...]


def discrimination(
    frame: pd.DataFrame,
    item: str,
    contrast: tuple[str, str],
    *,
    margin: float | None = None,
    population: Population = "readers like them",
    role: Role = "descriptive",
    ci_level: float = 0.95,
) -> Discrimination:
    """Return the AUC of an item's ratings for true against false positives.

    Parameters
    ----------
    frame
        Canonical ratings with ``correctness``.
    item, contrast
        The item; two conditions, the first minus the second.
    margin, population, role
        Of the multi-reader multi-case analysis, see
        :func:`study.analysis.mrmc.summary.mrmc_of`.
    ci_level
        In (0, 1).

    Raises
    ------
    AnalysisError
        If the item or a condition has no ratings, rows repeat, or there are no true or no false
        positives.
    """
    check_level(ci_level)
    need(frame, ("correctness",), _PURPOSE)
    positives = frame[frame["correctness"].isin(("true_positive", "false_positive"))]
    rows = rated_rows(positives, item, contrast, purpose=_PURPOSE) if len(positives) else positives
    rows = rows.assign(
        truth=(rows["correctness"] == "true_positive").astype(int),
        unit=rows["case_id"].astype(str) + " · " + rows["finding"].astype(str),
    )
    units = rows.drop_duplicates("unit")
    n_true, n_false = int((units["truth"] == 1).sum()), int((units["truth"] == 0).sum())
    if n_true == 0 or n_false == 0:
        raise AnalysisError(
            f"{_PURPOSE} finds {n_true} true and {n_false} false positives rated for {item!r}; "
            "expected some of each."
        )
    notes: list[str] = []
    if units["case_id"].nunique() < len(units):
        notes.append(
            "Some cases were read for several findings: the clustered intervals know it, the "
            "multi-reader multi-case analysis takes each finding for a case of its own."
        )
    readers = _complete(rows, contrast, notes)
    by_condition, difference = _averaged(rows, readers, contrast, ci_level)
    return Discrimination(
        item=item,
        contrast=contrast,
        n_true=n_true,
        n_false=n_false,
        by_condition=by_condition,
        by_reader=_by_reader(rows, contrast, ci_level),
        difference=difference,
        mrmc=_mrmc(rows, contrast, (population, role, margin), ci_level, notes),
        notes=tuple(notes),
    )


def _complete(rows: pd.DataFrame, contrast: tuple[str, str], notes: list[str]) -> list[str]:
    """Return readers with true and false positives under both conditions."""
    kinds = rows.groupby(["reader", "condition"])["truth"].nunique().unstack()
    whole = (kinds.reindex(columns=list(contrast)) == 2).all(axis=1)
    gone = natural_order(whole.index[~whole.to_numpy(bool)])
    if gone:
        notes.append(
            f"Reader {', '.join(gone)} did not rate true and false positives under both "
            "conditions and is left out of the averages."
        )
    return list(natural_order(whole.index[whole.to_numpy(bool)]))


@dataclass(frozen=True, eq=False)
class _Area:
    """An averaged AUC and each cluster's part of it from positives and negatives, (G,)."""

    value: float
    of_positives: Array
    of_negatives: Array

    def minus(self, other: _Area) -> _Area:
        return _Area(
            self.value - other.value,
            self.of_positives - other.of_positives,
            self.of_negatives - other.of_negatives,
        )

    def error(self, has_positive: NDArray[np.bool_], has_negative: NDArray[np.bool_]) -> float:
        """Return the standard error; each sum of squares with its own G/(G − 1)."""
        p, n = self.of_positives, self.of_negatives

        def factor(count: int) -> float:
            return count / (count - 1) if count > 1 else np.nan

        variance = factor(int(has_positive.sum())) * float(p @ p)
        variance += factor(int(has_negative.sum())) * float(n @ n)
        both = int((has_positive | has_negative).sum())
        variance += 2 * factor(both) * float(p @ n)
        return sqrt(variance) if variance > 0 else float("nan")


def _area(rows: pd.DataFrame, readers: list[str], n_clusters: int) -> _Area:
    """Average the AUC over readers; ``rows`` are of one condition and have ``cluster``."""
    values, pos, neg = [], np.zeros(n_clusters), np.zeros(n_clusters)
    for reader in readers:
        own = rows[rows["reader"] == reader]
        low, high = own[own["truth"] == 0], own[own["truth"] == 1]
        of_negatives, of_positives = placements(low["value"], high["value"])
        area = float(of_positives.mean())
        values.append(area)
        share = len(readers)
        np.add.at(pos, high["cluster"], (of_positives - area) / len(high) / share)
        np.add.at(neg, low["cluster"], (of_negatives - area) / len(low) / share)
    return _Area(float(np.mean(values)), pos, neg)


def _averaged(
    rows: pd.DataFrame, readers: list[str], contrast: tuple[str, str], ci_level: float
) -> tuple[tuple[Estimate, ...], Estimate]:
    """Return the AUC of both conditions and their difference."""
    used = rows[rows["reader"].isin(readers)].copy()
    scope = scope_of(used) if readers else scope_of(rows)
    words = f"AUC, {contrast[0]} − {contrast[1]}"
    if not readers:
        note = "No reader rated true and false positives under both conditions."
        return (), scope.unavailable(words, method=_METHOD, note=note)
    codes, g = group_codes(used["case_id"])
    used["cluster"] = codes
    has = [np.bincount(codes[used["truth"] == kind], minlength=g) > 0 for kind in (1, 0)]
    areas = [_area(used[used["condition"] == name], readers, g) for name in contrast]
    made = tuple(
        _estimate(area, (has[0], has[1]), scope, f"AUC under {name}", ci_level, level=True)
        for area, name in zip(areas, contrast, strict=True)
    )
    change = areas[0].minus(areas[1])
    return made, _estimate(change, (has[0], has[1]), scope, words, ci_level, level=False)


def _estimate(
    area: _Area,
    has: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    scope: Scope,
    quantity: str,
    ci_level: float,
    *,
    level: bool,
) -> Estimate:
    """Return an AUC (``level``), tested against ½, or a difference, tested against 0."""
    error = area.error(*has)
    if not error > 1e-12:
        note = "No variance can be estimated: too few cases, or the ratings do not vary."
        return scope.estimate(quantity, area.value, method=_METHOD, note=note)
    reach = float(stats.norm.ppf(0.5 + ci_level / 2)) * error
    low, high = area.value - reach, area.value + reach
    if level:
        low, high = max(low, 0.0), min(high, 1.0)
    z = (area.value - (0.5 if level else 0.0)) / error
    return scope.estimate(
        quantity,
        area.value,
        ci=(low, high),
        ci_level=ci_level,
        p_value=float(2 * stats.norm.sf(abs(z))),
        method=_METHOD,
        note="p against 0.5" if level else "",
    )


def _by_reader(
    rows: pd.DataFrame, contrast: tuple[str, str], ci_level: float
) -> tuple[tuple[str, str, Estimate], ...]:
    result = []
    for reader in natural_order(rows["reader"].unique()):
        for condition in contrast:
            own = rows[(rows["reader"] == reader) & (rows["condition"] == condition)].copy()
            if own.empty:
                continue
            scope, words = scope_of(own), f"AUC under {condition}"
            if own["truth"].nunique() < 2:
                note = "This reader did not rate both true and false positives here."
                found = scope.unavailable(words, method=_METHOD, note=note)
            else:
                codes, g = group_codes(own["case_id"])
                own["cluster"] = codes
                has = [np.bincount(codes[own["truth"] == k], minlength=g) > 0 for k in (1, 0)]
                area = _area(own, [reader], g)
                found = _estimate(area, (has[0], has[1]), scope, words, ci_level, level=True)
            result.append((reader, condition, found))
    return tuple(result)


def _mrmc(
    rows: pd.DataFrame,
    contrast: tuple[str, str],
    asked: tuple[Population, Role, float | None],
    ci_level: float,
    notes: list[str],
) -> Mrmc | None:
    population, role, margin = asked
    try:
        made = mrmc_of(
            rows,
            "value",
            "truth",
            contrast,
            population=population,
            margin=margin,
            role=role,
            alpha=1 - ci_level,
            case="unit",
        )
    except AnalysisError as problem:
        notes.append(f"No multi-reader multi-case analysis: {problem}")
        return None
    return replace(made, notes=tuple(note for note in made.notes if note not in notes))
