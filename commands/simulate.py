"""``counterlight simulate``: let simulated readers complete a study."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from commands.progress import progress_bar
from data.reference import ReferenceSet
from study.clock import utc_now
from study.export import read_localisation, read_predictions
from study.folder import StudyFolder
from study.simulate import PlantedEffect, simulate_readers
from study.store import StudyStore


@click.command("simulate")
@click.argument("study_dir", metavar="STUDY", type=click.Path(path_type=Path))
@click.option(
    "--seed",
    default=1,
    show_default=True,
    type=click.IntRange(min=0),
    help="Decides readers and ratings.",
)
@click.option(
    "--effect",
    default=PlantedEffect.true_positive,
    show_default=True,
    help="Latent shift of the primary item on true positives.",
)
@click.option(
    "--effect-false-positives",
    default=PlantedEffect.false_positive,
    show_default=True,
    help="The same on false positives.",
)
@click.option(
    "--iou-slope",
    default=PlantedEffect.iou,
    show_default=True,
    help="Latent gain per unit of IoU on the other rating items.",
)
def command(
    study_dir: Path, seed: int, effect: float, effect_false_positives: float, iou_slope: float
) -> None:
    """Let simulated readers complete STUDY; every rating is marked simulated.

    The readings are dated back from now, so that none lies in the future.
    """
    folder = StudyFolder.open(study_dir)
    store = StudyStore.open(folder.database)
    design, n_cases = store.protocol.design, len(store.assignments(store.reader_ids[0]))
    span = timedelta(days=design.washout_days * (design.sessions - 1), minutes=n_cases)
    with progress_bar("readings", len(store.assignments())) as on_progress:
        result = simulate_readers(
            store,
            ReferenceSet.open(folder.cases).table(),
            read_predictions(folder),
            effect=PlantedEffect(effect, effect_false_positives, iou_slope),
            seed=seed,
            start=utc_now() - span,
            localisation=read_localisation(folder),
            on_progress=on_progress,
        )
    store.close()
    first, second = result.contrast
    click.echo(
        f"{result.n_readers} simulated readers did {result.n_readings} readings. Planted "
        f"{first} - {second} in {result.item!r}: {result.planted_true_positive:+.4f} points on "
        f"true positives, {result.planted_false_positive:+.4f} on false positives."
    )
