"""``counterlight class-agreement``: does a structure/class generator draw what it was asked for?"""

from __future__ import annotations

from pathlib import Path

import click
import torch

from commands.progress import progress_bar
from commands.training import DIRECTORY, FILE
from explainers.classifiers.opening import open_classifier
from explainers.evaluation.class_agreement import ClassAgreement, class_agreements
from explainers.generators.structure_class import load_structure_class
from explainers.training.card import to_json, write_text
from explainers.training.class_control import labels_of
from explainers.training.films import open_films


@click.command("class-agreement")
@click.argument("network")
@click.option(
    "--judge",
    "judges",
    multiple=True,
    default=("phantom-classifier", "phantom-oracle"),
    show_default=True,
    help="A classifier that judges the images; repeat it.",
)
@click.option("--structures", default=1000, show_default=True, type=click.IntRange(1))
@click.option(
    "--cases",
    type=DIRECTORY,
    help="Case set whose test films say which other findings go together.  [default: no others]",
)
@click.option("--work", default=Path("var/training"), show_default=True, type=DIRECTORY)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
@click.option("--out", type=FILE, help="JSON file.")
def command(
    network: str,
    judges: tuple[str, ...],
    structures: int,
    cases: Path | None,
    work: Path,
    seed: int,
    threads: int,
    out: Path | None,
) -> None:
    """Count how often images of NETWORK have the class that z2 asks for.

    As the paper counts it: over one image without and three with the finding per structure, so that
    a network that always draws the finding has 75 %. Balanced: 50 %.
    """
    torch.set_num_threads(threads)
    generator = load_structure_class(network)
    opened = [open_classifier(each) for each in judges]
    labels = None
    if cases is not None:
        with progress_bar("films read") as advance:
            films = open_films(cases, generator.input_size[0], work / "cache", on_progress=advance)
        labels = labels_of(films, films.rows("test"), generator.findings)
    with progress_bar("structures") as advance:
        found = class_agreements(
            generator,
            opened,
            n_structures=structures,
            labels=labels,
            seed=seed,
            on_progress=advance,
        )
    for name, agreement in zip(judges, found, strict=True):
        _show(name, agreement)
    if out is not None:
        write_text(out, "[" + ",\n".join(to_json(each).strip() for each in found) + "]\n")
        click.echo(f"Wrote {out}")


def _show(name: str, agreement: ClassAgreement) -> None:
    counted, balanced = agreement.interval, agreement.balanced_interval
    click.echo(
        f"{name}{' (trained with)' if agreement.is_trained_with else ''}: "
        f"{counted.value:.3f} ({counted.low:.3f}–{counted.high:.3f}) as the paper counts it, "
        f"{balanced.value:.3f} ({balanced.low:.3f}–{balanced.high:.3f}) balanced; "
        f"{agreement.n_structures} structures, other findings {agreement.others}"
    )
    for each in agreement.findings:
        click.echo(
            f"  {each.finding:<14} {each.as_counted:.3f}, balanced {each.balanced:.3f} "
            f"(specificity {each.specificity:.3f}, sensitivity {each.sensitivity:.3f})"
        )
