"""Training a classifier: the loss, the augmentation, the calibrated result."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from explainers.base import ExplainerError
from explainers.training.classifier import Augmentation, multi_label_loss, train_classifier
from explainers.training.films import Films
from explainers.training.held_out import predict_logits
from explainers.training.loop import LoopSettings, TrainingInterrupted

SETTINGS = LoopSettings(epochs=2, batch_size=8, learning_rate=5e-3, half_precision=False)


def test_unknown_labels_take_no_part_in_the_loss() -> None:
    logits = torch.tensor([[0.0, 9.0], [0.0, -9.0]], requires_grad=True)
    loss = multi_label_loss(logits, torch.tensor([[1.0, math.nan], [0.0, math.nan]]))
    assert loss.item() == pytest.approx(math.log(2))
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad[:, 1] == 0).all()


def test_a_batch_without_any_known_label_has_loss_zero() -> None:
    assert float(multi_label_loss(torch.ones(2, 1), torch.full((2, 1), math.nan))) == 0.0


def test_augmentation_keeps_shape_and_range_and_follows_its_generator() -> None:
    images = torch.rand(4, 1, 16, 16)
    first = Augmentation().apply(images, torch.Generator().manual_seed(1))
    again = Augmentation().apply(images, torch.Generator().manual_seed(1))
    other = Augmentation().apply(images, torch.Generator().manual_seed(2))
    assert first.shape == images.shape
    assert 0 <= float(first.min()) <= float(first.max()) <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_augmentation_never_mirrors() -> None:
    images = torch.zeros(64, 1, 32, 32)
    images[..., :8] = 1.0
    changed = Augmentation().apply(images, torch.Generator().manual_seed(0))
    assert (changed[..., :16].mean((1, 2, 3)) > changed[..., 16:].mean((1, 2, 3))).all()


def test_no_augmentation_is_the_identity() -> None:
    images = torch.rand(2, 1, 16, 16)
    still = Augmentation(0, 0, 0, 0, 0).apply(images, torch.Generator().manual_seed(0))
    assert torch.allclose(still, images, atol=1e-6)


def test_a_trained_classifier_separates_bright_squares(films: Films, tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=15)
    classifier, run = train_classifier(
        films, settings, tmp_path, architecture="smaller", clock=lambda: 0.0
    )
    rows = films.rows("test")
    logits = predict_logits(classifier, films, rows)[:, films.findings.index("Mass")]
    mass = films.labels[rows, films.findings.index("Mass")] == 1
    assert logits[mass].min() > logits[~mass].max()
    assert classifier.findings == films.findings
    assert classifier.input_size == (32, 32)
    assert run.history[-1].loss < run.history[0].loss
    assert "mean AUC" in run.history[-1].validation


def test_training_twice_gives_the_same_weights(films: Films, tmp_path: Path) -> None:
    results = []
    for name in "ab":
        classifier, _ = train_classifier(
            films, SETTINGS, tmp_path / name, architecture="lenet", clock=lambda: 0.0
        )
        results.append(classifier)
    for one, two in zip(results[0].parameters(), results[1].parameters(), strict=True):
        assert torch.equal(one, two)
    assert results[0].calibration == results[1].calibration


def test_a_resumed_classifier_equals_an_uninterrupted_one(films: Films, tmp_path: Path) -> None:
    options = {"architecture": "smaller", "clock": lambda: 0.0}
    settings = replace(SETTINGS, half_precision=True)
    whole, _ = train_classifier(films, settings, tmp_path / "whole", **options)
    with pytest.raises(TrainingInterrupted):
        train_classifier(films, settings, tmp_path / "parts", cancelled=lambda: True, **options)
    parts, _ = train_classifier(films, settings, tmp_path / "parts", **options)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name


def test_a_finding_without_both_classes_is_refused_before_training(
    films: Films, tmp_path: Path
) -> None:
    labels = films.labels.copy()
    labels[:, 0] = 0
    one_class = replace(films, labels=labels)
    with pytest.raises(ExplainerError, match=f"{films.findings[0]}: .* both classes"):
        train_classifier(one_class, SETTINGS, tmp_path, architecture="lenet", clock=lambda: 0.0)
    assert not any(tmp_path.iterdir())


def test_counterfactuals_are_learned_from_only_when_asked_for(films: Films, tmp_path: Path) -> None:
    n_films = len(films.rows("train"))
    n_all = len(films.rows("train", counterfactuals=True))
    _, plain = train_classifier(
        films, SETTINGS, tmp_path / "a", architecture="lenet", clock=lambda: 0.0
    )
    _, more = train_classifier(
        films, SETTINGS, tmp_path / "b", architecture="lenet", clock=lambda: 0.0,
        counterfactuals=True,
    )  # fmt: skip
    assert plain.step == 2 * (n_films // 8)
    assert more.step == 2 * (n_all // 8)
    assert np.isfinite(plain.history[-1].loss)
