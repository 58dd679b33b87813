"""PNG, JPEG and TIFF files to grey samples exactly as stored; anything unclear is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from data.case import InvalidCase

Kind = Literal["png", "jpeg", "tiff", "dicom", "unknown"]

# What Pillow and tifffile raise on damaged files, beside OSError.
DAMAGE = (SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError)
SIGNATURES: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)


def kind_of(path: Path) -> Kind:
    """Recognise a file by its first bytes (a DICOM file without preamble by its suffix).

    Raises
    ------
    InvalidCase
        If the file cannot be opened.
    """
    head = _head(path, 132)
    for signature, kind in SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[128:132] == b"DICM" or path.suffix.lower() in (".dcm", ".dicom", ".ima"):
        return "dicom"
    return "unknown"


def read_samples(path: Path) -> NDArray[Any]:
    """Read a grey raster file without changing its samples.

    Parameters
    ----------
    path
        PNG, JPEG or TIFF. An orientation stored in the file is applied.

    Returns
    -------
    ndarray
        Shape (H, W): uint8 or uint16 as stored (1-, 2- and 4-bit scaled to 8), or float32 in
        [0, 1] from a float TIFF. Higher is brighter.

    Raises
    ------
    InvalidCase
        If the file is missing, damaged, in colour, transparent, has several pages, or is of a
        kind that is not read.
    """
    kind = kind_of(path)
    if kind == "tiff":
        return _read_tiff(path)
    if kind in ("png", "jpeg"):
        return _read_pillow(path)
    if kind == "dicom":
        raise InvalidCase(f"{path.name!r} is a DICOM file; import it instead of opening it.")
    raise InvalidCase(
        f"{path.name!r} is not a PNG, JPEG, TIFF or DICOM file; convert it to one of these."
    )


def _head(path: Path, n_bytes: int) -> bytes:
    """Return the first bytes of a file."""
    try:
        with path.open("rb") as stream:
            return stream.read(n_bytes)
    except FileNotFoundError as error:
        raise InvalidCase(f"{path.name!r} does not exist; expected an image file.") from error
    except OSError as error:
        raise InvalidCase(f"{path.name!r} cannot be opened: {error.strerror or error}.") from error


def _damaged(path: Path) -> InvalidCase:
    """Build the error for a file that stops making sense."""
    return InvalidCase(
        f"{path.name!r} is damaged or cut off and cannot be read; copy it again from its source."
    )


def _read_pillow(path: Path) -> NDArray[Any]:
    """Read PNG, JPEG (and TIFF where tifffile lacks the codec) through Pillow."""
    head = _head(path, 26)
    if head.startswith(SIGNATURES[0][0]) and len(head) == 26 and head[24] == 16 and head[25] != 0:
        raise InvalidCase(  # Pillow would cut these to 8 bits
            f"{path.name!r} is a 16-bit PNG with colour or transparency; "
            "expected one grey channel. Convert it to 16-bit grey."
        )
    try:
        with Image.open(path) as opened:
            opened.load()
            picture = ImageOps.exif_transpose(opened)
    except Image.DecompressionBombError as error:
        raise InvalidCase(
            f"{path.name!r} has too many pixels; expected at most 10000 × 10000."
        ) from error
    except (OSError, *DAMAGE) as error:
        raise _damaged(path) from error
    return _grey(path, picture)


def _grey(path: Path, picture: Image.Image) -> NDArray[Any]:
    """Turn a Pillow image into grey samples, or refuse it."""
    if picture.mode in ("L", "1"):
        return np.asarray(picture.convert("L"))
    if picture.mode in ("I;16", "I;16L", "I;16B"):
        return np.asarray(picture).astype(np.uint16)
    if picture.mode == "I":
        wide = np.asarray(picture)
        if wide.min() >= 0 and wide.max() <= 65535:
            return wide.astype(np.uint16)
    if picture.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        with_alpha = np.asarray(picture.convert("RGBA"))
        if with_alpha[..., 3].min() < 255:
            raise InvalidCase(
                f"{path.name!r} is partly transparent; expected an opaque grey image. "
                "Flatten it and save it again."
            )
        return _equal_channels(path, with_alpha[..., :3])
    if picture.mode in ("RGB", "P"):
        return _equal_channels(path, np.asarray(picture.convert("RGB")))
    raise InvalidCase(
        f"{path.name!r} has pixels of kind {picture.mode!r}; "
        "expected 8- or 16-bit grey. Convert it to grey and try again."
    )


def _equal_channels(path: Path, colour: NDArray[Any]) -> NDArray[Any]:
    """Return the one channel of a grey image stored as RGB, shape (H, W)."""
    first = colour[..., 0]
    if not (colour == first[..., None]).all():
        raise InvalidCase(
            f"{path.name!r} is a colour image; expected a grey one (or three equal channels). "
            "Convert it to grey and try again."
        )
    return np.ascontiguousarray(first)


def _read_tiff(path: Path) -> NDArray[Any]:
    """Read one TIFF page; 8- and 16-bit as stored, float only if within [0, 1]."""
    try:
        with tifffile.TiffFile(path) as tiff:
            n_pages = len(tiff.pages)
            page = tiff.pages.first
            photometric = getattr(page.photometric, "name", "unknown")
            orientation = int(page.tags.valueof(274, default=1))
            bits = page.bitspersample
            needs_codec = int(page.compression) not in (1, 8, 32946)  # none, deflate
            samples = np.asarray([[0]]) if needs_codec else page.asarray()
    except (OSError, tifffile.TiffFileError, *DAMAGE, AttributeError, TypeError) as error:
        raise _damaged(path) from error
    if n_pages != 1:
        raise InvalidCase(
            f"{path.name!r} holds {n_pages} pages; expected one film per file. Split it."
        )
    if photometric not in ("MINISBLACK", "MINISWHITE", "RGB"):
        raise InvalidCase(
            f"{path.name!r} is a {photometric} TIFF; expected grey. Convert it and try again."
        )
    if needs_codec:  # Pillow applies the orientation, and the polarity of 8-bit images
        samples = _read_pillow(path)
        inverted = photometric == "MINISWHITE" and samples.dtype == np.uint16
        return np.uint16(65535) - samples if inverted else samples
    samples = _tiff_depth(path, samples, bits)
    if samples.ndim == 3 and samples.shape[-1] == 3:
        samples = _equal_channels(path, samples)
    if samples.ndim != 2:
        raise InvalidCase(
            f"{path.name!r} has shape {samples.shape}; expected one grey image (rows, columns)."
        )
    if photometric == "MINISWHITE":
        top = 1 if samples.dtype == np.float32 else np.iinfo(samples.dtype).max
        samples = (samples.dtype.type(top) - samples).astype(samples.dtype)
    return _orient(samples, orientation)


def _tiff_depth(path: Path, samples: NDArray[Any], bits: int) -> NDArray[Any]:
    """Bring TIFF samples to uint8, uint16 or float32 in [0, 1]."""
    if samples.dtype == np.bool_:
        return samples.astype(np.uint8) * np.uint8(255)
    if samples.dtype == np.uint8 and bits == 8:
        return samples
    if samples.dtype == np.uint16:
        if bits == 16:
            return samples
        return np.rint(samples * (65535 / (2**bits - 1))).astype(np.uint16)
    if np.issubdtype(samples.dtype, np.floating):
        values = samples.astype(np.float32)
        n_bad = int((~np.isfinite(values)).sum())
        if n_bad:
            raise InvalidCase(
                f"{path.name!r} holds {n_bad} NaN or infinite pixels; expected values in [0, 1]."
            )
        if values.min() < 0 or values.max() > 1:
            raise InvalidCase(
                f"{path.name!r} holds floats from {values.min():.4g} to {values.max():.4g}; "
                "expected [0, 1]. Rescale it, or save it as 16-bit."
            )
        return values
    raise InvalidCase(
        f"{path.name!r} holds {bits}-bit pixels of type {samples.dtype}; "
        "expected 8- or 16-bit unsigned grey. Convert it and try again."
    )


def _orient(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply the TIFF/EXIF orientation 1 to 8 (TIFF 6.0, section 8)."""
    if orientation >= 5:
        samples = samples.T
        orientation = {5: 1, 6: 2, 7: 3, 8: 4}.get(orientation, 1)
    if orientation in (2, 3):
        samples = samples[:, ::-1]
    if orientation in (3, 4):
        samples = samples[::-1]
    return np.ascontiguousarray(samples)
