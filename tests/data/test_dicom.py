from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian, JPEGLosslessSV1, RLELossless

from data.case import InvalidCase
from data.dicom import read_dicom

Write = Callable[..., Path]


@pytest.fixture
def deep() -> np.ndarray:
    """A 40 × 36 film with 12-bit values."""
    return (np.arange(40 * 36) * 29 % 4096).reshape(40, 36).astype(np.uint16)


def table(descriptor: list[int], entries: np.ndarray) -> Sequence:
    item = Dataset()
    item.add_new(0x00283002, "US" if min(descriptor) >= 0 else "SS", descriptor)
    item.add_new(0x00283006, "OW", entries.astype("<u2").tobytes())
    return Sequence([item])


def test_plain_8_bit_pixels_are_their_value_over_255(
    tmp_path: Path, ramp: np.ndarray, write_dicom: Write
) -> None:
    film = read_dicom(write_dicom(tmp_path / "a.dcm", ramp))
    assert film.image.dtype == np.float32 and film.bits == 8
    np.testing.assert_allclose(film.image, ramp / 255, atol=1e-7)


def test_monochrome1_is_inverted(tmp_path: Path, deep: np.ndarray, write_dicom: Write) -> None:
    path = write_dicom(tmp_path / "a.dcm", deep, 12, PhotometricInterpretation="MONOCHROME1")
    film = read_dicom(path)
    assert film.bits == 16
    np.testing.assert_allclose(film.image, 1 - deep / 4095, atol=1e-6)


def test_the_first_of_several_windows_is_used_after_the_rescale(
    tmp_path: Path, deep: np.ndarray, write_dicom: Write
) -> None:
    path = write_dicom(
        tmp_path / "a.dcm", deep, 12, RescaleSlope=2, RescaleIntercept=-100,
        WindowCenter=[1000, 9], WindowWidth=[501, 1],
    )  # fmt: skip
    expected = np.clip((deep * 2.0 - 100 - 999.5) / 500 + 0.5, 0, 1)
    np.testing.assert_allclose(read_dicom(path).image, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR_EXACT", lambda x: np.clip((x - 2000) / 800 + 0.5, 0, 1)),
        ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 2000) / 800))),
    ],
)
def test_the_window_function_of_the_header_is_respected(
    tmp_path: Path, deep: np.ndarray, write_dicom: Write, function: str, expected: Any
) -> None:
    path = write_dicom(
        tmp_path / "a.dcm", deep, 12, WindowCenter=2000, WindowWidth=800, VOILUTFunction=function
    )
    np.testing.assert_allclose(read_dicom(path).image, expected(deep.astype(float)), atol=1e-6)


def test_a_rescale_without_window_keeps_the_full_range(
    tmp_path: Path, deep: np.ndarray, write_dicom: Write
) -> None:
    up = write_dicom(tmp_path / "a.dcm", deep, 12, RescaleSlope=0.5, RescaleIntercept=-500)
    np.testing.assert_allclose(read_dicom(up).image, deep / 4095, atol=1e-6)
    down = write_dicom(tmp_path / "b.dcm", deep, 12, RescaleSlope=-1, RescaleIntercept=4095)
    np.testing.assert_allclose(read_dicom(down).image, 1 - deep / 4095, atol=1e-6)


def test_signed_pixels_span_the_signed_range(
    tmp_path: Path, deep: np.ndarray, write_dicom: Write
) -> None:
    path = write_dicom(tmp_path / "a.dcm", deep.astype(np.int16) - 2048, 12)
    np.testing.assert_allclose(read_dicom(path).image, deep / 4095, atol=1e-6)


def test_a_voi_look_up_table_goes_before_a_window(
    tmp_path: Path, deep: np.ndarray, write_dicom: Write
) -> None:
    entries = (np.linspace(0, 1, 4096) ** 2 * 1023).astype(int)
    path = write_dicom(
        tmp_path / "a.dcm", deep, 12, WindowCenter=10, WindowWidth=5,
        VOILUTSequence=table([4096, 0, 10], entries),
    )  # fmt: skip
    np.testing.assert_allclose(read_dicom(path).image, entries[deep] / 1023, atol=1e-6)


