"""Factor sets on disk, regions, known effects, and the whole search on a tiny generator."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.generators.stylegan2 import Generator, StyleGANShape
from explainers.stylespace.cards import draw_cards, film_cards
from explainers.stylespace.chosen import ChosenFilms, choose_films
from explainers.stylespace.factorfile import read_factor_set, write_factor_set
from explainers.stylespace.factorset import FactorSet, Search, SelectedFactor, StyleStretch
from explainers.stylespace.factortext import factor_report
from explainers.stylespace.find import find_factors
from explainers.stylespace.known import interval_of, known_effects
from explainers.stylespace.meter import Meter, ReadingQuality
from explainers.stylespace.readings import readings_by_name
from explainers.stylespace.stages import Stages
from explainers.stylespace.swept import FindSettings, Networks
from explainers.stylespace.thorax import REGIONS, nominal_lungs, region_shares, regions_of
from explainers.training.films import Films

SHAPE = StyleGANShape(size=16, channel_base=64, channel_limit=6, latent=4, n_mapping=1)


class Brightness:
    """Two findings: how bright the upper and the lower half of the film are."""

    findings = ("Mass", "Effusion")
    input_size = (16, 16)
    input_range = (0.0, 1.0)
    weights_digest = "c" * 64

    def logits(self, images: Tensor) -> Tensor:
        return 60 * (images.unflatten(2, (2, 8)).mean(dim=(1, 3, 4)) - 0.5)

    def probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)


class MeanAndLeft(nn.Module):
    """Reads the mean brightness (exposure) and nothing (chest tube)."""

    def forward(self, images: Tensor) -> Tensor:
        mean = 10 * images.mean(dim=(1, 2, 3))
        return torch.stack([mean, 0 * mean], dim=1)


def _meter(*, scores: tuple[float, float] = (0.9, 0.9)) -> Meter:
    known = readings_by_name()
    names = ("exposure", "chest_tube")
    quality = [ReadingQuality(n, s, 1.0, 50) for n, s in zip(names, scores, strict=True)]
    ends = np.zeros(2, np.float32), np.ones(2, np.float32)
    return Meter(MeanAndLeft(), [known[n] for n in names], *ends, (16, 16), quality, "m" * 64)


@pytest.fixture
def networks() -> Networks:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = Generator(SHAPE).eval().requires_grad_(False)
    return Networks(generator, "g" * 64, Brightness(), meter=_meter())


@pytest.fixture
def chosen(networks: Networks) -> ChosenFilms:
    dice = torch.Generator().manual_seed(1)
    with torch.no_grad():
        drawn = networks.generator(torch.randn(4, SHAPE.latent, generator=dice)) / 2 + 0.5
        images = drawn.clamp(0, 1)
        p = networks.classifier.probabilities(networks.classifier.logits(images))
    n = len(images)
    return ChosenFilms(
        tuple(f"c{i}" for i in range(n)),
        tuple(f"d{i}" for i in range(n)),
        images[:, 0].numpy(),
        (regions_of(nominal_lungs((16, 16))),) * n,
        (p > 0.5).float().numpy(),
        p.numpy(),
        np.ones((n, 2), bool),
    )


SETTINGS = FindSettings(
    mode="exhaustive", n_samples=50, n_steps=6, batch_size=2, max_mae=255, max_shift=1
)


def _found(networks: Networks, chosen: ChosenFilms, stages: Stages, **changed: object) -> FactorSet:
    settings = replace(SETTINGS, **changed)  # type: ignore[arg-type]
    return find_factors(networks, chosen, settings, stages, cases_digest="x")


@pytest.fixture
def small() -> FactorSet:
    factor = SelectedFactor(1, "4/convolution 0", 4, 1, "Mass", 0.5, -0.4, 0.5, 0.5, 2, 4)
    ends = np.arange(3, dtype=np.float32)
    return FactorSet(
        generator_digest="g" * 64,
        classifier_digest="c" * 64,
        meter_digest="",
        cases_digest="",
        findings=("Mass", "Effusion"),
        stretches=(StyleStretch("4/convolution 0", "convolution", 4, 0, 3),),
        low=-ends,
        high=ends,
        mean=0 * ends,
        spread=ends + 1,
        n_samples=10,
        percentile=0,
        made=Search(0.3, "mean", "screened", 0.05, 0.9, 12, 0.2, 1, "", 500),
        films=("a", "b"),
        factors=(factor,),
        largest=(factor, replace(factor, dimension=2, finding="Effusion", change=0.1)),
        strengths=np.full((3, 2), 0.1, np.float32),
        maps={1: np.ones((4, 4), np.float32)},
    )


def test_a_factor_set_comes_back_from_the_disk_as_it_was(small: FactorSet, tmp_path: Path) -> None:
    back = read_factor_set(write_factor_set(tmp_path / "set", small))
    assert back.digest == small.digest
    assert back.factors == small.factors and back.made == small.made
    assert (back.maps[1] == small.maps[1]).all() and (back.high == small.high).all()


def test_a_name_changes_the_copy_and_neither_the_set_nor_its_digest(small: FactorSet) -> None:
    named = small.with_names({1: "heart size "})
    assert named.factors[0].label == "heart size" and small.factors[0].name == ""
    assert named.digest == small.digest
    with pytest.raises(ExplainerError, match="Dimension 0 is no factor"):
        small.with_names({0: "nothing"})


def test_networks_that_the_set_was_not_made_with_are_refused(small: FactorSet) -> None:
    small.check_networks(generator="g" * 64, classifier="c" * 64, n_styles=3)
    with pytest.raises(ExplainerError, match="generator gggggg"):
        small.check_networks(generator="h" * 64)
    with pytest.raises(ExplainerError, match="classifier cccccc"):
        small.check_networks(classifier="h" * 64)
    with pytest.raises(ExplainerError, match="3 dimensions, the generator has 5"):
        small.check_networks(n_styles=5)


def test_nothing_above_the_threshold_is_said_with_the_largest(small: FactorSet) -> None:
    assert small.selected_for("Effusion") == ()
    assert "largest mean change is 0.100" in small.nothing_selected("Effusion")
    assert "No dimension moves Effusion" in factor_report(small)
    with pytest.raises(ExplainerError, match="knows nothing of 'Scar'"):
        small.selected_for("Scar")


@pytest.mark.parametrize("damage", ["arrays", "json", "field", "missing"])
def test_a_damaged_factor_set_says_so(small: FactorSet, tmp_path: Path, damage: str) -> None:
    path = write_factor_set(tmp_path / "set", small)
    arrays = path.with_suffix(".safetensors")
    if damage == "arrays":
        arrays.write_bytes(arrays.read_bytes()[:-1] + b"x")
    elif damage == "json":
        path.write_text("{", encoding="utf-8")
    elif damage == "field":
        content = json.loads(path.read_text(encoding="utf-8"))
        del content["factors"]
        path.write_text(json.dumps(content), encoding="utf-8")
    else:
        arrays.unlink()
    with pytest.raises(ExplainerError, match=r"damaged|needs set\.safetensors"):
        read_factor_set(path)


def test_factor_sets_are_read_without_torch() -> None:
    code = (
        "import sys, explainers.stylespace.factorfile, explainers.stylespace.factortext, "
        "explainers.stylespace.readings; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_regions_cover_the_film_and_know_the_patients_sides() -> None:
    regions = regions_of(nominal_lungs((64, 64)))
    assert set(np.unique(regions)) == set(range(len(REGIONS)))
    assert REGIONS[regions[12, 18]] == "right lung, upper"
    assert REGIONS[regions[40, 46]] == "left lung, lower"
    assert REGIONS[regions[38, 32]] == "heart" and REGIONS[regions[14, 32]] == "upper mediastinum"
    assert REGIONS[regions[62, 32]] == "below the lungs" and regions[2, 2] == 0
    change = np.zeros((64, 64))
    change[40, 46], change[38, 32] = -3, 1
    shares = region_shares([change], [regions])
    assert (shares[0].region, shares[0].share) == ("left lung, lower", 0.75)
    assert sum(share.share for share in shares) == pytest.approx(1)
    with pytest.raises(ExplainerError, match="one side only"):
        regions_of(np.eye(8, dtype=bool) & (np.arange(8) < 1))


def test_an_effect_is_a_mean_with_a_t_interval_and_only_of_what_is_readable() -> None:
    changes = np.zeros((5, 2, 2), np.float32)
    changes[:, 1, 0] = [1.8, 2.0, 2.2, 1.9, 2.1]
    only = known_effects(changes, _meter(scores=(0.9, 0.7)))
    assert [effect.parameter for effect in only] == ["exposure"]
    assert only[0].change_high == pytest.approx(2, abs=1e-6) and only[0].significant
    # mean 2, sd 0.1581, t(0.975, 4) = 2.776
    assert interval_of(changes[:, 1, 0], 0.95) == pytest.approx((1.8037, 2.1963), abs=1e-3)
    both = known_effects(0 * changes, _meter())
    assert not any(effect.significant for effect in both)


def test_the_search_finds_measures_and_goes_on_from_what_is_kept(
    networks: Networks, chosen: ChosenFilms, tmp_path: Path
) -> None:
    stages = Stages(tmp_path / "work")
    first = _found(networks, chosen, stages, threshold=0.02)
    assert first.factors and first.maps.keys() >= set(first.dimensions)
    factor = first.factors[0]
    assert factor.known[0].parameter == "exposure" and factor.regions
    again = _found(replace(networks, classifier=_Refusing()), chosen, stages, threshold=0.02)
    assert again.digest == first.digest
    assert first.digest == read_factor_set(write_factor_set(tmp_path / "set", first)).digest


class _Refusing(Brightness):
    """A classifier that must not be asked again."""

    def logits(self, images: Tensor) -> Tensor:
        raise AssertionError("a kept stage was made again")


def test_a_search_above_every_change_selects_nothing_and_shows_the_largest(
    networks: Networks, chosen: ChosenFilms, tmp_path: Path
) -> None:
    found = _found(networks, chosen, Stages(tmp_path), threshold=1.0)
    assert found.factors == () and found.largest
    cards = film_cards(networks, chosen, found, SETTINGS, Stages(tmp_path), per_factor=1)
    page = draw_cards(tmp_path / "cards", found, cards)
    text = page.read_text(encoding="utf-8")
    assert "No dimension reaches" in text and "data:image/webp;base64" in text
    assert len(list(page.parent.glob("*.png"))) == len(cards)


def test_films_that_cannot_be_inverted_are_refused_with_their_error(
    networks: Networks, chosen: ChosenFilms, tmp_path: Path
) -> None:
    with pytest.raises(ExplainerError, match=r"None of the 4 films could be inverted.*grey levels"):
        _found(networks, chosen, Stages(tmp_path), max_mae=0.0)


def test_a_cancelled_search_keeps_what_is_finished(
    networks: Networks, chosen: ChosenFilms, tmp_path: Path
) -> None:
    asked: list[int] = []

    def soon() -> bool:
        asked.append(1)
        return len(asked) > 10

    with pytest.raises(ExplainerError, match="Stopped"):
        find_factors(networks, chosen, SETTINGS, Stages(tmp_path), cases_digest="", cancelled=soon)
    assert len(list(tmp_path.glob("projection-*"))) == 1


def test_films_are_chosen_in_turn_and_only_where_the_classifier_is_right_and_sure() -> None:
    images = np.full((6, 16, 16), 20, np.uint8)
    images[1, :8], images[2, 8:], images[3], images[4, :8] = 235, 235, 235, 235
    labels = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0, 0], [0, 1]], np.float32)
    ids = np.array([f"c{i}" for i in range(6)])
    films = Films(
        ("Mass", "Effusion"), images, np.zeros((6, 16, 16), np.uint16), labels, ids, ids,
        np.array(["test"] * 6), np.full(6, -1), "d", (), True,
    )  # fmt: skip
    found = choose_films(films, Brightness(), n_films=3)
    assert found.case_ids == ("c1", "c2", "c0")
    assert choose_films(films, Brightness(), n_films=9).case_ids == ("c1", "c2", "c0", "c3")
    with pytest.raises(ExplainerError, match="says nothing about 'Effusion'"):
        choose_films(replace(films, findings=("Mass", "Scar")), Brightness())
