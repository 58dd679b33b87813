"""Whether a structure/class generator shows the class it was asked for, as classifiers judge it.

The published figure counts, over 1000 structures, one negative (z2 = 0) and three positives
(z2 ~ N(0, I)): a generator that always draws the finding is right in 75 %. The balanced figure,
the mean of the share of negatives and the share of positives that are as asked, gives it 50 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.differentiation import left_as_found, predict, stop_if
from explainers.generators.structure_class import StructureClass, drawn_classes

_POSITIVES = 3  # per structure, beside one negative
_RESAMPLES = 1000
_IMAGES_AT_ONCE = 32


@dataclass(frozen=True)
class Share:
    """A share in [0, 1] with the ends of its 95 % interval (bootstrap over structures)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class FindingAgreement:
    """Agreement for one finding.

    Parameters
    ----------
    finding
        Its name.
    as_counted
        Share of images as asked, over one negative and three positives per structure.
    balanced
        Mean of ``specificity`` and ``sensitivity``.
    specificity
        Share of negatives that the judge calls negative (probability below 0.5).
    sensitivity
        Share of positives that the judge calls positive.
    interval, balanced_interval
        ``as_counted`` and ``balanced`` with their intervals.
    """

    finding: str
    as_counted: float
    balanced: float
    specificity: float
    sensitivity: float
    interval: Share
    balanced_interval: Share


@dataclass(frozen=True)
class ClassAgreement:
    """Agreement of a generator with one judge.

    Parameters
    ----------
    judge
        Digest of the judge's weights.
    is_trained_with
        Whether the generator was trained against this judge.
    n_structures
        Values of z1.
    others
        How the blocks of the other findings were set: ``"as in the films"`` or ``"absent"``.
    findings
        One entry per finding.
    interval, balanced_interval
        Mean over findings, with intervals.
    seed
        Of all latents.
    """

    judge: str
    is_trained_with: bool
    n_structures: int
    others: str
    findings: tuple[FindingAgreement, ...]
    interval: Share
    balanced_interval: Share
    seed: int

    @property
    def as_counted(self) -> float:
        """As the paper counts it, mean over findings."""
        return self.interval.value

    @property
    def balanced(self) -> float:
        """Balanced, mean over findings."""
        return self.balanced_interval.value


def class_agreement(
    network: StructureClass,
    judge: Classifier,
    *,
    n_structures: int = 1000,
    labels: NDArray[np.floating] | None = None,
    seed: int = 0,
    on_progress: OnProgress | None = None,
    cancelled: Cancelled | None = None,
) -> ClassAgreement:
    """Agreement with one judge; see :func:`class_agreements`."""
    return class_agreements(
        network,
        [judge],
        n_structures=n_structures,
        labels=labels,
        seed=seed,
        on_progress=on_progress,
        cancelled=cancelled,
    )[0]


