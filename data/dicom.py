"""DICOM radiographs: pixels as they should be displayed, and the few header fields that may leave.

Follows DICOM PS3.3 C.11.1 (Modality LUT), C.11.2 (VOI LUT) and C.7.6.3 (image pixel). What leaves a
file is an allow-list in the spirit of PS3.15 Annex E: pixels, spacing, modality and view, and sex
and age band for callers who ask. No text of the header reaches a message.
"""

from __future__ import annotations

import hashlib
import struct
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import ImplicitVRLittleEndian

from data.case import InvalidCase
from data.demographics import age_band, normalise_sex, normalise_view
from data.voi import apply_table, apply_window, read_table

BurnedIn = Literal["yes", "no", "unknown"]

# What pydicom and its codecs raise on damaged files, beside OSError.
DAMAGE = (
    AttributeError, EOFError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError,
    ValueError, struct.error, InvalidDicomError,
)  # fmt: skip
MODALITIES = frozenset({"CR", "DX", "RG", "RF", "XA", "PX", "IO", "MG", "CT", "MR", "SC", "OT"})
PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True, eq=False)
class DicomImage:
    """What leaves a DICOM file.

    Parameters
    ----------
    image
        Shape (H, W), float32, in [0, 1], higher is brighter, as it should be displayed.
    pixel_spacing_mm
        (between rows, between columns) from PixelSpacing, else ImagerPixelSpacing, else ``None``.
    modality
        DICOM Modality, ``"OT"`` if it is none of the usual ones.
    view
        ``"PA"``, ``"AP"``, ``"LL"``, … or ``""`` if the header does not say.
    burned_in
        What BurnedInAnnotation says; ``"unknown"`` if it is absent.
    bits
        8 if 8-bit samples hold the image without loss, else 16.
    sex
        ``"M"``, ``"F"``, ``"O"`` or ``""``.
    age_band
        Decade, e.g. ``"60-69"``, or ``""``.
    patient_key
        Digest that is equal for the films of one patient. For grouping in memory only: whoever
        knows a hospital's numbering could invert it, so it must never be written.
    notes
        Remarks for the person who imports, free of header text.
    """

    image: NDArray[np.float32]
    pixel_spacing_mm: tuple[float, float] | None
    modality: str
    view: str
    burned_in: BurnedIn
    bits: Literal[8, 16] = 16
    sex: str = ""
    age_band: str = ""
    patient_key: str = field(default="", repr=False)
    notes: tuple[str, ...] = ()


