"""Convolutional autoencoder: residual blocks without normalisation, smooth everywhere.

A Latent Shift follows one gradient through the decoder, so the decoder has smooth activations
(SiLU), enlarges bilinearly before it convolves (no checkerboard of transposed convolutions) and
computes the same in training and in use (no normalisation, no dropout).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import ExplainerError


@dataclass(frozen=True)
class AutoencoderShape:
    """Widths of an autoencoder.

    Parameters
    ----------
    latent_channels
        Channels of the latent. 24 on sides of a sixteenth of the image's are, at 128 px,
        24 × 8 × 8 = 1536 numbers, 9.4 % of the pixels (4608 of 224² are 9.2 %).
    encoder_widths
        Channels at 1/2, 1/4, 1/8 … of the image's sides; the last ones are the latent's sides.
    decoder_widths
        Channels from the latent's sides to full resolution, one more than the encoder has.

    Raises
    ------
    ExplainerError
        If a width is not positive or one is missing.
    """

    latent_channels: int = 24
    encoder_widths: tuple[int, ...] = (16, 32, 64, 128)
    decoder_widths: tuple[int, ...] = (128, 96, 48, 24, 8)

    def __post_init__(self) -> None:
        widths = (self.latent_channels, *self.encoder_widths, *self.decoder_widths)
        n_levels = len(self.encoder_widths)
        if n_levels < 2 or len(self.decoder_widths) != n_levels + 1 or min(widths) < 1:
            raise ExplainerError(
                "An autoencoder has at least one latent channel, at least two encoder widths and "
                f"one decoder width more, all positive; got {self}."
            )

    @property
    def reduction(self) -> int:
        """Sides of an image over sides of its latent."""
        return int(2 ** len(self.encoder_widths))


AUTOENCODERS: Mapping[str, AutoencoderShape] = MappingProxyType(
    {
        "small": AutoencoderShape(),
        "smaller": AutoencoderShape(24, (16, 32, 64, 96), (96, 64, 32, 16, 8)),
        "larger": AutoencoderShape(24, (24, 48, 96, 160), (160, 112, 64, 32, 12)),
        "finer": AutoencoderShape(16, (24, 48, 96), (96, 64, 32, 12)),
    }
)
"""Name of an architecture to its widths."""


class Residual(nn.Module):
    """x + two 3 × 3 convolutions; starts as its shortcut, which keeps it stable without norms."""

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, stride, 1)
        self.inner = nn.SiLU()
        self.second = nn.Conv2d(n_out, n_out, 3, 1, 1)
        self.outer = nn.SiLU()
        self.shortcut: nn.Module = nn.Identity()
        if n_in != n_out or stride != 1:
            self.shortcut = nn.Conv2d(n_in, n_out, stride, stride)
        nn.init.zeros_(self.second.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, n_in, H, W) to (N, n_out, H/stride, W/stride)."""
        return self.outer(self.shortcut(maps) + self.second(self.inner(self.first(maps))))


class Enlarge(nn.Module):
    """Mix channels, then double both sides bilinearly."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(n_in, n_out, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, n_in, H, W) to (N, n_out, 2H, 2W)."""
        mixed = self.mix(maps)
        return functional.interpolate(mixed, scale_factor=2, mode="bilinear", align_corners=False)


class ConvolutionalAutoencoder(nn.Module):
    """Encoder and decoder; see the module for the reasons behind their parts."""

    def __init__(self, shape: AutoencoderShape) -> None:
        super().__init__()
        first, *rest = shape.encoder_widths
        encoder: list[nn.Module] = [nn.PixelUnshuffle(2), nn.Conv2d(4, first, 3, 1, 1), nn.SiLU()]
        width = first
        for wider in rest:
            encoder.append(Residual(width, wider, 2))
            width = wider
        encoder.append(nn.Conv2d(width, shape.latent_channels, 1))
        self.encoder = nn.Sequential(*encoder)
        deepest, *middle, full = shape.decoder_widths
        decoder: list[nn.Module] = [
            nn.Conv2d(shape.latent_channels, deepest, 3, 1, 1),
            Residual(deepest, deepest),
        ]
        width = deepest
        for narrower in middle:
            decoder += [Enlarge(width, narrower), Residual(narrower, narrower)]
            width = narrower
        decoder += [Enlarge(width, full), nn.Conv2d(full, full, 3, 1, 1), nn.SiLU()]
        self.decoder = nn.Sequential(*decoder)
        self.film = nn.Conv2d(full, 1, 3, 1, 1)

    def encode(self, images: Tensor) -> Tensor:
        """Latents (N, D, H/r, W/r), r the reduction, of images (N, 1, H, W) in [0, 1]."""
        return self.encoder(images * 2 - 1)

    def decode(self, latents: Tensor) -> Tensor:
        """Images (N, 1, rh, rw) in (0, 1) of latents (N, D, h, w)."""
        maps = self.decoder(latents)
        # The last layer stays in float32: bfloat16 has 8 bits, a grey level of a film needs more.
        with torch.autocast(latents.device.type, enabled=False):
            return torch.sigmoid(self.film(maps.float()))

    def forward(self, images: Tensor) -> Tensor:
        """D(E(x)), (N, 1, H, W) in (0, 1)."""
        return self.decode(self.encode(images))


def build_autoencoder(shape: AutoencoderShape) -> ConvolutionalAutoencoder:
    """Build a network with fresh weights from the global random state."""
    return ConvolutionalAutoencoder(shape)


def autoencoder_shape(architecture: str, latent_channels: int | None = None) -> AutoencoderShape:
    """Widths of a named architecture, with another bottleneck if asked for.

    Raises
    ------
    ExplainerError
        If the architecture is unknown or the bottleneck is not positive.
    """
    if architecture not in AUTOENCODERS:
        raise ExplainerError(
            f"Unknown autoencoder architecture {architecture!r}; "
            f"choose one of {', '.join(AUTOENCODERS)}."
        )
    shape = AUTOENCODERS[architecture]
    if latent_channels is None:
        return shape
    return replace(shape, latent_channels=latent_channels)
