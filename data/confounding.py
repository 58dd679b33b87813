"""What tells a finding without looking at a film: the shape of its file.

Where films of ill and healthy people come from other places or machines, their size or aspect ratio
gives the label away. A classifier's AUC means little without this baseline beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from data.case import DataError
from data.manifest import CaseEntry, CaseSet
from data.reference import ReferenceSet

GEOMETRY: Mapping[str, Callable[[CaseEntry], float]] = MappingProxyType(
    {
        "aspect ratio": lambda entry: entry.columns / entry.rows,
        "rows": lambda entry: float(entry.rows),
        "columns": lambda entry: float(entry.columns),
        "pixels": lambda entry: float(entry.rows * entry.columns),
    }
)
"""What is measured of a film's shape."""
LEARNING, HELD_OUT = "train", "test"
N_RESAMPLES = 1000


@dataclass(frozen=True)
class Baseline:
    """How well one number about the film's shape tells one finding.

    Parameters
    ----------
    finding, quantity
        What is told, and from which of :data:`GEOMETRY`.
    n_films, n_positive, n_patients
        Films and patients that were measured.
    auc
        Area under the ROC curve, in [0, 1]; NaN if one class is missing.
    low, high
        95 % percentile bootstrap interval over patients.
    direction
        1 if larger means the finding, -1 if smaller does.
    held_out
        Whether the direction was learnt on other patients (split train); otherwise it was chosen
        on the measured films themselves, and ``auc`` is at least 0.5.
    """

    finding: str
    quantity: str
    n_films: int
    n_positive: int
    n_patients: int
    auc: float
    low: float
    high: float
    direction: int
    held_out: bool


def rank_auc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve by ranks (Mann–Whitney), ties counted half.

    Parameters
    ----------
    scores
        (N,), larger speaks for the finding.
    positive
        (N,) bool.

    Returns
    -------
    float
        In [0, 1]; NaN if one class is missing.
    """
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    surplus = rankdata(scores)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(surplus / (n_positive * n_negative))


def geometry_baselines(
    cases: CaseSet, references: ReferenceSet, *, seed: int = 0
) -> tuple[Baseline, ...]:
    """Measure how well the films' shape alone tells every finding.

    Where the reference standard has the splits train and test, the direction comes from the first
    and the figures from the second; otherwise all films are measured.

    Parameters
    ----------
    cases, references
        A case set and its reference standard.
    seed
        Draws the bootstrap.

    Raises
    ------
    DataError
        If there is no finding, or no film with a known one.
    """
    known = [case_id for case_id in cases if case_id in references]
    if not references.findings or not known:
        raise DataError(
            f"{cases.root} has no finding to tell; expected finding:<Name> columns in its "
            "reference.csv."
        )
    splits = np.array([references.get(case_id).split for case_id in known])
    has_splits = bool((splits == LEARNING).any() and (splits == HELD_OUT).any())
    measured = splits == HELD_OUT if has_splits else np.ones(len(known), dtype=bool)
    learning = splits == LEARNING if has_splits else measured
    patients = np.array([references.get(case_id).patient_id for case_id in known])
    found = []
    for finding in references.findings:
        values = [references.get(case_id).findings.get(finding) for case_id in known]
        labelled = np.array([value is not None for value in values])
        positive = np.array([value is True for value in values])
        for quantity, measure in GEOMETRY.items():
            scores = np.array([measure(cases.entry(case_id)) for case_id in known])
            fit, test = learning & labelled, measured & labelled
            direction = -1 if rank_auc(scores[fit], positive[fit]) < 0.5 else 1
            signed = direction * scores[test]
            low, high = _interval(signed, positive[test], patients[test], seed)
            found.append(
                Baseline(
                    finding,
                    quantity,
                    n_films=int(test.sum()),
                    n_positive=int(positive[test].sum()),
                    n_patients=len(np.unique(patients[test])),
                    auc=rank_auc(signed, positive[test]),
                    low=low,
                    high=high,
                    direction=direction,
                    held_out=has_splits,
                )
            )
    return tuple(found)


def _interval(
    scores: NDArray[np.floating],
    positive: NDArray[np.bool_],
    patients: NDArray[np.str_],
    seed: int,
) -> tuple[float, float]:
    """95 % bootstrap interval that draws patients, not films."""
    if np.isnan(rank_auc(scores, positive)):
        return float("nan"), float("nan")
    names, group = np.unique(patients, return_inverse=True)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(N_RESAMPLES):
        films = np.concatenate([members[k] for k in rng.integers(0, len(names), len(names))])
        draws.append(rank_auc(scores[films], positive[films]))
    kept = [draw for draw in draws if not np.isnan(draw)]
    return float(np.percentile(kept, 2.5)), float(np.percentile(kept, 97.5))
