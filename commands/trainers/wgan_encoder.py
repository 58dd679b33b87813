"""``counterlight train wgan-encoder``: the encoder of a trained generator."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from commands.training import now, shared_options, stop_on_interrupt, training_bar, training_job
from explainers.base import ExplainerError
from explainers.checkpoint import weights_path
from explainers.generators.wgan import load_wgan
from explainers.training.publish_wgan import publish_encoder
from explainers.training.wgan_encoder import EncoderSettings, train_encoder


@click.command("wgan-encoder")
@shared_options(learning_rate=1e-3, batch_size=32)
@click.option(
    "--wgan", "source", required=True, help="The file of `train wgan`, or a shipped name."
)
@click.option("--levels", default=EncoderSettings.levels, show_default=True, help="Of the pyramid.")
@click.option(
    "--latent-weight",
    default=EncoderSettings.latent,
    show_default=True,
    help="Weight of the squared error of E(G(z)) on samples.",
)
@click.option("--shell-weight", default=EncoderSettings.shell, show_default=True)
@click.option("--encoder-base", default=EncoderSettings.base, show_default=True)
@click.option("--shift", "shift_px", default=EncoderSettings.shift_px, show_default=True)
@click.option("--begin-with", help="A file whose encoder of the same shape is the beginning.")
@click.option("--counterfactuals/--films-only", default=True, show_default=True)
def command(
    source: str,
    levels: int,
    latent_weight: float,
    shell_weight: float,
    encoder_base: int,
    shift_px: int,
    begin_with: str | None,
    counterfactuals: bool,
    **shared: Any,
) -> None:
    """Train the encoder against the frozen generator; --out may be the file of the generator."""
    job = training_job(**shared)
    wgan = load_wgan(source)
    begun = load_wgan(begin_with).encoder if begin_with else None
    if begin_with and begun is None:
        raise ExplainerError(f"{begin_with} has no encoder to begin with; leave --begin-with out.")
    options = EncoderSettings(levels, latent_weight, shell_weight, encoder_base, shift_px)
    folder = job.work / f"{job.out.stem}-encoder"
    films = job.films()
    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        trained, run = train_encoder(
            films,
            wgan,
            job.settings,
            folder,
            clock=time.monotonic,
            options=options,
            counterfactuals=counterfactuals,
            begin_with=begun,
            fresh=job.fresh,
            on_step=on_step,
            cancelled=cancelled,
        )
    figures = publish_encoder(
        job.out,
        trained,
        run,
        films,
        job.settings,
        created=now(),
        options=options,
        folder=folder,
        source=Path(weights_path(source)),
        counterfactuals=counterfactuals,
        validation_share=job.validation_share,
    )
    click.echo(
        f"G(E(x)): error {figures.error:.2f}/255 on {figures.n_images} held-out films (the mean "
        f"film {figures.error_of_mean:.2f}), |E(x)|/√d {figures.norm:.2f}, E(G(z)) "
        f"{figures.latent_error:.2f}"
    )
    click.echo(f"Wrote {job.out}; reconstructions and curves in {folder}.")
