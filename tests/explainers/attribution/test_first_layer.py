"""Cutting a classifier behind its first convolution changes no map, or is not done."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from explainers.attribution import integrated_gradients
from explainers.attribution.batches import WatchedLogits
from explainers.attribution.first_layer import cut, shared_copy
from explainers.attribution.integrated_gradients import IntegratedGradients
from explainers.classifiers.adapted import AdaptedClassifier
from explainers.classifiers.networks import build_classifier
from explainers.record import Goal

FINDINGS = ("Mass", "Effusion")
SIZE = (32, 32)


class Beside(nn.Module):
    """The image also enters past the convolution."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, images):
        maps = self.inner(images).relu() + images
        return maps.flatten(2).square().mean(dim=2)


class Bent(nn.Module):
    """The convolution sees the square of the image."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, images):
        return self.inner(images.square()).relu().flatten(2).mean(dim=2)


class Twice(nn.Module):
    """The convolution is passed twice."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, images):
        maps = self.inner(self.inner(images).relu())
        return torch.cat([maps.flatten(1).mean(1, True), maps.flatten(1).amax(1, True)], dim=1)


class Bare(nn.Module):
    """No convolution at all."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(SIZE[0] * SIZE[1], 2)

    def forward(self, images):
        return self.inner(images.flatten(1))


def built(network, input_range=(0.0, 1.0)):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = network()
        for layer in made.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 1.5)
                layer.weight.data.uniform_(0.5, 1.5)
    return AdaptedClassifier(made, FINDINGS, SIZE, input_range)


def films(n=2):
    return torch.rand(n, 1, *SIZE, generator=torch.Generator().manual_seed(1))


def is_cut(classifier):
    images = films().requires_grad_()
    return cut(WatchedLogits(classifier, None), images, torch.zeros(1, 1, *SIZE)) is not None


@pytest.mark.parametrize(
    "architecture",
    [
        "small",
        "lenet",
        pytest.param("resnet50", marks=pytest.mark.slow),
        pytest.param("densenet121", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("options", [{"n_steps": 20}, {"tolerance": 0.05, "baseline": 0.5}])
def test_the_map_is_that_of_the_whole_network(architecture, options, monkeypatch):
    classifier = built(lambda: build_classifier(architecture, 2), (-1.0, 1.0))
    goals = [Goal("Mass"), Goal("Effusion")]
    assert is_cut(classifier)
    short = IntegratedGradients(classifier, **options).explain(films(), goals)
    monkeypatch.setattr(integrated_gradients, "cut", lambda *given: None)
    whole = IntegratedGradients(classifier, **options).explain(films(), goals)
    for one, other in zip(short, whole, strict=True):
        # Single pixels differ where a point lies on the kink of a rectifier or a maximum.
        assert np.corrcoef(one.values.ravel(), other.values.ravel())[0, 1] > 0.9999
        scale = np.abs(other.values).max()
        assert np.mean(np.abs(one.values - other.values)) < 1e-3 * scale
        total = float(np.abs(other.values).sum())  # the error is a small difference of such sums
        assert one.method_error == pytest.approx(other.method_error, abs=1e-3 * total + 1e-2)


@pytest.mark.parametrize("network", [Beside, Bent, Twice, Bare])
def test_a_network_that_does_not_begin_with_one_convolution_is_left_whole(network):
    classifier = built(network)
    assert not is_cut(classifier)
    (found,) = IntegratedGradients(classifier, n_steps=50).explain(films(1), [Goal("Mass")])
    assert found.method_error == pytest.approx(0, abs=1e-2)


def test_what_cannot_be_copied_is_left_whole():
    classifier = built(lambda: build_classifier("lenet", 2))
    classifier.network.made = (each for each in ())  # a generator
    assert not is_cut(classifier)


def test_a_copy_has_its_own_layers_and_the_same_tensors():
    classifier = built(lambda: build_classifier("small", 2))
    before = [(name, id(tensor)) for name, tensor in classifier.state_dict(keep_vars=True).items()]
    copied = shared_copy(classifier)
    assert [
        (name, id(tensor)) for name, tensor in copied.state_dict(keep_vars=True).items()
    ] == before
    ours, theirs = (set(map(id, each.modules())) for each in (classifier, copied))
    assert not ours & theirs
    layers = list(map(type, classifier.modules()))
    assert is_cut(classifier)
    assert list(map(type, classifier.modules())) == layers
