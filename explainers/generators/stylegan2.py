"""StyleGAN2 in plain PyTorch (Karras et al., CVPR 2020, arXiv:1912.04958), grey images.

Generator and discriminator follow §2 (modulation and demodulation of weights, noise added after
the convolution) and §4 (skip generator, residual discriminator) of the paper. Two things are
written for processors without tensor units, and change no number:

- a modulated convolution scales its input by the styles and its output by the demodulation, with
  one weight for the whole batch, where the published code makes one weight per image;
- doubling by bilinear interpolation is the filter [1, 3, 3, 1] of the paper, up to the border.

At the border this network repeats the edge, and its convolution of the doubled maps sees zeros
beyond; the published code has zeros around the maps before they are doubled. Weights that were
trained with the latter run with it (``borders``), and with its limit of activations (``clamp``).

The style vector S (Wu et al., CVPR 2021, arXiv:2011.12799) is the concatenation of the styles of
all layers in the order of :attr:`Generator.layers`, taken before a convolution scales its weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import ExplainerError

_SLOPE, _GAIN = 0.2, math.sqrt(2)

Borders = Literal["edge", "zero"]


@dataclass(frozen=True)
class StyleGANShape:
    """Sizes of a generator and its discriminator.

    Parameters
    ----------
    size
        Rows and columns, a power of two of at least 8.
    channel_base, channel_limit
        A layer at resolution r has min(channel_base / r, channel_limit) channels.
    latent
        Numbers in z and in w.
    n_mapping
        Fully connected layers from z to w.
    borders
        What lies beyond the maps when they are doubled: their edge again, or zeros.
    clamp
        Largest absolute value of an activation; 0 for no limit.

    Raises
    ------
    ExplainerError
        If a number is out of range.
    """

    size: int = 128
    channel_base: int = 2048
    channel_limit: int = 192
    latent: int = 128
    n_mapping: int = 4
    borders: Borders = "edge"
    clamp: float = 0.0

    def __post_init__(self) -> None:
        if self.size < 8 or self.size & (self.size - 1):
            raise ExplainerError(f"The size is {self.size}; expected a power of two from 8 on.")
        if min(self.channel_base // self.size, self.channel_limit, self.latent) < 1:
            raise ExplainerError(f"A layer would have no channels: {self}. Give a larger base.")
        if self.n_mapping < 1:
            raise ExplainerError(f"n_mapping is {self.n_mapping}; expected at least 1.")
        if self.borders not in ("edge", "zero"):
            raise ExplainerError(f"borders is {self.borders!r}; expected 'edge' or 'zero'.")
        if not 0 <= self.clamp < math.inf:
            raise ExplainerError(f"clamp is {self.clamp}; expected a limit above 0, or 0 for none.")

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, 16 … up to the size."""
        return tuple(2**power for power in range(2, self.size.bit_length()))

    def channels(self, resolution: int) -> int:
        """Channels of the layers at a resolution."""
        return min(self.channel_base // resolution, self.channel_limit)


@dataclass(frozen=True)
class StyleLayer:
    """Where a stretch of the style vector acts.

    Parameters
    ----------
    name
        E.g. ``"32/convolution 1"`` or ``"32/image"``.
    kind
        A convolution of features, or the projection to the image (toRGB).
    resolution
        Rows and columns of its output.
    start, stop
        Its dimensions in S; dimension d of S is input channel d − start of this layer.
    place
        Index among the layers of its kind.
    """

    name: str
    kind: Literal["convolution", "image"]
    resolution: int
    start: int
    stop: int
    place: int


@dataclass(frozen=True, eq=False)
class SynthesisState:
    """What stands between two layers of the generator.

    Parameters
    ----------
    maps
        Features (N, C, H, W).
    image
        The image so far (N, 1, H', W'), or ``None`` before the first projection.
    """

    maps: Tensor
    image: Tensor | None


class Equalised(nn.Module):
    """Fully connected layer with weights of unit variance, scaled when used (equalised rate)."""

    def __init__(
        self, n_in: int, n_out: int, *, bias: float = 0.0, rate: float = 1.0, active: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) / rate)
        self.bias = nn.Parameter(torch.full((n_out,), bias / rate))
        self._scale, self._rate, self._active = rate / math.sqrt(n_in), rate, active

    def forward(self, values: Tensor) -> Tensor:
        """(N, n_in) to (N, n_out)."""
        out = functional.linear(values, self.weight * self._scale, self.bias * self._rate)
        return activated(out) if self._active else out


