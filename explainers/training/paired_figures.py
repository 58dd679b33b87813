"""What finished generators make of held-out images, as two classifiers see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.generators.paired import PairedGenerators
from explainers.training.contrasts import Judge, check_oracle, logits_of, on_side
from explainers.training.films import Split
from explainers.training.images import ImageSource
from explainers.training.loop import batches

_BATCH = 32
_NOTHING = float("nan")


@dataclass(frozen=True)
class SideFigures:
    """One contrast, from one side to the other, on held-out images.

    Parameters
    ----------
    contrast
        Its name.
    side
        Where the classifier puts the images: 0 (absent) or 1 (present).
    n_images
        How many; every share below is NaN where there is none.
    adversarial, stable
        Share of adversarial and of stable images that the classifier leaves on the side of the
        image they were made of; 0 and 1 are wanted.
    oracle_turned
        Share of adversarial images that an independent classifier puts on the other side, of the
        ``n_oracle`` images whose side it shares with the classifier; NaN without one.
    n_oracle
        Images that both classifiers put on the same side.
    oracle_stable
        Share of stable images that it leaves on that side, of the same images.
    stable_error, change
        Mean absolute error of the stable image, and mean |stable − adversarial|; in [0, 1].
    """

    contrast: str
    side: int
    n_images: int
    adversarial: float
    stable: float
    oracle_turned: float
    n_oracle: int
    oracle_stable: float
    stable_error: float
    change: float


@dataclass(frozen=True)
class PairedFigures:
    """What is measured of finished generators; fields of :class:`SideFigures` per direction."""

    split: str
    sides: tuple[SideFigures, ...]
    classifier: str
    oracle: str

    def mean(self, name: str) -> float:
        """Mean of a field over contrasts and sides, those without images left out."""
        values = np.array([getattr(each, name) for each in self.sides], float)
        known = values[~np.isnan(values)]
        return float(known.mean()) if len(known) else _NOTHING

    def lines(self) -> list[str]:
        """Lines of Markdown for the card."""
        judge = f"; an independent classifier is {self.oracle[:16]}…" if self.oracle else ""
        lines = [
            f"Sides as the classifier {self.classifier[:16]}… sees them{judge}. Share of images "
            "that it leaves on their side (adversarial: 0 is wanted; stable: 1), share that the "
            "independent one sees turned of those it saw as the classifier did, mean absolute "
            "error of the stable image and mean change, in 1/255.",
            "",
            "| Contrast | Images | Adversarial | Stable | Independent: turned | Independent: "
            "stable | Error | Change |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        for each in self.sides:
            lines.append(
                f"| {side_name(each.contrast, each.side)} | {each.n_images} | "
                + " | ".join(
                    _share(value)
                    for value in (
                        each.adversarial,
                        each.stable,
                        each.oracle_turned,
                        each.oracle_stable,
                    )
                )
                + f" | {_grey(each.stable_error)} | {_grey(each.change)} |"
            )
        means = (
            _share(self.mean(name))
            for name in ("adversarial", "stable", "oracle_turned", "oracle_stable")
        )
        n_images = sum(each.n_images for each in self.sides)
        lines.append(
            f"| mean | {n_images} | {' | '.join(means)} | {_grey(self.mean('stable_error'))} | "
            f"{_grey(self.mean('change'))} |"
        )
        return lines


def side_name(contrast: str, side: int) -> str:
    """Side of a contrast in words: "Mass, present" or "3 → 8, from 8"."""
    ends = contrast.split(" → ")
    if len(ends) == 2:
        return f"{contrast}, from {ends[side]}"
    return f"{contrast}, {'present' if side else 'absent'}"


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _grey(value: float) -> str:
    return "–" if np.isnan(value) else f"{255 * value:.2f}"


def evaluate_paired(
    pair: PairedGenerators,
    images: ImageSource,
    classifier: Classifier,
    *,
    oracle: Classifier | None = None,
    split: Split = "test",
    limit: int = 100,
) -> PairedFigures:
    """Let the classifier, and an independent one, look at held-out images and what became of them.

    Parameters
    ----------
    pair, images, classifier
        What is measured, on what, by whom.
    oracle
        An independent classifier of the same findings.
    split
        Which images.
    limit
        Images per contrast and side, the first ones.

    Raises
    ------
    ExplainerError
        If sizes differ, the split is empty, or the oracle lacks a finding of the pair.
    """
    rows = images.rows(split)
    if not len(rows):
        raise ExplainerError(
            f"There is no image in the {split} split to measure the generators on; give a case set "
            "with held-out patients."
        )
    judge = Judge(classifier, pair.contrasts)
    other = check_oracle(classifier, oracle, pair.contrasts)
    logits = logits_of(classifier, images, rows)
    found = []
    for number, contrast in enumerate(pair.contrasts):
        for side in (0, 1):
            chosen = rows[on_side(judge, logits, number, side)][:limit]
            found.append(_side_figures(pair, images, chosen, number, side, judge, other))
            assert found[-1].contrast == contrast.name
    return PairedFigures(
        split,
        tuple(found),
        classifier.weights_digest,
        "" if oracle is None else oracle.weights_digest,
    )


@torch.no_grad()
def _side_figures(
    pair: PairedGenerators,
    images: ImageSource,
    rows: NDArray[np.int64],
    number: int,
    side: int,
    judge: Judge,
    other: Judge | None,
) -> SideFigures:
    contrast = pair.contrasts[number].name
    if not len(rows):
        n = _NOTHING
        return SideFigures(contrast, side, 0, n, n, n, 0, n, n, n)
    kept: dict[str, list[Tensor]] = {name: [] for name in ("a", "s", "error", "change")}
    seen: list[Tensor] = []
    for part in batches(rows, _BATCH):
        x = images.image_batch(part)
        which = torch.full((len(x),), number)
        a = pair.adversarial(x, which, side).float()
        s = pair.stable(x, a, which, side).float()
        kept["a"].append((judge.margins(a, which) >= 0) == bool(side))
        kept["s"].append((judge.margins(s, which) >= 0) == bool(side))
        kept["error"].append((s - x).abs().mean(dim=(1, 2, 3)))
        kept["change"].append((s - a).abs().mean(dim=(1, 2, 3)))
        if other is not None:
            stands = [(other.margins(each, which) >= 0) == bool(side) for each in (x, a, s)]
            seen.append(torch.stack(stands, dim=1))
    means = {name: float(torch.cat(values).float().mean()) for name, values in kept.items()}
    turned, stable, n_oracle = _NOTHING, _NOTHING, 0
    if seen:
        stands_there = torch.cat(seen)
        shared = stands_there[stands_there[:, 0]]
        n_oracle = len(shared)
        if n_oracle:
            turned = float((~shared[:, 1]).float().mean())
            stable = float(shared[:, 2].float().mean())
    return SideFigures(
        contrast=contrast,
        side=side,
        n_images=len(rows),
        adversarial=means["a"],
        stable=means["s"],
        oracle_turned=turned,
        n_oracle=n_oracle,
        oracle_stable=stable,
        stable_error=means["error"],
        change=means["change"],
    )
