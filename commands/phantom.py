"""``counterlight phantom``: write simulated radiographs as a case set."""

from __future__ import annotations

from pathlib import Path

import click

from commands.progress import progress_bar
from data.phantom.render import SIZES
from data.phantom.write import write_phantoms


@click.command("phantom")
@click.option("--n", "n_films", default=240, show_default=True, type=click.IntRange(1))
@click.option("--size", default=512, show_default=True, type=click.Choice(SIZES))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1))
@click.option(
    "--counterfactuals/--no-counterfactuals",
    default=True,
    show_default=True,
    help="Write the same film without each finding beside it.",
)
def command(
    n_films: int, size: int, seed: int, out: Path, processes: int, counterfactuals: bool
) -> None:
    """Simulate N frontal chest radiographs with six findings, masks and true counterfactuals.

    The same seed gives the same films at every size. An interrupted run goes on where it stopped.
    """
    with progress_bar("films", n_films) as advance:
        write_phantoms(
            out,
            n=n_films,
            size=size,
            seed=seed,
            processes=processes,
            on_progress=advance,
            counterfactuals=counterfactuals,
        )
    click.echo(f"{n_films} simulated films in {out} (cases.csv, reference.csv, parameters.csv)")
