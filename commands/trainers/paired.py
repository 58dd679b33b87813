"""``counterlight train cyce|syce|ssye|cycsae|sagen|cyclegan``: paired generators of images."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from commands.progress import progress_bar
from commands.training import (
    FILE,
    TrainingJob,
    now,
    shared_options,
    stop_on_interrupt,
    training_bar,
    training_job,
)
from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.generators.paired import SYSTEMS, Contrast, PairedShape, load_paired
from explainers.training.contrasts import check_oracle, named_contrasts
from explainers.training.films import Films
from explainers.training.image_sources import holds_digits, open_images, open_judge
from explainers.training.images import ArrayImages
from explainers.training.loop import EpochRecord
from explainers.training.paired import PairedSettings, train_paired
from explainers.training.paired_weights import read_weights
from explainers.training.publish_paired import publish_paired

FINDINGS_HELP = (
    "What the pair tells apart: findings, separated by commas; 3-8 for one digit against another; "
    "'all' (each against the rest) or 'each-against-each'."
)
TASK_HELP = "Table of the weights, in explainers/training/paired.toml.  [default: films, or digits]"


def contrast_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say what is told apart, by whom."""
    options = [
        click.option("--classifier", required=True, help="What is explained; it stays as it is."),
        click.option("--findings", default="all", show_default=True, help=FINDINGS_HELP),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def paired_command(system: str) -> click.Command:
    """Make the command that trains one system."""

    @click.command(
        system,
        help=f"Train the paired generators of {SYSTEMS[system].title}. --cases is a case set, or "
        "a folder with the four files of MNIST; the size is the classifier's.",
    )
    @shared_options(learning_rate=3e-4, batch_size=8)
    @contrast_options
    @click.option("--oracle", help="Independent classifier for the card's figures.")
    @click.option("--task", help=TASK_HELP)
    @click.option("--weights", type=FILE, help="TOML file of weights instead of the shipped one.")
    @click.option(
        "--cycle/--no-cycle",
        default=True,
        show_default=True,
        help="Without the terms of the way back, as a row of the tables.",
    )
    @click.option("--channels", default="24,48,96,128", show_default=True, help="Of the stages.")
    @click.option(
        "--output",
        type=click.Choice(["clip", "sigmoid"]),
        default="clip",
        show_default=True,
        help="The image plus a change, or an image drawn anew.",
    )
    @click.option("--begin-with", type=FILE, help="Pair whose generators are taken over.")
    @click.option("--judge-shift", default=0, show_default=True, type=click.IntRange(0))
    @click.option("--judge-noise", default=0.0, show_default=True, type=click.FloatRange(0))
    @click.option("--validate-every", default=250, show_default=True, type=click.IntRange(1))
    def command(
        classifier: str,
        findings: str,
        oracle: str | None,
        task: str | None,
        weights: Path | None,
        cycle: bool,
        channels: str,
        output: Any,
        begin_with: Path | None,
        judge_shift: int,
        judge_noise: float,
        validate_every: int,
        **shared: Any,
    ) -> None:
        job = training_job(**shared)
        judge = open_judge(classifier)
        contrasts = named_contrasts(findings, judge)
        other = open_judge(oracle) if oracle else None
        check_oracle(judge, other, contrasts)  # now, not after hours of training
        chosen = read_weights(task or default_task(job), system, weights)
        if not cycle:
            chosen = replace(chosen, cycle=0.0, cycle_class=0.0)
        options = PairedSettings(judge_shift=judge_shift, judge_noise=judge_noise)
        beginning = load_paired(begin_with) if begin_with else None
        images = images_of(job, judge, contrasts)
        shape = PairedShape(
            size=images.size,
            channels=numbers_of(channels),
            n_contrasts=len(contrasts),
            output=output,
            n_heads=2 if SYSTEMS[system].stable == "second head" else 1,
        )

        def tell(record: EpochRecord) -> None:
            figures = ", ".join(f"{name} {value:.3g}" for name, value in record.validation.items())
            click.echo(f"step {record.step}: {figures}", err=True)

        with training_bar() as on_step, stop_on_interrupt() as cancelled:
            pair, run = train_paired(
                system,
                images,
                judge,
                contrasts,
                job.settings,
                job.folder,
                shape=shape,
                weights=chosen,
                clock=time.monotonic,
                options=options,
                begin_with=beginning,
                validate_every=validate_every,
                fresh=job.fresh,
                on_step=on_step,
                on_validation=tell,
                cancelled=cancelled,
            )
        figures = publish_paired(
            job.out,
            pair,
            run,
            images,
            job.settings,
            created=now(),
            weights=chosen,
            options=options,
            begun_with="" if beginning is None else beginning.weights_digest,
            classifier=judge,
            oracle=other,
            validation_share=job.validation_share,
        )
        click.echo("\n".join(figures.lines()))
        click.echo(f"Wrote {job.out} with its card; pictures in {job.folder}.")

    return command


def default_task(job: TrainingJob) -> str:
    """Table of weights that fits a folder."""
    return "digits" if holds_digits(job.cases) else "films"


def images_of(
    job: TrainingJob, judge: Classifier, contrasts: tuple[Contrast, ...]
) -> Films | ArrayImages:
    """Read the images of a job at the classifier's size, with a bar."""
    with progress_bar("films read") as advance:
        return open_images(
            job.cases,
            judge,
            contrasts,
            job.work / "cache",
            validation_share=job.validation_share,
            on_progress=advance,
        )


def numbers_of(text: str) -> tuple[int, ...]:
    """Return the numbers of ``--channels``.

    Raises
    ------
    ExplainerError
        If they are none.
    """
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise ExplainerError(
            f"--channels {text!r} are no numbers; write them like 24,48,96,128."
        ) from None


cyce, cyclegan, cycsae, sagen, ssye, syce = (
    paired_command(name) for name in ("cyce", "cyclegan", "cycsae", "sagen", "ssye", "syce")
)
