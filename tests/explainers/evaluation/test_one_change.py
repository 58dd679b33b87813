from dataclasses import replace

import numpy as np
import pytest
import torch

from explainers.base import ExplainerError
from explainers.evaluation.one_change import mean_changes, one_change_method
from explainers.generators.paired import Contrast, PairedGenerators, PairedShape
from tests.support.bright_square import FINDING, SIDE, SquareSeer, squares

CONTRASTS = (Contrast(FINDING, 0),)


class PatternPair(PairedGenerators):
    """Adds one pattern to every image of side 0 and takes it from every one of side 1."""

    def __init__(self):
        super().__init__("syce", PairedShape(SIDE, (4, 8)), CONTRASTS)
        self.pattern = torch.zeros(1, SIDE, SIDE)
        self.pattern[:, 6:10, 6:10] = 0.6

    def adversarial(self, images, contrasts, side):
        return images + (self.pattern if side == 0 else -self.pattern)


def test_a_pair_that_draws_one_pattern_is_no_better_than_its_mean_change():
    pair, images = PatternPair(), squares()
    changes = mean_changes(pair, SquareSeer(), images, CONTRASTS)
    assert torch.allclose(changes[FINDING, 0], pair.pattern, atol=1e-6)
    assert torch.allclose(changes[FINDING, 1], -pair.pattern, atol=1e-6)
    method = one_change_method("SyCE", pair, SquareSeer(), images, CONTRASTS)
    assert method.label == "SyCE, one change for all" and "no finding" in method.note
    rows = images.rows("train")
    x = images.image_batch(rows[rows % 2 == 0][:5])  # without a square
    made = method.translate(x, CONTRASTS[0], 0)
    assert made.maps.shape == (5, SIDE, SIDE) and np.ptp(made.maps, axis=0).max() == 0
    assert (SquareSeer().logits(made.adversarial)[:, 0] > 0).all()
    assert made.adversarial.max() <= 1 and torch.equal(made.stable, x)


def test_the_mean_change_is_measured_once_and_only_where_it_is_asked_for():
    class Counting(PatternPair):
        n_passes = 0

        def adversarial(self, images, contrasts, side):
            self.n_passes += 1
            return super().adversarial(images, contrasts, side)

    pair, images = Counting(), squares()
    method = one_change_method("SyCE", pair, SquareSeer(), images, CONTRASTS)
    assert pair.n_passes == 0
    x = images.image_batch(images.rows("train")[:4])
    for _ in range(3):
        method.translate(x, CONTRASTS[0], 0)
    assert pair.n_passes == 2  # a batch of each side


def test_a_split_without_images_of_a_side_is_refused():
    dark = squares()
    dark = replace(dark, images=np.minimum(dark.images, 90))
    with pytest.raises(ExplainerError, match="No image of the val split is on side 1"):
        mean_changes(PatternPair(), SquareSeer(), dark, CONTRASTS)
    with pytest.raises(ExplainerError, match="No image of the test split"):
        mean_changes(PatternPair(), SquareSeer(), dark, CONTRASTS, split="test")
