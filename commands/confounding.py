"""``counterlight confounding``: what the shape of the films gives away."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import click

from data.confounding import Baseline, geometry_baselines
from data.csvfile import write_sheet
from data.manifest import CaseSet
from data.reference import ReferenceSet
from data.scratch import replacing


@click.command("confounding")
@click.option("--cases", required=True, type=click.Path(path_type=Path), help="Case set.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="CSV to write, too.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def command(cases: Path, out: Path | None, seed: int) -> None:
    """Tell every finding from the films' aspect ratio and size alone.

    Read a classifier's AUC beside these: what it gains over them is all that it can have learnt
    from the films. Networks see films squashed to a square, which hides the shape but not its
    traces.
    """
    baselines = geometry_baselines(CaseSet.open(cases), ReferenceSet.open(cases), seed=seed)
    for each in baselines:
        click.echo(
            f"{each.finding:<14} {each.quantity:<13} AUC {each.auc:.3f} "
            f"({each.low:.3f}–{each.high:.3f}), {each.n_films} films, {each.n_patients} patients"
        )
    if not all(each.held_out for each in baselines):
        click.echo("No splits train and test: all films measured, the better direction taken.")
    if out is not None:
        with replacing(out) as path:
            names = [field.name for field in fields(Baseline)]
            write_sheet(path, names, (asdict(each) for each in baselines))
        click.echo(f"Wrote {out}")
