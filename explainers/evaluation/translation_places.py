"""Where translations change an image: how much the place varies, and how large annotations are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from explainers.evaluation.summary import POOLED
from explainers.evaluation.translation import Parts, Subject, direction_of
from explainers.evaluation.translation_parts import place_of
from explainers.evaluation.translators import Method

_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


def place_table(subject: Subject, methods: Sequence[Method], parts: Parts) -> pd.DataFrame:
    """How much the perturbed place varies from image to image, in each direction.

    ``sd_row`` and ``sd_column`` are standard deviations of the map's centre of gravity, in percent
    of the side; ``overlap`` is the mean share that two maps of different images have in common (on
    16 × 16 cells; 1: always the same place). "Masks" has them of the reference standard: a
    generator that puts every finding in one place has less variation than those.
    """
    lines = []
    for number, contrast in enumerate(subject.contrasts):
        masks = _mask_places(subject, number)
        if masks is not None:
            lines.append(_varies(contrast.name, "reference", "Masks", *masks))
        for method in methods:
            for side in (0, 1):
                part = parts.get((method.label, number, side))
                if part is None:
                    continue
                known = ~np.isnan(part.centroids[:, 0])
                if known.sum() > 1:
                    direction = direction_of(subject, number, side)
                    places = part.centroids[known], part.coarse[known]
                    lines.append(_varies(contrast.name, direction, method.label, *places))
    return pd.DataFrame(lines)


def _mask_places(
    subject: Subject, number: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    masks = subject.masks(number, subject.sides[number][1])
    if masks is None:
        return None
    places = [place_of(each) for each in masks if each.any()]
    if len(places) < 2:
        return None
    return np.stack([each[0] for each in places]), np.stack([each[1] for each in places])


def _varies(
    contrast: str,
    direction: str,
    label: str,
    centres: NDArray[np.float64],
    coarse: NDArray[np.float64],
) -> dict[str, object]:
    spread = 100 * centres.std(axis=0, ddof=1)
    return {
        "method": label,
        "contrast": contrast,
        "direction": direction,
        "n_images": len(centres),
        "sd_row_percent": float(spread[0]),
        "sd_column_percent": float(spread[1]),
        "overlap": mean_overlap(coarse),
    }


def mean_overlap(coarse: NDArray[np.floating], *, most: int = 100) -> float:
    """Mean over pairs of the first ``most`` maps (N, K) of Σ min(p, q); in [0, 1]."""
    chosen = np.asarray(coarse, float)[:most]
    shared = [np.minimum(chosen[n], chosen[n + 1 :]).sum(axis=1) for n in range(len(chosen) - 1)]
    return float(np.concatenate(shared).mean())


def area_table(subject: Subject) -> pd.DataFrame:
    """Quantiles of the annotated area, and the percentile of a map that leaves as much.

    The paper chooses its percentiles by such a table: a map thresholded at 100 · (1 − area) marks
    as large an area as the mask. The last line, of all masks, sets the task's own percentiles.
    """
    lines = []
    named = [
        (each.name, found) for each, found in zip(subject.contrasts, subject.areas, strict=True)
    ]
    named.append((POOLED, np.concatenate(subject.areas)))
    for name, areas in named[-1:] if len(named) == 2 else named:
        if not len(areas):
            continue
        found = np.quantile(areas, _QUANTILES)
        line: dict[str, object] = {"contrast": name, "n_masks": len(areas)}
        for quantile, area in zip(_QUANTILES, found, strict=True):
            line[f"area_q{100 * quantile:g}_percent"] = 100 * float(area)
        for quantile, area in zip(_QUANTILES[1:4], found[1:4], strict=True):
            line[f"percentile_of_q{100 * quantile:g}"] = 100 * (1 - float(area))
        line["percentiles_used"] = " / ".join(f"{each:g}" for each in subject.percentiles)
        lines.append(line)
    return pd.DataFrame(lines)
