from dataclasses import replace

import numpy as np
import pytest
import torch

from explainers.base import ExplainerError
from explainers.counterfactual.paired import CyCE, SyCE
from explainers.generators.paired import (
    SYSTEMS,
    Contrast,
    PairedGenerators,
    PairedShape,
    load_cyce,
    load_paired,
    save_paired,
)
from explainers.record import Goal
from explainers.training.contrasts import Judge, is_exclusive, operating_points, pools_of
from explainers.training.loop import LoopSettings, TrainingInterrupted
from explainers.training.paired import (
    ADVERSARIAL,
    STABLE,
    PairedSettings,
    PairedTask,
    error_at_change,
    reconstruction,
    train_paired,
)
from explainers.training.paired_weights import PairedWeights, read_weights
from tests.support.bright_square import FINDING, MIDDLE, SIDE, SquareSeer, squares

SHAPE = PairedShape(SIDE, (8, 16), 1)
CONTRASTS = (Contrast(FINDING, 0),)
WEIGHTS = PairedWeights(
    symmetry=10, cycle=2, adversarial=0.5, stable_class=0.02, cycle_class=0.01, gan=0.1
)
SETTINGS = LoopSettings(epochs=3, batch_size=8, learning_rate=3e-3, half_precision=False)


class Softmax(SquareSeer):
    def probabilities(self, logits):
        return torch.softmax(logits, dim=1)


