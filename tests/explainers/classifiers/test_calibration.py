"""Probability 0.5 is the operating point, and calibration keeps ranks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from explainers.base import ExplainerError
from explainers.classifiers.calibration import (
    Calibration,
    fit_calibration,
    platt_slope,
    youden_threshold,
)


def test_the_operating_point_separates_two_separable_classes_in_the_middle() -> None:
    logits = np.array([-3.0, -1.0, 2.0, 5.0])
    assert youden_threshold(logits, np.array([0, 0, 1, 1])) == pytest.approx(0.5)


def test_the_operating_point_is_the_best_of_all_cuts() -> None:
    generator = np.random.default_rng(3)
    labels = generator.random(200) < 0.3
    logits = generator.normal(size=200) + 1.3 * labels

    def youden(threshold: float) -> float:
        called = logits > threshold
        return called[labels].mean() + (~called[~labels]).mean() - 1

    best = max(youden(threshold) for threshold in np.sort(logits)[:-1])
    assert youden(youden_threshold(logits, labels)) == pytest.approx(best)


def test_the_fitted_calibration_maps_the_operating_point_to_one_half() -> None:
    generator = np.random.default_rng(0)
    labels = (generator.random((400, 2)) < [0.2, 0.5]).astype(float)
    logits = generator.normal(size=(400, 2)) + [1.0, 3.0] * labels - [2.0, 0.0]
    calibration = fit_calibration(logits, labels, ("Mass", "Effusion"))
    thresholds = [youden_threshold(logits[:, f], labels[:, f]) for f in range(2)]
    assert calibration.probabilities(np.array([thresholds])) == pytest.approx(0.5)


def test_calibration_is_strictly_rising_and_smooth_at_one_half() -> None:
    calibration = Calibration((0.7,), (-1.4,))
    logits = np.linspace(-3, 7, 2001)[:, None]
    probabilities = calibration.probabilities(logits)[:, 0]
    slopes = np.diff(probabilities)
    assert (slopes > 0).all()
    assert np.abs(np.diff(slopes)).max() < 1e-4 * 2


def test_platt_scaling_recovers_the_slope_that_made_the_labels() -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(size=40_000) * 2
    labels = generator.random(40_000) < expit(0.6 * logits - 1)
    assert platt_slope(logits, labels) == pytest.approx(0.6, rel=0.04)


def test_unknown_labels_are_left_out() -> None:
    logits = np.array([[-1.0], [1.0], [50.0]])
    labels = np.array([[0.0], [1.0], [np.nan]])
    calibration = fit_calibration(logits, labels, ("Mass",))
    assert calibration.probabilities(np.array([[0.0]])) == pytest.approx(0.5)


def test_a_finding_with_one_class_cannot_be_calibrated() -> None:
    with pytest.raises(ExplainerError, match=r"Mass cannot be calibrated.*negative"):
        fit_calibration(np.zeros((4, 1)), np.zeros((4, 1)), ("Mass",))


@pytest.mark.parametrize("slope", [0.0, -1.0, float("nan"), float("inf")])
def test_a_slope_that_would_turn_ranks_is_refused(slope: float) -> None:
    with pytest.raises(ExplainerError, match="above 0"):
        Calibration((slope,), (0.0,))
