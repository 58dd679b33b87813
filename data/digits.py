"""Handwritten digits in the IDX format of MNIST: images and labels from a local folder.

The format (LeCun et al., Proc. IEEE 86(11), 1998): two zero bytes, one byte for the type (8 for
unsigned bytes), one byte for the number of axes, the lengths of the axes as big-endian 32-bit
numbers, then the values, last axis fastest. Nothing is downloaded.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from data.case import DataError

DigitSplit: TypeAlias = Literal["train", "test"]

DIGITS: Final = tuple(str(digit) for digit in range(10))
"""Names of the ten classes, in the order of their labels."""

_PREFIXES: Final = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTES: Final = 8
_MOST_VALUES: Final = 1 << 30


@dataclass(frozen=True, eq=False)
class DigitSet:
    """Images with their digits.

    Parameters
    ----------
    images
        (N, rows, columns), uint8, 0 black to 255 white: white ink on black, as stored.
    labels
        (N,), int64, 0 to 9.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def of(self, digit: int, n_images: int | None = None) -> DigitSet:
        """Return the first ``n_images`` (by default all) of one digit, in their order.

        Raises
        ------
        DataError
            If there are fewer.
        """
        rows = np.flatnonzero(self.labels == digit)
        if n_images is not None and len(rows) < n_images:
            raise DataError(
                f"{n_images} images of the digit {digit} were asked for; there are {len(rows)}. "
                "Ask for fewer."
            )
        rows = rows[:n_images]
        return DigitSet(self.images[rows], self.labels[rows])


def read_digits(folder: Path, split: DigitSplit) -> DigitSet:
    """Read one split of a folder with the four IDX files of MNIST, packed (``.gz``) or not.

    Parameters
    ----------
    folder
        Holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-…`` and
        ``t10k-labels-…``, each with or without ``.gz``.
    split
        ``"train"`` or ``"test"`` (``t10k``).

    Raises
    ------
    DataError
        If a file is missing, damaged, or does not fit the other one.
    """
    prefix = _PREFIXES[split]
    images_path = _file(folder, f"{prefix}-images-idx3-ubyte")
    labels_path = _file(folder, f"{prefix}-labels-idx1-ubyte")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or 0 in images.shape:
        raise DataError(
            f"{images_path} holds an array of shape {images.shape}; expected images of shape "
            "(number, rows, columns)."
        )
    if labels.shape != (len(images),):
        raise DataError(
            f"{labels_path} holds labels of shape {labels.shape} for {len(images)} images of "
            f"{images_path.name}; the two files do not belong together."
        )
    if labels.max() > 9:
        raise DataError(f"{labels_path} holds the label {labels.max()}; expected digits 0 to 9.")
    return DigitSet(images, labels.astype(np.int64))


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes, packed with gzip or not.

    Returns
    -------
    ndarray
        uint8, of the shape that the file states.

    Raises
    ------
    DataError
        If it cannot be read, is no IDX file of unsigned bytes, or its length is not what its
        header says.
    """
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DataError(
            f"{path} is no IDX file (it begins with {content[:4].hex() or 'nothing'}); expected "
            "one of the four files of MNIST."
        )
    kind, n_axes = content[2], content[3]
    if kind != _UNSIGNED_BYTES or not 1 <= n_axes <= 4:
        raise DataError(
            f"{path} states values of type {kind} on {n_axes} axes; expected unsigned bytes "
            "(type 8) on 1 to 4 axes."
        )
    start = 4 + 4 * n_axes
    if len(content) < start:
        raise DataError(f"{path} is cut off inside its header; copy the file again.")
    shape = struct.unpack(f">{n_axes}I", content[4:start])
    if len(content) - start != prod(shape):
        raise DataError(
            f"{path} holds {len(content) - start} values, its header states {prod(shape)}; the "
            "file is cut off or damaged. Copy it again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _file(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise DataError(
        f"There is no {name} or {name}.gz in {folder}; name the folder with the four IDX files of "
        "MNIST."
    )


def _content(path: Path) -> bytes:
    """Return the bytes of a file, unpacked; no more of them than an IDX file of digits has."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            content = file.read(_MOST_VALUES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); copy the file again.") from error
    if len(content) > _MOST_VALUES:
        raise DataError(f"{path} is larger than {_MOST_VALUES} bytes; that is no file of digits.")
    return content
