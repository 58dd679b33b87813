"""The Wilcoxon signed-rank test with ties and zeros done properly, and what goes with it.

Three treatments of zeros give three different tests, so each result names its own. The exact test
is conditional on the sizes of the differences: given them, every pattern of signs is equally likely
under the null, and the distribution of W₊ is the convolution of n two-point distributions. It is
right with ties and zeros, where tables of the tie-free distribution are not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.analysis.estimate import Estimate, Scope
from study.analysis.groups import group_codes
from study.analysis.robust import fit_clustered

ZeroMethod = Literal["wilcox", "pratt", "zsplit"]
Alternative = Literal["two-sided", "greater", "less"]
Distribution = Literal["normal", "exact"]

_ZEROS = {
    "wilcox": "zeros dropped",
    "pratt": "zeros ranked, then dropped (Pratt)",
    "zsplit": "zeros ranked and split between the signs",
}
_FEW = 10
_DIGITS = 9
LARGEST_EXACT = 2000
"""Differences other than 0 up to which the exact distribution is worth its memory."""


@dataclass(frozen=True)
class SignedRank:
    """A Wilcoxon signed-rank test.

    Parameters
    ----------
    statistic
        W, the smaller of ``w_plus`` and ``w_minus``; ``None`` if nothing could be ranked.
    w_plus, w_minus
        Sums of the ranks of positive and of negative differences (and of half the zeros' ranks
        under ``zsplit``).
    z
        Standardised W₊, tie-corrected and without continuity correction; ``None`` likewise.
    p_value
        By ``distribution``; ``None`` if nothing could be ranked.
    n, n_nonzero
        Differences given, and those other than 0.
    zero_method, correction, alternative, distribution
        As asked for.
    note
        Why there is no p-value, or what to mind about it.
    """

    statistic: float | None
    w_plus: float | None
    w_minus: float | None
    z: float | None
    p_value: float | None
    n: int
    n_nonzero: int
    zero_method: ZeroMethod
    correction: bool
    alternative: Alternative
    distribution: Distribution = "normal"
    note: str = ""

    @property
    def method(self) -> str:
        """The test with every choice that changes its number."""
        return f"Wilcoxon signed-rank test, {self.choices}"

    @property
    def choices(self) -> str:
        """Zero handling, continuity correction, distribution and side, in words."""
        side = "" if self.alternative == "two-sided" else f", one-sided ({self.alternative})"
        if self.distribution == "exact":
            return f"{_ZEROS[self.zero_method]}, exact given the sizes of the differences{side}"
        correction = "continuity correction" if self.correction else "no continuity correction"
        return f"{_ZEROS[self.zero_method]}, {correction}, normal approximation{side}"

    def to_estimate(self, scope: Scope) -> Estimate:
        """Return W and p as an :class:`~study.analysis.estimate.Estimate`."""
        if self.statistic is None:
            return scope.unavailable("signed-rank W", method=self.method, note=self.note)
        return scope.estimate(
            "signed-rank W",
            self.statistic,
            p_value=self.p_value,
            method=self.method,
            note=self.note,
        )


def signed_rank(
    differences: ArrayLike,
    *,
    zero_method: ZeroMethod = "wilcox",
    correction: bool = False,
    alternative: Alternative = "two-sided",
    distribution: Distribution = "normal",
) -> SignedRank:
    """Test whether differences are symmetric about 0 (Wilcoxon 1945; Pratt 1959 for the zeros).

    Differences are rounded to nine decimal places before ranking, so that averages over readers
    tie where they are equal.

    Parameters
    ----------
    differences
        Shape (n,), finite.
    zero_method
        ``wilcox`` drops zeros, ``pratt`` ranks them first and then drops them, ``zsplit`` gives
        half of their ranks to either sign.
    correction
        Whether to apply the continuity correction of 1/2 to the normal approximation.
    alternative
        ``greater``: differences tend to be positive.
    distribution
        ``normal``: approximation with tie correction; ``exact``: convolution over all signs.
    """
    d = _rounded(differences)
    n_nonzero = int(np.count_nonzero(d))
    w_plus = w_minus = z = p_value = None
    note = ""
    if n_nonzero == 0:
        given = f"All {len(d)} differences are 0" if len(d) else "There are no differences"
        note = f"{given}: nothing to rank."
    else:
        ranks, signs, free = _ranked(d, zero_method)
        positive, negative = float(ranks[signs > 0].sum()), float(ranks[signs < 0].sum())
        half = float(ranks[signs == 0].sum()) / 2 if zero_method == "zsplit" else 0.0
        w_plus, w_minus = positive + half, negative + half
        z = _z(w_plus, w_minus, free)
        if distribution == "exact" and n_nonzero <= LARGEST_EXACT:
            p_value = _exact_p(w_plus, free, alternative)
        else:
            distribution = "normal"
            p_value = _normal_p(w_plus, w_minus, free, alternative, correction)
            if n_nonzero < _FEW:
                note = (
                    f"Only {n_nonzero} differences other than 0: the normal approximation is rough."
                )
    return SignedRank(
        statistic=None if w_plus is None or w_minus is None else min(w_plus, w_minus),
        w_plus=w_plus,
        w_minus=w_minus,
        z=z,
        p_value=p_value,
        n=len(d),
        n_nonzero=n_nonzero,
        zero_method=zero_method,
        correction=correction,
        alternative=alternative,
        distribution=distribution,
        note=note,
    )


def null_distribution(ranks: ArrayLike) -> NDArray[np.float64]:
    """Return P(2·W₊ = k) for k = 0 … 2·Σranks, when every sign is a fair coin.

    Parameters
    ----------
    ranks
        Shape (n,), whole or half numbers (midranks).
    """
    doubled = np.rint(2 * np.asarray(ranks, dtype=float)).astype(int)
    chances = np.ones(1)
    for step in np.sort(doubled):
        grown = np.zeros(len(chances) + step)
        grown[: len(chances)] += chances / 2
        grown[step:] += chances / 2
        chances = grown
    return chances


def hodges_lehmann(
    differences: ArrayLike,
    scope: Scope,
    *,
    ci_level: float = 0.95,
    distribution: Distribution = "normal",
    zeros: Literal["kept", "dropped"] = "kept",
) -> Estimate:
    """Return the Hodges–Lehmann shift: the median of all averages of two differences.

    Walsh averages (dᵢ + dⱼ)/2, i ≤ j; the interval is the pair of order statistics that the
    signed-rank test does not reject (Hodges and Lehmann 1963; Hollander and Wolfe, 3.4). Its normal
    version takes k = ⌊n(n+1)/4 − z·√(n(n+1)(2n+1)/24)⌋ without a tie correction, which makes it
    wide rather than narrow on ratings; its exact version takes k from the tie-free distribution.

    Parameters
    ----------
    differences
        Shape (n,).
    scope
        Population, role and counts.
    ci_level
        In (0, 1).
    distribution
        How k is found.
    zeros
        Zeros carry the information that nothing changed and are kept unless asked otherwise.
    """
    d = _rounded(differences)
    d = d[d != 0] if zeros == "dropped" else d
    method = (
        f"Hodges–Lehmann shift, median of the Walsh averages, zeros {zeros}; order statistics of "
        f"the {'signed-rank distribution' if distribution == 'exact' else 'normal approximation'}"
    )
    if len(d) == 0:
        note = "There is no difference to average."
        return scope.unavailable("Hodges–Lehmann shift", method=method, note=note)
    walsh = walsh_averages(d)
    k = _rank_of_limit(len(d), ci_level, distribution)
    if k < 1:
        return scope.estimate(
            "Hodges–Lehmann shift",
            float(np.median(walsh)),
            method=method,
            note=f"{len(d)} differences are too few for a {100 * ci_level:g} % interval.",
        )
    return scope.estimate(
        "Hodges–Lehmann shift",
        float(np.median(walsh)),
        ci=(float(walsh[k - 1]), float(walsh[len(walsh) - k])),
        ci_level=ci_level,
        method=method,
    )


def walsh_averages(differences: ArrayLike) -> NDArray[np.float64]:
    """Return the sorted averages of every pair i ≤ j, shape (n(n+1)/2,)."""
    d = np.asarray(differences, dtype=float)
    rows, columns = np.triu_indices(len(d))
    return np.sort((d[rows] + d[columns]) / 2)


def rank_biserial(
    differences: ArrayLike,
    scope: Scope,
    *,
    zero_method: ZeroMethod = "wilcox",
    ci_level: float = 0.95,
) -> Estimate:
    """Return the matched rank-biserial correlation (W₊ − W₋)/(W₊ + W₋).

    In [−1, 1]; positive where the first condition is rated higher (Kerby 2014,
    doi:10.2466/11.IT.3.1). The interval is tanh(atanh r ± z·σ₀) with the null standard error σ₀ =
    √((2n³+3n²+n)/6) / ((n²+n)/2) of n differences other than 0: rough, and for independent pairs.
    """
    method = f"matched rank-biserial correlation, {_ZEROS[zero_method]}"
    d = _rounded(differences)
    n = int(np.count_nonzero(d))
    if n == 0:
        note = f"All {len(d)} differences are 0: nothing to rank."
        return scope.unavailable("rank-biserial", method=method, note=note)
    test = signed_rank(d, zero_method=zero_method)
    assert test.w_plus is not None and test.w_minus is not None
    value = (test.w_plus - test.w_minus) / (test.w_plus + test.w_minus)
    method += "; interval on Fisher's z with the null standard error"
    if abs(value) == 1:
        note = "All differences have one sign: the interval has no width."
        return scope.estimate("rank-biserial", value, method=method, note=note)
    reach = float(stats.norm.ppf(0.5 + ci_level / 2))
    reach *= math.sqrt((2 * n**3 + 3 * n**2 + n) / 6) / ((n**2 + n) / 2)
    centre = math.atanh(value)
    limits = math.tanh(centre - reach), math.tanh(centre + reach)
    return scope.estimate("rank-biserial", value, ci=limits, ci_level=ci_level, method=method)


def superiority(
    differences: ArrayLike,
    clusters: ArrayLike,
    scope: Scope,
    *,
    ci_level: float = 0.95,
) -> Estimate:
    """Return P(first > second) + ½ P(equal) within a pair, with a clustered interval.

    The score of a pair is 1, ½ or 0; the interval is t over clusters on the scores (CR1), cut to
    [0, 1].

    Parameters
    ----------
    differences, clusters
        Shape (n,): first minus second, and what belongs together (cases).
    scope
        Population, role and counts.
    ci_level
        In (0, 1).
    """
    d = _rounded(differences)
    quantity = "probability of superiority"
    method = "P(higher) + ½ P(equal) within pairs; t over clusters (CR1)"
    if len(d) == 0:
        return scope.unavailable(quantity, method=method, note="There are no pairs.")
    scores = (np.sign(d) + 1) / 2
    if group_codes(clusters)[1] < 2:
        note = "One cluster: an interval needs at least two."
        return scope.estimate(quantity, scores.mean(), method=method, note=note)
    fit = fit_clustered(np.ones((len(d), 1)), scores, clusters)
    value, low, high = fit.interval([1.0], ci_level)
    if high - low < 1e-12:
        note = "Every cluster has the same score: no variation, so no interval."
        return scope.estimate(quantity, value, method=method, note=note)
    limits = max(low, 0.0), min(high, 1.0)
    return scope.estimate(quantity, value, ci=limits, ci_level=ci_level, df=fit.df, method=method)


def dominance(differences: ArrayLike) -> float:
    """Return P(first > second) − P(first < second) within pairs, zeros in the denominator."""
    d = _rounded(differences)
    return float(np.sign(d).mean())


def sign_test(differences: ArrayLike, scope: Scope) -> Estimate:
    """Return the share of positive among non-zero differences with the exact binomial p-value."""
    d = _rounded(differences)
    n_up, n_down = int((d > 0).sum()), int((d < 0).sum())
    method = "sign test, zeros dropped, exact binomial; Clopper–Pearson interval"
    if n_up + n_down == 0:
        note = f"All {len(d)} differences are 0: there is no sign."
        return scope.unavailable("share of positive differences", method=method, note=note)
    test = stats.binomtest(n_up, n_up + n_down)
    limits = test.proportion_ci(0.95)
    return scope.estimate(
        "share of positive differences",
        n_up / (n_up + n_down),
        ci=(limits.low, limits.high),
        ci_level=0.95,
        p_value=test.pvalue,
        method=method,
    )


def _rounded(differences: ArrayLike) -> NDArray[np.float64]:
    return np.round(np.asarray(differences, dtype=float), _DIGITS) + 0.0


def _ranked(
    d: NDArray[np.float64], zero_method: ZeroMethod
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the ranks, the signs, and the ranks whose sign the null lets vary."""
    kept = d[d != 0] if zero_method == "wilcox" else d
    ranks = np.asarray(stats.rankdata(np.abs(kept)), dtype=float)
    free = ranks if zero_method == "zsplit" else ranks[kept != 0]
    return ranks, np.sign(kept), free


