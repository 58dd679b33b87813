"""Finished stages of a long search on disk, by what they were made from; no stage is made twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from data.scratch import replacing
from explainers.base import ExplainerError

Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Stages:
    """A folder of finished stages.

    Parameters
    ----------
    folder
        Where they lie; made when the first one is kept.
    """

    folder: Path

    def made(self, stage: str, parts: Mapping[str, object], make: Callable[[], Arrays]) -> Arrays:
        """Return a stage from the disk, or make and keep it.

        Parameters
        ----------
        stage
            Its name; begins the file's name.
        parts
            Everything that determines the result, as JSON can hold it.
        make
            Makes float32 arrays by name.

        Raises
        ------
        ExplainerError
            If the disk refuses; and whatever ``make`` raises, in which case nothing is kept.
        """
        path = self.path(stage, parts)
        kept = _read(path)
        if kept is not None:
            return kept
        arrays = {name: np.ascontiguousarray(a, np.float32) for name, a in make().items()}
        try:
            with replacing(path) as fresh:
                fresh.write_bytes(save(arrays))
        except OSError as error:
            raise ExplainerError(f"{path} could not be written: {error}.") from error
        return arrays

    def path(self, stage: str, parts: Mapping[str, object]) -> Path:
        """Where a stage lies once it is made."""
        text = json.dumps([stage, parts], sort_keys=True, default=str)
        key = hashlib.sha256(text.encode()).hexdigest()[:20]
        return self.folder / f"{stage}-{key}.safetensors"


def _read(path: Path) -> Arrays | None:
    """Return the arrays, or ``None`` where they are absent or damaged and have to be made again."""
    try:
        return load(path.read_bytes())
    except (OSError, SafetensorError, ValueError):
        return None