def test_a_modality_look_up_table_feeds_the_window(
    tmp_path: Path, deep: np.ndarray, write_dicom: Write
) -> None:
    entries = np.arange(4096)[::-1] * 2
    lut = table([4096, 0, 16], entries)
    lut[0].ModalityLUTType = "US"
    path = write_dicom(
        tmp_path / "a.dcm", deep, 12, ModalityLUTSequence=lut, WindowCenter=4096, WindowWidth=8192
    )
    expected = np.clip((entries[deep] - 4095.5) / 8191 + 0.5, 0, 1)
    np.testing.assert_allclose(read_dicom(path).image, expected, atol=1e-6)


def test_padding_is_black_in_both_polarities(
    tmp_path: Path, deep: np.ndarray, write_dicom: Write
) -> None:
    deep[:4] = 4000
    for polarity in ("MONOCHROME1", "MONOCHROME2"):
        path = write_dicom(
            tmp_path / "a.dcm", deep, 12,
            PhotometricInterpretation=polarity, PixelPaddingValue=4000,
        )  # fmt: skip
        image = read_dicom(path).image
        assert image[:4].max() == 0 and image[4:].max() > 0.9


def test_overlay_bits_above_the_stored_bits_are_dropped(
    tmp_path: Path, deep: np.ndarray, write_dicom: Write
) -> None:
    path = write_dicom(tmp_path / "a.dcm", deep | np.uint16(0x8000), 12)
    np.testing.assert_allclose(read_dicom(path).image, deep / 4095, atol=1e-6)


def test_rle_and_implicit_vr_give_the_same_picture(
    tmp_path: Path, ramp: np.ndarray, write_dicom: Write
) -> None:
    plain = pydicom.dcmread(write_dicom(tmp_path / "a.dcm", ramp))
    plain.compress(RLELossless, generate_instance_uid=False)
    plain.save_as(tmp_path / "rle.dcm")
    implicit = pydicom.dcmread(tmp_path / "a.dcm")
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    implicit.save_as(tmp_path / "implicit.dcm", implicit_vr=True, little_endian=True)
    for name in ("rle.dcm", "implicit.dcm"):
        np.testing.assert_allclose(read_dicom(tmp_path / name).image, ramp / 255, atol=1e-7)


def test_a_file_without_preamble_is_read(
    tmp_path: Path, ramp: np.ndarray, write_dicom: Write
) -> None:
    implicit = pydicom.dcmread(write_dicom(tmp_path / "a.dcm", ramp))
    del implicit.file_meta
    implicit.preamble = None
    implicit.save_as(
        tmp_path / "b.dcm", implicit_vr=True, little_endian=True, enforce_file_format=False
    )
    np.testing.assert_allclose(read_dicom(tmp_path / "b.dcm").image, ramp / 255, atol=1e-7)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"PixelSpacing": [0.14, 0.15]}, (0.14, 0.15)),
        ({"PixelSpacing": [0.14, 0.14], "ImagerPixelSpacing": [0.2, 0.2]}, (0.14, 0.14)),
        ({"ImagerPixelSpacing": [0.2, 0.2]}, (0.2, 0.2)),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.2]}, (0.2, 0.2)),
        ({"PixelSpacing": [0, 0]}, None),
        ({}, None),
    ],
)
def test_spacing_comes_from_the_patient_plane_else_the_detector(
    tmp_path: Path,
    ramp: np.ndarray,
    write_dicom: Write,
    header: dict[str, Any],
    expected: tuple[float, float] | None,
) -> None:
    film = read_dicom(write_dicom(tmp_path / "a.dcm", ramp, **header))
    assert film.pixel_spacing_mm == expected


def test_view_sex_and_age_are_reduced_and_free_text_is_dropped(
    tmp_path: Path, ramp: np.ndarray, write_dicom: Write
) -> None:
    film = read_dicom(
        write_dicom(
            tmp_path / "a.dcm", ramp, ViewPosition="LL", PatientSex="F", PatientAge="067Y",
            Modality="DX", BurnedInAnnotation="NO", PatientID="MRN-1", PatientName="Doe^Jane",
        )
    )  # fmt: skip
    assert (film.view, film.sex, film.age_band, film.modality) == ("LL", "F", "60-69", "DX")
    assert film.burned_in == "no"
    assert (
        "MRN" not in repr(film) and "Doe" not in repr(film) and film.patient_key not in repr(film)
    )
    odd = read_dicom(write_dicom(tmp_path / "b.dcm", ramp, ViewPosition="JANE", Modality="DOE"))
    assert (odd.view, odd.modality, odd.burned_in) == ("", "OT", "unknown")


