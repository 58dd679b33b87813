import numpy as np
import pytest
from pydicom.dataset import Dataset

from data.voi import LookUpTable, apply_table, apply_window, read_table


def lut(descriptor: list[int], data: object) -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "US" if min(descriptor) >= 0 else "SS", descriptor)
    item.add_new(0x00283006, "OW" if isinstance(data, bytes) else "US", data)
    return item


def test_the_linear_window_reproduces_the_example_of_the_standard() -> None:
    # PS3.3 C.11.2.1.2.1, note 3: c = 2048, w = 4096 leaves 12-bit values as they are.
    values = np.arange(4096, dtype=np.float64)
    np.testing.assert_allclose(apply_window(values, 2048, 4096), values / 4095)


def test_the_smallest_linear_windows_are_thresholds() -> None:
    # PS3.3 C.11.2.1.2.1: c = 0, w = 100 maps x <= -50 to the least and x > 49 to the greatest;
    # c = 0, w = 1 maps x <= -0.5 to the least and x > -0.5 to the greatest.
    assert apply_window(np.array([-50.0, 49.0]), 0, 100).tolist() == [0, 1]
    assert apply_window(np.array([-1.0, -0.5, 0.0]), 0, 1).tolist() == [0, 0, 1]


def test_the_exact_linear_window_is_centred_on_its_centre() -> None:
    out = apply_window(np.array([0.0, 5.0, 10.0, 15.0]), 5, 10, "LINEAR_EXACT")
    assert out.tolist() == [0, 0.5, 1, 1]


def test_the_sigmoid_window_is_the_logistic_function() -> None:
    values = np.array([-1e6, 0.0, 5.0, 10.0])
    expected = 1 / (1 + np.exp(-4 * (values[1:] - 5) / 10))
    np.testing.assert_allclose(apply_window(values, 5, 10, "SIGMOID")[1:], expected)
    assert apply_window(values, 5, 10, "SIGMOID")[0] == pytest.approx(0)


def test_a_table_repeats_its_ends() -> None:
    table = LookUpTable(10, np.array([1.0, 5.0, 9.0]), 15.0)
    assert apply_table(np.array([-3.0, 10.0, 11.4, 12.0, 99.0]), table).tolist() == [1, 1, 5, 9, 9]


@pytest.mark.parametrize("data", [[1, 2, 3], b"\x01\x00\x02\x00\x03\x00"])
def test_a_table_is_read_from_numbers_or_words(data: object) -> None:
    table = read_table(lut([3, 7, 12], data), signed=False)
    assert (table.first, table.top, table.entries.tolist()) == (7, 4095, [1, 2, 3])


def test_an_8_bit_table_packed_in_bytes_is_read() -> None:
    assert read_table(lut([4, 0, 8], b"\x00\x05\x09\xff"), signed=False).entries.tolist() == [
        0, 5, 9, 255,
    ]  # fmt: skip


def test_zero_entries_stand_for_65536() -> None:
    table = read_table(lut([0, 0, 16], np.arange(65536, dtype="<u2").tobytes()), signed=False)
    assert len(table.entries) == 65536 and table.entries[-1] == 65535


def test_a_first_value_stored_unsigned_is_read_as_negative_for_signed_pixels() -> None:
    assert read_table(lut([1, 65536 - 2048, 8], [7]), signed=True).first == -2048
    assert read_table(lut([1, 40000, 8], [7]), signed=False).first == 40000


def test_a_table_shorter_than_it_says_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        read_table(lut([4, 0, 8], [1, 2]), signed=False)
