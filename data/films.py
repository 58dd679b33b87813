"""Files of any supported kind to films and masks as an import stores them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.case import InvalidCase
from data.dicom import BurnedIn, read_dicom
from data.manifest import MAX_SIDE_PX
from data.raster import quantise
from data.rasterfile import kind_of, read_samples

MIN_SIDE_PX = 32  # of a film worth reading
DIM_RANGE = 0.25  # a film that uses less of the grey scale is pointed out


@dataclass(frozen=True, eq=False)
class Film:
    """One film, ready to be stored.

    Parameters
    ----------
    samples
        Shape (H, W), uint8 or uint16, higher is brighter.
    pixel_spacing_mm
        From the file's header, or ``None``.
    modality, view, sex, age_band
        From the file's header, ``""`` where it does not say.
    burned_in
        Whether the header says that text is burned into the pixels.
    patient_key
        Groups the films of one patient in memory; never written.
    notes
        Remarks for the person who imports.
    """

    samples: NDArray[Any]
    pixel_spacing_mm: tuple[float, float] | None = None
    modality: str = ""
    view: str = ""
    sex: str = ""
    age_band: str = ""
    burned_in: BurnedIn = "unknown"
    patient_key: str = ""
    notes: tuple[str, ...] = ()


def open_film(path: Path) -> Film:
    """Read a PNG, JPEG, TIFF or DICOM file as a film.

    Integers stay as they are stored, so nothing is lost; floats become 16-bit.

    Raises
    ------
    InvalidCase
        If the file cannot be read as one grey film, is blank, or is smaller than 32 or larger than
        10000 pixels one way.
    """
    if kind_of(path) == "dicom":
        dicom = read_dicom(path)
        film = Film(
            quantise(dicom.image, dicom.bits), dicom.pixel_spacing_mm, dicom.modality,
            dicom.view, dicom.sex, dicom.age_band, dicom.burned_in, dicom.patient_key, dicom.notes,
        )  # fmt: skip
    else:
        samples = read_samples(path)
        whole = samples.dtype in (np.uint8, np.uint16)
        film = Film(samples if whole else quantise(samples, 16))
    _check_size(path, film.samples)
    return _with_contrast_note(path, film)


def open_mask(path: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Read a mask that belongs to a film.

    Parameters
    ----------
    path
        PNG or TIFF with two values (any two: 0/1 and 0/255 alike), or a grey one that is cut at
        half of full scale.
    shape
        (H, W) of the film.

    Returns
    -------
    ndarray
        (H, W) bool.

    Raises
    ------
    InvalidCase
        If the file cannot be read, has another size than the film, or looks like a label map.
    """
    samples = read_samples(path)
    if samples.shape != shape:
        raise InvalidCase(
            f"{path.name!r} is a mask of {samples.shape[0]} × {samples.shape[1]} pixels but its "
            f"film has {shape[0]} × {shape[1]}; expected the same size. Bring the mask to the "
            "film's grid."
        )
    top = 1.0 if samples.dtype == np.float32 else float(np.iinfo(samples.dtype).max)
    low, high = float(samples.min()), float(samples.max())
    two_valued = bool(((samples == low) | (samples == high)).all())
    if two_valued and low == 0:
        return np.asarray(samples > 0)
    if not two_valued and high <= top / 2:
        raise InvalidCase(
            f"{path.name!r} holds several values up to {high:g}, like a label map; expected a "
            "mask of two values. Save one mask per finding."
        )
    return np.asarray(samples > top / 2)


def _check_size(path: Path, samples: NDArray[Any]) -> None:
    """Refuse films too small to read or too large to handle."""
    if min(samples.shape) < MIN_SIDE_PX or max(samples.shape) > MAX_SIDE_PX:
        raise InvalidCase(
            f"{path.name!r} has {samples.shape[0]} × {samples.shape[1]} pixels; expected "
            f"{MIN_SIDE_PX} to {MAX_SIDE_PX} each way."
        )


def _with_contrast_note(path: Path, film: Film) -> Film:
    """Refuse a blank film and point out one that uses little of the grey scale."""
    low, high = int(film.samples.min()), int(film.samples.max())
    if low == high:
        raise InvalidCase(f"{path.name!r} is blank: every pixel is {low}; expected a film.")
    share = (high - low) / np.iinfo(film.samples.dtype).max
    if share >= DIM_RANGE:
        return film
    note = f"the film uses only {share:.0%} of the grey scale; check depth and window"
    return replace(film, notes=(*film.notes, note))
