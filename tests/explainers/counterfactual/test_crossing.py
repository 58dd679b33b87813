"""The batched search for the first crossing, on curves whose crossings are known."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.counterfactual.crossing import Grid, find_crossings

GRID = Grid()


def search(curves, targets, grid=GRID):
    """Search several curves at once; a curve maps a distance to a value."""
    calls = []

    def evaluate(searches, distances):
        calls.append(len(searches))
        return np.array([curves[k](d) for k, d in zip(searches, distances, strict=True)])

    starts = np.array([curve(0.0) for curve in curves])
    distances, reached = find_crossings(evaluate, starts, np.array(targets), grid)
    return distances, reached, calls


def test_crossings_of_monotone_curves_are_found_both_ways():
    curves = [lambda d: 0.6 - 0.2 * d, lambda d: 0.6 + 0.01 * d, lambda d: np.exp(-d)]
    distances, reached, _ = search(curves, [0.3, 0.65, 0.5])
    np.testing.assert_allclose(distances, [1.5, 5.0, np.log(2)], rtol=1e-4)
    assert reached.all()


@pytest.mark.parametrize("distance", [0.003, 0.1249, 0.125, 0.13, 1.0, 7.7, 45.0])
def test_a_crossing_is_found_wherever_it_lies(distance):
    distances, reached, _ = search([lambda d: d / distance], [1.0])
    assert reached[0]
    assert distances[0] == pytest.approx(distance, rel=1e-3)


def test_all_searches_share_their_batches():
    curves = [lambda d, k=k: 0.9 - 0.05 * k * d for k in range(1, 20)]
    _, reached, calls = search(curves, [0.6] * 19)
    assert reached.all()
    assert len(calls) <= GRID.n_stages + GRID.n_rounds
    assert calls[0] == 19 * GRID.n_points


def test_the_first_crossing_counts_where_a_curve_turns_back():
    there_and_back = np.sin
    distances, reached, _ = search([there_and_back], [0.8])
    assert reached[0]
    assert distances[0] == pytest.approx(np.arcsin(0.8), rel=1e-4)


def test_a_crossing_of_a_steep_curve_is_narrowed_from_the_far_side():
    distances, reached, _ = search([lambda d: float(d >= 2.345)], [0.5])
    assert reached[0]
    assert distances[0] == pytest.approx(2.345, rel=5e-3)


def test_an_unreached_target_is_reported_with_the_shortest_good_effort():
    distances, reached, _ = search([lambda d: 0.6 - 0.1 * min(d, 2.0)], [0.3])
    assert not reached[0]
    assert distances[0] == pytest.approx(2.0)  # on the grid: 0.125 · √2⁸


def test_a_curve_that_only_goes_the_wrong_way_gets_the_first_distance():
    distances, reached, _ = search([lambda d: 0.6 + 0.01 * d, lambda _d: 0.6], [0.3, 0.3])
    assert not reached.any()
    np.testing.assert_array_equal(distances, GRID.first)


def test_results_do_not_depend_on_what_else_is_searched():
    curves = [lambda d: np.exp(-d), lambda d: 1 - 0.001 * d, np.cos]
    together, _, _ = search(curves, [0.4, 0.5, 0.2])
    for number, (curve, target) in enumerate(zip(curves, [0.4, 0.5, 0.2], strict=True)):
        alone, _, _ = search([curve], [target])
        assert alone[0] == together[number]
