"""Times the three ways of sweeping S side by side, and what the screening loses.

``python -m benchmarks.sweep --generator phantom-stylegan2 --classifier phantom-classifier``

Films are samples of the generator that the classifier calls positive or negative with a probability
of at least 0.9, as many per finding as asked for. Prints seconds per film of each way, ratios, the
agreement of the numbers, and the recall of the screening among the dimensions that the exhaustive
sweep selects, per aggregation.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from explainers.classifiers.ours import load_classifier
from explainers.generators.stylegan2 import Generator, to_brightness
from explainers.stylespace.ranges import style_ranges
from explainers.stylespace.screening import screened_ends
from explainers.stylespace.selection import Aggregation, selected
from explainers.stylespace.sweep import Mode, Sweep, sweep
from explainers.training.stylegan2 import load_generator

MODES: tuple[Mode, ...] = ("screened", "exhaustive", "naive")
Made = TypeVar("Made")
AGGREGATIONS: tuple[Aggregation, ...] = ("mean", "share", "max")


def sure_films(generator: Generator, classifier: object, n: int, seed: int) -> Tensor:
    """Return styles (n, D) of samples on which some prediction is sure, over all findings."""
    dice = torch.Generator().manual_seed(seed)
    found: list[Tensor] = []
    with torch.no_grad():
        while len(found) < n:
            styles = generator.styles(
                generator.latents(torch.randn(32, generator.shape.latent, generator=dice))
            )
            images = to_brightness(generator.synthesise(styles))
            p = classifier.probabilities(classifier.logits(images))  # type: ignore[attr-defined]
            sure = (p >= 0.9).any(dim=1)
            found += list(styles[sure])
    return torch.stack(found[:n])


def timed(work: Callable[[], Made]) -> tuple[Made, float]:
    """Return a result and the seconds it took."""
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


def joined(sweeps: list[Sweep]) -> Sweep:
    """Put sweeps of single films together."""
    first = sweeps[0]
    return Sweep(
        np.concatenate([each.changes for each in sweeps]),
        np.concatenate([each.probabilities for each in sweeps]),
        first.findings,
        first.mode,
    )


def recall(
    whole: Sweep, part: Sweep, aggregation: Aggregation, threshold: float
) -> tuple[int, int]:
    """Return how many selected (finding, dimension) pairs there are, and how many part has too."""
    n = kept = 0
    for finding in whole.findings:
        wanted = {
            f.dimension
            for f in selected(whole, finding, threshold=threshold, aggregation=aggregation)
        }
        found = {
            f.dimension
            for f in selected(part, finding, threshold=threshold, aggregation=aggregation)
        }
        n, kept = n + len(wanted), kept + len(wanted & found)
    return n, kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", default="phantom-stylegan2")
    parser.add_argument("--classifier", default="phantom-classifier")
    parser.add_argument("--films", type=int, default=12)
    parser.add_argument("--naive-films", type=int, default=2)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--threshold", type=float, default=0.3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    generator, classifier = load_generator(given.generator), load_classifier(given.classifier)
    ranges = style_ranges(generator, n_samples=given.samples)
    films = sure_films(generator, classifier, given.films, given.seed)
    parts: dict[str, list[Sweep]] = {mode: [] for mode in MODES}
    spent = dict.fromkeys(MODES, 0.0)
    ends, screening = timed(
        lambda: screened_ends(generator, classifier, films, ranges, given.threshold)
    )
    spent["screened"] += screening * given.naive_films / given.films
    with tqdm(total=given.films * 2 + given.naive_films, unit="sweeps") as bar:
        for number in range(given.films):  # in turn, so that a busy machine is busy for all
            for mode in MODES:
                if mode == "naive" and number >= given.naive_films:
                    continue
                one, took = timed(
                    lambda mode=mode, number=number: sweep(  # type: ignore[misc]
                        generator,
                        classifier,
                        films[number : number + 1],
                        ranges,
                        mode=mode,
                        ends=ends[number : number + 1] if mode == "screened" else None,
                    )
                )
                parts[mode].append(one)
                if number < given.naive_films:  # ratios are of the films that all ways swept
                    spent[mode] += took
                bar.update()
    seconds = {mode: spent[mode] / given.naive_films for mode in MODES}
    made = {mode: joined(of) for mode, of in parts.items()}
    whole, naive, part = made["exhaustive"], made["naive"], made["screened"]
    error = float(np.abs(whole.changes[: given.naive_films] - naive.changes).max())
    print(f"{generator.n_styles} dimensions, {given.films} films, {given.samples} samples")
    for mode in ("naive", "exhaustive", "screened"):
        print(
            f"{mode:<11} {seconds[mode]:8.2f} s a film   {seconds['naive'] / seconds[mode]:6.2f} x"
        )
    print(f"largest difference of exhaustive and naive {error:.1e}")
    print(f"share measured by the screening {part.measured.mean():.3f}")
    recalls = {}
    for aggregation in AGGREGATIONS:
        n, kept = recall(whole, part, aggregation, given.threshold)
        recalls[aggregation] = (n, kept)
        share = kept / n if n else float("nan")
        print(f"recall among those selected by {aggregation:<6} {kept} of {n} ({share:.3f})")
    if given.out is not None:
        text = json.dumps({"seconds": seconds, "error": error, "recall": recalls}, indent=1)
        given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
