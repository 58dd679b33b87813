"""What a generator can be trained on: a case set, or any array of small images such as digits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explainers.base import ExplainerError
from explainers.training.films import Split


class ImageSource(Protocol):
    """Images by row; :class:`explainers.training.films.Films` is one."""

    @property
    def size(self) -> int:
        """Rows and columns of every image."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 that changes with the images."""
        ...

    def rows(self, split: Split, *, counterfactuals: bool = False) -> NDArray[np.int64]:
        """Indices of one split."""
        ...

    def image_batch(self, rows: NDArray[np.int64]) -> Tensor:
        """Images (N, 1, S, S) float32 in [0, 1]."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images that are an array already.

    Parameters
    ----------
    images
        (N, S, S) uint8, 255 is white.
    splits
        (N,) of ``"train"``, ``"val"`` or ``"test"``.
    labels
        (N,) classes, or empty where there are none.

    Raises
    ------
    ExplainerError
        If shapes or types do not fit.
    """

    images: NDArray[np.uint8]
    splits: NDArray[np.str_]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        shape = self.images.shape
        if len(shape) != 3 or shape[1] != shape[2] or self.images.dtype != np.uint8:
            raise ExplainerError(
                f"Images come as uint8 of shape (N, S, S); got {self.images.dtype} {shape}."
            )
        if len(self.splits) != shape[0] or len(self.labels) not in (0, shape[0]):
            raise ExplainerError(
                f"{shape[0]} images with {len(self.splits)} splits and {len(self.labels)} labels; "
                "give one of each per image (labels may be empty)."
            )

    @property
    def size(self) -> int:
        """Rows and columns of every image."""
        return int(self.images.shape[1])

    @property
    def digest(self) -> str:
        """SHA-256 over images and splits."""
        total = hashlib.sha256(np.ascontiguousarray(self.images).tobytes())
        total.update("".join(self.splits.tolist()).encode())
        return total.hexdigest()

    def rows(self, split: Split, *, counterfactuals: bool = False) -> NDArray[np.int64]:
        """Indices of one split; there are no counterfactuals in an array."""
        return np.flatnonzero(self.splits == split).astype(np.int64)

    def image_batch(self, rows: NDArray[np.int64]) -> Tensor:
        """Images (N, 1, S, S) float32 in [0, 1]."""
        return torch.from_numpy(np.ascontiguousarray(self.images[rows]))[:, None].float() / 255
