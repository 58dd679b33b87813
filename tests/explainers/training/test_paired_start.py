"""A pair begins by imitating a structure/class generator; a training takes its generators over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from explainers.base import ExplainerError
from explainers.generators.paired import Contrast, PairedGenerators, PairedShape
from explainers.training.contrasts import Judge, pools_of
from explainers.training.jitter import jittered
from explainers.training.loop import LoopSettings
from explainers.training.paired import train_paired
from explainers.training.paired_start import (
    DrawnPairs,
    draw_pairs,
    imitated_pairs,
    train_paired_start,
)
from explainers.training.paired_weights import read_weights
from tests.support.bright_square import FINDING, MIDDLE, SIDE, SquareSeer, squares

SHAPE = PairedShape(SIDE, (8, 16), 1)
CONTRASTS = (Contrast(FINDING, 0),)
ONE_LABEL = np.ones((4, 1), np.float32)


class Squares:
    """A chest is a grey level; the finding is a square as bright as |z2| says."""

    findings = (FINDING,)
    structure_size, block_size = 2, 3

    def __init__(self, gain: float = 0.3) -> None:
        self.gain = gain

    def target(self, finding: str) -> int:
        return self.findings.index(finding)

    def decode(self, z1: Tensor, z2: Tensor) -> Tensor:
        images = (0.3 + 0.03 * z1[:, :1, None, None]).repeat(1, 1, SIDE, SIDE)
        images[:, 0, MIDDLE, MIDDLE] += self.gain * z2.norm(dim=2)[:, :, None]
        return images


def drawn(gain: float = 0.3, n: int = 60) -> DrawnPairs:
    judge = Judge(SquareSeer(), CONTRASTS)
    return draw_pairs(Squares(gain), judge, ONE_LABEL, n, seed=1)  # type: ignore[arg-type]


def test_drawn_pairs_differ_by_the_finding_alone_and_the_usual_one_is_always_the_same() -> None:
    pairs = drawn()
    assert len(pairs.contrasts) > 20
    faint = (pairs.faint.astype(int) - pairs.without)[:, SIDE // 2, SIDE // 2]
    whole = (pairs.drawn.astype(int) - pairs.without)[:, SIDE // 2, SIDE // 2]
    np.testing.assert_allclose(faint, 0.15 * whole, atol=1)
    outside = np.ones((SIDE, SIDE), bool)
    outside[MIDDLE, MIDDLE] = False
    assert (pairs.usual[:, outside] == pairs.without[:, outside]).all()
    added = pairs.usual.astype(int) - pairs.without
    assert np.ptp(added[:, SIDE // 2, SIDE // 2]) <= 1  # rounding
    assert np.ptp((pairs.drawn.astype(int) - pairs.without)[:, SIDE // 2, SIDE // 2]) > 5


def test_a_generator_that_never_turns_the_classifier_is_refused() -> None:
    with pytest.raises(ExplainerError, match="turned on none of 8 drawn chests"):
        drawn(gain=0.0, n=8)


def test_a_started_pair_adds_and_removes_and_a_training_begins_there(tmp_path) -> None:
    settings = LoopSettings(
        epochs=30, batch_size=8, learning_rate=1e-2, ema_decay=0.9, half_precision=False
    )
    clock = iter(range(10**6)).__next__
    pair, _ = train_paired_start(
        "syce", drawn(), CONTRASTS, "seer", settings, tmp_path / "start", shape=SHAPE, clock=clock
    )
    unseen = draw_pairs(Squares(), Judge(SquareSeer(), CONTRASTS), ONE_LABEL, 16, seed=2)
    judge, contrasts = Judge(SquareSeer(), CONTRASTS), torch.zeros(8, dtype=torch.long)
    for side, images in enumerate((unseen.without, unseen.drawn)):
        with torch.no_grad():
            made = pair.adversarial(
                torch.from_numpy(images[:8, None] / 255).float(), contrasts, side
            )
        assert ((judge.margins(made, contrasts) >= 0) == (1 - side)).float().mean() >= 0.75

    weights = read_weights("films", "cyce")
    more = {"shape": SHAPE, "weights": weights, "clock": clock, "validate_every": 1000}
    one_step = LoopSettings(epochs=0.01, batch_size=8, learning_rate=1e-6, half_precision=False)
    trained, _ = train_paired(
        "cyce", squares(), SquareSeer(), CONTRASTS, one_step, tmp_path / "cyce",
        begin_with=pair, **more,
    )  # fmt: skip
    for ours, theirs in zip(
        trained.generators.parameters(), pair.generators.parameters(), strict=True
    ):
        assert torch.allclose(ours, theirs, atol=1e-4)
    other = PairedGenerators("syce", PairedShape(SIDE, (8, 8), 1), CONTRASTS)
    with pytest.raises(ExplainerError, match="The pair to begin with is a SyCE"):
        train_paired(
            "cyce", squares(), SquareSeer(), CONTRASTS, one_step, tmp_path / "no",
            begin_with=other, **more,
        )  # fmt: skip


def test_other_pairs_are_another_training() -> None:
    one, other = drawn(n=8), drawn(n=8)
    assert one.digest == other.digest
    faint = one.faint.copy()
    faint[0, 0, 0] ^= 1
    assert replace(one, faint=faint).digest != one.digest


class Shaded(PairedGenerators):
    """A trained pair: it brightens or darkens the middle."""

    def __init__(self) -> None:
        super().__init__("cyce", SHAPE, CONTRASTS)

    def adversarial(self, images: Tensor, contrasts: Tensor, side: int) -> Tensor:
        made = images.clone()
        made[:, :, MIDDLE, MIDDLE] = 0.3 if side else 0.9
        return made


def test_a_trained_pair_is_imitated_on_films_but_for_a_faint_rest(tmp_path) -> None:
    source, judge = squares(), Judge(SquareSeer(), CONTRASTS)
    pools = pools_of(judge, source, source.rows("train"))
    pairs = imitated_pairs(Shaded(), judge, source, pools, 24, seed=3)
    assert len(pairs.contrasts) == 24
    known = {image.tobytes() for image in source.images}
    for whole in (pairs.without, pairs.drawn):
        assert all(image.tobytes() in known for image in whole)
    middle = (slice(None), SIDE // 2, SIDE // 2)
    assert (np.abs(pairs.usual[middle] - 0.9 * 255) <= 1).all()
    rest = 0.3 * 255 + 0.15 * (pairs.drawn[middle].astype(float) - 0.3 * 255)
    np.testing.assert_allclose(pairs.faint[middle], rest, atol=1)
    assert (pairs.faint[:, 0] == pairs.drawn[:, 0]).all()

    settings = LoopSettings(epochs=1, batch_size=8, learning_rate=1e-9, half_precision=False)
    trained = PairedGenerators("cyce", SHAPE, CONTRASTS)
    clock = iter(range(10**6)).__next__
    begun, _ = train_paired_start(
        "syce", pairs, CONTRASTS, "seer", settings, tmp_path, shape=SHAPE, clock=clock,
        begin_with=trained,
    )  # fmt: skip
    assert begun.system.name == "syce"
    for ours, theirs in zip(
        begun.generators.parameters(), trained.generators.parameters(), strict=True
    ):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_pair_that_turns_no_film_is_not_imitated() -> None:
    source, judge = squares(), Judge(SquareSeer(), CONTRASTS)
    pools = pools_of(judge, source, source.rows("train"))
    idle = PairedGenerators("cyce", SHAPE, CONTRASTS)  # returns its input
    with pytest.raises(ExplainerError, match="CyCE turns Square on none of 8 films"):
        imitated_pairs(idle, judge, source, pools, 8, seed=3)


def test_a_pair_of_other_contrasts_or_another_size_is_not_imitated() -> None:
    source, judge = squares(), Judge(SquareSeer(), CONTRASTS)
    pools = pools_of(judge, source, source.rows("train"))
    other = PairedGenerators("cyce", SHAPE, (Contrast("Nothing", 1),))
    with pytest.raises(ExplainerError, match=r"16 pixels for Nothing.*Square was asked for"):
        imitated_pairs(other, judge, source, pools, 8, seed=3)
    larger = PairedGenerators("cyce", PairedShape(2 * SIDE, (8, 16), 1), CONTRASTS)
    with pytest.raises(ExplainerError, match=r"one of 32 pixels.*the films have 16 pixels"):
        imitated_pairs(larger, judge, source, pools, 8, seed=3)


def test_jitter_moves_all_images_alike_and_lets_gradients_through() -> None:
    images = torch.rand(2, 1, 9, 9, requires_grad=True)
    assert jittered(images, 0, 0.0, torch.Generator()) is images
    seen = {
        tuple(jittered(images, 1, 0.0, torch.Generator().manual_seed(k))[0, 0, 4, :].tolist())
        for k in range(40)
    }
    assert len(seen) == 9  # three rows, three columns
    noisy = jittered(images, 2, 0.1, torch.Generator().manual_seed(0))
    noisy.sum().backward()
    assert noisy.shape == images.shape and images.grad is not None
    assert images.grad.sum() == pytest.approx(images.numel())
