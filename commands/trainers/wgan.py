"""``counterlight train wgan``: a Wasserstein GAN of films."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import click

from commands.training import now, shared_options, stop_on_interrupt, training_bar, training_job
from explainers.classifiers.ours import load_classifier
from explainers.generators.wgan import WGANShape
from explainers.training.loop import EpochRecord
from explainers.training.publish_wgan import publish_wgan
from explainers.training.wgan import WGANSettings, train_wgan
from explainers.training.wgan_measures import wgan_warnings


@click.command("wgan")
@shared_options(learning_rate=2e-4, batch_size=32)
@click.option("--latent", default=WGANShape.latent, show_default=True, type=click.IntRange(1))
@click.option("--channel-base", default=WGANShape.channel_base, show_default=True)
@click.option("--channel-limit", default=WGANShape.channel_limit, show_default=True)
@click.option("--critic-base", default=WGANShape.critic_base, show_default=True)
@click.option("--critic-steps", default=WGANSettings.critic_steps, show_default=True)
@click.option("--penalty", default=WGANSettings.penalty, show_default=True)
@click.option("--beta1", default=WGANSettings.beta1, show_default=True, help="Of Adam.")
@click.option("--beta2", default=WGANSettings.beta2, show_default=True, help="Of Adam.")
@click.option("--ema-images", default=WGANSettings.ema_images, show_default=True)
@click.option("--critic-first", default=0, show_default=True, help="Steps before G moves.")
@click.option("--anchor", default=0.0, show_default=True, help="Weight of G(E(x)) against x.")
@click.option("--half/--full", default=True, show_default=True, help="bfloat16 or float32.")
@click.option(
    "--features",
    required=True,
    help="A classifier in whose features samples and films are compared; no part of the training.",
)
@click.option("--validate-every", default=500, show_default=True, type=click.IntRange(1))
@click.option("--counterfactuals/--films-only", default=True, show_default=True)
@click.option(
    "--begin-with",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A WGAN file whose generator is the beginning, such as one of `train wgan-start`.",
)
def command(
    latent: int,
    channel_base: int,
    channel_limit: int,
    critic_base: int,
    critic_steps: int,
    penalty: float,
    beta1: float,
    beta2: float,
    ema_images: float,
    critic_first: int,
    anchor: float,
    half: bool,
    features: str,
    validate_every: int,
    counterfactuals: bool,
    begin_with: Path | None,
    **shared: Any,
) -> None:
    """Train the generator of Generative Visual Rationales (WGAN-GP), and write its card."""
    job = training_job(**shared)
    settings = dataclasses.replace(job.settings, half_precision=half)
    shape = WGANShape(job.size, latent, channel_base, channel_limit, critic_base)
    options = WGANSettings(
        critic_steps,
        penalty,
        beta1,
        beta2,
        ema_images,
        critic_first=critic_first,
        anchor=anchor,
    )
    measuring = load_classifier(features)
    films = job.films()
    history: list[EpochRecord] = []

    def tell(record: EpochRecord) -> None:
        history.append(record)
        figures = ", ".join(f"{name} {value:.3g}" for name, value in record.validation.items())
        click.echo(f"step {record.step}: loss {record.loss:.3g}, {figures}", err=True)
        for warning in wgan_warnings(tuple(history)):
            click.echo(f"Warning: {warning}", err=True)

    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        wgan, run = train_wgan(
            films,
            settings,
            job.folder,
            shape=shape,
            clock=time.monotonic,
            options=options,
            features=measuring,
            counterfactuals=counterfactuals,
            begin_with=begin_with,
            validate_every=validate_every,
            fresh=job.fresh,
            on_step=on_step,
            on_validation=tell,
            cancelled=cancelled,
        )
    figures = publish_wgan(
        job.out,
        wgan,
        run,
        films,
        settings,
        created=now(),
        options=options,
        features=measuring,
        counterfactuals=counterfactuals,
        validation_share=job.validation_share,
        folder=job.folder,
        begin_with=begin_with,
    )
    click.echo(
        f"Fréchet distance {figures.frechet:.3g} (two halves of the films "
        f"{figures.frechet_of_films:.3g}), precision {figures.precision:.2f}, recall "
        f"{figures.recall:.2f}, {figures.n_images} images"
    )
    click.echo(f"Wrote {job.out}; samples and curves in {job.folder}.")
