"""``counterlight train evaluate``: measure a classifier or an autoencoder on held-out patients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import torch

from commands.progress import progress_bar
from commands.training import (
    DIRECTORY,
    FILE,
)
from explainers.checkpoint import read_kind, weights_path
from explainers.classifiers.ours import OurClassifier, load_classifier
from explainers.generators.autoencoder import OurAutoencoder, load_autoencoder
from explainers.training.card import to_json, write_text
from explainers.training.films import open_films
from explainers.training.held_out import (
    AutoencoderFigures,
    ClassifierFigures,
    evaluate_autoencoder,
    evaluate_classifier,
)
from explainers.training.publish import (
    draw_reconstructions,
    read_parameters,
)


@click.command("evaluate")
@click.argument("network")
@click.option("--cases", required=True, type=DIRECTORY, help="Case set with the held-out films.")
@click.option("--classifier", help="For an autoencoder: the classifier to be explained.")
@click.option("--split", default="test", type=click.Choice(["val", "test"]), show_default=True)
@click.option("--validation-share", default=0.1, show_default=True)
@click.option("--work", default=Path("var/training"), show_default=True, type=DIRECTORY)
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
@click.option("--out", type=FILE, help="JSON file.  [default: <network>.evaluation.json]")
def command(
    network: str,
    cases: Path,
    classifier: str | None,
    split: Any,
    validation_share: float,
    work: Path,
    threads: int,
    out: Path | None,
) -> None:
    """Measure NETWORK (a file or a shipped name) on held-out patients."""
    torch.set_num_threads(threads)
    path = weights_path(network)
    figures: ClassifierFigures | AutoencoderFigures
    explained = load_classifier(classifier) if classifier else None
    trained: OurClassifier | OurAutoencoder = (
        load_classifier(path) if read_kind(path) == "classifier" else load_autoencoder(path)
    )
    with progress_bar("films read") as advance:
        films = open_films(
            cases,
            trained.input_size[0],
            work / "cache",
            validation_share=validation_share,
            on_progress=advance,
        )
    if isinstance(trained, OurClassifier):
        figures = evaluate_classifier(
            trained, films, split=split, parameters=read_parameters(cases)
        )
    else:
        figures = evaluate_autoencoder(trained, films, split=split, classifier=explained)
        draw_reconstructions(work / path.stem / "reconstructions.png", trained, films)
    target = out or path.with_suffix(".evaluation.json")
    write_text(target, to_json(figures))
    show_figures(figures)
    click.echo(f"Wrote {target}")


def show_figures(figures: ClassifierFigures | AutoencoderFigures) -> None:
    """Print the figures of a network, a line each."""
    if isinstance(figures, ClassifierFigures):
        for f in figures.findings:
            thirds = " ".join(f"{value:.2f}" for value in f.sensitivity_by_severity)
            free = f", tube-free AUC {f.auc_tube_free.value:.3f}" if f.auc_tube_free else ""
            click.echo(
                f"{f.finding:<14} AUC {f.auc.value:.3f} ({f.auc.low:.3f}–{f.auc.high:.3f}){free}, "
                f"sensitivity {f.sensitivity:.2f} [{thirds}], specificity {f.specificity:.2f}"
            )
            if f.auc_tube_disagrees is not None and f.auc_tube_disagrees.value < 0.5:
                click.echo(
                    f"{'':<14} trusts the chest tube: AUC {f.auc_tube_disagrees.value:.3f} where "
                    f"tube and finding disagree, {f.tube_alone_called:.0%} of healthy films with a "
                    "tube called positive"
                )
        return
    click.echo(
        f"MAE {figures.error:.2f}/255, in masks {figures.error_in_masks:.2f}/255, "
        f"{figures.n_films} films"
    )
    for r in figures.findings:
        shift = "–" if r.probability_shift is None else f"{r.probability_shift:.3f}"
        click.echo(f"{r.finding:<14} in mask {r.error_in_mask:.2f}/255, |shift of f| {shift}")
