from dataclasses import replace

import numpy as np
import pytest
import torch

from data.digits import DIGITS, DigitSet
from explainers.base import ExplainerError
from explainers.counterfactual.paired import SyCE
from explainers.generators.paired import Contrast, PairedGenerators, PairedShape, load_paired
from explainers.record import Goal
from explainers.training.adversarial import AdversarialRun
from explainers.training.contrasts import EACH, named_contrasts
from explainers.training.image_sources import digit_images
from explainers.training.loop import LoopSettings
from explainers.training.paired import PairedSettings
from explainers.training.paired_figures import evaluate_paired
from explainers.training.paired_weights import PairedWeights
from explainers.training.publish_paired import publish_paired
from tests.support.bright_square import FINDING, MIDDLE, SIDE, SquareSeer, squares

CONTRASTS = (Contrast(FINDING, 0),)


class Truth(PairedGenerators):
    """Draws the square, or takes it away, and keeps the image as the stable one."""

    def adversarial(self, images, contrasts, side):
        made = images.clone()
        made[:, :, MIDDLE, MIDDLE] = 0.3 if side else 0.9
        return made

    def stable(self, images, adversarial, contrasts, side):
        return images


class Oracle(SquareSeer):
    """Sees no square that is darker than 0.95."""

    weights_digest = "square-oracle"

    def logits(self, images):
        return super().logits(images) - 9


class Ten(SquareSeer):
    """Ten classes that exclude each other: 8 with the square, 3 without."""

    findings = DIGITS

    def logits(self, images):
        seen = super().logits(images)[:, 0]
        logits = torch.full((len(images), 10), -9.0)
        logits[:, 3], logits[:, 8] = -seen, seen
        return logits

    def probabilities(self, logits):
        return torch.softmax(logits, dim=1)


def held_out():
    images = squares(n=40)
    return replace(images, splits=np.where(np.arange(40) < 10, "train", "test"))


def test_figures_say_what_both_classifiers_see_in_each_direction():
    pair = Truth("syce", PairedShape(SIDE, (4, 8)), CONTRASTS)
    figures = evaluate_paired(pair, held_out(), SquareSeer(), oracle=Oracle())
    off, on = figures.sides
    assert (off.side, on.side, off.n_images, on.n_images) == (0, 1, 15, 15)
    assert (off.adversarial, off.stable, on.adversarial, on.stable) == (0, 1, 0, 1)
    assert off.stable_error == 0 and off.change > 0.02
    assert off.oracle_turned == 0 and off.n_oracle == 15  # it sees no square of 0.9
    assert np.isnan(on.oracle_turned) and on.n_oracle == 0  # nor those that are there
    assert figures.mean("oracle_turned") == 0
    assert any("| mean | 30 | 0.000 | 1.000 |" in line for line in figures.lines())


def test_an_oracle_that_does_not_fit_and_a_split_without_images_are_refused():
    pair = Truth("syce", PairedShape(SIDE, (4, 8)), CONTRASTS)
    with pytest.raises(ExplainerError, match="the one that is explained"):
        evaluate_paired(pair, held_out(), SquareSeer(), oracle=SquareSeer())
    with pytest.raises(ExplainerError, match="turn Square at 16 px"):
        evaluate_paired(pair, held_out(), SquareSeer(), oracle=Ten_of_another_name())
    with pytest.raises(ExplainerError, match="no image in the val split"):
        evaluate_paired(pair, held_out(), SquareSeer(), split="val")


def Ten_of_another_name():  # noqa: N802
    ten = Ten()
    ten.weights_digest = "ten"
    return ten


def test_a_published_pair_has_a_card_with_its_figures(tmp_path):
    pair = PairedGenerators("syce", PairedShape(SIDE, (4, 8)), CONTRASTS, "square-seer")
    path = tmp_path / "pair.safetensors"
    publish_paired(
        path, pair, AdversarialRun(3, 0.5, 60.0, ()), held_out(), LoopSettings(epochs=0.5),
        created="2026-01-01T00:00:00+00:00", weights=PairedWeights(symmetry=10),
        options=PairedSettings(), classifier=SquareSeer(), oracle=Oracle(),
    )  # fmt: skip
    assert load_paired(path).contrasts == CONTRASTS
    card = path.with_suffix(".md").read_text()
    assert "SyCE, 2 U-Nets of 16 px" in card and "| Square, present | 15 |" in card
    assert "'symmetry': 10" in card and "bounds" in card
    assert path.with_suffix(".evaluation.json").is_file() and path.with_suffix(".json").is_file()


def test_contrasts_are_typed_as_findings_pairs_or_each_against_each():
    ten = Ten()
    assert named_contrasts("3-8", ten) == (Contrast("3 → 8", 8, 3),)
    assert len(named_contrasts("all", ten)) == 10 and len(named_contrasts(EACH, ten)) == 45
    assert named_contrasts("Nothing, Square", SquareSeer())[0] == Contrast("Nothing", 1)
    with pytest.raises(ExplainerError, match="no class 'x'; the classifier predicts 0, 1"):
        named_contrasts("x", ten)
    with pytest.raises(ExplainerError, match="twice"):
        named_contrasts("3,3", ten)
    with pytest.raises(ExplainerError, match="do not exclude each other"):
        named_contrasts("Square-Nothing", SquareSeer())


def test_a_goal_against_another_class_takes_the_contrast_of_the_two():
    ten = Ten()
    pair = Truth("syce", PairedShape(SIDE, (4, 8)), (Contrast("3 → 8", 8, 3),))
    images = held_out().image_batch(np.arange(2))  # a 3 and an 8
    goals = [Goal("3", against="8"), Goal("3", against="8")]
    three, eight = SyCE(classifier=ten, syce=pair).explain(images, goals)
    assert three.reached and three.origin == len(three.frames) - 1  # a 3 loses its prediction
    assert eight.reached and eight.origin == 0
    assert eight.probabilities[-1] > 0.9 > 0.1 > eight.probabilities[0]
    with pytest.raises(ExplainerError, match="not trained for '3' against '5'"):
        SyCE(classifier=ten, syce=pair).explain(images[:1], [Goal("3", against="5")])
    with pytest.raises(ExplainerError, match="not trained for '3'; it knows 3 → 8"):
        SyCE(classifier=ten, syce=pair).explain(images[:1], [Goal("3")])


def test_digits_of_other_classes_are_left_out_where_each_contrast_names_two():
    labels = np.tile(np.arange(10), 6)
    digits = DigitSet(np.zeros((60, 28, 28), np.uint8), labels)
    pair = digit_images(digits, digits, (Contrast("3 → 8", 8, 3),))
    assert pair.size == 32 and sorted(set(pair.labels)) == [3, 8]
    assert (len(pair.rows("test")), len(pair.rows("train"))) == (12, 12)
    everything = digit_images(digits, digits, (Contrast("3", 3),))
    assert len(everything.rows("test")) == 60 and len(everything.rows("val")) == 3
