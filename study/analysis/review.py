"""Clinical review of dimensions: what experts find meaningful and relevant, and their agreement.

An expert finds a dimension meaningful if the answer is yes on more than half of the films judged;
the panel does if more than half of the experts do. The panel finds an image relevant if more than
half of the experts who judged it say so. Ties are not more than half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from study.analysis.agreement.alpha import Metric, krippendorff_alpha
from study.analysis.agreement.coefficient import Coefficient, coefficient_from_error
from study.analysis.agreement.multirater import gwet_ac, percent_agreement
from study.analysis.agreement.ratings import RatingMatrix, Weights, matrix_of_table
from study.analysis.columns import natural_order
from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.means import TINY
from study.analysis.robust import fit_clustered

COLUMNS: Final = ("reader", "dimension", "card", "meaningful", "relevance")
"""Columns of a table of answers: one row for each expert and card."""

MEANINGFUL_SCALE: Final = ("no", "yes")
RELEVANCE_SCALE: Final = ("no", "possible", "yes")
"""Answers in ascending order."""

ALONE: Final = "One expert: agreement needs at least two who judged the same cards."
Array: TypeAlias = NDArray[Any]
_Measure: TypeAlias = Callable[[RatingMatrix], Coefficient]


@dataclass(frozen=True)
class Verdict:
    """What the experts make of one dimension.

    Parameters
    ----------
    dimension
        The dimension.
    n_films
        Films that anybody judged.
    n_experts
        Experts who judged it.
    n_yes
        Experts who find it meaningful.
    """

    dimension: int
    n_films: int
    n_experts: int
    n_yes: int

    @property
    def meaningful(self) -> bool:
        """Whether more than half of the experts find it meaningful."""
        return 2 * self.n_yes > self.n_experts


@dataclass(frozen=True)
class ReviewAnalysis:
    """Everything that is counted in a review.

    Parameters
    ----------
    verdicts
        By dimension.
    shares
        Of meaningful dimensions and of relevant images, by the panel.
    by_expert
        The same by each expert alone; empty with one expert.
    agreement
        Between experts.
    """

    verdicts: tuple[Verdict, ...]
    shares: tuple[Estimate, ...]
    by_expert: tuple[Estimate, ...]
    agreement: tuple[Estimate, ...]

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """All estimates, in the order in which they are reported."""
        return (*self.shares, *self.by_expert, *self.agreement)


def analyse_review(table: pd.DataFrame, *, ci_level: float = 0.95) -> ReviewAnalysis:
    """Count what experts answered.

    Parameters
    ----------
    table
        One row for each expert and card, with :data:`COLUMNS`: ``meaningful`` is yes or no,
        ``relevance`` yes, possible or no; nothing is missing.
    ci_level
        In (0, 1).

    Raises
    ------
    AnalysisError
        If a column or every answer is missing, an answer is another word, or an expert judged a
        card twice.
    """
    _check(table)
    experts = natural_order([str(name) for name in table["reader"].unique()])
    by_expert = (
        [e for name in experts for e in _shares_of(table, name, ci_level)]
        if len(experts) > 1
        else []
    )
    return ReviewAnalysis(
        verdicts_of(table),
        _shares(table, "these readers" if len(experts) > 1 else "this reader", "", ci_level),
        tuple(by_expert),
        (
            *_agreement(_by_dimension(table), "meaningful", "by dimension", ci_level),
            *_agreement(table, "meaningful", "by image", ci_level),
            *_agreement(table, "relevance", "by image", ci_level),
        ),
    )


def verdicts_of(table: pd.DataFrame) -> tuple[Verdict, ...]:
    """Return the panel's verdict on every dimension, by its number."""
    own = _by_dimension(table)
    films = table.groupby("dimension")["card"].nunique()
    return tuple(
        Verdict(
            int(dimension),
            int(films[dimension]),
            len(rows),
            int((rows["meaningful"] == "yes").sum()),
        )
        for dimension, rows in own.groupby("dimension", sort=True)
    )


