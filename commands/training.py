"""What every training command shares: options, the job, its bar, and Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import click
import torch
from tqdm import tqdm

from commands.progress import progress_bar
from explainers.base import Cancelled
from explainers.training.films import Films, open_films
from explainers.training.loop import LoopSettings, StepReport

DEFAULT_EPOCHS = 25.0
FILE = click.Path(path_type=Path)
DIRECTORY = click.Path(file_okay=False, path_type=Path)


@dataclass(frozen=True)
class TrainingJob:
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


def shared_options(
    learning_rate: float, batch_size: int
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    options = [
        click.option("--cases", required=True, type=DIRECTORY, help="Case set to learn from."),
        click.option("--out", required=True, type=FILE, help="The .safetensors file to write."),
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
            type=DIRECTORY,
            help="Folder of checkpoints and of the cache of films.",
        ),
    ]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def training_job(
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
) -> TrainingJob:
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
    return TrainingJob(cases, out, settings, size, work, not resume, validation_share)


@contextmanager
def training_bar() -> Iterator[Callable[[StepReport], None]]:
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
def stop_on_interrupt() -> Iterator[Cancelled]:
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


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
