"""What every network of an image source leaves beside its weights: held-out figures and card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from explainers.checkpoint import file_digest
from explainers.generators.paired import Contrast
from explainers.training.adversarial import AdversarialRun
from explainers.training.card import (
    Figures,
    TrainingData,
    describe_data,
    make_card,
    to_json,
    write_card,
    write_text,
)
from explainers.training.films import Films
from explainers.training.images import ImageSource
from explainers.training.loop import LoopSettings, TrainingRun


def write_records(
    path: Path,
    network: nn.Module,
    figures: Figures,
    run: TrainingRun | AdversarialRun,
    images: ImageSource,
    settings: LoopSettings,
    *,
    kind: str,
    architecture: str,
    created: str,
    contrasts: Sequence[Contrast],
    options: Mapping[str, Any],
    limits: tuple[str, ...],
    validation_share: float,
) -> None:
    """Write ``<name>.evaluation.json`` and the card beside the weights file ``path``.

    Parameters
    ----------
    path, network
        The weights, as written and as read again.
    figures, run, images, settings
        What was measured, and what was trained, on what, how.
    kind, architecture, created, options, limits
        For the card; see :func:`explainers.training.card.make_card`.
    contrasts
        What the network tells apart.
    validation_share
        As the images were split.

    Raises
    ------
    ExplainerError
        If the disk refuses.
    """
    write_text(path.with_suffix(".evaluation.json"), to_json(figures))
    card = make_card(
        path,
        kind=kind,
        architecture=architecture,
        n_parameters=sum(each.numel() for each in network.parameters()),
        weights_digest=file_digest(path),
        created=created,
        data=describe_images(images, [each.name for each in contrasts], validation_share),
        settings=settings,
        options=options,
        run=run,
        held_out=figures,
        limits=limits,
    )
    write_card(path, card)


def describe_images(
    images: ImageSource, contrasts: Sequence[str], validation_share: float
) -> TrainingData:
    """Summary of what a network was trained on; an array of images has no patients."""
    n_rows = len(images.rows("train"))
    if isinstance(images, Films):
        return describe_data(
            images, n_rows, counterfactuals=False, validation_share=validation_share
        )
    n_images = sum(len(images.rows(split)) for split in ("train", "val", "test"))
    return TrainingData(
        case_set_digest=images.digest,
        sources=("an array of images",),
        simulator="",
        n_films=n_images,
        n_patients=n_images,
        n_training_images=n_rows,
        counterfactuals=False,
        size_px=images.size,
        findings=tuple(contrasts),
        split="as the collection has it; no two images are taken to share a source",
    )
