"""A network that guesses a film's styles at one glance, so that a projection begins near its end.

Styles of samples fill few directions: S is an affine map of w. The encoder therefore names a film's
place along the leading principal directions of S over samples of its generator, and nothing
outside them; the projection that follows searches all of S.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.checkpoint import read_network, write_network
from explainers.classifiers.networks import SmallNet
from explainers.generators.stylegan2 import Generator, to_brightness

KIND = "stylegan2_encoder"
_WIDTHS = (24, 48, 96, 192)
_SAMPLES = 2048


class StyleEncoder(nn.Module):
    """Image to S, by a small residual network and the principal directions of S.

    Parameters
    ----------
    size
        Rows and columns of the generator's films.
    n_styles
        Dimensions D of S.
    n_directions
        Principal directions K.
    generator_digest
        SHA-256 of the generator's file; styles mean nothing to another generator.
    weights_digest
        SHA-256 of the encoder's own file, empty if it was never saved.
    """

    mean: Tensor
    directions: Tensor

    def __init__(
        self,
        size: int,
        n_styles: int,
        n_directions: int,
        *,
        generator_digest: str,
        weights_digest: str = "",
    ) -> None:
        super().__init__()
        self.size, self.generator_digest = size, generator_digest
        self.weights_digest = weights_digest
        self.trunk = SmallNet(n_directions, _WIDTHS)
        self.register_buffer("mean", torch.zeros(n_styles))
        self.register_buffer("directions", torch.zeros(n_directions, n_styles))

    @property
    def input_size(self) -> tuple[int, int]:
        """Rows and columns of its images."""
        return self.size, self.size

    def places(self, images: Tensor) -> Tensor:
        """Places (N, K) along the directions, in standard deviations, of images in [0, 1]."""
        return self.trunk(images)

    def styles_at(self, places: Tensor) -> Tensor:
        """Styles (N, D) of places (N, K)."""
        return self.mean + places.float() @ self.directions

    def forward(self, images: Tensor) -> Tensor:
        """Styles (N, D) of images (N, 1, size, size) in [0, 1].

        Raises
        ------
        ExplainerError
            If the images are of another size.
        """
        if images.ndim != 4 or tuple(images.shape[1:]) != (1, self.size, self.size):
            raise ExplainerError(
                f"The encoder reads films of {self.size} × {self.size}; got images of "
                f"{tuple(images.shape)}. Bring them to (N, 1, {self.size}, {self.size}) first."
            )
        return self.styles_at(self.places(images))


class FirstGuess:
    """Encoder and generator as an :class:`explainers.generators.base.Autoencoder`.

    Parameters
    ----------
    encoder, generator
        The two networks.
    """

    def __init__(self, encoder: StyleEncoder, generator: Generator) -> None:
        self.encoder, self.generator = encoder, generator

    @property
    def input_size(self) -> tuple[int, int]:
        """Rows and columns of its images."""
        return self.encoder.input_size

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Dimensions of S."""
        return (self.generator.n_styles,)

    @property
    def weights_digest(self) -> str:
        """SHA-256 of the encoder."""
        return self.encoder.weights_digest

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Styles (N, D) of images (N, 1, size, size) in [0, 1]."""
        return self.encoder(images)

    def decode(self, latents: Tensor) -> Tensor:
        """Images (N, 1, size, size) in [0, 1] of styles (N, D)."""
        return to_brightness(self.generator.synthesise(latents))


@torch.no_grad()
def principal_directions(
    generator: Generator, n_directions: int, *, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Return the mean style (D,) and the directions (K, D), each as long as one deviation.

    K is ``n_directions``, or as many as the styles of the generator really have. They are the
    eigenvectors of the covariance, or of the samples' inner products where those are fewer.

    Parameters
    ----------
    generator
        The generator.
    n_directions
        The most directions to return.
    seed
        Of the samples.

    Raises
    ------
    ExplainerError
        If the styles do not vary at all.
    """
    dice = torch.Generator().manual_seed(seed)
    z = torch.randn(_SAMPLES, generator.shape.latent, generator=dice)
    styles = generator.styles(generator.latents(z)).double()
    mean = styles.mean(dim=0)
    centred = styles - mean
    few = centred.T if centred.shape[1] < _SAMPLES else centred  # the side with fewer rows
    power, vectors = torch.linalg.eigh(few @ few.T / (_SAMPLES - 1))  # ascending
    kept = int((power > 1e-9 * power[-1].clamp(min=1e-30)).sum())
    if kept == 0 or float(power[-1]) < 1e-12:
        raise ExplainerError(
            "The generator's styles are the same for every sample; it has not been trained."
        )
    chosen = torch.arange(len(power) - 1, len(power) - 1 - min(n_directions, kept), -1)
    leading = vectors[:, chosen].T  # (K, side)
    if few is centred:
        directions = leading @ centred / (_SAMPLES - 1) ** 0.5
    else:
        directions = leading * power[chosen].sqrt()[:, None]
    return mean.float(), directions.float()


def save_encoder(path: Path, encoder: StyleEncoder) -> str:
    """Write an encoder to a ``.safetensors`` file and return its digest.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.
    """
    header = {
        "size": encoder.size,
        "n_styles": len(encoder.mean),
        "n_directions": len(encoder.directions),
        "generator_digest": encoder.generator_digest,
    }
    return write_network(path, encoder, KIND, header)


def load_encoder(path_or_name: str | Path, *, generator_digest: str | None = None) -> StyleEncoder:
    """Load an encoder; frozen, in float32.

    Parameters
    ----------
    path_or_name
        A file, or the name of a shipped one.
    generator_digest
        The generator that it shall serve; not checked if not given.

    Raises
    ------
    ExplainerError
        If the file is missing, unreadable, of another kind, or of another generator.
    """
    saved = read_network(path_or_name, KIND)
    belongs = str(saved.field("generator_digest"))
    if generator_digest is not None and belongs != generator_digest:
        raise ExplainerError(
            f"{saved.path.name} was trained for the generator {belongs[:12]}, not for "
            f"{generator_digest[:12]}; train one with `counterlight train stylegan2-encoder`."
        )
    with torch.random.fork_rng(devices=[]):
        encoder = StyleEncoder(
            int(saved.field("size")),
            int(saved.field("n_styles")),
            int(saved.field("n_directions")),
            generator_digest=belongs,
            weights_digest=saved.digest,
        )
    saved.fill(encoder)
    return encoder
