"""What every autoencoder offers to the counterfactual methods."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Autoencoder(Protocol):
    """An encoder E and a decoder D with D(E(x)) close to x.

    Attributes
    ----------
    input_size : (int, int)
        Rows and columns of the images it was trained on.
    latent_shape : tuple of int
        Shape of one latent at that size, e.g. (24, 8, 8).
    weights_digest : str
        SHA-256 of the weights, hexadecimal.
    """

    @property
    def input_size(self) -> tuple[int, int]: ...

    @property
    def latent_shape(self) -> tuple[int, ...]: ...

    @property
    def weights_digest(self) -> str: ...

    def encode(self, images: Tensor) -> Tensor:
        """Latents (N, *latent_shape) of images (N, 1, H, W) in [0, 1]."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Images (N, 1, H, W) in [0, 1]; differentiable with respect to the latents."""
        ...
