"""What every classifier offers to the explainers, whoever trained it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Classifier(Protocol):
    """A multi-label classifier of greyscale images.

    Attributes
    ----------
    findings : tuple of str
        Names of the F findings; the position is the index of the finding in the logits.
    input_size : (int, int)
        Rows and columns that the network was trained on.
    input_range : (float, float)
        Value of black and of white in the images it expects.
    weights_digest : str
        SHA-256 of the weights, hexadecimal: two classifiers with one digest predict the same.
    """

    @property
    def findings(self) -> tuple[str, ...]: ...

    @property
    def input_size(self) -> tuple[int, int]: ...

    @property
    def input_range(self) -> tuple[float, float]: ...

    @property
    def weights_digest(self) -> str: ...

    def logits(self, images: Tensor) -> Tensor:
        """Uncalibrated logits (N, F) of images (N, 1, H, W)."""
        ...

    def probabilities(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities (N, F) in [0, 1]; 0.5 is the operating point."""
        ...
