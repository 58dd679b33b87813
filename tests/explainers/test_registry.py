"""The registry: names without torch, explainers on demand."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from explainers import registry
from explainers.base import Explainer, ExplainerError
from explainers.classifiers.ours import load_classifier
from explainers.networks import Networks
from tests.support.stub_networks import LinearAutoencoder, LinearClassifier
from tests.support.tiny_factors import write_factor_study
from tests.support.tiny_networks import write_networks, write_others

ROOT = Path(__file__).resolve().parents[2]


def test_the_numpy_side_of_the_package_does_not_import_torch():
    code = (
        "import sys\n"
        "import explainers.record, explainers.archive, explainers.overlay, explainers.animation\n"
        "import explainers.registry, explainers.sheet\n"
        "assert explainers.registry.map_names()\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_the_names_of_methods_and_maps_are_those_of_the_protocols():
    gradients = (
        "input_gradients",
        "guided_backprop",
        "integrated_gradients",
        "smoothgrad",
        "grad_cam",
        "occlusion",
        "lime",
        "gradient_shap",
        "iterative_delete",
        "bbmp",
    )
    before = ("latent_shift", "latent_shift_path", "latent_shift_optimised")
    before += ("visual_rationale", "structure_class_traversal")
    after = ("syce", "cyce")
    assert registry.names() == (
        *(*gradients, *before, "path_gradients"),
        *(*after, "mgen", "stylespace"),
    )
    kinds = ("max", "mean", "minmax", "interval")
    maps = [[f"{film}-{kind}" for film in films for kind in kinds] for films in (before, after)]
    assert registry.map_names() == (*gradients, *maps[0], "path_gradients", *maps[1], "mgen")


@pytest.fixture(scope="module")
def every_network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    factors = write_factor_study(folder / "factors")
    classifier, autoencoder = write_networks(folder)
    files = write_others(folder) | {"autoencoder": autoencoder, "factors": factors}
    return load_classifier(classifier), Networks({k: str(path) for k, path in files.items()})


def class_of(name):
    module, _, class_name = registry.spec(name).target.partition(":")
    return getattr(importlib.import_module(module), class_name)


@pytest.mark.parametrize("name", registry.names())
def test_the_declared_parameters_are_those_of_the_class(name):
    shown = {field.name: field for field in dataclasses.fields(class_of(name)) if field.repr}
    declared = {each.name: each for each in registry.spec(name).parameters}
    numbers = {key for key, field in shown.items() if field.type in ("int", "float")}
    assert numbers == set(declared)
    for key in numbers:
        assert shown[key].default == declared[key].default
        assert shown[key].type == declared[key].type
    assert class_of(name).name == name


@pytest.mark.parametrize("name", registry.names())
def test_every_method_can_be_created_and_is_an_explainer(name, every_network):
    classifier, networks = every_network
    made = registry.create(name, classifier=classifier, networks=networks, batch_size=3)
    assert isinstance(made, Explainer)
    assert made.batch_size == 3
    assert "object at" not in repr(made)
    assert "digest" not in repr(made)


def test_the_repr_states_how_a_picture_was_made():
    made = registry.create(
        "latent_shift",
        classifier=LinearClassifier(),
        networks={"autoencoder": LinearAutoencoder()},
        fall=0.5,
    )
    assert repr(made) == (
        "LatentShift(fall=0.5, rise=0.05, frames_below=15, frames_above=5, limit=0.9)"
    )


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(ExplainerError, match="'gradcam'; choose from input_gradients, guided"):
        registry.spec("gradcam")
    with pytest.raises(ExplainerError, match="Unknown method"):
        registry.create("gradcam", classifier=LinearClassifier())


def test_an_unknown_parameter_or_a_wrong_type_is_refused():
    with pytest.raises(ExplainerError, match="no parameter 'steps'; it has n_steps, baseline, tol"):
        registry.create("integrated_gradients", classifier=LinearClassifier(), steps=5)
    with pytest.raises(ExplainerError, match="none that can be set"):
        registry.create("input_gradients", classifier=LinearClassifier(), steps=5)
    for wrong in (2.5, True, "many"):
        with pytest.raises(ExplainerError, match="expected a number of type int"):
            registry.create("integrated_gradients", classifier=LinearClassifier(), n_steps=wrong)


def test_a_missing_autoencoder_is_asked_for():
    with pytest.raises(ExplainerError, match=r"Latent Shift.* needs an autoencoder"):
        registry.create("latent_shift", classifier=LinearClassifier())
