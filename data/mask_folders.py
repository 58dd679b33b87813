"""A folder of images and a folder of binary masks with the same names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from data.case import DataError, InvalidCase
from data.films import open_film, open_mask
from data.importing import ImportRefused
from data.manifest import Progress
from data.masked_images import MaskedImage, check_pairs, patient_of, patient_pattern
from data.rasterfile import read_samples

KINDS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
Unmarked: TypeAlias = Literal["absent", "unknown", "refuse"]


@dataclass(frozen=True)
class MaskFolders:
    """Where images and masks lie, and how they are told apart.

    Parameters
    ----------
    images
        Folder of grey PNG, JPEG or TIFF files, in subfolders or not.
    masks
        Folder of masks of the same size, whose paths are those of the images; see ``finding``.
    finding
        What the masks are of; ``None``: every subfolder of ``masks`` is named after a finding.
    mask_suffix
        What the name of a mask has more than that of its image, such as ``"_mask"``; images and
        masks may then lie in one folder.
    patient
        Regular expression that finds the patient in a path; ``None``: every image is a patient.
    unmarked
        What an image without a mask file is: without the finding, not looked at, or a mistake.
    grey_masks
        Cut masks of many values at half of full scale, instead of refusing them.
    source_names
        Record file names (which may name patients) in ``reference.csv``.
    """

    images: Path
    masks: Path
    finding: str | None = None
    mask_suffix: str = ""
    patient: str | None = None
    unmarked: Unmarked = "absent"
    grey_masks: bool = False
    source_names: bool = True


@dataclass(frozen=True)
class MaskPairs:
    """Files as paired: image by key, and per finding masks by key."""

    images: Mapping[str, Path]
    masks: Mapping[str, Mapping[str, Path]]

    @property
    def findings(self) -> tuple[str, ...]:
        """What masks are of."""
        return tuple(self.masks)

    def without_mask(self, finding: str) -> int:
        """Images that have no mask file of a finding."""
        return len(self.images) - len(self.masks[finding])


def pair_masks(folders: MaskFolders) -> MaskPairs:
    """Find every image and its masks, without opening any.

    Raises
    ------
    DataError
        If a folder is missing or empty, two files share a name, or a pattern is none or finds no
        patient.
    ImportRefused
        If a mask has no image, or (``unmarked`` "refuse") an image no mask.
    """
    pattern = patient_pattern(folders.patient)
    for what, folder in (("images", folders.images), ("masks", folders.masks)):
        if not folder.is_dir():
            raise DataError(f"{folder} is not a folder; expected one of {what}.")
    shared = folders.images.resolve() == folders.masks.resolve()
    if shared and not folders.mask_suffix:
        raise DataError(
            f"{folders.images} is given for images and masks; say what the names of masks end with "
            "(--mask-suffix _mask)."
        )
    images = _files(folders.images, "", without=folders.mask_suffix if shared else "")
    if not images:
        raise DataError(
            f"{folders.images} holds no PNG, JPEG or TIFF file; DICOM files are taken by "
            "`counterlight import` with a manifest."
        )
    for key in images:
        patient_of(key, pattern)  # now, not after minutes of reading
    masks = _mask_files(folders)
    if not any(masks.values()):
        raise DataError(
            f"{folders.masks} holds no mask (PNG or TIFF{_ending(folders)}); name the finding with "
            "--finding, or make one subfolder of masks per finding."
        )
    for finding, found in masks.items():
        check_pairs(f"masks of {finding!r}", "image", list(found), images)
        if folders.unmarked == "refuse":
            check_pairs("images", f"mask of {finding!r}", list(images), found)
    return MaskPairs(images, masks)


def read_masked(
    folders: MaskFolders, pairs: MaskPairs, *, on_progress: Progress | None = None
) -> Iterator[MaskedImage]:
    """Open images and masks, one after the other.

    Raises
    ------
    InvalidCase
        If an image or a mask cannot be read, a mask has another size than its image, or more than
        two values.
    """
    pattern = patient_pattern(folders.patient)
    for done, (key, path) in enumerate(pairs.images.items(), start=1):
        if path.suffix.lower() not in KINDS:
            raise InvalidCase(f"{path.name!r} is no PNG, JPEG or TIFF file.")
        film = open_film(path)
        empty = np.zeros(film.samples.shape, bool)
        masks: dict[str, NDArray[np.bool_] | None] = {}
        for finding, files in pairs.masks.items():
            masks[finding] = empty if folders.unmarked == "absent" else None
            if key in files:
                masks[finding] = _mask(files[key], film.samples.shape, folders.grey_masks)
        attributes = {"source_file": path.name} if folders.source_names else {}
        yield MaskedImage(
            key,
            patient_of(key, pattern),
            film.samples,
            masks,
            film.pixel_spacing_mm,
            attributes,
        )
        if on_progress is not None:
            on_progress(done, len(pairs.images))


def _mask(path: Path, shape: tuple[int, ...], grey: bool) -> NDArray[np.bool_]:
    if not grey:
        values = np.unique(read_samples(path))
        if len(values) > 2:
            raise InvalidCase(
                f"{path.name!r} has {len(values)} different values ({values[0]:g} to "
                f"{values[-1]:g}); expected a mask of two. Save one mask per finding as PNG, or "
                "cut grey ones at half of full scale with --grey-masks."
            )
    return open_mask(path, shape)


def _mask_files(folders: MaskFolders) -> dict[str, dict[str, Path]]:
    if folders.finding is not None:
        return {folders.finding: _files(folders.masks, folders.mask_suffix)}
    below = sorted(each for each in folders.masks.iterdir() if each.is_dir())
    found = {each.name: _files(each, folders.mask_suffix) for each in below if _shown(each)}
    return {finding: files for finding, files in found.items() if files}


def _files(folder: Path, suffix: str, *, without: str = "") -> dict[str, Path]:
    """Files of a folder by their path without ending, sorted; two that share one are refused."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.suffix.lower() not in KINDS or not all(_shown(Path(p)) for p in relative.parts):
            continue
        key = relative.with_suffix("").as_posix()
        if not key.endswith(suffix) or (without and key.endswith(without)):
            continue
        key = key.removesuffix(suffix)
        if key in found:
            raise ImportRefused(
                f"{found[key].name!r} and {path.name!r} in {folder} differ by their ending only; "
                "keep one of them."
            )
        found[key] = path
    return found


def _shown(path: Path) -> bool:
    """Whether a file or folder is not hidden."""
    return not path.name.startswith(".")


def _ending(folders: MaskFolders) -> str:
    return f" whose name ends with {folders.mask_suffix!r}" if folders.mask_suffix else ""
