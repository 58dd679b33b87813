"""The simulated log-BNP: what drives it, its noise, and the population it makes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from data.phantom.parameters import sample_parameters, without
from data.phantom.severity import (
    EFFUSION_WEIGHT,
    NOISE_SD,
    SLOPE,
    heart_failure_severity,
    simulate_heart_failure,
    target_of,
)


def test_the_threshold_and_the_cutoff_are_those_of_the_paper() -> None:
    assert target_of(100) == pytest.approx(0.4605, abs=5e-5)
    assert target_of(10) == pytest.approx(0.2303, abs=5e-5)


@pytest.mark.parametrize("bnp", [0.0, -1.0, math.nan])
def test_a_bnp_of_nothing_is_refused(bnp: float) -> None:
    with pytest.raises(ValueError, match="above 0 ng/L"):
        target_of(bnp)


@pytest.mark.parametrize("field", ["heart_ratio_healthy", "congestion", "effusion_severity"])
def test_severity_rises_with_everything_that_drives_it(field: str) -> None:
    film = replace(sample_parameters(1, 1), cardiomegaly_severity=0.0, **{field: 0.45})
    assert heart_failure_severity(replace(film, **{field: 0.55})) > heart_failure_severity(film)


def test_a_small_heart_without_congestion_or_effusion_has_severity_zero() -> None:
    film = replace(
        sample_parameters(1, 1),
        cardiomegaly_severity=0.0,
        heart_ratio_healthy=0.38,
        congestion=0.0,
        effusion_severity=0.0,
    )
    assert heart_failure_severity(film) == 0.0


def test_a_film_and_its_counterfactual_share_the_noise() -> None:
    film = replace(sample_parameters(2, 3), effusion_severity=0.6)
    shown, gone = simulate_heart_failure(film), simulate_heart_failure(without(film, "Effusion"))
    assert shown.log_bnp - gone.log_bnp == pytest.approx(SLOPE * EFFUSION_WEIGHT * 0.6)
    assert simulate_heart_failure(replace(film, film_seed=1)).log_bnp != shown.log_bnp


def test_the_population_is_plausible_and_the_best_attainable_area_is_as_stated() -> None:
    said = [simulate_heart_failure(sample_parameters(9, index)) for index in range(400)]
    severity = np.array([each.severity for each in said])
    logs = np.array([each.log_bnp for each in said])
    positive = np.array([each.is_positive for each in said])
    pairs = severity[positive][:, None] - severity[~positive][None]
    assert np.mean((pairs > 0) + 0.5 * (pairs == 0)) == pytest.approx(0.91, abs=0.04)
    assert 0.3 < positive.mean() < 0.45
    assert 45 < np.exp(np.median(logs)) < 90
    residual = logs - logs.mean() - SLOPE * (severity - severity.mean())
    assert residual.std() == pytest.approx(NOISE_SD, rel=0.12)
    assert said[0].bnp_ng_l == pytest.approx(math.exp(10 * said[0].target))
