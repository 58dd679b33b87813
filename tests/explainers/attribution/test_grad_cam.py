"""Grad-CAM: by hand on a tiny network; which layer is chosen; networks that have none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from data.raster import resize
from explainers.attribution.grad_cam import GradCam, feature_layer
from explainers.base import ExplainerError
from explainers.classifiers.networks import build_classifier
from explainers.record import Goal
from tests.support.stub_networks import (
    FINDINGS,
    LinearClassifier,
    WrappedClassifier,
    grey_images,
)

MASS, OPACITY = Goal("Mass"), Goal("Lung Opacity")


class TinyNet(LinearClassifier):
    """A convolution to 4 × 4 with a rectifier, the mean of every channel, a linear head."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(6)
            self.convolution = nn.Conv2d(1, 3, 2, stride=2)
            self.rectifier = nn.ReLU()
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.head = nn.Linear(3, len(FINDINGS))

    def logits(self, images):
        maps = self.rectifier(self.convolution(images))
        return self.head(self.pool(maps).flatten(1))


def by_hand(classifier, image, finding):
    maps = torch.relu(classifier.convolution(image))[0]  # (3, 4, 4)
    # The mean over 16 positions: every position of a channel has the gradient weight / 16.
    share = classifier.head.weight[FINDINGS.index(finding)] / 16
    coarse = torch.relu((share[:, None, None] * maps).sum(dim=0)).detach().numpy()
    return resize(coarse, (8, 8))


def test_the_map_is_the_weighted_sum_of_the_last_feature_maps():
    classifier, images = TinyNet(), grey_images(2)
    found = GradCam(classifier).explain(images, [MASS, OPACITY])
    for each, image, finding in zip(found, images, FINDINGS, strict=True):
        np.testing.assert_allclose(
            each.values, by_hand(classifier, image[None], finding), atol=1e-7
        )
    assert any(each.values.any() for each in found)


def test_a_case_gets_the_same_map_alone_and_in_any_batch():
    classifier, images = TinyNet(), grey_images(3)
    together = GradCam(classifier, batch_size=2).explain(images, [OPACITY] * 3)
    for number, each in enumerate(together):
        [alone] = GradCam(classifier).explain(images[number : number + 1], [OPACITY])
        np.testing.assert_allclose(each.values, alone.values, atol=1e-7)


def test_the_classifier_gets_no_hooks_and_keeps_its_mode():
    classifier = TinyNet().train()
    GradCam(classifier).explain(grey_images(1), [MASS])
    assert all(layer.training and not layer._forward_hooks for layer in classifier.modules())


@pytest.mark.parametrize("architecture", ["small", "lenet", "vgg16", "resnet50", "densenet121"])
def test_the_layer_is_the_last_one_at_the_size_of_the_last_convolution(architecture):
    with torch.random.fork_rng(devices=[]):
        network = build_classifier(architecture, 2)
    size = {"small": (4, 4), "lenet": (28, 28), "vgg16": (4, 4)}.get(architecture, (2, 2))

    class Classifier(LinearClassifier):
        input_size = (64, 64)

        def __init__(self):
            super().__init__()
            self.head = network

        def logits(self, images):
            return self.head(images)

    classifier = Classifier().eval()
    layer = feature_layer(classifier)
    assert isinstance(layer, nn.ReLU)
    seen = []
    layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(output.shape[2:]))
    classifier.logits(torch.zeros(1, 1, 64, 64))
    assert tuple(seen[-1]) == size


def test_an_earlier_stage_has_finer_feature_maps():
    classifier = TinyNet()
    classifier.pool = nn.Sequential(nn.Conv2d(3, 3, 2, stride=2), nn.AdaptiveAvgPool2d(1))
    assert feature_layer(classifier, -1) is classifier.pool[0]
    assert feature_layer(classifier, -2) is classifier.rectifier
    with pytest.raises(ExplainerError, match=r"stage is -3, .* have 2 sizes \(4 × 4, 2 × 2\)"):
        GradCam(classifier, stage=-3).explain(grey_images(1), [MASS])
    with pytest.raises(ExplainerError, match="stage is 0; expected -1"):
        GradCam(classifier, stage=0)


def test_a_convolution_to_a_single_number_is_not_chosen():
    classifier = TinyNet()
    classifier.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 3, 1))
    assert feature_layer(classifier) is classifier.rectifier


@pytest.mark.parametrize("classifier", [LinearClassifier(), WrappedClassifier(LinearClassifier())])
def test_a_classifier_without_convolutions_is_refused(classifier):
    with pytest.raises(ExplainerError, match=r"torch\.nn\.Conv2d .* use integrated gradients"):
        GradCam(classifier).explain(grey_images(1), [MASS])


def test_a_network_cut_behind_its_convolutions_is_not_differentiable():
    class Cut(TinyNet):
        def logits(self, images):
            return self.head(self.pool(self.rectifier(self.convolution(images))).flatten(1).round())

    class Detached(TinyNet):
        def logits(self, images):
            maps = self.rectifier(self.convolution(images)).detach()
            return self.head(self.pool(maps).flatten(1))

    for network in (Cut, Detached):
        with pytest.raises(ExplainerError, match="is not differentiable"):
            GradCam(network()).explain(grey_images(1), [MASS])


def test_a_map_with_no_evidence_for_the_finding_is_empty_and_no_error():
    classifier = TinyNet()
    with torch.no_grad():
        classifier.head.weight.copy_(-classifier.head.weight.abs())
    [found] = GradCam(classifier).explain(grey_images(1), [MASS])
    assert not found.values.any()
