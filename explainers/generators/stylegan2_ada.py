"""Weights of a StyleGAN2-ADA generator, as its authors' PyTorch code names them, in our layout.

What is read is the flat state of ``G_ema``: tensors by name, in a ``.safetensors`` or ``.npz`` file
that the user writes inside their own environment (docs/stylegan2-import.md has the lines). The two
networks compute the same function; they differ in where they keep factors:

=================================== ==================================== =======================
theirs                              ours                                 changed
=================================== ==================================== =======================
mapping.fc{i}.weight, .bias         mapping.{i}.weight, .bias            no: both times the rate
mapping.w_avg                       mean_w                               no
synthesis.b4.const                  constant                             a batch axis is added
…b{r}.conv{k}.affine.*, …torgb…     affine.{layer}.*                     no; bias begins at 1
…b{r}.conv{k}.weight                convolutions.{c}.modulated.weight    × √(9 · inputs); conv0 is
                                                                         mirrored both ways from 8
…b{r}.conv{k}.noise_const           convolutions.{c}.noise               two axes are added
…b{r}.conv{k}.noise_strength, .bias convolutions.{c}.…                   no
…b{r}.torgb.weight, .bias           projections.{p}.weight, image_bias   mean over the colours
…resample_filter                    (none)                               must be [1, 3, 3, 1]
=================================== ==================================== =======================

Their convolutions are demodulated and carry no gain, ours has 1/√(9 · inputs): stored larger by
that factor, the small constant under the root means the same. A convolution that doubles is a
true convolution there and a correlation here, hence the mirror. Their toRGB multiplies the styles
by 1/√inputs, ours the weights: S is taken before that factor, in both the same numbers.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from explainers.base import ExplainerError
from explainers.generators.stylegan2 import Generator, StyleGANShape, to_brightness

CLAMP = 256.0
"""Limit of activations with which the authors' training runs; not part of the weights."""

_FILTER = (1.0, 3.0, 3.0, 1.0)
_BLOCK = re.compile(r"^synthesis\.b(\d+)\.")
_MAPPING = re.compile(r"^mapping\.fc(\d+)\.weight$")
_N_SAMPLES = 4


