"""Cascading reset: order of layers, batch normalisation, and an original that stays as it is."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import nn

from explainers.base import ExplainerError
from explainers.classifiers.calibration import Calibration
from explainers.classifiers.networks import build_classifier
from explainers.classifiers.ours import OurClassifier
from explainers.evaluation.weight_reset import (
    cascade,
    layers_from_output,
    reset_layer,
    stage_numbers,
)
from tests.support.stub_networks import (
    LinearClassifier,
    ReluClassifier,
    WrappedClassifier,
    grey_images,
)

IMAGE = grey_images(1)


def digest_of(module):
    content = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        content.update(name.encode() + tensor.detach().contiguous().numpy().tobytes())
    return content.hexdigest()


def trained():
    """Return a small residual network whose batch norms have seen something."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(5)
        network = build_classifier("smaller", 2)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.5, 2)
                layer.bias.normal_()
                nn.init.normal_(layer.weight)
    return OurClassifier(
        network, ("Mass", "Lung Opacity"), (32, 32), Calibration((1.0,) * 2, (0.0,) * 2)
    )


def test_the_original_is_bit_identical_afterwards():
    classifier = trained()
    before = digest_of(classifier)
    states = [(layer.training, len(layer._forward_hooks)) for layer in classifier.modules()]
    for _ in cascade(classifier, torch.rand(1, 1, 32, 32), 3, seed=0):
        pass
    assert digest_of(classifier) == before
    assert [(e.training, len(e._forward_hooks)) for e in classifier.modules()] == states


def test_layers_are_reset_from_the_output_to_the_input():
    names = layers_from_output(trained(), torch.rand(1, 1, 32, 32))
    assert names[0] == "network.head"
    assert names[-2:] == ("network.stem.1", "network.stem.0")
    assert len(names) == 21 and len(set(names)) == 21


def test_the_order_is_that_of_the_pass_and_not_that_of_the_attributes():
    class Backwards(LinearClassifier):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 2)
            self.first = nn.Linear(64, 4)

        def logits(self, images):
            return self.head(self.first(images.flatten(1)))

    assert layers_from_output(Backwards(), IMAGE) == ("head", "first")


def test_every_stage_resets_one_layer_more_and_batch_norm_forgets_its_statistics():
    classifier = trained()
    original = {name: t.clone() for name, t in classifier.state_dict().items()}
    names = layers_from_output(classifier, torch.rand(1, 1, 32, 32))
    for stage in cascade(classifier, torch.rand(1, 1, 32, 32), 99, seed=0):
        done = names[: stage.n_layers]
        for name, tensor in stage.classifier.state_dict().items():
            if tensor.is_floating_point() and not name.startswith(("slopes", "intercepts")):
                owner = name.rpartition(".")[0]
                assert torch.equal(tensor, original[name]) == (owner not in done), name
    for layer in stage.classifier.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert not layer.running_mean.any() and bool((layer.running_var == 1).all())
            assert bool((layer.weight == 1).all()) and not layer.bias.any()


def test_the_fresh_weights_depend_on_the_seed_and_leave_torchs_own_state_alone():
    classifier = ReluClassifier()
    state = torch.random.get_rng_state()

    def last(seed):
        *_, stage = cascade(classifier, IMAGE, 99, seed)
        return digest_of(stage.classifier)

    assert last(0) == last(0) != last(1)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_classifier_with_its_network_as_an_attribute_is_reset_too():
    inner = LinearClassifier()
    before = digest_of(inner)
    *_, stage = cascade(WrappedClassifier(inner, inner), IMAGE, 1, seed=0)
    assert stage.layer == "head" and stage.n_layers == 1
    assert digest_of(inner) == before
    assert not torch.equal(stage.classifier.logits(IMAGE), inner.logits(IMAGE))


def test_a_layer_without_its_own_initialisation_gets_numbers_of_the_same_size():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.full((4000,), 3.0), requires_grad=False)

    layer = Scale()
    reset_layer(layer, 0)
    assert layer.weight.square().mean().sqrt().item() == pytest.approx(3, rel=0.05)
    assert layer.weight.std() > 2


def test_a_classifier_without_a_module_is_refused():
    with pytest.raises(ExplainerError, match="no torch module"):
        next(cascade(WrappedClassifier(LinearClassifier()), IMAGE, 1, 0))


def test_a_classifier_that_does_not_use_its_module_is_refused():
    wrapped = WrappedClassifier(LinearClassifier(), LinearClassifier(seed=9))
    with pytest.raises(ExplainerError, match="does not use its own module"):
        list(cascade(wrapped, IMAGE, 1, 0))


def test_a_classifier_without_weights_is_refused():
    class Mean(LinearClassifier):
        def __init__(self):
            nn.Module.__init__(self)
            self.input_range = (0.0, 1.0)

        def logits(self, images):
            return images.flatten(1)[:, :2]

    with pytest.raises(ExplainerError, match="no layer with weights"):
        next(cascade(Mean(), IMAGE, 1, 0))


def test_a_classifier_that_cannot_be_copied_is_refused():
    class Holding(LinearClassifier):
        def __init__(self):
            super().__init__()
            self.kept = self.logits(IMAGE)  # not a leaf: torch refuses to copy it

    with pytest.raises(ExplainerError, match="cannot be copied"):
        next(cascade(Holding(), IMAGE, 1, 0))


@pytest.mark.parametrize(
    ("n_layers", "n_stages", "expected"),
    [(3, 9, (1, 2, 3)), (21, 3, (1, 11, 21)), (5, 1, (5,)), (1, 1, (1,))],
)
def test_long_networks_are_looked_at_after_evenly_spaced_layers(n_layers, n_stages, expected):
    assert stage_numbers(n_layers, n_stages) == expected


def test_no_stages_are_refused():
    with pytest.raises(ExplainerError, match="at least 1"):
        next(cascade(LinearClassifier(), IMAGE, 0, 0))
