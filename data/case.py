"""What a reader may see of an examination: the case, and nothing of its reference standard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class DataError(Exception):
    """Root of every error raised by :mod:`data`; its text is fit to be shown to a person."""


class InvalidCase(DataError):
    """A case whose pixels or geometry cannot be read as one greyscale examination."""


@dataclass(frozen=True, eq=False)
class Case:
    """One examination as read.

    Parameters
    ----------
    case_id
        Study identifier, never taken from a patient record.
    image
        Array of shape (H, W), float32, in [0, 1], higher is brighter.
    pixel_spacing_mm
        Distance between neighbouring rows and columns, in millimetres, or ``None`` if unknown.
    modality
        DICOM Modality (0008,0060), e.g. ``"CR"`` or ``"DX"``.

    Raises
    ------
    InvalidCase
        If the image is not a finite two-dimensional float32 array in [0, 1].
    """

    case_id: str
    image: NDArray[np.float32]
    pixel_spacing_mm: tuple[float, float] | None
    modality: str

    def __post_init__(self) -> None:
        problem = _image_problem(self.image)
        if problem:
            raise InvalidCase(
                f"Case {self.case_id!r}: {problem}; expected a grey image of shape (rows, columns) "
                "with values in [0, 1]. Convert the file to a single-channel image and try again."
            )


def slug(finding: str) -> str:
    """Return a finding's name as file names spell it: ``"Lung Opacity"`` to ``"Lung-Opacity"``.

    Anything but letters, digits and hyphens becomes a hyphen.
    """
    return "".join(letter if letter.isalnum() else "-" for letter in finding.strip())


def _image_problem(image: NDArray[np.float32]) -> str | None:
    """Say what is wrong with ``image``, or return ``None``."""
    if image.ndim != 2:
        return f"the image has shape {image.shape}"
    if min(image.shape) < 8:
        return f"the image is only {image.shape[0]} × {image.shape[1]} pixels"
    if image.dtype != np.float32:
        return f"the pixels are {image.dtype}, not float32"
    if not np.isfinite(image).all():
        return f"{int((~np.isfinite(image)).sum())} pixels are NaN or infinite"
    if image.min() < 0 or image.max() > 1:
        return f"pixel values run from {image.min():.3g} to {image.max():.3g}"
    return None
