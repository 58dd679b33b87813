"""``counterlight train mgen``: a network that draws the evidence as a mask."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from commands.trainers.paired import (
    TASK_HELP,
    contrast_options,
    default_task,
    images_of,
    numbers_of,
)
from commands.training import (
    FILE,
    now,
    shared_options,
    stop_on_interrupt,
    training_bar,
    training_job,
)
from explainers.generators.mgen import DIGIT_BLUR, MaskShape
from explainers.training.contrasts import named_contrasts
from explainers.training.image_sources import holds_digits, open_judge
from explainers.training.mgen import read_mask_weights, train_mgen
from explainers.training.publish_mgen import publish_mgen


@click.command("mgen")
@shared_options(learning_rate=1e-3, batch_size=16)
@contrast_options
@click.option("--task", help=TASK_HELP)
@click.option("--weights", type=FILE, help="TOML file of weights instead of the shipped one.")
@click.option("--channels", default="16,32,64,96", show_default=True, help="Of the stages.")
@click.option(
    "--blur",
    type=float,
    help=f"Share of the side.  [default: {MaskShape.blur:g}, of digits {DIGIT_BLUR:g}]",
)
def command(
    classifier: str,
    findings: str,
    task: str | None,
    weights: Path | None,
    channels: str,
    blur: float | None,
    **shared: Any,
) -> None:
    """Train a mask network (Dabkowski & Gal 2017), and write its card.

    --cases is a case set, or a folder with the four files of MNIST; the size is the classifier's.
    """
    job = training_job(**shared)
    judge = open_judge(classifier)
    contrasts = named_contrasts(findings, judge)
    chosen = read_mask_weights(task or default_task(job), weights)
    images = images_of(job, judge, contrasts)
    if blur is None:
        blur = DIGIT_BLUR if holds_digits(job.cases) else MaskShape.blur
    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        network, run = train_mgen(
            images,
            judge,
            contrasts,
            job.settings,
            job.folder,
            shape=MaskShape(images.size, numbers_of(channels), blur),
            weights=chosen,
            clock=time.monotonic,
            fresh=job.fresh,
            on_step=on_step,
            cancelled=cancelled,
        )
    figures = publish_mgen(
        job.out,
        network,
        run,
        images,
        job.settings,
        created=now(),
        weights=chosen,
        classifier=judge,
        validation_share=job.validation_share,
    )
    click.echo("\n".join(figures.lines()))
    click.echo(f"Wrote {job.out} with its card.")
