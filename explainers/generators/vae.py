"""A variational autoencoder with a class head: the space in which sets of images are compared.

Charachon et al. 2021 compare real with generated images by the mean vectors of a VAE that also
learnt to predict the class, so that the space keeps what tells the classes apart.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.checkpoint import read_network, write_network

KIND: Final = "vae"


@dataclass(frozen=True)
class VAEShape:
    """Sizes of the network.

    Parameters
    ----------
    size
        Rows and columns of the images; divisible by ``2 ** len(channels)``.
    channels
        Of the stages, each at half the resolution of the one before.
    latent
        Length of the mean vector.
    n_outputs
        Outputs of the class head.

    Raises
    ------
    ExplainerError
        If the size does not fit the stages.
    """

    size: int = 128
    channels: tuple[int, ...] = (16, 32, 64, 96)
    latent: int = 32
    n_outputs: int = 6

    def __post_init__(self) -> None:
        if not self.channels or self.size % 2 ** len(self.channels):
            raise ExplainerError(
                f"A VAE of {len(self.channels)} stages takes images whose side is divisible by "
                f"{2 ** len(self.channels)}; got {self.size} pixels."
            )

    @property
    def coarsest(self) -> int:
        """Rows and columns of the last stage."""
        return self.size // 2 ** len(self.channels)


class VAE(nn.Module):
    """Encoder to mean and log-variance, decoder, and a class head on the mean.

    Parameters
    ----------
    shape
        Sizes.
    weights_digest
        SHA-256 of the weights file, empty if never saved.
    """

    def __init__(self, shape: VAEShape, weights_digest: str = "") -> None:
        super().__init__()
        self.shape, self.weights_digest = shape, weights_digest
        self.input_size, self.input_range = (shape.size, shape.size), (0.0, 1.0)
        down: list[nn.Module] = []
        n_in = 1
        for width in shape.channels:
            down += [nn.Conv2d(n_in, width, 4, 2, 1), nn.GroupNorm(4, width), nn.SiLU()]
            n_in = width
        self.down = nn.Sequential(*down, nn.Flatten())
        n_flat = n_in * shape.coarsest**2
        self.moments = nn.Linear(n_flat, 2 * shape.latent)
        self.unfold = nn.Linear(shape.latent, n_flat)
        up: list[nn.Module] = []
        for width in (*reversed(shape.channels[:-1]), 0):
            up.append(nn.ConvTranspose2d(n_in, width or 1, 4, 2, 1))
            if width:
                up += [nn.GroupNorm(4, width), nn.SiLU()]
            n_in = width
        self.up = nn.Sequential(*up)
        self.head = nn.Sequential(
            nn.Linear(shape.latent, 64), nn.SiLU(), nn.Linear(64, shape.n_outputs)
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, (N, latent) each, of images (N, 1, S, S) in [0, 1]."""
        mean, log_variance = self.moments(self.down(images)).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 12)

    def decode(self, latents: Tensor) -> Tensor:
        """Images (N, 1, S, S) in [0, 1] of latents (N, latent)."""
        side = self.shape.coarsest
        drawn: Tensor = self.up(self.unfold(latents).unflatten(1, (-1, side, side)))
        return torch.sigmoid(drawn.float())

    def classes(self, means: Tensor) -> Tensor:
        """Logits (N, outputs) of mean vectors (N, latent)."""
        found: Tensor = self.head(means)
        return found.float()


def save_vae(path: Path, vae: VAE) -> str:
    """Write a VAE to a ``.safetensors`` file and return its digest.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.
    """
    header = {"shape": asdict(vae.shape), "input_size": list(vae.input_size)}
    return write_network(path, vae, KIND, header)


def load_vae(path_or_name: str | Path) -> VAE:
    """Load a VAE from a file or by the name of a shipped one; frozen, in evaluation mode.

    Raises
    ------
    ExplainerError
        If the file is missing, unreadable, of another kind, or does not fit its shape.
    """
    saved = read_network(path_or_name, KIND)
    shape = dict(saved.field("shape"))
    shape["channels"] = tuple(int(width) for width in shape["channels"])
    with torch.random.fork_rng(devices=[]):
        vae = VAE(VAEShape(**shape), saved.digest)
    saved.fill(vae)
    return vae
