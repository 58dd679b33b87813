"""A head on the latent explained as a classifier."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.classifiers.latent import LatentRegressor, open_latent_classifier
from explainers.generators.latent_head import Head, HeadShape
from explainers.generators.wgan import WGAN, Encoder, Generator, WGANShape, save_wgan

SHAPE = WGANShape(size=16, latent=5, channel_base=64, channel_limit=8, critic_base=64)
BNP = HeadShape("bnp", ("log BNP",), thresholds=(0.460517,), slopes=(30.0,), note="simulated")
LOGITS = HeadShape("findings", ("A", "B"), kind="logits", thresholds=(0.0, 1.0), slopes=(1.0, 2.0))


def _wgan(*shapes: HeadShape) -> WGAN:
    torch.manual_seed(1)
    return WGAN(Generator(SHAPE), Encoder(SHAPE), [Head(shape, 5) for shape in shapes])


def test_its_logits_are_the_values_of_the_head_at_the_encoded_image() -> None:
    wgan = _wgan(BNP, LOGITS)
    regressor = LatentRegressor(wgan, "bnp")
    images = torch.rand(3, 1, 16, 16, requires_grad=True)
    logits = regressor.logits(images)
    assert isinstance(regressor, Classifier)
    assert logits.shape == (3, 1) and regressor.findings == ("log BNP",)
    assert torch.equal(logits, regressor.latent_logits(wgan.encode(images)))
    logits.sum().backward()
    assert images.grad is not None and bool(images.grad.abs().sum() > 0)


def test_its_probability_is_one_half_at_the_threshold_of_100() -> None:
    regressor = LatentRegressor(_wgan(BNP), "bnp")
    assert regressor.probability_at(100) == pytest.approx(0.5, abs=1e-4)
    assert regressor.probability_at(10) < 0.01 < regressor.probability_at(120)
    assert regressor.is_regression and regressor.note == "simulated"
    with pytest.raises(ExplainerError, match="above 0 ng/L"):
        regressor.probability_at(0)


def test_a_head_of_findings_is_a_classifier_of_them() -> None:
    classifier = LatentRegressor(_wgan(BNP, LOGITS), "findings")
    assert classifier.findings == ("A", "B") and not classifier.is_regression
    probabilities = classifier.probabilities(torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(probabilities, torch.tensor([[0.5, 0.5]]))
    with pytest.raises(ExplainerError, match="predicts findings"):
        classifier.probability_at(100)


def test_heads_of_one_file_have_digests_of_their_own_and_are_opened_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_wgan(path, _wgan(BNP, LOGITS))
    first, named = open_latent_classifier(str(path)), open_latent_classifier(f"findings@{path}")
    assert (first.head_name, named.head_name) == ("bnp", "findings")
    assert first.weights_digest != named.weights_digest and len(first.weights_digest) == 64
    with pytest.raises(ExplainerError, match="no head 'none'"):
        open_latent_classifier(f"none@{path}")


def test_a_file_without_heads_or_encoder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_wgan(path, _wgan())
    with pytest.raises(ExplainerError, match="no heads"):
        open_latent_classifier(str(path))
    torch.manual_seed(0)
    alone = WGAN(Generator(SHAPE), None, [Head(BNP, 5)])
    with pytest.raises(ExplainerError, match="takes an encoder"):
        LatentRegressor(alone, "bnp")
