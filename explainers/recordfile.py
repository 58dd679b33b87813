"""The files of one explanation: a JSON record, and either frames or values beside it.

NumPy only. :mod:`explainers.archive` says where the files lie and moves them into place.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from explainers.base import ExplainerError
from explainers.record import (
    Attribution,
    Counterfactual,
    Explanation,
    Provenance,
    ToggleDimension,
    Toggles,
)

FORMAT_VERSION = 1
RECORD_FILE = "record.json"
PIXEL_TYPES = {8: np.uint8, 16: np.uint16}


class NotInArchive(ExplainerError):
    """An explanation that has not been computed, or was computed for something else."""


class CorruptRecord(ExplainerError):
    """A record whose files are missing, cut short or contradict each other."""


def write_explanation(
    folder: Path,
    explanation: Explanation,
    provenance: Provenance,
    bits: Literal[8, 16],
) -> None:
    """Write the files of one explanation into an empty folder.

    Parameters
    ----------
    bits
        Bits per pixel of the frames.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    record: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "digest": provenance.digest,
        "provenance": {**asdict(provenance), "weights_digest": dict(provenance.weights_digest)},
    }
    if isinstance(explanation, Attribution):
        record |= _write_attribution(folder, explanation)
    elif isinstance(explanation, Toggles):
        record |= _write_toggles(folder, explanation, bits)
    else:
        record |= _write_counterfactual(folder, explanation, bits)
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / RECORD_FILE).write_text(text + "\n", encoding="utf-8")


def _write_attribution(folder: Path, explanation: Attribution) -> dict[str, Any]:
    scale = float(np.abs(explanation.values).max(initial=0)) or 1.0
    np.save(folder / "values.npy", (explanation.values / np.float32(scale)).astype(np.float16))
    return {
        "kind": "attribution",
        "shape": list(explanation.values.shape),
        "scale": scale,
        "logit": explanation.logit,
        "probability": explanation.probability,
        "method_error": explanation.method_error,
    }


def _write_counterfactual(
    folder: Path, explanation: Counterfactual, bits: Literal[8, 16]
) -> dict[str, Any]:
    _write_frames(folder, explanation.frames, bits)
    return {
        "kind": "counterfactual",
        "shape": list(explanation.frames.shape),
        "bits": bits,
        "steps": explanation.steps.tolist(),
        "origin": explanation.origin,
        "probabilities": explanation.probabilities.tolist(),
        "reached_low": explanation.reached_low,
        "reached_high": explanation.reached_high,
        "probability_image": explanation.probability_image,
        "note": explanation.note,
        "measures": dict(explanation.measures),
    }


def _write_toggles(folder: Path, explanation: Toggles, bits: Literal[8, 16]) -> dict[str, Any]:
    _write_frames(folder, explanation.frames, bits)
    return {
        "kind": "toggles",
        "shape": list(explanation.frames.shape),
        "bits": bits,
        "dimensions": [asdict(each) for each in explanation.dimensions],
        "probabilities": explanation.probabilities.tolist(),
        "probability_image": explanation.probability_image,
        "mean_error": explanation.mean_error,
        "note": explanation.note,
    }


def _write_frames(folder: Path, frames: NDArray[np.float32], bits: Literal[8, 16]) -> None:
    (folder / "frames").mkdir()
    for number, frame in enumerate(frames):
        whole = np.rint(frame.astype(np.float64) * (2**bits - 1)).astype(PIXEL_TYPES[bits])
        Image.fromarray(whole).save(_frame_path(folder, number), format="PNG", compress_level=4)


def corrupt(path: Path, problem: str) -> CorruptRecord:
    """Build the error for a damaged file."""
    return CorruptRecord(
        f"{path} is damaged: {problem}. Run `counterlight explain` again; it replaces the record."
    )


