"""The encoder of a frozen generator, and the pyramid that its loss compares."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from explainers.base import ExplainerError
from explainers.generators.wgan import WGAN, Encoder, Generator, WGANShape, tensors_digest
from explainers.training.images import ArrayImages
from explainers.training.loop import LoopSettings, TrainingInterrupted, TrainingRun
from explainers.training.wgan_encoder import (
    EncoderSettings,
    evaluate_encoder,
    laplacian_pyramid,
    pyramid_loss,
    train_encoder,
)

SHAPE = WGANShape(size=16, latent=4, channel_base=64, channel_limit=8, critic_base=64)
SETTINGS = LoopSettings(epochs=2, batch_size=8, learning_rate=1e-2, half_precision=False)
OPTIONS = EncoderSettings(levels=3, base=64)


@pytest.fixture(scope="module")
def generator() -> WGAN:
    torch.manual_seed(4)
    return WGAN(Generator(SHAPE))


@pytest.fixture(scope="module")
def samples(generator: WGAN) -> ArrayImages:
    """Images that the generator can draw."""
    pictures = generator.generate(torch.randn(64, 4, generator=torch.Generator().manual_seed(1)))
    splits = np.array(["train", "train", "val", "test"] * 16)
    grey = (pictures[:, 0] * 255).round().byte().numpy()
    return ArrayImages(grey, splits, np.zeros(0, np.int64))


def _train(
    samples: ArrayImages, generator: WGAN, folder: Path, epochs: float = 2, **more: object
) -> tuple[WGAN, TrainingRun]:
    given: dict[str, object] = {"options": OPTIONS, **more}
    return train_encoder(
        samples, generator, replace(SETTINGS, epochs=epochs), folder, clock=lambda: 0.0, **given
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(16, 16), (28, 20), (33, 17)])
def test_the_levels_of_a_pyramid_add_up_to_the_image(size: tuple[int, int]) -> None:
    images = torch.rand(2, 1, *size)
    levels = laplacian_pyramid(images, 3)
    rebuilt = levels[-1]
    for level in reversed(levels[:-1]):
        rebuilt = level + torch.nn.functional.interpolate(
            rebuilt, level.shape[-2:], mode="bilinear", align_corners=False
        )
    torch.testing.assert_close(rebuilt, images)
    assert len(levels) == 3


def test_a_constant_difference_costs_itself_once() -> None:
    images = torch.rand(3, 1, 32, 32)
    loss = pyramid_loss(images, images + 0.25, 5)
    torch.testing.assert_close(loss, torch.full((3,), 0.25))
    assert float(pyramid_loss(images, images, 5).max()) == 0


def test_small_images_get_fewer_levels() -> None:
    assert [tuple(each.shape[-2:]) for each in laplacian_pyramid(torch.rand(1, 1, 16, 16), 9)] == [
        (16, 16), (8, 8), (4, 4),
    ]  # fmt: skip


def test_the_pyramid_is_computed_in_float32_whatever_surrounds_it() -> None:
    images = torch.rand(1, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        loss = pyramid_loss(images.bfloat16(), images, 3)
    assert loss.dtype == torch.float32


def test_an_encoder_learns_to_find_the_image_and_leaves_the_generator(
    samples: ArrayImages, generator: WGAN, tmp_path: Path
) -> None:
    before = tensors_digest(generator.generator)
    trained, run = _train(samples, generator, tmp_path, epochs=25)
    first, last = run.history[0].validation, run.history[-1].validation
    assert last["MAE"] < 0.6 * first["MAE"] and last["latent error"] < 0.5 * first["latent error"]
    figures = evaluate_encoder(trained, samples)
    assert figures.error < 0.7 * figures.error_of_mean and figures.error <= figures.error_95
    assert 0.6 < figures.norm < 1.4
    assert tensors_digest(trained.generator) == before == tensors_digest(generator.generator)
    assert 0 < trained.reconstruction_error < 0.2


def test_an_interrupted_encoder_ends_with_the_same_bits(
    samples: ArrayImages, generator: WGAN, tmp_path: Path
) -> None:
    whole, _ = _train(samples, generator, tmp_path / "whole")
    calls = iter([False, False, True])
    with pytest.raises(TrainingInterrupted):
        _train(samples, generator, tmp_path / "parts", cancelled=lambda: next(calls))
    resumed, _ = _train(samples, generator, tmp_path / "parts")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_what_does_not_fit_is_refused(
    samples: ArrayImages, generator: WGAN, tmp_path: Path
) -> None:
    other = WGAN(Generator(replace(SHAPE, size=32)))
    with pytest.raises(ExplainerError, match="Images of 16 px and a generator of 32 px"):
        _train(samples, other, tmp_path)
    with pytest.raises(ExplainerError, match="use the same sizes"):
        _train(samples, generator, tmp_path, begin_with=Encoder(replace(SHAPE, critic_base=32)))
    with pytest.raises(ExplainerError, match="levels and base >= 1"):
        EncoderSettings(levels=0)
    no_test = replace(samples, splits=np.array(["train"] * 64))
    with pytest.raises(ExplainerError, match="no test images"):
        evaluate_encoder(WGAN(generator.generator, Encoder(SHAPE)), no_test)
