"""``counterlight train stylegan2-encoder``: the first guess of a projection."""

from __future__ import annotations

import time
from typing import Any

import click

from commands.training import now, shared_options, stop_on_interrupt, training_bar, training_job
from explainers.checkpoint import file_digest, weights_path
from explainers.training.publish_stylegan2_encoder import publish_encoder
from explainers.training.stylegan2 import load_generator
from explainers.training.stylegan2_encoder import EncoderSettings, train_encoder


@click.command("stylegan2-encoder")
@shared_options(learning_rate=1e-3, batch_size=16)
@click.option("--generator", required=True, help="The StyleGAN2 generator that it serves.")
@click.option("--directions", default=EncoderSettings.n_directions, show_default=True,
              type=click.IntRange(1, 2000), help="Principal directions of S.")  # fmt: skip
@click.option("--counterfactuals/--films-only", default=True, show_default=True)
def command(generator: str, directions: int, counterfactuals: bool, **shared: Any) -> None:
    """Train an encoder that names a film's styles at one glance, as a start for projections."""
    job = training_job(**shared)
    path = weights_path(generator)
    network = load_generator(path)
    options = EncoderSettings(n_directions=directions)
    films = job.films()
    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        encoder, run = train_encoder(
            network,
            file_digest(path),
            films,
            job.settings,
            job.folder,
            clock=time.monotonic,
            options=options,
            counterfactuals=counterfactuals,
            fresh=job.fresh,
            on_step=on_step,
            cancelled=cancelled,
        )
    figures = publish_encoder(
        job.out,
        encoder,
        network,
        run,
        films,
        job.settings,
        created=now(),
        options=options,
        counterfactuals=counterfactuals,
        validation_share=job.validation_share,
    )
    click.echo(f"First guess: MAE {figures.error:.1f}/255 over {figures.n_films} held-out films")
    click.echo(f"Wrote {job.out} with its card.")
