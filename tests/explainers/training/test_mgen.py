from dataclasses import replace

import numpy as np
import pytest
import torch

from explainers.attribution.mgen import Mgen
from explainers.base import ExplainerError
from explainers.generators.mgen import MaskGenerator, MaskShape, load_mgen, save_mgen
from explainers.generators.paired import Contrast
from explainers.record import Goal
from explainers.training.contrasts import Judge
from explainers.training.loop import LoopSettings, TrainingRun
from explainers.training.mgen import (
    AREA,
    MaskTask,
    MaskWeights,
    read_mask_weights,
    roughness,
    train_mgen,
)
from explainers.training.publish_mgen import evaluate_mgen, publish_mgen
from tests.support.bright_square import FINDING, MIDDLE, SIDE, SquareSeer, squares

SHAPE = MaskShape(SIDE, (8, 16), blur=0.25)
CONTRASTS = (Contrast(FINDING, 0),)
SETTINGS = LoopSettings(epochs=12, batch_size=8, learning_rate=1e-2, half_precision=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_mgen(
        squares(), SquareSeer(), CONTRASTS, SETTINGS, tmp_path_factory.mktemp("mgen"),
        shape=SHAPE, weights=MaskWeights(smoothness=0.05, area=2.0),
        clock=iter(range(10**6)).__next__,
    )  # fmt: skip


def test_a_trained_mask_lies_on_the_evidence_and_takes_it_away(trained):
    network, run = trained
    test = squares(seed=7)
    test = replace(test, splits=np.full(len(test.splits), "test"))
    _, on = evaluate_mgen(network, test, SquareSeer()).sides
    assert on.kept > 0.9 and on.area < 0.6
    assert on.deleted <= on.all_blurred + 0.1
    assert run.history[-1].validation[AREA] < 0.6
    (found,) = Mgen(classifier=SquareSeer(), mgen=network).explain(
        test.image_batch(np.array([1])), [Goal(FINDING)]
    )
    assert found.values[MIDDLE, MIDDLE].mean() > 2 * np.delete(found.values, range(4, 12), 0).mean()
    assert found.values.min() >= 0 and found.values.max() <= 1


def test_where_the_finding_is_absent_the_map_speaks_against_it():
    network = MaskGenerator(SHAPE, CONTRASTS).eval()
    (found,) = Mgen(classifier=SquareSeer(), mgen=network).explain(
        squares().image_batch(np.array([0])), [Goal(FINDING)]
    )
    assert found.values.max() <= 0 and found.values.min() < 0


def test_a_mask_of_one_keeps_all_and_a_mask_of_zero_deletes_nothing():
    network = MaskGenerator(SHAPE, CONTRASTS)
    x = squares().image_batch(np.arange(3))
    whole, nothing = torch.ones_like(x), torch.zeros_like(x)
    assert torch.allclose(network.kept(x, whole), x) and torch.equal(network.deleted(x, nothing), x)
    assert torch.allclose(network.deleted(x, whole), network.blurred(x))
    flat = torch.full((1, 1, SIDE, SIDE), 0.4)
    assert torch.allclose(network.blurred(flat), flat)
    assert float(roughness(torch.eye(4)[None, None])) == pytest.approx(12 / 4)


def test_a_loss_is_the_sum_of_its_weighted_terms():
    network = MaskGenerator(SHAPE, CONTRASTS)
    rows = np.arange(4)

    def loss(**weights):
        none = {"smoothness": 0, "area": 0, "preservation": 0, "deletion": 0}
        task = MaskTask(network, squares(), Judge(SquareSeer(), CONTRASTS),
                        MaskWeights(**none | weights))  # fmt: skip
        with torch.no_grad():
            return float(task.loss(rows, torch.Generator().manual_seed(1)))

    terms = [{"smoothness": 2.0}, {"area": 3.0}, {"preservation": 0.5}, {"deletion": 1.0}]
    whole = terms[0] | terms[1] | terms[2] | terms[3]
    assert loss(**whole) == pytest.approx(sum(loss(**term) for term in terms), rel=1e-5)
    assert all(loss(**term) > 0 for term in terms)


def test_a_mask_network_comes_back_from_disk_with_a_card(tmp_path):
    network = MaskGenerator(SHAPE, CONTRASTS, "square-seer")
    path = tmp_path / "mgen.safetensors"
    test = replace(squares(), splits=np.full(64, "test"))
    run = TrainingRun(network, 3, 0.1, 6.0, ())
    publish_mgen(
        path, network, run, test, SETTINGS, created="2026-01-01", weights=MaskWeights(),
        classifier=SquareSeer(),
    )  # fmt: skip
    again = load_mgen(path)
    assert again.contrasts == CONTRASTS and again.shape == SHAPE
    assert "| Square, present | 32 |" in path.with_suffix(".md").read_text()
    assert save_mgen(tmp_path / "again.safetensors", again) == again.weights_digest


def test_what_does_not_fit_is_refused_in_a_sentence():
    network = MaskGenerator(SHAPE, CONTRASTS)
    with pytest.raises(ExplainerError, match="MGen was not trained for 'Nothing'"):
        Mgen(classifier=SquareSeer(), mgen=network).explain(
            squares().image_batch(np.arange(1)), [Goal("Nothing")]
        )
    larger = MaskGenerator(replace(SHAPE, size=32), CONTRASTS)
    with pytest.raises(ExplainerError, match="use two of the same size"):
        Mgen(classifier=SquareSeer(), mgen=larger)
    assert read_mask_weights("digits").area == 2
    with pytest.raises(ExplainerError, match="at least 0"):
        MaskWeights(area=-1)