def exact_share(
    n_yes: int, n: int, scope: Scope, quantity: str, *, of: str, ci_level: float = 0.95
) -> Estimate:
    """Return a share with its exact interval (Clopper and Pearson, Biometrika 1934)."""
    method = f"share of {of}, exact binomial interval (Clopper–Pearson)"
    if n == 0:
        return scope.unavailable(quantity, method=method, note=f"There are no {of} yet.")
    return scope.estimate(
        quantity,
        n_yes / n,
        ci=_clopper_pearson(n_yes, n, ci_level),
        ci_level=ci_level,
        method=method,
        note=f"{n_yes} of {n}; speaks for dimensions selected in the same way.",
    )


def _check(table: pd.DataFrame) -> None:
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise AnalysisError(
            f"The answers have no column {', '.join(map(repr, missing))}; expected "
            f"{', '.join(COLUMNS)}."
        )
    if table.empty:
        raise AnalysisError("No card is judged yet; the results appear with the first answer.")
    for name, scale in (("meaningful", MEANINGFUL_SCALE), ("relevance", RELEVANCE_SCALE)):
        wrong = table[~table[name].isin(scale)]
        if len(wrong):
            raise AnalysisError(
                f"The answer {wrong.iloc[0][name]!r} to {name!r} is none of {', '.join(scale)}; "
                "correct the table."
            )
    twice = table[table.duplicated(["reader", "card"])]
    if len(twice):
        raise AnalysisError(
            f"Expert {twice.iloc[0]['reader']} judged card {twice.iloc[0]['card']} more than once; "
            "give the latest answer only."
        )


def _by_dimension(table: pd.DataFrame) -> pd.DataFrame:
    """Return what each expert finds of each dimension: reader, dimension, card, meaningful."""
    share = (table["meaningful"] == "yes").groupby([table["reader"], table["dimension"]]).mean()
    own = share.rename("share").reset_index()
    own["meaningful"] = np.where(own["share"] > 0.5, "yes", "no")
    own["card"] = own["dimension"].astype("str")
    return own


def _shares(
    table: pd.DataFrame, population: str, whose: str, ci_level: float
) -> tuple[Estimate, ...]:
    """Return the shares of dimensions and images by all experts of a table together."""
    n_experts, verdicts = table["reader"].nunique(), verdicts_of(table)
    scope = Scope(population, "descriptive", n_experts, len(verdicts))  # type: ignore[arg-type]
    n_yes = sum(verdict.meaningful for verdict in verdicts)
    quantity = f"meaningful dimensions{whose}"
    made = [exact_share(n_yes, len(verdicts), scope, quantity, of="dimensions", ci_level=ci_level)]
    for counted, words in ((("yes",), "relevant"), (("yes", "possible"), "at least possibly")):
        share = table["relevance"].isin(counted).groupby(table["card"]).mean()
        dimensions = table.groupby("card")["dimension"].first()[share.index]
        name = "relevant images" if words == "relevant" else "images at least possibly relevant"
        made.append(
            _share_of_images(
                (share > 0.5).to_numpy(dtype=float),
                dimensions.to_numpy(),
                replace(scope, n_cases=len(share)),
                f"{name}{whose}",
                ci_level,
            )
        )
    return tuple(made)


def _share_of_images(
    relevant: Array, dimensions: Array, scope: Scope, quantity: str, ci_level: float
) -> Estimate:
    """Return a share of images with an exact interval for as many images as count as independent.

    n* = p(1 − p)/V · (t with n − 1 df / t with dimensions − 1 df)², V clustered by dimension (CR1),
    at most n; where V is 0, n* is the number of dimensions. The limits are those of Clopper and
    Pearson for n*p of n* (Korn and Graubard, Survey Methodology 1998; 24: 193–201).
    """
    method = "share of images, exact binomial interval, effective number by dimension"
    p, n, n_groups = float(relevant.mean()), len(relevant), len(np.unique(dimensions))
    note = f"{int(relevant.sum())} of {n} images"
    if n_groups < 2:
        note += "; one dimension: an interval needs at least two."
        return scope.estimate(quantity, p, method=f"{method} (Korn–Graubard)", note=note)
    variance = fit_clustered(np.ones((n, 1)), relevant, dimensions).standard_error([1.0]) ** 2
    if variance > TINY**2:
        tails = 0.5 + ci_level / 2
        ratio = float(stats.t.ppf(tails, n - 1) / stats.t.ppf(tails, n_groups - 1))
        effective = min(float(n), p * (1 - p) / variance * ratio**2)
    else:
        effective = float(n_groups)
    return scope.estimate(
        quantity,
        p,
        ci=_clopper_pearson(p * effective, effective, ci_level),
        ci_level=ci_level,
        method=f"{method} (Korn–Graubard)",
        note=f"{note}, which count as {effective:.1f} independent ones; speaks for dimensions "
        "selected in the same way.",
    )


