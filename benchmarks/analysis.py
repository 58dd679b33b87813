"""How long a whole analysis takes, and how it grows with the number of ratings.

    python -m benchmarks.analysis [--models/--no-models]

The bars: 2 readers × 240 cases × 2 conditions in at most 5 s without the mixed models and 15 s with
them; 100,000 ratings without quadratic growth. CPU time is what one process used; wall time says
more about what else the machine was doing.
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass

import click
import numpy as np
import pandas as pd

from study.analysis.report.analysis import analyse
from study.analysis.report.assemble import assemble
from study.analysis.report.material import Material

FINDINGS = ("Atelectasis", "Cardiomegaly", "Effusion", "Lung Opacity", "Mass", "Pneumothorax")
SIZES = ((2, 240), (10, 625), (20, 625), (25, 1000))
"""Readers and cases; with two conditions and two items the last has 100,000 ratings."""


@dataclass(frozen=True)
class Timing:
    """What one size took.

    Parameters
    ----------
    n_ratings
        Ratings.
    wall_s, cpu_s
        Seconds.
    slowest
        Section that took the longest, and its seconds of CPU.
    """

    n_ratings: int
    wall_s: float
    cpu_s: float
    slowest: tuple[str, float]


def simulated(n_readers: int, n_cases: int, seed: int = 0) -> pd.DataFrame:
    """Return ratings with crossed variation of readers and cases and a small effect of B."""
    rng = np.random.default_rng(seed)
    shape = (n_readers, n_cases, 2, 2)  # reader, case, condition, item
    index = np.indices(shape).reshape(4, -1)
    reader, case, condition, item = index
    latent = (
        rng.normal(0, 0.5, n_readers)[reader]
        + rng.normal(0, 0.8, n_cases)[case]
        + rng.normal(0.2, 0.2, n_readers)[reader] * condition
        + 0.3 * (case % 2)
        + rng.normal(0, 0.8, reader.size)
    )
    session = (condition + (case // 2) % 2) % 2
    iou = np.where(case % 2 == 1, rng.uniform(0, 0.6, n_cases)[case], np.nan)
    return pd.DataFrame(
        {
            "reader": np.char.add("R", (reader + 1).astype(str)),
            "case_id": np.char.add("c", case.astype(str)),
            "finding": np.array(FINDINGS)[(case // 2) % len(FINDINGS)],
            "condition": np.array(["A", "B"])[condition],
            "item": np.array(["confidence", "correct_feature"])[item],
            "value": np.clip(np.rint(3 + latent), 1, 5).astype(int),
            "correctness": np.where(case % 2 == 1, "true_positive", "false_positive"),
            "probability": rng.uniform(0.5, 1, n_cases)[case],
            "session": (session + 1).astype(str),
            "position": case + 1,
            "reading_time_s": rng.lognormal(3, 0.5, n_readers * n_cases * 2)[
                (reader * n_cases + case) * 2 + condition
            ],
            "iou_map": iou,
        }
    )


def measure(n_readers: int, n_cases: int, *, models: bool) -> Timing:
    """Analyse one simulated study and return how long it took."""
    table = simulated(n_readers, n_cases)
    marks = [("reading and pairing", time.process_time())]
    wall, cpu = time.perf_counter(), time.process_time()
    analysis = analyse(table, primary="confidence", subset="true_positive")
    assemble(
        Material(analysis),
        models=models,
        on_step=lambda what, done, total: marks.append((what, time.process_time())),
    )
    spent = [(name, after - before) for (name, before), (_, after) in itertools.pairwise(marks)]
    return Timing(
        len(table),
        time.perf_counter() - wall,
        time.process_time() - cpu,
        max(spent, key=lambda pair: pair[1]),
    )


@click.command()
@click.option("--models/--no-models", default=True, show_default=True, help="Of the first size.")
def main(models: bool) -> None:
    """Print the time of a whole analysis for several sizes."""
    measure(2, 24, models=False)  # imports and first calls are nobody's fault
    timings = []
    for n_readers, n_cases in SIZES:
        timing = measure(n_readers, n_cases, models=False)
        timings.append(timing)
        _print(f"{n_readers} readers × {n_cases} cases, no models", timing)
    if models:
        _print("2 readers × 240 cases, with models", measure(2, 240, models=True))
    first, last = timings[1], timings[-1]
    growth = math.log(last.cpu_s / first.cpu_s) / math.log(last.n_ratings / first.n_ratings)
    click.echo(f"growth from {first.n_ratings} to {last.n_ratings}: n^{growth:.2f}")


def _print(what: str, timing: Timing) -> None:
    name, seconds = timing.slowest
    click.echo(
        f"{what}: {timing.n_ratings} ratings, {timing.cpu_s:.1f} s CPU, {timing.wall_s:.1f} s "
        f"wall; slowest: {name} {seconds:.1f} s"
    )


if __name__ == "__main__":
    main()
