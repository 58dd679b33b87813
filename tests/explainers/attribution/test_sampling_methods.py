"""SmoothGrad, gradient SHAP, iterative delete, BBMP: closed forms, seeds and completeness."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from explainers.attribution.bbmp import Bbmp
from explainers.attribution.gradient_shap import GradientShap
from explainers.attribution.input_gradients import InputGradients
from explainers.attribution.integrated_gradients import IntegratedGradients
from explainers.attribution.iterative_delete import IterativeDelete
from explainers.attribution.lime import Lime
from explainers.attribution.seeding import seeded
from explainers.attribution.smoothgrad import SmoothGrad
from explainers.base import ExplainerError
from explainers.differentiation import ExplanationCancelled, predict
from explainers.record import Goal
from tests.support.stub_networks import LinearClassifier, ReluClassifier, grey_images

MASS, OPACITY = Goal("Mass"), Goal("Lung Opacity")


def weights(classifier):
    return classifier.head.weight[0].detach().reshape(8, 8).numpy()


def test_smoothgrad_without_noise_is_the_input_gradient():
    classifier, images = ReluClassifier().eval(), grey_images(2)
    smooth = SmoothGrad(classifier, n_samples=3, noise=0.0).explain(images, [MASS, OPACITY])
    plain = InputGradients(classifier).explain(images, [MASS, OPACITY])
    for each, expected in zip(smooth, plain, strict=True):
        np.testing.assert_allclose(each.values, expected.values, atol=1e-6)


def test_smoothgrad_is_the_mean_gradient_over_noisy_images():
    classifier, images = ReluClassifier().eval(), grey_images(1)
    [found] = SmoothGrad(classifier, n_samples=4000, noise=0.2).explain(images, [MASS])
    noise = 0.2 * torch.randn(4000, 1, 8, 8, generator=torch.Generator().manual_seed(5))
    noisy = (images + noise).requires_grad_()
    [gradients] = torch.autograd.grad(classifier.logits(noisy)[:, 0].sum(), noisy)
    expected = gradients.mean(dim=0)[0].numpy()
    assert np.corrcoef(found.values.ravel(), expected.ravel())[0, 1] > 0.98
    assert np.abs(found.values - expected).max() < 0.1 * np.abs(expected).max()


@pytest.mark.parametrize("method", [SmoothGrad, GradientShap, partial(Bbmp, n_iterations=5), Lime])
def test_a_seed_repeats_a_map_and_another_seed_changes_it(method):
    classifier = ReluClassifier().eval()
    images = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(7))
    maps = []
    for seed, disturbed in ((1, 10), (1, 11), (2, 10)):
        torch.manual_seed(disturbed)
        maps.append(method(classifier, seed=seed).explain(images, [MASS])[0].values)
    np.testing.assert_array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])


@pytest.mark.parametrize("method", [SmoothGrad, GradientShap, Bbmp, Lime])
def test_the_random_state_of_others_is_not_touched(method):
    explainer = method(ReluClassifier())
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    explainer.explain(grey_images(1), [MASS])
    assert torch.equal(torch.get_rng_state(), torch_before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)


def test_the_random_state_is_put_back_after_an_exception():
    before = torch.get_rng_state()
    with pytest.raises(KeyError), seeded(3, torch.device("cpu")):
        torch.rand(2)
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)


def test_gradient_shap_of_a_linear_classifier_with_one_baseline_is_weight_times_difference():
    classifier, images = LinearClassifier(), grey_images(2)
    found = GradientShap(classifier, darkest=0.2, brightest=0.2).explain(images, [MASS] * 2)
    for each, image in zip(found, images[:, 0].numpy(), strict=True):
        np.testing.assert_allclose(each.values, weights(classifier) * (image - 0.2), atol=1e-5)
        assert abs(each.method_error) < 1e-4


def test_gradient_shap_sums_to_the_difference_from_the_mean_over_its_baselines():
    classifier, images = ReluClassifier().eval(), grey_images(2) + 0.2
    levels = torch.linspace(0.1, 0.6, 11).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    start = float(predict(classifier, levels)[0][:, 0].mean())
    errors = {}
    for n_samples in (8, 2000):
        explainer = GradientShap(classifier, n_samples=n_samples, darkest=0.1, brightest=0.6)
        found = explainer.explain(images, [MASS] * 2)
        for each in found:
            missed = each.values.sum() - (each.logit - start)
            assert each.method_error == pytest.approx(missed, abs=1e-4)
        errors[n_samples] = max(abs(each.method_error) for each in found)
    assert errors[2000] < 0.1
    assert errors[2000] < errors[8]


def test_iterative_delete_with_one_round_is_the_input_gradient():
    classifier, images = ReluClassifier().eval(), grey_images(2)
    once = IterativeDelete(classifier, n_rounds=1).explain(images, [MASS] * 2)
    plain = InputGradients(classifier).explain(images, [MASS] * 2)
    for each, expected in zip(once, plain, strict=True):
        np.testing.assert_allclose(each.values, expected.values, atol=1e-6)


def test_iterative_delete_removes_the_strongest_pixels_and_averages_the_gradients():
    classifier, images = ReluClassifier().eval(), grey_images(1)
    explainer = IterativeDelete(classifier, n_rounds=2, share=0.125, baseline=0.0)
    [found] = explainer.explain(images, [MASS])
    [first] = InputGradients(classifier).explain(images, [MASS])
    rest = images.clone()
    rest.view(-1)[np.argsort(-np.abs(first.values).ravel())[:8].copy()] = 0
    [second] = InputGradients(classifier).explain(rest, [MASS])
    np.testing.assert_allclose(found.values, (first.values + second.values) / 2, atol=1e-6)


def test_iterative_delete_stops_removing_when_nothing_is_left():
    explainer = IterativeDelete(ReluClassifier(), n_rounds=6, share=0.4, baseline=0.0)
    [found] = explainer.explain(grey_images(1), [MASS])
    assert np.isfinite(found.values).all()


class OneBlock(LinearClassifier):
    """Looks at four pixels only."""

    def __init__(self):
        super().__init__()
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.weight.view(2, 8, 8)[:, 2:4, 4:6] = 2.0
            self.head.bias.zero_()


def test_bbmp_finds_the_only_block_that_matters():
    image = torch.full((1, 1, 8, 8), 0.2)
    image[0, 0, 2:4, 4:6] = 0.9
    explainer = Bbmp(OneBlock(), mask_size=8, blur=0.5, smoothness=0.1, jitter_px=0)
    [found] = explainer.explain(image, [MASS])
    inside = np.zeros((8, 8), bool)
    inside[2:4, 4:6] = True
    assert found.values.min() >= 0 and found.values.max() <= 1
    assert found.values[inside].min() > 0.5
    assert found.values[~inside].max() < 0.2


def test_bbmp_deletes_nothing_where_deleting_does_not_help():
    image = torch.full((1, 1, 8, 8), 0.9)
    [found] = Bbmp(OneBlock()).explain(image, [MASS])  # blurring a plain image changes nothing
    assert found.values.max() < 0.05


def test_bbmp_asks_for_no_more_than_blurring_everything_would_do():
    """Without a floor, ever more of the image would be deleted for ever lower logits."""
    image = torch.full((1, 1, 8, 8), 0.2)
    image[0, 0, 2:4, 4:6] = 0.9
    few, many = (
        Bbmp(OneBlock(), mask_size=8, blur=0.5, sparsity=cost, jitter_px=0).explain(image, [MASS])
        for cost in (10.0, 0.01)
    )
    assert few[0].values.sum() <= many[0].values.sum()


def test_a_tolerance_takes_as_few_points_as_it_needs():
    seen = []

    class Counting(ReluClassifier):
        def logits(self, images):
            seen.append(len(images))
            return super().logits(images)

    classifier, images = Counting().eval(), grey_images(3) + 0.3
    found = IntegratedGradients(classifier, tolerance=0.5).explain(images, [MASS] * 3)
    assert sum(seen) < 3 * (16 + 10)
    fine = IntegratedGradients(classifier, n_steps=300).explain(images, [MASS] * 3)
    for each, expected in zip(found, fine, strict=True):
        assert np.corrcoef(each.values.ravel(), expected.values.ravel())[0, 1] > 0.99


def test_a_tolerance_that_cannot_be_kept_takes_all_points():
    seen = []

    class Counting(ReluClassifier):
        def logits(self, images):
            if torch.is_grad_enabled():
                seen.append(len(images))
            return super().logits(images)

    classifier, images = Counting().eval(), grey_images(2) + 0.3
    found = IntegratedGradients(classifier, tolerance=1e-9).explain(images, [MASS] * 2)
    assert sum(seen) == 200
    start = float(predict(classifier, torch.zeros(1, 1, 8, 8))[0][0, 0])
    for each in found:
        missed = each.values.sum() - (each.logit - start)
        assert each.method_error == pytest.approx(missed, abs=1e-4)


def test_a_tolerance_is_kept_by_every_image_that_did_not_reach_the_cap():
    classifier, images = ReluClassifier().eval(), grey_images(6) + 0.3
    explainer = IntegratedGradients(classifier, tolerance=0.01, n_steps=2048)
    start = float(predict(classifier, torch.zeros(1, 1, 8, 8))[0][0, 0])
    for each in explainer.explain(images, [MASS] * 6):
        assert abs(each.method_error) <= 0.01 * max(1, abs(each.logit - start)) + 1e-5


def test_a_linear_classifier_needs_no_more_than_the_fewest_points():
    classifier, images = LinearClassifier(), grey_images(1)
    [found] = IntegratedGradients(classifier, tolerance=0.001).explain(images, [MASS])
    np.testing.assert_allclose(found.values, weights(classifier) * images[0, 0].numpy(), atol=1e-5)


def test_a_computation_is_cancelled_between_two_passes():
    asked = []

    def after_five():
        asked.append(1)
        return len(asked) > 5

    with pytest.raises(ExplanationCancelled):
        Bbmp(ReluClassifier(), n_iterations=10**6).explain(
            grey_images(1), [MASS], cancelled=after_five
        )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda c: SmoothGrad(c, n_samples=0), "n_samples is 0; expected at least 1"),
        (lambda c: SmoothGrad(c, noise=-0.1), "noise is -0.1"),
        (lambda c: SmoothGrad(c, noise=float("nan")), "noise is nan"),
        (lambda c: SmoothGrad(c, seed=-1), "seed is -1"),
        (lambda c: GradientShap(c, darkest=0.9, brightest=0.1), "exchange them"),
        (lambda c: GradientShap(c, brightest=1.5), r"brightness in \[0, 1\]"),
        (lambda c: IterativeDelete(c, share=0.0), r"removed per round is 0.0; expected \(0, 1\]"),
        (lambda c: IterativeDelete(c, n_rounds=0), "n_rounds is 0"),
        (lambda c: Bbmp(c, mask_size=0), "mask_size is 0"),
        (lambda c: Bbmp(c, blur=-1), "blur is -1"),
        (lambda c: IntegratedGradients(c, tolerance=-1), "tolerance is -1"),
    ],
)
def test_parameters_out_of_range_are_refused(make, said):
    with pytest.raises(ExplainerError, match=said):
        make(LinearClassifier())
