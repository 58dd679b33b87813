"""The last step of a training: weights, held-out figures, card and pictures on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from data.raster import write_png
from explainers.base import ExplainerError
from explainers.checkpoint import file_digest
from explainers.classifiers.base import Classifier
from explainers.classifiers.ours import OurClassifier, load_classifier, save_classifier
from explainers.generators.autoencoder import OurAutoencoder, load_autoencoder, save_autoencoder
from explainers.generators.base import Autoencoder
from explainers.generators.stylegan2 import Generator
from explainers.training.adversarial import AdversarialRun
from explainers.training.autoencoder import LossWeights
from explainers.training.card import describe_data, make_card, to_json, write_card, write_text
from explainers.training.films import Films
from explainers.training.held_out import (
    AutoencoderFigures,
    ClassifierFigures,
    GeneratorFigures,
    evaluate_autoencoder,
    evaluate_classifier,
)
from explainers.training.loop import LoopSettings, TrainingRun
from explainers.training.stylegan2 import (
    StyleGANSettings,
    evaluate_generator,
    load_generator,
    save_generator,
)


def publish_classifier(
    path: Path,
    classifier: OurClassifier,
    run: TrainingRun,
    films: Films,
    settings: LoopSettings,
    *,
    created: str,
    parameters: pd.DataFrame | None = None,
    counterfactuals: bool = False,
    validation_share: float = 0.1,
) -> ClassifierFigures:
    """Save a classifier, measure it as saved (float16), write evaluation and card beside it.

    Parameters
    ----------
    path
        The ``.safetensors`` file.
    classifier, run, films, settings
        What was trained, how, on what.
    created
        ISO date and time for the card.
    parameters
        ``parameters.csv`` by case id, for severities and tubes.
    counterfactuals, validation_share
        As in training, for the card.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.
    """
    save_classifier(path, classifier)
    saved = load_classifier(path)
    figures = evaluate_classifier(saved, films, parameters=parameters)
    write_text(path.with_suffix(".evaluation.json"), to_json(figures))
    n_images = len(films.rows("train", counterfactuals=counterfactuals))
    card = make_card(
        path,
        kind="classifier",
        architecture=saved.architecture,
        n_parameters=_n_parameters(saved),
        weights_digest=saved.weights_digest,
        created=created,
        data=describe_data(
            films, n_images, counterfactuals=counterfactuals, validation_share=validation_share
        ),
        settings=settings,
        options={
            "calibration": "p = sigmoid(a · logit + b); a by Platt scaling, b so that the logit of "
            "the largest Youden index on validation films maps to 0.5",
            "slopes a": list(saved.calibration.slopes),
            "intercepts b": list(saved.calibration.intercepts),
        },
        run=run,
        held_out=figures,
    )
    write_card(path, card)
    return figures


def publish_autoencoder(
    path: Path,
    autoencoder: OurAutoencoder,
    run: TrainingRun,
    films: Films,
    settings: LoopSettings,
    *,
    created: str,
    architecture: str,
    weights: LossWeights,
    picture: Path | None = None,
    classifier: Classifier | None = None,
    perceptual: OurClassifier | None = None,
    counterfactuals: bool = True,
    validation_share: float = 0.1,
) -> AutoencoderFigures:
    """Save an autoencoder, measure it as saved (float16), write evaluation and card beside it.

    Parameters
    ----------
    path
        The ``.safetensors`` file.
    autoencoder, run, films, settings, weights
        What was trained, how, on what.
    created
        ISO date and time for the card.
    architecture
        Name of the architecture.
    picture
        Where to draw films above their reconstructions.
    classifier
        The classifier to be explained; only measured with.
    perceptual
        The helper network of the loss, for the card.
    counterfactuals, validation_share
        As in training, for the card.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.
    """
    save_autoencoder(path, autoencoder)
    saved = load_autoencoder(path)
    figures = evaluate_autoencoder(saved, films, classifier=classifier)
    write_text(path.with_suffix(".evaluation.json"), to_json(figures))
    if picture is not None:
        draw_reconstructions(picture, saved, films)
    if perceptual is None:
        # Their weights say nothing where there was no helper network.
        weights = replace(weights, perceptual=0.0, perceptual_logits=0.0)
    options: Mapping[str, Any] = {
        "bottleneck": f"{saved.latent_shape[0]} × {saved.latent_shape[1]} × "
        f"{saved.latent_shape[2]} = {int(np.prod(saved.latent_shape))} numbers, "
        f"{100 * np.prod(saved.latent_shape) / films.size**2:.1f} % of the pixels",
        "loss weights": asdict(weights),
        "perceptual helper": perceptual.weights_digest if perceptual else "none",
        "classifier measured with": classifier.weights_digest if classifier else "none",
    }
    n_images = len(films.rows("train", counterfactuals=counterfactuals))
    card = make_card(
        path,
        kind="autoencoder",
        architecture=architecture,
        n_parameters=_n_parameters(saved),
        weights_digest=saved.weights_digest,
        created=created,
        data=describe_data(
            films, n_images, counterfactuals=counterfactuals, validation_share=validation_share
        ),
        settings=settings,
        options=options,
        run=run,
        held_out=figures,
    )
    write_card(path, card)
    return figures


def publish_stylegan2(
    path: Path,
    generator: Generator,
    run: AdversarialRun,
    films: Films,
    settings: LoopSettings,
    *,
    created: str,
    options: StyleGANSettings,
    features: OurClassifier,
    counterfactuals: bool = True,
    validation_share: float = 0.1,
) -> GeneratorFigures:
    """Save a generator, measure it as saved (float16), write evaluation and card beside it.

    Raises
    ------
    ExplainerError
        If the weights are not finite, there are too few held-out films, or the disk refuses.
    """
    save_generator(path, generator)
    saved = load_generator(path)
    figures = evaluate_generator(saved, films, features)
    write_text(path.with_suffix(".evaluation.json"), to_json(figures))
    n_images = len(films.rows("train", counterfactuals=counterfactuals))
    card = make_card(
        path,
        kind="stylegan2",
        architecture=f"{saved.shape.size} px, {saved.n_styles} style dimensions",
        n_parameters=_n_parameters(saved),
        weights_digest=file_digest(path),
        created=created,
        data=describe_data(
            films, n_images, counterfactuals=counterfactuals, validation_share=validation_share
        ),
        settings=settings,
        options={"shape": asdict(saved.shape), "training": asdict(options)},
        run=run,
        held_out=figures,
    )
    write_card(path, card)
    return figures


@torch.no_grad()
def draw_reconstructions(
    path: Path, autoencoder: Autoencoder, films: Films, *, per_finding: int = 2
) -> None:
    """Draw test films (top) above their reconstructions (bottom), some of each finding.

    Raises
    ------
    ExplainerError
        If the disk refuses.
    """
    rows = films.rows("test")
    chosen: list[int] = []
    for target in range(len(films.findings)):
        positives = rows[films.labels[rows, target] == 1]
        chosen += [int(row) for row in positives if int(row) not in chosen][:per_finding]
    if not chosen:
        chosen = [int(row) for row in rows[:per_finding]]
    if not chosen:
        return
    images = films.image_batch(np.array(chosen, np.int64))
    rebuilt = autoencoder.decode(autoencoder.encode(images))
    grid = np.concatenate([_side_by_side(images), _side_by_side(rebuilt)])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, grid)
    except OSError as error:
        raise ExplainerError(f"{path} could not be written: {error}.") from error


def read_parameters(cases: Path) -> pd.DataFrame | None:
    """``parameters.csv`` of a simulated case set by case id, or ``None`` if there is none."""
    path = cases / "parameters.csv"
    if not path.is_file():
        return None
    table = pd.read_csv(path, dtype={"case_id": str}, keep_default_na=False)
    return table.set_index("case_id") if "case_id" in table else None


def _side_by_side(images: torch.Tensor) -> NDArray[np.float32]:
    return np.concatenate(list(images[:, 0].numpy()), axis=1)  # (S, N · S)


def _n_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
