"""A user's own network: what is stated is checked, and wrong statements are refused."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from torch import nn

from explainers.attribution.input_gradients import InputGradients
from explainers.base import ExplainerError
from explainers.classifiers.opening import open_classifier
from explainers.classifiers.usermodule import UserAutoencoder, UserClassifier
from explainers.generators.opening import open_autoencoder
from explainers.record import Goal

FINDINGS = ("Mass", "Effusion")


class Net(nn.Module):
    def __init__(self, after=lambda values: values, channels=1):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            self.main = nn.Sequential(nn.Flatten(), nn.Linear(64 * channels, 2))
        with torch.no_grad():
            self.main[1].weight.mul_(5)
        self.after = after

    def forward(self, images):
        return self.after(self.main(images))


class Coder(nn.Module):
    def __init__(self, rows=8):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.rows = rows

    def encode(self, images):
        return images * self.scale

    def decode(self, latents):
        return latents[:, :, : self.rows] / self.scale


@pytest.fixture
def offered(monkeypatch):
    """Offer an object as what ``theirs:factory`` returns."""

    def offer(made):
        module = types.ModuleType("theirs")
        module.factory = made if callable(made) else lambda: made
        monkeypatch.setitem(sys.modules, "theirs", module)
        return "theirs:factory"

    return offer


def test_a_module_of_ones_own_is_explained_in_units_of_brightness(offered):
    net = Net()
    stated = UserClassifier(net, FINDINGS, (8, 8), (-1024.0, 1024.0))
    classifier = open_classifier(offered(stated))
    image = torch.full((1, 1, 8, 8), 0.5)
    found = InputGradients(classifier).explain(image, [Goal("Effusion")])[0]
    expected = 2048 * net.main[1].weight[1].reshape(8, 8)
    assert torch.allclose(torch.from_numpy(found.values), expected, rtol=1e-4)


def test_of_probabilities_the_logit_is_taken_and_saturated_ones_stay_finite(offered):
    plain = open_classifier(offered(UserClassifier(Net(), FINDINGS, (8, 8))))
    squashed = UserClassifier(Net(torch.sigmoid), FINDINGS, (8, 8), output="probability")
    classifier = open_classifier(offered(squashed))
    image = torch.full((1, 1, 8, 8), 0.1)
    assert torch.allclose(classifier.logits(image), plain.logits(image), atol=1e-3)
    extreme = classifier.logits(torch.full((1, 1, 8, 8), 1e4))
    assert torch.isfinite(extreme).all()
    assert extreme.abs().max() > 10


def test_the_operating_point_becomes_one_half(offered):
    stated = UserClassifier(Net(), FINDINGS, (8, 8), operating_points=(0.2, 0.02))
    classifier = open_classifier(offered(stated))
    at = torch.logit(torch.tensor([[0.2, 0.02]]))
    assert torch.allclose(classifier.probabilities(at), torch.tensor([[0.5, 0.5]]))


def test_a_network_for_colour_gets_the_grey_image_three_times(offered):
    stated = UserClassifier(Net(channels=3), FINDINGS, (8, 8), channels=3)
    assert open_classifier(offered(stated)).logits(torch.rand(2, 1, 8, 8)).shape == (2, 2)


def test_two_networks_have_two_digests_and_one_has_one(offered):
    first = open_classifier(offered(UserClassifier(Net(), FINDINGS, (8, 8))))
    again = open_classifier(offered(UserClassifier(Net(), FINDINGS, (8, 8))))
    other = Net()
    with torch.no_grad():
        other.main[1].bias[0] += 1e-6
    changed = open_classifier(offered(UserClassifier(other, FINDINGS, (8, 8))))
    assert first.weights_digest == again.weights_digest != changed.weights_digest


@pytest.mark.parametrize(
    ("after", "stated", "said"),
    [
        (lambda values: values / 0, {}, "NaN or infinite"),
        (lambda values: values[:, :1], {}, r"expected a tensor of shape \(4, 2\)"),
        (lambda values: [values], {}, "returned list"),
        (torch.sigmoid, {}, "Declare output='probability'"),
        (lambda values: values, {"output": "probability"}, "declare output='logit'"),
        (torch.round, {}, "not differentiable"),
        (lambda values: values.detach(), {}, "not differentiable"),
        (lambda values: values, {"input_size": (9, 9)}, "Check input_size"),
        (lambda values: values, {"input_size": (9.5, 9)}, "input_size is"),
        (lambda values: values, {"input_size": 8}, "input_size is"),
        (lambda values: values, {"input_range": (1.0, 1.0)}, "input_range is"),
        (lambda values: values, {"input_range": 1}, "input_range is"),
        (lambda values: values, {"findings": "Mass"}, "findings are"),
        (lambda values: values, {"findings": ("Mass", "Mass")}, "findings are"),
        (lambda values: values, {"output": "score"}, "output is"),
        (lambda values: values, {"channels": 2}, "channels is"),
        (lambda values: values, {"operating_points": (0.5, 1.0)}, "Operating points"),
    ],
)
def test_a_network_that_is_not_what_was_stated_is_refused_in_a_sentence(
    offered, after, stated, said
):
    fields = {"findings": FINDINGS, "input_size": (8, 8), **stated}
    with pytest.raises(ExplainerError, match=said):
        open_classifier(offered(UserClassifier(Net(after), **fields)))


def test_a_factory_that_is_missing_or_fails_is_named(offered):
    def fails():
        raise ValueError("no such disk")

    for text, said in [
        ("nowhere_at_all:make", "cannot be imported"),
        ("json:make", "no function 'make'"),
        ("a b:make", "names no network"),
    ]:
        with pytest.raises(ExplainerError, match=said):
            open_classifier(text)
    for made, said in [(fails, "ValueError: no such disk"), (Net, "expected a UserClassifier")]:
        with pytest.raises(ExplainerError, match=said):
            open_classifier(offered(made))


def test_an_autoencoder_of_ones_own_works_on_images_in_zero_to_one(offered):
    stated = UserAutoencoder(Coder(), (8, 8), (-1024.0, 1024.0))
    autoencoder = open_autoencoder(offered(stated))
    images = torch.rand(2, 1, 8, 8)
    assert autoencoder.latent_shape == (1, 8, 8)
    assert torch.allclose(autoencoder.encode(images), (images * 2048 - 1024) * 2, atol=1e-3)
    assert torch.allclose(autoencoder(images), images, atol=1e-5)
    assert autoencoder.decode(autoencoder.encode(images) * 9).max() == 1


def test_an_autoencoder_for_another_size_is_refused(offered):
    with pytest.raises(ExplainerError, match="made for another size"):
        open_autoencoder(offered(UserAutoencoder(Coder(rows=7), (8, 8))))
    with pytest.raises(ExplainerError, match=r"has no encode\(\)"):
        open_autoencoder(offered(UserAutoencoder(Net(), (8, 8))))
