"""The shared loop: resuming is exact, stopping is safe, lengths are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.training.loop import (
    STATE_FILE,
    LoopSettings,
    StepReport,
    TrainingDiverged,
    TrainingInterrupted,
    TrainingRun,
    seeded,
    train,
)

SETTINGS = LoopSettings(epochs=2, batch_size=4, learning_rate=1e-2, seed=3, half_precision=False)


class Ticker:
    """A clock that advances by a second at every look."""

    def __init__(self, step_s: float = 1.0) -> None:
        self.now, self._step_s = 0.0, step_s

    def __call__(self) -> float:
        self.now += self._step_s
        return self.now


class LineTask:
    """Fit y = 2x − 1 through batch norm and a linear layer, with noise on every batch."""

    def __init__(self, scale: float = 1.0) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network: nn.Module = nn.Sequential(
                nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 1)
            )
        self.rows = np.arange(9, dtype=np.int64)  # two batches of four an epoch
        self.scale = scale

    def loss(self, rows: np.ndarray, generator: torch.Generator) -> Tensor:
        values = torch.from_numpy(rows / 9).float().view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
        noise = 0.1 * torch.randn(values.shape, generator=generator)
        wanted = 2 * values[:, 0, 0, :1] - 1
        return self.scale * (self.network(values + noise) - wanted).square().mean()

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        return {"level": float(network(torch.full((1, 1, 2, 2), 0.5)))}


def _run(folder: Path, **options: object) -> TrainingRun:
    arguments = {"fingerprint": "a", "clock": Ticker(), **options}
    return train(LineTask(), SETTINGS, folder, **arguments)  # type: ignore[arg-type]


def _after(n_steps: int) -> Callable[[], bool]:
    calls: list[int] = []

    def cancelled() -> bool:
        calls.append(1)
        return len(calls) >= n_steps

    return cancelled


def test_two_and_two_steps_give_the_bits_of_four(tmp_path: Path) -> None:
    whole = _run(tmp_path / "whole")
    with pytest.raises(TrainingInterrupted, match="after step 2"):
        _run(tmp_path / "parts", cancelled=_after(2))
    with pytest.raises(TrainingInterrupted, match="after step 3"):
        _run(tmp_path / "parts", cancelled=_after(1))
    parts = _run(tmp_path / "parts")
    assert whole.step == parts.step == 4
    expected = whole.network.state_dict()
    for name, value in parts.network.state_dict().items():
        assert torch.equal(value, expected[name]), name
    assert [record.loss for record in parts.history] == [record.loss for record in whole.history]


def test_an_interrupted_step_within_an_epoch_keeps_the_order_of_the_epoch(tmp_path: Path) -> None:
    with pytest.raises(TrainingInterrupted):
        _run(tmp_path / "parts", cancelled=_after(1))
    parts, whole = _run(tmp_path / "parts"), _run(tmp_path / "whole")
    assert parts.history[0].loss == whole.history[0].loss


def test_the_average_is_returned_in_evaluation_mode_and_differs_from_the_last_step(
    tmp_path: Path,
) -> None:
    task = LineTask()
    run = train(task, SETTINGS, tmp_path, fingerprint="a", clock=Ticker())
    assert not run.network.training
    last, average = task.network.state_dict(), run.network.state_dict()
    assert not torch.equal(last["3.weight"], average["3.weight"])


def test_the_global_random_state_is_left_alone(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    task = LineTask()
    train(task, SETTINGS, tmp_path, fingerprint="a", clock=Ticker())
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = _run(tmp_path)
    reports: list[StepReport] = []
    again = _run(tmp_path, on_step=reports.append)
    assert reports == []
    for name, value in again.network.state_dict().items():
        assert torch.equal(value, first.network.state_dict()[name])


def test_fresh_starts_again(tmp_path: Path) -> None:
    _run(tmp_path)
    reports: list[StepReport] = []
    _run(tmp_path, fresh=True, on_step=reports.append)
    assert [report.step for report in reports] == [1, 2, 3, 4]
    assert reports[-1].share == 1.0
    assert reports[-1].remaining_s == 0.0
    assert all(report.images_per_s > 0 for report in reports)


def test_a_length_in_minutes_follows_the_clock_over_interruptions(tmp_path: Path) -> None:
    settings = LoopSettings(minutes=0.5, batch_size=4, half_precision=False)
    with pytest.raises(TrainingInterrupted):
        train(LineTask(), settings, tmp_path, fingerprint="a", clock=Ticker(), cancelled=_after(3))
    run = train(LineTask(), settings, tmp_path, fingerprint="a", clock=Ticker())
    assert run.spent_s >= 30
    assert run.spent_s < 40


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    _run(tmp_path)
    with pytest.raises(ExplainerError, match=r"other cases or settings.*--fresh"):
        _run(tmp_path, fingerprint="b")


def test_a_damaged_checkpoint_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_bytes(b"half a file")
    with pytest.raises(ExplainerError, match=r"cannot be read.*--fresh"):
        _run(tmp_path)


def test_a_checkpoint_that_cannot_be_written_leaves_no_partial_file(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).mkdir()
    with pytest.raises(ExplainerError, match="could not be written"):
        _run(tmp_path, fresh=True)
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]


def test_a_diverging_loss_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match=r"step 0.*lower learning rate"):
        train(LineTask(float("inf")), SETTINGS, tmp_path, fingerprint="a", clock=Ticker())


class BreakingTask(LineTask):
    """From step ``at`` on the loss is a number and its gradient is none: sqrt at 0."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.n_losses = at, 0

    def loss(self, rows: np.ndarray, generator: torch.Generator) -> Tensor:
        self.n_losses += 1
        loss = super().loss(rows, generator)
        return loss + (0 * loss).sqrt() if self.n_losses > self.at else loss


def test_broken_weights_never_replace_the_last_good_checkpoint(tmp_path: Path) -> None:
    eager = LoopSettings(
        epochs=2, batch_size=4, learning_rate=1e-2, half_precision=False, checkpoint_every_s=0
    )
    with pytest.raises(TrainingDiverged, match=r"after step 3: .*state.safetensors, is kept"):
        train(BreakingTask(2), eager, tmp_path, fingerprint="a", clock=Ticker())
    task = LineTask()
    with pytest.raises(TrainingInterrupted, match="after step 3"):  # goes on from step 2
        train(task, eager, tmp_path, fingerprint="a", clock=Ticker(), cancelled=_after(1))
    assert all(value.isfinite().all() for value in task.network.state_dict().values())


def test_too_few_images_for_one_batch_are_refused(tmp_path: Path) -> None:
    settings = LoopSettings(epochs=1, batch_size=16)
    with pytest.raises(ExplainerError, match=r"at least one batch of 16 images; .* has 9"):
        train(LineTask(), settings, tmp_path, fingerprint="a", clock=Ticker())


@pytest.mark.parametrize(
    "settings",
    [{}, {"epochs": 1, "minutes": 1}, {"epochs": 0}, {"minutes": -1}, {"epochs": float("nan")}],
)
def test_a_run_has_exactly_one_positive_length(settings: dict[str, float]) -> None:
    with pytest.raises(ExplainerError, match="length of a training"):
        LoopSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [("batch_size", 1), ("learning_rate", 0.0)])
def test_other_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ExplainerError):
        LoopSettings(epochs=1, **{name: value})  # type: ignore[arg-type]


def test_generators_depend_on_seed_and_purpose() -> None:
    draws = [
        float(torch.rand(1, generator=seeded(*key)))
        for key in [(0, "order", 1), (0, "order", 1), (0, "order", 2), (1, "order", 1)]
    ]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3
