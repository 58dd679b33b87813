"""``counterlight train autoencoder``."""

from __future__ import annotations

import time
from typing import Any

import click

from commands.trainers.evaluate import show_figures
from commands.training import (
    now,
    shared_options,
    stop_on_interrupt,
    training_bar,
    training_job,
)
from explainers.base import ExplainerError
from explainers.classifiers.ours import load_classifier
from explainers.generators.networks import AUTOENCODERS, autoencoder_shape
from explainers.training.autoencoder import LossWeights, train_autoencoder
from explainers.training.publish import (
    publish_autoencoder,
)


@click.command("autoencoder")
@shared_options(learning_rate=1.5e-3, batch_size=16)
@click.option("--arch", default="small", show_default=True, type=click.Choice(list(AUTOENCODERS)))
@click.option("--latent-channels", type=click.IntRange(1, 512), help="[default: the arch's own]")
@click.option(
    "--counterfactuals/--films-only",
    default=True,
    show_default=True,
    help="Learn from the films without a finding, too.",
)
@click.option(
    "--perceptual",
    help="A classifier whose features the loss compares; never the one to be explained.",
)
@click.option("--perceptual-weight", default=LossWeights.perceptual, show_default=True)
@click.option("--logit-weight", default=LossWeights.perceptual_logits, show_default=True)
@click.option("--latent-noise", default=LossWeights.latent_noise, show_default=True)
@click.option(
    "--mask-attention",
    default=LossWeights.mask_attention,
    show_default=True,
    help="Weighted area of each finding's mask, as a share of the film.",
)
@click.option("--classifier", help="The classifier to be explained, to measure its shift.")
def command(
    arch: str,
    latent_channels: int | None,
    counterfactuals: bool,
    perceptual: str | None,
    perceptual_weight: float,
    logit_weight: float,
    latent_noise: float,
    mask_attention: float,
    classifier: str | None,
    **shared: Any,
) -> None:
    """Train the autoencoder and write its card."""
    job = training_job(**shared)
    shape = autoencoder_shape(arch, latent_channels)
    helper = load_classifier(perceptual) if perceptual else None
    explained = load_classifier(classifier) if classifier else None
    if helper and explained and helper.weights_digest == explained.weights_digest:
        raise ExplainerError(
            "--perceptual and --classifier name the same network; a generator trained against the "
            "classifier it explains learns to please it. Train a helper with another seed."
        )
    films = job.films()
    weights = LossWeights(
        perceptual=perceptual_weight,
        perceptual_logits=logit_weight,
        latent_noise=latent_noise,
        mask_attention=mask_attention,
    )
    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        autoencoder, run = train_autoencoder(
            films,
            job.settings,
            job.folder,
            shape=shape,
            clock=time.monotonic,
            weights=weights,
            perceptual=helper,
            counterfactuals=counterfactuals,
            fresh=job.fresh,
            on_step=on_step,
            cancelled=cancelled,
        )
    figures = publish_autoencoder(
        job.out,
        autoencoder,
        run,
        films,
        job.settings,
        created=now(),
        architecture=arch,
        weights=weights,
        picture=job.folder / "reconstructions.png",
        classifier=explained,
        perceptual=helper,
        counterfactuals=counterfactuals,
        validation_share=job.validation_share,
    )
    show_figures(figures)
    click.echo(f"Wrote {job.out} with its card; pictures in {job.folder}.")
