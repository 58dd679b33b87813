"""How good a trained network is on patients it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from explainers.classifiers.base import Classifier
from explainers.generators.base import Autoencoder
from explainers.training.films import Films, Split
from explainers.training.loop import batches

_BATCH = 64


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % percentile bootstrap interval over patients; NaN if undefined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class FindingFigures:
    """Figures of one finding on held-out films.

    ``sensitivity`` and ``specificity`` are those at probability 0.5. ``sensitivity_by_severity``
    holds the lowest, middle and highest third of the positives by severity (empty if severities
    are not recorded). ``auc_tube_free`` leaves out films with a chest tube; ``auc_tube_disagrees``
    keeps only those that show either the tube or the finding, and is below 0.5 where the classifier
    trusts the tube more; ``tube_alone_called`` is the share of films with a tube and no finding at
    all that it calls positive. All three are ``None`` where tubes are not recorded.
    """

    finding: str
    n_films: int
    n_positive: int
    auc: Interval
    sensitivity: float
    specificity: float
    sensitivity_by_severity: tuple[float, ...]
    auc_tube_free: Interval | None
    auc_tube_disagrees: Interval | None
    tube_alone_called: float | None


@dataclass(frozen=True)
class ClassifierFigures:
    """Held-out figures of a classifier, one entry per finding."""

    split: str
    n_patients: int
    findings: tuple[FindingFigures, ...]

    def lines(self) -> list[str]:
        """Lines of Markdown for the card."""
        lines = [
            f"{self.n_patients} patients. AUC with a 95 % bootstrap interval by patient; "
            "sensitivity and specificity at probability 0.5.",
            "",
            "| Finding | Positive | AUC | AUC without tubes | Sensitivity "
            "| mild / moderate / severe | Specificity |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for f in self.findings:
            thirds = " / ".join(f"{value:.2f}" for value in f.sensitivity_by_severity) or "–"
            lines.append(
                f"| {f.finding} | {f.n_positive} of {f.n_films} | {f.auc} "
                f"| {f.auc_tube_free or '–'} | {f.sensitivity:.2f} | {thirds} "
                f"| {f.specificity:.2f} |"
            )
        return lines


@dataclass(frozen=True)
class ReconstructionFigures:
    """What an autoencoder keeps of one finding, on the positives of a split.

    ``error_in_mask`` is the mean absolute error inside the mask, in grey levels of 255.
    ``probability_shift`` is the mean |f(x) − f(D(E(x)))| with probabilities, ``signed_shift`` the
    mean of f(D(E(x))) − f(x), ``negatives_shift`` the mean absolute shift on the negatives; they
    are ``None`` without a classifier.
    """

    finding: str
    n_positive: int
    error_in_mask: float
    probability_shift: float | None
    signed_shift: float | None
    negatives_shift: float | None


@dataclass(frozen=True)
class AutoencoderFigures:
    """Held-out figures of an autoencoder; ``error`` is the mean absolute error in 1/255."""

    split: str
    n_films: int
    error: float
    error_in_masks: float
    findings: tuple[ReconstructionFigures, ...]

    def lines(self) -> list[str]:
        """Lines of Markdown for the card."""
        lines = [
            f"{self.n_films} films. Mean absolute error {self.error:.2f} of 255 grey levels, "
            f"{self.error_in_masks:.2f} inside the masks of findings.",
            "",
            "| Finding | Positive | Error in mask (1/255) | Mean abs. shift of f, positives "
            "| Mean shift | Mean abs. shift, negatives |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for r in self.findings:
            shifts = (r.probability_shift, r.signed_shift, r.negatives_shift)
            cells = " | ".join("–" if value is None else f"{value:.3f}" for value in shifts)
            lines.append(f"| {r.finding} | {r.n_positive} | {r.error_in_mask:.2f} | {cells} |")
        return lines


@dataclass(frozen=True)
class GeneratorFigures:
    """How near a generator's samples come to held-out films; see ``evaluation/distances.py``.

    ``frechet_of_films`` is the distance between two halves of the held-out films: what no
    generator can be expected to undercut.
    """

    split: str
    n_images: int
    frechet: float
    frechet_of_films: float
    precision: float
    recall: float
    features: str

    def lines(self) -> list[str]:
        """Lines of Markdown for the card."""
        return [
            f"{self.n_images} samples against as many films, in the features of the classifier "
            f"{self.features[:16]}… (comparable with each other only): Fréchet distance "
            f"{self.frechet:.3g}, between halves of the films {self.frechet_of_films:.3g}; "
            f"precision {self.precision:.2f}, recall {self.recall:.2f}.",
        ]


def auc(scores: NDArray[np.floating], labels: NDArray[np.floating]) -> float:
    """Area under the ROC curve by ranks (Mann–Whitney), ties counted half; NaN for one class."""
    positive = np.asarray(labels) > 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    ranks = rankdata(scores)
    surplus = ranks[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(surplus / (n_positive * n_negative))


def auc_interval(
    scores: NDArray[np.floating],
    labels: NDArray[np.floating],
    patients: NDArray[np.str_],
    *,
    n_resamples: int = 400,
    seed: int = 0,
) -> Interval:
    """AUC with a bootstrap interval that draws patients, not films, with replacement."""
    value = auc(scores, labels)
    if np.isnan(value):
        return Interval(value, value, value)
    _, group = np.unique(patients, return_inverse=True)
    n_patients = int(group.max()) + 1
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(n_patients + 1))
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(n_resamples):
        drawn = generator.integers(0, n_patients, n_patients)
        films = np.concatenate([order[starts[p] : starts[p + 1]] for p in drawn])
        draws.append(auc(scores[films], labels[films]))
    known = np.array(draws)[~np.isnan(draws)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return Interval(value, float(low), float(high))


@torch.no_grad()
def predict_logits(
    classifier: Classifier, films: Films, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Logits (N, F) of the chosen films."""
    if not len(rows):
        return np.zeros((0, len(classifier.findings)), np.float32)
    parts = [classifier.logits(films.image_batch(part)).numpy() for part in batches(rows, _BATCH)]
    return np.concatenate(parts)


