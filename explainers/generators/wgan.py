"""A Wasserstein GAN of DCGAN shape with an encoder and heads on its latent (Seah et al. 2018).

Generator and critic are those of Radford et al. (arXiv:1511.06434) without batch normalisation and
with SELU (Klambauer et al., arXiv:1706.02515), as "Generative Visual Rationales" trains them
(arXiv:1804.04539, §2). Inside the networks images lie in [−1, 1] (tanh); :class:`WGAN` takes and
returns brightness in [0, 1].
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.checkpoint import read_network, write_network
from explainers.generators.latent_head import Head, read_head_shape

KIND = "wgan"


@dataclass(frozen=True)
class WGANShape:
    """Sizes of a generator, its critic and its encoder.

    Parameters
    ----------
    size
        Rows and columns: 4, 5, 6 or 7 times a power of two, e.g. 28, 32 or 128.
    latent
        Numbers in z; 100 in the paper.
    channel_base, channel_limit
        A layer of the generator at resolution r has min(channel_base / r, channel_limit) channels.
    critic_base
        The same base in critic and encoder.

    Raises
    ------
    ExplainerError
        If a number is out of range.
    """

    size: int = 128
    latent: int = 100
    channel_base: int = 1024
    channel_limit: int = 256
    critic_base: int = 1024

    def __post_init__(self) -> None:
        start = self.size
        while start > 7 and start % 2 == 0:
            start //= 2
        if not 4 <= start <= 7 or self.size < 8:
            raise ExplainerError(
                f"The size is {self.size}; expected 4, 5, 6 or 7 times a power of two from 8 on, "
                "such as 28, 32 or 128."
            )
        bases = (self.channel_base, self.critic_base)
        if min(*bases) * 2 < self.size or min(self.channel_limit, self.latent) < 1:
            raise ExplainerError(f"A layer would have no channels: {self}. Give a larger base.")

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Sides of the feature maps, from the smallest (4 to 7) to the size."""
        sides = [self.size]
        while sides[-1] > 7:
            sides.append(sides[-1] // 2)
        return tuple(reversed(sides))

    def channels(self, resolution: int, base: int) -> int:
        """Channels of the layers at a resolution."""
        return max(min(base // resolution, self.channel_limit), 1)


class Generator(nn.Module):
    """z to an image in [−1, 1]: a linear layer, then transposed convolutions that double."""

    def __init__(self, shape: WGANShape) -> None:
        super().__init__()
        self.shape = shape
        sides = shape.resolutions
        widths = [shape.channels(side, shape.channel_base) for side in sides[:-1]] + [1]
        self.start = nn.Linear(shape.latent, widths[0] * sides[0] ** 2)
        self.doubling = nn.ModuleList(
            nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1)
            for n_in, n_out in pairwise(widths)
        )
        initialise(self)

    def forward(self, z: Tensor) -> Tensor:
        """Images (N, 1, S, S) in [−1, 1] of latents (N, D)."""
        side = self.shape.resolutions[0]
        maps = nn.functional.selu(self.start(z).unflatten(1, (-1, side, side)))
        for layer in self.doubling[:-1]:
            maps = nn.functional.selu(layer(maps))
        return torch.tanh(self.doubling[-1](maps).float())


class Halving(nn.Module):
    """Images in [−1, 1] to ``n_out`` numbers: convolutions that halve, then a linear layer."""

    def __init__(self, shape: WGANShape, n_out: int) -> None:
        super().__init__()
        self.shape = shape
        sides = tuple(reversed(shape.resolutions))
        widths = [1] + [shape.channels(side, shape.critic_base) for side in sides[1:]]
        self.halving = nn.ModuleList(
            nn.Conv2d(n_in, width, 4, stride=2, padding=1) for n_in, width in pairwise(widths)
        )
        self.end = nn.Linear(widths[-1] * sides[-1] ** 2, n_out)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Numbers (N, n_out) of images (N, 1, S, S) in [−1, 1]."""
        maps = images
        for layer in self.halving:
            maps = nn.functional.selu(layer(maps))
        return self.end(maps.flatten(1)).float()


class Critic(Halving):
    """Scores (N, 1), without a sigmoid: high for films, low for samples."""

    def __init__(self, shape: WGANShape) -> None:
        super().__init__(shape, 1)


class Encoder(Halving):
    """Latents (N, D) of images: the critic's shape, where ``critic_base`` is the encoder's own."""

    def __init__(self, shape: WGANShape) -> None:
        super().__init__(shape, shape.latent)


class WGAN(nn.Module):
    """A frozen generator with, where trained, its encoder and heads; images in [0, 1].

    It satisfies :class:`explainers.generators.base.Autoencoder` once it has an encoder.

    Parameters
    ----------
    generator
        G.
    encoder
        E, or ``None``.
    heads
        Heads on z, of different names.
    weights_digest
        SHA-256 of the file, empty for one that was never saved.
    reconstruction_error
        95th percentile of the mean absolute error (in [0, 1]) of G(E(x)) on held-out images: an
        image above it does not lie on the generator's manifold. NaN where not measured.
    """

    input_range = (0.0, 1.0)

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder | None = None,
        heads: Sequence[Head] = (),
        *,
        weights_digest: str = "",
        reconstruction_error: float = math.nan,
    ) -> None:
        super().__init__()
        names = [head.shape.name for head in heads]
        if len(set(names)) < len(names):
            raise ExplainerError(f"Two heads share a name: {names}.")
        self.generator, self.encoder, self.heads = generator, encoder, nn.ModuleList(heads)
        self.weights_digest, self.reconstruction_error = weights_digest, reconstruction_error
        self.eval().requires_grad_(False)

    def __repr__(self) -> str:
        return f"WGAN({self.shape}, weights_digest={self.weights_digest[:12]!r})"

    @property
    def shape(self) -> WGANShape:
        """Sizes."""
        return self.generator.shape

    @property
    def input_size(self) -> tuple[int, int]:
        """Rows and columns of its images."""
        return self.shape.size, self.shape.size

    @property
    def latent(self) -> int:
        """Numbers in z."""
        return self.shape.latent

    @property
    def latent_shape(self) -> tuple[int]:
        """(D,)."""
        return (self.shape.latent,)

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the heads."""
        return tuple(head.shape.name for head in self._heads)

    @property
    def _heads(self) -> list[Head]:
        return [head for head in self.heads if isinstance(head, Head)]

    def head(self, name: str) -> Head:
        """The head called ``name``.

        Raises
        ------
        ExplainerError
            If there is none.
        """
        for head in self._heads:
            if head.shape.name == name:
                return head
        raise ExplainerError(
            f"The WGAN has no head {name!r}; it has {', '.join(self.head_names) or 'none'}. Train "
            "one with `counterlight train latent-regressor`."
        )

    def generate(self, z: Tensor) -> Tensor:
        """G(z), images (N, 1, S, S) in [0, 1], of latents (N, D); differentiable.

        Raises
        ------
        ExplainerError
            If the latents have another shape.
        """
        if z.ndim != 2 or z.shape[1] != self.latent:
            raise ExplainerError(
                f"The generator takes latents of shape (N, {self.latent}); got {tuple(z.shape)}."
            )
        return to_unit(self.generator(z))

    def encode(self, images: Tensor) -> Tensor:
        """E(x), latents (N, D), of images (N, 1, S, S) in [0, 1]; differentiable.

        Raises
        ------
        ExplainerError
            If there is no encoder or the images have another shape.
        """
        if self.encoder is None:
            raise ExplainerError(
                "This WGAN has no encoder yet; train it with `counterlight train wgan-encoder`."
            )
        size = self.shape.size
        if images.ndim != 4 or images.shape[1:] != (1, size, size):
            raise ExplainerError(
                f"The encoder takes images of shape (N, 1, {size}, {size}); got "
                f"{tuple(images.shape)}. Resize them first."
            )
        return self.encoder(to_signed(images))

    def decode(self, latents: Tensor) -> Tensor:
        """The same as :meth:`generate`, under the name that autoencoders have."""
        return self.generate(latents)

    def forward(self, images: Tensor) -> Tensor:
        """G(E(x)), (N, 1, S, S) in [0, 1]."""
        return self.generate(self.encode(images))


def initialise(network: nn.Module) -> None:
    """LeCun's normal weights and no bias, which self-normalising layers ask for."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        elif isinstance(module, nn.ConvTranspose2d):  # of 4 × 4 weights, 2 × 2 meet a pixel
            nn.init.normal_(module.weight, std=1 / math.sqrt(4 * module.weight.shape[0]))
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def to_unit(images: Tensor) -> Tensor:
    """[−1, 1] to [0, 1]."""
    return (images + 1) / 2


def to_signed(images: Tensor) -> Tensor:
    """[0, 1] to [−1, 1]."""
    return images * 2 - 1


def tensors_digest(network: nn.Module) -> str:
    """SHA-256 over the weights as they would be saved (float16): equal before and after saving."""
    total = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        total.update(name.encode())
        total.update(value.detach().half().contiguous().cpu().numpy().tobytes())
    return total.hexdigest()


def save_wgan(path: Path, wgan: WGAN) -> str:
    """Write generator, encoder and heads to one ``.safetensors`` file; return its digest.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.
    """
    error = wgan.reconstruction_error
    header: dict[str, Any] = {
        "shape": asdict(wgan.shape),
        "encoder_base": 0 if wgan.encoder is None else wgan.encoder.shape.critic_base,
        "heads": [asdict(head.shape) for head in wgan._heads],
        "reconstruction_error": error if math.isfinite(error) else None,
    }
    return write_network(path, wgan, KIND, header)


def load_wgan(path_or_name: str | Path) -> WGAN:
    """Load a WGAN from a file or by the name of a shipped one; frozen, in float32.

    Raises
    ------
    ExplainerError
        If the file is missing, unreadable, of another kind, or does not fit its architecture.
    """
    saved = read_network(path_or_name, KIND)
    shape = WGANShape(**{name: int(value) for name, value in saved.field("shape").items()})
    with torch.random.fork_rng(devices=[]):
        heads = [
            Head(read_head_shape(entry, saved.path.name), shape.latent)
            for entry in saved.field("heads")
        ]
        base = int(saved.field("encoder_base"))
        encoder = Encoder(replace(shape, critic_base=base)) if base else None
        wgan = WGAN(Generator(shape), encoder, heads)
    saved.fill(wgan)
    # Channels-last convolutions are faster on a CPU; torch's stubs do not know the argument.
    wgan.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    error = saved.field("reconstruction_error")
    wgan.weights_digest = saved.digest
    wgan.reconstruction_error = math.nan if error is None else float(error)
    return wgan


def open_wgan(text: str) -> WGAN:
    """Open the network of the role ``"wgan"``: a WGAN that has an encoder.

    Raises
    ------
    ExplainerError
        As :func:`load_wgan`, or if it has no encoder.
    """
    wgan = load_wgan(text)
    if wgan.encoder is None:
        raise ExplainerError(
            f"{text} holds a generator without an encoder; train it with `counterlight train "
            "wgan-encoder`."
        )
    return wgan
