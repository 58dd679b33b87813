"""Overlays: scaling, colours, transparency, legend."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.base import ExplainerError
from explainers.overlay import blend, colour_bar, legend, overlay_rgba, relative_scale

RAMP = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)


def test_scaling_divides_by_the_percentile_of_magnitudes_and_clips():
    values = np.arange(1, 101, dtype=np.float32).reshape(10, 10)
    scaled = relative_scale(values, clip_percentile=50)
    np.testing.assert_allclose(scaled, np.minimum(1, values / 50.5), rtol=1e-6)


def test_scaling_ignores_the_unit_of_a_map():
    np.testing.assert_allclose(relative_scale(RAMP * 1e-9), relative_scale(RAMP), rtol=1e-5)


def test_both_signs_share_one_scale():
    scaled = relative_scale(np.array([[-1.0, 0.0, 4.0]]), signed=True, clip_percentile=100)
    np.testing.assert_allclose(scaled, [[-0.25, 0, 1]])


def test_a_sparse_map_is_scaled_by_its_largest_value():
    values = np.zeros((100, 100))
    values[3, 4] = -2.0
    assert relative_scale(values)[3, 4] == 1
    assert relative_scale(values).sum() == 1


def test_a_map_of_zeros_is_transparent():
    assert not overlay_rgba(np.zeros((4, 4)))[..., 3].any()
    assert not overlay_rgba(np.zeros((4, 4)), colormap="PuOr")[..., 3].any()


def test_opacity_grows_with_magnitude_up_to_its_limit():
    picture = overlay_rgba(np.abs(RAMP), smoothing_px=0, alpha=0.5)
    assert picture.dtype == np.uint8
    opacity = picture[..., 3].ravel()[32:].astype(int)
    assert (np.diff(opacity) >= 0).all()
    assert opacity[-1] == 128


def test_added_is_purple_and_removed_is_orange():
    red, green, blue, _ = overlay_rgba(RAMP, colormap="PuOr", smoothing_px=0)[-1, -1]
    assert blue > red > green
    red, green, blue, _ = overlay_rgba(RAMP, colormap="PuOr", smoothing_px=0)[0, 0]
    assert red > green > blue


def test_magnitudes_do_not_depend_on_the_sign():
    np.testing.assert_array_equal(overlay_rgba(RAMP), overlay_rgba(-RAMP))


def test_smoothing_is_a_gaussian_of_the_magnitudes_and_can_be_left_out():
    point = np.zeros((9, 9))
    point[4, 4] = -1
    assert (overlay_rgba(point, smoothing_px=0)[..., 3] > 0).sum() == 1
    spread = overlay_rgba(point, smoothing_px=1, clip_percentile=100)[..., 3].astype(int)
    assert spread[4, 5] == spread[5, 4] > spread[5, 5] > spread[4, 6] > 0
    checkerboard = np.indices((8, 8)).sum(axis=0) % 2 * 2.0 - 1
    assert overlay_rgba(checkerboard)[..., 3].min() > 200  # signs do not cancel


def test_an_overlay_is_drawn_at_the_size_of_the_film():
    assert overlay_rgba(RAMP, size=(32, 16)).shape == (32, 16, 4)


def test_blending_keeps_the_film_where_the_overlay_is_transparent():
    film = np.linspace(0, 1, 64).reshape(8, 8)
    clear, solid = np.zeros((8, 8, 4), np.uint8), np.full((8, 8, 4), 255, np.uint8)
    np.testing.assert_array_equal(blend(film, clear)[..., 0], np.rint(film * 255).astype(np.uint8))
    assert (blend(film, solid) == 255).all()
    with pytest.raises(ExplainerError, match="does not fit"):
        blend(film, np.zeros((4, 4, 4), np.uint8))


@pytest.mark.parametrize("colormap", ["inferno", "PuOr"])
def test_the_legend_shows_the_colours_of_the_overlay(colormap):
    low = -1 if colormap == "PuOr" else 0
    values = np.linspace(low, 1, 256)[None].repeat(2, axis=0)
    drawn = overlay_rgba(values, colormap=colormap, smoothing_px=0, clip_percentile=100)
    shown = legend(colormap)
    assert np.abs(drawn[0].astype(int) - shown.colours).max() <= 2
    assert len(shown.positions) == len(shown.labels)
    bar = colour_bar(colormap, height=40, width=5)
    assert bar.shape == (40, 5, 4)
    np.testing.assert_array_equal(bar[0, 0], shown.colours[-1])


def test_the_legend_of_a_signed_map_says_what_its_signs_mean():
    assert legend("PuOr").labels == ("removed", "unchanged", "added")
    evidence = legend("PuOr", meaning="evidence")
    assert evidence.labels == ("against the finding", "neither", "for the finding")
    np.testing.assert_array_equal(evidence.colours, legend("PuOr").colours)
    with pytest.raises(ExplainerError, match="'change' or 'evidence'; 'sign'"):
        legend("PuOr", meaning="sign")


@pytest.mark.parametrize("colormap", ["inferno", "PuOr"])
def test_the_legend_grows_steadily_in_lightness_over_black_film(colormap):
    """Ordered also without colour vision: on black, stronger is lighter on either side."""
    colours = legend(colormap).colours.astype(float)
    lightness = (colours[:, :3] @ [0.2126, 0.7152, 0.0722]) * colours[:, 3] / 255
    strength = lightness if colormap == "inferno" else lightness[128:]
    assert (np.diff(strength) >= -1.5).all()
    assert strength[-1] > strength[0] + 50


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"colormap": "jet"}, "'inferno' or 'PuOr'; 'jet'"),
        ({"smoothing_px": -1}, "smoothing_px is -1"),
        ({"alpha": 1.5}, "alpha 1.5"),
        ({"clip_percentile": 0}, "clip_percentile is 0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, said):
    with pytest.raises(ExplainerError, match=said):
        overlay_rgba(RAMP, **arguments)


@pytest.mark.parametrize("values", [np.full((4, 4), np.nan), np.zeros((2, 4, 4))])
def test_a_map_that_cannot_be_drawn_is_refused(values):
    with pytest.raises(ExplainerError, match="cannot be drawn"):
        overlay_rgba(values)


def test_two_scales_bring_the_strongest_of_each_side_to_one() -> None:
    values = np.array([[4.0, 2.0, 0.0], [-0.1, -0.05, 0.0]], np.float32)
    one = relative_scale(values, signed=True, clip_percentile=100)
    two = relative_scale(values, signed=True, clip_percentile=100, separate=True)
    np.testing.assert_allclose(one, [[1, 0.5, 0], [-0.025, -0.0125, 0]], atol=1e-6)
    np.testing.assert_allclose(two, [[1, 0.5, 0], [-1, -0.5, 0]], atol=1e-6)
    drawn = overlay_rgba(values, colormap="PuOr", smoothing_px=0, separate=True)
    assert drawn[0, 0, 3] == drawn[1, 0, 3] > 0


def test_two_scales_of_a_map_without_signs_are_refused() -> None:
    with pytest.raises(ExplainerError, match="keep their signs"):
        overlay_rgba(np.ones((4, 4), np.float32), separate=True)


def test_a_side_without_values_stays_empty_with_two_scales() -> None:
    values = np.array([[0.0, 1.0]], np.float32)
    assert relative_scale(values, signed=True, separate=True).min() == 0