def read_dicom(path: Path) -> DicomImage:
    """Read one DICOM radiograph.

    Modality LUT or rescale, then the first VOI LUT, else the first window (LINEAR, LINEAR_EXACT or
    SIGMOID), else the full range of values; MONOCHROME1 is inverted; padding is black.

    Raises
    ------
    InvalidCase
        If the file is missing, not DICOM, without pixels, cut off, compressed in a way that is not
        read, in colour, or of several frames.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings quote header values
        dataset = _open(path)
        _check_greyscale(path, dataset)
        stored = _stored_pixels(path, dataset)
        try:
            image = _displayed(path, dataset, stored)
            return DicomImage(
                image=image,
                pixel_spacing_mm=_spacing(dataset),
                modality=_modality(dataset),
                view=_view(dataset),
                burned_in=_burned_in(dataset),
                bits=_bits(dataset),
                sex=normalise_sex(_text(dataset, "PatientSex")) or "",
                age_band=age_band(_text(dataset, "PatientAge")) or "",
                patient_key=_patient_key(dataset),
                notes=_notes(dataset),
            )
        except DAMAGE as error:
            raise InvalidCase(
                f"{path.name!r} has a DICOM header with malformed values; expected numbers and "
                "codes as DICOM defines them. Export it again from its archive."
            ) from error


def _open(path: Path) -> FileDataset:
    """Parse the file; without a preamble it must at least look like an image header."""
    try:
        try:
            dataset = pydicom.dcmread(path)
        except InvalidDicomError:
            dataset = pydicom.dcmread(path, force=True)
            if "Rows" not in dataset and "SOPClassUID" not in dataset:
                raise
        if "TransferSyntaxUID" not in getattr(dataset, "file_meta", FileMetaDataset()):
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        return dataset
    except FileNotFoundError as error:
        raise InvalidCase(f"{path.name!r} does not exist; expected a DICOM file.") from error
    except InvalidDicomError as error:
        raise InvalidCase(
            f"{path.name!r} is not a DICOM file; expected one with a DICOM header."
        ) from error
    except (OSError, *DAMAGE) as error:
        raise InvalidCase(
            f"{path.name!r} is damaged or cut off and cannot be read as DICOM; "
            "copy it again from its source."
        ) from error


def _check_greyscale(path: Path, dataset: Dataset) -> None:
    """Refuse files without pixels, in colour, or with several frames."""
    if not any(keyword in dataset for keyword in PIXEL_KEYWORDS):
        raise InvalidCase(
            f"{path.name!r} is a DICOM header without pixel data, or cut off before their end; "
            "expected a film. Export or copy the whole image again."
        )
    if _text(dataset, "PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        raise InvalidCase(
            f"{path.name!r} is not a grey DICOM image; expected MONOCHROME1 or MONOCHROME2. "
            "Convert it to grey and try again."
        )
    if _text(dataset, "NumberOfFrames") not in ("", "0", "1"):
        raise InvalidCase(
            f"{path.name!r} holds several frames; expected a single film. Split it first."
        )


def _stored_pixels(path: Path, dataset: Dataset) -> NDArray[Any]:
    """Decode the stored pixel values, shape (H, W), integer or float."""
    _check_codec(path, dataset)
    try:
        stored = pixel_array(dataset)
    except (OSError, *DAMAGE) as error:
        raise InvalidCase(
            f"{path.name!r} has pixel data that is cut off, damaged, or compressed in a way that "
            "is not read; expected as many pixels as the header announces. "
            "Copy or export it again."
        ) from error
    if stored.ndim != 2:
        raise InvalidCase(
            f"{path.name!r} has pixels of shape {stored.shape}; expected (rows, columns)."
        )
    if not np.isfinite(stored).all():
        raise InvalidCase(f"{path.name!r} holds NaN or infinite pixels; expected numbers.")
    if np.issubdtype(stored.dtype, np.unsignedinteger):
        return stored & stored.dtype.type(2 ** int(dataset.BitsStored) - 1)  # drops old overlays
    return stored


def _check_codec(path: Path, dataset: Dataset) -> None:
    """Refuse a compression for which no decoder is installed, naming it."""
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        readable = not syntax.is_compressed or get_decoder(syntax).is_available
    except (NotImplementedError, ValueError):
        readable = False
    if not readable:
        known = syntax.is_transfer_syntax and not syntax.is_private
        raise InvalidCase(
            f"{path.name!r} is compressed as {syntax.name if known else 'something unknown'}, "
            "for which there is no decoder here; decompress it first (for example with "
            "`gdcmconv --raw`)."
        )


def _displayed(path: Path, dataset: Dataset, stored: NDArray[Any]) -> NDArray[np.float32]:
    """Apply the grey-scale pipeline of PS3.3 to stored values; (H, W) float32 in [0, 1]."""
    padding = _padding(dataset, stored)
    low, high = _stored_range(dataset, stored)
    values = np.clip(stored.astype(np.float64), low, high)
    signed = low < 0
    if items := dataset.get("ModalityLUTSequence"):
        table = read_table(items[0], signed=signed)
        values, low, high = apply_table(values, table), 0.0, table.top
    else:
        slope, intercept = _number(dataset, "RescaleSlope", 1), _number(dataset, "RescaleIntercept")
        if slope == 0:
            raise InvalidCase(f"{path.name!r} has RescaleSlope 0; expected another number.")
        values = values * slope + intercept
        low, high = sorted((low * slope + intercept, high * slope + intercept))
    centres, widths = _numbers(dataset, "WindowCenter"), _numbers(dataset, "WindowWidth")
    if items := dataset.get("VOILUTSequence"):
        table = read_table(items[0], signed=low < 0)
        grey = apply_table(values, table) / table.top
    elif centres and widths:
        function = _text(dataset, "VOILUTFunction") or "LINEAR"
        if widths[0] <= 0 or (widths[0] < 1 and function == "LINEAR"):
            raise InvalidCase(
                f"{path.name!r} has WindowWidth {widths[0]:g}; expected at least 1. "
                "Correct the header."
            )
        grey = apply_window(values, centres[0], widths[0], function)
    else:
        grey = (values - low) / (high - low)
    if _text(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        grey = 1 - grey
    grey[padding] = 0
    return np.clip(grey, 0, 1).astype(np.float32)


def _stored_range(dataset: Dataset, stored: NDArray[Any]) -> tuple[float, float]:
    """Return the smallest and largest value the stored type can hold."""
    if np.issubdtype(stored.dtype, np.floating):
        low, high = float(stored.min()), float(stored.max())
        return low, high if high > low else low + 1
    bits = int(dataset.BitsStored)
    if int(_number(dataset, "PixelRepresentation")) == 1:
        return -float(2 ** (bits - 1)), float(2 ** (bits - 1) - 1)
    return 0.0, float(2**bits - 1)


def _padding(dataset: Dataset, stored: NDArray[Any]) -> NDArray[np.bool_]:
    """Find pixels that only fill the frame (PS3.3 C.7.5.1.1.2); (H, W) bool."""
    first = _numbers(dataset, "PixelPaddingValue")
    if not first:
        return np.zeros(stored.shape, dtype=np.bool_)
    last = _numbers(dataset, "PixelPaddingRangeLimit") or first
    low, high = sorted((first[0], last[0]))
    return np.asarray((stored >= low) & (stored <= high))


def _bits(dataset: Dataset) -> Literal[8, 16]:
    """Return the PNG depth that keeps the displayed image without loss."""
    changes_values = any(
        dataset.get(keyword)
        for keyword in ("ModalityLUTSequence", "VOILUTSequence", "WindowCenter")
    )
    return 8 if "BitsStored" in dataset and dataset.BitsStored <= 8 and not changes_values else 16


def _numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Return a numeric field as floats; empty if it is absent."""
    value = dataset.get(keyword)
    if value is None or value == "":
        return ()
    if isinstance(value, (str, int, float)):
        return (float(value),)
    return tuple(float(part) for part in value)


