"""Latent Shift: closed forms with a linear decoder, unreached goals, networks left as found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from explainers.base import ExplainerError
from explainers.counterfactual.latent_shift import LatentShift
from explainers.differentiation import ExplanationCancelled
from explainers.record import Goal
from tests.support.stub_networks import (
    LinearAutoencoder,
    LinearClassifier,
    ReluClassifier,
    SquashedAutoencoder,
    grey_images,
)

MASS, OPACITY = Goal("Mass"), Goal("Lung Opacity")


def linear(**parameters):
    return LatentShift(LinearClassifier(), LinearAutoencoder(), **parameters)


def closed_form(images, finding=0):
    """Return f's logit at x'_0, the gradient of Eq. 1 in pixels, and its squared length."""
    classifier, autoencoder = LinearClassifier(), LinearAutoencoder()
    with torch.no_grad():
        start = classifier.logits(decode(autoencoder, images))
        gradient = autoencoder.basis.T @ classifier.head.weight[finding]
        pixels = (autoencoder.basis @ gradient).reshape(8, 8)
    return start[:, finding].double().numpy(), pixels.numpy(), float(gradient.square().sum())


def decode(autoencoder, images):
    return autoencoder.decode(autoencoder.encode(images))


def test_the_range_of_lambda_has_its_closed_form():
    images = grey_images(4)
    start, _, squared = closed_form(images)
    films = linear().explain(images, [MASS] * 4)
    probability = expit(start)
    low = (logit(probability - 0.30) - start) / squared
    high = (logit(probability + 0.05) - start) / squared
    np.testing.assert_allclose([film.steps[0] for film in films], low, rtol=1e-3)
    np.testing.assert_allclose([film.steps[-1] for film in films], high, rtol=1e-3)
    for film in films:
        change = film.probabilities - film.probability_reconstruction
        assert change[0] == pytest.approx(-0.30, abs=1e-3)
        assert change[-1] == pytest.approx(0.05, abs=1e-3)
        assert film.reached


def test_every_frame_has_its_closed_form():
    images = grey_images(2)
    _, pixels, _ = closed_form(images, finding=1)
    films = linear().explain(images, [OPACITY] * 2)
    with torch.no_grad():
        base = decode(LinearAutoencoder(), images).squeeze(1).numpy()
    for film, reconstruction in zip(films, base, strict=True):
        expected = reconstruction + film.steps[:, None, None] * pixels
        np.testing.assert_allclose(film.frames, expected, atol=1e-5)
        np.testing.assert_allclose(
            film.to_attribution("max"), np.abs(film.steps).max() * np.abs(pixels), atol=1e-5
        )
        np.testing.assert_allclose(
            film.to_attribution("minmax"), np.ptp(film.steps) * np.abs(pixels), atol=1e-5
        )


def test_every_film_has_the_same_number_of_frames_evenly_spaced_on_each_side():
    for film in linear(frames_below=4, frames_above=3).explain(grey_images(3), [MASS] * 3):
        assert len(film.frames) == len(film.steps) == 8
        assert film.origin == 4
        assert film.steps[4] == 0
        np.testing.assert_allclose(np.diff(film.steps, 2)[[0, 1, 2, 4, 5]], 0, atol=1e-12)


def test_predictions_before_and_after_reconstruction_are_both_kept():
    classifier, autoencoder, images = LinearClassifier(), LinearAutoencoder(), grey_images(1)
    [film] = LatentShift(classifier, autoencoder).explain(images, [MASS])
    with torch.no_grad():
        of_image = torch.sigmoid(classifier.logits(images))[0, 0]
        of_base = torch.sigmoid(classifier.logits(decode(autoencoder, images)))[0, 0]
        of_frames = torch.sigmoid(classifier.logits(torch.from_numpy(film.frames)[:, None]))[:, 0]
    assert film.probability_image == pytest.approx(float(of_image), abs=1e-6)
    assert film.probability_reconstruction == pytest.approx(float(of_base), abs=1e-6)
    assert film.probability_image != film.probability_reconstruction
    np.testing.assert_allclose(film.probabilities, of_frames.numpy(), atol=1e-5)


def shifted_classifier(bias):
    classifier = LinearClassifier()
    with torch.no_grad():
        classifier.head.bias += bias
    return classifier


def test_a_fall_below_zero_is_not_asked_for_and_flagged():
    [film] = LatentShift(shifted_classifier(-2.0), LinearAutoencoder()).explain(
        grey_images(1), [MASS]
    )
    start = film.probability_reconstruction
    assert start < 0.30
    assert (film.reached_low, film.reached_high, film.reached) == (False, True, False)
    assert film.probabilities[0] == pytest.approx(0.1 * start, abs=1e-3)


def test_a_rise_above_one_is_not_asked_for_and_flagged():
    [film] = LatentShift(shifted_classifier(4.0), LinearAutoencoder()).explain(
        grey_images(1), [MASS]
    )
    start = film.probability_reconstruction
    assert start > 0.96
    assert (film.reached_low, film.reached_high) == (True, False)
    assert film.probabilities[-1] == pytest.approx(start + 0.9 * (1 - start), abs=1e-3)


class Saturating(LinearClassifier):
    """Never falls by more than about 0.1 (a sigmoid with a floor)."""

    def probabilities(self, logits):
        return 0.5 + 0.2 * torch.tanh(logits)


def test_a_goal_that_is_never_reached_is_flagged_and_the_film_still_moves():
    [film] = LatentShift(Saturating(), LinearAutoencoder(), fall=0.6).explain(
        grey_images(1), [MASS]
    )
    assert not film.reached_low
    assert film.probabilities[0] < film.probability_reconstruction - 0.1


class Blind(LinearClassifier):
    """Does not look at the image."""

    def logits(self, images):
        return super().logits(images) * 0 + 0.4


def test_a_classifier_without_gradient_gives_a_still_film_that_is_flagged():
    [film] = LatentShift(Blind(), LinearAutoencoder()).explain(grey_images(1), [MASS])
    assert not (film.reached_low or film.reached_high)
    assert np.ptp(film.frames, axis=0).max() == 0


def test_a_prediction_that_is_sure_does_not_stop_the_gradient():
    """The gradient of a saturated probability would be 0 in float32; that of the logit is not."""
    [film] = LatentShift(shifted_classifier(30.0), SquashedAutoencoder()).explain(
        grey_images(1), [MASS]
    )
    assert film.probability_reconstruction == pytest.approx(1.0, abs=1e-7)
    assert np.ptp(film.frames, axis=0).max() > 0


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_a_case_gets_the_same_film_alone_and_in_any_batch(batch_size):
    classifier, autoencoder, images = ReluClassifier(), SquashedAutoencoder(), grey_images(5)
    goals = [MASS, OPACITY, MASS, OPACITY, MASS]
    films = LatentShift(classifier, autoencoder, batch_size=batch_size, frame_batch_size=7).explain(
        images, goals
    )
    for number, film in enumerate(films):
        part = slice(number, number + 1)
        [alone] = LatentShift(classifier, autoencoder).explain(images[part], goals[part])
        np.testing.assert_allclose(film.frames, alone.frames, atol=1e-4)
        np.testing.assert_allclose(film.probabilities, alone.probabilities, atol=1e-4)


class Training(SquashedAutoencoder):
    """In training mode it would blacken every image."""

    def decode(self, latents):
        return super().decode(latents) * (0.0 if self.training else 1.0)


class Broken(LinearAutoencoder):
    """Fails once the range of λ is searched."""

    def decode(self, latents):
        if len(latents) > 1:
            raise RuntimeError("out of memory")
        return super().decode(latents)


def networks(autoencoder):
    classifier = ReluClassifier().train()
    autoencoder.train()
    autoencoder.basis.grad = torch.ones_like(autoencoder.basis)
    autoencoder.register_forward_hook(lambda *_arguments: None)
    return classifier, autoencoder


def state_of(*modules):
    return str(
        [
            (
                layer.training,
                [(w.requires_grad, w.grad) for w in layer.parameters(recurse=False)],
                len(layer._forward_hooks),
            )
            for module in modules
            for layer in module.modules()
        ]
    )


def test_both_networks_are_used_in_evaluation_mode_and_left_as_they_were_found():
    pair = networks(Training())
    before = state_of(*pair)
    [film] = LatentShift(*pair).explain(grey_images(1), [MASS])
    assert film.reconstruction.min() > 0.3
    assert state_of(*pair) == before


def test_both_networks_are_left_as_they_were_found_after_an_exception():
    pair = networks(Broken())
    before = state_of(*pair)
    with pytest.raises(RuntimeError, match="out of memory"):
        LatentShift(*pair).explain(grey_images(1), [MASS])
    assert state_of(*pair) == before


class Unclamped(LinearAutoencoder):
    """Returns images in units of its own."""

    def decode(self, latents):
        return super().decode(latents) * 1024


def test_a_decoder_that_leaves_the_range_of_images_is_refused():
    with pytest.raises(ExplainerError, match=r"expected images in \[0, 1\]. Clamp them"):
        LatentShift(LinearClassifier(), Unclamped()).explain(grey_images(1), [MASS])


def test_a_decoder_that_computes_nan_is_refused():
    autoencoder = LinearAutoencoder()
    with torch.no_grad():
        autoencoder.basis[0, 0] = torch.nan
    with pytest.raises(ExplainerError, match="NaN"):
        LatentShift(LinearClassifier(), autoencoder).explain(grey_images(1), [MASS])


def test_networks_of_different_sizes_are_refused():
    autoencoder = LinearAutoencoder()
    autoencoder.input_size = (16, 16)
    with pytest.raises(ExplainerError, match=r"use two of the same size"):
        LatentShift(LinearClassifier(), autoencoder)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"fall": 0.0}, "fall is 0"),
        ({"rise": 1.0}, "rise is 1"),
        ({"limit": 1.5}, "limit is 1.5"),
        ({"frames_below": 0}, "0 frames below"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters, said):
    with pytest.raises(ExplainerError, match=said):
        linear(**parameters)


def test_progress_is_told_and_a_cancelled_run_stops():
    told = []
    explainer = linear(batch_size=2)
    explainer.explain(grey_images(3), [MASS] * 3, on_progress=lambda *each: told.append(each))
    assert told == [(2, 3), (3, 3)]
    with pytest.raises(ExplanationCancelled):
        explainer.explain(grey_images(3), [MASS] * 3, cancelled=lambda: True)
