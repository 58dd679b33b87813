"""Records of explanations: closed forms of the four maps, and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from explainers.base import ExplainerError
from explainers.record import MAP_KINDS, Attribution, Counterfactual, Goal, Provenance


def film(rows, origin=1, **changes):
    frames = np.asarray(rows, np.float32).reshape(len(rows), 1, -1)
    fields = {
        "frames": frames,
        "steps": np.arange(len(frames), dtype=float) - origin,
        "origin": origin,
        "probabilities": np.linspace(0.2, 0.8, len(frames)),
        "finding": "Mass",
        "reached_low": True,
        "reached_high": True,
        "probability_image": 0.6,
    }
    return Counterfactual(**{**fields, **changes})


THREE = film([[0.1, 0.5, 0.9], [0.3, 0.5, 0.5], [0.4, 0.5, 0.2]])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("max", [0.2, 0, 0.4]),
        ("mean", [0.1, 0, 0.7 / 3]),
        ("minmax", [0.3, 0, 0.7]),
        ("interval", [0.15, 0, 0.35]),
    ],
)
def test_each_map_of_a_film_has_its_closed_form(kind, expected):
    result = THREE.to_attribution(kind)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [expected], atol=1e-6)


def test_the_max_map_looks_at_every_frame_and_not_only_at_the_first():
    there_and_back = film([[0.5], [0.9], [0.5], [0.5]], origin=2)
    assert there_and_back.to_attribution("max")[0, 0] == pytest.approx(0.4)


def test_max_is_the_default_and_no_map_is_negative():
    np.testing.assert_array_equal(THREE.to_attribution(), THREE.to_attribution("max"))
    assert all((THREE.to_attribution(kind) >= 0).all() for kind in MAP_KINDS)


def test_an_unknown_map_is_refused_with_the_known_ones():
    with pytest.raises(ExplainerError, match="max, mean, minmax, interval; 'median'"):
        THREE.to_attribution("median")


def test_the_difference_is_positive_where_the_finding_is_brighter():
    np.testing.assert_allclose(THREE.difference, [[0.3, 0, -0.7]], atol=1e-6)


def test_the_reconstruction_is_the_frame_of_step_zero():
    np.testing.assert_array_equal(THREE.reconstruction, THREE.frames[1])
    assert THREE.probability_reconstruction == pytest.approx(0.5)


def test_a_film_has_reached_its_goal_only_if_both_ends_have():
    assert THREE.reached
    assert not replace(THREE, reached_high=False).reached
    assert not replace(THREE, reached_low=False).reached


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": np.array([-1.0, 0.0, 0.0])}, "do not increase"),
        ({"steps": np.array([-1.0, 0.5, 1.0])}, "step of the origin"),
        ({"steps": np.zeros(2)}, "steps of shape"),
        ({"origin": 3}, "frame 3 of 3"),
        ({"frames": np.full((3, 2, 2), 1.5, np.float32)}, "from 1.5 to 1.5"),
        ({"frames": np.full((3, 2, 2), np.nan, np.float32)}, "NaN"),
        ({"frames": np.zeros((3, 4), np.float32)}, "frames have shape"),
    ],
)
def test_a_film_that_contradicts_itself_is_refused(changes, said):
    with pytest.raises(ExplainerError, match=said):
        film([[0.1], [0.2], [0.3]], **changes)


def test_an_attribution_with_nan_is_refused():
    with pytest.raises(ExplainerError, match="1 values that are NaN"):
        Attribution(np.array([[0, np.nan]], np.float32), "Mass", 0.0, 0.5)


def test_a_goal_without_finding_or_direction_is_refused():
    with pytest.raises(ExplainerError, match="empty name"):
        Goal("")
    with pytest.raises(ExplainerError, match="'up' or 'down'"):
        Goal("Mass", direction="left")


def test_the_digest_covers_what_decides_the_picture_and_nothing_else():
    one = Provenance("c1", "Mass", "m", "M()", None, {"classifier": "a"}, "s", 1.0, "t", "0.1")
    same = replace(one, seconds=9.0, created="later", version="0.2")
    others = [
        replace(one, case_id="c2"),
        replace(one, finding="Effusion"),
        replace(one, method="n"),
        replace(one, parameters="M(x=1)"),
        replace(one, seed=1),
        replace(one, weights_digest={"classifier": "b"}),
        replace(one, image_sha256="z"),
    ]
    assert one.digest == same.digest
    assert len({one.digest, *(each.digest for each in others)}) == 1 + len(others)
