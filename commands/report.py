"""``counterlight report``: everything that came out of a study, as files."""

from __future__ import annotations

from pathlib import Path

import click

from commands.progress import progress_bar
from study.audit import verify
from study.clock import utc_now
from study.environment import this_environment
from study.errors import StudyError
from study.folder import StudyFolder
from study.reporting import gather, report_files, report_of, write_files
from study.store import StudyStore


@click.command("report")
@click.argument("study_dir", metavar="STUDY", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for the files; it is made if needed.",
)
@click.option(
    "--models/--no-models",
    default=True,
    show_default=True,
    help="Fit the mixed models, which take most of the time.",
)
@click.option(
    "--interim",
    is_flag=True,
    help="Report while readings are missing; the report is marked interim.",
)
def command(study_dir: Path, out: Path, models: bool, interim: bool) -> None:
    """Analyse STUDY as declared and write the report to DIR.

    A self-contained page with figures, methods and results; CSV, Parquet, Excel and iMRMC files;
    codebook, protocol, environment and checklist.
    """
    folder = StudyFolder.open(study_dir)
    audit = verify(folder.database)
    store = StudyStore.open(folder.database)
    try:
        gathered = gather(folder, store, audit.problems)
    finally:
        store.close()
    counts = gathered.counts
    if counts.missing and not interim:
        raise StudyError(
            f"{counts.missing} of {counts.planned} readings are missing ({counts.done} done, "
            f"{counts.skipped} skipped); results before the end are interim. Wait, or ask for "
            "them with --interim."
        )
    with progress_bar("sections") as on_progress:
        report = report_of(
            gathered,
            models=models,
            on_step=lambda what, done, total: on_progress(done, total),
        )
    files = report_files(gathered, report, this_environment(utc_now()))
    for path in write_files(out, files):
        click.echo(path)
    click.echo(report.material.analysis.sentence)
    if counts.missing:
        click.echo(f"Interim: {counts.missing} of {counts.planned} readings missing.", err=True)
    for problem in audit.problems:
        click.echo(f"Warning: {problem}", err=True)
