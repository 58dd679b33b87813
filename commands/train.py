"""``counterlight train``: train, resume and evaluate the networks."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import click
import torch
from tqdm import tqdm

from commands.progress import progress_bar
from explainers.base import Cancelled, ExplainerError
from explainers.checkpoint import read_kind, weights_path
from explainers.classifiers.networks import ARCHITECTURES
from explainers.classifiers.ours import OurClassifier, load_classifier
from explainers.generators.autoencoder import OurAutoencoder, load_autoencoder
from explainers.generators.networks import AUTOENCODERS, autoencoder_shape
from explainers.training.autoencoder import LossWeights, train_autoencoder
from explainers.training.card import to_json, write_text
from explainers.training.classifier import train_classifier
from explainers.training.films import Films, open_films
from explainers.training.held_out import (
    AutoencoderFigures,
    ClassifierFigures,
    evaluate_autoencoder,
    evaluate_classifier,
)
from explainers.training.loop import LoopSettings, StepReport
from explainers.training.publish import (
    draw_reconstructions,
    publish_autoencoder,
    publish_classifier,
    read_parameters,
)

DEFAULT_EPOCHS = 25.0
_PATH = click.Path(path_type=Path)
_DIRECTORY = click.Path(file_okay=False, path_type=Path)


@dataclass(frozen=True)
class _Job:
    """Options that every training shares."""

    cases: Path
    out: Path
    settings: LoopSettings
    size: int
    work: Path
    fresh: bool
    validation_share: float

    @property
    def folder(self) -> Path:
        """Where the checkpoint lies."""
        return self.work / self.out.stem

    def films(self) -> Films:
        """The case set as arrays, with a progress bar while it is read for the first time."""
        with progress_bar("films read") as advance:
            return open_films(
                self.cases,
                self.size,
                self.work / "cache",
                validation_share=self.validation_share,
                on_progress=advance,
            )


@click.group("train")
def command() -> None:
    """Train the networks on a case set, and measure them on held-out patients."""


def _shared_options(
    learning_rate: float, batch_size: int
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    options = [
        click.option("--cases", required=True, type=_DIRECTORY, help="Case set to learn from."),
        click.option("--out", required=True, type=_PATH, help="The .safetensors file to write."),
        click.option("--epochs", type=click.FloatRange(0, min_open=True), help="[default: 25]"),
        click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Or: how long."),
        click.option("--size", default=128, show_default=True, help="Rows and columns."),
        click.option("--batch-size", default=batch_size, show_default=True),
        click.option("--learning-rate", default=learning_rate, show_default=True),
        click.option("--threads", default=1, show_default=True, type=click.IntRange(1)),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(0)),
        click.option("--validation-share", default=0.1, show_default=True),
        click.option(
            "--resume/--fresh",
            default=True,
            show_default=True,
            help="Go on from the checkpoint of an interrupted run, or start again.",
        ),
        click.option(
            "--work",
            default=Path("var/training"),
            show_default=True,
            type=_DIRECTORY,
            help="Folder of checkpoints and of the cache of films.",
        ),
    ]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@command.command("classifier")
@_shared_options(learning_rate=2e-3, batch_size=32)
@click.option("--arch", default="small", show_default=True, type=click.Choice(list(ARCHITECTURES)))
@click.option(
    "--counterfactuals/--films-only",
    default=False,
    show_default=True,
    help="Learn from the films without a finding, too.",
)
def classifier_command(arch: str, counterfactuals: bool, **shared: Any) -> None:
    """Train the multi-label classifier, calibrate it, and write its card."""
    job = _job(**shared)
    films = job.films()
    with _training_bar() as on_step, _stop_on_interrupt() as cancelled:
        classifier, run = train_classifier(
            films,
            job.settings,
            job.folder,
            architecture=arch,
            clock=time.monotonic,
            counterfactuals=counterfactuals,
            fresh=job.fresh,
            on_step=on_step,
            cancelled=cancelled,
        )
    figures = publish_classifier(
        job.out,
        classifier,
        run,
        films,
        job.settings,
        created=_now(),
        parameters=read_parameters(job.cases),
        counterfactuals=counterfactuals,
        validation_share=job.validation_share,
    )
    _show(figures)
    click.echo(f"Wrote {job.out} with its card and evaluation.")


@command.command("autoencoder")
@_shared_options(learning_rate=1.5e-3, batch_size=16)
@click.option("--arch", default="small", show_default=True, type=click.Choice(list(AUTOENCODERS)))
@click.option("--latent-channels", type=click.IntRange(1, 512), help="[default: the arch's own]")
@click.option(
    "--counterfactuals/--films-only",
    default=True,
    show_default=True,
    help="Learn from the films without a finding, too.",
)
@click.option(
    "--perceptual",
    help="A classifier whose features the loss compares; never the one to be explained.",
)
@click.option("--perceptual-weight", default=LossWeights.perceptual, show_default=True)
@click.option("--logit-weight", default=LossWeights.perceptual_logits, show_default=True)
@click.option("--latent-noise", default=LossWeights.latent_noise, show_default=True)
@click.option(
    "--mask-attention",
    default=LossWeights.mask_attention,
    show_default=True,
    help="Weighted area of each finding's mask, as a share of the film.",
)
@click.option("--classifier", help="The classifier to be explained, to measure its shift.")
def autoencoder_command(
    arch: str,
    latent_channels: int | None,
    counterfactuals: bool,
    perceptual: str | None,
    perceptual_weight: float,
    logit_weight: float,
    latent_noise: float,
    mask_attention: float,
    classifier: str | None,
    **shared: Any,
) -> None:
    """Train the autoencoder and write its card."""
    job = _job(**shared)
    shape = autoencoder_shape(arch, latent_channels)
    helper = load_classifier(perceptual) if perceptual else None
    explained = load_classifier(classifier) if classifier else None
    if helper and explained and helper.weights_digest == explained.weights_digest:
        raise ExplainerError(
            "--perceptual and --classifier name the same network; a generator trained against the "
            "classifier it explains learns to please it. Train a helper with another seed."
        )
    films = job.films()
    weights = LossWeights(
        perceptual=perceptual_weight,
        perceptual_logits=logit_weight,
        latent_noise=latent_noise,
        mask_attention=mask_attention,
    )
    with _training_bar() as on_step, _stop_on_interrupt() as cancelled:
        autoencoder, run = train_autoencoder(
            films,
            job.settings,
            job.folder,
            shape=shape,
            clock=time.monotonic,
            weights=weights,
            perceptual=helper,
            counterfactuals=counterfactuals,
            fresh=job.fresh,
            on_step=on_step,
            cancelled=cancelled,
        )
    figures = publish_autoencoder(
        job.out,
        autoencoder,
        run,
        films,
        job.settings,
        created=_now(),
        architecture=arch,
        weights=weights,
        picture=job.folder / "reconstructions.png",
        classifier=explained,
        perceptual=helper,
        counterfactuals=counterfactuals,
        validation_share=job.validation_share,
    )
    _show(figures)
    click.echo(f"Wrote {job.out} with its card; pictures in {job.folder}.")


@command.command("evaluate")
@click.argument("network")
@click.option("--cases", required=True, type=_DIRECTORY, help="Case set with the held-out films.")
@click.option("--classifier", help="For an autoencoder: the classifier to be explained.")
@click.option("--split", default="test", type=click.Choice(["val", "test"]), show_default=True)
@click.option("--validation-share", default=0.1, show_default=True)
@click.option("--work", default=Path("var/training"), show_default=True, type=_DIRECTORY)
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
@click.option("--out", type=_PATH, help="JSON file.  [default: <network>.evaluation.json]")
def evaluate_command(
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
    _show(figures)
    click.echo(f"Wrote {target}")


def _job(
    *,
    cases: Path,
    out: Path,
    epochs: float | None,
    minutes: float | None,
    size: int,
    batch_size: int,
    learning_rate: float,
    threads: int,
    seed: int,
    validation_share: float,
    resume: bool,
    work: Path,
) -> _Job:
    if out.suffix != ".safetensors":
        raise click.BadParameter(f"{out} must end in .safetensors.", param_hint="--out")
    if out.is_dir():  # said now, not after hours of training
        raise click.BadParameter(f"{out} is a folder; name a file.", param_hint="--out")
    if epochs is not None and minutes is not None:
        raise click.UsageError("Give --epochs or --minutes, not both.")
    torch.set_num_threads(threads)
    settings = LoopSettings(
        epochs=DEFAULT_EPOCHS if epochs is None and minutes is None else epochs,
        minutes=minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
    )
    return _Job(cases, out, settings, size, work, not resume, validation_share)


@contextmanager
def _training_bar() -> Iterator[Callable[[StepReport], None]]:
    """A bar over the whole run: share done, loss, figures, images per second, time left."""
    layout = "{l_bar}{bar}| {elapsed} + {postfix}"
    pause_s = 0.5 if sys.stderr.isatty() else 20.0  # a log file needs no animation
    with tqdm(total=1000, bar_format=layout, dynamic_ncols=True, mininterval=pause_s) as bar:

        def show(report: StepReport) -> None:
            minutes, seconds = divmod(round(report.remaining_s), 60)
            figures = ""
            if report.last is not None:
                name, value = next(iter(report.last.validation.items()))
                figures = f", {name} {value:.3f}"
            bar.set_postfix_str(
                f"{minutes:02d}:{seconds:02d} left, epoch {report.epoch}, loss {report.loss:.4f}"
                f"{figures}, {report.images_per_s:.0f} images/s",
                refresh=False,
            )
            bar.update(int(1000 * report.share) - bar.n)

        yield show


@contextmanager
def _stop_on_interrupt() -> Iterator[Cancelled]:
    """Turn the first Ctrl-C into a request to stop after the step; the second one kills."""
    asked: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def remember(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    signal.signal(signal.SIGINT, remember)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)


def _show(figures: ClassifierFigures | AutoencoderFigures) -> None:
    if isinstance(figures, ClassifierFigures):
        for f in figures.findings:
            thirds = " ".join(f"{value:.2f}" for value in f.sensitivity_by_severity)
            free = f", tube-free AUC {f.auc_tube_free.value:.3f}" if f.auc_tube_free else ""
            click.echo(
                f"{f.finding:<14} AUC {f.auc.value:.3f} ({f.auc.low:.3f}–{f.auc.high:.3f}){free}, "
                f"sensitivity {f.sensitivity:.2f} [{thirds}], specificity {f.specificity:.2f}"
            )
        return
    click.echo(
        f"MAE {figures.error:.2f}/255, in masks {figures.error_in_masks:.2f}/255, "
        f"{figures.n_films} films"
    )
    for r in figures.findings:
        shift = "–" if r.probability_shift is None else f"{r.probability_shift:.3f}"
        click.echo(f"{r.finding:<14} in mask {r.error_in_mask:.2f}/255, |shift of f| {shift}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
