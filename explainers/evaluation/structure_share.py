"""How much of a map lies inside a structure of the body, such as the lungs.

Where a real finding has no outline, this still says something: a map of pneumonia whose weight lies
outside the lungs explains what is no pneumonia. It cannot say that the place in the lung is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.case import slug
from data.raster import read_mask, resize_mask
from data.reference import ReferenceSet
from data.scratch import write_together
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.differentiation import stop_if
from explainers.evaluation.summary import patient_interval
from explainers.evaluation.translation import LEAST, Subject, direction_of
from explainers.evaluation.translators import Method
from explainers.training.films import Films
from explainers.training.loop import batches

_BATCH = 16

Rows = NDArray[np.int64]


def structure_masks(cases: Path, images: Films, rows: Rows, structure: str) -> NDArray[np.bool_]:
    """Masks (N, S, S) of a structure; empty where a film has none.

    Parameters
    ----------
    cases
        The case set that the films are of.
    images, rows
        Which films, and at which size.
    structure
        As ``mask:<structure>`` in ``reference.csv``.

    Raises
    ------
    DataError
        If a table or mask cannot be read.
    """
    references = ReferenceSet.open(cases)
    found = np.zeros((len(rows), images.size, images.size), bool)
    for place, case_id in enumerate(images.case_ids[rows]):
        path = references.get(str(case_id)).masks.get(structure)
        if path is not None:
            found[place] = resize_mask(read_mask(path), (images.size, images.size))
    return found


def share_inside(strength: NDArray[np.floating], mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of a map's absolute sum inside a mask, and whether its peak is there (0 or 1).

    Of several peaks of one height the share inside counts; both are NaN for a map that is zero.
    """
    absolute = np.abs(np.asarray(strength, float))
    total = float(absolute.sum())
    if total <= 0:
        return float("nan"), float("nan")
    peaks = absolute == absolute.max()
    return float(absolute[mask].sum()) / total, float(mask[peaks].mean())


def structure_table(
    subject: Subject,
    methods: Sequence[Method],
    cases: Path,
    structure: str = "lungs",
    *,
    on_progress: OnProgress | None = None,
    cancelled: Cancelled | None = None,
) -> pd.DataFrame:
    """Share of every method's maps inside a structure, per contrast and direction.

    Parameters
    ----------
    subject, methods
        As for :func:`explainers.evaluation.translation.measure_translation`.
    cases, structure
        Where the structure's masks are.
    on_progress, cancelled
        Called with images done and images; asked between batches.

    Returns
    -------
    DataFrame
        ``method, contrast, direction, n_images, area`` (share of the image that the structure
        covers: what a map spread evenly has), ``share`` with its 95 % interval over patients
        (``share_low, share_high``), and ``peak``, how often the map's peak lies inside. Methods
        that draw no map, or one of zeros, have no line.

    Raises
    ------
    ExplainerError
        If the images are no case set or the structure has masks on too few of them.
    """
    if not isinstance(subject.images, Films):
        raise ExplainerError(
            f"An array of images has no masks of {structure!r}; give a case set with --cases."
        )
    jobs = [
        (method, number, side)
        for method in methods
        for number in range(len(subject.contrasts))
        for side in (0, 1)
    ]
    total = sum(len(subject.rows_of(*job)) for job in jobs)
    lines, done = [], 0
    read: dict[bytes, NDArray[np.bool_]] = {}  # masks by rows: most methods have the same ones
    for method, number, side in jobs:
        rows = subject.rows_of(method, number, side)
        if rows.tobytes() not in read:
            masks = structure_masks(cases, subject.images, rows, structure)
            read[rows.tobytes()] = masks
        masks = read[rows.tobytes()]
        has_mask = masks.any(axis=(1, 2))
        known, inside = rows[has_mask], masks[has_mask]
        if len(known) < LEAST:
            raise ExplainerError(
                f"{cases} has masks of {structure!r} (mask:{structure} in reference.csv) on "
                f"{len(known)} of {len(rows)} images; the table needs {LEAST} each way."
            )
        measured = _measured(subject, method, number, side, known, inside, cancelled)
        if measured is not None and not np.isnan(measured[:, 0]).all():
            lines.append(_line(subject, method, number, side, known, inside, measured))
        done += len(rows)
        if on_progress is not None:
            on_progress(done, total)
    return pd.DataFrame(lines)


def write_structure(table: pd.DataFrame, structure: str, out: Path) -> Path:
    """Write ``translation.<structure>.csv`` into a folder of translation tables.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    text = table.to_csv(index=False, lineterminator="\n")
    (path,) = write_together(out, {f"translation.{slug(structure)}.csv": text})
    return path


def _measured(
    subject: Subject,
    method: Method,
    number: int,
    side: int,
    rows: Rows,
    masks: NDArray[np.bool_],
    cancelled: Cancelled | None,
) -> NDArray[np.float64] | None:
    """Share and peak (N, 2); ``None`` where the method draws no map of that side."""
    found: list[tuple[float, float]] = []
    for chosen in batches(rows, _BATCH):
        stop_if(cancelled)
        images = subject.images.image_batch(chosen)
        made = method.translate(images, subject.contrasts[number], side)
        if made is None or made.maps is None:
            return None
        here = masks[len(found) : len(found) + len(chosen)]
        found += [share_inside(*pair) for pair in zip(made.maps, here, strict=True)]
    return np.array(found)


def _line(
    subject: Subject,
    method: Method,
    number: int,
    side: int,
    rows: Rows,
    masks: NDArray[np.bool_],
    measured: NDArray[np.float64],
) -> dict[str, object]:
    known = ~np.isnan(measured[:, 0])
    shares, peaks = measured[known].T
    patients = pd.factorize(pd.Series(subject.patients(rows[known])))[0]
    low, high = patient_interval(shares, patients)
    return {
        "method": method.label,
        "contrast": subject.contrasts[number].name,
        "direction": direction_of(subject, number, side),
        "n_images": int(known.sum()),
        "area": float(masks[known].mean()),
        "share": float(shares.mean()),
        "share_low": low,
        "share_high": high,
        "peak": float(peaks.mean()),
    }
