"""``counterlight train wgan-start``: a beginning for the generator of ``train wgan``."""

from __future__ import annotations

import time
from typing import Any

import click

from commands.training import shared_options, stop_on_interrupt, training_bar, training_job
from explainers.generators.wgan import WGANShape, save_wgan
from explainers.training.publish_wgan import draw_pairs
from explainers.training.wgan_encoder import evaluate_encoder
from explainers.training.wgan_start import StartSettings, train_start


@click.command("wgan-start")
@shared_options(learning_rate=1e-3, batch_size=32)
@click.option("--latent", default=WGANShape.latent, show_default=True, type=click.IntRange(1))
@click.option("--channel-base", default=WGANShape.channel_base, show_default=True)
@click.option("--channel-limit", default=WGANShape.channel_limit, show_default=True)
@click.option("--critic-base", default=WGANShape.critic_base, show_default=True)
@click.option("--divergence", default=StartSettings.divergence, show_default=True, help="β.")
@click.option("--counterfactuals/--films-only", default=True, show_default=True)
def command(
    latent: int,
    channel_base: int,
    channel_limit: int,
    critic_base: int,
    divergence: float,
    counterfactuals: bool,
    **shared: Any,
) -> None:
    """Train the generator as a decoder first, to begin `train wgan` with."""
    job = training_job(**shared)
    films = job.films()
    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        wgan, run = train_start(
            films,
            job.settings,
            job.folder,
            shape=WGANShape(job.size, latent, channel_base, channel_limit, critic_base),
            clock=time.monotonic,
            options=StartSettings(divergence),
            counterfactuals=counterfactuals,
            fresh=job.fresh,
            on_step=on_step,
            cancelled=cancelled,
        )
    save_wgan(job.out, wgan)
    draw_pairs(job.folder / "reconstructions.png", wgan, films)
    figures = evaluate_encoder(wgan, films)
    click.echo(
        f"{run.epochs:.1f} epochs; error {figures.error:.2f}/255 (mean image "
        f"{figures.error_of_mean:.2f}), |E(x)|/√d {figures.norm:.2f}"
    )
    click.echo(f"Wrote {job.out}; begin with it: counterlight train wgan --begin-with {job.out}")
