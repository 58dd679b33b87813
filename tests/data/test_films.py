from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from data.case import InvalidCase
from data.films import open_film, open_mask
from data.raster import write_png


def test_films_keep_their_depth(
    tmp_path: Path, ramp: np.ndarray, write_dicom: Callable[..., Path]
) -> None:
    deep = ramp.astype(np.uint16) * 257
    write_png(tmp_path / "deep.png", deep)
    tifffile.imwrite(tmp_path / "float.tif", (ramp / 255).astype(np.float32))
    np.testing.assert_array_equal(open_film(tmp_path / "deep.png").samples, deep)
    np.testing.assert_array_equal(open_film(tmp_path / "float.tif").samples, deep)
    film = open_film(write_dicom(tmp_path / "a.dcm", ramp, PixelSpacing=[0.1, 0.1]))
    assert film.samples.dtype == np.uint8 and film.pixel_spacing_mm == (0.1, 0.1)
    np.testing.assert_array_equal(film.samples, ramp)


@pytest.mark.parametrize("shape", [(31, 40), (40, 8), (32, 10_001)])
def test_a_film_of_unusable_size_is_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    write_png(tmp_path / "a.png", np.indices(shape).sum(0).astype(np.uint8))
    with pytest.raises(InvalidCase, match=rf"{shape[0]} × {shape[1]} pixels; expected 32 to 10000"):
        open_film(tmp_path / "a.png")


def test_a_blank_film_is_refused_and_a_dim_one_noted(tmp_path: Path, ramp: np.ndarray) -> None:
    write_png(tmp_path / "a.png", np.full((40, 40), 7, np.uint8))
    with pytest.raises(InvalidCase, match="is blank: every pixel is 7"):
        open_film(tmp_path / "a.png")
    write_png(tmp_path / "b.png", ramp.astype(np.uint16) * 16)  # 12 bits in a 16-bit file
    assert "only 6% of the grey scale" in open_film(tmp_path / "b.png").notes[0]


@pytest.mark.parametrize("inside", [1, 7, 255])
def test_a_mask_of_two_values_is_read_whatever_its_upper_value(
    tmp_path: Path, ramp: np.ndarray, inside: int
) -> None:
    write_png(tmp_path / "m.png", (ramp > 99).astype(np.uint8) * np.uint8(inside))
    np.testing.assert_array_equal(open_mask(tmp_path / "m.png", ramp.shape), ramp > 99)


def test_a_grey_mask_is_cut_at_half(tmp_path: Path, ramp: np.ndarray) -> None:
    Image.fromarray(ramp).save(tmp_path / "m.png")
    np.testing.assert_array_equal(open_mask(tmp_path / "m.png", ramp.shape), ramp > 127)


def test_an_empty_mask_and_a_full_one_are_read(tmp_path: Path) -> None:
    for value in (0, 255):
        write_png(tmp_path / "m.png", np.full((40, 40), value, np.uint8))
        assert open_mask(tmp_path / "m.png", (40, 40)).mean() == value / 255


def test_a_label_map_is_no_mask(tmp_path: Path, ramp: np.ndarray) -> None:
    write_png(tmp_path / "m.png", ramp % 3)
    with pytest.raises(InvalidCase, match="like a label map"):
        open_mask(tmp_path / "m.png", ramp.shape)


def test_a_mask_of_another_size_than_its_film_is_refused(tmp_path: Path, ramp: np.ndarray) -> None:
    write_png(tmp_path / "m.png", ramp > 99)
    with pytest.raises(InvalidCase, match="40 × 36 pixels but its film has 36 × 40"):
        open_mask(tmp_path / "m.png", (36, 40))
