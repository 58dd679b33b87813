"""Look-up tables and windows of DICOM: pure functions on arrays and LUT items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset


@dataclass(frozen=True, eq=False)
class LookUpTable:
    """A DICOM look-up table.

    Parameters
    ----------
    first
        Input value that maps to the first entry.
    entries
        Output values, shape (n,), float64.
    top
        Largest output value that the table's bit depth allows.
    """

    first: int
    entries: NDArray[np.float64]
    top: float


def read_table(item: Dataset, *, signed: bool) -> LookUpTable:
    """Read one item of a Modality or VOI LUT Sequence (PS3.3 C.11.1.1.1, C.11.2.1.1).

    Parameters
    ----------
    item
        Holds LUTDescriptor and LUTData.
    signed
        Whether input values may be negative; the first mapped value is then read as signed even
        where the file stores it unsigned.

    Raises
    ------
    ValueError
        If the table is shorter than its descriptor says.
    """
    n_entries, first, bits = (int(value) for value in item.LUTDescriptor)
    n_entries = n_entries % 65536 or 65536  # 0 stands for 2^16; a signed reading may be negative
    if signed and first > 32767:
        first -= 65536
    data = item.LUTData
    if isinstance(data, bytes):
        width = 1 if len(data) < 2 * n_entries else 2
        entries = np.frombuffer(data[: n_entries * width], dtype="<u1" if width == 1 else "<u2")
    else:
        entries = np.atleast_1d(np.asarray(data, dtype=np.int64))[:n_entries] % 65536
    if len(entries) < n_entries:
        raise ValueError("the look-up table is shorter than its descriptor says")
    return LookUpTable(first, entries.astype(np.float64), float(2**bits - 1))


def apply_table(values: NDArray[np.float64], table: LookUpTable) -> NDArray[np.float64]:
    """Look values up; inputs outside the table take its first or last entry.

    Parameters
    ----------
    values
        Any shape; fractions are rounded to the nearest input value.

    Returns
    -------
    ndarray
        float64, same shape, in [0, ``table.top``].
    """
    index = np.clip(np.rint(values) - table.first, 0, len(table.entries) - 1).astype(np.intp)
    return np.clip(table.entries[index], 0, table.top)


def apply_window(
    values: NDArray[np.float64], centre: float, width: float, function: str = "LINEAR"
) -> NDArray[np.float64]:
    """Map values through a window to [0, 1] (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    LINEAR: ((x − (c − 0.5)) / (w − 1) + 0.5); LINEAR_EXACT: (x − c) / w + 0.5;
    SIGMOID: 1 / (1 + exp(−4 (x − c) / w)). The linear ones are clipped.

    Parameters
    ----------
    values
        Any shape, after the modality transformation.
    centre, width
        In the same unit; ``width`` at least 1 for LINEAR, above 0 otherwise.
    function
        ``"LINEAR"``, ``"LINEAR_EXACT"`` or ``"SIGMOID"``; any other name is read as LINEAR,
        the default of the standard.

    Returns
    -------
    ndarray
        float64, same shape, in [0, 1].
    """
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    if width == 1:
        return (values > centre - 0.5).astype(np.float64)
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
