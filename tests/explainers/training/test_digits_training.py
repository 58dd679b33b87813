"""Tiny trainings on digits made of two shapes, and what the conversion counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from data.digits import DigitSet
from explainers.base import ExplainerError
from explainers.classifiers.digits import DigitClassifier, LeNet, load_digit_classifier
from explainers.counterfactual.visual_rationale import VisualRationale
from explainers.evaluation.digit_conversion import convert_digits, draw_digits
from explainers.generators.wgan import WGANShape
from explainers.training.digits import (
    DIGIT_FILES,
    accuracy,
    to_batch,
    train_digit_classifier,
    train_digit_generator,
)
from explainers.training.loop import LoopSettings


def bars(n: int) -> DigitSet:
    """Upright bars are nines, lying ones fours."""
    images = np.zeros((n, 28, 28), np.uint8)
    images[::2, 4:24, 12:16] = 255
    images[1::2, 12:16, 4:24] = 255
    return DigitSet(images, np.where(np.arange(n) % 2 == 0, 9, 4).astype(np.int64))


def test_a_margin_brings_digits_to_32_pixels_in_0_to_1() -> None:
    batch = to_batch(bars(2).images)
    assert batch.shape == (2, 1, 32, 32) and batch.max() == 1
    assert not batch[:, :, :2].any() and batch[0, 0, 6, 14] == 1
    with pytest.raises(ExplainerError, match="expected 28 × 28"):
        to_batch(np.zeros((1, 40, 40), np.uint8))


def test_probabilities_of_digits_add_up_to_one() -> None:
    classifier = DigitClassifier(LeNet())
    probabilities = classifier.probabilities(classifier.logits(torch.rand(3, 1, 32, 32)))
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(3))
    with pytest.raises(ExplainerError, match="got"):
        classifier.logits(torch.rand(3, 1, 28, 28))


def test_the_two_classifiers_see_disjoint_halves_and_differ(tmp_path: Path) -> None:
    digits = bars(64)
    digits = DigitSet(digits.images[np.arange(64) // 2], digits.labels[np.arange(64) // 2])
    settings = LoopSettings(epochs=8, batch_size=8, learning_rate=5e-3, half_precision=False)
    classifier, oracle = (
        train_digit_classifier(digits, role, settings, tmp_path, clock=lambda: 0.0)
        for role in ("classifier", "oracle")
    )
    assert accuracy(classifier, digits) == accuracy(oracle, digits) == 1
    assert classifier.weights_digest != oracle.weights_digest
    read = load_digit_classifier(tmp_path / DIGIT_FILES["oracle"])
    torch.testing.assert_close(
        read.logits(to_batch(digits.images[:2])), oracle.logits(to_batch(digits.images[:2]))
    )


def test_a_generator_of_digits_is_trained_and_read_back_with_its_encoder(tmp_path: Path) -> None:
    wgan = train_digit_generator(
        bars(40),
        tmp_path,
        generator=LoopSettings(epochs=1, batch_size=8),
        encoder=LoopSettings(epochs=1, batch_size=8),
        clock=lambda: 0.0,
        shape=WGANShape(32, latent=4, channel_base=64, channel_limit=4, critic_base=64),
    )
    images = to_batch(bars(2).images)
    assert wgan(images).shape == images.shape
    assert (tmp_path / DIGIT_FILES["wgan"]).is_file() and wgan.reconstruction_error > 0


PAPER = {"alpha": 0.05, "gamma": 0.1, "reencode": 0.0, "shell": 0.0, "refine": 0, "keep": 1.0}


class TwoBars(torch.nn.Module):
    """G(z) mixes an upright bar (z = 1) and a lying one (z = −1); E knows which."""

    input_size = (32, 32)
    latent_shape = (1,)
    weights_digest = "bars"

    def __init__(self) -> None:
        super().__init__()
        self.bars = torch.nn.Parameter(to_batch(bars(2).images))

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        share = torch.sigmoid(3 * latents).reshape(-1, 1, 1, 1)
        return torch.lerp(self.bars[1:], self.bars[:1], share)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        upright = (images * self.bars[:1]).flatten(1).sum(dim=1, keepdim=True)
        return torch.where(upright > 60, 1.0, -1.0)


class Upright(LeNet):
    """Logit of nine: ink of the upright bar; of four: ink of the lying one."""

    def __init__(self, sharpness: float) -> None:
        super().__init__()
        self.sharpness = sharpness

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        upright = images[:, 0, 6:26, 14:18].mean(dim=(1, 2))
        lying = images[:, 0, 14:18, 6:26].mean(dim=(1, 2))
        logits = torch.full((len(images), 10), -9.0)
        logits[:, 9], logits[:, 4] = self.sharpness * upright, self.sharpness * lying
        return logits


def test_conversions_are_counted_by_the_independent_network(tmp_path: Path) -> None:
    explained, oracle = DigitClassifier(Upright(8.0), "a"), DigitClassifier(Upright(1.0), "b")
    nines = bars(8).of(9)
    ticks = iter([10.0, 12.5])
    method = VisualRationale(explained, TwoBars(), **PAPER, rho=0.3)
    found = convert_digits(nines, method, oracle, source="9", wanted="4", clock=lambda: next(ticks))
    result = found.conversion
    assert (result.n_images, result.n_known, result.n_converted) == (4, 4, 4)
    assert result.became[4] == 4 and result.share == 1 and result.seconds == 2.5
    assert "4 of 4 digits 9 became a 4" in result.sentence()
    draw_digits(nines, found, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_what_does_not_convert_is_counted_as_what_it_became() -> None:
    explained, oracle = DigitClassifier(Upright(8.0), "a"), DigitClassifier(Upright(1.0), "b")
    method = VisualRationale(explained, TwoBars(), **PAPER, rho=0.3, cap=1)
    found = convert_digits(bars(4).of(9), method, oracle, source="9", wanted="4", clock=lambda: 0.0)
    assert found.conversion.n_converted == found.conversion.n_reached == 0
    assert "it takes 2 a 9" in found.conversion.sentence()


def test_a_network_cannot_judge_itself() -> None:
    explained = DigitClassifier(LeNet(), "a")
    method = VisualRationale(explained, TwoBars())
    with pytest.raises(ExplainerError, match="independent"):
        convert_digits(bars(2).of(9), method, explained, source="9", wanted="4", clock=lambda: 0.0)