def test_the_view_is_found_in_code_or_orientation_when_its_field_is_empty(
    tmp_path: Path, ramp: np.ndarray, write_dicom: Write
) -> None:
    code = Dataset()
    code.CodeMeaning = "postero-anterior"
    coded = write_dicom(tmp_path / "a.dcm", ramp, ViewCodeSequence=Sequence([code]))
    assert read_dicom(coded).view == "PA"
    turned = write_dicom(tmp_path / "b.dcm", ramp, PatientOrientation=["A", "F"])
    assert read_dicom(turned).view == "LATERAL"


def test_films_of_one_patient_share_a_key(
    tmp_path: Path, ramp: np.ndarray, write_dicom: Write
) -> None:
    keys = [
        read_dicom(write_dicom(tmp_path / "a.dcm", ramp, PatientID=patient)).patient_key
        for patient in ("1", "1", "2", "")
    ]
    assert keys[0] == keys[1] != keys[2] and keys[3] == ""


def test_what_a_person_should_look_at_is_noted(
    tmp_path: Path, ramp: np.ndarray, write_dicom: Write
) -> None:
    path = write_dicom(
        tmp_path / "a.dcm", ramp, PatientOrientation=["R", "F"], BodyPartExamined="ANKLE",
        PixelSpacing=[0.1, 0.3],
    )  # fmt: skip
    notes = " ".join(read_dicom(path).notes)
    assert "mirrored" in notes and "another body part" in notes and "not square" in notes
    assert "ANKLE" not in notes


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"PixelData": None}, "header without pixel data"),
        ({"PhotometricInterpretation": "RGB"}, "not a grey DICOM image"),
        ({"PhotometricInterpretation": None}, "not a grey DICOM image"),
        ({"NumberOfFrames": 2}, "several frames"),
        ({"PixelData": b"\0" * 400}, "cut off"),
        ({"WindowCenter": 9, "WindowWidth": 0}, "WindowWidth 0; expected at least 1"),
        ({"RescaleSlope": 0, "RescaleIntercept": 1}, "RescaleSlope 0"),
        ({"BitsAllocated": None}, "cut off, damaged"),
        ({"VOILUTSequence": table([256, 0, 8], np.arange(9))}, "malformed values"),
    ],
)
def test_a_file_that_cannot_be_shown_is_one_clear_sentence(
    tmp_path: Path, ramp: np.ndarray, write_dicom: Write, header: dict[str, Any], message: str
) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp, PatientName="Doe^Jane", **header)
    with pytest.raises(InvalidCase, match=f"^'a.dcm' .*{message}") as caught:
        read_dicom(path)
    assert "Doe" not in str(caught.value)


def test_a_compression_without_decoder_is_named(
    tmp_path: Path, ramp: np.ndarray, write_dicom: Write
) -> None:
    dataset = pydicom.dcmread(write_dicom(tmp_path / "a.dcm", ramp))
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8" + b"\0" * 50])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(tmp_path / "b.dcm")
    with pytest.raises(InvalidCase, match=r"compressed as JPEG Lossless.*decompress it first"):
        read_dicom(tmp_path / "b.dcm")


@pytest.mark.parametrize("kept", [0, 10, 140, 200, 400, 900])
def test_a_file_cut_anywhere_is_one_clear_sentence(
    tmp_path: Path, ramp: np.ndarray, write_dicom: Write, kept: int
) -> None:
    whole = write_dicom(tmp_path / "a.dcm", ramp).read_bytes()
    (tmp_path / "b.dcm").write_bytes(whole[:kept])
    with pytest.raises(InvalidCase, match=r"^'b\.dcm' .*\.$"):
        read_dicom(tmp_path / "b.dcm")


def test_a_compressed_file_cut_off_says_so(
    tmp_path: Path, ramp: np.ndarray, write_dicom: Write
) -> None:
    dataset = pydicom.dcmread(write_dicom(tmp_path / "a.dcm", ramp))
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(tmp_path / "a.dcm")
    (tmp_path / "b.dcm").write_bytes((tmp_path / "a.dcm").read_bytes()[:-300])
    with pytest.raises(InvalidCase, match="cut off"):
        read_dicom(tmp_path / "b.dcm")


def test_other_files_and_missing_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"hello" * 100)
    with pytest.raises(InvalidCase, match="is not a DICOM file"):
        read_dicom(tmp_path / "a.dcm")
    with pytest.raises(InvalidCase, match="does not exist"):
        read_dicom(tmp_path / "b.dcm")
