"""``counterlight train paired-start``: a beginning for `train syce` and its relatives."""

from __future__ import annotations

import time
from typing import Any

import click

from commands.progress import progress_bar
from commands.trainers.paired import contrast_options, numbers_of
from commands.training import shared_options, stop_on_interrupt, training_bar, training_job
from explainers.generators.paired import SYSTEMS, PairedShape, save_paired
from explainers.generators.structure_class import load_structure_class
from explainers.training.class_control import labels_of
from explainers.training.contrasts import Judge, named_contrasts
from explainers.training.image_sources import open_judge
from explainers.training.paired_start import draw_pairs, train_paired_start


@click.command("paired-start")
@shared_options(learning_rate=1e-3, batch_size=16)
@contrast_options
@click.option("--structure-class", required=True, help="Generator that is imitated.")
@click.option("--system", type=click.Choice(list(SYSTEMS)), default="syce", show_default=True)
@click.option("--structures", default=500, show_default=True, type=click.IntRange(8))
@click.option("--channels", default="24,48,96,128", show_default=True, help="Of the stages.")
def command(
    classifier: str,
    findings: str,
    structure_class: str,
    system: str,
    structures: int,
    channels: str,
    **shared: Any,
) -> None:
    """Let paired generators imitate a structure/class generator, to begin `train syce` with."""
    job = training_job(**shared)
    network, judge = load_structure_class(structure_class), open_judge(classifier)
    contrasts = named_contrasts(findings, judge)
    films = job.films()
    labels = labels_of(films, films.rows("train"), network.findings)
    with progress_bar("findings drawn") as advance:
        pairs = draw_pairs(
            network,
            Judge(judge, contrasts),
            labels,
            structures,
            seed=job.settings.seed,
            on_progress=advance,
        )
    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        pair, run = train_paired_start(
            system,
            pairs,
            contrasts,
            judge.weights_digest,
            job.settings,
            job.folder,
            shape=PairedShape(job.size, numbers_of(channels), len(contrasts)),
            clock=time.monotonic,
            fresh=job.fresh,
            on_step=on_step,
            cancelled=cancelled,
        )
    save_paired(job.out, pair)
    click.echo(f"{len(pairs.contrasts)} pairs imitated for {run.epochs:.1f} epochs.")
    click.echo(
        f"Wrote {job.out}; begin with it: counterlight train {system} --begin-with {job.out}"
    )
