"""What is measured of a WGAN while it trains and when it is done."""

from __future__ import annotations

import torch

from explainers.classifiers.ours import OurClassifier
from explainers.evaluation.distances import frechet, set_distance
from explainers.generators.wgan import WGAN
from explainers.training.held_out import GeneratorFigures
from explainers.training.images import ImageSource
from explainers.training.loop import EpochRecord, batches, seeded
from explainers.training.stylegan2 import FRECHET, RECALL, pooled_features

DISTANCE = "distance on held-out films"
TRAINING_DISTANCE = "distance on training films"
PENALTY = "gradient penalty"
SPREAD = "spread of samples"
ANCHOR = "pyramid loss of the anchor"


@torch.no_grad()
def evaluate_wgan(
    wgan: WGAN,
    images: ImageSource,
    features: OurClassifier,
    *,
    limit: int = 2000,
    seed: int = 0,
) -> GeneratorFigures:
    """Compare samples with held-out (test) images, as many of each.

    Raises
    ------
    ExplainerError
        If the split has too few images.
    """
    rows = images.rows("test")[:limit]
    real = pooled_features(
        features, torch.cat([images.image_batch(part) for part in batches(rows, 64)])
    )
    z = torch.randn(len(rows), wgan.latent, generator=seeded(seed, "samples"))
    samples = torch.cat([wgan.generate(part) for part in z.split(64)])
    distance = set_distance(real, pooled_features(features, samples))
    return GeneratorFigures(
        split="test",
        n_images=len(rows),
        frechet=distance.frechet,
        frechet_of_films=frechet(real[::2], real[1::2]),
        precision=distance.precision,
        recall=distance.recall,
        features=features.weights_digest,
    )


def wgan_warnings(history: tuple[EpochRecord, ...]) -> tuple[str, ...]:
    """Say what is wrong with a run, from its figures; empty if nothing is."""
    if not history:
        return ()
    first, last, warnings = history[0].validation, history[-1].validation, []
    late = len(history) > 3
    if RECALL in last and late and last[RECALL] < 0.05:
        warnings.append(
            f"Recall is {last[RECALL]:.2f}: the samples cover little of the films; the generator "
            "may have collapsed. Lower the learning rate."
        )
    if last[SPREAD] < 0.25 * first[SPREAD] or last[SPREAD] < 1e-3:
        warnings.append(
            f"Samples differ by {last[SPREAD]:.4f} per pixel only: they are nearly one image. "
            "Start afresh with a lower learning rate."
        )
    if FRECHET in last:
        best = min(history, key=lambda record: record.validation[FRECHET])
        if last[FRECHET] > 1.5 * best.validation[FRECHET] and last[FRECHET] > 1e-6:
            warnings.append(
                f"The Fréchet distance is {last[FRECHET]:.3g}, it was "
                f"{best.validation[FRECHET]:.3g} after step {best.step}: the run gets worse."
            )
    if late and last[PENALTY] > 1:
        warnings.append(
            f"The gradient penalty is {last[PENALTY]:.2f} and should stay far below 1: the critic "
            "is not Lipschitz. Lower the learning rate or raise the penalty."
        )
    if late and last[DISTANCE] < 0.3 * last[TRAINING_DISTANCE]:
        warnings.append(
            f"The critic's distance is {last[DISTANCE]:.2f} on held-out films and "
            f"{last[TRAINING_DISTANCE]:.2f} on training films: it learns them by heart."
        )
    return tuple(warnings)
