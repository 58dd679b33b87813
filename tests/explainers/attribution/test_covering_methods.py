"""Occlusion and LIME: closed forms on linear classifiers; networks without gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from explainers.attribution.bbmp import Bbmp
from explainers.attribution.gradient_shap import GradientShap
from explainers.attribution.input_gradients import InputGradients
from explainers.attribution.integrated_gradients import IntegratedGradients
from explainers.attribution.iterative_delete import IterativeDelete
from explainers.attribution.lime import Lime, superpixels
from explainers.attribution.occlusion import Occlusion
from explainers.attribution.smoothgrad import SmoothGrad
from explainers.base import ExplainerError
from explainers.record import Goal
from tests.support.stub_networks import LinearClassifier, WrappedClassifier, grey_images

MASS = Goal("Mass")


def weights(classifier):
    return classifier.head.weight[0].detach().reshape(8, 8).numpy()


def test_disjoint_windows_of_a_linear_classifier_sum_to_the_difference_of_the_logits():
    classifier, images = LinearClassifier(), grey_images(2)
    explainer = Occlusion(classifier, window=4, stride=4, baseline=0.0)
    for each, image in zip(explainer.explain(images, [MASS] * 2), images, strict=True):
        drops = (weights(classifier) * image[0].numpy()).reshape(2, 4, 2, 4).sum(axis=(1, 3))
        np.testing.assert_allclose(each.values, np.kron(drops, np.ones((4, 4))), atol=1e-5)
        covered = float(classifier.logits(torch.zeros(1, 1, 8, 8))[0, 0].detach())
        assert each.values.sum() / 16 == pytest.approx(each.logit - covered, abs=1e-4)


def test_a_pixel_under_several_windows_has_their_mean():
    classifier, image = LinearClassifier(), grey_images(1)
    [found] = Occlusion(classifier, window=4, stride=2, baseline=0.5).explain(image, [MASS])
    change = weights(classifier) * (image[0, 0].numpy() - 0.5)
    drops, counts = np.zeros((8, 8)), np.zeros((8, 8))
    for row in (0, 2, 4):
        for column in (0, 2, 4):
            part = np.s_[row : row + 4, column : column + 4]
            drops[part] += change[part].sum()
            counts[part] += 1
    np.testing.assert_allclose(found.values, drops / counts, atol=1e-5)


def test_windows_that_do_not_divide_the_image_still_cover_its_edge():
    [found] = Occlusion(LinearClassifier(), window=3, stride=3).explain(grey_images(1), [MASS])
    assert (found.values != 0).all()


def four_pieces():
    """Four flat quarters, which SLIC cannot cut otherwise."""
    image = torch.empty(1, 1, 8, 8)
    for number, (row, column) in enumerate(((0, 0), (0, 4), (4, 0), (4, 4))):
        image[0, 0, row : row + 4, column : column + 4] = 0.1 + 0.25 * number
    return image


def test_lime_recovers_the_weights_of_the_superpixels_of_a_linear_classifier():
    classifier, image = LinearClassifier(), four_pieces()
    explainer = Lime(classifier, n_samples=300, n_segments=4, baseline=0.5, ridge=1e-6)
    [found] = explainer.explain(image, [MASS])
    segments = superpixels(image[0, 0].numpy(), 4)
    assert segments.max() == 3
    change = weights(classifier) * (image[0, 0].numpy() - 0.5)
    for number in range(4):
        inside = segments == number
        np.testing.assert_allclose(found.values[inside], change[inside].sum(), atol=1e-3)


def test_a_ridge_shrinks_the_weights_of_lime():
    classifier, image = LinearClassifier(), four_pieces()
    free, shrunk = (
        Lime(classifier, n_samples=100, n_segments=4, ridge=ridge).explain(image, [MASS])[0]
        for ridge in (0.0, 1000.0)
    )
    assert np.abs(shrunk.values).sum() < 0.5 * np.abs(free.values).sum()


def test_superpixels_are_numbered_without_gaps_and_cover_the_image():
    rows, columns = np.mgrid[:32, :24]
    image = (0.5 + 0.4 * np.sin(rows / 4) * np.cos(columns / 5)).astype(np.float32)
    segments = superpixels(image, 12)
    assert segments.shape == image.shape
    assert set(np.unique(segments)) == set(range(segments.max() + 1))
    assert 4 <= segments.max() + 1 <= 24


class Rounded(LinearClassifier):
    """A layer whose gradient is 0 everywhere."""

    def logits(self, images):
        return super().logits(torch.round(images * 4) / 4)


class Detached(LinearClassifier):
    """No gradient at all."""

    def logits(self, images):
        return super().logits(images.detach())


class ThroughNumpy(LinearClassifier):
    """Leaves torch on the way."""

    def logits(self, images):
        return super().logits(torch.from_numpy(images.numpy()))


@pytest.mark.parametrize("network", [Rounded, Detached, ThroughNumpy])
@pytest.mark.parametrize(
    "method",
    [InputGradients, IntegratedGradients, SmoothGrad, GradientShap, IterativeDelete],
)
def test_a_classifier_without_gradients_is_refused_with_the_methods_that_need_none(network, method):
    said = rf"classifier {network.__name__} is not differentiable .*; use occlusion or LIME"
    with pytest.raises(ExplainerError, match=said):
        method(network()).explain(grey_images(2), [MASS] * 2)


@pytest.mark.parametrize("network", [Detached, ThroughNumpy])
def test_a_mask_cannot_be_optimised_without_gradients(network):
    with pytest.raises(ExplainerError, match="is not differentiable"):
        Bbmp(network()).explain(grey_images(1), [MASS])


@pytest.mark.parametrize("network", [Rounded, Detached, ThroughNumpy])
def test_occlusion_and_lime_explain_a_classifier_without_gradients(network):
    for explainer in (Occlusion(network(), window=4), Lime(network(), n_samples=20)):
        [found] = explainer.explain(grey_images(1), [MASS])
        assert found.values.any()


def test_a_classifier_that_is_no_module_can_be_covered():
    bare = WrappedClassifier(LinearClassifier())
    [found] = Occlusion(bare, window=4, stride=4).explain(grey_images(1), [MASS])
    assert found.values.any()


def test_the_baseline_itself_has_a_map_of_zeros_and_is_no_error():
    [found] = IntegratedGradients(LinearClassifier()).explain(torch.zeros(1, 1, 8, 8), [MASS])
    assert not found.values.any()


class BreaksWhenCovered(LinearClassifier):
    """Predicts NaN for images with a black pixel."""

    def logits(self, images):
        black = (images == 0).flatten(1).any(dim=1, keepdim=True)
        return super().logits(images).masked_fill(black, torch.nan)


@pytest.mark.parametrize("method", [Occlusion, Lime, IntegratedGradients])
def test_a_prediction_that_is_nan_for_a_changed_image_is_reported(method):
    with pytest.raises(ExplainerError, match="NaN or infinite values for a changed image"):
        method(BreaksWhenCovered(), baseline=0.0).explain(grey_images(1), [MASS])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda c: Occlusion(c, window=4, stride=5), "leaves gaps between windows of 4 px"),
        (lambda c: Occlusion(c, window=0), "window is 0"),
        (lambda c: Occlusion(c, baseline=-0.5), r"brightness in \[0, 1\]"),
        (lambda c: Lime(c, n_samples=0), "n_samples is 0"),
        (lambda c: Lime(c, ridge=-1.0), "ridge is -1.0"),
    ],
)
def test_parameters_out_of_range_are_refused(make, said):
    with pytest.raises(ExplainerError, match=said):
        make(LinearClassifier())


def test_a_window_larger_than_the_image_is_refused():
    with pytest.raises(ExplainerError, match="9 px does not fit the classifier's images of 8 × 8"):
        Occlusion(LinearClassifier(), window=9).explain(grey_images(1), [MASS])
