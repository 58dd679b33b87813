"""The autoencoder that this package trains and ships."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.checkpoint import read_network, write_network
from explainers.generators.networks import (
    AutoencoderShape,
    ConvolutionalAutoencoder,
    build_autoencoder,
)


class OurAutoencoder(nn.Module):
    """A frozen autoencoder; see :class:`explainers.generators.base.Autoencoder`.

    Parameters
    ----------
    network
        Encoder and decoder. Put into evaluation mode; its parameters stop recording gradients,
        gradients with respect to images and latents still flow.
    shape
        Widths of the network.
    input_size
        Rows and columns of the images it was trained on, multiples of the shape's reduction.
    weights_digest
        SHA-256 of the weights file, empty for a network that was never saved.
    """

    def __init__(
        self,
        network: ConvolutionalAutoencoder,
        shape: AutoencoderShape,
        input_size: tuple[int, int],
        weights_digest: str = "",
    ) -> None:
        super().__init__()
        check_size(input_size, shape)
        self.network = network
        self.shape = shape
        self.input_size = input_size
        self.weights_digest = weights_digest
        self.eval().requires_grad_(False)

    def __repr__(self) -> str:
        return (
            f"OurAutoencoder(latent_shape={self.latent_shape}, "
            f"weights_digest={self.weights_digest[:12]!r})"
        )

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of one latent at the training size."""
        rows, columns = self.input_size
        reduction = self.shape.reduction
        return self.shape.latent_channels, rows // reduction, columns // reduction

    def encode(self, images: Tensor) -> Tensor:
        """Latents (N, D, H/r, W/r), r the reduction, of images (N, 1, H, W) in [0, 1].

        Raises
        ------
        ExplainerError
            If the images are not one-channel batches with sides that are multiples of r.
        """
        if images.ndim != 4 or images.shape[1] != 1:
            raise ExplainerError(
                f"The autoencoder takes images of shape (N, 1, H, W); got {tuple(images.shape)}."
            )
        check_size((images.shape[2], images.shape[3]), self.shape)
        return self.network.encode(images)

    def decode(self, latents: Tensor) -> Tensor:
        """Images (N, 1, rh, rw) in [0, 1] of latents (N, D, h, w).

        Raises
        ------
        ExplainerError
            If the latents have another number of channels.
        """
        if latents.ndim != 4 or latents.shape[1] != self.shape.latent_channels:
            raise ExplainerError(
                f"The decoder takes latents of shape (N, {self.shape.latent_channels}, h, w); "
                f"got {tuple(latents.shape)}."
            )
        return self.network.decode(latents)

    def forward(self, images: Tensor) -> Tensor:
        """D(E(x)), (N, 1, H, W) in [0, 1]."""
        return self.decode(self.encode(images))


def save_autoencoder(path: Path, autoencoder: OurAutoencoder) -> str:
    """Write an autoencoder to a ``.safetensors`` file and return its digest.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.
    """
    header = {
        "architecture": "convolutional",
        "latent_channels": autoencoder.shape.latent_channels,
        "encoder_widths": list(autoencoder.shape.encoder_widths),
        "decoder_widths": list(autoencoder.shape.decoder_widths),
        "input_size": list(autoencoder.input_size),
    }
    return write_network(path, autoencoder.network, "autoencoder", header)


def load_autoencoder(path_or_name: str | Path) -> OurAutoencoder:
    """Load an autoencoder from a file or by the name of a shipped one.

    Parameters
    ----------
    path_or_name
        Path of a ``.safetensors`` file, or e.g. ``"phantom-autoencoder"``.

    Returns
    -------
    OurAutoencoder
        On the CPU, float32, in evaluation mode.

    Raises
    ------
    ExplainerError
        If the file is missing, unreadable, of another kind, or does not fit its architecture.
    """
    saved = read_network(path_or_name, "autoencoder")
    if saved.field("architecture") != "convolutional":
        raise ExplainerError(
            f"{saved.path.name} names the architecture {saved.field('architecture')!r}; this "
            "version knows 'convolutional'."
        )
    shape = AutoencoderShape(
        int(saved.field("latent_channels")),
        tuple(int(width) for width in saved.field("encoder_widths")),
        tuple(int(width) for width in saved.field("decoder_widths")),
    )
    with torch.random.fork_rng(devices=[]):
        network = build_autoencoder(shape)
    saved.fill(network)
    # Channels-last convolutions are faster on a CPU; torch's stubs do not know the argument.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows, columns = saved.field("input_size")
    return OurAutoencoder(network, shape, (int(rows), int(columns)), saved.digest)


def check_size(size: tuple[int, int], shape: AutoencoderShape) -> None:
    """Refuse an image size the autoencoder cannot halve as often as it does.

    Raises
    ------
    ExplainerError
        If a side is not a positive multiple of the shape's reduction.
    """
    reduction = shape.reduction
    if min(size) < reduction or size[0] % reduction or size[1] % reduction:
        raise ExplainerError(
            f"The autoencoder takes images whose sides are multiples of {reduction}; "
            f"got {size[0]} × {size[1]}. Resize them first."
        )