def class_agreements(
    network: StructureClass,
    judges: Sequence[Classifier],
    *,
    n_structures: int = 1000,
    labels: NDArray[np.floating] | None = None,
    seed: int = 0,
    on_progress: OnProgress | None = None,
    cancelled: Cancelled | None = None,
) -> list[ClassAgreement]:
    """Let judges look at one negative and three positives per structure and finding.

    Parameters
    ----------
    network
        The generator.
    judges
        Classifiers of its size; 0.5 is their operating point.
    n_structures
        Values of z1; the same ones for every finding.
    labels
        (M, F), 0 or 1: rows from which the other findings of a structure are drawn, the same for
        its four images. ``None`` leaves all others absent.
    seed
        Of all latents.

    Raises
    ------
    ExplainerError
        If there is no structure, the labels have another shape, a judge lacks a finding or is of
        another size, or predicts NaN.
    """
    targets = [_targets(network, judge) for judge in judges]
    n_findings = len(network.findings)
    if n_structures < 1:
        raise ExplainerError(f"{n_structures} structures were asked for; expected at least 1.")
    if labels is not None and (
        labels.ndim != 2 or labels.shape[1] != n_findings or not len(labels)
    ):
        raise ExplainerError(
            f"Labels of shape {labels.shape} were given; expected (rows, {n_findings})."
        )
    right = np.empty((len(judges), n_structures, n_findings, 1 + _POSITIVES), np.bool_)
    dice = torch.Generator().manual_seed(seed)
    wanted = np.array([False] + [True] * _POSITIVES)
    n_at_once = max(_IMAGES_AT_ONCE // (1 + _POSITIVES), 1)
    for finding in range(n_findings):
        for start in range(0, n_structures, n_at_once):
            stop_if(cancelled)
            n_here = min(n_at_once, n_structures - start)
            images = _asked(network, finding, n_here, labels, dice)
            for number, judge in enumerate(judges):
                called = predict(judge, images)[1][:, targets[number][finding]] >= 0.5
                right[number, start : start + n_here, finding] = (
                    called.numpy().reshape(n_here, -1) == wanted
                )
            if on_progress is not None:
                on_progress(finding * n_structures + start + n_here, n_findings * n_structures)
    others = "absent" if labels is None else "as in the films"
    return [
        _summary(network, judge, right[number], others, seed) for number, judge in enumerate(judges)
    ]


@torch.no_grad()
def _asked(
    network: StructureClass,
    finding: int,
    n_structures: int,
    labels: NDArray[np.floating] | None,
    dice: torch.Generator,
) -> torch.Tensor:
    """Images (n · 4, 1, H, W): of every structure one without and three with the finding."""
    shape = (n_structures, len(network.findings))
    z1 = torch.randn(n_structures, network.structure_size, generator=dice)
    present = torch.zeros(shape)
    if labels is not None:
        rows = torch.randint(len(labels), (n_structures,), generator=dice).numpy()
        present = torch.from_numpy(np.asarray(labels[rows] > 0.5, np.float32))
    z2 = drawn_classes(present, network.block_size, dice)
    z2 = z2.repeat_interleave(1 + _POSITIVES, dim=0)
    drawn = torch.randn(n_structures, 1 + _POSITIVES, network.block_size, generator=dice)
    drawn[:, 0] = 0
    z2[:, finding] = drawn.flatten(0, 1)
    with left_as_found(network):
        return network.decode(z1.repeat_interleave(1 + _POSITIVES, dim=0), z2).clamp(0, 1)


def _targets(network: StructureClass, judge: Classifier) -> list[int]:
    missing = [name for name in network.findings if name not in judge.findings]
    if missing or tuple(judge.input_size) != tuple(network.input_size):
        raise ExplainerError(
            f"The judge knows {', '.join(judge.findings)} at {judge.input_size[0]} px; the "
            f"generator draws {', '.join(network.findings)} at {network.input_size[0]} px."
        )
    return [judge.findings.index(name) for name in network.findings]


def _summary(
    network: StructureClass,
    judge: Classifier,
    right: NDArray[np.bool_],
    others: str,
    seed: int,
) -> ClassAgreement:
    """Shares and intervals of judgements (structures, findings, 1 + 3)."""
    counted = right.mean(axis=2)  # (structures, findings)
    balanced = (right[:, :, 0] + right[:, :, 1:].mean(axis=2)) / 2
    dice = np.random.default_rng(seed)
    rows = dice.integers(0, len(right), (_RESAMPLES, len(right)))
    findings = tuple(
        FindingAgreement(
            finding=name,
            as_counted=float(counted[:, number].mean()),
            balanced=float(balanced[:, number].mean()),
            specificity=float(right[:, number, 0].mean()),
            sensitivity=float(right[:, number, 1:].mean()),
            interval=_share(counted[:, number], rows),
            balanced_interval=_share(balanced[:, number], rows),
        )
        for number, name in enumerate(network.findings)
    )
    return ClassAgreement(
        judge=judge.weights_digest,
        is_trained_with=bool(network.classifier_digest)
        and judge.weights_digest == network.classifier_digest,
        n_structures=len(right),
        others=others,
        findings=findings,
        interval=_share(counted.mean(axis=1), rows),
        balanced_interval=_share(balanced.mean(axis=1), rows),
        seed=seed,
    )


def _share(of_structure: NDArray[np.float64], rows: NDArray[np.int64]) -> Share:
    means = of_structure[rows].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Share(float(of_structure.mean()), float(low), float(high))
