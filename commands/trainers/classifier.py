"""``counterlight train classifier``."""

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
from explainers.classifiers.networks import ARCHITECTURES
from explainers.training.classifier import train_classifier
from explainers.training.publish import (
    publish_classifier,
    read_parameters,
)


@click.command("classifier")
@shared_options(learning_rate=2e-3, batch_size=32)
@click.option("--arch", default="small", show_default=True, type=click.Choice(list(ARCHITECTURES)))
@click.option(
    "--counterfactuals/--films-only",
    default=False,
    show_default=True,
    help="Learn from the films without a finding, too.",
)
def command(arch: str, counterfactuals: bool, **shared: Any) -> None:
    """Train the multi-label classifier, calibrate it, and write its card."""
    job = training_job(**shared)
    films = job.films()
    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        classifier, run = train_classifier(
            films,
            job.settings,
            job.folder,
            architecture=arch,
            clock=time.monotonic,
            counterfactuals=counterfactuals,
            fresh=job.fresh,
            on_step=on_step,
            cancelled=cancelled,
        )
    figures = publish_classifier(
        job.out,
        classifier,
        run,
        films,
        job.settings,
        created=now(),
        parameters=read_parameters(job.cases),
        counterfactuals=counterfactuals,
        validation_share=job.validation_share,
    )
    show_figures(figures)
    click.echo(f"Wrote {job.out} with its card and evaluation.")
