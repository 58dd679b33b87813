"""Simulated findings in a real film: where they are, what they change, and what they leave."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter

from data.planted.blend import SPILL, Planted, plant
from data.planted.lungs import Chest, UnusableLungs, open_chest, separate_lungs
from data.planted.recipe import PLANTABLE, CannotPlant, Planting, UnknownFinding
from data.raster import to_unit
from tests.support.planted_film import chest_film, lung_mask


@pytest.fixture
def film() -> np.ndarray:
    return to_unit(chest_film())


@pytest.fixture
def chest(film: np.ndarray) -> Chest:
    return open_chest(film, lung_mask())


def planted(film: np.ndarray, chest: Chest, finding: str, severity: float = 0.7) -> Planted:
    return plant(film, chest, Planting(finding, severity, "R", 0.5, 0.6, 5.0, 3))


@pytest.mark.parametrize("finding", PLANTABLE)
@pytest.mark.parametrize("severity", [0.3, 1.0])
def test_nothing_changes_outside_the_mask_and_its_soft_rim(
    film: np.ndarray, chest: Chest, finding: str, severity: float
) -> None:
    result = planted(film, chest, finding, severity)
    assert np.array_equal(result.image[~result.changed], film[~result.changed])
    assert not np.any(result.mask & ~result.changed)
    lung = chest.lungs["R"]
    beyond = distance_transform_edt(~lung.mask)[result.changed].max()
    assert beyond <= max(2, SPILL * lung.width)


@pytest.mark.parametrize("finding", PLANTABLE)
def test_the_mask_lies_in_the_lung_it_is_planted_into(
    film: np.ndarray, chest: Chest, finding: str
) -> None:
    result = planted(film, chest, finding)
    assert result.mask.any()
    assert not np.any(result.mask & ~lung_mask())
    assert not np.any(result.mask & chest.lungs["L"].mask)
    assert np.nonzero(result.mask)[1].max() < film.shape[1] / 2  # the patient's right


@pytest.mark.parametrize("finding", PLANTABLE)
def test_most_of_the_change_lies_inside_the_mask(
    film: np.ndarray, chest: Chest, finding: str
) -> None:
    result = planted(film, chest, finding)
    change = np.abs(result.image - film)
    assert change[result.mask].sum() > 0.6 * change.sum()
    assert change[result.mask].mean() > 0.02


@pytest.mark.parametrize("finding", [name for name in PLANTABLE if name != "Pneumothorax"])
def test_findings_that_fill_the_lung_brighten_it(
    film: np.ndarray, chest: Chest, finding: str
) -> None:
    result = planted(film, chest, finding)
    assert (result.image - film)[result.mask].mean() > 0.03


def test_a_pneumothorax_darkens_the_space_between_lung_and_wall(
    film: np.ndarray, chest: Chest
) -> None:
    result = planted(film, chest, "Pneumothorax")
    assert (result.image - film)[result.mask].mean() < -0.02


@pytest.mark.parametrize("finding", PLANTABLE)
def test_a_severer_finding_is_larger(film: np.ndarray, chest: Chest, finding: str) -> None:
    areas = [planted(film, chest, finding, s).mask.sum() for s in (0.3, 0.6, 1.0)]
    assert areas[0] < areas[1] < areas[2]


def test_the_films_own_noise_is_kept(film: np.ndarray, chest: Chest) -> None:
    result = planted(film, chest, "Lung Opacity", 0.8)

    def grain(image: np.ndarray) -> float:
        return float((image - gaussian_filter(image, 1.0))[result.mask].std())

    assert 0.7 * grain(film) < grain(result.image) < 1.4 * grain(film)


def test_the_same_planting_gives_the_same_film_and_another_seed_another(
    film: np.ndarray, chest: Chest
) -> None:
    first, again = (plant(film, chest, Planting("Mass", 0.5, "L", seed=4)) for _ in range(2))
    other = plant(film, chest, Planting("Mass", 0.5, "L", seed=5))
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)


def test_lungs_that_touch_are_cut_between_them() -> None:
    mask = lung_mask()
    mask[60:64, 40:110] = True
    lungs = separate_lungs(mask)
    assert lungs["R"].mask.sum() > 0.4 * mask.sum()
    assert lungs["L"].mask.sum() > 0.4 * mask.sum()
    assert not np.any(lungs["R"].mask & lungs["L"].mask)


def test_specks_of_the_mask_are_dropped() -> None:
    mask = lung_mask()
    mask[2:4, 2:4] = True
    assert not any(lung.mask[:5, :5].any() for lung in separate_lungs(mask).values())


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((120, 150), bool), "empty"),
        (lung_mask((20, 26)), "size"),
        (np.pad(lung_mask((16, 20)), ((50, 54), (60, 70))), "at least 2 %"),
        (np.pad(lung_mask()[:, :75], ((0, 0), (0, 75))), "both lungs"),
    ],
    ids=["empty", "another size", "too small", "one lung"],
)
def test_masks_that_show_no_two_lungs_are_refused(
    film: np.ndarray, mask: np.ndarray, message: str
) -> None:
    with pytest.raises(UnusableLungs, match=message):
        open_chest(film, mask)


def test_an_inverted_film_is_refused(film: np.ndarray) -> None:
    with pytest.raises(UnusableLungs, match="darker"):
        open_chest(1 - film, lung_mask())


def test_an_unknown_finding_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(UnknownFinding, match=r"Cardiomegaly.*Atelectasis, Effusion"):
        Planting("Cardiomegaly", 0.5, "L")


@pytest.mark.parametrize(
    "wrong", [{"severity": 0.0}, {"severity": 1.2}, {"side": "left"}, {"lateral": 2.0}]
)
def test_numbers_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(CannotPlant):
        Planting(**{"finding": "Mass", "severity": 0.5, "side": "L"} | wrong)


def test_a_white_lung_has_no_place_for_a_mass(film: np.ndarray) -> None:
    white = film.copy()
    right = separate_lungs(lung_mask())["R"].mask
    white[right] = 0.75
    with pytest.raises(CannotPlant):
        plant(white, open_chest(white, lung_mask()), Planting("Mass", 0.5, "R"))


@pytest.fixture
def real_film() -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    import pandas as pd

    from data.raster import read_image, read_mask

    pack = Path(__file__).parents[3] / "shared" / "packs" / "cxr-real"
    if not (pack / "manifest.csv").is_file():
        pytest.skip("the pack cxr-real is not here")
    table = pd.read_csv(pack / "manifest.csv")
    normal = table[(table.source == "kermany-pediatric") & (table.is_normal == 1)]

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        row = normal.iloc[index]
        return read_image(pack / row.image), read_mask(pack / row.lung_mask)

    return read


@pytest.mark.parametrize("index", [0, 400, 800])
def test_every_finding_finds_a_place_in_real_films(
    real_film: Callable[[int], tuple[np.ndarray, np.ndarray]], index: int
) -> None:
    film, mask = real_film(index)
    chest = open_chest(film, mask)
    for finding in PLANTABLE:
        result = plant(film, chest, Planting(finding, 0.8, "R", 0.5, 0.7, 5.0, index))
        assert np.array_equal(result.image[~result.changed], film[~result.changed])
        assert not np.any(result.mask & ~mask)
        assert np.abs(result.image - film)[result.mask].mean() > 0.02
