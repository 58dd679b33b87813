"""The last step of training a style encoder: weights, held-out figures and card on disk."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from explainers.generators.stylegan2 import Generator
from explainers.stylespace.encoder import FirstGuess, StyleEncoder, load_encoder, save_encoder
from explainers.training.card import describe_data, make_card, to_json, write_card, write_text
from explainers.training.films import Films
from explainers.training.held_out import AutoencoderFigures, evaluate_autoencoder
from explainers.training.loop import LoopSettings, TrainingRun
from explainers.training.stylegan2_encoder import EncoderSettings

_MEASURED = 400


def publish_encoder(
    path: Path,
    encoder: StyleEncoder,
    generator: Generator,
    run: TrainingRun,
    films: Films,
    settings: LoopSettings,
    *,
    created: str,
    options: EncoderSettings,
    counterfactuals: bool = True,
    validation_share: float = 0.1,
) -> AutoencoderFigures:
    """Save an encoder, measure it as saved (float16), write evaluation and card beside it.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.

    Returns
    -------
    AutoencoderFigures
        Of the first guess, not of a finished projection.
    """
    save_encoder(path, encoder)
    saved = load_encoder(path)
    figures = evaluate_autoencoder(FirstGuess(saved, generator), films, limit=_MEASURED)
    write_text(path.with_suffix(".evaluation.json"), to_json(figures))
    n_images = len(films.rows("train", counterfactuals=counterfactuals))
    card = make_card(
        path,
        kind="stylegan2_encoder",
        architecture=f"residual, {len(saved.directions)} principal directions of S",
        n_parameters=sum(parameter.numel() for parameter in saved.parameters()),
        weights_digest=saved.weights_digest,
        created=created,
        data=describe_data(
            films, n_images, counterfactuals=counterfactuals, validation_share=validation_share
        ),
        settings=settings,
        options={"training": asdict(options), "generator": saved.generator_digest},
        run=run,
        held_out=figures,
    )
    write_card(path, card)
    return figures
