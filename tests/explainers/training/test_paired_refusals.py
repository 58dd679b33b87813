"""What the trainers of pairs and masks refuse, and how they end when they cannot go on."""

from dataclasses import replace

import pytest

from explainers.base import ExplainerError
from explainers.generators.mgen import MaskShape
from explainers.generators.paired import Contrast, PairedShape
from explainers.generators.vae import VAEShape
from explainers.training.divergence import TrainingDiverged
from explainers.training.loop import LoopSettings, TrainingInterrupted
from explainers.training.mgen import read_mask_weights, train_mgen
from explainers.training.paired import PairedSettings, train_paired
from explainers.training.paired_weights import read_weights
from explainers.training.state import STATE_FILE
from explainers.training.vae import train_vae
from tests.support.bright_square import FINDING, SIDE, SquareSeer, squares

SQUARE = Contrast(FINDING, 0)
SETTINGS = LoopSettings(
    epochs=1, batch_size=8, learning_rate=1e-3, half_precision=False, checkpoint_every_s=0
)


def trained(folder, contrast=SQUARE, size=SIDE, classifier=None, **more):
    return train_paired(
        "syce", squares(), classifier or SquareSeer(), (contrast,), SETTINGS, folder,
        shape=PairedShape(size, (4, 8)), weights=read_weights("films", "syce"),
        clock=iter(range(10**6)).__next__, validate_every=1000,
        options=PairedSettings(ema_steps=5), **more,
    )  # fmt: skip


def masked(folder, contrast=SQUARE, size=SIDE, classifier=None):
    return train_mgen(
        squares(), classifier or SquareSeer(), (contrast,), SETTINGS, folder,
        shape=MaskShape(size, (4, 8)), weights=read_mask_weights("films"),
        clock=iter(range(10**6)).__next__,
    )  # fmt: skip


def embedded(folder, contrast=SQUARE):
    return train_vae(
        squares(), SquareSeer(), (contrast,), SETTINGS, folder,
        shape=VAEShape(SIDE, (4, 8), 4, 1), clock=iter(range(10**6)).__next__,
    )  # fmt: skip


@pytest.mark.parametrize("train", [trained, masked, embedded])
def test_a_classifier_that_puts_every_image_in_one_class_is_refused_before_training(
    train, tmp_path
):
    with pytest.raises(
        ExplainerError, match=r"the same of all 48 images .*'Nothing'.* 0 on side 1"
    ):
        train(tmp_path, Contrast("Nothing", 1))
    assert not (tmp_path / STATE_FILE).exists()


@pytest.mark.parametrize("train", [trained, masked])
def test_networks_of_another_size_are_refused_before_training(train, tmp_path):
    with pytest.raises(ExplainerError, match="give all the same size"):
        train(tmp_path, size=2 * SIDE)

    class Larger(SquareSeer):
        input_size = (32, 32)

    with pytest.raises(ExplainerError, match=r"classifier of \(32, 32\)"):
        train(tmp_path, classifier=Larger())


class Breaking(SquareSeer):
    """Its logits are no numbers after so many calls, as of generators that ran away."""

    def __init__(self, n_calls):
        super().__init__()
        self.n_left = n_calls

    def logits(self, images):
        self.n_left -= 1
        found = super().logits(images)
        return found if self.n_left > 0 else found * float("nan")


def n_calls_of(n_steps, tmp_path):
    """How often sorting the images and ``n_steps`` steps ask the classifier."""

    class Counting(SquareSeer):
        n_calls = 0

        def logits(self, images):
            type(self).n_calls += 1
            return super().logits(images)

    steps = iter([False] * (n_steps - 1) + [True])
    with pytest.raises(TrainingInterrupted):
        trained(tmp_path, classifier=Counting(), cancelled=steps.__next__)
    return Counting.n_calls


def test_a_training_that_diverges_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    n_calls = n_calls_of(3, tmp_path / "counted")
    with pytest.raises(
        TrainingDiverged,
        match=r"loss 'generator 0' is nan at step 3.*state\.safetensors, is kept.*--fresh.*0\.001",
    ):
        trained(tmp_path, classifier=Breaking(n_calls + 1))
    with pytest.raises(TrainingInterrupted, match="after step 4"):  # goes on from step 3
        trained(tmp_path, cancelled=lambda: True)


def test_a_training_that_diverges_at_once_says_that_nothing_was_kept(tmp_path):
    class Dark(SquareSeer):
        """Sees no generated image, and says so with infinity."""

        def logits(self, images):
            found = super().logits(images)
            return found * float("inf") if images.requires_grad else found

    with pytest.raises(TrainingDiverged, match="at step 0: the training stopped, there is no"):
        trained(tmp_path, classifier=Dark())
    assert not (tmp_path / STATE_FILE).exists()


def test_a_checkpoint_of_another_size_is_refused(tmp_path):
    with pytest.raises(TrainingInterrupted):
        trained(tmp_path, cancelled=lambda: True)
    with pytest.raises(ExplainerError, match=r"other cases or settings.*--fresh"):
        train_paired(
            "syce", squares(), SquareSeer(), (SQUARE,), SETTINGS, tmp_path,
            shape=replace(PairedShape(SIDE, (4, 8)), channels=(4, 12)),
            weights=read_weights("films", "syce"), clock=iter(range(10**6)).__next__,
            validate_every=1000,
        )  # fmt: skip
