"""Images with binary masks to a case set: the mask decides whether a finding is present."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.case import DataError, slug
from data.importing import MASKS_DIR, ImportRefused
from data.manifest import IMAGES_DIR, CaseEntry, CaseSet, sha256_of, write_cases
from data.raster import write_png
from data.reference import Reference, ReferenceSet, write_references
from data.workspace import workspace


@dataclass(frozen=True, eq=False)
class MaskedImage:
    """One image with what was marked on it.

    Parameters
    ----------
    key
        Names the image among all of an import; never written.
    patient
        Groups the images of a patient; never written.
    samples
        (H, W), uint8 or uint16, higher is brighter.
    masks
        Finding to mask (H, W); ``None`` if nobody looked for it.
    pixel_spacing_mm
        Between rows and between columns, or ``None``.
    attributes
        Further columns of ``reference.csv``.
    """

    key: str
    patient: str
    samples: NDArray[Any]
    masks: Mapping[str, NDArray[np.bool_] | None]
    pixel_spacing_mm: tuple[float, float] | None
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class MaskRule:
    """How masks become a reference standard.

    Parameters
    ----------
    findings
        What masks are of, in the order of the columns.
    above_px
        A finding is present where its mask has more pixels, and absent elsewhere.
    source, established_by, modality
        As in ``reference.csv`` and ``cases.csv``.
    seed
        Draws the opaque identifiers of cases and patients.

    Raises
    ------
    DataError
        If there is no finding, two of them would share a file name, or ``above_px`` is negative.
    """

    findings: tuple[str, ...]
    above_px: int = 0
    source: str = ""
    established_by: str = "mask"
    modality: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        short = [slug(finding).lower() for finding in self.findings]
        if not all(short) or len(set(short)) < len(short) or not short:
            raise DataError(
                f"The findings {', '.join(map(repr, self.findings)) or '(none)'} cannot be told "
                "apart as file names; give each a name of its own."
            )
        if self.above_px < 0:
            raise DataError(f"A mask cannot have more than {self.above_px} pixels; give 0 or more.")
        if not re.fullmatch(r"([A-Z0-9]{2,16})?", self.modality):
            raise DataError(
                f"{self.modality!r} is no modality; expected a code of DICOM such as MR or DX."
            )


@dataclass(frozen=True)
class MaskedReport:
    """What was written.

    Parameters
    ----------
    out
        The case set.
    n_images, n_patients
        How many.
    present, absent, small
        Images by finding; ``small`` are those among the absent whose mask is not empty.
    """

    out: Path
    n_images: int
    n_patients: int
    present: Mapping[str, int]
    absent: Mapping[str, int]
    small: Mapping[str, int]

    def lines(self) -> list[str]:
        """The report in sentences."""
        found = [f"{self.n_images} images of {self.n_patients} patients in {self.out}."]
        for finding, n_present in self.present.items():
            line = f"{finding}: present on {n_present}, absent on {self.absent[finding]}"
            if self.small[finding]:
                line += f" (of these, {self.small[finding]} with a mask too small to count)"
            found.append(line + ".")
        return found


@dataclass(frozen=True)
class _Written:
    entry: CaseEntry
    reference: Reference
    small: tuple[str, ...]


def write_masked(out: Path, images: Iterable[MaskedImage], rule: MaskRule) -> MaskedReport:
    """Write a case set, whole or not at all.

    Identifiers are opaque and depend on seed and key alone. No split is written: trainers split by
    patient (:func:`explainers.training.films.split_of`), so that no patient stands on two sides.

    Parameters
    ----------
    out
        Folder to create; it may exist if it is empty.
    images
        Read one after the other; an error they raise leaves nothing behind.
    rule
        How masks are read.

    Raises
    ------
    ImportRefused
        If there is no image, or a finding is present on all or on none.
    CannotWrite
        If ``out`` is taken or the disk refuses.
    """
    with workspace(Path(out)) as folder:
        (folder / IMAGES_DIR).mkdir()
        (folder / MASKS_DIR).mkdir()
        written = [_write(folder, image, rule) for image in images]
        report = _report(Path(out), written, rule)
        _check_classes(report, rule)
        written.sort(key=lambda each: each.entry.case_id)
        write_cases(folder, (each.entry for each in written))
        write_references(folder, (each.reference for each in written))
        CaseSet.open(folder)  # what was written must be readable before it counts
        ReferenceSet.open(folder)
    return report


def opaque(prefix: str, seed: int, key: str) -> str:
    """Name that says nothing of ``key``, and is the same in every import with a seed."""
    return prefix + hashlib.sha256(f"{prefix}:{seed}:{key}".encode()).hexdigest()[:12]


def patient_of(key: str, pattern: re.Pattern[str] | None) -> str:
    """Patient of a file: the first group of a pattern found in its name, or the whole match.

    Parameters
    ----------
    key
        Path below the folder, without suffix, with forward slashes.
    pattern
        ``None``: every file is a patient of its own.

    Raises
    ------
    DataError
        If the pattern is not found, or its group is empty.
    """
    if pattern is None:
        return key
    match = pattern.search(key)
    found = "" if match is None else (match.group(1) if pattern.groups else match.group(0))
    if not found:
        raise DataError(
            f"The pattern {pattern.pattern!r} finds no patient in {key!r}; expected one in the "
            "name of every file, as in --patient '^(p[0-9]+)_'."
        )
    return found


def patient_pattern(text: str | None) -> re.Pattern[str] | None:
    """Read what a person typed as a pattern.

    Raises
    ------
    DataError
        If it is no regular expression.
    """
    try:
        return None if text is None else re.compile(text)
    except re.error as error:
        raise DataError(
            f"--patient {text!r} is no regular expression ({error}); expected one such as "
            "'^(p[0-9]+)_'."
        ) from error


def check_pairs(what: str, others: str, keys: Sequence[str], known: Iterable[str]) -> None:
    """Refuse files without their other half, naming the first ones.

    Raises
    ------
    ImportRefused
        If one of ``keys`` is not among the ``known`` ones.
    """
    there = set(known)
    alone = sorted(key for key in keys if key not in there)
    if alone:
        raise ImportRefused(
            f"{len(alone)} of {len(keys)} {what} have no {others} of the same name, "
            f"{', '.join(map(repr, alone[:3]))} first; nothing was written."
        )


def _write(folder: Path, image: MaskedImage, rule: MaskRule) -> _Written:
    case_id = opaque("c", rule.seed, image.key)
    path = folder / IMAGES_DIR / f"{case_id}.png"
    write_png(path, image.samples)
    findings: dict[str, bool | None] = {}
    masks: dict[str, Path] = {}
    small = []
    for finding in rule.findings:
        mask = image.masks.get(finding)
        area = 0 if mask is None else int(mask.sum())
        findings[finding] = None if mask is None else area > rule.above_px
        if mask is not None and findings[finding]:
            masks[finding] = folder / MASKS_DIR / f"{case_id}__{slug(finding)}.png"
            write_png(masks[finding], mask)
        elif area:
            small.append(finding)
    rows, columns = image.samples.shape
    entry = CaseEntry(
        case_id,
        path.relative_to(folder).as_posix(),
        rule.modality,
        image.pixel_spacing_mm,
        rows,
        columns,
        sha256_of(path),
    )
    patient_id = opaque("p", rule.seed, image.patient)
    reference = Reference(
        case_id, patient_id, rule.source, rule.established_by, "",
        findings, masks, {}, dict(image.attributes),
    )  # fmt: skip
    return _Written(entry, reference, tuple(small))


def _report(out: Path, written: Sequence[_Written], rule: MaskRule) -> MaskedReport:
    def counted(value: bool) -> dict[str, int]:
        return {
            finding: sum(each.reference.findings[finding] is value for each in written)
            for finding in rule.findings
        }

    small = {name: sum(name in each.small for each in written) for name in rule.findings}
    patients = {each.reference.patient_id for each in written}
    return MaskedReport(out, len(written), len(patients), counted(True), counted(False), small)


def _check_classes(report: MaskedReport, rule: MaskRule) -> None:
    """Refuse a set with one class only: nothing could be told apart."""
    if not report.n_images:
        raise ImportRefused("There is no image to import; nothing was written.")
    for finding in rule.findings:
        n_present, n_absent = report.present[finding], report.absent[finding]
        if not n_present or not n_absent:
            raise ImportRefused(
                f"{finding!r} is present on {n_present} images and absent on {n_absent} (a mask of "
                f"more than {rule.above_px} pixels counts as present); a classifier needs both. "
                "Nothing was written."
            )
