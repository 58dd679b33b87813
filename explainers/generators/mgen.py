"""A network that draws the evidence for a prediction as a mask, in one pass.

Dabkowski & Gal 2017 (arXiv:1705.07857). The mask m ∈ [0, 1] is 1 where the image has to stay as it
is for the prediction, and 0 where it may as well be blurred. Theirs sits on the features of a
ResNet and chooses the class by an embedding; ours is the U-Net of the paired generators, with an
embedding for every contrast and predicted side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import ExplainerError
from explainers.checkpoint import read_network, write_network
from explainers.generators.paired import Contrast, PairedShape, Translator

KIND: Final = "mgen"

DIGIT_BLUR: Final = 0.1
"""Blur of digits, as a share of their side; less leaves their strokes as they are."""


@dataclass(frozen=True)
class MaskShape:
    """Sizes of the network.

    Parameters
    ----------
    size, channels
        As of :class:`explainers.generators.paired.PairedShape`.
    blur
        Standard deviation of the blur that takes evidence away, as a share of the image's side.

    Raises
    ------
    ExplainerError
        If a number does not fit.
    """

    size: int = 128
    channels: tuple[int, ...] = (16, 32, 64, 96)
    blur: float = 0.045

    def __post_init__(self) -> None:
        PairedShape(self.size, self.channels)
        if not 0 < self.blur < 0.5:
            raise ExplainerError(
                f"The blur is a share of the image's side between 0 and 0.5; got {self.blur}."
            )


class MaskGenerator(nn.Module):
    """The network with what is known of it.

    Parameters
    ----------
    shape
        Sizes.
    contrasts
        What the predictions are about, in the order of the embeddings.
    classifier_digest
        Of the classifier that it was trained with.
    weights_digest
        SHA-256 of the weights file, empty if never saved.
    """

    def __init__(
        self,
        shape: MaskShape,
        contrasts: Sequence[Contrast],
        classifier_digest: str = "",
        weights_digest: str = "",
    ) -> None:
        super().__init__()
        self.shape, self.contrasts = shape, tuple(contrasts)
        self.classifier_digest, self.weights_digest = classifier_digest, weights_digest
        self.input_size, self.input_range = (shape.size, shape.size), (0.0, 1.0)
        n_embeddings = 2 * len(self.contrasts)
        self.network = Translator(PairedShape(shape.size, shape.channels, n_embeddings, "sigmoid"))

    def __repr__(self) -> str:
        return f"MaskGenerator({self.weights_digest[:12]!r})"

    def index(self, name: str) -> int:
        """Return the number of a contrast.

        Raises
        ------
        ExplainerError
            If the network was not trained for it.
        """
        names = [each.name for each in self.contrasts]
        if name not in names:
            raise ExplainerError(f"MGen was not trained for {name!r}; it knows {', '.join(names)}.")
        return names.index(name)

    def masks(self, images: Tensor, contrasts: Tensor, sides: Tensor) -> Tensor:
        """m (N, 1, S, S) of images (N, 1, S, S), contrasts (N,) and predicted sides (N,)."""
        drawn: Tensor = self.network(images, 2 * contrasts + sides)
        return drawn

    def deleted(self, images: Tensor, masks: Tensor) -> Tensor:
        """Images with what the masks mark blurred."""
        return images - masks * (images - self.blurred(images))

    def kept(self, images: Tensor, masks: Tensor) -> Tensor:
        """Images with all but what the masks mark blurred."""
        return self.deleted(images, 1 - masks)

    def blurred(self, images: Tensor) -> Tensor:
        """Images (N, 1, S, S) blurred by a normal distribution, their edges repeated."""
        spread = self.shape.blur * self.shape.size
        reach = min(max(1, round(3 * spread)), self.shape.size - 1)
        offsets = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
        weights = torch.exp(-0.5 * (offsets / spread) ** 2)
        weights = weights / weights.sum()
        along = functional.pad(images, (reach,) * 4, mode="replicate")
        along = functional.conv2d(along, weights[None, None, :, None])
        return functional.conv2d(along, weights[None, None, None, :])


def save_mgen(path: Path, network: MaskGenerator) -> str:
    """Write a mask network to a ``.safetensors`` file and return its digest.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.
    """
    header = {
        "shape": asdict(network.shape),
        "contrasts": [asdict(each) for each in network.contrasts],
        "classifier_digest": network.classifier_digest,
        "input_size": list(network.input_size),
    }
    return write_network(path, network, KIND, header)


def load_mgen(path_or_name: str | Path) -> MaskGenerator:
    """Load a mask network from a file or by the name of a shipped one; frozen.

    Raises
    ------
    ExplainerError
        If the file is missing, unreadable, of another kind, or does not fit its shape.
    """
    saved = read_network(path_or_name, KIND)
    shape = dict(saved.field("shape"))
    shape["channels"] = tuple(int(width) for width in shape["channels"])
    contrasts = [Contrast(**each) for each in saved.field("contrasts")]
    with torch.random.fork_rng(devices=[]):
        digest = str(saved.field("classifier_digest"))
        network = MaskGenerator(MaskShape(**shape), contrasts, digest, saved.digest)
    saved.fill(network)
    return network
