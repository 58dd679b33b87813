"""``counterlight train stylegan2``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from commands.training import (
    now,
    shared_options,
    stop_on_interrupt,
    training_bar,
    training_job,
)
from explainers.classifiers.ours import load_classifier
from explainers.generators.stylegan2 import StyleGANShape
from explainers.training.loop import EpochRecord
from explainers.training.publish import (
    publish_stylegan2,
)
from explainers.training.stylegan2 import (
    StyleGANSettings,
    collapse_warnings,
    train_stylegan2,
)
from explainers.training.stylegan2_discriminator import publish_discriminator


@click.command("stylegan2")
@shared_options(learning_rate=2.5e-3, batch_size=16)
@click.option("--channel-base", default=StyleGANShape.channel_base, show_default=True)
@click.option("--channel-limit", default=StyleGANShape.channel_limit, show_default=True)
@click.option("--r1", default=StyleGANSettings.r1, show_default=True, help="Weight of R1.")
@click.option("--path-length", default=StyleGANSettings.path_length, show_default=True)
@click.option(
    "--features",
    required=True,
    help="A classifier in whose features samples and films are compared; no part of the training.",
)
@click.option(
    "--validate-every",
    default=500,
    show_default=True,
    type=click.IntRange(1),
    help="Steps between grids of samples with their distances.",
)
@click.option("--counterfactuals/--films-only", default=True, show_default=True)
@click.option(
    "--grow-from",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Begin with the state.safetensors of a training at a smaller --size.",
)
def command(
    channel_base: int,
    channel_limit: int,
    r1: float,
    path_length: float,
    features: str,
    validate_every: int,
    counterfactuals: bool,
    grow_from: Path | None,
    **shared: Any,
) -> None:
    """Train a StyleGAN2 generator of films, without any classifier, and write its card."""
    job = training_job(**shared)
    shape = StyleGANShape(job.size, channel_base, channel_limit)
    options = StyleGANSettings(r1=r1, path_length=path_length)
    measuring = load_classifier(features)
    films = job.films()
    history: list[EpochRecord] = []

    def tell(record: EpochRecord) -> None:
        history.append(record)
        figures = ", ".join(f"{name} {value:.3g}" for name, value in record.validation.items())
        click.echo(f"step {record.step}: {figures}", err=True)
        for warning in collapse_warnings(tuple(history)):
            click.echo(f"Warning: {warning}", err=True)

    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        generator, run = train_stylegan2(
            films,
            job.settings,
            job.folder,
            shape=shape,
            features=measuring,
            clock=time.monotonic,
            options=options,
            counterfactuals=counterfactuals,
            grow_from=grow_from,
            validate_every=validate_every,
            fresh=job.fresh,
            on_step=on_step,
            on_validation=tell,
            cancelled=cancelled,
        )
    figures = publish_stylegan2(
        job.out,
        generator,
        run,
        films,
        job.settings,
        created=now(),
        options=options,
        features=measuring,
        counterfactuals=counterfactuals,
        validation_share=job.validation_share,
    )
    publish_discriminator(job.out, job.folder)
    click.echo(
        f"Fréchet distance {figures.frechet:.3g} (two halves of the films "
        f"{figures.frechet_of_films:.3g}), precision {figures.precision:.2f}, recall "
        f"{figures.recall:.2f}, {figures.n_images} images"
    )
    click.echo(f"Wrote {job.out} with its card; samples in {job.folder}.")
