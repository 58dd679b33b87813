"""The bench ``robustness``: no noise changes nothing; noise is seeded by case."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.base import ExplainerError
from explainers.evaluation.perturbation import with_blur, with_noise
from explainers.evaluation.robustness import Robustness
from tests.support.bench_setting import LABEL, PAIRS, Linear, setting_of, values_of
from tests.support.tiny_networks import write_case_set

FILMS = np.full((2, 64, 64), 0.5, np.float32)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_case_set(tmp_path_factory.mktemp("cases"))


def test_without_noise_and_blur_nothing_changes(cases, tmp_path):
    table = Robustness().measure(setting_of(tmp_path, cases, Linear()), LABEL, PAIRS)
    for kind in ("noise", "blur"):
        assert values_of(table, f"{kind}_spearman")[0.0].to_numpy() == pytest.approx(1)
        assert values_of(table, f"{kind}_ssim")[0.0].to_numpy() == pytest.approx(1)
        assert values_of(table, f"{kind}_change")[0.0].to_numpy() == pytest.approx(0)


def test_gradients_of_a_linear_network_do_not_mind_but_its_predictions_do(cases, tmp_path):
    table = Robustness().measure(setting_of(tmp_path, cases, Linear()), LABEL, PAIRS)
    assert values_of(table, "noise_spearman").to_numpy() == pytest.approx(1)
    assert (values_of(table, "noise_change")[0.2] > 0).all()
    assert (values_of(table, "blur_change")[4.0] > 0).all()


def test_integrated_gradients_of_a_linear_network_follow_the_film(cases, tmp_path):
    setting = setting_of(tmp_path, cases, Linear(), methods=("integrated_gradients",))
    curve = values_of(Robustness().measure(setting, LABEL, PAIRS), "noise_spearman").mean()
    assert (np.diff(curve.to_numpy()) < 0).all() and curve[0.2] < 0.95


def test_noise_has_the_strength_asked_for_and_depends_on_case_and_seed_only():
    noisy = with_noise(FILMS, ["a", "b"], 0.05, seed=1)
    assert np.std(noisy - FILMS) == pytest.approx(0.05, rel=0.05)
    assert np.array_equal(with_noise(FILMS[:1], ["b"], 0.05, seed=1)[0], noisy[1])
    assert not np.array_equal(noisy[0], noisy[1])
    assert not np.array_equal(with_noise(FILMS, ["a", "b"], 0.05, seed=2), noisy)


def test_films_stay_in_range():
    noisy = with_noise(FILMS, ["a", "b"], 2.0, seed=0)
    assert noisy.min() == 0 and noisy.max() == 1 and noisy.dtype == np.float32


def test_a_blurred_point_is_a_gaussian_of_the_width_asked_for():
    film = np.zeros((1, 65, 65), np.float32)
    film[0, 32, 32] = 1
    blurred = with_blur(film, 3.0)[0]
    distance = np.arange(65) - 32
    assert np.sqrt((blurred.sum(axis=0) * distance**2).sum()) == pytest.approx(3, rel=0.02)


def test_chunks_do_not_change_the_numbers(cases, tmp_path):
    setting = setting_of(tmp_path, cases, Linear(), methods=("integrated_gradients",))
    bench = Robustness((0.1,), (1.0,))
    whole = bench.measure(setting, LABEL, PAIRS)
    alone = bench.measure(setting, LABEL, PAIRS[1:2])
    same = whole[whole["case_id"] == "c0002"]["value"].to_numpy()
    assert same == pytest.approx(alone["value"].to_numpy(), nan_ok=True, abs=1e-6)


@pytest.mark.parametrize("sigma", [-0.1, float("nan")])
def test_impossible_strengths_are_refused(sigma):
    with pytest.raises(ExplainerError, match="standard deviation"):
        Robustness(noise_sigmas=(sigma,))
    with pytest.raises(ExplainerError, match="standard deviation"):
        with_blur(FILMS, sigma)
