"""Films: reproducible, consistent over sizes, with findings that look like themselves."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from data.phantom.parameters import (
    FINDINGS,
    SEVERITY_FIELD,
    FilmParameters,
    InvalidParameters,
    sample_parameters,
    without,
)
from data.phantom.render import Film, render

SIDE_FIELD = {
    "Atelectasis": "atelectasis_side",
    "Effusion": "effusion_side",
    "Lung Opacity": "lung_opacity_side",
    "Mass": "mass_side",
    "Pneumothorax": "pneumothorax_side",
}


def with_finding(finding: str, severity: float, index: int = 0) -> FilmParameters:
    film = sample_parameters(31, index, findings=(finding,))
    return dataclasses.replace(film, **{SEVERITY_FIELD[finding]: severity})


@lru_cache(maxsize=64)
def rendered(finding: str, severity: float, index: int = 0) -> Film:
    return render(with_finding(finding, severity, index), 128)


def averaged(image: np.ndarray, size: int) -> np.ndarray:
    k = image.shape[0] // size
    return image.reshape(size, k, size, k).mean(axis=(1, 3))


def test_the_same_parameters_give_the_same_film() -> None:
    film = sample_parameters(1, 5)
    first, second = render(film, 128), render(film, 128)
    np.testing.assert_array_equal(first.image, second.image)


def test_different_seeds_give_different_films() -> None:
    first = render(sample_parameters(1, 5), 128, counterfactuals=False)
    second = render(sample_parameters(2, 5), 128, counterfactuals=False)
    assert np.abs(first.image - second.image).mean() > 0.03


def test_another_exposure_of_the_same_patient_differs_by_noise_only() -> None:
    film = sample_parameters(1, 5, findings=())
    film = dataclasses.replace(film, ecg_leads=0)
    other = dataclasses.replace(film, film_seed=film.film_seed + 1)
    first, second = render(film, 128), render(other, 128)
    assert 0 < np.abs(first.image - second.image).mean() < 0.02


@pytest.mark.parametrize("size", [64, 128, 256])
def test_films_are_float32_in_range_with_masks_of_the_same_shape(size: int) -> None:
    film = render(sample_parameters(1, 5, findings=("Mass",)), size)
    for image in (film.image, *film.counterfactuals.values()):
        assert image.shape == (size, size)
        assert image.dtype == np.float32
        assert image.min() >= 0 and image.max() <= 1
    assert film.lungs.dtype == bool and film.lungs.shape == (size, size)
    assert film.masks["Mass"].dtype == bool and film.masks["Mass"].shape == (size, size)


def test_a_size_that_is_not_offered_is_refused() -> None:
    with pytest.raises(InvalidParameters, match="100"):
        render(sample_parameters(1, 5), 100)


@pytest.mark.parametrize("index", range(3))
def test_size_does_not_change_the_picture(index: int) -> None:
    film = sample_parameters(12, index)
    large = averaged(render(film, 512, counterfactuals=False).image, 128)
    medium = averaged(render(film, 256, counterfactuals=False).image, 128)
    small = render(film, 128, counterfactuals=False).image
    assert np.abs(large - medium).mean() < 0.012
    assert np.abs(large - small).mean() < 0.012


@pytest.mark.parametrize("index", range(3))
def test_the_film_shows_dark_lungs_beside_a_bright_mediastinum(index: int) -> None:
    film = render(sample_parameters(13, index, findings=()), 128)
    assert 0.12 < film.lungs.mean() < 0.4
    lungs = film.image[film.lungs]
    middle = film.image[50:100, 58:70]
    assert middle.mean() > lungs.mean() + 0.2
    assert film.lungs[:, :64].sum() > 300 and film.lungs[:, 64:].sum() > 300


def test_a_healthy_film_has_no_masks_and_no_counterfactuals() -> None:
    film = render(sample_parameters(1, 5, findings=()), 128)
    assert not film.masks and not film.counterfactuals


@pytest.mark.parametrize("finding", FINDINGS)
def test_the_counterfactual_is_the_film_rendered_without_the_finding(finding: str) -> None:
    film = rendered(finding, 0.6)
    alone = render(without(with_finding(finding, 0.6), finding), 128)
    np.testing.assert_array_equal(film.counterfactuals[finding], alone.image)


def test_a_counterfactual_keeps_the_other_findings() -> None:
    film = sample_parameters(31, 2, findings=("Effusion", "Mass"))
    pair = render(film, 128)
    rest = render(without(film, "Mass"), 128)
    np.testing.assert_array_equal(pair.counterfactuals["Mass"], rest.image)
    assert (pair.counterfactuals["Mass"] != pair.counterfactuals["Effusion"]).any()


@pytest.mark.parametrize("finding", FINDINGS)
@pytest.mark.parametrize("index", range(2))
def test_film_and_counterfactual_differ_at_the_finding_and_nowhere_else(
    finding: str, index: int
) -> None:
    film = rendered(finding, 0.7, index)
    mask = film.masks[finding]
    difference = np.abs(film.image - film.counterfactuals[finding])
    far = ~binary_dilation(mask, iterations=16)
    assert far.sum() > 3000
    assert difference[far].max() < 0.02
    assert np.median(difference[far]) == 0
    assert difference[mask].mean() > 0.01
    assert difference[mask].mean() > 20 * difference[far].mean()


@pytest.mark.parametrize("finding", FINDINGS)
@pytest.mark.parametrize("severity", [0.06, 0.5, 1.0])
def test_every_mask_is_non_empty_and_lies_within_the_thorax(finding: str, severity: float) -> None:
    for index in range(2):
        mask = rendered(finding, severity, index).masks[finding]
        assert mask.any()
        rows, columns = np.nonzero(mask)
        assert np.mean((columns > 12) & (columns < 116) & (rows > 8) & (rows < 122)) > 0.98


@pytest.mark.parametrize("finding", sorted(SIDE_FIELD))
def test_a_finding_is_on_the_side_recorded(finding: str) -> None:
    for index in range(4):
        parameters = with_finding(finding, 0.6, index)
        side = getattr(parameters, SIDE_FIELD[finding])
        mask = render(parameters, 64, counterfactuals=False).masks[finding]
        left = mask[:, 32:].sum() / mask.sum()  # the patient's left is right in the image
        if side == "B":
            assert 0.1 < left < 0.9
        else:
            assert (left if side == "L" else 1 - left) > 0.9


def test_the_silhouette_widens_with_the_heart_ratio() -> None:
    parameters = dataclasses.replace(with_finding("Cardiomegaly", 0.5), heart_ratio_healthy=0.42)
    widths = []
    for severity in (0.05, 0.35, 0.7, 1.0):
        film = dataclasses.replace(parameters, cardiomegaly_severity=severity)
        widths.append(render(film, 256).masks["Cardiomegaly"].any(axis=0).sum())
    assert (np.diff(widths) > 2).all()


def test_the_drawn_heart_has_about_the_recorded_ratio() -> None:
    for index in range(3):
        parameters = dataclasses.replace(
            with_finding("Cardiomegaly", 0.5, index), view="PA", magnification=1.0, fat_pad_mm=0.0
        )
        mask = render(parameters, 256).masks["Cardiomegaly"]
        width_mm = mask.any(axis=0).sum() * 400 / 256
        assert abs(width_mm / parameters.thorax_width_mm - parameters.heart_ratio) < 0.06


def test_an_effusion_lies_in_the_lower_zone_and_rises_with_severity() -> None:
    tops = []
    for severity in (0.1, 0.5, 1.0):
        film = rendered("Effusion", severity)
        rows = np.nonzero(film.masks["Effusion"])[0]
        lungs = np.nonzero(film.lungs)[0]
        assert np.mean(rows) > np.mean(lungs)
        tops.append(rows.min())
    assert tops[0] > tops[1] > tops[2]


@pytest.mark.parametrize("finding", ["Atelectasis", "Effusion", "Lung Opacity", "Mass"])
def test_tissue_and_fluid_are_brighter_than_the_lung_they_replace(finding: str) -> None:
    for index in range(2):
        film = rendered(finding, 0.6, index)
        mask = film.masks[finding]
        assert (film.image - film.counterfactuals[finding])[mask].mean() > 0.02


def test_the_pleural_space_is_darker_than_the_lung_it_replaces() -> None:
    for index in range(2):
        film = rendered("Pneumothorax", 0.6, index)
        mask = film.masks["Pneumothorax"]
        assert (film.image - film.counterfactuals["Pneumothorax"])[mask].mean() < -0.01


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_more_severe_finding_changes_more_of_the_film(finding: str) -> None:
    amounts = []
    for severity in (0.08, 0.45, 0.9):
        parameters = with_finding(finding, severity, 1)
        if finding == "Mass":
            parameters = dataclasses.replace(parameters, mass_diameter_mm=20 + 44 * severity)
        film = render(parameters, 128)
        amounts.append(np.abs(film.image - film.counterfactuals[finding]).sum())
    assert amounts[0] < amounts[1] < amounts[2]


def test_devices_and_text_are_bright() -> None:
    parameters = dataclasses.replace(
        sample_parameters(1, 5, findings=()),
        chest_tube=False, pacemaker=False, central_line=False, ecg_leads=0, text_marker=False,
    )  # fmt: skip
    plain = render(parameters, 256).image
    for change in (
        {"chest_tube": True},
        {"pacemaker": True},
        {"central_line": True},
        {"ecg_leads": 3},
        {"text_marker": True},
    ):
        difference = render(dataclasses.replace(parameters, **change), 256).image - plain
        assert difference.max() > 0.08, change


@pytest.mark.parametrize(
    "change",
    [
        {"nipple_shadows": 1.0}, {"end_on_vessels": 6}, {"first_rib_calcification": 1.0},
        {"granuloma": 1.0}, {"skin_fold": 1.0}, {"bulla": 1.0}, {"scapula_overlap_mm": 25.0},
        {"apical_cap_mm": 8.0}, {"blunted_angle_mm": 20.0}, {"scar": 1.0}, {"basal_haze": 1.0},
        {"raised_diaphragm_mm": 15.0}, {"fat_pad_mm": 20.0}, {"congestion": 1.0},
        {"inspiration": 0.2}, {"rotation_deg": 8.0}, {"breast_size": 0.9},
        {"gastric_bubble": 1.0}, {"kyphosis": 1.0}, {"scoliosis_mm": 12.0}, {"emphysema": 0.9},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_every_mimic_and_variation_shows_on_the_film(change: dict[str, float]) -> None:
    parameters = dataclasses.replace(
        sample_parameters(1, 5, findings=()),
        nipple_shadows=0.0, end_on_vessels=0, first_rib_calcification=0.0, granuloma=0.0,
        skin_fold=0.0, bulla=0.0, scapula_overlap_mm=-20.0, apical_cap_mm=0.0,
        blunted_angle_mm=0.0, scar=0.0, basal_haze=0.0, raised_diaphragm_mm=0.0, fat_pad_mm=0.0,
        congestion=0.0, inspiration=0.8, rotation_deg=0.0, breast_size=0.0, gastric_bubble=0.0,
        kyphosis=0.0, scoliosis_mm=0.0, emphysema=0.0, exposure=0.0,
    )  # fmt: skip
    plain = render(parameters, 128).image
    changed = render(dataclasses.replace(parameters, **change), 128).image
    assert np.abs(changed - plain).max() > 0.02
