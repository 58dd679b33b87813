"""Back-projection: a film of the generator is found again, and what cannot be found is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from explainers.base import ExplainerError
from explainers.classifiers.calibration import Calibration
from explainers.classifiers.networks import build_classifier
from explainers.classifiers.ours import OurClassifier
from explainers.generators.stylegan2 import Generator, StyleGANShape, to_brightness
from explainers.stylespace.perceptual import (
    LearnedFeatures,
    autoencoder_features,
    classifier_features,
    lpips_features,
)
from explainers.stylespace.projection import ProjectionSettings, project, style_centre
from explainers.stylespace.ranges import style_ranges

SHAPE = StyleGANShape(size=16, channel_base=64, channel_limit=8, latent=6, n_mapping=2)
QUICK = ProjectionSettings(n_steps=60, batch_size=2)


class Mean:
    findings = ("Mass",)
    input_size = (16, 16)
    input_range = (0.0, 1.0)
    weights_digest = "mean"

    def logits(self, images: Tensor) -> Tensor:
        return 10 * images.mean(dim=(2, 3)) - 5

    def probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)


@pytest.fixture
def generator() -> Generator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Generator(SHAPE).eval().requires_grad_(False)


def _films(generator: Generator, n: int) -> Tensor:
    z = torch.randn(n, SHAPE.latent, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        return to_brightness(generator(z) / 3)


def test_films_are_found_again_far_better_than_the_mean(generator: Generator) -> None:
    ranges = style_ranges(generator, n_samples=300)
    films = _films(generator, 2)
    found = project(generator, Mean(), films, ranges, settings=QUICK)
    with torch.no_grad():
        mean = to_brightness(generator.synthesise(ranges.mean[None]))
    at_first = ((mean - films).abs().mean(dim=(1, 2, 3)) * 255).numpy()
    assert found.styles.shape == (2, generator.n_styles)
    assert (found.mae < 0.35 * at_first).all()
    assert (np.abs(found.shift) < 0.1).all()
    assert found.faithful(0, max_mae=100, max_shift=0.2).all()
    assert not found.faithful(0, max_mae=0, max_shift=0.2).any()


def test_a_film_is_found_alike_alone_and_among_others(generator: Generator) -> None:
    ranges = style_ranges(generator, n_samples=300)
    films = _films(generator, 2)
    settings = ProjectionSettings(n_steps=10, batch_size=2)
    both = project(generator, Mean(), films, ranges, settings=settings)
    alone = project(generator, Mean(), films[1:], ranges, settings=settings)
    assert torch.allclose(both.styles[1:], alone.styles, atol=1e-3)


def test_a_start_is_used_and_progress_is_told(generator: Generator) -> None:
    ranges = style_ranges(generator, n_samples=300)
    z = torch.randn(1, SHAPE.latent, generator=torch.Generator().manual_seed(4))
    styles = generator.styles(generator.latents(z))
    film = generator.synthesise(styles) / 2 + 0.5
    told: list[tuple[int, int]] = []
    settings = ProjectionSettings(n_steps=2, learning_rate=1e-6)
    found = project(
        generator, Mean(), film, ranges, settings=settings, start=styles,
        on_progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert torch.allclose(found.styles, styles, atol=1e-3)
    assert told == [(1, 2), (2, 2)]


def test_the_centre_is_the_mean_and_spread_of_all_samples(generator: Generator) -> None:
    kept, streamed = (
        style_ranges(generator, n_samples=3000),
        style_centre(generator, n_samples=3000),
    )
    for name in ("low", "high", "mean", "spread"):
        assert torch.allclose(getattr(kept, name), getattr(streamed, name), atol=1e-4), name
    with pytest.raises(ExplainerError, match="at least two"):
        style_centre(generator, n_samples=1)


def test_every_term_pulls_towards_what_it_compares(generator: Generator) -> None:
    """Alone, a term's own distance falls; a discriminator sees each film alone."""
    ranges, films = style_centre(generator, n_samples=300), _films(generator, 2)
    halves: list[int] = []

    def maps(images: Tensor) -> list[Tensor]:
        return [torch.cat([images, 1 - images], dim=1)]

    def judge(images: Tensor) -> Tensor:
        halves.append(len(images))
        return images.mean(dim=(1, 2, 3))

    settings = ProjectionSettings(features=1.0, discriminator=0.01, n_steps=10, batch_size=2)
    learned = LearnedFeatures(maps, (torch.tensor([1.0, 0.0]).reshape(2, 1, 1),))
    for features in (maps, learned):
        found = project(
            generator, Mean(), films, ranges, settings=settings, features=features,
            discriminator=judge,
        )  # type: ignore[arg-type]  # fmt: skip
        assert found.mae.max() < 60
    assert set(halves) == {1}


def test_half_precision_finds_nearly_the_same(generator: Generator) -> None:
    ranges, films = style_centre(generator, n_samples=300), _films(generator, 1)
    whole, half = (
        project(
            generator, Mean(), films, ranges,
            settings=ProjectionSettings(n_steps=15, half_precision=how),
        )
        for how in (False, True)
    )  # fmt: skip
    assert abs(float(whole.mae[0] - half.mae[0])) < 2


def test_features_come_from_our_networks_and_lpips_only_where_it_lies(tmp_path: Path) -> None:
    network = build_classifier("smaller", 1)
    classifier = OurClassifier(
        network, ("Mass",), (32, 32), Calibration.identity(1), architecture="smaller"
    )
    assert len(classifier_features(classifier)(torch.rand(1, 1, 16, 16))) == 4
    with pytest.raises(ExplainerError, match="small and smaller"):
        classifier_features(Mean())

    class Shrinking:
        input_size, latent_shape, weights_digest = (16, 16), (1, 8, 8), ""

        def encode(self, images: Tensor) -> Tensor:
            return images[:, :, ::2, ::2]

        def decode(self, latents: Tensor) -> Tensor:
            return latents

    assert autoencoder_features(Shrinking())(torch.rand(2, 1, 16, 16))[0].shape == (2, 1, 8, 8)
    with pytest.raises(ExplainerError, match="LPIPS was asked for"):
        lpips_features(tmp_path)


def test_what_cannot_be_projected_is_said(generator: Generator) -> None:
    ranges = style_ranges(generator, n_samples=300)
    with pytest.raises(ExplainerError, match="draws films of 16 × 16"):
        project(generator, Mean(), torch.zeros(1, 1, 8, 8), ranges)
    with pytest.raises(ExplainerError, match="finite numbers"):
        project(generator, Mean(), torch.full((1, 1, 16, 16), torch.nan), ranges, settings=QUICK)
    with pytest.raises(ExplainerError, match="Stopped after 0"):
        project(generator, Mean(), _films(generator, 1), ranges, cancelled=lambda: True)
