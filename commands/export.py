"""``counterlight export``: write a study's ratings, assignments and codebook."""

from __future__ import annotations

from pathlib import Path

import click

from study.export import export_study


@click.command("export")
@click.argument("study_dir", metavar="STUDY", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for the files; it is made if needed.",
)
def command(study_dir: Path, out: Path) -> None:
    """Write ratings, assignments, missing readings, profiles, events, codebook … to DIR."""
    export = export_study(study_dir, out)
    for path in export.files:
        click.echo(path)
    for problem in export.audit.problems:
        click.echo(f"Warning: {problem}", err=True)