@dataclass(frozen=True, eq=False)
class Imported:
    """A converted generator.

    Parameters
    ----------
    generator
        In our layout, float32, frozen.
    colours
        Image channels of the original, 1 or 3.
    colour_spread
        Mean absolute difference between the channels and their mean over some samples, in grey
        levels of 255; 0 for one channel.
    """

    generator: Generator
    colours: int
    colour_spread: float


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a flat state of a generator.

    Parameters
    ----------
    path
        ``.safetensors`` or ``.npz``. Pickles (``.pkl``, ``.pt``) can run code and are refused.

    Raises
    ------
    ExplainerError
        If the file is missing, of another format, unreadable, or holds NaN.
    """
    if path.suffix not in (".safetensors", ".npz"):
        raise ExplainerError(
            f"{path.name} is neither .safetensors nor .npz; a pickle can run code and needs its "
            "authors' code. Write G_ema.state_dict() into one of the two, as "
            "docs/stylegan2-import.md shows."
        )
    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        else:
            with np.load(path, allow_pickle=False) as arrays:
                tensors = {name: torch.as_tensor(np.asarray(arrays[name])) for name in arrays}
    except (OSError, SafetensorError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise ExplainerError(f"{path} cannot be read as a file of tensors: {error}.") from error
    state = {
        name.removeprefix("G_ema."): value.float()
        for name, value in tensors.items()
        if value.is_floating_point()
    }
    broken = [name for name, value in state.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise ExplainerError(f"{path.name}: tensor {broken[0]!r} holds NaN or infinite values.")
    return state


def convert(
    state: Mapping[str, Tensor], *, clamp: float = CLAMP, max_colour: float | None = 2.0
) -> Imported:
    """Turn the state of a StyleGAN2-ADA generator into a generator of ours.

    Three colours become one grey, their mean: the projections to the image are linear, so this is
    exactly the mean of the images. Weights of real colour pictures are refused.

    Parameters
    ----------
    state
        From :func:`read_state`.
    clamp
        Limit of activations; 0 for none.
    max_colour
        Largest mean difference between the colours, in grey levels of 255, that still counts as
        grey; ``None`` averages whatever comes.

    Raises
    ------
    ExplainerError
        If this is another architecture, has a condition, or lacks or has too many tensors.
    """
    shape = _shape(state, clamp)
    taken = _Taken(state)
    colours = len(taken.peek("synthesis.b4.torgb.bias"))
    if colours not in (1, 3):
        raise ExplainerError(
            f"The generator draws {colours} channels; expected 1 (grey) or 3 (colour)."
        )
    with torch.random.fork_rng(devices=[]):
        generator = Generator(shape)
    fresh = generator.state_dict()
    ours = _translated(taken, shape)
    for name, value in ours.items():
        if value.shape != fresh[name].shape:
            raise ExplainerError(
                f"{name} would have the shape {tuple(value.shape)}, a StyleGAN2 of these sizes "
                f"has {tuple(fresh[name].shape)}; the weights are of another architecture."
            )
    taken.nothing_left()
    generator.load_state_dict(ours)
    generator.eval().requires_grad_(False)
    spread = _colour_spread(generator, taken) if colours == 3 else 0.0
    if max_colour is not None and spread > max_colour:
        raise ExplainerError(
            f"The generator draws colour pictures: its channels differ from their mean by "
            f"{spread:.1f} of 255 grey levels; our films are grey. Allow it with --average-colours."
        )
    return Imported(generator, colours, spread)


class _Taken:
    """The tensors of a state, and which of them have been used."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self._state, self._used = state, set[str]()

    def peek(self, name: str) -> Tensor:
        if name not in self._state:
            raise ExplainerError(
                f"The weights lack {name!r}; dump the whole G_ema.state_dict(), with its buffers, "
                "as docs/stylegan2-import.md shows."
            )
        return self._state[name]

    def take(self, name: str) -> Tensor:
        self._used.add(name)
        return self.peek(name)

    def filter_is_ours(self, name: str) -> None:
        line = torch.tensor(_FILTER) / sum(_FILTER)
        found = self.take(name)
        wanted = torch.outer(line, line) if found.ndim == 2 else line
        if found.shape != wanted.shape or not torch.allclose(found, wanted, atol=1e-5):
            raise ExplainerError(
                f"{name!r} is another filter than [1, 3, 3, 1], the only one that is supported."
            )

    def nothing_left(self) -> None:
        left = sorted(self._state.keys() - self._used)
        if left:
            raise ExplainerError(
                f"{len(left)} tensors are unknown to StyleGAN2 with skip connections (first: "
                f"{left[0]!r}); the weights are of another architecture."
            )


def _shape(state: Mapping[str, Tensor], clamp: float) -> StyleGANShape:
    _refuse_others(state)
    resolutions = sorted({int(found[1]) for name in state if (found := _BLOCK.match(name))})
    size = resolutions[-1]
    if resolutions != [2**power for power in range(2, size.bit_length())] or size < 8:
        raise ExplainerError(
            f"The weights have layers at {', '.join(map(str, resolutions))} px; expected every "
            "power of two from 4."
        )
    n_mapping = sum(1 for name in state if _MAPPING.match(name))
    latent = _width(state, "mapping.w_avg", 0)
    entered = _width(state, "mapping.fc0.weight", 1)
    if entered != latent:
        raise ExplainerError(
            f"z has {entered} numbers and w {latent}; only generators in which they are as many "
            "are supported."
        )
    channels = {r: _width(state, f"synthesis.b{r}.conv1.bias", 0) for r in resolutions}
    limit = max(channels.values())
    base = max(n * r for r, n in channels.items() if n < limit or r == size)
    shape = StyleGANShape(
        size, max(base, limit * _widest(channels, limit)), limit, latent, n_mapping, "zero", clamp
    )
    unlike = [r for r in resolutions if shape.channels(r) != channels[r]]
    if unlike:
        raise ExplainerError(
            f"The layers at {unlike[0]} px have {channels[unlike[0]]} channels; expected "
            "min(base / resolution, limit) for one base and one limit, as in StyleGAN2."
        )
    return shape


def _widest(channels: Mapping[int, int], limit: int) -> int:
    """Return the highest resolution that still has the full width."""
    return max(r for r, n in channels.items() if n == limit)


def _width(state: Mapping[str, Tensor], name: str, axis: int) -> int:
    if name not in state or state[name].ndim <= axis:
        raise ExplainerError(
            f"The weights lack {name!r}; dump the whole G_ema.state_dict(), with its buffers, as "
            "docs/stylegan2-import.md shows."
        )
    return int(state[name].shape[axis])


