"""A case set as arrays: films, labels and masks at the networks' resolution, cached on disk."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.manifest import CaseSet
from data.planted.film_files import PLANTER
from data.raster import read_image, read_mask, resize
from data.reference import Reference, ReferenceSet
from data.scratch import scratch_folder
from explainers.base import ExplainerError, OnProgress

Split: TypeAlias = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
TEST_SHARE = 0.2
_MASK_COVERAGE = 0.25  # of a small pixel; half, as for readers, would drop thin pleural lines
_BLOCK = 1 << 20  # bytes written at a time
_VERSION = "films/1"  # of the arrays; another one builds another cache


@dataclass(frozen=True, eq=False)
class Films:
    """Everything a trainer reads. N counts films and, if kept, their counterfactuals.

    Parameters
    ----------
    findings
        Names of the F findings.
    images
        (N, S, S) uint8, 0 black to 255 white; a memory map.
    masks
        (N, S, S) uint16; bit f is set inside finding f. A memory map.
    labels
        (N, F) float32: 1 present, 0 absent, NaN unknown.
    case_ids, patient_ids, splits
        (N,) text. A counterfactual carries the ids and the split of its film.
    removed
        (N,) int64: index of the finding taken out, -1 for a film as it is.
    digest
        See :func:`case_set_digest`.
    sources
        What the reference standard calls the collections the films come from.
    simulated
        Whether a simulator established the reference of every film.
    """

    findings: tuple[str, ...]
    images: NDArray[np.uint8]
    masks: NDArray[np.uint16]
    labels: NDArray[np.float32]
    case_ids: NDArray[np.str_]
    patient_ids: NDArray[np.str_]
    splits: NDArray[np.str_]
    removed: NDArray[np.int64]
    digest: str
    sources: tuple[str, ...]
    simulated: bool

    @property
    def kind(self) -> str:
        """What the films are, in words: ``"simulated films"``, or real ones with or without."""
        if not self.simulated:
            return "films"
        planted = bool(self.sources) and all(each.startswith(PLANTER) for each in self.sources)
        return "real films with simulated findings" if planted else "simulated films"

    @property
    def size(self) -> int:
        """Rows and columns of every image."""
        return int(self.images.shape[1])

    def rows(self, split: Split, *, counterfactuals: bool = False) -> NDArray[np.int64]:
        """Indices of one split, films only unless counterfactuals are asked for."""
        chosen = self.splits == split
        if not counterfactuals:
            chosen &= self.removed < 0
        return np.flatnonzero(chosen).astype(np.int64)

    def image_batch(self, rows: NDArray[np.int64]) -> Tensor:
        """Images (N, 1, S, S) float32 in [0, 1]."""
        return torch.from_numpy(np.ascontiguousarray(self.images[rows]))[:, None].float() / 255

    def mask_batch(self, rows: NDArray[np.int64]) -> Tensor:
        """Masks (N, F, S, S) float32, 0 or 1."""
        coded = np.ascontiguousarray(self.masks[rows])
        bits = np.stack([(coded >> bit) & 1 for bit in range(len(self.findings))], axis=1)
        return torch.from_numpy(bits.astype(np.float32))

    def label_batch(self, rows: NDArray[np.int64]) -> Tensor:
        """Labels (N, F) float32: 1, 0 or NaN."""
        return torch.from_numpy(self.labels[rows])


def split_of(patient_id: str, validation_share: float = 0.1) -> Split:
    """Split of a patient, by a hash of the identifier alone.

    Adding cases never moves a patient, and every network trained on a case set agrees.

    Parameters
    ----------
    patient_id
        Identifier that the patient's films share.
    validation_share
        Share of patients for validation; a fifth is held out for testing in any case.
    """
    digest = hashlib.sha256(f"split:{patient_id}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    if position < TEST_SHARE:
        return "test"
    return "val" if position < TEST_SHARE + validation_share else "train"


def assign_splits(references: list[Reference], validation_share: float = 0.1) -> NDArray[np.str_]:
    """Split of every case: the one given in ``reference.csv``, else :func:`split_of`.

    Raises
    ------
    ExplainerError
        If a given split is none of train, val, test, some cases have one and others do not, or a
        patient stands in two.
    """
    if not 0 < validation_share < 1 - TEST_SHARE:
        raise ExplainerError(
            f"The validation share lies between 0 and {1 - TEST_SHARE:g}; got {validation_share}."
        )
    given = [reference for reference in references if reference.split]
    if given and len(given) < len(references):
        raise ExplainerError(
            f"{len(given)} of {len(references)} cases name a split in reference.csv; give one for "
            "every case or for none."
        )
    splits: list[str] = []
    of_patient: dict[str, str] = {}
    for reference in references:
        split = reference.split or split_of(reference.patient_id, validation_share)
        if split not in SPLITS:
            raise ExplainerError(
                f"Case {reference.case_id!r} has the split {split!r}; expected train, val or test."
            )
        if of_patient.setdefault(reference.patient_id, split) != split:
            raise ExplainerError(
                f"Patient {reference.patient_id!r} stands in two splits "
                f"({of_patient[reference.patient_id]} and {split}); held-out figures would be too "
                "good. Put all films of a patient into one split."
            )
        splits.append(split)
    return np.array(splits)


def case_set_digest(cases: Path) -> str:
    """SHA-256 over the tables of a case set; ``cases.csv`` holds the digest of every image."""
    total = hashlib.sha256()
    for name in ("cases.csv", "reference.csv", "parameters.csv"):
        path = cases / name
        total.update(name.encode())
        if path.is_file():
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def open_films(
    cases: Path,
    size: int,
    cache: Path,
    *,
    validation_share: float = 0.1,
    on_progress: OnProgress | None = None,
) -> Films:
    """Read a case set at ``size`` × ``size``, from the cache if it is there.

    Parameters
    ----------
    cases
        Folder of a case set.
    size
        Rows and columns of the arrays, 16 to 1024.
    cache
        Folder of caches; one subfolder per case set and size.
    validation_share
        See :func:`split_of`.
    on_progress
        Called with (films read, films) while the cache is built.

    Raises
    ------
    DataError
        If a table or an image cannot be read.
    ExplainerError
        If there is no finding, more than 16, no reference for a case, or splits clash.
    """
    if not 16 <= size <= 1024:
        raise ExplainerError(f"The size of a network's input lies in 16 to 1024 px; got {size}.")
    case_set, reference_set = CaseSet.open(cases), ReferenceSet.open(cases)
    findings = reference_set.findings
    if not 1 <= len(findings) <= 16:
        raise ExplainerError(
            f"reference.csv names {len(findings)} findings (finding:<Name> columns); expected 1 to "
            "16."
        )
    references = [reference_set.get(case_id) for case_id in case_set]
    splits = assign_splits(references, validation_share)
    digest = case_set_digest(cases)
    key = hashlib.sha256(f"{_VERSION}:{digest}".encode()).hexdigest()
    folder = cache / f"{key[:24]}-{size}"
    cached = _read_cache(folder, size)
    if cached is None:
        _build_cache(folder, case_set, references, findings, size, on_progress)
        cached = _read_cache(folder, size)
    if cached is None:
        raise ExplainerError(f"{folder} was written but cannot be read; check its disk.")
    case_rows, removed = cached.case_rows, cached.removed
    labels = np.array([_labels(reference, findings) for reference in references], np.float32)
    labels = labels[case_rows]
    counterfactual = removed >= 0
    labels[counterfactual, removed[counterfactual]] = 0.0
    return Films(
        findings=findings,
        images=cached.images,
        masks=cached.masks,
        labels=labels,
        case_ids=np.array([r.case_id for r in references])[case_rows],
        patient_ids=np.array([r.patient_id for r in references])[case_rows],
        splits=splits[case_rows],
        removed=removed,
        digest=digest,
        sources=tuple(sorted({r.source for r in references if r.source})),
        simulated=all(r.established_by == "simulator" for r in references),
    )


def _labels(reference: Reference, findings: tuple[str, ...]) -> list[float]:
    known = [reference.findings.get(finding) for finding in findings]
    return [np.nan if value is None else float(value) for value in known]


@dataclass(frozen=True)
class _Cached:
    """A cache as read: arrays, position in the case set and finding removed, one per row."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint16]
    case_rows: NDArray[np.int64]
    removed: NDArray[np.int64]


