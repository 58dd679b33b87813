"""StyleGAN2: the arithmetic of modulation, and a style vector that says what it acts on."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from explainers.base import ExplainerError
from explainers.generators.stylegan2 import (
    Discriminator,
    Generator,
    Modulated,
    StyleGANShape,
    doubled,
    from_brightness,
    to_brightness,
)

TINY = StyleGANShape(size=16, channel_base=64, channel_limit=8, latent=6, n_mapping=2)


@pytest.fixture
def generator() -> Generator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Generator(TINY).eval().requires_grad_(False)


@pytest.mark.parametrize("demodulate", [True, False])
def test_scaling_input_and_output_equals_one_weight_per_image(demodulate: bool) -> None:
    torch.manual_seed(1)
    layer = Modulated(3, 4, 3, demodulate=demodulate)
    maps, styles = torch.randn(2, 3, 5, 5), torch.rand(2, 3) + 0.5
    weights = layer.weight[None] / 27**0.5 * styles[:, None, :, None, None]  # (2, 4, 3, 3, 3)
    if demodulate:
        weights = weights * torch.rsqrt(weights.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
    expected = torch.cat(
        [functional.conv2d(maps[i : i + 1], weights[i], padding=1) for i in range(2)]
    )
    assert torch.allclose(layer(maps, styles), expected, atol=1e-5)


def test_the_style_vector_covers_every_layer_once_in_order(generator: Generator) -> None:
    starts = [layer.start for layer in generator.layers]
    stops = [layer.stop for layer in generator.layers]
    assert starts == [0, *stops[:-1]]
    assert stops[-1] == generator.n_styles
    assert [layer.name for layer in generator.layers[:5]] == [
        "4/convolution 0", "4/image", "8/convolution 0", "8/convolution 1", "8/image",
    ]  # fmt: skip
    assert sum(layer.kind == "image" for layer in generator.layers) == 3


def test_a_dimension_of_the_last_image_layer_changes_the_image_linearly(
    generator: Generator,
) -> None:
    styles = generator.styles(generator.latents(torch.randn(1, 6)))
    last = generator.layers[-1]
    images = []
    for step in (0.0, 1.0, 2.0):
        changed = styles.clone()
        changed[:, last.start] += step
        images.append(generator.synthesise(changed))
    assert not torch.equal(images[0], images[1])
    assert torch.allclose(images[2] - images[1], images[1] - images[0], atol=1e-5)


def test_synthesis_from_styles_is_the_forward_pass(generator: Generator) -> None:
    z = torch.randn(3, 6)
    assert torch.equal(generator(z), generator.synthesise(generator.styles(generator.latents(z))))
    assert generator(z).shape == (3, 1, 16, 16)


def test_the_networks_own_noise_is_fixed_and_drawn_noise_follows_its_seed() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = Generator(TINY)
    for layer in generator.convolutions:
        torch.nn.init.constant_(layer.noise_strength, 0.5)
    z = torch.randn(1, 6)
    assert torch.equal(generator(z), generator(z))
    drawn = [generator(z, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_truncation_to_zero_gives_the_mean(generator: Generator) -> None:
    generator.mean_w.normal_()
    w = generator.latents(torch.randn(2, 6), truncation=0.0)
    assert torch.equal(w, generator.mean_w.expand(2, -1))


def test_doubling_is_the_one_three_three_one_filter() -> None:
    impulse = torch.zeros(1, 1, 5, 5)
    impulse[0, 0, 2, 2] = 1
    line = torch.tensor([0, 0, 0, 1, 3, 3, 1, 0, 0, 0]) / 4
    assert torch.allclose(doubled(impulse)[0, 0], torch.outer(line, line))


def test_the_discriminator_scores_images_and_sees_the_spread_of_a_batch() -> None:
    torch.manual_seed(2)
    judge = Discriminator(TINY).eval()
    images = torch.randn(4, 1, 16, 16)
    alike = images[:1].expand(4, -1, -1, -1)
    assert judge(images).shape == (4,)
    assert judge(images)[0] != judge(alike)[0]


def test_brightness_goes_there_and_back() -> None:
    films = torch.rand(2, 1, 4, 4)
    assert torch.allclose(to_brightness(from_brightness(films)), films, atol=1e-6)
    assert float(to_brightness(torch.full((1,), 7.0))) == 1.0


def test_wrong_sizes_are_refused(generator: Generator) -> None:
    with pytest.raises(ExplainerError, match="power of two"):
        StyleGANShape(size=100)
    with pytest.raises(ExplainerError, match="no channels"):
        StyleGANShape(size=128, channel_base=64)
    with pytest.raises(ExplainerError, match="takes styles of shape"):
        generator.synthesise(torch.zeros(1, 3))
