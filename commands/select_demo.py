"""``counterlight select-demo``: search the films of the demo for the shipped classifier."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commands.demo import CASE_LIST, FILM_SIZE_PX, MINIMUM_MARGIN
from commands.progress import progress_bar
from data.phantom.parameters import sample_parameters
from data.phantom.render import render
from explainers.classifiers.ours import load_classifier
from explainers.run import predict_image
from study.errors import StudyError

COLUMNS = ("seed", "index", "finding", "present", "severity", "probability")


@click.command("select-demo")
@click.option("--out", type=click.Path(path_type=Path), default=CASE_LIST, show_default="shipped")
@click.option("--classifier", default="phantom-classifier", show_default=True)
@click.option("--seed", default=2, show_default=True, help="Not the seed of the training films.")
@click.option("--per-class", default=20, show_default=True, help="True and false positives each.")
@click.option("--films", default=3000, show_default=True, help="Give up after so many films.")
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1))
def command(
    out: Path, classifier: str, seed: int, per_class: int, films: int, processes: int
) -> None:
    """Find true and false positives of every finding among new simulated films.

    Takes films in the order of their index; each serves one finding, the one that is scarcest
    so far. Writes seeds, severities and probabilities, from which the demo renders its films.
    """
    network = load_classifier(classifier)
    slots: dict[tuple[str, bool], list[dict[str, object]]] = {
        (finding, present): [] for finding in network.findings for present in (True, False)
    }
    n_wanted = len(slots) * per_class
    with progress_bar("cases", n_wanted) as advance:
        for index, image in _rendered(seed, films, processes):
            drawn = sample_parameters(seed, index)
            open_slots = []
            for finding, (_, probability) in predict_image(image, network).items():
                slot = (finding, finding in drawn.findings_present)
                if probability >= 0.5 + MINIMUM_MARGIN and len(slots[slot]) < per_class:
                    open_slots.append((len(slots[slot]), finding, slot[1], probability))
            if open_slots:
                _, finding, present, probability = min(open_slots)
                severity = drawn.severity(finding)
                row = (seed, index, finding, int(present), severity, round(probability, 6))
                slots[finding, present].append(dict(zip(COLUMNS, row, strict=True)))
            n_found = sum(map(len, slots.values()))
            advance(n_found, n_wanted)
            if n_found == n_wanted:
                break
    short = {key: len(rows) for key, rows in slots.items() if len(rows) < per_class}
    if short:
        listed = ", ".join(
            f"{finding} {'true' if present else 'false'} positives {n}"
            for (finding, present), n in short.items()
        )
        raise StudyError(
            f"{films} films do not hold {per_class} cases of every kind ({listed}). "
            "Raise --films or lower --per-class."
        )
    table = pd.DataFrame([row for rows in slots.values() for row in rows], columns=list(COLUMNS))
    table.to_csv(out, index=False)
    click.echo(f"{len(table)} cases in {out}")


def _rendered(seed: int, n_films: int, processes: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
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
