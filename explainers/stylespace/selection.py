"""Which dimensions matter: changes over many films brought down to one number each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from explainers.base import ExplainerError
from explainers.stylespace.sweep import Sweep

Aggregation = Literal["mean", "share", "max"]


@dataclass(frozen=True)
class Factor:
    """A dimension that moves the classifier.

    Parameters
    ----------
    dimension
        Index into S.
    finding
        What it moves.
    change
        The aggregate that it was selected by: a mean of |Δ|, a share of films, or a largest |Δ|.
    mean_low, mean_high
        Mean signed Δ with the dimension at its lowest and at its highest.
    share_moved
        Share of the films on which |Δ| reaches the threshold.
    n_films
        Films measured; those passed over by a screening count as unmoved.
    """

    dimension: int
    finding: str
    change: float
    mean_low: float
    mean_high: float
    share_moved: float
    n_films: int


def aggregated(
    sweep: Sweep, finding: str, aggregation: Aggregation = "mean", *, threshold: float = 0.3
) -> NDArray[np.float64]:
    """Return one number per dimension (D,): how much it moves the finding.

    ``mean``: mean over films of the larger |Δ| of the two ends; ``share``: films on which that
    reaches the threshold; ``max``: the largest.

    Raises
    ------
    ExplainerError
        If the sweep does not know the finding.
    """
    size = np.abs(np.nan_to_num(_of_finding(sweep, finding))).max(axis=2)  # (N, D)
    if aggregation == "mean":
        return np.asarray(size.mean(axis=0, dtype=float))
    if aggregation == "share":
        return np.asarray((size >= threshold).mean(axis=0, dtype=float))
    return np.asarray(size.max(axis=0), dtype=float)


def selected(
    sweep: Sweep,
    finding: str,
    *,
    aggregation: Aggregation = "max",
    threshold: float = 0.3,
    least_share: float = 0.05,
    limit: int | None = None,
) -> tuple[Factor, ...]:
    """Return the dimensions that pass, strongest first.

    Parameters
    ----------
    sweep
        Of films that the classifier gets right, best with confidence.
    finding
        The finding.
    aggregation
        ``mean`` and ``max`` must reach ``threshold``; ``share`` must reach ``least_share``.
    threshold
        δ of the paper, 0.3 there.
    least_share
        Used by ``share`` alone.
    limit
        At most so many.
    """
    values = aggregated(sweep, finding, aggregation, threshold=threshold)
    bar = least_share if aggregation == "share" else threshold
    order = np.argsort(-values, kind="stable")
    chosen = [int(d) for d in order if values[d] >= bar][:limit]
    return tuple(_factor(sweep, finding, d, float(values[d]), threshold) for d in chosen)


def strongest(
    sweep: Sweep, finding: str, n: int = 1, *, threshold: float = 0.3
) -> tuple[Factor, ...]:
    """Return the n dimensions with the largest mean change, whether or not they pass.

    A screened sweep has measured a dimension below its threshold only where the gradient expected
    it above, so there the largest change is a lower bound.

    Parameters
    ----------
    sweep, finding
        As for :func:`selected`.
    n
        How many.
    threshold
        δ that ``share_moved`` counts films by.
    """
    values = aggregated(sweep, finding, "mean")
    order = np.argsort(-values, kind="stable")[:n]
    return tuple(_factor(sweep, finding, int(d), float(values[d]), threshold) for d in order)


def flips(sweep: Sweep, finding: str, dimension: int) -> NDArray[np.bool_]:
    """Return on which films (N,) clamping the dimension carries the decision over 0.5."""
    number = _number(sweep, finding)
    before = sweep.probabilities[:, number]
    after = before[:, None] + np.nan_to_num(sweep.changes[:, dimension, :, number])
    return np.asarray(((after > 0.5) != (before[:, None] > 0.5)).any(axis=1))


def _factor(sweep: Sweep, finding: str, dimension: int, change: float, threshold: float) -> Factor:
    of = np.nan_to_num(_of_finding(sweep, finding)[:, dimension])  # (N, 2)
    return Factor(
        dimension=dimension,
        finding=finding,
        change=change,
        mean_low=float(of[:, 0].mean()),
        mean_high=float(of[:, 1].mean()),
        share_moved=float((np.abs(of).max(axis=1) >= threshold).mean()),
        n_films=len(of),
    )


def _of_finding(sweep: Sweep, finding: str) -> NDArray[np.float32]:
    return sweep.changes[..., _number(sweep, finding)]


def _number(sweep: Sweep, finding: str) -> int:
    if finding not in sweep.findings:
        raise ExplainerError(
            f"The sweep knows nothing of {finding!r}; it measured {', '.join(sweep.findings)}."
        )
    return sweep.findings.index(finding)
