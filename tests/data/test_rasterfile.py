import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from data.case import InvalidCase
from data.raster import read_image
from data.rasterfile import kind_of, read_samples


@pytest.fixture
def deep() -> np.ndarray:
    return np.linspace(0, 65535, 40 * 36).astype(np.uint16).reshape(40, 36)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("deep_file", [False, True])
def test_grey_files_are_read_as_stored(
    tmp_path: Path, ramp: np.ndarray, deep: np.ndarray, suffix: str, deep_file: bool
) -> None:
    stored = deep if deep_file else ramp
    Image.fromarray(stored).save(tmp_path / f"a.{suffix}")
    samples = read_samples(tmp_path / f"a.{suffix}")
    assert samples.dtype == stored.dtype
    np.testing.assert_array_equal(samples, stored)


def test_a_jpeg_is_decoded_once(tmp_path: Path, ramp: np.ndarray) -> None:
    Image.fromarray(ramp).save(tmp_path / "a.jpg", quality=100)
    with Image.open(tmp_path / "a.jpg") as picture:
        np.testing.assert_array_equal(read_samples(tmp_path / "a.jpg"), np.asarray(picture))


def test_the_content_decides_not_the_suffix(tmp_path: Path, ramp: np.ndarray) -> None:
    Image.fromarray(ramp).save(tmp_path / "a.jpg", format="PNG")
    assert kind_of(tmp_path / "a.jpg") == "png"
    np.testing.assert_array_equal(read_samples(tmp_path / "a.jpg"), ramp)


def test_a_one_bit_image_spans_the_grey_scale(tmp_path: Path, ramp: np.ndarray) -> None:
    Image.fromarray(ramp > 99).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), (ramp > 99).astype(np.float32))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_colour_files_with_equal_channels_become_grey(
    tmp_path: Path, ramp: np.ndarray, mode: str
) -> None:
    Image.fromarray(ramp).convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_samples(tmp_path / "a.png"), ramp)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_colour_image_is_refused(tmp_path: Path, ramp: np.ndarray, suffix: str) -> None:
    colour = np.stack([ramp, ramp, ramp.T.reshape(ramp.shape)], axis=-1)
    Image.fromarray(colour).save(tmp_path / f"a.{suffix}")
    with pytest.raises(InvalidCase, match=rf"'a.{suffix}' is a colour image"):
        read_samples(tmp_path / f"a.{suffix}")


def test_a_transparent_image_is_refused(tmp_path: Path, ramp: np.ndarray) -> None:
    Image.fromarray(np.stack([ramp, 255 - ramp], axis=-1), mode=None).save(tmp_path / "a.png")
    with pytest.raises(InvalidCase, match="transparent"):
        read_samples(tmp_path / "a.png")


def test_a_16_bit_colour_png_is_refused_rather_than_cut_to_8_bits(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", 40, 40, 16, 2, 0, 0, 0)
    lines = b"".join(b"\0" + b"\x12\x34" * 120 for _ in range(40))
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(InvalidCase, match="16-bit PNG with colour"):
        read_samples(tmp_path / "a.png")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_stored_orientation_is_applied_the_same_way_by_jpeg_and_tiff(
    tmp_path: Path, ramp: np.ndarray, orientation: int
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(ramp).save(tmp_path / "a.png", exif=exif)
    tags = [(274, "H", 1, orientation, False)]
    tifffile.imwrite(tmp_path / "a.tif", ramp, photometric="minisblack", extratags=tags)
    upright = read_samples(tmp_path / "a.png")
    np.testing.assert_array_equal(read_samples(tmp_path / "a.tif"), upright)
    corners = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0)}
    if orientation in corners:  # where the first stored pixel belongs
        assert upright[corners[orientation]] == ramp[0, 0]
    assert upright.shape == (ramp.shape if orientation < 5 else ramp.T.shape)


def test_a_white_is_zero_tiff_is_inverted(tmp_path: Path, deep: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="miniswhite")
    np.testing.assert_array_equal(read_samples(tmp_path / "a.tif"), 65535 - deep)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("deep_file", [False, True])
def test_an_lzw_tiff_is_read(
    tmp_path: Path, ramp: np.ndarray, deep: np.ndarray, inverted: bool, deep_file: bool
) -> None:
    stored = deep if deep_file else ramp
    info = {262: 0} if inverted else {}
    Image.fromarray(stored).save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo=info)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        really_inverted = tiff.pages.first.photometric.name == "MINISWHITE"
        assert tiff.pages.first.compression.name == "LZW"
    assert really_inverted == inverted
    # Pillow writes 8-bit white-is-zero files with the samples already inverted, 16-bit ones not.
    expected = 65535 - stored if inverted and deep_file else stored
    np.testing.assert_array_equal(read_samples(tmp_path / "a.tif"), expected)


def test_a_float_tiff_in_the_unit_interval_is_read(tmp_path: Path, ramp: np.ndarray) -> None:
    values = (ramp / 255).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((40, 40), 700.0, np.float32), r"floats from 700 to 700; expected \[0, 1\]"),
        (np.where(np.eye(40) > 0, np.nan, 0.5).astype(np.float32), "40 NaN or infinite"),
        (np.zeros((40, 40), np.int32), "int32"),
        (np.zeros((3, 40, 40), np.uint8), "3 pages"),
    ],
)
def test_other_tiffs_are_refused(tmp_path: Path, values: np.ndarray, message: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    with pytest.raises(InvalidCase, match=message):
        read_samples(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("kept", [30, 0.3, 0.8])
def test_a_cut_off_file_is_one_clear_sentence(
    tmp_path: Path, ramp: np.ndarray, suffix: str, kept: float
) -> None:
    Image.fromarray(np.tile(ramp, (3, 3))).save(
        tmp_path / "whole", format={"jpg": "JPEG"}.get(suffix, suffix.replace("tif", "TIFF"))
    )
    content = (tmp_path / "whole").read_bytes()
    (tmp_path / f"a.{suffix}").write_bytes(
        content[: int(kept if kept > 1 else kept * len(content))]
    )
    with pytest.raises(InvalidCase, match="damaged or cut off"):
        read_samples(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("content", [b"", b"hello", b"GIF89a" + b"\0" * 200])
def test_files_of_another_kind_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InvalidCase, match=r"'a\.png' is not a PNG, JPEG, TIFF"):
        read_samples(tmp_path / "a.png")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidCase, match=r"'a.png' does not exist"):
        read_samples(tmp_path / "a.png")
    with pytest.raises(InvalidCase, match="cannot be opened: Is a directory"):
        read_samples(tmp_path)