def evaluate_classifier(
    classifier: Classifier,
    films: Films,
    *,
    split: Split = "test",
    parameters: pd.DataFrame | None = None,
    n_resamples: int = 400,
) -> ClassifierFigures:
    """Figures per finding on one split, films only.

    Parameters
    ----------
    classifier
        Its findings must be among those of the films.
    films
        The case set.
    split
        Which patients.
    parameters
        Table with ``case_id`` as index; columns ``chest_tube`` and ``<finding>_severity`` are used
        where they exist.
    n_resamples
        Bootstrap resamples per AUC.
    """
    rows = films.rows(split)
    logits = predict_logits(classifier, films, rows)
    probabilities = classifier.probabilities(torch.from_numpy(logits)).numpy()
    table = None if parameters is None else parameters.reindex(films.case_ids[rows])
    figures = []
    for target, finding in enumerate(classifier.findings):
        labels = films.labels[rows, films.findings.index(finding)]
        known = np.isfinite(labels)
        called, truth = probabilities[known, target] > 0.5, labels[known] > 0.5
        patients = films.patient_ids[rows][known]
        scores = logits[known, target]
        tube_free, disagreeing, alone = None, None, None
        if table is not None and "chest_tube" in table:
            tube = _as_bool(table["chest_tube"])[known]
            tube_free, disagreeing = (
                auc_interval(
                    scores[chosen], labels[known][chosen], patients[chosen], n_resamples=n_resamples
                )
                for chosen in (~tube, tube != truth)
            )
            healthy = ~(films.labels[rows][known] > 0.5).any(axis=1)
            alone = _mean(called[tube & healthy])
        figures.append(
            FindingFigures(
                finding=finding,
                n_films=int(known.sum()),
                n_positive=int(truth.sum()),
                auc=auc_interval(scores, labels[known], patients, n_resamples=n_resamples),
                sensitivity=_mean(called[truth]),
                specificity=_mean(~called[~truth]),
                sensitivity_by_severity=_by_severity(table, finding, known, truth, called),
                auc_tube_free=tube_free,
                auc_tube_disagrees=disagreeing,
                tube_alone_called=alone,
            )
        )
    n_patients = len(np.unique(films.patient_ids[rows]))
    return ClassifierFigures(split, n_patients, tuple(figures))


@torch.no_grad()
def evaluate_autoencoder(
    autoencoder: Autoencoder,
    films: Films,
    *,
    split: Split = "test",
    classifier: Classifier | None = None,
    limit: int | None = None,
) -> AutoencoderFigures:
    """Reconstruction error, and what reconstruction does to a classifier's predictions.

    Parameters
    ----------
    autoencoder, films, split
        What is measured, on which patients (films only).
    classifier
        The classifier to be explained.
    limit
        Look at the first so many films only.
    """
    rows = films.rows(split)[:limit]
    errors: list[float] = []
    in_mask: list[NDArray[np.float32]] = []
    before, after = [], []
    for part in batches(rows, _BATCH):
        images, masks = films.image_batch(part), films.mask_batch(part)
        rebuilt = autoencoder.decode(autoencoder.encode(images))
        error = (rebuilt - images).abs() * 255
        errors += error.mean(dim=(1, 2, 3)).tolist()
        area = masks.sum(dim=(2, 3))
        in_mask.append(((error * masks).sum(dim=(2, 3)) / area).numpy())  # NaN without a mask
        if classifier is not None:
            before.append(classifier.probabilities(classifier.logits(images)).numpy())
            after.append(classifier.probabilities(classifier.logits(rebuilt)).numpy())
    mask_errors = np.concatenate(in_mask)
    figures = []
    for target, finding in enumerate(films.findings):
        positive = films.labels[rows, target] == 1
        shifts: Sequence[float | None] = (None, None, None)
        if classifier is not None and finding in classifier.findings:
            column = classifier.findings.index(finding)
            shift = np.concatenate(after)[:, column] - np.concatenate(before)[:, column]
            negative = films.labels[rows, target] == 0
            shifts = (
                _mean(np.abs(shift[positive])),
                _mean(shift[positive]),
                _mean(np.abs(shift[negative])),
            )
        inside = mask_errors[positive, target]
        figures.append(
            ReconstructionFigures(
                finding, int(positive.sum()), _mean(inside[np.isfinite(inside)]), *shifts
            )
        )
    every = mask_errors[np.isfinite(mask_errors)]
    return AutoencoderFigures(
        split, len(rows), _mean(np.array(errors)), _mean(every), tuple(figures)
    )


def _mean(values: NDArray[np.floating] | NDArray[np.bool_]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _as_bool(column: pd.Series) -> NDArray[np.bool_]:
    return column.astype(str).str.lower().isin(["1", "1.0", "true"]).to_numpy()


def _by_severity(
    table: pd.DataFrame | None,
    finding: str,
    known: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    called: NDArray[np.bool_],
) -> tuple[float, ...]:
    """Sensitivity in the thirds of the positives, mild to severe."""
    column = f"{finding.lower().replace(' ', '_')}_severity"
    if table is None or column not in table or truth.sum() < 3:
        return ()
    severity = pd.to_numeric(table[column], errors="coerce").to_numpy(float)[known][truth]
    thirds = np.array_split(np.argsort(severity, kind="stable"), 3)
    return tuple(_mean(called[truth][third]) for third in thirds)
