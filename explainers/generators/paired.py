"""Paired image-to-image generators: one turns a prediction off, the other turns it on.

g0 maps images of which the classifier says 0 to images of which it says 1, g1 the other way round
(Charachon et al. 2021, arXiv:2106.14403). One pair serves several contrasts, such as six findings:
the contrast enters every block of the networks as a scale and a shift of its channels. The paper
trains one pair per task.

What differs between the systems is which image the adversarial one is compared with, the *stable*
image: the input itself (CyCE), the same generator applied to the adversarial image (SyCE, SSyE), a
generator of its own (CyCSAE), or a second head (SAGen).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import ExplainerError
from explainers.checkpoint import read_network, weights_path, write_network

KIND: Final = "paired"

Output: TypeAlias = Literal["clip", "sigmoid"]
Stable: TypeAlias = Literal["input", "same generator", "own generator", "second head"]


@dataclass(frozen=True)
class System:
    """One member of the family.

    Parameters
    ----------
    name, title
        As in commands and weights files; as shown to people.
    stable
        Where the stable image comes from.
    one_generator
        Whether one generator serves both directions.
    cyclic
        Whether the generators of the two directions meet in a cycle.
    """

    name: str
    title: str
    stable: Stable
    one_generator: bool = False
    cyclic: bool = True


_SYSTEMS: Final = (
    System("cyce", "CyCE", "input"),
    System("syce", "SyCE", "same generator"),
    System("ssye", "SSyE", "same generator", one_generator=True, cyclic=False),
    System("cycsae", "CyCSAE", "own generator"),
    System("sagen", "SAGen", "second head", one_generator=True, cyclic=False),
    System("cyclegan", "CycleGAN (no classifier)", "input"),
)

SYSTEMS: Final[Mapping[str, System]] = MappingProxyType({each.name: each for each in _SYSTEMS})
"""The systems by name."""


@dataclass(frozen=True)
class PairedShape:
    """Sizes of the networks.

    Parameters
    ----------
    size
        Rows and columns of the images; divisible by ``2 ** len(channels)``.
    channels
        Of the stages, from half the image's resolution down to the coarsest.
    n_contrasts
        Contrasts that one pair serves.
    output
        ``"clip"``: the image plus a change, clipped to [0, 1]; ``"sigmoid"``: drawn anew.
    n_heads
        1, or 2 for a stable image beside the adversarial one.

    Raises
    ------
    ExplainerError
        If a number does not fit.
    """

    size: int = 128
    channels: tuple[int, ...] = (32, 64, 96, 128)
    n_contrasts: int = 1
    output: Output = "clip"
    n_heads: int = 1

    def __post_init__(self) -> None:
        if not self.channels or self.size % 2 ** len(self.channels) or min(self.channels) < 1:
            raise ExplainerError(
                f"A generator of {len(self.channels)} stages takes images whose side is divisible "
                f"by {2 ** len(self.channels)}; got {self.size} pixels."
            )
        if self.n_contrasts < 1 or self.n_heads not in (1, 2):
            raise ExplainerError(
                "A pair serves at least one contrast with one or two heads; got "
                f"{self.n_contrasts} and {self.n_heads}."
            )


class _Block(nn.Module):
    """Two convolutions with group norm, scaled and shifted by the contrast."""

    def __init__(self, n_in: int, n_out: int, n_contrasts: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.second = nn.Conv2d(n_out, n_out, 3, padding=1)
        groups = max(1, n_out // 16) if n_out % 16 == 0 else 1
        self.norms = nn.ModuleList(nn.GroupNorm(groups, n_out) for _ in range(2))
        self.contrast = nn.Embedding(n_contrasts, 2 * n_out)
        nn.init.normal_(self.contrast.weight, std=0.5 if n_contrasts > 1 else 0.0)

    def forward(self, maps: Tensor, contrasts: Tensor) -> Tensor:
        scale, shift = self.contrast(contrasts)[:, :, None, None].chunk(2, dim=1)
        maps = functional.silu(self.norms[0](self.first(maps)))
        maps = self.norms[1](self.second(maps)) * (1 + scale) + shift
        return functional.silu(maps)


class Translator(nn.Module):
    """A U-Net from an image to one or two images.

    The image enters as 2 × 2 blocks of pixels, and leaves so: all convolutions work at half the
    resolution and below. With the output ``"clip"`` the network draws the change only, so that a
    network that has learnt nothing returns its input.
    """

    def __init__(self, shape: PairedShape) -> None:
        super().__init__()
        self.shape = shape
        channels, n = shape.channels, shape.n_contrasts
        self.down = nn.ModuleList(
            _Block(4 if number == 0 else channels[number - 1], width, n)
            for number, width in enumerate(channels)
        )
        self.up = nn.ModuleList(
            _Block(channels[number] + channels[number - 1], channels[number - 1], n)
            for number in range(len(channels) - 1, 0, -1)
        )
        self.out = nn.Conv2d(channels[0], 4 * shape.n_heads, 3, padding=1)
        if shape.output == "clip":
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor, contrasts: Tensor) -> Tensor:
        """Images (N, heads, S, S) in [0, 1] of images (N, 1, S, S) and contrasts (N,)."""
        maps, passed = functional.pixel_unshuffle(images, 2), []
        for number, block in enumerate(self.down):
            maps = block(maps if number == 0 else functional.avg_pool2d(maps, 2), contrasts)
            passed.append(maps)
        for block, beside in zip(self.up, reversed(passed[:-1]), strict=True):
            larger = functional.interpolate(maps, scale_factor=2, mode="nearest")
            maps = block(torch.cat([larger, beside], dim=1), contrasts)
        drawn = functional.pixel_shuffle(self.out(maps).float(), 2)  # (N, heads, S, S)
        if self.shape.output == "clip":
            return (images.float() + drawn).clamp(0, 1)
        return torch.sigmoid(drawn)


class PairDiscriminator(nn.Module):
    """Scores images as real ones of a domain; the contrast enters as a projection.

    Miyato & Koyama 2018: the score is linear in the pooled features, plus their product with a
    vector that belongs to the contrast.
    """

    def __init__(self, shape: PairedShape) -> None:
        super().__init__()
        widths = [min(width, 128) for width in shape.channels]
        layers: list[nn.Module] = []
        n_in = 1
        for width in widths:
            layers += [nn.Conv2d(n_in, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            n_in = width
        self.layers = nn.Sequential(*layers)
        self.score = nn.Conv2d(n_in, 1, 3, padding=1)
        self.contrast = nn.Embedding(shape.n_contrasts, n_in)
        nn.init.zeros_(self.contrast.weight)

    def forward(self, images: Tensor, contrasts: Tensor) -> Tensor:
        """Scores (N, rows, columns), one for each patch."""
        maps = self.layers(images)
        product = (maps * self.contrast(contrasts)[:, :, None, None]).sum(dim=1)
        return self.score(maps)[:, 0] + product / maps.shape[1] ** 0.5


@dataclass(frozen=True)
class Contrast:
    """What a pair tells apart.

    Parameters
    ----------
    name
        As goals call it: a finding, or ``"3 → 8"``.
    positive
        Class (index of the logit) of side 1.
    negative
        Class of side 0; ``None``: every other one.
    """

    name: str
    positive: int
    negative: int | None = None


class PairedGenerators(nn.Module):
    """Generators of both directions with what is known of them.

    Parameters
    ----------
    system
        Name of one of :data:`SYSTEMS`.
    shape
        Sizes of every generator.
    contrasts
        What they tell apart, in the order of their embeddings.
    classifier_digest
        Of the classifier that they were trained against.
    weights_digest
        SHA-256 of the weights file, empty if never saved.
    """

    def __init__(
        self,
        system: str,
        shape: PairedShape,
        contrasts: Sequence[Contrast],
        classifier_digest: str = "",
        weights_digest: str = "",
    ) -> None:
        super().__init__()
        if system not in SYSTEMS:
            raise ExplainerError(f"Unknown system {system!r}; choose from {', '.join(SYSTEMS)}.")
        if len(contrasts) != shape.n_contrasts:
            raise ExplainerError(
                f"{len(contrasts)} contrasts for generators of {shape.n_contrasts}; give as many."
            )
        self.system, self.shape, self.contrasts = SYSTEMS[system], shape, tuple(contrasts)
        self.classifier_digest, self.weights_digest = classifier_digest, weights_digest
        self.input_size = (shape.size, shape.size)
        self.input_range = (0.0, 1.0)
        n_directions = 1 if self.system.one_generator else 2
        self.generators = nn.ModuleList(Translator(shape) for _ in range(n_directions))
        self.stables = nn.ModuleList(
            Translator(shape)
            for _ in range(n_directions if self.system.stable == "own generator" else 0)
        )

    def __repr__(self) -> str:
        return f"PairedGenerators({self.system.name!r}, {self.weights_digest[:12]!r})"

    def index(self, name: str) -> int:
        """Return the number of a contrast.

        Raises
        ------
        ExplainerError
            If the pair was not trained for it.
        """
        names = [each.name for each in self.contrasts]
        if name not in names:
            raise ExplainerError(
                f"{self.system.title} was not trained for {name!r}; it knows {', '.join(names)}."
            )
        return names.index(name)

    def generator(self, side: int) -> Translator:
        """g_c, which takes images of side c (0 or 1) to the other side."""
        found = self.generators[0 if self.system.one_generator else side]
        assert isinstance(found, Translator)
        return found

    @torch.no_grad()
    def take_over(self, other: PairedGenerators) -> None:
        """Take over the generators of another pair of the same sizes and contrasts.

        Raises
        ------
        ExplainerError
            If they differ.
        """
        if (self.shape, self.contrasts) != (other.shape, other.contrasts) or len(
            self.generators
        ) != len(other.generators):
            raise ExplainerError(
                f"The pair to begin with is a {other.system.title} of {other.shape} for "
                f"{', '.join(each.name for each in other.contrasts)}; expected {self.shape} for "
                f"{', '.join(each.name for each in self.contrasts)}."
            )
        self.generators.load_state_dict(other.generators.state_dict())

    def adversarial(self, images: Tensor, contrasts: Tensor, side: int) -> Tensor:
        """a = g_c(x), (N, 1, S, S) in [0, 1]."""
        return self.generator(side)(images, contrasts)[:, -1:]

    def stable(self, images: Tensor, adversarial: Tensor, contrasts: Tensor, side: int) -> Tensor:
        """The image of the same side that the adversarial one is compared with."""
        match self.system.stable:
            case "input":
                return images
            case "same generator":
                return self.generator(side)(adversarial, contrasts)
            case "second head":
                return self.generator(side)(images, contrasts)[:, :1]
            case "own generator":
                made: Tensor = self.stables[side](images, contrasts)
                return made


def save_paired(path: Path, paired: PairedGenerators) -> str:
    """Write generators to a ``.safetensors`` file and return its digest.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.
    """
    header = {
        "system": paired.system.name,
        "shape": asdict(paired.shape),
        "contrasts": [asdict(each) for each in paired.contrasts],
        "classifier_digest": paired.classifier_digest,
        "input_size": list(paired.input_size),
    }
    return write_network(path, paired, KIND, header)


def load_paired(path_or_name: str | Path, system: str | None = None) -> PairedGenerators:
    """Load generators from a file or by the name of shipped ones; frozen, in evaluation mode.

    Parameters
    ----------
    path_or_name
        Path of a ``.safetensors`` file, or e.g. ``"phantom-syce"``.
    system
        The system that is wanted; ``None`` takes any.

    Raises
    ------
    ExplainerError
        If the file is missing, unreadable, of another kind or system, or does not fit its shape.
    """
    saved = read_network(path_or_name, KIND)
    name = str(saved.field("system"))
    if system is not None and name != system:
        raise ExplainerError(
            f"{weights_path(path_or_name).name} holds generators of {name}; expected {system}. "
            f"Give weights made with `counterlight train {system}`."
        )
    shape = dict(saved.field("shape"))
    shape["channels"] = tuple(int(width) for width in shape["channels"])
    contrasts = [Contrast(**each) for each in saved.field("contrasts")]
    with torch.random.fork_rng(devices=[]):
        paired = PairedGenerators(
            name,
            PairedShape(**shape),
            contrasts,
            str(saved.field("classifier_digest")),
            saved.digest,
        )
    saved.fill(paired)
    paired.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return paired


def load_syce(path_or_name: str) -> PairedGenerators:
    """Load generators of SyCE; see :func:`load_paired`."""
    return load_paired(path_or_name, "syce")


def load_cyce(path_or_name: str) -> PairedGenerators:
    """Load generators of CyCE; see :func:`load_paired`."""
    return load_paired(path_or_name, "cyce")