def _read_cache(folder: Path, size: int) -> _Cached | None:
    """Open a cache; ``None`` if it is not there or damaged, so that it is built anew."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        found = _Cached(
            images=np.load(folder / "images.npy", mmap_mode="r"),
            masks=np.load(folder / "masks.npy", mmap_mode="r"),
            case_rows=np.array(index["case"], np.int64),
            removed=np.array(index["removed"], np.int64),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    shape = (len(found.removed), size, size)
    whole = found.images.shape == found.masks.shape == shape
    return found if whole and found.case_rows.shape == found.removed.shape else None


def _allocated(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> np.memmap:
    """Make an array on disk whose space is really taken.

    A sparse one would end the program with a bus error, not an exception, on a full disk.
    """
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    start, end = array.offset, array.offset + array.nbytes
    with path.open("r+b") as file:
        file.seek(start)
        for position in range(start, end, _BLOCK):
            file.write(bytes(min(_BLOCK, end - position)))
    return array


def _build_cache(
    folder: Path,
    case_set: CaseSet,
    references: list[Reference],
    findings: tuple[str, ...],
    size: int,
    on_progress: OnProgress | None,
) -> None:
    """Write the arrays into a folder beside ``folder`` and rename it when it is whole."""
    pairs = [(position, -1) for position in range(len(references))]
    for position, reference in enumerate(references):
        pairs += [
            (position, target)
            for target, finding in enumerate(findings)
            if finding in reference.counterfactuals
        ]
    shape = (len(pairs), size, size)
    with _writing(folder, shape) as temporary:
        images = _allocated(temporary / "images.npy", np.uint8, shape)
        masks = _allocated(temporary / "masks.npy", np.uint16, shape)
        for row, (position, target) in enumerate(pairs):
            reference = references[position]
            if target < 0:
                image = case_set.load(reference.case_id).image
                masks[row] = _coded_masks(reference, findings, size)
            else:
                image = read_image(reference.counterfactuals[findings[target]])
                masks[row] = masks[position] & np.uint16(~(1 << target) & 0xFFFF)
            images[row] = np.rint(resize(image, (size, size)).clip(0, 1) * 255).astype(np.uint8)
            if on_progress is not None:
                on_progress(row + 1, len(pairs))
        images.flush()
        masks.flush()
        content = {
            "case": [position for position, _ in pairs],
            "removed": [target for _, target in pairs],
        }
        (temporary / "index.json").write_text(json.dumps(content), encoding="utf-8")


@contextmanager
def _writing(folder: Path, shape: tuple[int, int, int]) -> Iterator[Path]:
    """Yield a folder that takes the place of ``folder`` when it is complete."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder.parent, "building-") as scratch:
            fresh = scratch / "fresh"
            fresh.mkdir()
            yield fresh
            if folder.exists():  # damaged, or another training was quicker
                os.replace(folder, scratch / "replaced")
            os.replace(fresh, folder)
    except OSError as error:
        raise ExplainerError(
            f"The cache of training films in {folder.parent} cannot be written "
            f"({error.strerror or error}); it needs about {3 * math.prod(shape) / 1e6:.1f} MB."
        ) from error


def _coded_masks(reference: Reference, findings: tuple[str, ...], size: int) -> NDArray[np.uint16]:
    coded = np.zeros((size, size), np.uint16)
    for target, finding in enumerate(findings):
        if finding in reference.masks:
            share = resize(read_mask(reference.masks[finding]).astype(np.float32), (size, size))
            coded |= (share >= _MASK_COVERAGE).astype(np.uint16) << np.uint16(target)
    return coded