def _z(w_plus: float, w_minus: float, free: NDArray[np.float64]) -> float:
    return (w_plus - w_minus) / 2 / math.sqrt(float(free @ free) / 4)


def _normal_p(
    w_plus: float,
    w_minus: float,
    free: NDArray[np.float64],
    alternative: Alternative,
    correction: bool,
) -> float:
    distance = (w_plus - w_minus) / 2  # W₊ minus its expectation
    if correction:
        half = {"two-sided": math.copysign(0.5, distance), "greater": 0.5, "less": -0.5}
        distance -= half[alternative] if distance or alternative != "two-sided" else 0.0
    z = distance / math.sqrt(float(free @ free) / 4)
    if alternative == "two-sided":
        return min(1.0, 2 * float(stats.norm.sf(abs(z))))
    return float(stats.norm.sf(z) if alternative == "greater" else stats.norm.cdf(z))


def _exact_p(w_plus: float, free: NDArray[np.float64], alternative: Alternative) -> float:
    chances = null_distribution(free)
    place = round(2 * w_plus)
    above, below = float(chances[place:].sum()), float(chances[: place + 1].sum())
    if alternative == "two-sided":
        return min(1.0, 2 * min(above, below))
    return min(1.0, above if alternative == "greater" else below)


def _rank_of_limit(n: int, level: float, distribution: Distribution) -> int:
    """Return k: the interval runs from the k-th smallest to the k-th largest Walsh average."""
    tail = (1 - level) / 2
    if distribution == "normal":
        spread = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return math.floor(n * (n + 1) / 4 - float(stats.norm.ppf(1 - tail)) * spread)
    reached = np.cumsum(null_distribution(np.arange(1, n + 1))[::2])
    return max(int(np.searchsorted(reached, tail)), 1)
