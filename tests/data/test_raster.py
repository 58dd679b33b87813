from pathlib import Path

import numpy as np
import pytest

from data.case import DataError, InvalidCase
from data.raster import (
    quantise,
    read_image,
    read_mask,
    resize,
    resize_mask,
    square,
    to_unit,
    write_png,
)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(3).random((48, 40)).astype(np.float32)


@pytest.mark.parametrize("size", [(24, 20), (7, 11), (47, 39), (1, 1), (16, 13)])
def test_shrinking_preserves_the_mean(image: np.ndarray, size: tuple[int, int]) -> None:
    assert resize(image, size).mean() == pytest.approx(image.mean(), abs=1e-6)


def test_an_integer_factor_is_the_box_filter(image: np.ndarray) -> None:
    boxes = image.reshape(12, 4, 20, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(resize(image, (12, 20)), boxes, atol=1e-7)


def test_a_fractional_factor_weights_pixels_by_their_overlap() -> None:
    row = np.array([[3.0, 6.0, 9.0]], dtype=np.float32)  # 3 pixels to 2: each covers 1.5
    np.testing.assert_allclose(resize(row, (1, 2)), [[(3 + 0.5 * 6) / 1.5, (0.5 * 6 + 9) / 1.5]])


def test_growing_interpolates_between_pixel_centres() -> None:
    row = np.array([[0.0, 1.0]], dtype=np.float32)
    np.testing.assert_allclose(resize(row, (1, 4)), [[0, 0.25, 0.75, 1]])


def test_growing_a_linear_ramp_stays_linear_inside() -> None:
    ramp = np.arange(8, dtype=np.float32)[None]
    grown = resize(ramp, (1, 24))[0]
    np.testing.assert_allclose(np.diff(grown[2:-2]), 1 / 3, atol=1e-6)


def test_the_same_size_is_the_identity_and_a_copy(image: np.ndarray) -> None:
    same = resize(image, image.shape)
    np.testing.assert_array_equal(same, image)
    assert not np.shares_memory(same, image)


@pytest.mark.parametrize("size", [(5, 9), (96, 80), (13, 100), (48, 40)])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0, -2.5])
def test_a_constant_stays_constant(size: tuple[int, int], value: float) -> None:
    out = resize(np.full((48, 40), value, dtype=np.float32), size)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, np.float32(value), rtol=1e-6)


def test_resampling_commutes_with_a_flip(image: np.ndarray) -> None:
    np.testing.assert_allclose(
        resize(image[::-1, ::-1], (17, 90)), resize(image, (17, 90))[::-1, ::-1], atol=1e-6
    )


def test_resampling_never_leaves_the_range_of_the_image(image: np.ndarray) -> None:
    for size in [(11, 7), (100, 77), (31, 90)]:
        out = resize((image > 0.5).astype(np.float32), size)
        assert out.min() >= 0 and out.max() <= 1


def test_frames_are_resampled_one_by_one(image: np.ndarray) -> None:
    frames = np.stack([image, 1 - image])
    out = resize(frames, (13, 60))
    assert out.shape == (2, 13, 60)
    np.testing.assert_array_equal(out[1], resize(frames[1], (13, 60)))


@pytest.mark.parametrize("size", [(0, 4), (4, -1)])
def test_a_size_below_one_pixel_is_refused(image: np.ndarray, size: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="at least one pixel"):
        resize(image, size)


def test_a_mask_shrinks_by_majority_and_grows_by_the_nearest_pixel() -> None:
    mask = np.array([[1, 1, 0, 0], [1, 0, 0, 0]], dtype=bool)
    np.testing.assert_array_equal(resize_mask(mask, (1, 2)), [[True, False]])
    np.testing.assert_array_equal(resize_mask(mask, (4, 8)), mask.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(resize_mask(resize_mask(mask, (10, 12)), (2, 4)), mask)


def test_a_half_covered_pixel_counts_as_inside() -> None:
    assert resize_mask(np.array([[True, False]]), (1, 1)).all()


def test_square_squashes_crops_or_pads() -> None:
    wide = np.zeros((10, 20), dtype=np.float32)
    wide[:, 5:15] = 1
    assert square(wide, 10).mean() == pytest.approx(0.5)
    assert square(wide, 10, "crop").mean() == pytest.approx(1)
    padded = square(wide, 20, "pad")
    assert padded.mean() == pytest.approx(0.25)
    assert padded[:5].max() == 0 and padded[5, 10] == 1


@pytest.mark.parametrize(("bits", "top"), [(8, 255), (16, 65535)])
def test_a_png_returns_what_was_written(
    tmp_path: Path, image: np.ndarray, bits: int, top: int
) -> None:
    write_png(tmp_path / "a.png", image, bits)
    back = read_image(tmp_path / "a.png")
    assert back.dtype == np.float32
    assert np.abs(back - image).max() <= 0.5 / top + 1e-6


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_integers_survive_a_png_unchanged(tmp_path: Path, kind: type) -> None:
    values = np.linspace(0, np.iinfo(kind).max, 35 * 40).astype(kind).reshape(35, 40)
    write_png(tmp_path / "a.png", values)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), to_unit(values))
    depth = 8 if kind is np.uint8 else 16
    np.testing.assert_array_equal(quantise(read_image(tmp_path / "a.png"), depth), values)


def test_a_mask_survives_a_png(tmp_path: Path, image: np.ndarray) -> None:
    write_png(tmp_path / "m.png", image > 0.4)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), image > 0.4)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((4, 4), np.nan), "NaN"),
        (np.full((4, 4), 1.5), "1.5"),
        (np.zeros((4, 4, 3)), "shape"),
        (np.zeros((4, 4), dtype=np.int64), "int64"),
    ],
)
def test_what_is_no_grey_image_is_not_written(
    tmp_path: Path, image: np.ndarray, message: str
) -> None:
    with pytest.raises(InvalidCase, match=message):
        write_png(tmp_path / "a.png", image)
    assert not list(tmp_path.iterdir())