class EqualisedConvolution(nn.Module):
    """Convolution with weights of unit variance, scaled when used."""

    def __init__(self, n_in: int, n_out: int, kernel: int, *, active: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(n_out)) if active else None
        self._scale, self._active = 1 / math.sqrt(n_in * kernel**2), active

    def forward(self, maps: Tensor) -> Tensor:
        """(N, n_in, H, W) to (N, n_out, H, W)."""
        padding = self.weight.shape[2] // 2
        out = functional.conv2d(maps, self.weight * self._scale, self.bias, padding=padding)
        return activated(out) if self._active else out


class Modulated(nn.Module):
    """Convolution whose input channels are scaled by styles (N, n_in).

    Demodulated, each output channel has unit variance for inputs of unit variance: Eq. 1 and 3.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, *, demodulate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in, kernel, kernel))
        self._scale, self._demodulate = 1 / math.sqrt(n_in * kernel**2), demodulate

    def scaled_weight(self) -> Tensor:
        """The weights as they are used, (n_out, n_in, k, k), before any style."""
        return self.weight * self._scale

    def forward(self, maps: Tensor, styles: Tensor, *, padded: bool = False) -> Tensor:
        """(N, n_in, H, W) to (N, n_out, H, W); maps that are ``padded`` lose their border."""
        weight = self.scaled_weight()
        padding = 0 if padded else weight.shape[2] // 2
        out = functional.conv2d(maps * styles[:, :, None, None], weight, padding=padding)
        if self._demodulate:
            power = weight.float().square().sum(dim=(2, 3))  # (n_out, n_in)
            scale = torch.rsqrt(styles.float().square() @ power.T + 1e-8)  # (N, n_out)
            out = out * scale.to(out.dtype)[:, :, None, None]
        return out


class Convolution(nn.Module):
    """Modulated 3 × 3 convolution, noise, bias and activation; doubles the sides if asked to."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        resolution: int,
        *,
        double: bool = False,
        borders: Borders = "edge",
        clamp: float = 0.0,
    ) -> None:
        super().__init__()
        self.modulated = Modulated(n_in, n_out, 3)
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(1, 1, resolution, resolution))
        self._double, self._borders, self._clamp = double, borders, clamp

    noise: Tensor

    def forward(self, maps: Tensor, styles: Tensor, noise: Tensor | None) -> Tensor:
        """(N, n_in, H, W) to (N, n_out, H', W'); the layer's own fixed noise where none given."""
        margin = self._double and self._borders == "zero"
        if self._double:
            maps = doubled(maps, self._borders, margin=margin)
        out = self.modulated(maps, styles, padded=margin)
        out = out + (self.noise if noise is None else noise) * self.noise_strength
        return limited(activated(out + self.bias[:, None, None]), self._clamp)


