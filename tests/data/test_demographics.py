import pytest

from data.demographics import age_band, is_lateral, normalise_sex, normalise_view


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("67", "60-69"), ("67.0", "60-69"), ("067Y", "60-69"), ("60-69", "60-69"), ("0", "0-9"),
        ("8 months", "0-9"), ("030M", "0-9"), ("500D", "0-9"), ("1-5 y (cohort)", "0-9"),
        ("90", "90+"), ("104Y", "90+"), ("90+", "90+"), ("", ""), ("unknown", ""), ("18-64", ""),
        ("59 years", "50-59"), ("10 to 19", "10-19"),
    ],
)  # fmt: skip
def test_an_age_becomes_its_decade(age: str, band: str) -> None:
    assert age_band(age) == band


@pytest.mark.parametrize("text", ["old", "-3", "1960-05-14", "999", "20-10", "12 Main St"])
def test_what_is_no_age_is_not_guessed(text: str) -> None:
    assert age_band(text) is None


def test_every_band_is_read_back_as_itself() -> None:
    for age in range(0, 131):
        band = age_band(str(age))
        assert band is not None and age_band(band) == band


def test_sex_is_reduced_to_a_letter() -> None:
    assert [normalise_sex(text) for text in ("M", "female", " o ", "", "u", "Jane")] == [
        "M", "F", "O", "", "", None,
    ]  # fmt: skip


def test_a_view_is_reduced_to_a_known_code_so_that_free_text_cannot_leak() -> None:
    assert normalise_view("postero-anterior") == "PA"
    assert normalise_view(" left  lateral") == "LL"
    assert normalise_view("Jane Testperson") == ""


def test_lateral_views_are_recognised_and_decubitus_views_are_not_lateral() -> None:
    assert all(is_lateral(view) for view in ("LL", "RL", "lateral", "L", "Lat"))
    assert not any(is_lateral(view) for view in ("PA", "AP supine", "", "LLD"))
