"""``counterlight train latent-regressor``: heads on the latent of a WGAN."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from commands.progress import progress_bar
from commands.training import DIRECTORY, FILE, now, stop_on_interrupt
from explainers.base import ExplainerError
from explainers.checkpoint import weights_path
from explainers.generators.wgan import open_wgan
from explainers.training.films import open_films
from explainers.training.latent_regressor import HeadSettings, read_heart_failure, train_heads
from explainers.training.publish import read_parameters
from explainers.training.publish_wgan import heads_text, publish_heads


@click.command("latent-regressor")
@click.option("--cases", required=True, type=DIRECTORY, help="Simulated case set to learn from.")
@click.option("--wgan", "source", required=True, help="File or shipped name, with an encoder.")
@click.option("--out", required=True, type=FILE, help="File to write; may be that of --wgan.")
@click.option("--hidden", default=HeadSettings.hidden, show_default=True, type=click.IntRange(1))
@click.option("--epochs", default=HeadSettings.epochs, show_default=True, type=click.IntRange(1))
@click.option("--batch-size", default=HeadSettings.batch_size, show_default=True)
@click.option("--learning-rate", default=HeadSettings.learning_rate, show_default=True)
@click.option("--jitter", default=HeadSettings.jitter, show_default=True)
@click.option("--counterfactuals/--films-only", default=True, show_default=True)
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--validation-share", default=0.1, show_default=True)
@click.option("--work", default=Path("var/training"), show_default=True, type=DIRECTORY)
def command(
    cases: Path,
    source: str,
    out: Path,
    hidden: int,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    jitter: float,
    counterfactuals: bool,
    threads: int,
    seed: int,
    validation_share: float,
    work: Path,
) -> None:
    """Fit log BNP (simulated; linear and two layers of 256) and the findings on z = E(x)."""
    if out.suffix != ".safetensors" or out.is_dir():
        raise click.BadParameter(f"{out} must end in .safetensors.", param_hint="--out")
    torch.set_num_threads(threads)
    wgan = open_wgan(source)
    parameters = read_parameters(cases)
    if parameters is None:
        raise ExplainerError(
            f"{cases} has no parameters.csv; the simulated BNP needs simulated films "
            "(`counterlight phantom`)."
        )
    settings = HeadSettings(
        hidden=hidden,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        jitter=jitter,
        seed=seed,
    )
    with progress_bar("films read") as advance:
        films = open_films(
            cases,
            wgan.shape.size,
            work / "cache",
            validation_share=validation_share,
            on_progress=advance,
        )
    rows = {str(case): row for case, row in parameters.to_dict("index").items()}
    table = read_heart_failure(films, rows)
    with progress_bar("films encoded") as advance, stop_on_interrupt() as cancelled:
        trained = train_heads(
            wgan,
            films,
            table,
            settings,
            counterfactuals=counterfactuals,
            on_progress=advance,
            cancelled=cancelled,
        )
    folder = work / f"{out.stem}-heads"
    figures = publish_heads(
        out,
        trained,
        films,
        table,
        settings,
        created=now(),
        folder=folder,
        source=Path(weights_path(source)),
        counterfactuals=counterfactuals,
        validation_share=validation_share,
    )
    for line in heads_text(figures):
        click.echo(line)
    click.echo(f"Wrote {out}; ROC curves in {folder}.")
