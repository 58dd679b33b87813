"""Links and the log-probability of a rating."""

from __future__ import annotations

import numpy as np
import pytest

from study.analysis.estimate import AnalysisError
from study.analysis.ordinal.links import (
    LinkName,
    check_link,
    density,
    distribution,
    interval,
    log_difference,
    quantile,
)

LINKS: tuple[LinkName, ...] = ("logit", "probit", "cloglog")


@pytest.mark.parametrize("link", LINKS)
def test_the_quantile_inverts_the_distribution(link: LinkName) -> None:
    p = np.linspace(0.01, 0.99, 25)
    assert np.allclose(distribution(link, quantile(link, p)), p, atol=1e-12)


@pytest.mark.parametrize("link", LINKS)
def test_densities_are_the_derivatives_of_the_distribution(link: LinkName) -> None:
    x, h = np.linspace(-3, 1.5, 19), 1e-5
    at, up, down = density(link, x), density(link, x + h), density(link, x - h)
    slope = (distribution(link, x + h) - distribution(link, x - h)) / (2 * h)
    assert np.allclose(at.f, slope, atol=1e-8)
    assert np.allclose(at.f1, (up.f - down.f) / (2 * h), atol=1e-8)
    assert np.allclose(at.f2, (up.f1 - down.f1) / (2 * h), atol=1e-8)


@pytest.mark.parametrize("link", LINKS)
def test_ends_of_the_scale_have_no_density_and_the_whole_probability(link: LinkName) -> None:
    ends = np.array([-np.inf, np.inf])
    assert np.array_equal(distribution(link, ends), [0.0, 1.0])
    assert np.array_equal(density(link, ends).f, [0.0, 0.0])
    assert log_difference(link, np.array([np.inf]), np.array([-np.inf]))[0] == 0.0


def test_the_log_probability_survives_far_tails_without_cancellation() -> None:
    # logit: F(a) - F(b) for large a, b is e^-b - e^-a; the plain difference is 0.
    for a, b in ((60.0, 59.0), (-59.0, -60.0)):
        exact = -59.0 + np.log1p(-np.exp(-1.0))
        assert log_difference("logit", np.array([a]), np.array([b]))[0] == pytest.approx(exact)
    far = log_difference("probit", np.array([12.0]), np.array([11.0]))[0]
    mirrored = log_difference("probit", np.array([-11.0]), np.array([-12.0]))[0]
    assert far == mirrored
    assert far < -60


@pytest.mark.parametrize("link", LINKS)
def test_the_interval_divides_densities_by_the_probability(link: LinkName) -> None:
    upper, lower = np.array([0.4, np.inf]), np.array([-0.7, 0.2])
    p = distribution(link, upper) - distribution(link, lower)
    at = interval(link, upper, lower)
    assert np.allclose(np.exp(at.log_p), p)
    assert np.allclose(at.upper.f * p, density(link, upper).f)
    assert np.allclose(at.lower.f * p, density(link, lower).f)


def test_an_unknown_link_is_refused() -> None:
    with pytest.raises(AnalysisError, match="no link 'cauchit'"):
        check_link("cauchit")
