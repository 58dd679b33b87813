"""The last step of training paired generators: weights, held-out figures and card on disk."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from explainers.classifiers.base import Classifier
from explainers.generators.paired import (
    KIND,
    PairedGenerators,
    load_paired,
    save_paired,
)
from explainers.training.adversarial import AdversarialRun
from explainers.training.images import ImageSource
from explainers.training.loop import LoopSettings
from explainers.training.paired import PairedSettings
from explainers.training.paired_figures import PairedFigures, evaluate_paired
from explainers.training.paired_weights import PairedWeights
from explainers.training.publish_images import write_records


def publish_paired(
    path: Path,
    pair: PairedGenerators,
    run: AdversarialRun,
    films: ImageSource,
    settings: LoopSettings,
    *,
    created: str,
    weights: PairedWeights,
    options: PairedSettings,
    begun_with: str = "",
    classifier: Classifier,
    oracle: Classifier | None = None,
    validation_share: float = 0.1,
    limit: int = 100,
) -> PairedFigures:
    """Save generators, measure them as saved (float16), write evaluation and card beside them.

    Parameters
    ----------
    path
        The weights file.
    pair, run, films, settings, weights, options
        What was trained, and how. The images are a case set or an array.
    created
        ISO 8601 with time zone.
    begun_with
        Digest of the pair whose generators were taken over; empty for random weights.
    classifier, oracle
        What the pair was trained against, and an independent classifier of the same findings.
    validation_share
        As the films were split.
    limit
        Held-out images per contrast and side.

    Raises
    ------
    ExplainerError
        If the weights are not finite, the oracle does not fit, or the disk refuses.
    """
    save_paired(path, pair)
    saved = load_paired(path)
    figures = evaluate_paired(saved, films, classifier, oracle=oracle, limit=limit)
    shape, system = saved.shape, saved.system
    write_records(
        path,
        saved,
        figures,
        run,
        films,
        settings,
        kind=KIND,
        architecture=f"{system.title}, {len(saved.generators) + len(saved.stables)} U-Nets of "
        f"{shape.size} px, channels {'/'.join(map(str, shape.channels))}, output {shape.output}",
        created=created,
        contrasts=saved.contrasts,
        options={
            "weights of the losses": _nonzero(weights),
            "training": asdict(options),
            "begun with": f"generators of the pair {begun_with}"
            if begun_with
            else "random weights",
            "frozen classifier": classifier.weights_digest,
        },
        limits=limits_of(saved),
        validation_share=validation_share,
    )
    return figures


def limits_of(pair: PairedGenerators) -> tuple[str, ...]:
    """Say what generators of a system cannot be used for."""
    limits = [
        "Trained to turn one classifier's predictions: what is drawn is what that classifier calls "
        "the finding, which the agreement with the independent classifier bounds.",
        "Both images are drawn by a network; a change outside the finding is its invention.",
    ]
    if pair.system.stable == "input":
        limits.append(
            "The film itself is compared with, so that the explanation also holds what the "
            "generator cannot draw."
        )
    return tuple(limits)


def _nonzero(weights: PairedWeights) -> dict[str, float]:
    return {name: value for name, value in asdict(weights).items() if value}
