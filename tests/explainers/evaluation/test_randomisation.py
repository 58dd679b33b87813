"""The bench ``randomisation`` on tiny networks."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.base import ExplainerError
from explainers.classifiers.ours import load_classifier
from explainers.evaluation.randomisation import Randomisation, layer_names
from explainers.generators.autoencoder import load_autoencoder
from tests.support.bench_setting import LABEL, PAIRS, Linear, setting_of, values_of
from tests.support.stub_networks import WrappedClassifier
from tests.support.tiny_networks import write_case_set, write_networks


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_case_set(tmp_path_factory.mktemp("cases"))


def measured(cases, tmp_path, classifier, **given):
    setting = setting_of(tmp_path, cases, classifier, **given)
    return Randomisation().measure(setting, LABEL, PAIRS)


def test_maps_of_the_trained_network_are_like_themselves(cases, tmp_path):
    table = measured(cases, tmp_path, Linear())
    assert values_of(table, "spearman")[0.0].to_numpy() == pytest.approx(1)
    assert values_of(table, "ssim")[0.0].to_numpy() == pytest.approx(1)
    assert values_of(table, "prediction_change")[0.0].to_numpy() == pytest.approx(0)


def test_gradients_of_a_wholly_reset_network_do_not_correlate_with_the_original(cases, tmp_path):
    found = []
    for seed in range(8):
        table = measured(cases, tmp_path, Linear(), seed=seed)
        found.append(values_of(table, "spearman")[1.0].to_numpy())
        assert (values_of(table, "prediction_change")[1.0] > 0).all()
    assert abs(np.mean(found)) < 0.02


def test_films_of_latent_shift_are_measured_with_the_autoencoder_kept(cases, tmp_path):
    classifier, autoencoder = write_networks(tmp_path)
    network = load_classifier(classifier)
    setting = setting_of(
        tmp_path, cases, network, load_autoencoder(autoencoder), ("latent_shift", "input_gradients")
    )
    table = Randomisation(n_stages=2).measure(setting, LABEL, PAIRS)
    assert set(table["method"]) >= {"latent_shift-max", "input_gradients", "prediction"}
    assert set(table["x"]) == {0.0, 1.0, 21.0}
    assert values_of(table, "spearman", "latent_shift-max")[0.0].to_numpy() == pytest.approx(1)
    assert layer_names(table) == {1.0: "network.head", 21.0: "network.stem.0"}


def test_chunks_do_not_change_the_numbers(cases, tmp_path):
    setting = setting_of(tmp_path, cases, Linear())
    whole = Randomisation().measure(setting, LABEL, PAIRS)
    alone = Randomisation().measure(setting, LABEL, PAIRS[1:2])
    same = whole[whole["case_id"] == "c0002"].reset_index(drop=True)
    assert same["value"].to_numpy() == pytest.approx(
        alone["value"].to_numpy(), abs=1e-5, nan_ok=True
    )


def test_a_classifier_without_a_module_is_refused(cases, tmp_path):
    wrapped = WrappedClassifier(Linear(), input_size=(32, 32))
    with pytest.raises(ExplainerError, match="no torch module"):
        measured(cases, tmp_path, wrapped)


def test_no_method_and_unknown_methods_are_refused(cases, tmp_path):
    with pytest.raises(ExplainerError, match="No method"):
        measured(cases, tmp_path, Linear(), methods=())
    with pytest.raises(ExplainerError, match="Unknown method"):
        measured(cases, tmp_path, Linear(), methods=("tea_leaves",))
    with pytest.raises(ExplainerError, match="n_stages"):
        Randomisation(n_stages=0)
