"""``counterlight train vae``: the space in which sets of images are compared."""

from __future__ import annotations

import time
from typing import Any

import click

from commands.trainers.paired import contrast_options, images_of, numbers_of
from commands.training import (
    now,
    shared_options,
    stop_on_interrupt,
    training_bar,
    training_job,
)
from explainers.generators.vae import VAEShape
from explainers.training.contrasts import named_contrasts
from explainers.training.image_sources import open_judge
from explainers.training.publish_vae import publish_vae
from explainers.training.vae import VAEWeights, train_vae


@click.command("vae")
@shared_options(learning_rate=1e-3, batch_size=32)
@contrast_options
@click.option("--channels", default="16,32,64,96", show_default=True, help="Of the stages.")
@click.option("--latent", default=VAEShape.latent, show_default=True, type=click.IntRange(2))
@click.option("--kl", default=VAEWeights.kl, show_default=True, type=click.FloatRange(0))
@click.option("--classes", default=VAEWeights.classes, show_default=True, type=click.FloatRange(0))
def command(
    classifier: str,
    findings: str,
    channels: str,
    latent: int,
    kl: float,
    classes: float,
    **shared: Any,
) -> None:
    """Train a variational autoencoder with a class head, and write its card.

    --cases is a case set, or a folder with the four files of MNIST; the size is the classifier's.
    """
    job = training_job(**shared)
    judge = open_judge(classifier)
    contrasts = named_contrasts(findings, judge)
    images = images_of(job, judge, contrasts)
    weights = VAEWeights(kl=kl, classes=classes)
    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        vae, run = train_vae(
            images,
            judge,
            contrasts,
            job.settings,
            job.folder,
            shape=VAEShape(images.size, numbers_of(channels), latent, len(contrasts)),
            weights=weights,
            clock=time.monotonic,
            fresh=job.fresh,
            on_step=on_step,
            cancelled=cancelled,
        )
    figures = publish_vae(
        job.out,
        vae,
        run,
        images,
        job.settings,
        created=now(),
        weights=weights,
        classifier=judge,
        contrasts=contrasts,
        validation_share=job.validation_share,
    )
    click.echo("\n".join(figures.lines()))
    click.echo(f"Wrote {job.out} with its card.")