class Generator(nn.Module):
    """z → w → S → image.

    Parameters
    ----------
    shape
        Sizes.

    Attributes
    ----------
    layers : tuple of StyleLayer
        What every stretch of S does, in order.
    n_styles : int
        Dimensions of S.
    """

    mean_w: Tensor

    def __init__(self, shape: StyleGANShape) -> None:
        super().__init__()
        self.shape = shape
        self.mapping = nn.Sequential(
            *[
                Equalised(shape.latent, shape.latent, rate=0.01, active=True)
                for _ in range(shape.n_mapping)
            ],
        )
        first = shape.channels(4)
        self.constant = nn.Parameter(torch.randn(1, first, 4, 4))
        self.convolutions, self.projections = nn.ModuleList(), nn.ModuleList()
        widths: list[tuple[str, Literal["convolution", "image"], int, int]] = []
        n_in = first
        for resolution in shape.resolutions:
            n_out = shape.channels(resolution)
            for number, double in ((0, True), (1, False)) if resolution > 4 else ((0, False),):
                self.convolutions.append(
                    Convolution(
                        n_in,
                        n_out,
                        resolution,
                        double=double,
                        borders=shape.borders,
                        clamp=shape.clamp,
                    )
                )
                widths.append(
                    (f"{resolution}/convolution {number}", "convolution", resolution, n_in)
                )
                n_in = n_out
            self.projections.append(Modulated(n_out, 1, 1, demodulate=False))
            widths.append((f"{resolution}/image", "image", resolution, n_out))
        self.image_bias = nn.Parameter(torch.zeros(len(shape.resolutions)))
        self.affine = nn.ModuleList(
            Equalised(shape.latent, width, bias=1.0) for _, _, _, width in widths
        )
        self.layers = _placed(widths)
        self.n_styles = self.layers[-1].stop
        self.register_buffer("mean_w", torch.zeros(shape.latent))

    def latents(self, z: Tensor, *, truncation: float = 1.0) -> Tensor:
        """w (N, latent) of z (N, latent); ``truncation`` below 1 draws w towards its mean."""
        w = self.mapping(z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8))
        return w if truncation == 1 else self.mean_w + truncation * (w - self.mean_w)

    def styles(self, w: Tensor | Sequence[Tensor]) -> Tensor:
        """S (N, n_styles) of w (N, latent), or of one w per layer."""
        per_layer = [w] * len(self.affine) if isinstance(w, Tensor) else w
        parts = [affine(each) for affine, each in zip(self.affine, per_layer, strict=True)]
        return torch.cat(parts, dim=1)

    def synthesise(self, styles: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """Images (N, 1, size, size) of styles (N, n_styles).

        Values are about [−1, 1] and not clipped; :func:`to_brightness` brings them to [0, 1].
        The noise is the network's own, the same for every image, or drawn from ``noise``.

        Raises
        ------
        ExplainerError
            If the styles do not have ``n_styles`` numbers.
        """
        if styles.ndim != 2 or styles.shape[1] != self.n_styles:
            raise ExplainerError(
                f"The generator takes styles of shape (N, {self.n_styles}); got "
                f"{tuple(styles.shape)}."
            )
        state = self.begin(len(styles))
        for number in range(len(self.layers)):
            state = self.advance(number, state, styles, noise)
        assert state.image is not None
        return state.image

    def begin(self, n_images: int) -> SynthesisState:
        """Return what stands before the first layer: the learnt constant."""
        return SynthesisState(self.constant.expand(n_images, -1, -1, -1), None)

    def advance(
        self,
        number: int,
        state: SynthesisState,
        styles: Tensor,
        noise: torch.Generator | None = None,
    ) -> SynthesisState:
        """Run one layer.

        Parameters
        ----------
        number
            Index into :attr:`layers`.
        state
            What stands before it, of N images.
        styles
            (N, n_styles).
        noise
            As for :meth:`synthesise`.
        """
        layer = self.layers[number]
        part = styles[:, layer.start : layer.stop]
        if layer.kind == "convolution":
            drawn = _drawn(noise, len(styles), layer.resolution)
            maps = self.convolutions[layer.place](state.maps, part, drawn)
            return SynthesisState(maps, state.image)
        added = self.projections[layer.place](state.maps, part) + self.image_bias[layer.place]
        added = limited(added, self.shape.clamp)
        image = added if state.image is None else self.enlarged(state.image) + added
        return SynthesisState(state.maps, image)

    def enlarged(self, image: Tensor) -> Tensor:
        """Return an image (N, 1, H, W) with both sides doubled, as between two projections."""
        return doubled(image, self.shape.borders)

    def forward(self, z: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """Images (N, 1, size, size), about [−1, 1], of z (N, latent)."""
        return self.synthesise(self.styles(self.latents(z)), noise)


class Discriminator(nn.Module):
    """Residual discriminator with the spread of the batch as one more feature (§4)."""

    def __init__(self, shape: StyleGANShape, *, group: int = 4) -> None:
        super().__init__()
        self.shape = shape
        self._group = group
        blocks: list[nn.Module] = [EqualisedConvolution(1, shape.channels(shape.size), 1)]
        for resolution in shape.resolutions[:0:-1]:
            n_in, n_out = shape.channels(resolution), shape.channels(resolution // 2)
            blocks.append(_Halving(n_in, n_out))
        self.blocks = nn.Sequential(*blocks)
        width = shape.channels(4)
        self.last = EqualisedConvolution(width + 1, width, 3)
        self.dense = Equalised(width * 16, width, active=True)
        self.score = Equalised(width, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Scores (N,), higher for real, of images (N, 1, size, size) in about [−1, 1]."""
        maps = self.blocks(images)
        maps = self.last(torch.cat([maps, self._spread(maps)], dim=1))
        return self.score(self.dense(maps.flatten(1)))[:, 0]

    def _spread(self, maps: Tensor) -> Tensor:
        """Standard deviation over groups of the batch, (N, 1, 4, 4)."""
        n_images = len(maps)
        group = math.gcd(self._group, n_images)
        grouped = maps.reshape(group, n_images // group, *maps.shape[1:]).float()
        spread = (grouped.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
        column = spread.repeat(group).reshape(n_images, 1, 1, 1).to(maps.dtype)
        return column.expand(-1, 1, *maps.shape[2:])


class _Halving(nn.Module):
    """Two convolutions beside a shortcut; halves the sides."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.first = EqualisedConvolution(n_in, n_in, 3)
        self.second = EqualisedConvolution(n_in, n_out, 3)
        self.shortcut = EqualisedConvolution(n_in, n_out, 1, active=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, n_in, H, W) to (N, n_out, H/2, W/2)."""
        straight = self.shortcut(functional.avg_pool2d(maps, 2))
        bent = functional.avg_pool2d(self.second(self.first(maps)), 2)
        return (straight + bent) / _GAIN


def activated(values: Tensor) -> Tensor:
    """Leaky ReLU that keeps the variance."""
    return functional.leaky_relu(values, _SLOPE) * _GAIN


def limited(values: Tensor, clamp: float) -> Tensor:
    """Values held to ±``clamp``; 0 for no limit."""
    return values.clamp(-clamp, clamp) if clamp else values


def doubled(maps: Tensor, borders: Borders = "edge", *, margin: bool = False) -> Tensor:
    """Both sides doubled with the filter [1, 3, 3, 1].

    Parameters
    ----------
    maps
        (N, C, H, W).
    borders
        What lies beyond the maps.
    margin
        With zeros beyond: return the pixel around the result as well, (N, C, 2H + 2, 2W + 2),
        which the filter fills from the edge and a 3 × 3 convolution without padding uses up.
    """
    if borders == "edge":
        return functional.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
    wide = functional.interpolate(
        functional.pad(maps, (1, 1, 1, 1)), scale_factor=2, mode="bilinear", align_corners=False
    )
    cut = 1 if margin else 2
    return wide[:, :, cut:-cut, cut:-cut]


def to_brightness(images: Tensor) -> Tensor:
    """Generated images, about [−1, 1], as brightness in [0, 1]; clipped."""
    return (images / 2 + 0.5).clamp(0, 1)


def from_brightness(images: Tensor) -> Tensor:
    """Brightness in [0, 1] as the networks see it, [−1, 1]."""
    return images * 2 - 1


def _placed(
    widths: Sequence[tuple[str, Literal["convolution", "image"], int, int]],
) -> tuple[StyleLayer, ...]:
    layers, start, places = [], 0, {"convolution": 0, "image": 0}
    for name, kind, resolution, width in widths:
        layers.append(StyleLayer(name, kind, resolution, start, start + width, places[kind]))
        places[kind] += 1
        start += width
    return tuple(layers)


def _drawn(noise: torch.Generator | None, n_images: int, resolution: int) -> Tensor | None:
    if noise is None:
        return None
    return torch.randn(n_images, 1, resolution, resolution, generator=noise)
