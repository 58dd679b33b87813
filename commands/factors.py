"""``counterlight factors``: find the style dimensions that move a classifier, and draw them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click
import torch

from commands.progress import progress_bar
from commands.training import stop_on_interrupt
from data.manifest import CaseSet
from data.reference import ReferenceSet
from explainers.base import ExplainerError, OnProgress
from explainers.checkpoint import file_digest, weights_path
from explainers.classifiers.opening import open_classifier
from explainers.stylespace.cards import draw_cards, film_cards
from explainers.stylespace.chosen import ChosenFilms, choose_films
from explainers.stylespace.encoder import load_encoder
from explainers.stylespace.factorfile import read_factor_set, write_factor_set
from explainers.stylespace.factortext import factor_report
from explainers.stylespace.find import find_factors
from explainers.stylespace.meter import load_meter
from explainers.stylespace.perceptual import classifier_features
from explainers.stylespace.selection import Aggregation
from explainers.stylespace.stages import Stages
from explainers.stylespace.sweep import Mode
from explainers.stylespace.swept import FindSettings, Networks, StageProgress
from explainers.training.card import write_text
from explainers.training.films import open_films
from explainers.training.stylegan2 import load_generator

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("factors")
def command() -> None:
    """Find the style dimensions that move a classifier, and see what they are."""


@dataclass(frozen=True, eq=False)
class _Opened:
    """What both commands work on."""

    networks: Networks
    films: ChosenFilms
    cases_digest: str
    stages: Stages


def search_options(function: Callable[..., None]) -> Callable[..., None]:
    options = [
        click.option("--generator", default="phantom-stylegan2", show_default=True),
        click.option("--classifier", default="phantom-classifier", show_default=True),
        click.option(
            "--meter", help="Reads known parameters; simulated films only. E.g. phantom-meter."
        ),
        click.option(
            "--features",
            help="A classifier whose features the back-projection compares.  [default: none]",
        ),
        click.option("--encoder", help="Where the back-projection begins.  [default: mean style]"),
        click.option("--cases", required=True, type=_FOLDER, help="Films with their truth."),
        click.option("--films", default=70, show_default=True, type=click.IntRange(1)),
        click.option("--split", default="test", type=click.Choice(["val", "test"])),
        click.option("--confidence", default=0.9, show_default=True, type=float),
        click.option("--max-mae", default=12.0, show_default=True, help="Grey levels of 255."),
        click.option("--max-shift", default=0.2, show_default=True, help="Of the probability."),
        click.option("--steps", default=500, show_default=True, type=click.IntRange(1)),
        click.option("--threads", default=1, show_default=True, type=click.IntRange(1)),
        click.option(
            "--work",
            default=Path("var/factors"),
            show_default=True,
            type=_FOLDER,
            help="Finished stages; an interrupted search goes on from here.",
        ),
        click.option("--cache", default=Path("var/training/cache"), type=_FOLDER, hidden=True),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@command.command("find")
@search_options
@click.option("--findings", multiple=True, help="Only for this finding; may be repeated.")
@click.option("--delta", default=0.3, show_default=True, type=click.FloatRange(0, 1))
@click.option(
    "--aggregate", default="mean", show_default=True, type=click.Choice(get_args(Aggregation))
)
@click.option("--least-share", default=0.05, show_default=True, help="For --aggregate share.")
@click.option("--limit", type=click.IntRange(1), help="At most so many for each finding.")
@click.option("--mode", default="screened", show_default=True, type=click.Choice(get_args(Mode)))
@click.option("--samples", default=20_000, show_default=True, type=click.IntRange(2))
@click.option("--percentile", default=0.0, show_default=True, type=float)
@click.option("--out", required=True, type=_FILE, help="Name of the set; .json is added.")
def find_command(
    findings: tuple[str, ...],
    delta: float,
    aggregate: Aggregation,
    least_share: float,
    limit: int | None,
    mode: Mode,
    samples: int,
    percentile: float,
    out: Path,
    **shared: Any,
) -> None:
    """Find the dimensions that move a classifier on films that it gets right.

    Writes NAME.json, NAME.safetensors and NAME.md, a table of the dimensions.
    """
    opened = open_search(**shared)
    settings = FindSettings(
        findings=findings,
        threshold=delta,
        aggregation=aggregate,
        least_share=least_share,
        limit=limit,
        mode=mode,
        n_samples=samples,
        percentile=percentile,
        confidence=shared["confidence"],
        max_mae=shared["max_mae"],
        max_shift=shared["max_shift"],
        n_steps=shared["steps"],
    )
    with stage_bars() as on_stage, stop_on_interrupt() as cancelled:
        found = find_factors(
            opened.networks,
            opened.films,
            settings,
            opened.stages,
            cases_digest=opened.cases_digest,
            on_stage=on_stage,
            cancelled=cancelled,
        )
    path = write_factor_set(out, found)
    report = factor_report(found)
    write_text(path.with_suffix(".md"), f"# {path.stem}\n\n{report}")
    click.echo(report)
    click.echo(f"Wrote {path} with its arrays and table.")


@command.command("cards")
@click.argument("name")
@search_options
@click.option("--per-factor", default=5, show_default=True, type=click.IntRange(1))
@click.option("--out", required=True, type=_FOLDER, help="Folder of pictures and index.html.")
def cards_command(name: str, per_factor: int, out: Path, **shared: Any) -> None:
    """Draw the films that every dimension of the factor set NAME changes most.

    The work folder of the search is used again: with the same films nothing is projected anew.
    """
    factors = read_factor_set(name)
    opened = open_search(**shared)
    factors.check_networks(
        generator=opened.networks.generator_digest,
        classifier=opened.networks.classifier.weights_digest,
        n_styles=opened.networks.generator.n_styles,
    )
    made = factors.made
    settings = FindSettings(
        threshold=made.threshold,
        aggregation="mean",
        mode="screened" if made.mode == "screened" else "exhaustive",
        n_samples=factors.n_samples,
        percentile=factors.percentile,
        confidence=shared["confidence"],
        max_mae=shared["max_mae"],
        max_shift=shared["max_shift"],
        n_steps=shared["steps"],
    )
    with stage_bars() as on_stage, stop_on_interrupt() as cancelled:
        cards = film_cards(
            opened.networks,
            opened.films,
            factors,
            settings,
            opened.stages,
            per_factor=per_factor,
            on_stage=on_stage,
            cancelled=cancelled,
        )
    page = draw_cards(out, factors, cards)
    click.echo(f"Wrote {page} with {len(cards)} cards.")


def open_search(
    *,
    generator: str,
    classifier: str,
    meter: str | None,
    features: str | None,
    encoder: str | None,
    cases: Path,
    films: int,
    split: Any,
    confidence: float,
    threads: int,
    work: Path,
    cache: Path,
    **_others: Any,
) -> _Opened:
    torch.set_num_threads(threads)
    drawing, predicting = load_generator(generator), open_classifier(classifier)
    generator_digest = file_digest(weights_path(generator))
    comparing = open_classifier(features) if features else None
    networks = Networks(
        generator=drawing,
        generator_digest=generator_digest,
        classifier=predicting,
        meter=load_meter(meter) if meter else None,
        features=classifier_features(comparing) if comparing else None,
        features_name=comparing.weights_digest if comparing else "",
        encoder=load_encoder(encoder, generator_digest=generator_digest) if encoder else None,
    )
    with progress_bar("films read") as advance:
        read = open_films(cases, drawing.shape.size, cache, on_progress=advance)
    if networks.meter is not None and not read.simulated:
        raise ExplainerError(
            "A meter reads simulated films only, and these are not all simulated; leave --meter "
            "out."
        )
    references, case_set = ReferenceSet.open(cases), CaseSet.open(cases)
    with progress_bar("films predicted") as advance:
        chosen = choose_films(
            read,
            predicting,
            n_films=films,
            confidence=confidence,
            split=split,
            lungs=lambda case_id: references.mask(case_id, "lungs"),
            on_progress=advance,
        )
    if len(chosen.case_ids) < films:
        click.echo(
            f"{len(chosen.case_ids)} of {len(case_set)} films qualify; {films} were asked for.",
            err=True,
        )
    return _Opened(networks, chosen, read.digest, Stages(work))


@contextmanager
def stage_bars() -> Iterator[StageProgress]:
    """One bar after the other, each with its rate and remaining time."""
    with ExitStack() as drawn:

        def begin(unit: str) -> OnProgress:
            drawn.close()  # the bar before has come to its end
            return drawn.enter_context(progress_bar(unit))

        yield begin
