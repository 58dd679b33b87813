"""The bench ``faithfulness``: deletion of a linear classifier is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from explainers.base import ExplainerError
from explainers.evaluation.captum_measures import infidelities, sensitivities
from explainers.evaluation.faithfulness import Faithfulness
from explainers.evaluation.pixel_order import area, baseline_films, curves, pixel_order
from tests.support.bench_setting import LABEL, PAIRS, Linear, setting_of, values_of
from tests.support.tiny_networks import write_case_set

RANDOM = np.random.default_rng(2)
FILMS = RANDOM.random((2, 32, 32)).astype(np.float32)
FINDINGS = ["Mass", "Mass"]
SEEDS = [3, 4]


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_case_set(tmp_path_factory.mktemp("cases"))


def weights_of(classifier):
    return classifier.head.weight[0].detach().numpy().reshape(32, 32)


def test_deletion_of_a_linear_classifier_is_its_partial_sum():
    classifier = Linear()
    shares = (0.0, 0.25, 0.5, 1.0)
    contributions = weights_of(classifier) * FILMS[0]
    order = pixel_order(contributions, RANDOM)
    found = curves(FILMS[:1], np.zeros_like(FILMS[:1]), [order], shares, ["Mass"], classifier)
    ranked = contributions.ravel()[np.argsort(-np.abs(contributions), axis=None)]
    left = [ranked[round(share * ranked.size) :].sum() for share in shares]
    assert found[0] == pytest.approx(1 / (1 + np.exp(-np.array(left))), abs=1e-4)


def test_insertion_ends_where_deletion_begins():
    classifier, order = Linear(), pixel_order(FILMS[0], RANDOM)
    other, shares = baseline_films(FILMS[:1], "blur"), (0.0, 0.5, 1.0)
    out = curves(FILMS[:1], other, [order], shares, ["Mass"], classifier)[0]
    back = curves(other, FILMS[:1], [order], shares, ["Mass"], classifier)[0]
    assert out[0] == pytest.approx(back[-1], abs=1e-6)
    assert out[-1] == pytest.approx(back[0], abs=1e-6)


def test_the_strongest_pixels_come_first_whatever_their_sign():
    values = np.array([[0.1, -5.0], [2.0, 0.0]])
    assert pixel_order(values, RANDOM).tolist() == [1, 2, 0, 3]


def test_ties_are_broken_at_random_and_not_row_by_row():
    orders = [pixel_order(np.zeros((32, 32)), np.random.default_rng(seed)) for seed in range(30)]
    top = [np.mean(order[:512] < 512) for order in orders]
    assert np.mean(top) == pytest.approx(0.5, abs=0.03)
    assert np.array_equal(orders[3], pixel_order(np.zeros((32, 32)), np.random.default_rng(3)))


def test_the_area_under_a_straight_line_is_its_mean():
    assert area((0.0, 0.1, 1.0), np.array([1.0, 0.9, 0.0])) == pytest.approx(0.5)


def test_the_gradient_of_a_linear_classifier_is_wholly_faithful():
    classifier = Linear()
    maps = np.stack([weights_of(classifier)] * 2)
    common = {"n_samples": 20, "square_share": 0.3, "seeds": SEEDS}
    others = baseline_films(FILMS, "blur")

    def score(name, values):
        return infidelities(name, values, FILMS, others, FINDINGS, classifier, **common)

    nothing = score("zero_map", np.zeros_like(maps))
    assert (nothing > 0).all()
    assert (score("input_gradients", maps) < 1e-5 * nothing).all()
    assert (score("input_gradients", 1000 * maps) < 1e-5 * nothing).all()  # its scale is free
    contributions = maps * (FILMS - others)
    assert (score("integrated_gradients", contributions) < 1e-5 * nothing).all()
    noise = score("input_gradients", RANDOM.standard_normal(maps.shape))
    assert (noise > 0.2 * nothing).all() and (noise <= nothing + 1e-6).all()


def test_a_map_that_does_not_depend_on_the_film_is_not_sensitive():
    def still(films, findings):
        return np.ones((len(films), 32, 32), np.float32)

    found = sensitivities(still, FILMS, FINDINGS, radius=0.02, n_samples=3, seeds=SEEDS)
    assert found.tolist() == [0, 0]


def test_the_sensitivity_of_the_film_itself_is_the_size_of_the_noise():
    films = 0.25 + FILMS / 2  # no clipping

    def own(given, findings):
        return given

    found = sensitivities(own, films, FINDINGS, radius=0.02, n_samples=4, seeds=SEEDS)
    expected = 32 * 0.02 / math.sqrt(3) / np.linalg.norm(films.reshape(2, -1), axis=1)
    assert found == pytest.approx(expected, rel=0.1)
    again = sensitivities(own, films[1:], FINDINGS[1:], radius=0.02, n_samples=4, seeds=SEEDS[1:])
    assert again[0] == found[1]


def test_a_map_of_zeros_has_no_sensitivity_and_torchs_seed_is_left_alone():
    def zero(films, findings):
        return np.zeros((len(films), 32, 32), np.float32)

    state = torch.random.get_rng_state()
    found = sensitivities(zero, FILMS, FINDINGS, radius=0.02, n_samples=2, seeds=SEEDS)
    assert np.isnan(found).all()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_bench_measures_maps_beside_a_random_order_and_a_map_of_zeros(cases, tmp_path):
    setting = setting_of(tmp_path, cases, Linear(), methods=("integrated_gradients",))
    table = Faithfulness(n_squares=6, n_draws=2).measure(setting, LABEL, PAIRS)
    assert set(table["method"]) == {"integrated_gradients", "random_order", "zero_map"}
    curve = values_of(table, "deletion_black", "integrated_gradients")
    assert curve[1.0].to_numpy() == pytest.approx(0.5, abs=1e-6)  # black film, no bias
    rows = table[table["quantity"] == "deletion_black_area"]
    assert len(rows) == 2 * len(PAIRS) and rows["x"].isna().all()
    alone = Faithfulness(n_squares=6, n_draws=2).measure(setting, LABEL, PAIRS[1:2])
    same = table[table["case_id"] == "c0002"]["value"].to_numpy()
    assert same == pytest.approx(alone["value"].to_numpy(), abs=1e-5, nan_ok=True)


def test_sensitivity_can_be_left_out(cases, tmp_path):
    setting = setting_of(tmp_path, cases, Linear())
    table = Faithfulness(n_draws=0, n_squares=2).measure(setting, LABEL, PAIRS[:1])
    assert "sensitivity" not in set(table["quantity"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shares": (0.1, 1.0)}, "from 0 to 1"),
        ({"shares": (0.0, 0.5, 0.5, 1.0)}, "from 0 to 1"),
        ({"n_draws": -1}, "n_draws"),
        ({"baselines": ("white",)}, "white"),
    ],
)
def test_impossible_parameters_are_refused(given, said):
    with pytest.raises(ExplainerError, match=said):
        Faithfulness(**given)


def test_impossible_measures_are_refused():
    films = FILMS[:1]
    with pytest.raises(ExplainerError, match="squares"):
        infidelities(
            "m", films, films, films, ["Mass"], Linear(), n_samples=0, square_share=1, seeds=[0]
        )
    with pytest.raises(ExplainerError, match="radius"):
        sensitivities(lambda *_: films, films, ["Mass"], radius=0, n_samples=1, seeds=[0])
    with pytest.raises(ExplainerError, match="shares"):
        curves(films, films, [np.arange(1024)], (2.0,), ["Mass"], Linear())
