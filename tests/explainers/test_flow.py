"""Optical flow: known movements, and the arrows that show them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from explainers.base import ExplainerError
from explainers.flow import flow_overlay, optical_flow


def texture(side=64):
    noise = gaussian_filter(np.random.default_rng(3).random((side, side)), 2)
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


@pytest.mark.parametrize("movement", [(2, 0), (0, -3), (1.5, 1.0)])
@pytest.mark.parametrize("contrast", [1.0, 0.2])
def test_a_known_translation_is_found(movement, contrast):
    first = texture() * contrast
    last = shift(first, movement, order=3, mode="nearest")
    flow = optical_flow(np.stack([first, (first + last) / 2, last]))
    assert flow.shape == (64, 64, 2)
    inner = flow[12:-12, 12:-12]
    np.testing.assert_allclose(np.median(inner, axis=(0, 1)), movement, atol=0.15)


def test_a_still_film_has_no_flow_and_no_arrows():
    frames = np.repeat(texture()[None], 3, axis=0)
    flow = optical_flow(frames)
    assert not flow.any()
    drawn = flow_overlay(flow, size=(128, 96))
    assert drawn.picture.shape == (128, 96, 4)
    assert not drawn.picture[..., 3].any()
    assert drawn.legend.startswith("No movement")


def test_nothing_is_said_to_move_where_nothing_changes():
    first = texture()
    last = first.copy()
    last[:24, :24] = shift(first, (2, 0), order=3, mode="nearest")[:24, :24]
    flow = optical_flow(np.stack([first, last]))
    assert not flow[40:, 40:].any()


def test_arrows_point_where_the_flow_goes_and_the_legend_says_how_far():
    flow = np.zeros((40, 40, 2), np.float32)
    flow[16:24, 16:24] = (0, 2)  # to the right
    drawn = flow_overlay(flow, n_arrows=5, size=(80, 80))
    opaque = np.argwhere(drawn.picture[..., 3] > 128)
    assert abs(opaque[:, 0].mean() - 40) < 2
    assert opaque[:, 1].min() >= 38
    assert opaque[:, 1].max() > 55
    assert drawn.longest_px == pytest.approx(2)
    assert "the longest is 2.0 pixels" in drawn.legend
    assert f"{drawn.magnification:.0f} times" in drawn.legend


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((1, 16, 16)),
        np.zeros((16, 16)),
        np.zeros((2, 4, 16)),
        np.full((2, 16, 16), np.nan),
    ],
)
def test_frames_without_a_flow_are_refused(frames):
    with pytest.raises(ExplainerError, match=r"a flow needs"):
        optical_flow(frames)


def test_bad_flows_and_parameters_are_refused():
    with pytest.raises(ExplainerError, match=r"expected finite numbers"):
        flow_overlay(np.zeros((16, 16)))
    with pytest.raises(ExplainerError, match="n_arrows is 1"):
        flow_overlay(np.zeros((16, 16, 2)), n_arrows=1)
