"""``counterlight train``: one command per network, imported when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from commands.lazy import Entry, LazyGroup

TRAINERS: Final[Mapping[str, Entry]] = {
    "autoencoder": Entry("commands.trainers.autoencoder", "Latent Shift: encoder and decoder."),
    "classifier": Entry("commands.trainers.classifier", "What is explained."),
    "cyce": Entry("commands.trainers.paired:cyce", "Paired generators, compared with the film."),
    "cycsae": Entry("commands.trainers.paired:cycsae", "Paired and stable generators."),
    "cyclegan": Entry("commands.trainers.paired:cyclegan", "Paired, without the classifier."),
    "digits": Entry("commands.trainers.digits", "Networks of handwritten digits."),
    "evaluate": Entry("commands.trainers.evaluate", "Measure a classifier or an autoencoder."),
    "latent-regressor": Entry("commands.trainers.latent_regressor", "Heads on a WGAN's latent."),
    "mgen": Entry("commands.trainers.mgen", "A network that draws the evidence as a mask."),
    "meter": Entry("commands.trainers.meter", "Reads the simulator's parameters off a film."),
    "paired-start": Entry("commands.trainers.paired_start", "A beginning for paired generators."),
    "sagen": Entry("commands.trainers.paired:sagen", "One generator with two heads."),
    "ssye": Entry("commands.trainers.paired:ssye", "One generator for both directions."),
    "structure-class-gan": Entry("commands.trainers.structure_class", "Structure and class apart."),
    "stylegan2": Entry("commands.trainers.stylegan2", "StyleSpace: generator without classifier."),
    "stylegan2-encoder": Entry("commands.trainers.stylegan2_encoder", "A start for projections."),
    "syce": Entry("commands.trainers.paired:syce", "Paired generators with a stable image."),
    "vae": Entry("commands.trainers.vae", "The space in which sets of images are compared."),
    "wgan": Entry("commands.trainers.wgan", "Visual rationales: the generator."),
    "wgan-encoder": Entry("commands.trainers.wgan_encoder", "Visual rationales: its encoder."),
    "wgan-start": Entry("commands.trainers.wgan_start", "Visual rationales: a start for both."),
}


@click.group("train", cls=LazyGroup, entries=TRAINERS)
def command() -> None:
    """Train the networks on a case set, and measure them on held-out patients."""