def parse_record(path: Path) -> dict[str, Any]:
    """Read one ``record.json`` as far as every record has it.

    Raises
    ------
    CorruptRecord
        If it is not readable, of another format, or lacks what every record has.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise corrupt(path, f"it is not readable JSON ({error})") from error
    if not isinstance(record, dict) or record.get("format_version") != FORMAT_VERSION:
        raise corrupt(path, f"it is no record of format {FORMAT_VERSION}")
    wanted = {"provenance": dict, "shape": list, "digest": str, "kind": str}
    for name, kind in wanted.items():
        if not isinstance(record.get(name), kind):
            raise corrupt(path, f"it lacks {name!r}")
    n_axes = {"attribution": 2, "counterfactual": 3, "toggles": 3}.get(record["kind"])
    if len(record["shape"]) != n_axes or not all(
        isinstance(length, int) and length > 0 for length in record["shape"]
    ):
        raise corrupt(path, f"its shape is {record['shape']} and its kind {record['kind']!r}")
    return record


def is_complete(folder: Path, record: dict[str, Any]) -> bool:
    """Say whether the files that a record speaks of are there and can be read."""
    try:
        read_explanation(folder, record, str(record["provenance"].get("finding")))
    except CorruptRecord:
        return False
    return True


def read_explanation(folder: Path, record: dict[str, Any], finding: str) -> Explanation:
    """Read the explanation that a record (from :func:`parse_record`) speaks of.

    Raises
    ------
    CorruptRecord
        If a file is damaged; the sentence names it.
    """
    path = folder / RECORD_FILE
    try:
        if record["kind"] == "attribution":
            return _read_attribution(folder, record, finding)
        if record["kind"] == "toggles":
            return _read_toggles(folder, record, finding)
        return _read_counterfactual(folder, record, finding)
    except CorruptRecord:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise corrupt(path, f"a field is missing or wrong ({error})") from error
    except ExplainerError as error:
        raise corrupt(path, str(error)) from error


def _read_attribution(folder: Path, record: dict[str, Any], finding: str) -> Attribution:
    path = folder / "values.npy"
    try:
        stored = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise corrupt(path, "it is cut off, or no array of numbers") from error
    if list(stored.shape) != record["shape"] or stored.dtype != np.float16:
        raise corrupt(path, f"it holds {stored.dtype} values of shape {stored.shape}")
    method_error = record["method_error"]
    return Attribution(
        values=stored.astype(np.float32) * np.float32(record["scale"]),
        finding=finding,
        logit=float(record["logit"]),
        probability=float(record["probability"]),
        method_error=None if method_error is None else float(method_error),
    )


def _read_counterfactual(folder: Path, record: dict[str, Any], finding: str) -> Counterfactual:
    return Counterfactual(
        frames=_read_frames(folder, record),
        steps=np.asarray(record["steps"], np.float64),
        origin=int(record["origin"]),
        probabilities=np.asarray(record["probabilities"], np.float64),
        finding=finding,
        reached_low=bool(record["reached_low"]),
        reached_high=bool(record["reached_high"]),
        probability_image=float(record["probability_image"]),
        note=str(record.get("note", "")),  # absent in records of earlier versions
        measures={str(k): float(v) for k, v in dict(record.get("measures", {})).items()},
    )


def _read_toggles(folder: Path, record: dict[str, Any], finding: str) -> Toggles:
    return Toggles(
        frames=_read_frames(folder, record),
        dimensions=tuple(ToggleDimension(**each) for each in record["dimensions"]),
        probabilities=np.asarray(record["probabilities"], np.float64),
        finding=finding,
        probability_image=float(record["probability_image"]),
        mean_error=float(record["mean_error"]),
        note=str(record["note"]),
    )


def _read_frames(folder: Path, record: dict[str, Any]) -> NDArray[np.float32]:
    """Read the pictures of a record, (T, H, W)."""
    n_frames, height, width = record["shape"]
    frames = np.empty((n_frames, height, width), np.float32)
    for number in range(n_frames):
        frames[number] = _read_frame(_frame_path(folder, number), (height, width), record["bits"])
    return frames


def _frame_path(folder: Path, number: int) -> Path:
    return folder / "frames" / f"{number:03d}.png"


def _read_frame(path: Path, shape: tuple[int, int], bits: int) -> NDArray[np.float32]:
    """Read one grey PNG as (H, W), float32, in [0, 1]."""
    try:
        with Image.open(path) as picture:
            whole = np.asarray(picture)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise corrupt(path, str(error)) from error
    if whole.shape != shape or whole.dtype != PIXEL_TYPES[bits]:
        raise corrupt(path, f"it holds {whole.dtype} pixels of shape {whole.shape}")
    return whole.astype(np.float32) / np.float32(2**bits - 1)
