"""Our classifier on disk and in memory."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from explainers.base import ExplainerError
from explainers.checkpoint import WEIGHTS_DIRECTORY
from explainers.classifiers.base import Classifier
from explainers.classifiers.calibration import Calibration
from explainers.classifiers.networks import build_classifier
from explainers.classifiers.ours import OurClassifier, load_classifier, save_classifier

FINDINGS = ("Mass", "Effusion")


@pytest.fixture
def classifier() -> OurClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_classifier("lenet", 2)
    calibration = Calibration((0.8, 1.2), (-0.4, 0.6))
    return OurClassifier(network, FINDINGS, (32, 32), calibration, architecture="lenet")


@pytest.fixture
def saved(classifier: OurClassifier, tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    save_classifier(path, classifier)
    return path


def test_a_saved_classifier_comes_back_the_same_to_half_precision(
    classifier: OurClassifier, saved: Path
) -> None:
    loaded = load_classifier(saved)
    images = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    assert isinstance(loaded, Classifier)
    assert loaded.findings == FINDINGS
    assert loaded.input_size == (32, 32)
    assert loaded.input_range == (0.0, 1.0)
    assert loaded.weights_digest == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert torch.allclose(loaded.logits(images), classifier.logits(images), atol=2e-2)
    assert all(parameter.dtype == torch.float32 for parameter in loaded.parameters())
    assert all(tensor.dtype == torch.float16 for tensor in load_file(saved).values())


def test_probability_one_half_lies_at_the_calibrated_logit(classifier: OurClassifier) -> None:
    operating_point = torch.tensor([[0.5, -0.5]])
    assert torch.allclose(classifier.probabilities(operating_point), torch.full((1, 2), 0.5))


def test_a_loaded_classifier_is_frozen_but_differentiable_in_the_image(saved: Path) -> None:
    loaded = load_classifier(saved)
    images = torch.rand(1, 1, 32, 32, requires_grad=True)
    loaded.logits(images)[0, 0].backward()
    assert images.grad is not None
    assert not loaded.training
    assert all(parameter.grad is None for parameter in loaded.parameters())


def test_loading_leaves_the_global_random_state_alone(saved: Path) -> None:
    before = torch.random.get_rng_state()
    load_classifier(saved)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExplainerError, match=r"No network at .*absent"):
        load_classifier(tmp_path / "absent.safetensors")
    with pytest.raises(ExplainerError, match="shipped names"):
        load_classifier("no-such-network")


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(ExplainerError, match="not a readable safetensors file"):
        load_classifier(path)


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ExplainerError, match="not one of ours"):
        load_classifier(path)


def _with_header(saved: Path, **changes: object) -> Path:
    from safetensors import safe_open

    with safe_open(saved, framework="pt") as file:
        header = json.loads(file.metadata()["counterlight"])
    save_file(load_file(saved), saved, {"counterlight": json.dumps({**header, **changes})})
    return saved


def test_a_file_of_another_kind_is_refused(saved: Path) -> None:
    with pytest.raises(ExplainerError, match="kind 'autoencoder', expected 'classifier'"):
        load_classifier(_with_header(saved, kind="autoencoder"))


def test_weights_of_another_architecture_are_refused(saved: Path) -> None:
    with pytest.raises(ExplainerError, match="does not fit the architecture"):
        load_classifier(_with_header(saved, architecture="small"))


def test_weights_of_another_shape_are_refused(saved: Path) -> None:
    header = {"findings": ["Mass"], "slopes": [1.0], "intercepts": [0.0]}
    with pytest.raises(ExplainerError, match="has shape"):
        load_classifier(_with_header(saved, **header))


def test_an_unknown_architecture_in_the_header_is_refused(saved: Path) -> None:
    with pytest.raises(ExplainerError, match="Unknown classifier architecture"):
        load_classifier(_with_header(saved, architecture="alexnet"))


def test_nan_weights_are_neither_saved_nor_loaded(classifier: OurClassifier, saved: Path) -> None:
    tensors = load_file(saved)
    name = next(iter(tensors))
    tensors[name] = torch.full_like(tensors[name], float("nan"))
    save_file(tensors, saved, {"counterlight": _header(saved)})
    with pytest.raises(ExplainerError, match="NaN or infinite"):
        load_classifier(saved)
    next(classifier.parameters()).data.fill_(1e6)
    with pytest.raises(ExplainerError, match="too large for float16"):
        save_classifier(saved.with_name("other.safetensors"), classifier)
    assert not saved.with_name("other.safetensors").exists()


def _header(saved: Path) -> str:
    from safetensors import safe_open

    with safe_open(saved, framework="pt") as file:
        return str(file.metadata()["counterlight"])


def test_images_of_another_shape_are_refused(classifier: OurClassifier) -> None:
    with pytest.raises(ExplainerError, match=r"\(N, 1, H, W\); got \(1, 3, 32, 32\)"):
        classifier.logits(torch.rand(1, 3, 32, 32))


def test_an_unknown_finding_is_refused(classifier: OurClassifier) -> None:
    assert classifier.target("Effusion") == 1
    with pytest.raises(ExplainerError, match="does not know 'Hernia'"):
        classifier.target("Hernia")


def test_a_network_that_cannot_be_written_leaves_nothing_half_written(
    classifier: OurClassifier, tmp_path: Path
) -> None:
    (tmp_path / "net.safetensors").mkdir()
    with pytest.raises(ExplainerError, match="could not be written"):
        save_classifier(tmp_path / "net.safetensors", classifier)
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def test_a_weights_file_is_as_readable_as_any_other_new_file(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    assert saved.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("finding", ["Atelectasis", "Pneumothorax"])
def test_the_shipped_classifier_loads_by_name_and_fits_into_sixteen_megabytes(
    finding: str,
) -> None:
    if not (WEIGHTS_DIRECTORY / "phantom-classifier.safetensors").is_file():
        pytest.skip("the classifier has not been trained yet")
    shipped = load_classifier("phantom-classifier")
    assert finding in shipped.findings
    assert shipped.input_size == (128, 128)
    assert (WEIGHTS_DIRECTORY / "phantom-classifier.safetensors").stat().st_size < 16_000_000
