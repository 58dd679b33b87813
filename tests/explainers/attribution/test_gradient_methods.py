"""Gradient maps: closed forms on linear classifiers, axioms on others, and a clean classifier."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from explainers.attribution.bbmp import Bbmp
from explainers.attribution.gradient_shap import GradientShap
from explainers.attribution.guided_backprop import GuidedBackprop
from explainers.attribution.input_gradients import InputGradients
from explainers.attribution.integrated_gradients import IntegratedGradients
from explainers.attribution.iterative_delete import IterativeDelete
from explainers.attribution.lime import Lime
from explainers.attribution.occlusion import Occlusion
from explainers.attribution.smoothgrad import SmoothGrad
from explainers.base import ExplainerError
from explainers.differentiation import ExplanationCancelled, predict
from explainers.record import Goal
from tests.support.stub_networks import (
    FINDINGS,
    LinearClassifier,
    ReluClassifier,
    WrappedClassifier,
    grey_images,
)

MASS, OPACITY = Goal("Mass"), Goal("Lung Opacity")
DIFFERENTIATING = [
    InputGradients,
    GuidedBackprop,
    IntegratedGradients,
    partial(IntegratedGradients, tolerance=0.01),
    partial(SmoothGrad, n_samples=10),
    partial(GradientShap, n_samples=10),
    partial(IterativeDelete, n_rounds=3, share=0.1),
    partial(Bbmp, n_iterations=5),
]
METHODS = [
    *DIFFERENTIATING,
    partial(Occlusion, window=4),
    partial(Lime, n_samples=40, n_segments=4),
]


def weights(classifier, finding="Mass"):
    return classifier.head.weight[FINDINGS.index(finding)].detach().reshape(8, 8).numpy()


def test_the_input_gradient_of_a_linear_classifier_is_its_weights():
    classifier, images = LinearClassifier(), grey_images(2)
    found = InputGradients(classifier).explain(images, [MASS, OPACITY])
    np.testing.assert_allclose(found[0].values, weights(classifier, "Mass"), rtol=1e-6)
    np.testing.assert_allclose(found[1].values, weights(classifier, "Lung Opacity"), rtol=1e-6)
    assert [each.finding for each in found] == ["Mass", "Lung Opacity"]


@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_integrated_gradients_of_a_linear_classifier_are_weight_times_image(baseline):
    classifier, images = LinearClassifier(), grey_images(1)
    [found] = IntegratedGradients(classifier, baseline=baseline).explain(images, [MASS])
    expected = weights(classifier) * (images[0, 0].numpy() - baseline)
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
    assert abs(found.method_error) < 1e-4


def test_integrated_gradients_sum_to_the_difference_of_the_logits():
    classifier, images = ReluClassifier().eval(), grey_images(3) + 0.2
    found = IntegratedGradients(classifier).explain(images, [MASS] * 3)
    start, _ = predict(classifier, torch.zeros(1, 1, 8, 8))
    for each in found:
        wanted = each.logit - float(start[0, 0])
        assert each.values.sum() - wanted == pytest.approx(each.method_error, abs=1e-4)
        assert abs(each.method_error) < 0.02 * max(1, abs(wanted))


def test_more_steps_make_the_error_of_integrated_gradients_smaller():
    classifier, images = ReluClassifier(), grey_images(4) + 0.3
    errors = [
        np.mean(
            [
                abs(each.method_error)
                for each in IntegratedGradients(classifier, n_steps=n).explain(images, [MASS] * 4)
            ]
        )
        for n in (3, 300)
    ]
    assert errors[1] < errors[0] / 3


def test_guided_backprop_passes_only_positive_gradients_through_rectifiers():
    classifier, images = ReluClassifier().eval(), grey_images(1)
    [found] = GuidedBackprop(classifier).explain(images, [MASS])
    first, norm, _, _, last = classifier.head
    hidden = norm(first(images.flatten(1)))[0]
    slope = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    passed = torch.relu(last.weight[0]) * (hidden > 0) * slope
    expected = (passed @ first.weight).detach().reshape(8, 8).numpy()
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-6)
    [plain] = InputGradients(classifier).explain(images, [MASS])
    assert not np.allclose(found.values, plain.values)


def test_gradients_are_per_brightness_whatever_range_the_classifier_works_in():
    narrow, wide = LinearClassifier(), LinearClassifier(input_range=(-1024.0, 1024.0))
    images = grey_images(1)
    [of_narrow] = InputGradients(narrow).explain(images, [MASS])
    [of_wide] = InputGradients(wide).explain(images, [MASS])
    np.testing.assert_allclose(of_wide.values, of_narrow.values * 2048, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_logit_and_probability_of_the_image_are_kept(method):
    classifier, images = ReluClassifier().eval(), grey_images(2)
    with torch.no_grad():
        logits = classifier.logits(images)
    found = method(classifier).explain(images, [OPACITY, MASS])
    for each, logit in zip(found, [logits[0, 1], logits[1, 0]], strict=True):
        assert each.logit == pytest.approx(float(logit), abs=1e-6)
        assert each.probability == pytest.approx(float(torch.sigmoid(logit)), abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_case_gets_the_same_map_alone_and_in_any_batch(method):
    classifier, images = ReluClassifier(), grey_images(5)
    goals = [MASS, OPACITY, MASS, OPACITY, MASS]
    together = method(classifier, batch_size=4).explain(images, goals)
    for number in range(5):
        [alone] = method(classifier).explain(
            images[number : number + 1], goals[number : number + 1]
        )
        np.testing.assert_allclose(together[number].values, alone.values, atol=1e-4)


def state_of(classifier):
    return [
        (
            layer.training,
            [(weight.requires_grad, weight.grad) for weight in layer.parameters(recurse=False)],
            {name: len(table) for name, table in vars(layer).items() if name.endswith("_hooks")},
        )
        for layer in classifier.modules()
    ]


def used_classifier(kind=ReluClassifier):
    """A classifier in the middle of training: mixed modes, gradients, a hook of its owner."""
    classifier = kind()
    classifier.train()
    classifier.head[1].eval()
    classifier.head[0].weight.requires_grad_(False)
    classifier.head[4].weight.grad = torch.ones_like(classifier.head[4].weight)
    classifier.head[2].register_forward_hook(lambda *_arguments: None)
    return classifier


@pytest.mark.parametrize("method", METHODS)
def test_the_classifier_is_left_as_it_was_found(method):
    classifier = used_classifier()
    before, numbers = (
        state_of(classifier),
        [each.clone() for each in classifier.state_dict().values()],
    )
    method(classifier).explain(grey_images(2), [MASS, MASS])
    after = state_of(classifier)
    assert [str(each) for each in after] == [str(each) for each in before]
    for old, new in zip(numbers, classifier.state_dict().values(), strict=True):
        assert torch.equal(old, new)


class Breaks(ReluClassifier):
    """Fails in the backward pass."""

    def logits(self, images):
        return _Refuse.apply(super().logits(images))


class _Refuse(torch.autograd.Function):
    @staticmethod
    def forward(_context, logits):
        return logits.clone()

    @staticmethod
    def backward(_context, _gradient):
        raise RuntimeError("no gradient today")


@pytest.mark.parametrize("method", DIFFERENTIATING)
def test_the_classifier_is_left_as_it_was_found_after_an_exception(method):
    classifier = used_classifier(Breaks)
    before = state_of(classifier)
    with pytest.raises(RuntimeError, match="no gradient today"):
        method(classifier).explain(grey_images(1), [MASS])
    assert [str(each) for each in state_of(classifier)] == [str(each) for each in before]


@pytest.mark.parametrize("method", METHODS)
def test_methods_work_where_gradients_are_switched_off(method):
    with torch.no_grad():
        [found] = method(ReluClassifier()).explain(grey_images(1), [MASS])
    assert found.values.any()


def test_a_classifier_that_is_no_module_needs_one_only_for_guided_backprop():
    inner = ReluClassifier().eval()
    bare, wrapped = WrappedClassifier(inner), WrappedClassifier(inner, module=inner)
    images = grey_images(1)
    np.testing.assert_array_equal(
        InputGradients(bare).explain(images, [MASS])[0].values,
        InputGradients(inner).explain(images, [MASS])[0].values,
    )
    np.testing.assert_allclose(
        GuidedBackprop(wrapped).explain(images, [MASS])[0].values,
        GuidedBackprop(inner).explain(images, [MASS])[0].values,
    )
    with pytest.raises(ExplainerError, match="attribute 'module'"):
        GuidedBackprop(bare).explain(images, [MASS])


def test_guided_backprop_refuses_a_classifier_without_relu_layers():
    with pytest.raises(ExplainerError, match=r"torch\.nn\.ReLU layers"):
        GuidedBackprop(LinearClassifier()).explain(grey_images(1), [MASS])


@pytest.mark.parametrize(
    ("images", "goals", "said"),
    [
        (torch.zeros(1, 8, 8), [MASS], r"expected \(N, 1, rows, columns\)"),
        (torch.zeros(1, 3, 8, 8), [MASS], r"expected \(N, 1, rows, columns\)"),
        (torch.zeros(1, 1, 9, 8), [MASS], "takes 8 × 8"),
        (torch.full((1, 1, 8, 8), 2.0), [MASS], r"outside \[0, 1\]"),
        (torch.full((1, 1, 8, 8), torch.nan), [MASS], "NaN"),
        (torch.zeros(2, 1, 8, 8), [MASS], "1 goals for 2 images"),
        (torch.zeros(1, 1, 8, 8), [Goal("Cold")], "'Cold'; it predicts Mass, Lung Opacity"),
    ],
)
def test_input_that_does_not_fit_is_refused_in_a_sentence(images, goals, said):
    with pytest.raises(ExplainerError, match=said):
        InputGradients(LinearClassifier()).explain(images, goals)


def test_parameters_out_of_range_are_refused():
    with pytest.raises(ExplainerError, match="n_steps is 0"):
        IntegratedGradients(LinearClassifier(), n_steps=0)
    with pytest.raises(ExplainerError, match="baseline is 2"):
        IntegratedGradients(LinearClassifier(), baseline=2)
    with pytest.raises(ExplainerError, match="at least one image"):
        InputGradients(LinearClassifier(), batch_size=0).explain(grey_images(1), [MASS])


def test_weights_that_are_nan_are_reported():
    classifier = LinearClassifier()
    nn.init.constant_(classifier.head.weight, torch.nan)
    with pytest.raises(ExplainerError, match="predicts NaN"):
        InputGradients(classifier).explain(grey_images(1), [MASS])


def test_nothing_to_explain_gives_nothing():
    assert InputGradients(LinearClassifier()).explain(torch.zeros(0, 1, 8, 8), []) == []


def test_progress_is_told_and_a_cancelled_run_stops():
    told = []
    explainer = InputGradients(LinearClassifier(), batch_size=2)
    explainer.explain(grey_images(5), [MASS] * 5, on_progress=lambda *each: told.append(each))
    assert told == [(2, 5), (4, 5), (5, 5)]
    with pytest.raises(ExplanationCancelled):
        explainer.explain(grey_images(5), [MASS] * 5, cancelled=lambda: True)
