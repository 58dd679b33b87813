"""NIfTI volumes as arrays whose axes mean something; read with nibabel, an optional extra."""

from __future__ import annotations

import importlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.case import DataError, InvalidCase

SUFFIXES = (".nii.gz", ".nii")
SAME_PLACE_MM = 0.1  # by which corners of a volume and its labels may differ


class MissingLibrary(DataError):
    """An optional library that is not installed."""


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume in the orientation closest to RAS+.

    Parameters
    ----------
    values
        (X, Y, Z): x grows to the patient's right, y to the front, z to the head.
    spacing_mm
        Distances between neighbouring voxels along X, Y, Z.
    corners_mm
        (2, 3): world coordinates of the first and the last voxel's centre.
    """

    values: NDArray[Any]
    spacing_mm: tuple[float, float, float]
    corners_mm: NDArray[np.float64]


def import_nibabel() -> ModuleType:
    """Return nibabel.

    Raises
    ------
    MissingLibrary
        If it is not installed.
    """
    try:
        return importlib.import_module("nibabel")
    except ImportError as error:
        raise MissingLibrary(
            f"NIfTI volumes are read with nibabel, which cannot be imported ({error}); install it "
            "with `pip install 'counterlight[nifti]'`."
        ) from error


def stem_of(path: Path) -> str:
    """File name without ``.nii`` or ``.nii.gz``, ``""`` for files of another kind."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return ""


def read_volume(path: Path, channel: int | None = None) -> Volume:
    """Read one scalar volume, in memory as float32.

    Parameters
    ----------
    path
        ``.nii`` or ``.nii.gz`` of three axes, or of four whose last one counts channels.
    channel
        Which channel, from 0; may be left out where there is one. Only that one is kept in memory.

    Raises
    ------
    MissingLibrary
        If nibabel is not installed.
    InvalidCase
        If the file is missing, damaged, of another number of axes, or holds NaN; or if the channel
        is missing or does not exist.
    """
    nibabel = import_nibabel()
    damage = (
        OSError, EOFError, ValueError, TypeError, KeyError, zlib.error,
        nibabel.filebasedimages.ImageFileError,
    )  # fmt: skip
    if not path.is_file():
        raise InvalidCase(f"{path} does not exist; expected a NIfTI file.")
    try:
        image = nibabel.load(path)
        chosen = _channel(path, tuple(image.shape), channel)
        stored = np.asarray(image.dataobj[chosen], np.float32)
        affine = np.asarray(image.affine, float)
    except damage as error:
        raise InvalidCase(
            f"{path.name!r} is damaged, cut off, or no NIfTI file; copy it again from its source."
        ) from error
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InvalidCase(
            f"{path.name!r} does not say where its voxels lie (its affine is singular); write its "
            "header again."
        )
    values, affine = _canonical(nibabel, stored, affine)
    n_bad = int((~np.isfinite(values)).sum())
    if n_bad:
        raise InvalidCase(
            f"{path.name!r} holds {n_bad} NaN or infinite voxels; set them to the background."
        )
    spacing = [float(np.linalg.norm(affine[:3, axis])) for axis in range(3)]
    ends = np.array([[0, 0, 0, 1], [*(length - 1 for length in values.shape), 1]], float)
    return Volume(values, (spacing[0], spacing[1], spacing[2]), (ends @ affine.T)[:, :3])


def read_labels(path: Path, volume: Volume) -> NDArray[np.int64]:
    """Read the labels of a volume's voxels, (X, Y, Z).

    Raises
    ------
    MissingLibrary
        If nibabel is not installed.
    InvalidCase
        As :func:`read_volume`; or if the labels are no whole numbers from 0 on, or are not on the
        volume's grid.
    """
    found = read_volume(path)
    labels = np.rint(found.values).astype(np.int64)
    if (np.abs(found.values - labels) > 1e-3).any() or labels.min() < 0:
        raise InvalidCase(
            f"{path.name!r} holds values that are no labels ({found.values.min():g} to "
            f"{found.values.max():g}, not all whole); expected a number per tissue, 0 for none."
        )
    if labels.shape != volume.values.shape:
        raise InvalidCase(
            f"{path.name!r} has {_by(labels.shape)} voxels but its volume has "
            f"{_by(volume.values.shape)}; expected the same grid. Resample the labels."
        )
    apart = float(np.abs(found.corners_mm - volume.corners_mm).max())
    if apart > SAME_PLACE_MM:
        raise InvalidCase(
            f"{path.name!r} lies elsewhere than its volume (corners differ by {apart:.3g} mm); "
            "resample the labels to the volume's grid."
        )
    return labels


def _channel(path: Path, shape: tuple[int, ...], channel: int | None) -> tuple[Any, ...]:
    """Index that takes one scalar volume out of an array of a shape."""
    n_axes = len(shape)
    while n_axes > 3 and shape[n_axes - 1] == 1:
        n_axes -= 1  # trailing axes of length one say nothing
    if n_axes not in (3, 4) or min(shape[:3]) < 2:
        raise InvalidCase(
            f"{path.name!r} has the shape {_by(shape)}; expected a volume of three axes, or of "
            "four of which the last counts channels."
        )
    n_channels = shape[3] if n_axes == 4 else 1
    if channel is None and n_channels > 1:
        raise InvalidCase(
            f"{path.name!r} has {n_channels} channels; say which one with --channel (from 0)."
        )
    if channel is not None and not 0 <= channel < n_channels:
        raise InvalidCase(
            f"{path.name!r} has no channel {channel}: it has {n_channels}, counted from 0."
        )
    chosen = (channel or 0,) if n_axes == 4 else ()
    return (*(slice(None),) * 3, *chosen, *(0,) * (len(shape) - n_axes))


def _canonical(
    nibabel: ModuleType, values: NDArray[np.float32], affine: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Flip and swap axes until they are closest to right, front, head."""
    turned = nibabel.as_closest_canonical(nibabel.Nifti1Image(values, affine))
    return np.asarray(turned.dataobj, np.float32), np.asarray(turned.affine, float)


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
