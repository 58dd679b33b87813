"""Does one odds ratio do for every cut of the scale? Checks of the proportional-odds assumption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.groups import group_codes
from study.analysis.mixed.fixed_design import FixedDesign
from study.analysis.mixed.likelihood_ratio import LikelihoodRatio, compare
from study.analysis.ordinal.clm import ClmFit, fit_clm
from study.analysis.ordinal.cumulative import Categories
from study.analysis.ordinal.links import LinkName

_NO_ERROR = 1e-6


@dataclass(frozen=True)
class NominalTest:
    """A likelihood-ratio test of equal effects at every cut.

    Parameters
    ----------
    term
        The term set free.
    test
        The test; readings are taken for independent ones.
    """

    term: str
    test: LikelihoodRatio


def nominal_tests(
    categories: Categories, design: FixedDesign, *, link: LinkName = "logit"
) -> tuple[NominalTest, ...]:
    """Test each term's proportional odds by letting its effect differ between cuts.

    The larger model is the partial proportional-odds model (Peterson and Harrell, Appl Stat
    1990;39:205); df = (cuts − 1) × columns of the term, as ``ordinal::nominal_test``. Two
    categories have one cut and nothing to test.

    Parameters
    ----------
    categories
        The ratings.
    design
        Fixed effects.
    link
        The link.

    Returns
    -------
    tuple
        One test per term, in the order of the design; none with two categories.
    """
    if len(categories.values) < 3:
        return ()
    base = fit_clm(categories, design.matrix, design.names, link=link)
    result = []
    for term in dict.fromkeys(design.terms):
        rest = design.without(term)
        free = fit_clm(
            categories,
            rest.matrix,
            rest.names,
            link=link,
            nominal=design.matrix[:, list(design.columns_of(term))],
        )
        result.append(NominalTest(term, compare(free, base)))
    return tuple(result)


def odds_ratios_by_cut(
    ratings: ArrayLike,
    design: ArrayLike,
    names: Sequence[str],
    column: str,
    clusters: ArrayLike,
    scope: Scope,
    *,
    ci_level: float = 0.95,
) -> tuple[Estimate, ...]:
    """Return the odds ratio of a higher rating at each cut by itself.

    One logistic regression per cut; intervals by the sandwich covariance clustered by case, normal
    quantiles. Similar ratios speak for proportional odds.

    Parameters
    ----------
    ratings
        Shape (n,).
    design, names
        Shape (n, p) and p names.
    column
        The one whose odds ratios are wanted.
    clusters
        Shape (n,), case of each row.
    scope
        Population and counts.
    ci_level
        In (0, 1).
    """
    values = np.asarray(ratings, dtype=float)
    found = np.unique(values)
    k = list(names).index(column)
    method = (
        "logistic regression at one cut, sandwich errors clustered by case "
        f"({group_codes(clusters)[1]} cases), normal quantiles"
    )
    result = []
    for low, high in pairwise(found):
        quantity = f"odds ratio of {column} for a rating of {high:g} or more"
        fit = _binary(values > low, design, names)
        if fit is None or any(column in note for note in fit.notes):
            result.append(
                scope.unavailable(
                    quantity,
                    method=method,
                    note=f"Too few ratings on one side of the cut {low:g}|{high:g}: separated.",
                )
            )
            continue
        error = float(fit.clustered_errors(clusters)[k])
        beta = float(fit.coefficients[k])
        if error < _NO_ERROR:
            note = "No variation between the cases at this cut: no interval can be given."
            result.append(scope.unavailable(quantity, method=method, note=note))
            continue
        reach = float(stats.norm.ppf(0.5 + ci_level / 2)) * error
        result.append(
            scope.estimate(
                quantity,
                np.exp(beta),
                ci=(np.exp(beta - reach), np.exp(beta + reach)),
                ci_level=ci_level,
                p_value=2 * stats.norm.sf(abs(beta) / error),
                method=method,
            )
        )
    return tuple(result)


def _binary(above: ArrayLike, design: ArrayLike, names: Sequence[str]) -> ClmFit | None:
    try:
        return fit_clm(np.asarray(above, dtype=float), design, names)
    except AnalysisError:
        return None
