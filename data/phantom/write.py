"""Simulated radiographs on disk, as a case set like any other."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data.case import DataError, slug
from data.csvfile import write_sheet
from data.phantom.parameters import (
    FIELD_MM,
    FINDINGS,
    SIMULATOR,
    FilmParameters,
    InvalidParameters,
    sample_parameters,
)
from data.phantom.render import SIZES, render

CASE_COLUMNS = (
    "case_id",
    "image",
    "modality",
    "pixel_spacing_row_mm",
    "pixel_spacing_col_mm",
    "rows",
    "columns",
    "sha256",
)
"""Columns of ``cases.csv``: what a reader may see."""

RECEIPTS = ".receipts"
"""Folder of one small file per complete film, which makes an interrupted run resumable."""

Progress = Callable[[int, int], None]
Task = tuple[str, str, FilmParameters, int, bool]


class PhantomWriteError(DataError):
    """The case set cannot be written where it was asked for."""


def write_phantoms(
    out: Path,
    *,
    n: int,
    size: int,
    seed: int,
    processes: int = 1,
    on_progress: Progress | None = None,
    parameters: Sequence[FilmParameters] | None = None,
    counterfactuals: bool = True,
) -> None:
    """Write a case set of simulated films; films already complete are kept.

    Parameters
    ----------
    out
        Directory of the case set; created if missing. It receives ``cases.csv`` (what a reader may
        see), ``reference.csv``, ``parameters.csv`` and the folders ``images``, ``masks`` and
        ``counterfactuals``. The tables are written last, each in one step.
    n, seed
        Number of films, drawn with :func:`~data.phantom.parameters.sample_parameters`.
    size
        Side of the films in pixels, one of :data:`~data.phantom.render.SIZES`.
    processes
        Worker processes; the result does not depend on it.
    on_progress
        Called with (films done, films in all).
    parameters
        Films to write instead of ``n`` sampled ones; ``n`` must equal their number.
    counterfactuals
        Whether to write the film without each finding present.

    Raises
    ------
    InvalidParameters
        If a number is out of range.
    PhantomWriteError
        If ``out`` is a file or the disk refuses.
    """
    if size not in SIZES:
        raise InvalidParameters(f"film size is {size}; expected one of {SIZES}")
    if parameters is not None and len(parameters) != n:
        raise InvalidParameters(f"n is {n} but {len(parameters)} parameter sets were given")
    if n < 1 or processes < 1:
        raise InvalidParameters(f"n {n}, processes {processes}: expected at least 1 of each")
    out = Path(out)
    films = parameters if parameters is not None else [sample_parameters(seed, i) for i in range(n)]
    tasks = [(str(out), f"ph-{i:06d}", film, size, counterfactuals) for i, film in enumerate(films)]
    receipts: dict[str, dict[str, str]] = {}
    try:
        for folder in ("images", "masks", "counterfactuals", RECEIPTS):
            (out / folder).mkdir(parents=True, exist_ok=True)
        for case_id, receipt in _written(tasks, processes):
            receipts[case_id] = receipt
            if on_progress is not None:
                on_progress(len(receipts), n)
        _write_tables(out, tasks, receipts)
    except OSError as error:
        raise PhantomWriteError(
            f"cannot write simulated films to {out}: {error.strerror or error}; "
            "choose a directory that can be written to"
        ) from error


def _written(tasks: Sequence[Task], processes: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (case_id, receipt) of every film, rendering those that are not complete yet."""
    open_tasks = []
    for task in tasks:
        receipt = _complete(task)
        if receipt is None:
            open_tasks.append(task)
        else:
            yield task[1], receipt
    if processes == 1 or len(open_tasks) < 2:
        yield from map(_write_film, open_tasks)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(processes, len(open_tasks))) as pool:
        yield from pool.imap_unordered(_write_film, open_tasks, chunksize=4)


