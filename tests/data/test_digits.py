"""The IDX loader on files made here, and on MNIST where it lies beside the repository."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from data.case import DataError
from data.digits import read_digits, read_idx

MNIST = Path(__file__).parents[3] / "shared" / "packs" / "mnist"


def idx(values: np.ndarray, kind: int = 8) -> bytes:
    header = bytes([0, 0, kind, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.array([9, 4, 9])))
    return tmp_path


def test_packed_and_unpacked_files_are_read_with_the_last_axis_fastest(folder: Path) -> None:
    digits = read_digits(folder, "test")
    assert digits.images.shape == (3, 4, 5) and digits.images[1, 0, 1] == 21
    assert digits.labels.tolist() == [9, 4, 9]
    assert digits.of(9).images[1, 0, 0] == 40


def test_more_digits_than_there_are_is_said(folder: Path) -> None:
    with pytest.raises(DataError, match="5 images of the digit 9 were asked for; there are 2"):
        read_digits(folder, "test").of(9, 5)


def test_a_missing_file_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match="no train-images-idx3-ubyte or"):
        read_digits(folder, "train")


DAMAGED = {
    "empty": (b"", "nothing"),
    "another kind": (b"PNG!", "no IDX file"),
    "doubles": (idx(np.arange(4), kind=13), "type 13"),
    "cut in its header": (bytes([0, 0, 8, 3, 0, 0]), "inside its header"),
    "cut in its values": (idx(np.arange(9))[:-1], "holds 8 values, its header states 9"),
    "too long": (idx(np.arange(9)) + b"x", "holds 10 values, its header states 9"),
    "cut while packed": (gzip.compress(idx(np.arange(9)), mtime=0)[:-9], "cannot be read"),
    "falsely packed": (b"\x1f\x8bnonsense that is no gzip", "cannot be read"),
}


@pytest.mark.parametrize(("content", "problem"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError, match=problem):
        read_idx(path)


def test_labels_that_do_not_belong_to_the_images_are_refused(folder: Path) -> None:
    labels = folder / "t10k-labels-idx1-ubyte"
    labels.write_bytes(idx(np.array([9, 4])))
    with pytest.raises(DataError, match="do not belong together"):
        read_digits(folder, "test")
    labels.write_bytes(idx(np.array([9, 4, 10])))
    with pytest.raises(DataError, match="the label 10"):
        read_digits(folder, "test")


def test_images_of_another_shape_are_refused(folder: Path) -> None:
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(idx(np.zeros((3, 20))))
    with pytest.raises(DataError, match="expected images of shape"):
        read_digits(folder, "test")


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST does not lie beside the repository")
def test_mnist_has_its_published_counts() -> None:
    digits = read_digits(MNIST, "test")
    assert digits.images.shape == (10_000, 28, 28)
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(digits.labels).tolist() == counts
