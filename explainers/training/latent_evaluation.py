"""Held-out figures of the heads on a latent: areas under ROC curves beside the best attainable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from data.phantom.severity import THRESHOLD_NG_L
from explainers.base import ExplainerError
from explainers.generators.wgan import WGAN
from explainers.training.films import Films, Split
from explainers.training.held_out import Interval, auc_interval
from explainers.training.latent_regressor import (
    FINDINGS_HEAD,
    OUTPUT,
    HeartFailureTable,
    encode_rows,
)

PAPER_AUC = 0.837
"""Area under the ROC curve of BNP > 100 ng/L in Seah et al., on real films."""


@dataclass(frozen=True)
class RegressorFigures:
    """How well one head predicts the simulated log-BNP of held-out films.

    Parameters
    ----------
    head
        Name of the head.
    split, n_films, n_patients, n_positive
        What was measured on.
    auc
        Area under the ROC curve of simulated BNP > 100 ng/L, bootstrap interval by patient.
    best_auc
        The same of the true severity: nobody who sees only the film can be expected to do better.
    share_of_best
        auc / best_auc.
    share_above_chance
        (auc − 0.5) / (best_auc − 0.5).
    paper_auc
        That of the paper, on real films: beside it, not comparable with it.
    r_squared, best_r_squared
        Explained share of the variance of the target, by the head and by the severity (the
        squared correlation).
    error
        Root of the mean squared error of ln(BNP)/10.
    sensitivity, specificity
        At the threshold of 0.4605.
    """

    head: str
    split: str
    n_films: int
    n_patients: int
    n_positive: int
    auc: Interval
    best_auc: Interval
    share_of_best: float
    share_above_chance: float
    paper_auc: float
    r_squared: float
    best_r_squared: float
    error: float
    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class FindingHeadFigures:
    """Area under the ROC curve of one finding's head on held-out films."""

    finding: str
    n_films: int
    n_positive: int
    auc: Interval


@dataclass(frozen=True, eq=False)
class RocCurve:
    """One curve of a figure: false and true positive rates, each (K,), from (0, 0) to (1, 1)."""

    name: str
    false_positive: NDArray[np.float64]
    true_positive: NDArray[np.float64]


@torch.no_grad()
def evaluate_regressors(
    wgan: WGAN, films: Films, table: HeartFailureTable, *, split: Split = "test"
) -> tuple[tuple[RegressorFigures, ...], tuple[RocCurve, ...]]:
    """Figures of every regression head on held-out films, and the ROC curves beside the best.

    Raises
    ------
    ExplainerError
        If all held-out films lie on one side of the threshold.
    """
    rows = films.rows(split)
    positive, patients = table.positive[rows], films.patient_ids[rows]
    if not len(rows) or positive.all() or not positive.any():
        raise ExplainerError(
            f"All {len(rows)} {split} films lie on one side of the threshold of "
            f"{THRESHOLD_NG_L:g} ng/L; a ROC curve needs both."
        )
    z, truth, severity = encode_rows(wgan, films, rows), table.target[rows], table.severity[rows]
    truths = positive.astype(np.float64)
    best = auc_interval(severity, truths, patients)
    curves, figures = [], []
    for name in wgan.head_names:
        head = wgan.head(name)
        if head.shape.outputs != (OUTPUT,):
            continue
        values = head(z)[:, 0].double().numpy()
        area = auc_interval(values, truths, patients)
        called = values > head.shape.thresholds[0]
        error = float(np.mean((values - truth) ** 2))
        figures.append(
            RegressorFigures(
                head=name,
                split=split,
                n_films=len(rows),
                n_patients=len(set(patients.tolist())),
                n_positive=int(positive.sum()),
                auc=area,
                best_auc=best,
                share_of_best=area.value / best.value,
                share_above_chance=(area.value - 0.5) / (best.value - 0.5),
                paper_auc=PAPER_AUC,
                r_squared=1 - error / float(truth.var()),
                best_r_squared=float(np.corrcoef(severity, truth)[0, 1] ** 2),
                error=error**0.5,
                sensitivity=float(called[positive].mean()),
                specificity=float((~called)[~positive].mean()),
            )
        )
        curves.append(roc_curve(name, values, positive))
    curves.append(roc_curve("true severity (best attainable)", severity, positive))
    return tuple(figures), tuple(curves)


@torch.no_grad()
def evaluate_findings(
    wgan: WGAN, films: Films, *, split: Split = "test"
) -> tuple[FindingHeadFigures, ...]:
    """Area under the ROC curve of the head of findings, per finding, on held-out films."""
    rows = films.rows(split)
    values = wgan.head(FINDINGS_HEAD)(encode_rows(wgan, films, rows)).numpy()
    figures = []
    for target, finding in enumerate(films.findings):
        known = np.isfinite(films.labels[rows, target])
        labels, patients = films.labels[rows[known], target], films.patient_ids[rows[known]]
        figures.append(
            FindingHeadFigures(
                finding=finding,
                n_films=int(known.sum()),
                n_positive=int(labels.sum()),
                auc=auc_interval(values[known, target], labels, patients),
            )
        )
    return tuple(figures)


def roc_curve(name: str, scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> RocCurve:
    """Points of a ROC curve, one per distinct score; their trapezoids make the area."""
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ranked, truth = np.asarray(scores)[order], np.asarray(positive, bool)[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits, alarms = np.cumsum(truth)[last], np.cumsum(~truth)[last]
    return RocCurve(
        name,
        np.concatenate([[0.0], alarms / max((~truth).sum(), 1)]),
        np.concatenate([[0.0], hits / max(truth.sum(), 1)]),
    )
