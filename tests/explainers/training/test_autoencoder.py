"""Training an autoencoder: what the loss weighs, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from explainers.base import ExplainerError
from explainers.classifiers.calibration import Calibration
from explainers.classifiers.networks import build_classifier
from explainers.classifiers.ours import OurClassifier
from explainers.generators.networks import AutoencoderShape
from explainers.training.autoencoder import (
    LossWeights,
    PerceptualTerm,
    pixel_weights,
    reconstruction_loss,
    train_autoencoder,
)
from explainers.training.films import Films
from explainers.training.loop import LoopSettings, TrainingInterrupted

SETTINGS = LoopSettings(epochs=2, batch_size=8, learning_rate=5e-3, half_precision=False)
TINY = AutoencoderShape(4, (4, 8, 8, 8), (8, 8, 8, 8, 4))


def _helper(architecture: str = "smaller") -> OurClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = build_classifier(architecture, 2)
    return OurClassifier(
        network, ("Mass", "Effusion"), (32, 32), Calibration.identity(2), architecture=architecture
    )


def test_a_perfect_copy_has_loss_zero() -> None:
    images = torch.rand(2, 1, 16, 16)
    weight = pixel_weights(images, torch.zeros(2, 1, 16, 16), LossWeights())
    assert float(reconstruction_loss(images, images, weight, LossWeights())) == 0.0


def test_the_elastic_loss_of_a_constant_error_is_its_absolute_plus_its_square() -> None:
    images = torch.full((1, 1, 16, 16), 0.5)
    weights = LossWeights(gradient=0.0, pyramid=0.0)
    loss = reconstruction_loss(images + 0.1, images, torch.ones_like(images), weights)
    assert float(loss) == pytest.approx(0.1 + 0.01)


def test_small_masks_weigh_more_per_pixel_and_as_much_in_all() -> None:
    masks = torch.zeros(1, 2, 32, 32)
    masks[0, 0, :4, :32] = 1  # 128 pixels
    masks[0, 1, 16:20, :16] = 1  # 64 pixels
    weights = LossWeights(mask_attention=0.25, mask_low=0.0, mask_high=100.0, edges=0.0)
    weight = pixel_weights(torch.zeros(1, 1, 32, 32), masks, weights) - 1
    assert float(weight[0, 0, 0, 0]) == pytest.approx(2.0)
    assert float(weight[0, 0, 16, 0]) == pytest.approx(4.0)
    assert float(weight[0, 0, :4].sum()) == pytest.approx(float(weight[0, 0, 16:20].sum()))
    assert float(weight[0, 0, 31, 31]) == 0.0


def test_edges_weigh_more_than_flat_tissue() -> None:
    images = torch.zeros(1, 1, 16, 16)
    images[..., 8:] = 1.0
    weight = pixel_weights(images, torch.zeros(1, 1, 16, 16), LossWeights(edges=3.0))
    assert float(weight[0, 0, 4, 7]) == pytest.approx(4.0)
    assert float(weight[0, 0, 4, 2]) == pytest.approx(1.0)


def test_an_error_inside_a_mask_costs_more_than_the_same_error_outside() -> None:
    images = torch.full((1, 1, 32, 32), 0.5)
    masks = torch.zeros(1, 1, 32, 32)
    masks[..., 8:12, 8:12] = 1
    weight = pixel_weights(images, masks, LossWeights())
    inside, outside = images.clone(), images.clone()
    inside[..., 8:12, 8:12] += 0.1
    outside[..., 20:24, 20:24] += 0.1
    costs = [
        float(reconstruction_loss(x, images, weight, LossWeights())) for x in (inside, outside)
    ]
    assert costs[0] > 2 * costs[1]


def test_the_perceptual_distance_is_zero_for_a_copy_and_has_a_gradient() -> None:
    term = PerceptualTerm(_helper())
    images = torch.rand(2, 1, 32, 32)
    features, logits = term.distances(images.clone(), images)
    assert float(features) == float(logits) == 0.0
    rebuilt = torch.rand(2, 1, 32, 32, requires_grad=True)
    sum(term.distances(rebuilt, images)).backward()
    assert rebuilt.grad is not None
    assert rebuilt.grad.abs().sum() > 0


def test_a_helper_of_another_architecture_is_refused() -> None:
    with pytest.raises(ExplainerError, match="small or smaller architecture; got 'lenet'"):
        PerceptualTerm(_helper("lenet"))


@pytest.mark.parametrize("with_helper", [False, True])
def test_training_lowers_the_error(films: Films, tmp_path: Path, with_helper: bool) -> None:
    settings = replace(SETTINGS, epochs=12)
    autoencoder, run = train_autoencoder(
        films, settings, tmp_path, shape=TINY, clock=lambda: 0.0,
        perceptual=_helper() if with_helper else None,
    )  # fmt: skip
    assert autoencoder.latent_shape == (4, 2, 2)
    assert run.history[-1].validation["MAE"] < 0.7 * run.history[0].validation["MAE"]
    assert run.history[-1].validation["MAE in masks"] > 0


def test_a_resumed_autoencoder_equals_an_uninterrupted_one(films: Films, tmp_path: Path) -> None:
    options = {"shape": TINY, "clock": lambda: 0.0}
    whole, _ = train_autoencoder(films, SETTINGS, tmp_path / "whole", **options)
    with pytest.raises(TrainingInterrupted):
        train_autoencoder(films, SETTINGS, tmp_path / "parts", cancelled=lambda: True, **options)
    parts, _ = train_autoencoder(films, SETTINGS, tmp_path / "parts", **options)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name


def test_another_loss_does_not_continue_a_checkpoint(films: Films, tmp_path: Path) -> None:
    train_autoencoder(films, SETTINGS, tmp_path, shape=TINY, clock=lambda: 0.0)
    with pytest.raises(ExplainerError, match="other cases or settings"):
        train_autoencoder(
            films, SETTINGS, tmp_path, shape=TINY, clock=lambda: 0.0, weights=LossWeights(edges=0)
        )


def test_films_whose_side_is_no_multiple_of_sixteen_are_refused(
    films: Films, tmp_path: Path
) -> None:
    odd = replace(films, images=films.images[:, :30, :30], masks=films.masks[:, :30, :30])
    with pytest.raises(ExplainerError, match="multiples of 16; got 30 × 30"):
        train_autoencoder(odd, SETTINGS, tmp_path, shape=TINY, clock=lambda: 0.0)