def trained(system, folder, settings=SETTINGS, weights=WEIGHTS, **more):
    shape = replace(SHAPE, n_heads=2 if SYSTEMS[system].stable == "second head" else 1)
    return train_paired(
        system, squares(), SquareSeer(), CONTRASTS, settings, folder,
        shape=shape, weights=weights, clock=iter(range(10**6)).__next__, validate_every=1000,
        options=PairedSettings(ema_steps=5), **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def syce(tmp_path_factory):
    settings = replace(SETTINGS, epochs=8)
    return trained("syce", tmp_path_factory.mktemp("syce"), settings)


def test_a_trained_pair_turns_the_prediction_and_keeps_the_stable_image(syce):
    figures = syce[1].history[-1].validation
    assert figures[ADVERSARIAL] <= 0.1
    assert figures[STABLE] >= 0.9


def test_what_changes_is_where_the_classifier_looks(syce):
    images = squares(seed=5)
    batch = images.image_batch(np.arange(8))
    found = SyCE(classifier=SquareSeer(), syce=syce[0]).explain(batch, [Goal(FINDING)] * 8)
    for number, each in enumerate(found):
        side = number % 2
        assert each.reached and each.note == ""
        assert each.origin == (len(each.frames) - 1 if side else 0)
        assert (np.diff(each.probabilities) >= -1e-6).all()
        change = each.to_attribution("max")
        assert change[MIDDLE, MIDDLE].mean() > 4 * change.mean()
        assert each.difference[MIDDLE, MIDDLE].mean() > 0.1  # brighter with the finding


def test_a_pair_that_has_learnt_nothing_returns_its_input_and_says_so():
    pair = PairedGenerators("cyce", SHAPE, CONTRASTS, "square-seer")
    batch = squares().image_batch(np.arange(2))
    for each, image in zip(
        CyCE(classifier=SquareSeer(), cyce=pair, between=0).explain(batch, [Goal(FINDING)] * 2),
        batch,
        strict=True,
    ):
        assert np.allclose(each.frames, image.numpy(), atol=1e-6) and len(each.frames) == 2
        assert not each.reached and "did not change the prediction" in each.note


class Faint(PairedGenerators):
    """Darkens or brightens the middle, and everything else a little."""

    def __init__(self, elsewhere):
        super().__init__("cyce", SHAPE, CONTRASTS)
        self.elsewhere = elsewhere

    def adversarial(self, images, contrasts, side):
        made = images + self.elsewhere
        made[:, :, MIDDLE, MIDDLE] = 0.3 if side else 0.9
        return made


def test_of_the_change_the_strongest_part_is_shown():
    batch = squares().image_batch(np.arange(2))
    outside = np.ones((SIDE, SIDE), bool)
    outside[MIDDLE, MIDDLE] = False
    for keep, touched in ((0.1, 0.0), (1.0, 0.02)):
        explainer = CyCE(classifier=SquareSeer(), cyce=Faint(0.02), keep=keep)
        for side, (each, image) in enumerate(
            zip(explainer.explain(batch, [Goal(FINDING)] * 2), batch[:, 0].numpy(), strict=True)
        ):
            assert each.reached and each.measures["kept_share"] == pytest.approx(keep)
            end = each.frames[0 if side else -1]
            assert np.allclose(end[outside] - image[outside], touched, atol=1e-5)
            assert np.abs(end - image)[MIDDLE, MIDDLE].mean() > 0.4


def test_more_of_the_change_is_shown_where_the_strongest_part_does_not_turn_the_prediction():
    batch = squares().image_batch(np.arange(2))
    explainer = CyCE(classifier=SquareSeer(), cyce=Faint(0.0), keep=1 / SIDE**2)
    for each in explainer.explain(batch, [Goal(FINDING)] * 2):
        assert each.reached and each.measures["kept_share"] == 1


@pytest.mark.parametrize("keep", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_to_keep_that_is_none_is_refused(keep):
    with pytest.raises(ExplainerError, match="expected a share of the pixels above 0 and up to 1"):
        CyCE(classifier=SquareSeer(), cyce=Faint(0.0), keep=keep)


def test_the_error_at_the_change_weighs_every_pixel_by_how_much_it_changed():
    x = torch.zeros(2, 1, 4, 4)
    a, s = x.clone(), x.clone()
    a[:, 0, 0, 0], a[:, 0, 1, 1] = 0.3, -0.1
    s[0, 0, 0, 0], s[1, 0, 3, 3] = 0.2, 0.9  # of the second film the error is elsewhere
    s.requires_grad_()
    error = error_at_change(x, a.requires_grad_(), s)
    assert error.item() == pytest.approx((0.75 * 0.2 + 0) / 2)
    error.backward()
    assert a.grad is None and s.grad[0, 0, 0, 0] > 0


def test_generators_of_another_classifier_are_named_in_the_note():
    pair = PairedGenerators("cyce", SHAPE, CONTRASTS, "somebody else")
    batch = squares().image_batch(np.arange(1))
    (found,) = CyCE(classifier=SquareSeer(), cyce=pair).explain(batch, [Goal(FINDING)])
    assert "another classifier" in found.note


def test_a_finding_or_a_size_the_pair_does_not_know_is_refused():
    pair = PairedGenerators("cyce", SHAPE, CONTRASTS)
    explainer = CyCE(classifier=SquareSeer(), cyce=pair)
    with pytest.raises(ExplainerError, match="was not trained for 'Nothing'; it knows Square"):
        explainer.explain(squares().image_batch(np.arange(1)), [Goal("Nothing")])
    larger = PairedGenerators("cyce", replace(SHAPE, size=32), CONTRASTS)
    with pytest.raises(ExplainerError, match=r"\(32, 32\) pixels, the classifier of \(16, 16\)"):
        CyCE(classifier=SquareSeer(), cyce=larger)


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_every_system_takes_a_step_and_comes_back_from_disk(system, tmp_path):
    weights = replace(WEIGHTS, closeness=1.0 if system == "sagen" else 0.0)
    if system == "cycsae":
        weights = replace(weights, parameters=0.01)
    settings = replace(SETTINGS, epochs=0.2)
    pair, _ = trained(system, tmp_path / "work", settings, weights)
    digest = save_paired(tmp_path / "pair.safetensors", pair)
    again = load_paired(tmp_path / "pair.safetensors")
    assert again.weights_digest == digest and again.contrasts == CONTRASTS
    images, which = squares().image_batch(np.arange(3)), torch.zeros(3, dtype=torch.long)
    for side in (0, 1):
        a = pair.adversarial(images, which, side)
        assert a.shape == images.shape and a.min() >= 0 and a.max() <= 1
        assert torch.allclose(a, again.adversarial(images, which, side), atol=2e-3)
        s = pair.stable(images, a, which, side)
        assert s.shape == images.shape
        if SYSTEMS[system].stable == "input":
            assert torch.equal(s, images)
    if system != "cyce":
        with pytest.raises(ExplainerError, match=f"holds generators of {system}; expected cyce"):
            load_cyce(str(tmp_path / "pair.safetensors"))


def test_a_resumed_training_ends_with_the_same_bits(tmp_path):
    whole, _ = trained("syce", tmp_path / "whole", replace(SETTINGS, epochs=1))
    with pytest.raises(TrainingInterrupted):
        trained("syce", tmp_path / "cut", replace(SETTINGS, epochs=1), cancelled=lambda: True)
    cut, _ = trained("syce", tmp_path / "cut", replace(SETTINGS, epochs=1))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, cut.state_dict()[name]), name


def test_a_loss_is_the_sum_of_its_weighted_terms(tmp_path):
    images = squares()
    x = images.image_batch(np.arange(4))
    which = torch.zeros(4, dtype=torch.long)
    judge = Judge(SquareSeer(), CONTRASTS)

    def loss(**weights):
        task = PairedTask(
            "syce", images, judge, SHAPE, PairedWeights(**weights), SETTINGS, PairedSettings(),
            folder=tmp_path,
        )  # fmt: skip
        with torch.no_grad():
            return task._generator_loss(x, which, 1, torch.Generator())

    total, a = loss(adversarial=3.0)
    assert torch.allclose(a, x)  # untrained generators return their input
    expected = 3 * torch.nn.functional.softplus(judge.margins(x, which)).mean()
    assert float(total) == pytest.approx(float(expected), rel=1e-5)
    assert float(loss(symmetry=10.0, cycle=2.0)[0]) == pytest.approx(0, abs=1e-6)
    both = loss(adversarial=3.0, stable_class=2.0)[0]
    kept = 2 * torch.nn.functional.softplus(-judge.margins(x, which)).mean()
    assert float(both) == pytest.approx(float(expected + kept), rel=1e-5)


def test_reconstruction_is_squared_plus_absolute_error():
    assert float(reconstruction(torch.zeros(2, 3), torch.full((2, 3), 0.5))) == pytest.approx(0.75)


def test_a_softmax_is_told_from_findings_and_operating_points_are_found():
    assert is_exclusive(Softmax()) and not is_exclusive(SquareSeer())

    class Calibrated(SquareSeer):
        def probabilities(self, logits):
            return torch.sigmoid(2 * logits - torch.tensor([1.0, -3.0]))

    assert operating_points(Calibrated()).tolist() == pytest.approx([0.5, -1.5], abs=1e-5)


def test_margins_of_a_softmax_compare_with_one_class_or_with_all_others():
    logits = torch.tensor([[1.0, 3.0]])
    judge = Judge(Softmax(), (Contrast("0 against 1", 0, 1), Contrast("0", 0)))
    assert judge.all_margins(logits)[0].tolist() == pytest.approx([-2.0, -2.0])
    with pytest.raises(ExplainerError, match="do not exclude each other"):
        Judge(SquareSeer(), (Contrast("0 against 1", 0, 1),))
    with pytest.raises(ExplainerError, match="has 2, counted from 0"):
        Judge(SquareSeer(), (Contrast("2", 2),))


def test_images_are_sorted_by_the_prediction_and_an_empty_side_is_refused(tmp_path):
    images = squares()
    rows = images.rows("train")
    judge = Judge(SquareSeer(), CONTRASTS)
    off, on = pools_of(judge, images, rows, tmp_path).sides[0]
    assert (off % 2 == 0).all() and (on % 2 == 1).all() and len(off) + len(on) == len(rows)
    assert len(list(tmp_path.glob("logits-*.npy"))) == 1
    again = pools_of(judge, images, rows, tmp_path).sides[0]
    assert np.array_equal(again[1], on)
    with pytest.raises(ExplainerError, match="says the same of all 48 images"):
        pools_of(Judge(SquareSeer(), (Contrast("Nothing", 1),)), images, rows)


def test_weights_are_read_from_a_file_and_wrong_ones_are_named(tmp_path):
    assert read_weights("digits", "syce").gan == 0.25
    assert read_weights("pneumonia", "cyce").cycle_class == 0.01
    assert read_weights("begun", "syce").place == 4
    with pytest.raises(ExplainerError, match=r"no table \[digits.nothing\]; it has digits.syce"):
        read_weights("digits", "nothing")
    wrong = tmp_path / "weights.toml"
    wrong.write_text("[films.syce]\nsymetry = 1\n")
    with pytest.raises(ExplainerError, match="names symetry"):
        read_weights("films", "syce", wrong)
    wrong.write_text("[films.syce]\nsymmetry = -1\n")
    with pytest.raises(ExplainerError, match="at least 0"):
        read_weights("films", "syce", wrong)
