"""A classifier with fresh weights: as lively as the trained one, and its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from explainers.base import ExplainerError
from explainers.classifiers.ours import OurClassifier, load_classifier, save_classifier
from explainers.differentiation import predict
from explainers.randomised import randomised_classifier
from tests.support.tiny_networks import SIDE, write_networks


@pytest.fixture
def classifier(tmp_path: Path) -> OurClassifier:
    return load_classifier(write_networks(tmp_path)[0])


def films(n: int = 12) -> torch.Tensor:
    return torch.rand((n, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(3))


def calibrated(classifier: OurClassifier, images: torch.Tensor) -> torch.Tensor:
    return predict(classifier, images)[0] * classifier.slopes + classifier.intercepts


def test_it_has_the_mean_and_spread_of_the_trained_one_and_other_opinions(classifier) -> None:
    images = films()
    fresh = randomised_classifier(classifier, images, 1)
    one, two = calibrated(classifier, images), calibrated(fresh, images)
    assert torch.allclose(one.mean(dim=0), two.mean(dim=0), atol=1e-3)
    assert torch.allclose(one.std(dim=0), two.std(dim=0), rtol=1e-3)
    assert not torch.allclose(one, two, atol=1e-2)
    assert fresh.findings == classifier.findings


def test_the_trained_one_stays_as_it_is(classifier) -> None:
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    fresh = randomised_classifier(classifier, films(), 1)
    assert all(torch.equal(before[name], value) for name, value in classifier.state_dict().items())
    assert not classifier.training and not any(layer.training for layer in fresh.modules())
    with torch.no_grad():
        changed = [
            name
            for name, value in fresh.network.named_parameters()
            if not torch.equal(value, dict(classifier.network.named_parameters())[name])
        ]
    assert any(name.endswith("weight") for name in changed)


def test_the_same_seed_gives_the_same_file(classifier, tmp_path) -> None:
    digests = [
        save_classifier(tmp_path / "r.safetensors", randomised_classifier(classifier, films(), s))
        for s in (1, 1, 2)
    ]
    assert digests[0] == digests[1] != digests[2]
    assert load_classifier(tmp_path / "r.safetensors").weights_digest == digests[2]


def test_one_film_or_equal_films_are_refused(classifier) -> None:
    with pytest.raises(ExplainerError, match="1 films were given"):
        randomised_classifier(classifier, films(1), 1)
    with pytest.raises(ExplainerError, match="same prediction"):
        randomised_classifier(classifier, torch.full((4, 1, SIDE, SIDE), 0.5), 1)
