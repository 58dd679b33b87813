"""The bench ``reconstruction``: an identity changes nothing; AUC as others count it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from explainers.base import ExplainerError
from explainers.evaluation.reconstruction import (
    Reconstruction,
    area_under_roc,
    areas,
    impact,
    reconstruct,
)
from tests.support.bench_setting import LABEL, PAIRS, Identity, Linear, setting_of
from tests.support.tiny_networks import write_case_set


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_case_set(tmp_path_factory.mktemp("cases"))


def by_quantity(table):
    return {name: part["value"].to_numpy() for name, part in table.groupby("quantity")}


def test_an_identity_changes_nothing(cases, tmp_path):
    setting = setting_of(tmp_path, cases, Linear(), Identity())
    table = Reconstruction().measure(setting, LABEL, PAIRS)
    found = by_quantity(table)
    for name in ("change", "absolute_change", "crossed", "mae"):
        assert (found[name] == 0).all()
    assert found["ssim"] == pytest.approx(1)
    assert (found["f_film"] == found["f_reconstruction"]).all()
    assert set(table["method"]) == {"reconstruction"}


def test_rows_say_whether_the_reference_standard_is_positive(cases, tmp_path):
    setting = setting_of(tmp_path, cases, Linear(), Identity())
    table = Reconstruction().measure(setting, LABEL, PAIRS)
    assert set(table[table["finding"] == "Mass"]["x"]) == {1.0}
    assert table[table["finding"] == "Lung Opacity"]["x"].isna().all()  # not in the reference


def test_a_grey_reconstruction_has_the_error_and_the_change_it_should(cases, tmp_path):
    class Grey(Identity):
        def decode(self, latents):
            return 0 * latents + 0.5

    classifier = Linear()
    table = Reconstruction().measure(
        setting_of(tmp_path, cases, classifier, Grey()), LABEL, PAIRS[:1]
    )
    found = by_quantity(table)
    weights = classifier.head.weight[0].detach().numpy()
    expected = 1 / (1 + np.exp(-0.5 * weights.sum()))
    assert found["f_reconstruction"] == pytest.approx(expected, abs=1e-5)
    assert found["change"] == pytest.approx(found["f_reconstruction"] - found["f_film"])
    assert 0 < found["mae"][0] < 128


def test_a_prediction_crosses_where_it_changes_sides():
    before, after = np.array([0.4, 0.6, 0.6, 0.5]), np.array([0.6, 0.4, 0.9, 0.51])
    found = impact(before, after)
    assert found["crossed"].tolist() == [1, 1, 0, 1]
    assert found["change"] == pytest.approx([0.2, -0.2, 0.3, 0.01])
    assert found["absolute_change"] == pytest.approx([0.2, 0.2, 0.3, 0.01])


def test_the_area_under_the_curve_is_scikit_learns_and_unknown_for_one_class():
    random = np.random.default_rng(0)
    scores, positive = random.random(60).round(1), random.random(60) < 0.4
    assert area_under_roc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    assert math.isnan(area_under_roc(scores, np.ones(60, bool)))


def test_the_areas_of_an_identity_are_equal(cases, tmp_path):
    setting = setting_of(tmp_path, cases, Linear(), Identity())
    table = Reconstruction().measure(setting, LABEL, PAIRS)
    before, after = areas(table.assign(x=[float(n % 2) for n in range(len(table))]), "Mass")
    assert before == after or (math.isnan(before) and math.isnan(after))


def test_what_cannot_be_reconstructed_is_refused(cases, tmp_path):
    with pytest.raises(ExplainerError, match="needs an autoencoder"):
        Reconstruction().measure(setting_of(tmp_path, cases, Linear()), LABEL, PAIRS)

    class Small(Identity):
        input_size = (8, 8)

    with pytest.raises(ExplainerError, match="same size"):
        Reconstruction().measure(setting_of(tmp_path, cases, Linear(), Small()), LABEL, PAIRS)

    class Broken(Identity):
        def decode(self, latents):
            return latents * float("nan")

    with pytest.raises(ExplainerError, match="NaN"):
        reconstruct(np.zeros((1, 32, 32), np.float32), Broken())
