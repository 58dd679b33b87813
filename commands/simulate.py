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
from study.simulate import Habits, PlantedEffect, simulate_readers
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
@click.option(
    "--skips",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of the readings that are skipped, if the protocol allows it.",
)
@click.option(
    "--revisions",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of the answers that are given again, if the protocol allows it.",
)
def command(
    study_dir: Path,
    seed: int,
    effect: float,
    effect_false_positives: float,
    iou_slope: float,
    skips: float,
    revisions: float,
) -> None:
    """Let simulated readers complete STUDY; every rating is marked simulated.

    The readings are dated back from now, so that none lies in the future.
    """
    folder = StudyFolder.open(study_dir)
    store = StudyStore.open(folder.database)
    protocol, n_cases = store.protocol, len(store.assignments(store.reader_ids[0]))
    days = protocol.design.washout_days * (protocol.n_sessions - 1)
    span = timedelta(days=days, minutes=3 * n_cases + 30)
    n_readings = sum(a.purpose != "practice" for a in store.assignments())
    with progress_bar("readings", n_readings) as on_progress:
        result = simulate_readers(
            store,
            ReferenceSet.open(folder.cases).table(),
            read_predictions(folder),
            effect=PlantedEffect(effect, effect_false_positives, iou_slope),
            seed=seed,
            start=utc_now() - span,
            localisation=read_localisation(folder),
            habits=Habits(skip_share=skips, revise_share=revisions),
            on_progress=on_progress,
        )
    store.close()
    first, second = result.contrast
    skipped = f" and skipped {result.n_skipped}" if result.n_skipped else ""
    click.echo(
        f"{result.n_readers} simulated readers did {result.n_readings} readings{skipped}. Planted "
        f"{first} - {second} in {result.item!r}: {result.planted_true_positive:+.4f} points on "
        f"true positives, {result.planted_false_positive:+.4f} on false positives."
    )
