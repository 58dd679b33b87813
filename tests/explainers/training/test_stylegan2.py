"""Training StyleGAN2: it resumes bit by bit, learns, warns, and leaves a card."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from commands.train import command
from explainers.base import ExplainerError
from explainers.classifiers.calibration import Calibration
from explainers.classifiers.networks import build_classifier
from explainers.classifiers.ours import OurClassifier, save_classifier
from explainers.generators.stylegan2 import Discriminator, Generator, StyleGANShape, doubled
from explainers.training.augmentation import adapted, augmented
from explainers.training.films import Films
from explainers.training.growing import grow
from explainers.training.loop import EpochRecord, LoopSettings, TrainingInterrupted
from explainers.training.state import write_state
from explainers.training.stylegan2 import (
    FRECHET,
    PRECISION,
    RECALL,
    SIGN,
    STRENGTH,
    StyleGANSettings,
    collapse_warnings,
    load_generator,
    train_stylegan2,
)

SHAPE = StyleGANShape(size=32, channel_base=128, channel_limit=8, latent=8, n_mapping=2)
SETTINGS = LoopSettings(epochs=3, batch_size=4, learning_rate=2e-3, half_precision=False)
OPTIONS = StyleGANSettings(path_length=2.0, path_every=2, r1_every=2, n_measured=8)


def _features() -> OurClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = build_classifier("smaller", 2)
    return OurClassifier(
        network, ("Mass", "Effusion"), (32, 32), Calibration.identity(2), architecture="smaller"
    )


def _train(films: Films, folder: Path, **more: object) -> tuple[torch.nn.Module, object]:
    return train_stylegan2(
        films, SETTINGS, folder, shape=SHAPE, features=_features(), clock=lambda: 0.0,
        options=OPTIONS, validate_every=4, **more,
    )  # type: ignore[arg-type]  # fmt: skip


def test_an_interrupted_run_ends_with_the_same_bits(films: Films, tmp_path: Path) -> None:
    whole, run = _train(films, tmp_path / "whole")
    calls = iter([False] * 4 + [True])
    with pytest.raises(TrainingInterrupted):
        _train(films, tmp_path / "parts", cancelled=lambda: next(calls))
    parts, again = _train(films, tmp_path / "parts")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    assert again.history == run.history  # type: ignore[attr-defined]
    assert (tmp_path / "whole" / "samples.png").is_file()


def test_a_checkpoint_of_other_settings_is_not_continued(films: Films, tmp_path: Path) -> None:
    _train(films, tmp_path)
    with pytest.raises(ExplainerError, match="other cases or settings"):
        train_stylegan2(
            films, SETTINGS, tmp_path, shape=SHAPE, features=_features(), clock=lambda: 0.0,
            options=StyleGANSettings(r1=7.0, n_measured=8),
        )  # fmt: skip


def test_films_of_another_size_are_refused(films: Films, tmp_path: Path) -> None:
    with pytest.raises(ExplainerError, match="use the same size"):
        train_stylegan2(
            films, SETTINGS, tmp_path, shape=StyleGANShape(size=64, channel_base=128),
            features=_features(), clock=lambda: 0.0,
        )  # fmt: skip


def test_the_command_leaves_weights_card_and_samples(case_set: Path, tmp_path: Path) -> None:
    save_classifier(tmp_path / "features.safetensors", _features())
    out = tmp_path / "generator.safetensors"
    arguments = [
        "stylegan2", "--cases", str(case_set), "--out", str(out), "--size", "32", "--epochs", "1",
        "--batch-size", "4", "--validation-share", "0.3", "--work", str(tmp_path / "work"),
        "--channel-base", "128", "--channel-limit", "8", "--features",
        str(tmp_path / "features.safetensors"),
    ]  # fmt: skip
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["kind"] == "stylegan2"
    assert card["held_out"]["frechet"] >= 0
    assert "Fréchet distance" in out.with_suffix(".md").read_text()
    generator = load_generator(out)
    assert generator(torch.randn(2, generator.shape.latent)).shape == (2, 1, 32, 32)
    assert not any(parameter.requires_grad for parameter in generator.parameters())


def test_no_strength_is_no_augmentation_and_the_heart_is_never_mirrored() -> None:
    images = torch.zeros(64, 1, 16, 16)
    images[:, :, :, 12:] = 1
    assert augmented(images, 0.0, torch.Generator()) is images
    changed = augmented(images, 1.0, torch.Generator().manual_seed(0))
    left, right = changed[..., :8].mean(dim=(1, 2, 3)), changed[..., 8:].mean(dim=(1, 2, 3))
    assert not torch.equal(changed, images)
    assert (right > left).all()


def test_augmentation_lets_gradients_through() -> None:
    images = torch.rand(2, 1, 8, 8, requires_grad=True)
    augmented(images, 1.0, torch.Generator().manual_seed(1)).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_the_strength_follows_the_sign_and_stays_in_range() -> None:
    assert adapted(0.2, 0.9, target=0.6, step=0.05) == pytest.approx(0.25)
    assert adapted(0.2, 0.1, target=0.6, step=0.05) == pytest.approx(0.15)
    assert adapted(0.0, 0.1, target=0.6, step=0.05) == 0.0
    assert adapted(0.8, 1.0, target=0.6, step=0.05) == 0.8


def _record(step: int, frechet: float, recall: float, sign: float) -> EpochRecord:
    figures = {FRECHET: frechet, PRECISION: 0.5, RECALL: recall, SIGN: sign, STRENGTH: 0.0}
    return EpochRecord(1, step, 0.0, math.nan, figures)


def test_a_run_that_goes_wrong_says_so() -> None:
    healthy = tuple(_record(step, 10.0 - step, 0.4, 0.5) for step in range(5))
    assert collapse_warnings(healthy) == ()
    assert collapse_warnings(()) == ()
    assert "collapsed" in collapse_warnings((*healthy, _record(6, 6.0, 0.0, 0.5)))[0]
    assert "gets worse" in collapse_warnings((*healthy, _record(6, 20.0, 0.4, 0.5)))[0]
    assert "by heart" in collapse_warnings((*healthy, _record(6, 6.0, 0.4, 0.99)))[0]


def test_a_larger_generator_begins_with_the_pictures_of_the_smaller_one(tmp_path: Path) -> None:
    small, large = _shape(16), _shape(32)
    generator, judge = Generator(small), Discriminator(small)
    path = tmp_path / "state.safetensors"
    write_state(path, "any", {"generator": generator, "discriminator": judge}, {}, {})
    grown, grown_judge = Generator(large), Discriminator(large)
    grow(path, {"generator": grown, "discriminator": grown_judge})
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(grown(z), doubled(generator(z)), atol=1e-6)
    kept = judge.blocks[1].first.weight, grown_judge.blocks[2].first.weight  # type: ignore[union-attr]
    assert torch.equal(*kept)  # type: ignore[arg-type]
    with pytest.raises(ExplainerError, match="below 16 px"):
        grow(path, {"generator": Generator(small)})
    with pytest.raises(ExplainerError, match="same --channel-base"):
        grow(path, {"generator": Generator(StyleGANShape(32, 128, 4, latent=8, n_mapping=2))})


def _shape(size: int) -> StyleGANShape:
    return StyleGANShape(size=size, channel_base=128, channel_limit=8, latent=8, n_mapping=2)
