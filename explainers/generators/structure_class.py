"""A generator with two latents: z1 says how the chest is built, z2 which findings it has.

Dravid & Katsaggelos (AAAI 2022) and medXGAN (arXiv:2204.05376) train one network for one class,
with z2 = 0 for its absence and z2 ~ N(0, I) for its presence. Here z2 has one block per finding, so
that one network serves all findings of a classifier: a block of zeros means that this finding is
absent.

The synthesis is that of :mod:`explainers.generators.stylegan2`. z1 goes through its mapping; the
blocks of z2 add to the styles S through layers **without biases**, whose only non-linearity is a
leaky rectifier. They are positively homogeneous, code(λ z2) = λ code(z2) for λ ≥ 0: z2 = 0 adds
nothing at all, and the traversal G(z1, λ z2) is a straight line in S.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from explainers.base import ExplainerError
from explainers.checkpoint import read_network, write_network
from explainers.generators.stylegan2 import Generator, StyleGANShape, to_brightness

KIND = "structure_class"
_SLOPE = 0.2
_FIRST_EFFECT = 0.2  # of the class on the styles before training
_SIZES = ("size", "channel_base", "channel_limit", "latent", "n_mapping")


@dataclass(frozen=True)
class StructureClassShape:
    """Sizes of a generator.

    Parameters
    ----------
    findings
        Names of the F findings, one block of z2 each.
    synthesis
        Sizes of the synthesis; its ``latent`` is the length of z1.
    block
        Numbers in a block of z2.
    hidden
        Units between a block and the code of its finding.
    code
        Numbers in the code of a finding.

    Raises
    ------
    ExplainerError
        If there is no finding, one is named twice, or a size is not positive.
    """

    findings: tuple[str, ...]
    synthesis: StyleGANShape = field(default_factory=StyleGANShape)
    block: int = 8
    hidden: int = 32
    code: int = 24

    def __post_init__(self) -> None:
        if not self.findings or len(set(self.findings)) < len(self.findings):
            raise ExplainerError(
                f"A structure/class generator needs findings of different names; got "
                f"{', '.join(self.findings) or 'none'}."
            )
        if min(self.block, self.hidden, self.code) < 1:
            raise ExplainerError(f"block, hidden and code are at least 1; got {self}.")


class StructureClassGenerator(nn.Module):
    """G(z1, z2); images of the same latents are the same, bit for bit.

    Parameters
    ----------
    shape
        Sizes and findings.
    """

    def __init__(self, shape: StructureClassShape) -> None:
        super().__init__()
        self.shape = shape
        self.synthesis = Generator(shape.synthesis)
        n_findings = len(shape.findings)
        self.first = nn.Parameter(torch.randn(n_findings, shape.hidden, shape.block))
        self.second = nn.Parameter(torch.randn(n_findings, shape.code, shape.hidden))
        width = n_findings * shape.code
        self.effect = nn.Parameter(torch.randn(self.synthesis.n_styles, width) * _FIRST_EFFECT)

    def codes(self, z2: Tensor) -> Tensor:
        """Codes (N, F, code) of class latents (N, F, block); code(λ z2) = λ code(z2), λ ≥ 0."""
        shape = self.shape
        inner = torch.einsum("fhb,nfb->nfh", self.first, z2) / math.sqrt(shape.block)
        inner = functional.leaky_relu(inner, _SLOPE)
        return torch.einsum("fch,nfh->nfc", self.second, inner) / math.sqrt(shape.hidden / 2)

    def styles(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Styles S (N, n_styles) of latents (N, latent) and (N, F, block).

        Raises
        ------
        ExplainerError
            If the latents have other shapes.
        """
        self._check(z1, z2)
        built = self.synthesis.styles(self.synthesis.latents(z1))
        added = functional.linear(self.codes(z2).flatten(1), self.effect)
        return built + added / math.sqrt(self.shape.code)

    def forward(self, z1: Tensor, z2: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """Images (N, 1, size, size), about [−1, 1] and not clipped.

        Parameters
        ----------
        z1
            (N, latent), structure; N(0, I).
        z2
            (N, F, block), class; zeros for an absent finding, N(0, I) for one that is there.
        noise
            Draws the noise of the layers anew, in training; without, it is always the same.
        """
        return self.synthesis.synthesise(self.styles(z1, z2), noise)

    def _check(self, z1: Tensor, z2: Tensor) -> None:
        shape = self.shape
        wanted = (len(shape.findings), shape.block)
        if z1.ndim != 2 or z1.shape[1] != shape.synthesis.latent:
            raise ExplainerError(
                f"z1 has shape {tuple(z1.shape)}; expected (N, {shape.synthesis.latent})."
            )
        if z2.ndim != 3 or tuple(z2.shape[1:]) != wanted or len(z2) != len(z1):
            raise ExplainerError(
                f"z2 has shape {tuple(z2.shape)}; expected ({len(z1)}, {wanted[0]}, {wanted[1]}): "
                "one block per finding."
            )


class StructureClass(nn.Module):
    """A trained, frozen generator as the explainers use it.

    Parameters
    ----------
    generator
        Put into evaluation mode, without gradients for its weights.
    classifier_digest
        SHA-256 of the classifier whose predictions z2 was trained to control.
    weights_digest
        SHA-256 of the weights file, empty for a network that was never saved.

    Attributes
    ----------
    input_range
        Of its images as :meth:`decode` returns them, (0, 1).
    """

    def __init__(
        self,
        generator: StructureClassGenerator,
        classifier_digest: str = "",
        weights_digest: str = "",
    ) -> None:
        super().__init__()
        self.generator = generator
        self.classifier_digest = classifier_digest
        self.weights_digest = weights_digest
        self.input_range = (0.0, 1.0)
        self.eval().requires_grad_(False)

    def __repr__(self) -> str:
        return f"StructureClass(weights_digest={self.weights_digest[:12]!r})"

    @property
    def findings(self) -> tuple[str, ...]:
        """Findings with a block in z2."""
        return self.generator.shape.findings

    @property
    def input_size(self) -> tuple[int, int]:
        """Rows and columns of the images."""
        size = self.generator.shape.synthesis.size
        return size, size

    @property
    def structure_size(self) -> int:
        """Numbers in z1."""
        return self.generator.shape.synthesis.latent

    @property
    def block_size(self) -> int:
        """Numbers in a block of z2."""
        return self.generator.shape.block

    def target(self, finding: str) -> int:
        """Index of the block of ``finding``.

        Raises
        ------
        ExplainerError
            If the network was not trained with it.
        """
        if finding not in self.findings:
            raise ExplainerError(
                f"The structure/class generator was not trained with {finding!r}; it knows "
                f"{', '.join(self.findings)}. Train one with `counterlight train "
                "structure-class-gan --finding`."
            )
        return self.findings.index(finding)

    def decode(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Images (N, 1, H, W) in [0, 1] of z1 (N, latent) and z2 (N, F, block).

        The gradient passes also where brightness is clipped, so that a search can come back.
        """
        images = self.generator(z1, z2)
        clipped = to_brightness(images)
        free = images / 2 + 0.5
        return free + (clipped - free).detach()


def drawn_classes(present: Tensor, block: int, dice: torch.Generator) -> Tensor:
    """z2 (N, F, block) of what is there, (N, F) 0 or 1: zeros, or N(0, I)."""
    drawn = torch.randn(*present.shape, block, generator=dice)
    return drawn * present[..., None].to(drawn)


def save_structure_class(
    path: Path, generator: StructureClassGenerator, classifier_digest: str
) -> str:
    """Write a generator to a ``.safetensors`` file (float16) and return its digest.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.
    """
    header = {**sizes_of(generator.shape), "classifier_digest": classifier_digest}
    return write_network(path, generator, KIND, header)


def load_structure_class(path_or_name: str | Path) -> StructureClass:
    """Load a network from a file or by the name of a shipped one; frozen, in float32.

    Raises
    ------
    ExplainerError
        If the file is missing, unreadable, of another kind, or does not fit its architecture.
    """
    saved = read_network(path_or_name, KIND)
    try:
        shape = StructureClassShape(
            tuple(str(name) for name in saved.field("findings")),
            _synthesis(dict(saved.field("synthesis"))),
            *(int(saved.field(name)) for name in ("block", "hidden", "code")),
        )
    except (TypeError, ValueError, KeyError) as error:
        raise ExplainerError(
            f"{saved.path.name} states sizes that no structure/class generator has ({error}); "
            "write it with `counterlight train structure-class-gan`."
        ) from error
    with torch.random.fork_rng(devices=[]):
        generator = StructureClassGenerator(shape)
    saved.fill(generator)
    generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return StructureClass(generator, str(saved.field("classifier_digest")), saved.digest)


def sizes_of(shape: StructureClassShape) -> dict[str, Any]:
    """Sizes by name for headers and checkpoints, without options that stand at their default."""
    plain, synthesis = asdict(StyleGANShape()), asdict(shape.synthesis)
    kept = {k: v for k, v in synthesis.items() if k in _SIZES or v != plain[k]}
    return {
        "findings": list(shape.findings),
        "synthesis": kept,
        "block": shape.block,
        "hidden": shape.hidden,
        "code": shape.code,
    }


def _synthesis(record: dict[str, Any]) -> StyleGANShape:
    return StyleGANShape(
        **{name: int(record[name]) for name in _SIZES},
        borders=record.get("borders", "edge"),
        clamp=float(record.get("clamp", 0.0)),
    )
