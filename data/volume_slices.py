"""NIfTI volumes with label volumes to axial slices with masks, as a radiologist looks at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.case import DataError, InvalidCase
from data.importing import ImportRefused
from data.manifest import MAX_SIDE_PX, Progress
from data.masked_images import MaskedImage, check_pairs, patient_of, patient_pattern
from data.nifti import Volume, import_nibabel, read_labels, read_volume, stem_of
from data.raster import quantise, resize, resize_mask

MIN_SIZE_PX = 32


@dataclass(frozen=True)
class VolumeSlices:
    """Where volumes lie and how they are cut.

    Parameters
    ----------
    images, labels
        Folders of ``.nii`` or ``.nii.gz`` files with the same paths; both may be one folder where
        the names end differently.
    findings
        Finding to the labels that are its tissue; all other labels are background.
    channel
        Of volumes with four axes, from 0.
    image_suffix, label_suffix
        Ends of names, before ``.nii``, that the other half of a pair does not have.
    size
        Rows and columns of the slices.
    window
        Percentiles of the volume's tissue that become black and white.
    least_tissue
        Share of a slice that is tissue (above the volume's lowest value); slices with less and
        without any finding are left out.
    every
        Take every n-th slice only.
    patient
        Regular expression that finds the patient in a path; ``None``: every volume is a patient.
    source_names
        Record file names in ``reference.csv``.

    Raises
    ------
    DataError
        If a number is out of range or a finding has no label.
    """

    images: Path
    labels: Path
    findings: Mapping[str, frozenset[int]] = field(default_factory=dict)
    channel: int | None = None
    image_suffix: str = ""
    label_suffix: str = ""
    size: int = 224
    window: tuple[float, float] = (0.5, 99.5)
    least_tissue: float = 0.05
    every: int = 1
    patient: str | None = None
    source_names: bool = True

    def __post_init__(self) -> None:
        for finding, labels in self.findings.items():
            if not labels or min(labels) < 1:
                raise DataError(
                    f"{finding!r} needs labels from 1 on (0 is the background), as in "
                    "--finding Tumour=2,3."
                )
        if not self.findings:
            raise DataError("Name at least one finding with its labels: --finding Tumour=2,3.")
        if not MIN_SIZE_PX <= self.size <= MAX_SIDE_PX:
            raise DataError(
                f"Slices of {self.size} pixels cannot be made; expected {MIN_SIZE_PX} to "
                f"{MAX_SIDE_PX}."
            )
        low, high = self.window
        if not 0 <= low < high <= 100:
            raise DataError(
                f"The window runs from {low:g} to {high:g}; expected percentiles, 0 ≤ low < high ≤ "
                "100."
            )
        if not 0 <= self.least_tissue < 1 or self.every < 1:
            raise DataError("The share of tissue lies in [0, 1), and every slice counts from 1 on.")


def pair_volumes(slices: VolumeSlices) -> dict[str, tuple[Path, Path]]:
    """Find every volume and its labels, without opening any.

    Raises
    ------
    MissingLibrary
        If nibabel is not installed.
    DataError
        If a folder is missing or empty, names cannot be told apart, or a pattern is none or finds
        no patient.
    ImportRefused
        If a volume has no labels, or labels no volume.
    """
    import_nibabel()  # before minutes of reading
    pattern = patient_pattern(slices.patient)
    for folder in (slices.images, slices.labels):
        if not folder.is_dir():
            raise DataError(f"{folder} is not a folder; expected one of NIfTI files.")
    if (
        slices.images.resolve() == slices.labels.resolve()
        and slices.image_suffix == slices.label_suffix
    ):
        raise DataError(
            f"{slices.images} is given for volumes and labels; say how their names end, as in "
            "--image-suffix _t1ce --label-suffix _seg."
        )
    images = _files(slices.images, slices.image_suffix)
    labels = _files(slices.labels, slices.label_suffix)
    for what, folder, found in (
        ("volume", slices.images, images),
        ("label", slices.labels, labels),
    ):
        if not found:
            raise DataError(f"{folder} holds no {what} file (.nii or .nii.gz) of that name.")
    for key in images:
        patient_of(key, pattern)  # now, not after minutes of reading
    check_pairs("volumes", "labels", list(images), labels)
    check_pairs("label volumes", "volume", list(labels), images)
    return {key: (images[key], labels[key]) for key in images}


def read_slices(
    slices: VolumeSlices,
    pairs: Mapping[str, tuple[Path, Path]],
    *,
    on_progress: Progress | None = None,
) -> Iterator[MaskedImage]:
    """Cut volumes into axial slices, from the feet up; one volume is in memory at a time.

    Raises
    ------
    InvalidCase
        If a volume or its labels cannot be read, do not fit, or a volume is blank.
    ImportRefused
        If a label that a finding names occurs in no volume.
    """
    pattern = patient_pattern(slices.patient)
    seen: set[int] = set()
    for done, (key, (path, label_path)) in enumerate(pairs.items(), start=1):
        volume = read_volume(path, slices.channel)
        labels = read_labels(label_path, volume)
        seen.update(np.unique(labels).tolist())
        patient = patient_of(key, pattern)
        for number, (samples, masks) in _cut(path, volume, labels, slices):
            attributes = {"view": "axial", "slice": str(number)}
            if slices.source_names:
                attributes["source_file"] = path.name
            yield MaskedImage(
                f"{key}:{number}",
                patient,
                samples,
                masks,
                _spacing(volume, slices.size),
                attributes,
            )
        if on_progress is not None:
            on_progress(done, len(pairs))
    _check_labels(slices, seen, len(pairs))


def axial(values: NDArray[np.generic], number: int) -> NDArray[np.generic]:
    """One axial slice of (X, Y, Z) in RAS+ as it is looked at: (rows, columns).

    The front is at the top and the patient's right at the viewer's left.
    """
    return values[::-1, ::-1, number].T


def _cut(
    path: Path, volume: Volume, labels: NDArray[np.int64], slices: VolumeSlices
) -> Iterator[tuple[int, tuple[NDArray[np.uint8], dict[str, NDArray[np.bool_] | None]]]]:
    lowest = volume.values.min()
    tissue = volume.values > lowest
    if not tissue.any():
        raise InvalidCase(f"{path.name!r} is blank: every voxel is {lowest:g}; expected a volume.")
    low, high = np.percentile(volume.values[tissue], slices.window)
    size = (slices.size, slices.size)
    for number in range(0, volume.values.shape[2], slices.every):
        here = axial(labels, number)
        masks = {
            finding: resize_mask(np.isin(here, sorted(chosen)), size)
            for finding, chosen in slices.findings.items()
        }
        share = float(tissue[:, :, number].mean())
        if share < slices.least_tissue and not any(mask.any() for mask in masks.values()):
            continue
        grey = (axial(volume.values, number) - low) / max(float(high - low), 1e-6)
        samples = quantise(resize(np.clip(grey, 0, 1), size), 8)
        yield number, (samples, dict(masks))


def _spacing(volume: Volume, size: int) -> tuple[float, float]:
    """Distance between the rows and between the columns of a resized slice."""
    (along_x, along_y, _), (n_x, n_y, _) = volume.spacing_mm, volume.values.shape
    return along_y * n_y / size, along_x * n_x / size


def _check_labels(slices: VolumeSlices, seen: set[int], n_volumes: int) -> None:
    for finding, wanted in slices.findings.items():
        missing = sorted(wanted - seen)
        if missing:
            raise ImportRefused(
                f"{finding!r} names the label {missing[0]}, which occurs in none of the "
                f"{n_volumes} label volumes (they hold {', '.join(map(str, sorted(seen)))}); "
                "nothing was written."
            )


def _files(folder: Path, suffix: str) -> dict[str, Path]:
    """Files of a folder by their path without ending, sorted; hidden ones are passed over."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        stem = stem_of(path)
        if not stem or not path.is_file() or any(part.startswith(".") for part in relative.parts):
            continue
        if stem.endswith(suffix):
            key = (relative.parent / stem.removesuffix(suffix)).as_posix()
            if key in found:
                raise ImportRefused(
                    f"{found[key].name!r} and {path.name!r} in {folder} differ by their ending "
                    "only; keep one of them."
                )
            found[key] = path
    return found
