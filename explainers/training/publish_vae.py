"""The last step of training a VAE with a class head: weights, held-out figures and card on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.evaluation.distances import frechet
from explainers.generators.paired import Contrast
from explainers.generators.vae import KIND, VAE, load_vae, save_vae
from explainers.training.contrasts import Judge
from explainers.training.films import Split
from explainers.training.images import ImageSource
from explainers.training.loop import LoopSettings, TrainingRun, batches
from explainers.training.publish_images import write_records
from explainers.training.vae import VAEWeights

_BATCH = 64
_LEAST = 8  # embeddings of a side, for a distance


@dataclass(frozen=True)
class HeadFigures:
    """One contrast on held-out images.

    Parameters
    ----------
    contrast
        Its name.
    n_images
        On side 0 and side 1, as the classifier sees them.
    told_right
        Mean over the two sides of the share that the class head puts there; 0.5 is chance.
    frechet
        Between the mean vectors of the sides: what a translation's distance is divided by.
    frechet_within
        Between halves of one side, mean of both: what is left of a perfect translation.
    """

    contrast: str
    n_images: tuple[int, int]
    told_right: float
    frechet: float
    frechet_within: float


@dataclass(frozen=True)
class VAEFigures:
    """Held-out figures of a VAE; the error is mean absolute, in [0, 1]."""

    split: str
    n_images: int
    error: float
    heads: tuple[HeadFigures, ...]

    def lines(self) -> list[str]:
        """Lines of Markdown for the card."""
        lines = [
            f"{self.n_images} images; mean absolute error {255 * self.error:.2f} of 255 grey "
            "levels. Class head: balanced share of sides told right; Fréchet distance of mean "
            "vectors between the sides, and within one (comparable with each other only).",
            "",
            "| Contrast | Images (0 / 1) | Told right | Between | Within |",
            "| --- | --- | --- | --- | --- |",
        ]
        for each in self.heads:
            numbers = (each.told_right, each.frechet, each.frechet_within)
            cells = " | ".join("–" if np.isnan(value) else f"{value:.3g}" for value in numbers)
            lines.append(f"| {each.contrast} | {each.n_images[0]} / {each.n_images[1]} | {cells} |")
        return lines


def publish_vae(
    path: Path,
    vae: VAE,
    run: TrainingRun,
    images: ImageSource,
    settings: LoopSettings,
    *,
    created: str,
    weights: VAEWeights,
    classifier: Classifier,
    contrasts: Sequence[Contrast],
    validation_share: float = 0.1,
) -> VAEFigures:
    """Save a VAE, measure it as saved (float16), write evaluation and card beside it.

    Raises
    ------
    ExplainerError
        If the weights are not finite, there is no held-out image, or the disk refuses.
    """
    save_vae(path, vae)
    saved = load_vae(path)
    figures = evaluate_vae(saved, images, classifier, contrasts)
    shape = saved.shape
    write_records(
        path,
        saved,
        figures,
        run,
        images,
        settings,
        kind=KIND,
        architecture=f"{shape.size} px, channels {'/'.join(map(str, shape.channels))}, mean vector "
        f"of {shape.latent} numbers, class head of {shape.n_outputs}",
        created=created,
        contrasts=contrasts,
        options={
            "weights of the losses": asdict(weights),
            "sides of the class head": f"predictions of {classifier.weights_digest}",
        },
        limits=(
            "A space to compare sets of images in; it draws nothing that is worth looking at, and "
            "its distances compare with no others.",
        ),
        validation_share=validation_share,
    )
    return figures


def evaluate_vae(
    vae: VAE,
    images: ImageSource,
    classifier: Classifier,
    contrasts: Sequence[Contrast],
    *,
    split: Split = "test",
    limit: int = 2000,
) -> VAEFigures:
    """Measure a VAE on held-out images, the first ``limit`` of a split.

    Raises
    ------
    ExplainerError
        If the split is empty.
    """
    rows = images.rows(split)[:limit]
    if not len(rows):
        raise ExplainerError(
            f"There is no image in the {split} split to measure the VAE on; give a case set with "
            "held-out patients."
        )
    judge = Judge(classifier, contrasts)
    errors, means, sides, told = [], [], [], []
    with torch.no_grad():
        for part in batches(rows, _BATCH):
            batch = images.image_batch(part)
            mean, _ = vae.encode(batch)
            errors.append((vae.decode(mean) - batch).abs().mean(dim=(1, 2, 3)))
            means.append(mean)
            told.append(vae.classes(mean) >= 0)
            sides.append(judge.all_margins(classifier.logits(batch).float()) >= 0)
    embedded = torch.cat(means).numpy()
    there, said = torch.cat(sides).numpy(), torch.cat(told).numpy()
    heads = tuple(
        _head(each.name, embedded, there[:, number], said[:, number])
        for number, each in enumerate(contrasts)
    )
    return VAEFigures(split, len(rows), float(torch.cat(errors).mean()), heads)


def _head(
    name: str,
    embedded: NDArray[np.floating],
    there: NDArray[np.bool_],
    said: NDArray[np.bool_],
) -> HeadFigures:
    sides = [embedded[there == bool(side)] for side in (0, 1)]
    right = [(said == there)[there == bool(side)] for side in (0, 1)]
    known = min(len(each) for each in sides) > 0
    enough = min(len(each) for each in sides) >= _LEAST
    return HeadFigures(
        contrast=name,
        n_images=(len(sides[0]), len(sides[1])),
        told_right=float(np.mean([each.mean() for each in right])) if known else float("nan"),
        frechet=frechet(sides[0], sides[1]) if enough else float("nan"),
        frechet_within=float(np.mean([frechet(each[::2], each[1::2]) for each in sides]))
        if enough
        else float("nan"),
    )
