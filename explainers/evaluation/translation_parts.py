"""Pieces of a translation run on disk: one method, one contrast, one direction."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from data.scratch import replacing
from explainers.base import ExplainerError
from explainers.evaluation.localisation import overlap
from explainers.evaluation.localisation_measures import MAX_MASK_SHARE, chosen_at, ncc

SHOWN: Final = 6
"""Images of a part that are kept to be looked at: the first ones, not chosen."""

_COARSE = 16  # cells per side of the map whose place is compared

Numbers: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Part:
    """One method, contrast and direction: a number per image, NaN where there is none.

    Parameters
    ----------
    rows
        (N,) of the images.
    stays, stable_stays
        Whether the classifier leaves the adversarial and the stable image on the image's side.
    seen
        Whether the independent classifier puts the image where the classifier does.
    oracle_stays, oracle_stable_stays
        Whether it leaves the adversarial and the stable image there.
    stable_error, change
        Mean |s − x| and |s − a|, in [0, 1].
    embeddings, stable_embeddings
        (N, D) of adversarial and stable images; of real ones the images themselves.
    centroids
        (N, 2): row and column of the map's centre of gravity, as shares of the side.
    coarse
        (N, 256): the map on 16 × 16 cells, adding up to 1.
    overlaps
        (N, Q): :attr:`.translation.Subject.localisation` against the mask.
    pictures
        (K, 3, S, S), of the first K ≤ :data:`SHOWN` images: stable and adversarial image and map;
        of real ones the image twice, and the mask.
    seconds
        (1,): of the whole part.
    """

    rows: NDArray[np.int64]
    stays: Numbers
    stable_stays: Numbers
    seen: Numbers
    oracle_stays: Numbers
    oracle_stable_stays: Numbers
    stable_error: Numbers
    change: Numbers
    embeddings: Numbers
    stable_embeddings: Numbers
    centroids: Numbers
    coarse: Numbers
    overlaps: Numbers
    pictures: NDArray[np.float16]
    seconds: Numbers


def localisation(percentiles: Sequence[float]) -> tuple[str, ...]:
    """Names of what maps are compared with masks by."""
    return ("iou", *(f"iou_p{each:g}" for each in percentiles), "ncc")


def placed(
    maps: NDArray[np.float32] | None,
    masks: NDArray[np.bool_] | None,
    n_images: int,
    percentiles: Sequence[float],
) -> dict[str, Numbers]:
    """Say where maps are, and how they agree with masks.

    Parameters
    ----------
    maps, masks
        (N, S, S), or ``None`` for none.
    n_images, percentiles
        N, and those of the maps.
    """
    found = {
        "centroids": np.full((n_images, 2), np.nan),
        "coarse": np.full((n_images, _COARSE**2), np.nan),
        "overlaps": np.full((n_images, len(localisation(percentiles))), np.nan),
    }
    if maps is None:
        return found
    strength = np.abs(maps).astype(np.float64)
    for number, each in enumerate(strength):
        found["centroids"][number], found["coarse"][number] = place_of(each)
        if masks is not None and 0 < masks[number].mean() <= MAX_MASK_SHARE:
            found["overlaps"][number] = _overlaps(each, masks[number], percentiles)
    return found


def place_of(strength: NDArray[np.floating]) -> tuple[Numbers, Numbers]:
    """Centre of gravity (2,) as shares of the side, and the map on 16 × 16 cells (256,).

    Both are NaN for a map that is zero everywhere.
    """
    total = float(strength.sum())
    if total <= 0:
        return np.full(2, np.nan), np.full(_COARSE**2, np.nan)
    shares = np.asarray(strength, float) / total
    middles = [(np.arange(length) + 0.5) / length for length in shares.shape]
    centre = np.array([shares.sum(axis=1) @ middles[0], shares.sum(axis=0) @ middles[1]])
    cells = functional.adaptive_avg_pool2d(torch.from_numpy(shares)[None, None], _COARSE)
    coarse = cells.numpy().ravel()
    return centre, coarse / coarse.sum()


def _overlaps(
    strength: Numbers, mask: NDArray[np.bool_], percentiles: Sequence[float]
) -> list[float]:
    matched = overlap(strength, mask, int(mask.sum())).iou
    at = [overlap(strength, mask, chosen_at(each, mask.size)).iou for each in percentiles]
    return [matched, *at, ncc(strength, mask)]


def read_part(path: Path) -> Part | None:
    """Read a part; ``None`` if it is not there or damaged, so that it is measured anew."""
    try:
        with np.load(io.BytesIO(path.read_bytes())) as content:
            return Part(**{each.name: content[each.name] for each in fields(Part)})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def write_part(path: Path, part: Part) -> None:
    """Write a part, whole or not at all.

    Raises
    ------
    ExplainerError
        If the disk refuses.
    """
    content = io.BytesIO()
    np.savez(content, **{each.name: getattr(part, each.name) for each in fields(Part)})
    try:
        with replacing(path) as fresh:
            fresh.write_bytes(content.getvalue())
    except OSError as error:
        raise ExplainerError(
            f"{path} could not be written ({error.strerror or error}); choose another --out."
        ) from error
