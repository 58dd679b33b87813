"""The first guess of a projection: it is learnt, resumed, kept, and belongs to one generator."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from explainers.base import ExplainerError
from explainers.generators.stylegan2 import Discriminator, Generator, StyleGANShape, to_brightness
from explainers.stylespace.encoder import load_encoder, principal_directions
from explainers.training.films import Films
from explainers.training.loop import LoopSettings, TrainingInterrupted
from explainers.training.publish_stylegan2_encoder import publish_encoder
from explainers.training.state import STATE_FILE, write_state
from explainers.training.stylegan2 import save_generator
from explainers.training.stylegan2_discriminator import (
    discriminator_path,
    load_discriminator,
    publish_discriminator,
    recovered_discriminator,
)
from explainers.training.stylegan2_encoder import EncoderSettings, train_encoder

SHAPE = StyleGANShape(size=16, channel_base=64, channel_limit=8, latent=6, n_mapping=2)
SETTINGS = LoopSettings(epochs=2, batch_size=8, learning_rate=3e-3, half_precision=False)
OPTIONS = EncoderSettings(n_directions=4, n_measured=8)


@pytest.fixture(scope="module")
def generator() -> Generator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Generator(SHAPE).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def films(generator: Generator) -> Films:
    """Samples of the generator itself, as films."""
    n = 60
    z = torch.randn(n, SHAPE.latent, generator=torch.Generator().manual_seed(9))
    images = (to_brightness(generator(z))[:, 0] * 255).round().byte().numpy()
    names = np.array([f"{number}" for number in range(n)])
    return Films(
        findings=("Mass",),
        images=images,
        masks=np.zeros(images.shape, np.uint16),
        labels=np.zeros((n, 1), np.float32),
        case_ids=names,
        patient_ids=names,
        splits=np.array(["train"] * 40 + ["val"] * 10 + ["test"] * 10),
        removed=np.full(n, -1, np.int64),
        digest="samples",
        sources=(),
        simulated=False,
    )


def _train(generator: Generator, films: Films, folder: Path, **more: object) -> tuple:  # type: ignore[type-arg]
    return train_encoder(
        generator, "digest", films, SETTINGS, folder, clock=lambda: 0.0, options=OPTIONS, **more
    )  # type: ignore[arg-type]


def test_the_directions_are_those_along_which_styles_vary(generator: Generator) -> None:
    mean, directions = principal_directions(generator, 100)
    assert directions.shape == (SHAPE.latent, generator.n_styles)  # S is an affine map of w
    inner = directions @ directions.T
    assert torch.allclose(inner, torch.diag(inner.diag()), atol=1e-3)
    assert (inner.diag().diff() < 0).all()
    styles = generator.styles(generator.latents(torch.randn(5, SHAPE.latent)))
    places = (styles - mean) @ directions.T / inner.diag()
    assert torch.allclose(mean + places @ directions, styles, atol=1e-3)


def test_an_interrupted_training_ends_with_the_same_encoder_and_learns(
    generator: Generator, films: Films, tmp_path: Path
) -> None:
    whole, run = _train(generator, films, tmp_path / "whole")
    calls = iter([False] * 3 + [True])
    with pytest.raises(TrainingInterrupted):
        _train(generator, films, tmp_path / "parts", cancelled=lambda: next(calls))
    parts, _ = _train(generator, films, tmp_path / "parts")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    assert run.history[-1].loss < run.history[0].loss


def test_an_encoder_is_published_read_and_bound_to_its_generator(
    generator: Generator, films: Films, tmp_path: Path
) -> None:
    settings = LoopSettings(epochs=1, batch_size=8, half_precision=False)
    encoder, run = train_encoder(
        generator, "one", films, settings, tmp_path / "work", clock=lambda: 0.0, options=OPTIONS
    )
    path = tmp_path / "encoder.safetensors"
    figures = publish_encoder(
        path, encoder, generator, run, films, settings, created="2026-11-21", options=OPTIONS
    )
    assert figures.n_films == 10
    assert json.loads(path.with_suffix(".json").read_text())["kind"] == "stylegan2_encoder"
    saved = load_encoder(path, generator_digest="one")
    image = films.image_batch(np.array([3]))
    assert torch.allclose(saved(image), encoder(image), atol=0.05)
    with pytest.raises(ExplainerError, match="not for two"):
        load_encoder(path, generator_digest="two")
    with pytest.raises(ExplainerError, match="reads films of 16 × 16"):
        saved(torch.zeros(1, 1, 8, 8))


def test_films_of_another_size_are_refused(films: Films, tmp_path: Path) -> None:
    larger = Generator(StyleGANShape(32, 64, 4, latent=6, n_mapping=1))
    with pytest.raises(ExplainerError, match="use --size 32"):
        _train(larger, films, tmp_path)


def test_the_discriminator_of_a_training_lies_beside_its_generator(
    generator: Generator, tmp_path: Path
) -> None:
    judge, folder = Discriminator(SHAPE), tmp_path / "work"
    folder.mkdir()
    write_state(folder / STATE_FILE, "print", {"discriminator": judge}, {}, {})
    file = tmp_path / "films.safetensors"
    digest = save_generator(file, generator)
    path = publish_discriminator(file, folder)
    assert path == discriminator_path(file) == tmp_path / "films-discriminator.safetensors"
    saved = load_discriminator(path, generator_digest=digest)
    images = torch.randn(2, 1, 16, 16)
    assert torch.allclose(saved(images), judge(images), atol=0.05)
    with pytest.raises(ExplainerError, match="not with other"):
        load_discriminator(path, generator_digest="other")
    with pytest.raises(ExplainerError, match="no discriminator of 32 px"):
        recovered_discriminator(folder / STATE_FILE, StyleGANShape(32, 64, 4, latent=6))
