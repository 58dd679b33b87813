"""The WGAN's networks: sizes, ranges, heads, and one file for all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from explainers.base import ExplainerError
from explainers.generators.base import Autoencoder
from explainers.generators.latent_head import Head, HeadShape
from explainers.generators.wgan import (
    WGAN,
    Critic,
    Encoder,
    Generator,
    WGANShape,
    load_wgan,
    open_wgan,
    save_wgan,
    tensors_digest,
)

SHAPE = WGANShape(size=16, latent=5, channel_base=64, channel_limit=8, critic_base=64)


def _head(name: str = "bnp-linear", *, hidden: int = 0) -> Head:
    torch.manual_seed(3)
    return Head(HeadShape(name, ("log BNP",), hidden, thresholds=(0.46,), slopes=(20.0,)), 5)


def _wgan(*heads: Head, encoder: bool = True) -> WGAN:
    torch.manual_seed(1)
    larger = WGANShape(16, 5, 64, 8, critic_base=128)
    return WGAN(Generator(SHAPE), Encoder(larger) if encoder else None, heads)


@pytest.mark.parametrize(
    ("size", "sides"), [(28, (7, 14, 28)), (32, (4, 8, 16, 32)), (96, (6, 12, 24, 48, 96))]
)
def test_any_size_that_halves_down_to_four_to_seven_works(size: int, sides: tuple[int]) -> None:
    shape = WGANShape(size=size, latent=3, channel_base=256, channel_limit=4, critic_base=256)
    assert shape.resolutions == sides
    images = Generator(shape)(torch.zeros(2, 3))
    assert images.shape == (2, 1, size, size)
    assert Critic(shape)(images).shape == (2, 1)
    assert Encoder(shape)(images).shape == (2, 3)


@pytest.mark.parametrize("size", [4, 100, 0, -8, 129])
def test_a_size_that_cannot_be_halved_is_refused(size: int) -> None:
    with pytest.raises(ExplainerError, match="power of two"):
        WGANShape(size=size)


def test_a_base_without_channels_is_refused() -> None:
    with pytest.raises(ExplainerError, match="no channels"):
        WGANShape(size=128, channel_base=16)


def test_fresh_layers_keep_the_variance_of_a_standard_normal_latent() -> None:
    shape = WGANShape(size=32, latent=100, channel_base=2048, channel_limit=64)
    torch.manual_seed(0)
    network = Generator(shape)
    with torch.no_grad():
        maps = network.start(torch.randn(64, 100)).unflatten(1, (-1, 4, 4))
        maps = network.doubling[0](torch.selu(maps))
    assert float(maps[..., 2:-2, 2:-2].std()) == pytest.approx(1.0, abs=0.15)


def test_images_lie_in_zero_to_one_and_gradients_reach_the_latent() -> None:
    z = torch.randn(3, 5, requires_grad=True)
    images = _wgan().generate(z)
    assert images.shape == (3, 1, 16, 16)
    assert float(images.detach().min()) >= 0 and float(images.detach().max()) <= 1
    images.sum().backward()
    assert z.grad is not None and bool(z.grad.abs().sum() > 0)


def test_a_wgan_with_an_encoder_is_an_autoencoder() -> None:
    wgan = _wgan()
    assert isinstance(wgan, Autoencoder)
    assert wgan.latent_shape == (5,) and wgan.input_size == (16, 16)
    images = torch.rand(2, 1, 16, 16)
    assert torch.equal(wgan(images), wgan.decode(wgan.encode(images)))


def test_saved_and_loaded_it_draws_the_same_and_keeps_everything(tmp_path: Path) -> None:
    wgan = _wgan(_head(), _head("bnp-mlp", hidden=4))
    wgan.reconstruction_error = 0.04
    digest = save_wgan(tmp_path / "w.safetensors", wgan)
    back = open_wgan(str(tmp_path / "w.safetensors"))
    z = torch.randn(2, 5)
    torch.testing.assert_close(back.generate(z), wgan.generate(z), atol=2e-3, rtol=0)
    torch.testing.assert_close(back.encode(wgan.generate(z)), wgan.encode(wgan.generate(z)),
                               atol=2e-2, rtol=0)  # fmt: skip
    assert back.weights_digest == digest and back.shape == SHAPE
    assert back.head_names == ("bnp-linear", "bnp-mlp") and back.reconstruction_error == 0.04
    assert back.head("bnp-mlp").shape == wgan.head("bnp-mlp").shape
    assert tensors_digest(back.generator) == tensors_digest(wgan.generator)
    assert not any(each.requires_grad for each in back.parameters())


def test_a_generator_alone_is_no_network_for_explanations(tmp_path: Path) -> None:
    save_wgan(tmp_path / "w.safetensors", _wgan(encoder=False))
    alone = load_wgan(tmp_path / "w.safetensors")
    assert alone.encoder is None and not alone.head_names
    with pytest.raises(ExplainerError, match="without an encoder"):
        open_wgan(str(tmp_path / "w.safetensors"))
    with pytest.raises(ExplainerError, match="no encoder yet"):
        alone.encode(torch.zeros(1, 1, 16, 16))


def test_what_does_not_fit_is_refused_with_what_was_given(tmp_path: Path) -> None:
    wgan = _wgan(_head())
    with pytest.raises(ExplainerError, match=r"\(N, 5\); got \(2, 4\)"):
        wgan.generate(torch.zeros(2, 4))
    with pytest.raises(ExplainerError, match="Resize them"):
        wgan.encode(torch.zeros(1, 1, 32, 32))
    with pytest.raises(ExplainerError, match="no head 'other'; it has bnp-linear"):
        wgan.head("other")
    with pytest.raises(ExplainerError, match="share a name"):
        _wgan(_head(), _head())
    save_wgan(tmp_path / "w.safetensors", wgan)
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()["counterlight"])
    del header["heads"][0]["outputs"]
    tensors = load_file(tmp_path / "w.safetensors")
    save_file(tensors, tmp_path / "x.safetensors", {"counterlight": json.dumps(header)})
    with pytest.raises(ExplainerError, match="describes a head"):
        load_wgan(tmp_path / "x.safetensors")


def test_a_head_without_hidden_layers_is_linear_also_after_standardising() -> None:
    head = _head()
    head.centre.copy_(torch.arange(5.0))
    head.scale.copy_(torch.arange(1.0, 6.0))
    a, b = torch.randn(1, 5), torch.randn(1, 5)
    torch.testing.assert_close(head(0.3 * a + 0.7 * b), 0.3 * head(a) + 0.7 * head(b))


def test_the_probability_is_one_half_at_the_threshold_and_rises() -> None:
    values = torch.tensor([[0.2], [0.46], [0.7]])
    probabilities = _head().probabilities(values)[:, 0]
    assert float(probabilities[1]) == pytest.approx(0.5)
    assert bool((probabilities.diff() > 0).all())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "needs a name"),
        ({"kind": "other"}, "regression or logits"),
        ({"thresholds": ()}, "threshold and a slope"),
        ({"slopes": (0.0,)}, "above 0"),
    ],
)
def test_a_head_that_makes_no_sense_is_refused(change: dict[str, object], message: str) -> None:
    given: dict[str, object] = {"name": "h", "outputs": ("a",), "thresholds": (0.0,),
                                "slopes": (1.0,), **change}  # fmt: skip
    with pytest.raises(ExplainerError, match=message):
        HeadShape(**given)  # type: ignore[arg-type]
