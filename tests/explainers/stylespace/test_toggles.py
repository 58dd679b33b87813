"""StyleSpace toggles: all combinations decoded, refusals said, the networks left as they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from explainers.base import ExplainerError
from explainers.generators.stylegan2 import Generator, StyleGANShape, to_brightness
from explainers.record import Goal
from explainers.stylespace.factorfile import write_factor_set
from explainers.stylespace.factorset import FactorSet, Search, SelectedFactor, StyleStretch
from explainers.stylespace.opening import keep_factors, open_factors, ranges_of
from explainers.stylespace.ranges import style_ranges
from explainers.stylespace.toggles import StyleFactors, StyleSpaceToggles
from explainers.training.stylegan2 import save_generator

SHAPE = StyleGANShape(size=8, channel_base=32, channel_limit=4, latent=4, n_mapping=1)
SEARCH = Search(0.3, "max", "exhaustive", 0.05, 0.9, 60.0, 1.0, 0, "", 100)
MASS, NODULE = "Mass", "Nodule"


class Mean:
    findings = (MASS, NODULE)
    input_size = (8, 8)
    input_range = (0.0, 1.0)
    weights_digest = "mean"

    def logits(self, images: Tensor) -> Tensor:
        bright = images.mean(dim=(2, 3))
        return torch.cat([10 * bright - 5, 3 - 5 * bright], dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)


def selected(dimension: int, name: str = "") -> SelectedFactor:
    return SelectedFactor(dimension, "8/image", 8, 0, MASS, 0.5, -0.2, 0.5, 0.5, 1, 4, name)


def factor_set(generator: Generator, digest: str = "g") -> FactorSet:
    ranges = style_ranges(generator, n_samples=200)
    n = generator.n_styles
    return FactorSet(
        generator_digest=digest,
        classifier_digest="mean",
        meter_digest="",
        cases_digest="",
        findings=(MASS, NODULE),
        stretches=(StyleStretch("all", "convolution", 8, 0, n),),
        low=ranges.low.numpy(),
        high=ranges.high.numpy(),
        mean=ranges.mean.numpy(),
        spread=ranges.spread.numpy(),
        n_samples=200,
        percentile=0.0,
        made=SEARCH,
        films=(),
        factors=(selected(n - 1, "Size"), selected(2), selected(0)),
        largest=(replace(selected(1), finding=NODULE),),
        strengths=np.full((n, 2), 0.1, np.float32),
    )


@pytest.fixture(scope="module")
def generator() -> Generator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Generator(SHAPE).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def factors(generator: Generator) -> StyleFactors:
    known = factor_set(generator)
    return StyleFactors(generator, known, ranges_of(known), "d")


@pytest.fixture(scope="module")
def films(generator: Generator) -> Tensor:
    z = torch.randn(2, SHAPE.latent, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        return to_brightness(generator(z) / 3)


def test_every_combination_is_decoded_in_order_around_the_reconstruction(
    factors: StyleFactors, films: Tensor
) -> None:
    explainer = StyleSpaceToggles(Mean(), factors, n_factors=2, n_steps=30)
    done: list[tuple[int, int]] = []
    found = explainer.explain(
        films, [Goal(MASS)] * 2, on_progress=lambda n, total: done.append((n, total))
    )
    projection = explainer.projected(films)
    n = factors.known.n_styles
    for row, toggles in enumerate(found):
        assert toggles.note == "" and toggles.frames.shape == (9, 8, 8)
        assert [each.title for each in toggles.dimensions] == ["Size", "Factor 2 · dimension 2"]
        assert toggles.reconstruction == pytest.approx(projection.images[row], abs=1e-5)
        assert toggles.mean_error == pytest.approx(projection.mae[row], abs=1e-3)
        styles = projection.styles[row].clone()
        styles[n - 1], styles[2] = factors.ranges.high[n - 1], factors.ranges.low[2]
        with torch.no_grad():
            drawn = to_brightness(factors.generator.synthesise(styles[None]))
        state = toggles.states.index((1, -1))
        assert toggles.frames[state] == pytest.approx(drawn[0, 0].numpy(), abs=1e-5)
        expected = torch.sigmoid(Mean().logits(drawn))[0, 0]
        assert toggles.probabilities[state] == pytest.approx(float(expected), abs=1e-5)
        assert toggles.probability_image == pytest.approx(
            float(torch.sigmoid(Mean().logits(films[row : row + 1]))[0, 0])
        )
    assert done == [(1, 2), (2, 2)]


def test_a_finding_with_fewer_factors_has_fewer_switches_and_one_without_says_so(
    factors: StyleFactors, films: Tensor
) -> None:
    explainer = StyleSpaceToggles(Mean(), factors, n_factors=4, n_steps=1)
    assert len(explainer.dimensions(MASS)) == 3
    with pytest.raises(ExplainerError, match=r"No dimension moves Nodule by 0\.3"):
        explainer.explain(films[:1], [Goal(NODULE)])


def test_a_film_that_cannot_be_inverted_has_its_error_as_a_note_and_nothing_to_switch(
    factors: StyleFactors,
) -> None:
    noise = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(1)).round()
    explainer = StyleSpaceToggles(Mean(), factors, n_steps=2, max_mae=1.0)
    (toggles,) = explainer.explain(noise, [Goal(MASS)])
    assert f"mean error {toggles.mean_error:.1f} grey levels" in toggles.note
    assert "allowed are 1)" in toggles.note
    assert (len(toggles.frames), toggles.mean_error > 1) == (1, True)
    near = StyleSpaceToggles(Mean(), factors, n_steps=2, max_mae=255, max_shift=1e-9)
    (toggles,) = near.explain(noise, [Goal(MASS)])
    assert "percentage points" in toggles.note


def test_its_repr_states_the_parameters_and_the_networks_stay_as_they_were(
    factors: StyleFactors, films: Tensor
) -> None:
    explainer = StyleSpaceToggles(Mean(), factors, n_factors=1, n_steps=1)
    assert repr(explainer) == (
        "StyleSpaceToggles(n_factors=1, n_steps=1, max_mae=0.0, max_shift=0.0)"
    )
    weight = next(factors.generator.parameters())
    weight.requires_grad_(True)
    explainer.explain(films[:1], [Goal(MASS)])
    assert weight.requires_grad and weight.grad is None
    weight.requires_grad_(False)


def test_wrong_parameters_and_factors_of_another_classifier_are_refused(
    factors: StyleFactors, films: Tensor
) -> None:
    for wrong in ({"n_factors": 0}, {"n_factors": 5}, {"n_steps": 0}, {"max_shift": 2.0}):
        with pytest.raises(ExplainerError):
            StyleSpaceToggles(Mean(), factors, **wrong)  # type: ignore[arg-type]
    other = replace(factors, known=replace(factors.known, classifier_digest="other"))
    with pytest.raises(ExplainerError, match="made with the classifier other"):
        StyleSpaceToggles(Mean(), other)
    with pytest.raises(ExplainerError):
        StyleSpaceToggles(Mean(), factors).explain(films, [Goal(MASS)] * 2, cancelled=lambda: True)


def test_a_factor_set_is_opened_with_the_generator_whose_digest_it_states(
    generator: Generator, tmp_path: Path
) -> None:
    digest = save_generator(tmp_path / "drawing.safetensors", generator)
    path = write_factor_set(tmp_path / "factors.json", factor_set(generator, digest))
    opened = open_factors(str(path))
    assert [each.name for each in opened.files.values()] == [
        "factors.json",
        "factors.safetensors",
        "drawing.safetensors",
    ]
    assert (opened.input_size, opened.encoder) == ((8, 8), None)
    named = open_factors(str(path), {2: "Fluid"})
    assert named.known.selected_for(MASS)[1].name == "Fluid"
    assert named.weights_digest != opened.weights_digest  # its titles are in the record
    (tmp_path / "names.json").write_text('{"2": "Fluid", "3": "of another set"}')
    study = tmp_path / "study" / "networks" / "factors.safetensors"
    kept = keep_factors(str(path), study)
    assert [each.name for each in kept] == [
        "factors.json",
        "factors.safetensors",
        "factors-generator.safetensors",
        "names.json",
    ]
    again = open_factors(str(study))
    assert again.weights_digest == named.weights_digest
    settled = tmp_path / "study" / "names.json"
    assert kept[-1] == settled
    settled.write_text("[]")
    keep_factors(str(path), study)  # names that the study settled stay as they are
    with pytest.raises(ExplainerError, match="expected a JSON object of dimension to name"):
        open_factors(str(study))
    write_factor_set(tmp_path / "factors.json", factor_set(generator, "0" * 64))
    with pytest.raises(ExplainerError, match=r"put its \.safetensors file beside the factor set"):
        open_factors(str(path))
