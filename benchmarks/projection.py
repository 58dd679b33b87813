"""How near back-projection comes, by steps, by start and by terms of its loss.

Films are test films that the classifier gets right with probability 0.9 or more, as many of every
finding as of none. Every line is a search of its own: the learning rate falls to zero at its last
step, so that a search stopped early is not a short one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from explainers.classifiers.base import Classifier
from explainers.classifiers.ours import load_classifier
from explainers.generators.stylegan2 import Discriminator, Generator, StyleGANShape
from explainers.stylespace.encoder import load_encoder
from explainers.stylespace.perceptual import classifier_features
from explainers.stylespace.projection import ProjectionSettings, project, style_centre
from explainers.stylespace.ranges import StyleRanges
from explainers.training.films import Films, open_films
from explainers.training.stylegan2 import load_generator
from explainers.training.stylegan2_discriminator import recovered_discriminator

_STEPS = (50, 100, 200, 500)


@dataclass(frozen=True, eq=False)
class Setting:
    """What every search shares."""

    generator: Generator
    classifier: Classifier
    films: Tensor
    ranges: StyleRanges


@dataclass(frozen=True, eq=False)
class Variant:
    """One way to search."""

    name: str
    settings: ProjectionSettings
    start: Tensor | None = None
    features: bool = True
    discriminator: Discriminator | None = None


def line(setting: Setting, variant: Variant) -> str:
    """Search once and return a row of the table."""
    begun = time.process_time()
    found = project(
        setting.generator, setting.classifier, setting.films, setting.ranges,
        settings=variant.settings, start=variant.start, discriminator=variant.discriminator,
        features=classifier_features(setting.classifier) if variant.features else None,
    )  # fmt: skip
    spent = (time.process_time() - begun) / len(setting.films)
    shift = np.abs(found.shift)
    return (
        f"| {variant.name} | {variant.settings.n_steps} | {found.mae.mean():.2f} "
        f"| {found.mae.max():.2f} | {shift.mean():.4f} | {shift.max(axis=1).mean():.3f} "
        f"| {spent:.1f} |"
    )


def chosen_films(films: Films, classifier: Classifier, n_films: int) -> Tensor:
    """Return films (N, 1, S, S): round the findings, and of none, surely and rightly called."""
    rows = films.rows("test")[:600]
    with torch.no_grad():
        probabilities = torch.cat(
            [
                classifier.probabilities(classifier.logits(films.image_batch(part)))
                for part in np.array_split(rows, 20)
            ]
        ).numpy()
    truth = films.labels[rows]
    sure = np.where(truth == 1, probabilities, 1 - probabilities).min(axis=1) >= 0.9
    groups = [np.flatnonzero(sure & (truth[:, f] == 1)) for f in range(truth.shape[1])]
    groups.append(np.flatnonzero(sure & (truth == 0).all(axis=1)))
    turns = [int(group[turn]) for turn in range(n_films) for group in groups if turn < len(group)]
    unlike = list(dict.fromkeys(turns))[:n_films]
    return films.image_batch(rows[np.array(unlike)])


@click.command()
@click.option("--cases", required=True, type=click.Path(path_type=Path))
@click.option("--generator", required=True)
@click.option("--classifier", default="phantom-classifier", show_default=True)
@click.option("--encoder", help="Begin with its guess, too.")
@click.option("--state", type=click.Path(path_type=Path), help="Training with a discriminator.")
@click.option("--work", default=Path("var/training"), type=click.Path(path_type=Path))
@click.option("--films", "n_films", default=12, show_default=True)
@click.option("--terms/--no-terms", default=True, help="Leave out one term at a time, too.")
def main(
    cases: Path,
    generator: str,
    classifier: str,
    encoder: str | None,
    state: Path | None,
    work: Path,
    n_films: int,
    terms: bool,
) -> None:
    """Print a table of errors and times."""
    torch.set_num_threads(1)
    network, explained = load_generator(generator), load_classifier(classifier)
    films = open_films(cases, network.shape.size, work / "cache")
    begun = time.process_time()
    ranges = style_centre(network)
    spent = time.process_time() - begun
    click.echo(f"mean style over {ranges.n_samples} samples: {spent:.1f} s of processor time")
    setting = Setting(network, explained, chosen_films(films, explained, n_films), ranges)
    start = None
    if encoder is not None:
        with torch.no_grad():
            start = load_encoder(encoder)(setting.films)
    click.echo("| search | steps | MAE/255 | worst film | mean abs. shift of f | mean of each "
               "film's largest | processor s per film |")  # fmt: skip
    click.echo("| --- | --- | --- | --- | --- | --- | --- |")
    for each in variants(start, state, network.shape, terms):
        click.echo(line(setting, each))


def variants(
    start: Tensor | None, state: Path | None, shape: StyleGANShape, terms: bool
) -> list[Variant]:
    """Return the ways to search, the short ones first."""
    plain, ways = ProjectionSettings(half_precision=True), []
    for n_steps in _STEPS:
        settings = replace(plain, n_steps=n_steps)
        ways.append(Variant("from the mean style", settings))
        if start is not None:
            ways.append(Variant("from the encoder", settings, start))
    if not terms:
        return ways
    short = replace(plain, n_steps=_STEPS[0])
    ways.append(Variant("no feature term", short, features=False))
    ways.append(Variant("no classifier term", replace(short, classifier=0.0)))
    if state is not None:
        judge = recovered_discriminator(state, shape)
        ways.append(Variant("with discriminator", short, discriminator=judge))
    ways.append(Variant("in float32", replace(short, half_precision=False)))
    return ways


if __name__ == "__main__":
    main()
