"""``counterlight select-demo``: search the films of the demo for the shipped classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commands.demo_cases import (
    CASE_LIST,
    COLUMNS,
    FILM_SIZE_PX,
    MINIMUM_MARGIN,
    PRACTICE_LIST,
)
from commands.progress import progress_bar
from data.phantom.parameters import sample_parameters
from data.phantom.render import render
from explainers.classifiers.ours import OurClassifier, load_classifier
from explainers.run import predict_image
from study.errors import StudyError
from study.plans import PracticeCase
from study.protocol import load_protocol, shipped_protocol

CLEAR_SEVERITY = 0.6
"""Severity at least of a finding that is practised on: readers are to learn from it."""


@dataclass(frozen=True)
class Row:
    """One line of a list, in the order of its columns."""

    seed: int
    index: int
    finding: str
    present: bool
    severity: float
    probability: float


Film = tuple[int, NDArray[np.float32]]
"""Index of a film, and the film."""


@click.command("select-demo")
@click.option("--out", type=click.Path(path_type=Path), default=CASE_LIST, show_default="shipped")
@click.option(
    "--practice-out",
    type=click.Path(path_type=Path),
    default=PRACTICE_LIST,
    show_default="shipped",
    help="List of the practice films.",
)
@click.option("--classifier", default="phantom-classifier", show_default=True)
@click.option("--seed", default=2, show_default=True, help="Not the seed of the training films.")
@click.option("--per-class", default=20, show_default=True, help="True and false positives each.")
@click.option("--films", default=3000, show_default=True, help="Give up after so many films.")
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1))
def command(
    out: Path,
    practice_out: Path,
    classifier: str,
    seed: int,
    per_class: int,
    films: int,
    processes: int,
) -> None:
    """Find true and false positives of every finding among new simulated films.

    Takes films in the order of their index; each serves one finding, the one that is scarcest
    so far; the films after those are searched for the practice cases of the demo protocol. Writes
    seeds, severities and probabilities, from which the demo renders its films.
    """
    network = load_classifier(classifier)
    stream = _rendered(seed, films, processes)
    with progress_bar("cases", 2 * len(network.findings) * per_class) as advance:
        rows = study_rows(stream, network, seed, per_class, advance)
    protocol = load_protocol(shipped_protocol("demo"))
    practised = practice_rows(stream, network, seed, protocol.practice)
    for path, found in ((out, rows), (practice_out, practised)):
        table = pd.DataFrame([astuple(row) for row in found], columns=list(COLUMNS))
        table.astype({"present": int}).to_csv(path, index=False)
        click.echo(f"{len(found)} cases in {path}")


def study_rows(
    stream: Iterator[Film],
    network: OurClassifier,
    seed: int,
    per_class: int,
    advance: Callable[[int, int], None],
) -> list[Row]:
    """Return the rows of the study's films, by finding, true positives first.

    Parameters
    ----------
    stream
        Films in the order of their index; left where the last film was found.
    network
        Its positives are wanted.
    seed
        Of the films.
    per_class
        True and false positives of each finding.
    advance
        Called with films found and wanted.

    Raises
    ------
    StudyError
        If the stream ends too early.
    """
    slots: dict[tuple[str, bool], list[Row]] = {
        (finding, present): [] for finding in network.findings for present in (True, False)
    }
    n_wanted = len(slots) * per_class
    for index, image in stream:
        open_slots = [
            (len(slots[row.finding, row.present]), row.finding, row)
            for row in _positives(index, image, network, seed)
            if len(slots[row.finding, row.present]) < per_class
        ]
        if open_slots:
            row = min(open_slots, key=lambda slot: slot[:2])[2]
            slots[row.finding, row.present].append(row)
        n_found = sum(map(len, slots.values()))
        advance(n_found, n_wanted)
        if n_found == n_wanted:
            return [row for rows in slots.values() for row in rows]
    listed = ", ".join(
        f"{finding} {'true' if present else 'false'} positives {len(rows)}"
        for (finding, present), rows in slots.items()
        if len(rows) < per_class
    )
    raise StudyError(
        f"The films do not hold {per_class} cases of every kind ({listed}). "
        "Raise --films or lower --per-class."
    )


def practice_rows(
    stream: Iterator[Film], network: OurClassifier, seed: int, practice: Sequence[PracticeCase]
) -> list[Row]:
    """Return the rows of the practice films, in the order of the protocol, each film once.

    Raises
    ------
    StudyError
        If the stream ends too early.
    """
    found: dict[int, Row] = {}
    for index, image in stream:
        rows = _positives(index, image, network, seed)
        for place, wanted in enumerate(practice):
            fits = [
                row
                for row in rows
                if row.finding == wanted.finding
                and row.present == (wanted.subset == "true_positive")
                and (not row.present or row.severity >= CLEAR_SEVERITY)
            ]
            if fits and place not in found:
                found[place] = fits[0]
                break
        if len(found) == len(practice):
            return [found[place] for place in range(len(practice))]
    raise StudyError("The films do not hold the practice cases of the protocol; raise --films.")


def _positives(
    index: int, image: NDArray[np.float32], network: OurClassifier, seed: int
) -> list[Row]:
    """Return a row for every finding that the network claims, with a margin."""
    drawn = sample_parameters(seed, index)
    return [
        Row(
            seed,
            index,
            finding,
            finding in drawn.findings_present,
            drawn.severity(finding),
            round(probability, 6),
        )
        for finding, (_, probability) in predict_image(image, network).items()
        if probability >= 0.5 + MINIMUM_MARGIN
    ]


def _rendered(seed: int, n_films: int, processes: int) -> Iterator[Film]:
    """Yield (index, film of the demo's size) in order, rendering ahead in other processes."""
    draw = partial(_film, seed)
    with ProcessPoolExecutor(processes) as pool:
        for start in range(0, n_films, 64):
            part = range(start, min(n_films, start + 64))
            yield from zip(part, pool.map(draw, part, chunksize=4), strict=True)


def _film(seed: int, index: int) -> NDArray[np.float32]:
    """Return one film as the demo's readers get it: 8 bit."""
    film = render(sample_parameters(seed, index), FILM_SIZE_PX, counterfactuals=False)
    return (np.round(film.image * 255) / 255).astype(np.float32)