def _refuse_others(state: Mapping[str, Tensor]) -> None:
    if any(name.startswith("synthesis.input.") for name in state):
        raise ExplainerError(
            "These are weights of StyleGAN3, whose layers have no style space of this form; "
            "StyleGAN2-ADA is expected."
        )
    if any(name.startswith("b4.") for name in state):
        raise ExplainerError("These are weights of a discriminator; dump G_ema instead of D.")
    if "synthesis.b4.const" not in state:
        first = next(iter(sorted(state)), "none at all")
        raise ExplainerError(
            "No StyleGAN2-ADA generator: there is no tensor 'synthesis.b4.const' (the first is "
            f"{first!r}). Dump G_ema.state_dict() as docs/stylegan2-import.md shows."
        )
    if any(name.startswith("mapping.embed.") for name in state):
        raise ExplainerError(
            "The generator takes a class as its condition; only unconditional ones are supported."
        )
    if any(".skip." in name for name in state):
        raise ExplainerError(
            "The generator has residual connections; only the skip architecture, the default of "
            "StyleGAN2-ADA, is supported."
        )


def _translated(taken: _Taken, shape: StyleGANShape) -> dict[str, Tensor]:
    """Return all tensors by our names."""
    ours = {
        f"mapping.{number}.{part}": taken.take(f"mapping.fc{number}.{part}")
        for number in range(shape.n_mapping)
        for part in ("weight", "bias")
    }
    ours["mean_w"] = taken.take("mapping.w_avg")
    ours["constant"] = taken.take("synthesis.b4.const")[None]
    biases, layer, place = [], 0, 0
    for level, resolution in enumerate(shape.resolutions):
        block = f"synthesis.b{resolution}"
        taken.filter_is_ours(f"{block}.resample_filter")
        for name in ("conv1",) if resolution == 4 else ("conv0", "conv1"):
            ours |= _convolution(taken, f"{block}.{name}", place, mirrored=name == "conv0")
            ours |= _affine(taken, f"{block}.{name}", layer)
            layer, place = layer + 1, place + 1
        ours |= _affine(taken, f"{block}.torgb", layer)
        layer += 1
        weight = taken.take(f"{block}.torgb.weight")
        ours[f"projections.{level}.weight"] = weight.mean(dim=0, keepdim=True)
        biases.append(taken.take(f"{block}.torgb.bias").mean())
    ours["image_bias"] = torch.stack(biases)
    return ours


def _convolution(taken: _Taken, theirs: str, place: int, *, mirrored: bool) -> dict[str, Tensor]:
    taken.filter_is_ours(f"{theirs}.resample_filter")
    weight = taken.take(f"{theirs}.weight")
    weight = weight * math.sqrt(weight[0].numel())
    start = f"convolutions.{place}"
    return {
        f"{start}.modulated.weight": weight.flip(2, 3) if mirrored else weight,
        f"{start}.bias": taken.take(f"{theirs}.bias"),
        f"{start}.noise_strength": taken.take(f"{theirs}.noise_strength").reshape(()),
        f"{start}.noise": taken.take(f"{theirs}.noise_const")[None, None],
    }


def _affine(taken: _Taken, theirs: str, layer: int) -> dict[str, Tensor]:
    return {
        f"affine.{layer}.{part}": taken.take(f"{theirs}.affine.{part}")
        for part in ("weight", "bias")
    }


@torch.no_grad()
def _colour_spread(grey: Generator, taken: _Taken) -> float:
    """Mean absolute difference between colours and their mean, in grey levels of 255."""
    z = torch.randn(_N_SAMPLES, grey.shape.latent, generator=torch.Generator().manual_seed(0))
    weights = {key: value.clone() for key, value in grey.state_dict().items()}
    mean, apart = to_brightness(grey(z)), []
    one = Generator(grey.shape)
    for colour in range(3):
        biases = []
        for level, resolution in enumerate(grey.shape.resolutions):
            block = f"synthesis.b{resolution}.torgb"
            weights[f"projections.{level}.weight"] = taken.peek(f"{block}.weight")[[colour]]
            biases.append(taken.peek(f"{block}.bias")[colour])
        one.load_state_dict({**weights, "image_bias": torch.stack(biases)})
        apart.append((to_brightness(one(z)) - mean).abs().mean() * 255)
    return float(torch.stack(apart).mean())
