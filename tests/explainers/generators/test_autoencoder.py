"""The autoencoder: shapes, range, files, smoothness."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from explainers.base import ExplainerError
from explainers.generators.autoencoder import (
    OurAutoencoder,
    load_autoencoder,
    save_autoencoder,
)
from explainers.generators.base import Autoencoder
from explainers.generators.networks import (
    AUTOENCODERS,
    AutoencoderShape,
    autoencoder_shape,
    build_autoencoder,
)

TINY = AutoencoderShape(3, (4, 4, 4, 4), (4, 4, 4, 4, 4))


@pytest.fixture
def autoencoder() -> OurAutoencoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return OurAutoencoder(build_autoencoder(TINY), TINY, (32, 32))


@pytest.mark.parametrize("architecture", sorted(set(AUTOENCODERS) - {"finer"}))
def test_the_coarse_bottleneck_is_about_nine_percent_of_the_pixels(architecture: str) -> None:
    shape = autoencoder_shape(architecture)
    built = OurAutoencoder(build_autoencoder(shape), shape, (128, 128))
    latents = built.encode(torch.rand(1, 1, 128, 128))
    assert latents.shape[1:] == built.latent_shape == (24, 8, 8)
    assert latents[0].numel() / 128**2 == pytest.approx(4608 / 224**2, abs=0.003)


def test_one_level_less_gives_a_latent_of_twice_the_sides() -> None:
    shape = autoencoder_shape("finer")
    built = OurAutoencoder(build_autoencoder(shape), shape, (64, 48))
    images = torch.rand(1, 1, 64, 48)
    assert built.encode(images).shape[1:] == built.latent_shape == (16, 8, 6)
    assert built.decode(built.encode(images)).shape == images.shape
    with pytest.raises(ExplainerError, match="multiples of 8"):
        built.encode(torch.rand(1, 1, 60, 60))


def test_an_autoencoder_cannot_have_unequal_halves() -> None:
    with pytest.raises(ExplainerError, match="one decoder width more"):
        AutoencoderShape(4, (4, 4), (4, 4))


def test_latent_channels_can_be_chosen() -> None:
    assert autoencoder_shape("small", 40).latent_channels == 40
    with pytest.raises(ExplainerError, match="at least one latent channel"):
        autoencoder_shape("small", 0)
    with pytest.raises(ExplainerError, match="Unknown autoencoder architecture 'huge'"):
        autoencoder_shape("huge")


@pytest.mark.parametrize("size", [(32, 32), (64, 48)])
def test_a_reconstruction_has_the_shape_of_the_image_and_stays_in_range(
    autoencoder: OurAutoencoder, size: tuple[int, int]
) -> None:
    images = torch.rand(2, 1, *size)
    rebuilt = autoencoder.decode(autoencoder.encode(images))
    assert rebuilt.shape == images.shape
    assert rebuilt.min() >= 0
    assert rebuilt.max() <= 1
    far = autoencoder.decode(torch.full((1, 3, 2, 2), 1e3))
    assert far.min() >= 0
    assert far.max() <= 1


def test_the_decoder_has_a_gradient_with_respect_to_every_latent(
    autoencoder: OurAutoencoder,
) -> None:
    latents = torch.randn(1, 3, 2, 2, requires_grad=True)
    autoencoder.decode(latents).square().sum().backward()
    assert latents.grad is not None
    assert (latents.grad != 0).all()
    assert all(parameter.grad is None for parameter in autoencoder.parameters())


def test_a_smooth_latent_is_decoded_without_a_checkerboard(autoencoder: OurAutoencoder) -> None:
    # Bilinear enlargement commutes with constants: away from the border a constant latent has to
    # give a constant film, which strided transposed convolutions do not.
    film = autoencoder.decode(torch.full((1, 3, 16, 16), 0.7))[0, 0]
    middle = film[112:144, 112:144]
    assert float(middle.max() - middle.min()) < 1e-5


def test_a_saved_autoencoder_comes_back_the_same_to_half_precision(
    autoencoder: OurAutoencoder, tmp_path: Path
) -> None:
    path = tmp_path / "ae.safetensors"
    digest = save_autoencoder(path, autoencoder)
    loaded = load_autoencoder(path)
    images = torch.rand(2, 1, 32, 32)
    assert isinstance(loaded, Autoencoder)
    assert loaded.weights_digest == digest
    assert loaded.latent_shape == (3, 2, 2)
    assert torch.allclose(loaded(images), autoencoder(images), atol=2e-3)
    with pytest.raises(ExplainerError, match="kind 'autoencoder', expected 'classifier'"):
        from explainers.classifiers.ours import load_classifier

        load_classifier(path)


def test_a_file_with_other_widths_than_its_header_is_refused(
    autoencoder: OurAutoencoder, tmp_path: Path
) -> None:
    path = tmp_path / "ae.safetensors"
    save_autoencoder(path, autoencoder)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["counterlight"])
    header["latent_channels"] = 5
    save_file(load_file(path), path, {"counterlight": json.dumps(header)})
    with pytest.raises(ExplainerError, match="has shape"):
        load_autoencoder(path)


@pytest.mark.parametrize("size", [(30, 32), (8, 8), (100, 100)])
def test_sides_that_are_no_multiple_of_sixteen_are_refused(
    autoencoder: OurAutoencoder, size: tuple[int, int]
) -> None:
    with pytest.raises(ExplainerError, match=f"multiples of 16; got {size[0]} × {size[1]}"):
        autoencoder.encode(torch.rand(1, 1, *size))


def test_images_and_latents_of_another_shape_are_refused(autoencoder: OurAutoencoder) -> None:
    with pytest.raises(ExplainerError, match=r"\(N, 1, H, W\)"):
        autoencoder.encode(torch.rand(1, 3, 32, 32))
    with pytest.raises(ExplainerError, match=r"\(N, 3, h, w\)"):
        autoencoder.decode(torch.rand(1, 4, 2, 2))


def test_a_missing_autoencoder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExplainerError, match="No network at"):
        load_autoencoder(tmp_path / "absent.safetensors")
