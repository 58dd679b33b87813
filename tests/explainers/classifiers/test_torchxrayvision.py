"""torchxrayvision's networks: weights from a file, nothing downloaded, no second sigmoid."""

from __future__ import annotations

import importlib.util
import math
import pickle
import types

import pytest
import torch
from torch import nn

from explainers.base import ExplainerError
from explainers.classifiers import torchxrayvision as adapter
from explainers.classifiers.adapted import calibration_at
from explainers.classifiers.opening import open_classifier
from explainers.classifiers.weightsfile import fill, read_state
from explainers.generators.opening import open_autoencoder

INSTALLED = importlib.util.find_spec("torchxrayvision") is not None


@pytest.fixture
def package(monkeypatch):
    if not INSTALLED:
        pytest.skip("torchxrayvision is not installed; install the extra 'torchxrayvision'")
    found = adapter.import_torchxrayvision()

    def refuse(*arguments, **keywords):
        raise AssertionError("a download was attempted")

    monkeypatch.setattr(found.utils, "download", refuse)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    return found


@pytest.mark.parametrize(
    ("name", "whole", "n_findings", "size"),
    [
        ("densenet121-res224-nih", True, 14, (224, 224)),
        pytest.param("densenet121-res224-all", False, 18, (224, 224), marks=pytest.mark.slow),
        pytest.param("resnet50-res512-all", False, 16, (512, 512), marks=pytest.mark.slow),
        pytest.param("jfhealthcare", False, 5, (512, 512), marks=pytest.mark.slow),
    ],
)
def test_a_classifier_in_the_upstream_file_format_is_opened(
    package, tmp_path, name, whole, n_findings, size
):
    network = adapter.build_network(package, name)
    path = tmp_path / "weights.pt"
    torch.save(network if whole else network.state_dict(), path)
    classifier = open_classifier(f"torchxrayvision:{name}@{path}")
    assert len(classifier.findings) == n_findings
    assert classifier.input_size == size
    assert classifier.input_range == (-1024, 1024)
    assert all(classifier.findings)


def test_one_half_is_the_operating_point_of_upstream(package, tmp_path):
    name = "densenet121-res224-all"
    network = adapter.build_network(package, name).eval()
    path = tmp_path / "weights.pt"
    torch.save(network.state_dict(), path)
    classifier = open_classifier(f"torchxrayvision:{name}@{path}")
    image = torch.linspace(-1024, 1024, 224).expand(1, 1, 224, 224).clone()
    with torch.no_grad():
        raw = network(image)
        assert torch.allclose(classifier.logits(image), raw, atol=1e-4)
        points = torch.tensor(package.models.model_urls[name]["op_threshs"])
        theirs = package.models.op_norm(torch.sigmoid(raw), points)
        assert torch.equal(theirs > 0.5, classifier.probabilities(raw) > 0.5)


@pytest.mark.slow
def test_the_autoencoder_is_opened_and_works_in_zero_to_one(package, tmp_path):
    path = tmp_path / "ae.pt"
    torch.save(package.autoencoders.ResNetAE(weights=None).state_dict(), path)
    autoencoder = open_autoencoder(f"torchxrayvision:101-elastic@{path}")
    assert math.prod(autoencoder.latent_shape) == 4608
    assert autoencoder(torch.rand(1, 1, 224, 224)).shape == (1, 1, 224, 224)


def test_missing_weights_and_unknown_names_are_said(package, tmp_path):
    for text, said in [
        (f"densenet121-res224-nih@{tmp_path / 'no.pt'}", "download https.* yourself"),
        (f"vgg@{tmp_path / 'no.pt'}", "no classifier 'vgg'"),
    ]:
        with pytest.raises(ExplainerError, match=said):
            open_classifier(f"torchxrayvision:{text}")


def test_a_name_without_a_file_is_refused():
    with pytest.raises(ExplainerError, match="names no weights file"):
        open_classifier("torchxrayvision:densenet121-res224-nih")


def test_outputs_that_were_never_trained_are_left_out():
    names, points, columns = adapter.usable_outputs(["A", "", "C", "D"], [0.1, 0.2, math.nan, 0.4])
    assert (names, points, columns) == (("A", "D"), (0.1, 0.4), (0, 3))


def test_the_calibration_is_smooth_at_the_operating_point():
    calibration = calibration_at((0.02,), ("Mass",))
    logit = math.log(0.02 / 0.98)
    below, at, above = (
        calibration.probabilities([[logit + step]])[0, 0] for step in (-1e-4, 0, 1e-4)
    )
    assert at == pytest.approx(0.5)
    assert above - at == pytest.approx(at - below, rel=1e-4)


def test_a_missing_operator_is_declared_and_the_import_repeated():
    calls = []

    def import_it():
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("operator torchvision::nms does not exist")
        return types.ModuleType("torchvision")

    try:
        found = adapter.import_despite_missing_operators(import_it)
    except ExplainerError:
        pytest.skip("torchvision has declared its operators in this process")
    assert len(calls) == 2
    assert found.__name__ == "torchvision"


def test_where_that_does_not_help_the_fitting_torchvision_is_asked_for():
    def import_it():
        raise RuntimeError("operator torchvision::other does not exist")

    with pytest.raises(ExplainerError, match="built for this torch"):
        adapter.import_despite_missing_operators(import_it)


class Trap:
    def __reduce__(self):
        return (print, ("code has run",))


def test_a_file_that_brings_code_is_refused_and_its_code_not_run(tmp_path, capsys):
    path = tmp_path / "trap.pt"
    torch.save({"a": Trap()}, path, pickle_module=pickle)
    with pytest.raises(ExplainerError, match="would run code"):
        read_state(path)
    assert "code has run" not in capsys.readouterr().out


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "linear.pt"
    torch.save(nn.Linear(3, 2).state_dict(), path)
    state = read_state(path)
    with pytest.raises(ExplainerError, match=r"has shape \(2, 3\)"):
        fill(nn.Linear(4, 2), state, path)
    with pytest.raises(ExplainerError, match="tensors are missing"):
        fill(nn.Sequential(nn.Linear(3, 2)), state, path)
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(ExplainerError):
        read_state(tmp_path / "text.pt")
