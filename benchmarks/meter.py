"""Does the meter move what was moved? One parameter changed in the simulator, all else the same.

``python -m benchmarks.meter --meter phantom-meter --films 12``

Every film is rendered twice by the simulator, with one parameter at two values. Prints, per
parameter that the meter can read, the change of its own reading, in sd of the meter's readings over
held-out films, and on which share of the films that reading (or another of the same finding) moved
more than every other; markdown.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from data.phantom.parameters import FilmParameters, sample_parameters
from data.phantom.render import render
from explainers.stylespace.meter import Meter, load_meter
from explainers.stylespace.readings import Reading

_ALIKE = {"heart_ratio": "heart_ratio_healthy"}
"""Readings that are no field of their own: the field that changes them."""


def changed_pair(
    film: FilmParameters, reading: Reading, low: float, high: float
) -> tuple[FilmParameters, FilmParameters]:
    """Return a film with a parameter at two values."""
    column = _ALIKE.get(reading.column, reading.column)
    values: tuple[Any, Any] = low, high
    if reading.group == "finding":
        values = 0.0, 0.8
    elif reading.kind == "binary":
        named: dict[str, tuple[Any, Any]] = {
            "sex": ("F", "M"),
            "view": ("PA", "AP"),
            "ecg_leads": (0, 4),
        }
        values = named.get(column, (False, True))
    changes: list[dict[str, Any]] = [{column: value} for value in values]
    return replace(film, **changes[0]), replace(film, **changes[1])


def moved(meter: Meter, pairs: list[tuple[FilmParameters, FilmParameters]]) -> NDArray[np.float32]:
    """Return the change of every reading (N, R) in sd of the meter's readings."""
    ends = []
    for side in (0, 1):
        images = [render(pair[side], 128, counterfactuals=False).image for pair in pairs]
        ends.append(meter.read(torch.from_numpy(np.stack(images))[:, None]))
    spread = np.array([max(quality.spread, 1e-6) for quality in meter.quality])
    return np.asarray((ends[1] - ends[0]) / spread, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meter", default="phantom-meter")
    parser.add_argument("--films", type=int, default=12)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    meter = load_meter(given.meter)
    films = [sample_parameters(given.seed, index, findings=()) for index in range(given.films)]
    lines = ["| Parameter | Own reading (sd) | Moves most on | Otherwise |", "| --- " * 4 + "|"]
    readable = list(meter.readable)
    for place in tqdm(readable):
        reading = meter.readings[place]
        mean, sd = meter.parameter_mean[place], meter.parameter_spread[place]
        ends = float(mean - 1.5 * sd), float(mean + 1.5 * sd)
        change = moved(meter, [changed_pair(film, reading, *ends) for film in films])
        kin = [
            other
            for other in readable
            if other == place or (reading.about and meter.readings[other].about == reading.about)
        ]
        size = np.abs(change)
        others = [other for other in readable if other not in kin]
        won = size[:, kin].max(axis=1) > size[:, others].max(axis=1)
        rival = meter.readings[others[int(size[:, others].mean(axis=0).argmax())]].label
        lines.append(
            f"| {reading.label} | {change[:, place].mean():+.2f} | {int(won.sum())} of {len(won)} "
            f"| {rival} {size[:, others].mean(axis=0).max():.2f} |"
        )
    print("\n".join(lines))
    if given.out is not None:
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
