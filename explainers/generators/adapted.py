"""An autoencoder that somebody else made, as one of this package, after checks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.classifiers.adapted import check_geometry, probe_images, state_digest
from explainers.classifiers.usermodule import UserAutoencoder, call_factory


class AdaptedAutoencoder(nn.Module):
    """A frozen module with ``encode`` and ``decode``, for images in [0, 1].

    Parameters
    ----------
    network
        Works on images in ``input_range``; put into evaluation mode.
    input_size, input_range
        Rows and columns; value of black and of white. What it decodes is brought back to [0, 1]
        and cut off there.

    Raises
    ------
    ExplainerError
        If it does not return an image of that size, returns NaN, or cannot be differentiated.
    """

    def __init__(
        self,
        network: nn.Module,
        input_size: tuple[int, int],
        input_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__()
        for name in ("encode", "decode"):
            if not callable(getattr(network, name, None)):
                raise ExplainerError(f"The autoencoder {type(network).__name__} has no {name}().")
        check_geometry(input_size, input_range)
        self.network = network
        self.input_size = (int(input_size[0]), int(input_size[1]))
        self.input_range = (float(input_range[0]), float(input_range[1]))
        self.weights_digest = state_digest(network)
        for layer in self.modules():
            if hasattr(layer, "inplace"):
                setattr(layer, "inplace", False)  # noqa: B010 (not every layer has it)
        # Channels-last convolutions are faster on a CPU; torch's stubs do not know the argument.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.eval().requires_grad_(False)
        self.latent_shape = self._tried()

    def __repr__(self) -> str:
        return (
            f"AdaptedAutoencoder(network={type(self.network).__name__}, "
            f"latent_shape={self.latent_shape}, weights_digest={self.weights_digest[:12]!r})"
        )

    def encode(self, images: Tensor) -> Tensor:
        """Latents (N, …) of images (N, 1, H, W) in [0, 1].

        Raises
        ------
        ExplainerError
            If the images have another size.
        """
        if images.ndim != 4 or tuple(images.shape[1:]) != (1, *self.input_size):
            raise ExplainerError(
                f"The autoencoder takes images of shape (N, 1, {self.input_size[0]}, "
                f"{self.input_size[1]}); got {tuple(images.shape)}."
            )
        black, white = self.input_range
        latents: Tensor = self.network.encode(  # type: ignore[operator]
            black + (white - black) * images
        )
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Images (N, 1, H, W) in [0, 1]."""
        black, white = self.input_range
        decoded: Tensor = self.network.decode(latents)  # type: ignore[operator]
        return ((decoded - black) / (white - black)).clamp(0, 1)

    def forward(self, images: Tensor) -> Tensor:
        """D(E(x)), (N, 1, H, W) in [0, 1]."""
        return self.decode(self.encode(images))

    def _tried(self) -> tuple[int, ...]:
        """Run two images through, check what comes back, and return the latent's shape."""
        images, (rows, columns) = probe_images(self.input_size, (0.0, 1.0))[2:], self.input_size
        try:
            with torch.no_grad():
                latents = self.encode(images)
            latents = latents.detach().clone().requires_grad_()
            with torch.enable_grad():
                decoded = self.decode(latents)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            raise ExplainerError(
                f"The autoencoder fails on images of {rows} × {columns}: {error}. "
                "Check its input_size."
            ) from error
        if decoded.shape != images.shape:
            raise ExplainerError(
                f"The autoencoder returned {tuple(decoded.shape)} for images of "
                f"{tuple(images.shape)}; it was made for another size."
            )
        if not (torch.isfinite(latents).all() and torch.isfinite(decoded).all()):
            raise ExplainerError(
                "The autoencoder returns NaN or infinite values; check its weights."
            )
        if not decoded.requires_grad:
            raise ExplainerError(
                "The autoencoder's decode() cannot be differentiated; remove no_grad(), detach() "
                "or NumPy from it."
            )
        return tuple(latents.shape[1:])


def open_user_autoencoder(text: str) -> AdaptedAutoencoder:
    """Call the factory ``module:factory`` and check the autoencoder it returns.

    Raises
    ------
    ExplainerError
        If there is no such factory, it fails, or its autoencoder is not usable.
    """
    made = call_factory(text)
    if not isinstance(made, UserAutoencoder):
        raise ExplainerError(
            f"{text} returned {type(made).__name__}; expected a UserAutoencoder (from "
            "explainers.classifiers.usermodule)."
        )
    return AdaptedAutoencoder(made.module, made.input_size, made.input_range)
