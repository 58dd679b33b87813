"""Training of the WGAN: its penalty, its rhythm, resuming, warnings, and arrays of digits."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from explainers.base import ExplainerError
from explainers.generators.wgan import WGAN, Critic, Encoder, Generator, WGANShape, save_wgan
from explainers.training.adversarial import AdversarialRun
from explainers.training.images import ArrayImages
from explainers.training.loop import EpochRecord, LoopSettings, TrainingInterrupted
from explainers.training.stylegan2 import FRECHET, RECALL
from explainers.training.wgan import WGANSettings, WGANTask, gradient_penalty, train_wgan
from explainers.training.wgan_measures import (
    DISTANCE,
    PENALTY,
    SPREAD,
    TRAINING_DISTANCE,
    wgan_warnings,
)
from explainers.training.wgan_start import StartSettings, train_start, whitened

SHAPE = WGANShape(size=16, latent=4, channel_base=64, channel_limit=8, critic_base=64)
SETTINGS = LoopSettings(epochs=2, batch_size=8, learning_rate=1e-3, half_precision=False)
OPTIONS = WGANSettings(critic_steps=2, n_measured=8)


def images(n: int = 40) -> ArrayImages:
    """Grey squares of different brightness, three quarters of them for training."""
    levels = np.linspace(40, 220, n).astype(np.uint8)
    pictures = np.zeros((n, 16, 16), np.uint8)
    pictures[:, 4:12, 4:12] = levels[:, None, None]
    splits = np.array(["train", "train", "train", "val"] * (n // 4))
    return ArrayImages(pictures, splits, np.zeros(0, np.int64))


def _train(folder: Path, **more: object) -> tuple[nn.Module, AdversarialRun]:
    given: dict[str, object] = {"options": OPTIONS, "validate_every": 3, "shape": SHAPE, **more}
    return train_wgan(images(), SETTINGS, folder, clock=lambda: 0.0, **given)  # type: ignore[arg-type]


class _Linear(nn.Module):
    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.flatten(1) @ self.weight[:, None]


def test_the_penalty_of_a_linear_critic_is_its_norms_distance_from_one_squared() -> None:
    weight = torch.tensor([3.0, 0.0, 4.0, 0.0])
    critic = _Linear(weight)
    penalty = gradient_penalty(critic, torch.rand(5, 1, 2, 2), nullcontext)
    assert float(penalty.detach()) == pytest.approx(16.0)
    penalty.backward()
    assert critic.weight.grad is not None  # 2 (|w| − 1) w / |w|
    torch.testing.assert_close(critic.weight.grad, 2 * 4 * weight / 5)


def test_half_precision_changes_the_penalty_and_its_gradient_little() -> None:
    torch.manual_seed(0)
    critic, pictures = Critic(SHAPE), torch.rand(8, 1, 16, 16) * 2 - 1
    found = []
    for half in (False, True):
        critic.zero_grad()
        penalty = gradient_penalty(
            critic, pictures, lambda half=half: torch.autocast("cpu", torch.bfloat16, enabled=half)
        )
        penalty.backward()
        parts = [each.grad.flatten() for each in critic.parameters() if each.grad is not None]
        found.append((float(penalty.detach()), torch.cat(parts)))
    assert found[1][0] == pytest.approx(found[0][0], rel=0.05)
    assert float(torch.cosine_similarity(found[0][1], found[1][1], dim=0)) > 0.99


def test_an_interrupted_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, run = _train(tmp_path / "whole")
    calls = iter([False] * 2 + [True])
    with pytest.raises(TrainingInterrupted):
        _train(tmp_path / "parts", cancelled=lambda: next(calls))
    resumed, again = _train(tmp_path / "parts")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert run.history == again.history and run.step == 6
    assert (tmp_path / "whole" / "samples.png").is_file()


def test_other_settings_do_not_continue_a_checkpoint(tmp_path: Path) -> None:
    _train(tmp_path)
    with pytest.raises(ExplainerError, match="other cases or settings"):
        _train(tmp_path, options=replace(OPTIONS, penalty=5.0))


def test_the_generator_moves_once_per_critic_steps_and_not_before_critic_first(
    tmp_path: Path,
) -> None:
    options = replace(OPTIONS, critic_steps=3, critic_first=4)
    task = WGANTask(images(), SHAPE, SETTINGS, options, folder=tmp_path)
    moved = []
    for number in range(9):
        before = task.generator.start.weight.detach().clone()
        task.step(number, task.rows[:8], torch.Generator().manual_seed(number))
        moved.append(not torch.equal(before, task.generator.start.weight))
    assert moved == [False] * 5 + [True, False, False, True]


def test_an_anchored_run_begins_with_a_decoder_and_its_encoder(tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=20, learning_rate=1e-2)
    begun, run = train_start(
        images(), settings, tmp_path / "start", shape=SHAPE, clock=lambda: 0.0,
        options=StartSettings(divergence=0.001, base=64),
    )  # fmt: skip
    assert run.history[-1].validation["MAE"] < 0.7 * run.history[0].validation["MAE"]
    save_wgan(tmp_path / "start.safetensors", begun)
    options = replace(OPTIONS, critic_first=100, anchor=5.0)
    kept, _ = _train(tmp_path / "a", options=options, begin_with=tmp_path / "start.safetensors")
    saved = begun.generator.state_dict()["start.weight"].half().float()
    torch.testing.assert_close(kept.state_dict()["generator.start.weight"], saved)
    _train(tmp_path / "b", options=replace(options, critic_first=0),
           begin_with=tmp_path / "start.safetensors")  # fmt: skip
    with pytest.raises(ExplainerError, match="use the same sizes"):
        _train(tmp_path / "c", begin_with=tmp_path / "start.safetensors",
               shape=replace(SHAPE, latent=5))  # fmt: skip


def test_whitening_leaves_reconstructions_and_makes_latents_standard() -> None:
    torch.manual_seed(2)
    noise = torch.randint(0, 255, (40, 16, 16), dtype=torch.uint8).numpy()
    source = replace(images(), images=noise)
    before = WGAN(Generator(SHAPE), Encoder(SHAPE))
    after = whitened(before, source, np.arange(40))
    pictures = source.image_batch(np.arange(40))
    torch.testing.assert_close(after(pictures), before(pictures), atol=2e-3, rtol=0)
    latents = after.encode(pictures)
    torch.testing.assert_close(latents.mean(dim=0), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cov(latents.T), torch.eye(4), atol=0.02, rtol=0)
    with pytest.raises(ExplainerError, match="needs 8 images"):
        whitened(before, source, np.arange(7))


def test_an_anchor_without_a_beginning_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExplainerError, match="needs a beginning"):
        _train(tmp_path, options=replace(OPTIONS, anchor=1.0))


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExplainerError, match="Images of 16 px and a generator of 32 px"):
        _train(tmp_path, shape=replace(SHAPE, size=32))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((4, 16, 16), np.float32), "uint8"),
        (np.zeros((4, 16, 12), np.uint8), "uint8"),
        (np.zeros((3, 16, 16), np.uint8), "3 images with 4 splits"),
    ],
)
def test_arrays_that_are_no_square_grey_images_are_refused(given: np.ndarray, message: str) -> None:
    with pytest.raises(ExplainerError, match=message):
        ArrayImages(given, np.array(["train"] * 4), np.zeros(0, np.int64))


@pytest.mark.parametrize(
    "bad", [{"critic_steps": 0}, {"penalty": -1.0}, {"beta2": 1.0}, {"anchor": -1.0}]
)
def test_settings_out_of_range_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ExplainerError, match="expected"):
        WGANSettings(**bad)  # type: ignore[arg-type]


def _history(**last: float) -> tuple[EpochRecord, ...]:
    good = {FRECHET: 1.0, RECALL: 0.5, DISTANCE: 4.0, TRAINING_DISTANCE: 5.0, PENALTY: 0.1,
            SPREAD: 0.2}  # fmt: skip
    records = [EpochRecord(i, i, 0.0, 0.0, good) for i in range(4)]
    return (*records, EpochRecord(4, 4, 0.0, 0.0, {**good, **last}))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (RECALL, 0.01, "collapsed"),
        (SPREAD, 0.01, "nearly one image"),
        (FRECHET, 2.0, "gets worse"),
        (PENALTY, 3.0, "Lipschitz"),
        (DISTANCE, 0.5, "by heart"),
    ],
)
def test_each_fault_of_a_run_is_said(name: str, value: float, said: str) -> None:
    (warning,) = wgan_warnings(_history(**{name: value}))
    assert said in warning


def test_a_good_run_is_not_warned_of() -> None:
    assert wgan_warnings(_history()) == () == wgan_warnings(())
