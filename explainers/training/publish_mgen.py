"""The last step of training a mask network: weights, held-out figures and card on disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.generators.mgen import KIND, MaskGenerator, load_mgen, save_mgen
from explainers.training.contrasts import Judge, logits_of, on_side
from explainers.training.films import Split
from explainers.training.images import ImageSource
from explainers.training.loop import LoopSettings, TrainingRun, batches
from explainers.training.mgen import MaskWeights
from explainers.training.paired_figures import side_name
from explainers.training.publish_images import write_records

_BATCH = 32


@dataclass(frozen=True)
class MaskFigures:
    """One contrast and predicted side on held-out images; NaN where there is none.

    Parameters
    ----------
    contrast, side, n_images
        What, and how many images.
    deleted, kept
        Share that the classifier leaves on its side when the mask is blurred (0 is wanted) and
        when all but the mask is (1 is wanted).
    all_blurred
        The same when the whole image is blurred: what no mask can go below.
    area
        Mean of the mask, in [0, 1].
    """

    contrast: str
    side: int
    n_images: int
    deleted: float
    kept: float
    all_blurred: float
    area: float


@dataclass(frozen=True)
class MgenFigures:
    """Held-out figures of a mask network."""

    split: str
    sides: tuple[MaskFigures, ...]

    def lines(self) -> list[str]:
        """Lines of Markdown for the card."""
        lines = [
            "Share of images that the classifier leaves on their side: with the mask blurred (0 is "
            "wanted), with only the mask kept (1 is wanted), with all blurred (the floor of the "
            "first).",
            "",
            "| Contrast | Images | Blurred | Kept | All blurred | Mean of the mask |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for each in self.sides:
            numbers = (each.deleted, each.kept, each.all_blurred, each.area)
            cells = " | ".join("–" if np.isnan(value) else f"{value:.3f}" for value in numbers)
            name = side_name(each.contrast, each.side)
            lines.append(f"| {name} | {each.n_images} | {cells} |")
        return lines


def publish_mgen(
    path: Path,
    network: MaskGenerator,
    run: TrainingRun,
    images: ImageSource,
    settings: LoopSettings,
    *,
    created: str,
    weights: MaskWeights,
    classifier: Classifier,
    validation_share: float = 0.1,
) -> MgenFigures:
    """Save a mask network, measure it as saved (float16), write evaluation and card beside it.

    Raises
    ------
    ExplainerError
        If the weights are not finite, there is no held-out image, or the disk refuses.
    """
    save_mgen(path, network)
    saved = load_mgen(path)
    figures = evaluate_mgen(saved, images, classifier)
    shape = saved.shape
    write_records(
        path,
        saved,
        figures,
        run,
        images,
        settings,
        kind=KIND,
        architecture=f"U-Net of {shape.size} px, channels {'/'.join(map(str, shape.channels))}, "
        f"blur {shape.blur:g} of the side",
        created=created,
        contrasts=saved.contrasts,
        options={
            "weights of the losses": asdict(weights),
            "frozen classifier": classifier.weights_digest,
        },
        limits=(
            "A blur takes only what is finer than itself away; evidence of large, smooth shapes "
            "leaves a mask that says little.",
        ),
        validation_share=validation_share,
    )
    return figures


@torch.no_grad()
def evaluate_mgen(
    network: MaskGenerator,
    images: ImageSource,
    classifier: Classifier,
    *,
    split: Split = "test",
    limit: int = 100,
) -> MgenFigures:
    """Measure a mask network on held-out images, ``limit`` per contrast and side.

    Raises
    ------
    ExplainerError
        If the split is empty.
    """
    rows = images.rows(split)
    if not len(rows):
        raise ExplainerError(
            f"There is no image in the {split} split to measure the mask network on; give a case "
            "set with held-out patients."
        )
    judge = Judge(classifier, network.contrasts)
    logits = logits_of(classifier, images, rows)
    found = []
    for number, contrast in enumerate(network.contrasts):
        for side in (0, 1):
            chosen = rows[on_side(judge, logits, number, side)][:limit]
            measured: list[list[float]] = []
            for part in batches(chosen, _BATCH):
                x = images.image_batch(part)
                which = torch.full((len(x),), number)
                m = network.masks(x, which, torch.full((len(x),), side))
                made = (network.deleted(x, m), network.kept(x, m), network.blurred(x))
                stays = [(judge.margins(each, which) >= 0) == bool(side) for each in made]
                columns = [*[each.float() for each in stays], m.mean(dim=(1, 2, 3))]
                measured += torch.stack(columns, dim=1).tolist()
            means = np.mean(measured, axis=0) if measured else np.full(4, np.nan)
            found.append(MaskFigures(contrast.name, side, len(chosen), *map(float, means)))
    return MgenFigures(split, tuple(found))
