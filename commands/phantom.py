"""``counterlight phantom``: write simulated radiographs as a case set."""

from __future__ import annotations

from pathlib import Path

import click

from commands.progress import progress_bar
from data.phantom.render import SIZES
from data.phantom.shortcut import sample_shortcut
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
@click.option(
    "--tube-shortcut",
    type=click.FloatRange(0, 1),
    help="Share of pneumothoraces with a chest tube; no other film then shows one. Plants a "
    "shortcut for a classifier to learn.",
)
def command(
    n_films: int,
    size: int,
    seed: int,
    out: Path,
    processes: int,
    counterfactuals: bool,
    tube_shortcut: float | None,
) -> None:
    """Simulate N frontal chest radiographs with six findings, masks and true counterfactuals.

    The same seed gives the same films at every size. An interrupted run goes on where it stopped.
    """
    shortcut = None if tube_shortcut is None else sample_shortcut(seed, n_films, tube_shortcut)
    with progress_bar("films", n_films) as advance:
        write_phantoms(
            out,
            n=n_films,
            size=size,
            seed=seed,
            processes=processes,
            on_progress=advance,
            counterfactuals=counterfactuals,
            parameters=shortcut,
        )
    click.echo(f"{n_films} simulated films in {out} (cases.csv, reference.csv, parameters.csv)")
