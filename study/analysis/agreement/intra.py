"""Agreement of a reader with himself or herself: the same case rated on two occasions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from study.analysis.agreement.bland_altman import BlandAltman, bland_altman
from study.analysis.agreement.icc import intraclass_correlations
from study.analysis.agreement.kappa import cohen_kappa
from study.analysis.agreement.ratings import RatingMatrix, matrix_of_table
from study.analysis.columns import natural_order
from study.analysis.estimate import AnalysisError, Estimate, Scope


@dataclass(frozen=True)
class IntraReader:
    """One reader's agreement between two occasions.

    Parameters
    ----------
    reader, occasions
        Who, and the names of the two occasions.
    n_units
        Units rated on both.
    same
        Share of units rated the same.
    kappa
        Quadratic-weighted kappa; without a value for continuous measurements.
    icc
        ICC(2,1).
    limits
        Bland–Altman analysis, first occasion minus second; ``None`` with fewer than three units.
    """

    reader: str
    occasions: tuple[str, str]
    n_units: int
    same: Estimate
    kappa: Estimate
    icc: Estimate
    limits: BlandAltman | None


def intra_reader(
    frame: pd.DataFrame,
    *,
    value: str,
    units: Sequence[str],
    reader: str,
    occasion: str,
    scale: Sequence[float] = (),
    ci_level: float = 0.95,
) -> tuple[IntraReader, ...]:
    """Compare each reader's first and second rating of the same units.

    Parameters
    ----------
    frame
        Long table, one row per rating; leave only one condition in it, or name the condition
        among ``units``.
    value, units, reader, occasion
        Its columns; occasions are taken in natural order, and the first two of each reader count.
    scale
        The whole scale; empty for a continuous measurement.
    ci_level
        Confidence level in (0, 1).

    Returns
    -------
    tuple of IntraReader
        Readers who rated at least two units on both occasions.

    Raises
    ------
    AnalysisError
        If nobody did, or someone rated a unit twice on one occasion.
    """
    found = []
    rated = frame[frame[value].notna()]
    for name in natural_order(rated[reader].astype(str).unique()):
        own = rated[rated[reader].astype(str) == name]
        first_two = natural_order(own[occasion].astype(str).unique())[:2]
        if len(first_two) < 2:
            continue
        own = own.assign(**{occasion: own[occasion].astype(str)})
        matrix = matrix_of_table(
            own[own[occasion].isin(first_two)],
            value=value,
            units=units,
            rater=occasion,
            scale=scale,
        )
        order = [matrix.raters.index(one) for one in first_two]
        pair = matrix.pair(order[0], order[1])
        if pair.n_units >= 2:
            found.append(_compare(name, pair, ci_level))
    if not found:
        raise AnalysisError(
            "No reader rated two or more of the same cases on two occasions; agreement within "
            "readers cannot be estimated."
        )
    return tuple(found)


def _compare(reader: str, pair: RatingMatrix, ci_level: float) -> IntraReader:
    n = pair.n_units
    scope = Scope("this reader", "descriptive", 1, n)
    first, second = pair.values.T
    same = scope.estimate(
        "share rated the same twice",
        float(np.mean(first == second)),
        method=f"{int((first == second).sum())} of {n} cases",
    )
    if pair.scale:
        kappa = cohen_kappa(pair, "quadratic", ci_level=ci_level).coefficient.to_estimate(scope)
    else:
        kappa = scope.unavailable(
            "Cohen's kappa (quadratic)",
            method="Cohen's kappa",
            note="The measurement is continuous; see the ICC and the limits of agreement.",
        )
    icc = intraclass_correlations(pair, ci_level=ci_level)[1].to_estimate(scope)
    limits = bland_altman(first, second, scope, ci_level=ci_level) if n >= 3 else None
    return IntraReader(reader, (pair.raters[0], pair.raters[1]), n, same, kappa, icc, limits)