def _number(dataset: Dataset, keyword: str, default: float = 0) -> float:
    """Return the first value of a numeric field."""
    return (*_numbers(dataset, keyword), default)[0]


def _text(dataset: Dataset, keyword: str) -> str:
    """Return a field as stripped text; empty if it is absent."""
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    """Return the first usable spacing in millimetres; zeros are placeholders, not distances."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        numbers = _numbers(dataset, keyword)
        if len(numbers) == 2 and all(0 < number <= 100 for number in numbers):
            return numbers[0], numbers[1]
    return None


def _modality(dataset: Dataset) -> str:
    """Return the modality if it is a usual code, so that free text cannot leak."""
    modality = _text(dataset, "Modality")
    return modality if modality in MODALITIES else "OT"


def _view(dataset: Dataset) -> str:
    """Return the projection from ViewPosition, ViewCodeSequence or PatientOrientation."""
    view = normalise_view(_text(dataset, "ViewPosition"))
    if not view and dataset.get("ViewCodeSequence"):
        view = normalise_view(_text(dataset.ViewCodeSequence[0], "CodeMeaning"))
    if not view:
        along_row = _orientation(dataset)[:1]
        view = "LATERAL" if along_row in ("A", "P") else ""
    return view


def _orientation(dataset: Dataset) -> str:
    """Return PatientOrientation as e.g. ``"L/F"``, or ``""``."""
    value = dataset.get("PatientOrientation")
    if value is None or isinstance(value, str) or len(value) != 2:
        return ""
    return "/".join(str(part) for part in value)


def _burned_in(dataset: Dataset) -> BurnedIn:
    """Return what BurnedInAnnotation says."""
    said = _text(dataset, "BurnedInAnnotation").upper()
    return "yes" if said == "YES" else "no" if said == "NO" else "unknown"


def _patient_key(dataset: Dataset) -> str:
    """Digest patient and issuer, or return ``""`` where the header names no patient."""
    patient = _text(dataset, "PatientID")
    if not patient:
        return ""
    identity = f"{patient}\0{_text(dataset, 'IssuerOfPatientID')}"
    return hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()


def _notes(dataset: Dataset) -> tuple[str, ...]:
    """Collect what a person should look at."""
    notes = []
    orientation = _orientation(dataset)
    if orientation[:1] == "R" or orientation[-1:] == "H":
        notes.append(
            "the header says the film is stored mirrored or upside down; it was not turned"
        )
    if _text(dataset, "BodyPartExamined") not in ("", "CHEST"):
        notes.append("the header names another body part than CHEST")
    spacing = _spacing(dataset)
    if spacing and not 0.99 < spacing[0] / spacing[1] < 1.01:
        notes.append("pixels are not square; the film will look stretched")
    return tuple(notes)
