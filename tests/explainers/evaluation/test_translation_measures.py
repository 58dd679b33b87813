import numpy as np
import pytest

from explainers.base import ExplainerError
from explainers.evaluation.translation_measures import (
    domain_distance,
    fit_plane,
    jensen_shannon,
)

RNG = np.random.default_rng(3)
HERE = RNG.normal(size=(400, 5)) * [2, 1, 0.3, 0.3, 0.3]
THERE = HERE + np.array([4, 0, 0, 0, 0])
PLANE = fit_plane(np.concatenate([HERE, THERE]))


def test_the_plane_holds_the_directions_of_largest_variance():
    assert abs(PLANE.axes[0][0]) > 0.99 and abs(PLANE.axes[1][1]) > 0.99
    assert PLANE.axes @ PLANE.axes.T == pytest.approx(np.eye(2))
    assert PLANE.explained[0] > PLANE.explained[1]
    assert PLANE.project(PLANE.mean[None])[0] == pytest.approx([0, 0])


def test_doing_nothing_has_the_ratio_one_and_arriving_has_zero():
    nothing = domain_distance(HERE, THERE, HERE, PLANE)
    assert nothing.frechet == pytest.approx(16, abs=1e-6)  # the squared distance of the means
    assert (nothing.frechet_ratio, nothing.jensen_shannon_ratio) == pytest.approx((1, 1))
    there = domain_distance(THERE, THERE, HERE, PLANE)
    assert there.frechet_ratio == pytest.approx(0, abs=1e-6)
    assert there.jensen_shannon_ratio == pytest.approx(0, abs=1e-6)
    half = domain_distance((HERE + THERE) / 2, THERE, HERE, PLANE)
    assert half.frechet_ratio == pytest.approx(0.25, abs=1e-6)
    assert 0 < half.jensen_shannon_ratio < 1


def test_the_jensen_shannon_distance_is_symmetric_and_ends_at_one():
    first, second = PLANE.project(HERE), PLANE.project(THERE)
    assert jensen_shannon(first, second) == pytest.approx(jensen_shannon(second, first))
    assert jensen_shannon(first, first + 1000) == pytest.approx(1, abs=1e-3)


def test_points_that_span_no_plane_are_refused():
    with pytest.raises(ExplainerError, match="span no plane"):
        fit_plane(HERE[:2])
    with pytest.raises(ExplainerError, match="on one line"):
        fit_plane(np.outer(np.arange(5.0), [1, 2, 3]))
    with pytest.raises(ExplainerError, match="do not all coincide"):
        jensen_shannon(np.ones((5, 2)), np.ones((5, 2)))


@pytest.mark.parametrize("spread", [0, 1e-9])
def test_a_generator_that_draws_one_image_for_all_is_far_from_the_real_ones(spread):
    real = PLANE.project(HERE)
    one = real.mean(axis=0) + spread * RNG.normal(size=(50, 2))
    assert jensen_shannon(one, real) > 0.9
    assert jensen_shannon(one, one + np.ptp(real, axis=0)) == pytest.approx(1)
