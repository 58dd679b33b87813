"""Import of StyleGAN2-ADA: a literal reading of the published network draws the same pictures.

The reference below is written from the papers' formulas and the documented layout: one weight per
image, an explicit filter over zero-stuffed maps on an unbounded plane, explicit gains.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from commands.import_stylegan2 import command
from explainers.base import ExplainerError
from explainers.generators.stylegan2_ada import convert, read_state
from explainers.stylespace.clamped import clamped_images, known_film
from explainers.training.stylegan2 import load_generator, save_generator

Array = NDArray[np.float64]
CHANNELS = {4: 6, 8: 6, 16: 3}  # base 48, limit 6
LATENT, N_MAPPING = 5, 2


def _state(colours: int = 1, spread: float = 1.0) -> dict[str, Tensor]:
    """Random weights under the published names."""
    dice = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=dice)

    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    sieve = torch.outer(taps, taps) / 64
    state = {"mapping.w_avg": normal(LATENT)}
    for number in range(N_MAPPING):
        state[f"mapping.fc{number}.weight"] = normal(LATENT, LATENT) * 64
        state[f"mapping.fc{number}.bias"] = normal(LATENT) * 16
    state["synthesis.b4.const"] = normal(CHANNELS[4], 4, 4)
    n_in = CHANNELS[4]
    for r, n_out in CHANNELS.items():
        block = f"synthesis.b{r}"
        state[f"{block}.resample_filter"] = sieve
        for name in ("conv1",) if r == 4 else ("conv0", "conv1"):
            state |= {
                f"{block}.{name}.weight": normal(n_out, n_in, 3, 3),
                f"{block}.{name}.bias": normal(n_out),
                f"{block}.{name}.noise_strength": normal(),
                f"{block}.{name}.noise_const": normal(r, r),
                f"{block}.{name}.resample_filter": sieve,
                f"{block}.{name}.affine.weight": normal(n_in, LATENT),
                f"{block}.{name}.affine.bias": 1 + normal(n_in),
            }
            n_in = n_out
        one, others = normal(1, n_out, 1, 1), normal(colours, n_out, 1, 1)
        state |= {
            f"{block}.torgb.weight": one + spread * (others if colours > 1 else 0),
            f"{block}.torgb.bias": normal(colours),
            f"{block}.torgb.affine.weight": normal(n_out, LATENT),
            f"{block}.torgb.affine.bias": 1 + normal(n_out),
        }
    return state


def _lrelu(x: Array, clamp: float) -> Array:
    return np.clip(np.where(x < 0, 0.2 * x, x) * np.sqrt(2), -clamp, clamp)


def _plane(x: Array, taps: Array, low: int, n: int) -> Array:
    """Correlate (C, H, W) with (O, C, k, k) on a plane of zeros; rows and columns from ``low``."""
    k, far = taps.shape[-1], 8
    wide = np.pad(x, ((0, 0), (far, far), (far, far)))
    out = np.zeros((taps.shape[0], n, n))
    for i in range(n):
        for j in range(n):
            at_i, at_j = far + low + i, far + low + j
            out[:, i, j] = np.tensordot(taps, wide[:, at_i : at_i + k, at_j : at_j + k], 3)
    return out


def _stuffed(x: Array) -> Array:
    out = np.zeros((x.shape[0], 2 * x.shape[1], 2 * x.shape[2]))
    out[:, ::2, ::2] = x
    return out


def _sieved(x: Array, low: int, n: int) -> Array:
    """Filter [1, 3, 3, 1], gain 4, over zero-stuffed maps; row u sees rows u − 2 to u + 1."""
    line = np.array([1.0, 3.0, 3.0, 1.0]) / 8
    taps = 4 * np.outer(line, line)[None, None]
    return np.concatenate([_plane(each[None], taps, low - 2, n) for each in _stuffed(x)])


def _reference(state: dict[str, Tensor], z: Array, clamp: float) -> Array:
    """Picture (colours, S, S) of one z."""
    w = {name: value.double().numpy() for name, value in state.items()}
    x = z / np.sqrt(np.mean(z**2) + 1e-8)
    for number in range(N_MAPPING):
        gain = 0.01 / np.sqrt(LATENT)
        x = w[f"mapping.fc{number}.weight"] * gain @ x + w[f"mapping.fc{number}.bias"] * 0.01
        x = _lrelu(x, np.inf)
    latent, maps, image = x, w["synthesis.b4.const"], None
    for r in CHANNELS:
        block = f"synthesis.b{r}"
        for name in ("conv1",) if r == 4 else ("conv0", "conv1"):
            layer = {key.removeprefix(f"{block}.{name}."): v for key, v in w.items()
                     if key.startswith(f"{block}.{name}.")}  # fmt: skip
            style = layer["affine.weight"] / np.sqrt(LATENT) @ latent + layer["affine.bias"]
            taps = layer["weight"] * style[None, :, None, None]
            taps = taps / np.sqrt((taps**2).sum(axis=(1, 2, 3), keepdims=True) + 1e-8)
            if name == "conv0":  # a true convolution of the maps, doubled on the whole plane
                maps = _plane(_sieved(maps, -1, r + 2), taps[:, :, ::-1, ::-1], 0, r)
            else:
                maps = _plane(maps, taps, -1, r)
            maps = maps + layer["noise_const"] * layer["noise_strength"]
            maps = _lrelu(maps + layer["bias"][:, None, None], clamp)
        to_rgb = w[f"{block}.torgb.weight"]
        style = w[f"{block}.torgb.affine.weight"] / np.sqrt(LATENT) @ latent
        style = (style + w[f"{block}.torgb.affine.bias"]) / np.sqrt(CHANNELS[r])
        added = np.tensordot(to_rgb[:, :, 0, 0] * style, maps, 1)
        added = np.clip(added + w[f"{block}.torgb.bias"][:, None, None], -clamp, clamp)
        image = added if image is None else _sieved(image, 0, r) + added
    assert image is not None
    return image


@pytest.mark.parametrize("clamp", [256.0, 1.5])
def test_the_imported_generator_draws_what_the_published_formulas_draw(
    tmp_path: Path, clamp: float
) -> None:
    state = _state()
    made = convert(state, clamp=clamp).generator
    z = torch.randn(1, LATENT, generator=torch.Generator().manual_seed(8))
    expected = np.stack([_reference(state, each.double().numpy(), clamp) for each in z])
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(made(z).numpy(), expected, atol=1e-4)
    save_generator(tmp_path / "g.safetensors", made)
    saved = load_generator(tmp_path / "g.safetensors")
    assert saved.shape == made.shape
    np.testing.assert_allclose(saved(z).numpy(), expected, atol=0.05 * np.abs(expected).max())


def test_one_changed_dimension_is_drawn_alike_from_kept_states_and_from_the_start() -> None:
    generator = convert(_state()).generator
    styles = generator.styles(torch.randn(1, LATENT, generator=torch.Generator().manual_seed(1)))[0]
    film = known_film(generator, styles)
    for number, layer in enumerate(generator.layers):
        changed = styles.clone()
        changed[layer.start] += 0.7
        quick = clamped_images(
            generator, film, number, torch.tensor([layer.start]), changed[[layer.start]]
        )
        assert torch.allclose(quick, generator.synthesise(changed[None]), atol=1e-4), layer.name


def test_three_colours_become_their_mean_and_real_colour_is_refused() -> None:
    state = _state(colours=3)
    made = convert(state, max_colour=None)
    z = torch.randn(1, LATENT, generator=torch.Generator().manual_seed(8))
    expected = _reference(state, z[0].double().numpy(), 256.0).mean(axis=0)
    np.testing.assert_allclose(made.generator(z)[0, 0].numpy(), expected, atol=1e-4)
    assert made.colours == 3
    assert made.colour_spread > 2
    with pytest.raises(ExplainerError, match="draws colour pictures"):
        convert(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"synthesis.input.weight": torch.ones(1)}, "weights of StyleGAN3"),
        ({"mapping.embed.weight": torch.ones(1)}, "class as its condition"),
        ({"synthesis.b8.skip.weight": torch.ones(1)}, "residual connections"),
        ({"synthesis.b8.conv2.weight": torch.ones(1)}, "1 tensors are unknown"),
        ({"synthesis.b16.conv1.bias": None}, "lack 'synthesis.b16.conv1.bias'"),
        ({"synthesis.b8.conv0.noise_const": None}, "lack 'synthesis.b8.conv0.noise_const'"),
        ({"synthesis.b8.conv1.bias": torch.ones(5)}, "8 px have 5 channels"),
        ({"mapping.fc0.weight": torch.ones(5, 7)}, "z has 7 numbers and w 5"),
        ({"synthesis.b8.resample_filter": torch.ones(4, 4)}, "another filter"),
        ({"synthesis.b8.conv0.bias": torch.ones(4)}, "another architecture"),
        ({"synthesis.b4.const": None, "b4.out.bias": torch.ones(1)}, "of a discriminator"),
        ({"synthesis.b4.const": None}, "No StyleGAN2-ADA generator"),
        ({"synthesis.b4.torgb.bias": torch.ones(2)}, "draws 2 channels"),
    ],
)
def test_weights_of_another_architecture_are_refused_in_one_sentence(
    change: dict[str, Tensor | None], message: str
) -> None:
    state = {**_state(), **change}
    with pytest.raises(ExplainerError, match=message):
        convert({name: value for name, value in state.items() if value is not None})


def test_the_command_reads_both_formats_and_says_what_it_made(tmp_path: Path) -> None:
    state = _state()
    np.savez(tmp_path / "g.npz", **{f"G_ema.{name}": v.numpy() for name, v in state.items()})
    save_file({name: v.clone() for name, v in state.items()}, tmp_path / "g.safetensors")
    for name in ("g.npz", "g.safetensors"):
        out = tmp_path / "made.safetensors"
        told = CliRunner().invoke(
            command,
            [str(tmp_path / name), "--out", str(out), "--samples", str(tmp_path / "s.png")],
        )
        assert told.exit_code == 0, told.output
        assert "16 px" in told.output
        assert load_generator(out).shape.channel_limit == 6
    assert (tmp_path / "s.png").is_file()


def test_unreadable_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "g.pkl").write_bytes(b"x")
    (tmp_path / "g.npz").write_bytes(b"x")
    (tmp_path / "g.safetensors").write_bytes(b"x")
    with pytest.raises(ExplainerError, match="pickle can run code"):
        read_state(tmp_path / "g.pkl")
    for name in ("g.npz", "g.safetensors"):
        with pytest.raises(ExplainerError, match="cannot be read"):
            read_state(tmp_path / name)
    np.savez(tmp_path / "nan.npz", a=np.full(2, np.nan, np.float32))
    with pytest.raises(ExplainerError, match="holds NaN"):
        read_state(tmp_path / "nan.npz")