def _clopper_pearson(x: float, n: float, ci_level: float) -> tuple[float, float]:
    """Return the limits for x of n, which need not be whole numbers."""
    tail, rest = (1 - ci_level) / 2, n - x
    low = 0.0 if x < TINY else float(stats.beta.ppf(tail, x, rest + 1))
    high = 1.0 if rest < TINY else float(stats.beta.ppf(1 - tail, x + 1, rest))
    return low, high


def _shares_of(table: pd.DataFrame, expert: str, ci_level: float) -> tuple[Estimate, ...]:
    own = table[table["reader"].astype("str") == expert]
    return _shares(own, "this reader", f", expert {expert}", ci_level)


def _agreement(table: pd.DataFrame, item: str, what: str, ci_level: float) -> tuple[Estimate, ...]:
    """Return the agreement on one item, with intervals over dimensions."""
    scale = MEANINGFUL_SCALE if item == "meaningful" else RELEVANCE_SCALE
    metric: Metric = "nominal" if item == "meaningful" else "ordinal"
    weights: Weights = "unweighted" if item == "meaningful" else "ordinal"
    measures: tuple[_Measure, ...] = (
        lambda matrix: percent_agreement(matrix, ci_level=ci_level),
        lambda matrix: krippendorff_alpha(matrix, metric, interval="none", ci_level=ci_level),
        lambda matrix: gwet_ac(matrix, weights, ci_level=ci_level),
    )
    coded = table.assign(value=table[item].map({word: n for n, word in enumerate(scale)}))
    units = coded.groupby("card")["dimension"].first()
    n_experts = coded["reader"].nunique()
    scope = Scope("these readers", "descriptive", n_experts, len(units))
    quantity = f"{{}} on {item!r}, {what}"
    if n_experts < 2:
        method = "agreement between experts"
        return (scope.unavailable(quantity.format("agreement"), method=method, note=ALONE),)
    matrix = matrix_of_table(
        coded, value="value", units=["card"], rater="reader", scale=range(len(scale))
    )
    clusters = units[list(matrix.units)].to_numpy()
    found = [_jackknifed(measure, matrix, clusters, ci_level) for measure in measures]
    return tuple(
        replace(made, quantity=quantity.format(made.quantity)).to_estimate(scope) for made in found
    )


def _jackknifed(
    measure: _Measure, matrix: RatingMatrix, clusters: Array, ci_level: float
) -> Coefficient:
    """Return a coefficient whose interval leaves out one dimension after another."""
    whole = measure(matrix)
    groups = np.unique(clusters)
    name = whole.method.split(", linearised")[0]
    method = f"{name}; jackknife over dimensions, t with dimensions − 1 df"
    if whole.value is None:
        return whole
    bare = replace(whole, ci=None, standard_error=None, df=None, p_value=None, method=method)
    if len(groups) < 3:
        return replace(bare, note="Fewer than three dimensions: no interval.")
    values = [measure(matrix.select(clusters != group)).value for group in groups]
    usable = np.array([value for value in values if value is not None])
    if len(usable) < len(groups):
        note = "Without one dimension it is not defined; there is no interval by jackknife."
        return replace(bare, note=note)
    n = len(groups)
    error = float(np.sqrt((n - 1) / n * ((usable - usable.mean()) ** 2).sum()))
    made = coefficient_from_error(
        whole.quantity,
        whole.value,
        error if error > 1e-12 else 0.0,
        df=n - 1,
        ci_level=ci_level,
        method=method,
        n_units=whole.n_units,
    )
    if whole.quantity.startswith("raw agreement") and made.ci is not None:  # a share is not tested
        return replace(made, p_value=None, ci=(max(0.0, made.ci[0]), made.ci[1]))
    return made


def panel_relevance(answers: Sequence[str]) -> str:
    """Return what more than half of the experts say: yes, possible, no, or divided."""
    for word in reversed(RELEVANCE_SCALE):
        if 2 * sum(answer == word for answer in answers) > len(answers):
            return word
    return "divided" if answers else ""
