"""Every architecture takes every size and stays open to guided backpropagation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from explainers.base import ExplainerError
from explainers.classifiers.networks import ARCHITECTURES, build_classifier

SMALL = ("small", "smaller", "lenet")


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
@pytest.mark.parametrize("size", [64, 128])
def test_every_architecture_gives_one_logit_per_finding(architecture: str, size: int) -> None:
    network = build_classifier(architecture, 3).eval()
    with torch.no_grad():
        logits = network(torch.rand(2, 1, size, size))
    assert logits.shape == (2, 3)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_digits_of_28_pixels_pass_through_every_architecture(architecture: str) -> None:
    network = build_classifier(architecture, 2).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 1, 28, 28)).shape == (1, 2)


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_no_rectifier_works_in_place_or_twice(architecture: str) -> None:
    network = build_classifier(architecture, 2).eval()
    calls: dict[nn.Module, int] = {}

    def count(module: nn.Module, _inputs: object, _output: object) -> None:
        calls[module] = calls.get(module, 0) + 1

    rectifiers = [module for module in network.modules() if isinstance(module, nn.ReLU)]
    for module in rectifiers:
        module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.rand(1, 1, 32, 32))
    assert rectifiers
    assert not any(module.inplace for module in rectifiers)
    assert {module: 1 for module in rectifiers} == calls


@pytest.mark.parametrize("architecture", SMALL)
def test_logits_depend_on_the_image(architecture: str) -> None:
    images = torch.rand(1, 1, 64, 64, requires_grad=True)
    build_classifier(architecture, 2).eval()(images).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_densenet121_and_resnet50_have_the_published_depth() -> None:
    def n_layers(name: str) -> int:
        network = build_classifier(name, 2)
        weighted = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        return len(weighted)

    # 121 counts convolutions and the dense layer; ResNet-50 has four projections besides its 50.
    assert n_layers("densenet121") == 121
    assert n_layers("resnet50") == 50 + 4


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ExplainerError, match=r"'alexnet'.*small.*densenet121"):
        build_classifier("alexnet", 2)


def test_a_classifier_without_findings_is_refused() -> None:
    with pytest.raises(ExplainerError, match="at least one finding"):
        build_classifier("small", 0)