def _digest(task: Task) -> str:
    """Digest of everything that determines the files of a film."""
    _, _, film, size, counterfactuals = task
    text = json.dumps([SIMULATOR, size, counterfactuals, dataclasses.asdict(film)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _complete(task: Task) -> dict[str, str] | None:
    """Receipt of a film whose files are all there and were made from the same parameters."""
    out = Path(task[0])
    try:
        receipt = json.loads((out / RECEIPTS / f"{task[1]}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(receipt, dict) or receipt.get("digest") != _digest(task):
        return None
    files = [value for key, value in receipt.items() if key not in ("digest", "sha256")]
    return receipt if all((out / name).is_file() for name in files) else None


def _write_film(task: Task) -> tuple[str, dict[str, str]]:
    """Render one film and write its files; the receipt comes last."""
    root, case_id, parameters, size, counterfactuals = task
    out = Path(root)
    film = render(parameters, size, counterfactuals=counterfactuals)
    receipt = {"digest": _digest(task), "image": f"images/{case_id}.png"}
    receipt["sha256"] = _write_png(out / receipt["image"], film.image)
    receipt["mask:lungs"] = f"masks/{case_id}__lungs.png"
    _write_png(out / receipt["mask:lungs"], film.lungs.astype(np.float32))
    for name, mask in film.masks.items():
        receipt[f"mask:{name}"] = f"masks/{case_id}__{slug(name)}.png"
        _write_png(out / receipt[f"mask:{name}"], mask.astype(np.float32))
    for name, image in film.counterfactuals.items():
        receipt[f"counterfactual:{name}"] = f"counterfactuals/{case_id}__{slug(name)}.png"
        _write_png(out / receipt[f"counterfactual:{name}"], image)
    with _replacing(out / RECEIPTS / f"{case_id}.json") as path:
        path.write_text(json.dumps(receipt), encoding="utf-8")
    return case_id, receipt


def _write_png(path: Path, image: np.ndarray) -> str:
    """Write (H, W) values in [0, 1] as 8-bit grey PNG; return the file's SHA-256."""
    grey = Image.fromarray(np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8))
    with _replacing(path) as temporary:
        grey.save(temporary, format="PNG", compress_level=4)
        return hashlib.sha256(temporary.read_bytes()).hexdigest()


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place when the block succeeds."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_tables(
    out: Path, tasks: Sequence[Task], receipts: Mapping[str, Mapping[str, str]]
) -> None:
    """Write the three tables from the receipts, in the order of the tasks."""
    cases: list[dict[str, Any]] = []
    references: list[dict[str, Any]] = []
    parameters: list[dict[str, Any]] = []
    for _, case_id, film, size, _ in tasks:
        receipt = receipts[case_id]
        spacing = FIELD_MM / size
        cases.append(
            {
                "case_id": case_id,
                "image": receipt["image"],
                "modality": "CR",
                "pixel_spacing_row_mm": spacing,
                "pixel_spacing_col_mm": spacing,
                "rows": size,
                "columns": size,
                "sha256": receipt["sha256"],
            }
        )
        reference: dict[str, Any] = {
            "case_id": case_id,
            "patient_id": film.patient_id,
            "source": SIMULATOR,
            "established_by": "simulator",
        }
        for name in FINDINGS:
            reference[f"finding:{name}"] = int(film.severity(name) > 0)
            reference[f"mask:{name}"] = receipt.get(f"mask:{name}", "")
            reference[f"counterfactual:{name}"] = receipt.get(f"counterfactual:{name}", "")
        reference["mask:lungs"] = receipt["mask:lungs"]
        references.append(reference)
        parameters.append({"case_id": case_id, **film.to_row()})
    for name, rows in (
        ("parameters.csv", parameters),
        ("reference.csv", references),
        ("cases.csv", cases),
    ):
        with _replacing(out / name) as path:
            write_sheet(path, list(rows[0]), rows)
