"""``counterlight train paired-start``: a beginning for `train syce` and its relatives."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from commands.progress import progress_bar
from commands.trainers.paired import contrast_options, images_of, numbers_of
from commands.training import FILE, shared_options, stop_on_interrupt, training_bar, training_job
from explainers.generators.paired import SYSTEMS, PairedShape, load_paired, save_paired
from explainers.generators.structure_class import load_structure_class
from explainers.training.class_control import labels_of
from explainers.training.contrasts import Judge, named_contrasts, pools_of
from explainers.training.films import Films
from explainers.training.image_sources import open_judge
from explainers.training.paired_start import draw_pairs, imitated_pairs, train_paired_start


@click.command("paired-start")
@shared_options(learning_rate=1e-3, batch_size=16)
@contrast_options
@click.option("--structure-class", help="Generator that is imitated.")
@click.option("--like", type=FILE, help="Or: trained pair that is imitated on films.")
@click.option("--system", type=click.Choice(list(SYSTEMS)), default="syce", show_default=True)
@click.option(
    "--structures",
    default=500,
    show_default=True,
    type=click.IntRange(8),
    help="Drawn chests per finding; with --like films per finding and side.",
)
@click.option("--channels", default="24,48,96,128", show_default=True, help="Of the stages.")
def command(
    classifier: str,
    findings: str,
    structure_class: str | None,
    like: Path | None,
    system: str,
    structures: int,
    channels: str,
    **shared: Any,
) -> None:
    """Let paired generators imitate others, to begin `train syce` with.

    The size is the classifier's.
    """
    if (structure_class is None) == (like is None):
        raise click.UsageError("Give --structure-class or --like: one of them is imitated.")
    job = training_job(**shared)
    judge = open_judge(classifier)
    contrasts = named_contrasts(findings, judge)
    beginning = load_paired(like) if like else None
    images = images_of(job, judge, contrasts)
    shape = PairedShape(images.size, numbers_of(channels), len(contrasts))
    rows, sides = images.rows("train"), Judge(judge, contrasts)
    if beginning is None and not isinstance(images, Films):
        raise click.UsageError("--structure-class goes with a case set; for digits give --like.")
    with progress_bar("findings drawn") as advance:
        more: Any = {"seed": job.settings.seed, "on_progress": advance}
        if beginning is not None:
            pools = pools_of(sides, images, rows, job.folder)
            pairs = imitated_pairs(beginning, sides, images, pools, structures, **more)
        else:
            assert isinstance(images, Films)
            network = load_structure_class(str(structure_class))
            labels = labels_of(images, rows, network.findings)
            pairs = draw_pairs(network, sides, labels, structures, **more)
    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        pair, run = train_paired_start(
            system,
            pairs,
            contrasts,
            judge.weights_digest,
            job.settings,
            job.folder,
            shape=shape,
            clock=time.monotonic,
            begin_with=beginning,
            fresh=job.fresh,
            on_step=on_step,
            cancelled=cancelled,
        )
    save_paired(job.out, pair)
    click.echo(f"{len(pairs.contrasts)} pairs imitated for {run.epochs:.1f} epochs.")
    click.echo(
        f"Wrote {job.out}; begin with it: counterlight train {system} --task begun "
        f"--begin-with {job.out}"
    )
