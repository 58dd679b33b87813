"""Held-out figures against closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from explainers.training.films import Films
from explainers.training.held_out import (
    auc,
    auc_interval,
    evaluate_autoencoder,
    evaluate_classifier,
)


class Brightest:
    """Calls a mass by the brightest pixel and an effusion by the lowest rows."""

    findings = ("Mass", "Effusion")
    input_size = (32, 32)
    input_range = (0.0, 1.0)
    weights_digest = "brightest"

    def logits(self, images: Tensor) -> Tensor:
        mass = images[:, 0, 8:14, 18:24].mean((1, 2))
        effusion = images[:, 0, 26:].mean((1, 2))
        return torch.stack([20 * (mass - 0.5), 20 * (effusion - 0.45)], dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)


class Dimmer:
    """An autoencoder that loses a tenth of full scale everywhere."""

    input_size = (32, 32)
    latent_shape = (1, 32, 32)
    weights_digest = "dimmer"

    def encode(self, images: Tensor) -> Tensor:
        return images - 0.1

    def decode(self, latents: Tensor) -> Tensor:
        return latents


def test_auc_is_the_share_of_ordered_pairs_with_ties_counted_half() -> None:
    scores, labels = np.array([1.0, 2.0, 2.0, 3.0]), np.array([0, 0, 1, 1])
    assert auc(scores, labels) == pytest.approx(3.5 / 4)


def test_auc_does_not_change_under_a_rising_map() -> None:
    generator = np.random.default_rng(0)
    scores, labels = generator.normal(size=50), generator.random(50) < 0.4
    assert auc(scores, labels) == auc(np.exp(3 * scores) - 7, labels)


def test_auc_of_one_class_is_undefined() -> None:
    assert np.isnan(auc(np.arange(3.0), np.ones(3)))


def test_the_interval_holds_the_value_and_widens_when_films_share_patients() -> None:
    generator = np.random.default_rng(1)
    labels = (generator.random(60) < 0.5).astype(float)
    scores = labels + generator.normal(size=60)
    alone = auc_interval(scores, labels, np.arange(60).astype(str))
    assert alone.low < alone.value < alone.high
    four_films = auc_interval(
        np.repeat(scores, 4), np.repeat(labels, 4), np.repeat(np.arange(60), 4).astype(str)
    )
    split_up = auc_interval(np.repeat(scores, 4), np.repeat(labels, 4), np.arange(240).astype(str))
    assert four_films.high - four_films.low > 1.5 * (split_up.high - split_up.low)


def test_a_perfect_classifier_has_auc_one_on_known_labels(films: Films) -> None:
    figures = evaluate_classifier(Brightest(), films, split="train", n_resamples=20)
    mass, effusion = figures.findings
    rows = films.rows("train")
    assert (mass.auc.value, mass.sensitivity, mass.specificity) == (1.0, 1.0, 1.0)
    assert effusion.auc.value == 1.0
    assert mass.n_films == len(rows)
    assert effusion.n_films == int(np.isfinite(films.labels[rows, 1]).sum()) < mass.n_films
    assert mass.auc_tube_free is None
    assert mass.sensitivity_by_severity == ()


def test_severity_thirds_and_tube_free_films_come_from_the_parameters(films: Films) -> None:
    ids = np.unique(films.case_ids)
    order = {case_id: index / len(ids) for index, case_id in enumerate(ids)}
    table = pd.DataFrame(
        {"mass_severity": [order[i] for i in ids], "chest_tube": [i[-1] == "0" for i in ids]},
        index=ids,
    )

    class Severe(Brightest):
        """Finds a mass in the later half of the cases only."""

        def probabilities(self, logits: Tensor) -> Tensor:
            late = torch.tensor([order[i] >= 0.5 for i in films.case_ids[rows]])
            return super().probabilities(logits) * late[:, None]

    rows = films.rows("train")
    figures = evaluate_classifier(
        Severe(), films, split="train", parameters=table, n_resamples=5
    ).findings[0]
    low, middle, high = figures.sensitivity_by_severity
    assert low == 0.0
    assert 0.0 <= middle <= 1.0
    assert high == 1.0
    assert figures.auc_tube_free is not None
    assert figures.auc_tube_free.value == 1.0


def test_a_constant_error_is_reported_in_grey_levels(films: Films) -> None:
    figures = evaluate_autoencoder(Dimmer(), films, split="train")
    assert figures.error == pytest.approx(25.5, abs=1e-3)
    assert figures.error_in_masks == pytest.approx(25.5, abs=1e-3)
    mass = figures.findings[0]
    assert mass.probability_shift is None
    assert mass.error_in_mask == pytest.approx(25.5, abs=1e-3)


def test_the_shift_of_the_classifier_is_measured_on_positives(films: Films) -> None:
    classifier = Brightest()
    figures = evaluate_autoencoder(Dimmer(), films, split="train", classifier=classifier)
    rows = films.rows("train")
    images = films.image_batch(rows)
    before = classifier.probabilities(classifier.logits(images))[:, 0]
    after = classifier.probabilities(classifier.logits(images - 0.1))[:, 0]
    positive = torch.from_numpy(films.labels[rows, 0] == 1)
    expected = float((after - before)[positive].abs().mean())
    mass = figures.findings[0]
    assert mass.n_positive == int(positive.sum())
    assert mass.probability_shift == pytest.approx(expected, rel=1e-5)
    assert mass.signed_shift == pytest.approx(-expected, rel=1e-5)
