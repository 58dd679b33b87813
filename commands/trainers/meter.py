"""``counterlight train meter``: a network that reads the simulator's parameters off its films."""

from __future__ import annotations

import time
from typing import Any

import click

from commands.training import now, shared_options, stop_on_interrupt, training_bar, training_job
from explainers.base import ExplainerError
from explainers.training.meter import train_meter
from explainers.training.publish import read_parameters
from explainers.training.publish_meter import publish_meter, quality_table


@click.command("meter")
@shared_options(learning_rate=2e-3, batch_size=32)
def command(**shared: Any) -> None:
    """Train the meter that says which known parameter a style dimension moves.

    It learns from simulated films and their parameters.csv; what it cannot read on held-out
    patients (R² below 0.5, AUC below 0.8) is reported as not readable.
    """
    job = training_job(**shared)
    table = read_parameters(job.cases)
    if table is None:
        raise ExplainerError(
            f"{job.cases} has no parameters.csv; a meter learns from simulated films only "
            "(`counterlight phantom`)."
        )
    films = job.films()
    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        meter, run = train_meter(
            films,
            table,
            job.settings,
            job.folder,
            clock=time.monotonic,
            fresh=job.fresh,
            on_step=on_step,
            cancelled=cancelled,
        )
    final = publish_meter(
        job.out,
        meter,
        run,
        films,
        table,
        job.settings,
        created=now(),
        validation_share=job.validation_share,
    )
    for line in quality_table(final.quality):
        click.echo(line)
    click.echo(f"Wrote {job.out} with its card.")
