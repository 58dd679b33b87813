"""``counterlight train digits``: two LeNets and a generator of handwritten digits."""

from __future__ import annotations

import time
from pathlib import Path

import click
import torch

from commands.training import DIRECTORY, stop_on_interrupt, training_bar
from data.digits import read_digits
from explainers.training.digits import (
    DIGIT_FILES,
    DigitRole,
    accuracy,
    train_digit_classifier,
    train_digit_generator,
)
from explainers.training.loop import LoopSettings


@click.command("digits")
@click.option("--mnist", required=True, type=DIRECTORY, help="Folder with the four IDX files.")
@click.option("--out", required=True, type=DIRECTORY, help="Folder of the networks.")
@click.option("--epochs", default=8.0, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option(
    "--generator-epochs",
    default=6.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Of the critic; the generator takes a quarter of its steps.",
)
@click.option(
    "--encoder-epochs", default=3.0, show_default=True, type=click.FloatRange(0, min_open=True)
)
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--resume/--fresh", default=True, show_default=True)
def command(
    mnist: Path,
    out: Path,
    epochs: float,
    generator_epochs: float,
    encoder_epochs: float,
    threads: int,
    seed: int,
    resume: bool,
) -> None:
    """Train on the digits of MNIST what `counterlight digits` needs; they are not shipped."""
    torch.set_num_threads(threads)
    digits, held_out = read_digits(mnist, "train"), read_digits(mnist, "test")
    lenet = LoopSettings(
        epochs=epochs,
        batch_size=64,
        learning_rate=2e-3,
        weight_decay=1e-3,
        seed=seed,
        half_precision=False,
    )
    roles: tuple[DigitRole, ...] = ("classifier", "oracle")
    for role in roles:
        click.echo(f"The {role}:", err=True)
        with training_bar() as on_step, stop_on_interrupt() as cancelled:
            trained = train_digit_classifier(
                digits,
                role,
                lenet,
                out,
                clock=time.monotonic,
                fresh=not resume,
                on_step=on_step,
                cancelled=cancelled,
            )
        click.echo(f"The {role} names {accuracy(trained, held_out):.2%} of the test digits.")
    click.echo("The generator and its encoder:", err=True)
    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        wgan = train_digit_generator(
            digits,
            out,
            generator=LoopSettings(
                epochs=generator_epochs, batch_size=32, learning_rate=5e-4, seed=seed
            ),
            encoder=LoopSettings(
                epochs=encoder_epochs, batch_size=64, learning_rate=2e-3, seed=seed
            ),
            clock=time.monotonic,
            fresh=not resume,
            on_step=on_step,
            cancelled=cancelled,
        )
    click.echo(
        f"95 % of the reconstructions are off by less than {255 * wgan.reconstruction_error:.0f} "
        f"grey levels of 255. Wrote {', '.join(DIGIT_FILES.values())} into {out}."
    )
