"""Path and optimised Latent Shift, and goals with a target for all three variants."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logit

from explainers import registry
from explainers.base import ExplainerError
from explainers.counterfactual.latent_shift import LatentShift
from explainers.counterfactual.optimised import (
    LatentShiftOptimised,
    moved,
    noise_at,
    penalty,
    shift_at,
)
from explainers.counterfactual.path import LatentShiftPath
from explainers.differentiation import ExplanationCancelled
from explainers.record import Goal
from tests.support.stub_networks import (
    LinearAutoencoder,
    LinearClassifier,
    SquashedAutoencoder,
    grey_images,
)

MASS, OPACITY = Goal("Mass"), Goal("Lung Opacity")
VARIANTS = (LatentShift, LatentShiftPath, LatentShiftOptimised)
PLAIN = {"compactness": 0.0, "jitter": 0.0, "noise": 0.0}


def linear(variant, **parameters):
    """Make a variant on linear networks; the optimised one undisturbed."""
    if variant is LatentShiftOptimised:
        parameters = {**PLAIN, **parameters}
    return variant(LinearClassifier(), LinearAutoencoder(), **parameters)


def gradient_in_pixels(finding=0):
    classifier, autoencoder = LinearClassifier(), LinearAutoencoder()
    with torch.no_grad():
        gradient = autoencoder.basis.T @ classifier.head.weight[finding]
        return (autoencoder.basis @ gradient).reshape(8, 8).numpy(), float(gradient.square().sum())


@pytest.mark.parametrize("variant", VARIANTS[:2])
def test_where_the_gradient_does_not_change_the_gradient_variants_have_the_closed_form(variant):
    pixels, squared = gradient_in_pixels()
    goals = [Goal("Mass", target=0.2), Goal("Mass", target=0.9, direction="up"), MASS]
    films = linear(variant).explain(grey_images(3), goals)
    for film, goal in zip(films, goals, strict=True):
        start = film.probability_reconstruction
        low = goal.target if goal.direction == "down" and goal.target else start - 0.30
        high = goal.target if goal.direction == "up" else start + 0.05
        expected = [(logit(end) - logit(start)) / squared for end in (low, high)]
        np.testing.assert_allclose(film.steps[[0, -1]], expected, rtol=2e-3)
        frames = film.reconstruction + film.steps[:, None, None] * pixels
        np.testing.assert_allclose(film.frames, frames, atol=2e-4)
        assert film.reached


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_target_is_obtained_at_its_own_end_by_nonlinear_networks(variant):
    explainer = variant(LinearClassifier(), SquashedAutoencoder())
    images = grey_images(4)
    starts = [film.probability_reconstruction for film in explainer.explain(images, [MASS] * 4)]
    goals = [Goal("Mass", target=start - 0.2) for start in starts]
    for film, goal in zip(explainer.explain(images, goals), goals, strict=True):
        assert film.reached_low
        assert film.probabilities[0] == pytest.approx(goal.target, abs=2e-3)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_target_is_not_held_back_by_the_limit(variant):
    [film] = linear(variant, limit=0.1).explain(grey_images(1), [Goal("Mass", target=0.02)])
    assert film.reached_low
    assert film.probabilities[0] == pytest.approx(0.02, abs=1e-3)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_target_that_the_reconstruction_has_already_counts_as_reached(variant):
    [film] = linear(variant).explain(grey_images(1), [Goal("Mass", target=0.99)])
    assert film.reached_low
    assert film.probabilities[0] == pytest.approx(film.probability_reconstruction - 0.3, abs=1e-3)


class Floored(LinearClassifier):
    """Never says less than 0.3."""

    def probabilities(self, logits):
        return 0.5 + 0.2 * torch.tanh(logits)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_target_that_nothing_obtains_is_flagged_and_the_film_still_moves(variant):
    explainer = variant(Floored(), SquashedAutoencoder())
    [film] = explainer.explain(grey_images(1), [Goal("Mass", target=0.2)])
    assert not film.reached_low
    assert film.probabilities[0] < film.probability_reconstruction - 0.1


class Blind(LinearClassifier):
    """Does not look at the image."""

    def logits(self, images):
        return super().logits(images) * 0 + 0.4


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_a_gradient_the_film_is_still_and_flagged(variant):
    [film] = variant(Blind(), LinearAutoencoder()).explain(grey_images(1), [MASS])
    assert not (film.reached_low or film.reached_high)
    assert np.ptp(film.frames, axis=0).max() < 1e-6


@pytest.mark.parametrize("variant", VARIANTS[1:])
@pytest.mark.parametrize("batch_size", [2, 5])
def test_early_stops_do_not_make_films_depend_on_their_batch(variant, batch_size):
    pair, images = (LinearClassifier(), SquashedAutoencoder()), grey_images(5)
    easy, hard = Goal("Mass", target=0.49), Goal("Lung Opacity", target=0.1)
    goals = [easy, hard, MASS, OPACITY, hard]
    together = variant(*pair, batch_size=batch_size, frame_batch_size=7).explain(images, goals)
    for number, film in enumerate(together):
        part = slice(number, number + 1)
        [alone] = variant(*pair).explain(images[part], goals[part])
        np.testing.assert_allclose(film.frames, alone.frames, atol=1e-3)
        np.testing.assert_allclose(film.probabilities, alone.probabilities, atol=1e-3)


class Counting(LinearClassifier):
    """Counts the images it looks at."""

    seen = 0

    def logits(self, images):
        self.seen += len(images)
        return super().logits(images)


@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_a_near_goal_costs_less_than_a_far_one(variant):
    looks = []
    for target in (0.45, 0.01):
        classifier = Counting()
        variant(classifier, SquashedAutoencoder()).explain(
            grey_images(1), [Goal("Mass", target=target)]
        )
        looks.append(classifier.seen)
    assert looks[0] < looks[1]


def test_a_step_of_the_path_changes_the_logit_by_a_bounded_amount():
    [film] = LatentShiftPath(LinearClassifier(), SquashedAutoencoder(), frames_below=100).explain(
        grey_images(1), [Goal("Mass", target=0.05)]
    )
    falls = np.diff(logit(film.probabilities[: film.origin + 1]))
    assert falls.min() > -1e-3
    assert falls.max() < 0.5


class Patchwork(torch.nn.Module):
    """Latents (1, 4, 4) shown as blocks of 4 × 4 pixels: every latent has its own place."""

    input_size = (16, 16)
    weights_digest = "patchwork"

    def encode(self, images):
        return torch.nn.functional.avg_pool2d(images, 4)

    def decode(self, latents):
        return latents.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)


class TwoPlaces(LinearClassifier):
    """Sees one block clearly and another one faintly."""

    findings = ("Mass",)
    input_size = (16, 16)

    def logits(self, images):
        clear, faint = images[:, 0, :4, :4].mean((1, 2)), images[:, 0, 8:12, 8:12].mean((1, 2))
        return (12 * clear + 4 * faint - 4)[:, None]


def patchwork_change(**parameters):
    images = torch.full((1, 1, 16, 16), 0.5)
    settings = {"jitter": 0.0, "rate": 0.5, "max_steps": 400, "patience": 300, **parameters}
    explainer = LatentShiftOptimised(TwoPlaces(), Patchwork(), **settings)
    [film] = explainer.explain(images, [Goal("Mass", target=0.6)])
    assert film.reached_low
    return np.abs(film.frames[0] - film.reconstruction)


def test_the_change_stays_where_the_classifier_sees_most():
    change = patchwork_change()
    assert change[1, 1] > 0.05
    assert change[9, 9] < 0.25 * change[1, 1]
    assert change[4:8].max() == pytest.approx(0, abs=1e-6)


def test_without_the_pull_the_faint_place_changes_too():
    spread = patchwork_change(compactness=0.0, smoothness=0.0, patience=0)
    compact = patchwork_change()
    assert spread[9, 9] / spread[1, 1] > compact[9, 9] / compact[1, 1] + 0.1


def test_patience_finds_a_smaller_change_that_still_has_the_wanted_prediction():
    hasty, patient = patchwork_change(patience=0), patchwork_change()
    assert patient.mean() <= hasty.mean()


def test_the_penalty_is_the_change_in_grey_levels_plus_its_slopes():
    change = torch.zeros(2, 1, 4, 4)
    change[1] = 0.1
    change[1, :, :, 2:] = 0.3
    plain, with_slopes = penalty(change, 0.0), penalty(change, 2.0)
    assert float(plain[0]) == 0
    assert float(plain[1]) == pytest.approx(255 * 0.2, rel=0.01)
    assert float(with_slopes[1] - plain[1]) == pytest.approx(255 * 2 * 0.2 / 3, rel=0.02)


def test_the_noise_of_a_step_is_the_same_for_every_film_and_batch():
    films = torch.rand(3, 1, 5, 6)
    assert torch.equal(noise_at(4, films), noise_at(4, films[:1]))
    assert not torch.equal(noise_at(4, films), noise_at(5, films))


def test_the_movements_of_the_film_are_fixed_and_bounded():
    shifts = [shift_at(k, 0.05, (128, 64)) for k in range(1, 60)]
    assert shifts == [shift_at(k, 0.05, (128, 64)) for k in range(1, 60)]
    assert max(abs(down) for down, _ in shifts) <= 6
    assert max(abs(right) for _, right in shifts) <= 3
    assert len(set(shifts)) > 20
    assert shift_at(3, 0.0, (128, 64)) == (0, 0)
    image = torch.arange(20.0).reshape(1, 1, 4, 5)
    down_left = moved(image, (1, -2))
    torch.testing.assert_close(down_left[..., 1:, :3], image[..., :3, 2:])
    torch.testing.assert_close(down_left[..., 0, :3], image[..., 0, 2:])


class Detaching(LinearClassifier):
    """Its result knows nothing of its input."""

    def logits(self, images):
        return super().logits(images).detach()


class Through(torch.autograd.Function):
    """A layer without a derivative."""

    @staticmethod
    def forward(_ctx, values):
        return values

    @staticmethod
    def backward(_ctx, _gradient):
        raise NotImplementedError("no derivative of this layer")


class WithoutDerivative(LinearClassifier):
    def logits(self, images):
        return Through.apply(super().logits(images))


class NotANumber(LinearClassifier):
    def logits(self, images):
        return super().logits(images) * torch.nan


class OneTooMany(LinearClassifier):
    def logits(self, images):
        return torch.cat([super().logits(images)] * 2, dim=1)


class Halving(LinearAutoencoder):
    def decode(self, latents):
        return super().decode(latents)[..., ::2, ::2]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("classifier", "autoencoder", "said"),
    [
        (Detaching, LinearAutoencoder, "cannot be differentiated"),
        (WithoutDerivative, LinearAutoencoder, "no derivative of this layer"),
        (NotANumber, LinearAutoencoder, "NaN"),
        (OneTooMany, LinearAutoencoder, r"logits of shape \(1, 4\)"),
        (LinearClassifier, Halving, "expected the same size"),
    ],
)
def test_networks_that_do_not_fit_are_refused_in_one_sentence(
    variant, classifier, autoencoder, said
):
    if autoencoder is Halving:
        classifier = _Flexible
    with pytest.raises(ExplainerError, match=said):
        variant(classifier(), autoencoder()).explain(grey_images(1), [MASS])


class _Flexible(LinearClassifier):
    """Takes images of any size, as convolutional networks do."""

    def logits(self, images):
        return images.mean(dim=(2, 3)).repeat(1, 2)


@pytest.mark.parametrize("target", [0.0, 1.0, -0.2, float("nan")])
def test_a_target_that_is_no_probability_is_refused(target):
    with pytest.raises(ExplainerError, match="expected a probability between 0 and 1"):
        linear(LatentShift).explain(grey_images(1), [Goal("Mass", target=target)])


@pytest.mark.parametrize(
    ("variant", "parameters", "said"),
    [
        (LatentShiftPath, {"logit_step": 0.0}, "logit_step is 0"),
        (LatentShiftPath, {"max_steps": 0}, "max_steps 0"),
        (LatentShiftOptimised, {"compactness": 1.0}, "compactness is 1"),
        (LatentShiftOptimised, {"jitter": 0.5}, "jitter is 0.5"),
        (LatentShiftOptimised, {"noise": -0.1}, "noise is -0.1"),
        (LatentShiftOptimised, {"smoothness": -1.0}, "smoothness is -1"),
        (LatentShiftOptimised, {"max_steps": 0}, "max_steps is 0"),
    ],
)
def test_parameters_of_the_variants_out_of_range_are_refused(variant, parameters, said):
    with pytest.raises(ExplainerError, match=said):
        linear(variant, **parameters)


@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_a_search_can_be_cancelled_between_its_steps(variant):
    asked = []

    def after_a_while():
        asked.append(None)
        return len(asked) > 3

    with pytest.raises(ExplanationCancelled):
        linear(variant).explain(
            grey_images(1), [Goal("Mass", target=1e-6)], cancelled=after_a_while
        )
    assert len(asked) == 4


def test_the_variants_are_told_apart_by_their_titles():
    titles = [registry.spec(variant.name).title for variant in VARIANTS]
    assert titles == [
        "Latent Shift, one-step",
        "Latent Shift, path",
        "Latent Shift, optimised",
    ]
