"""The bottleneck sweep: what is compared, what is refused, what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data.reference import ReferenceSet
from explainers.base import ExplainerError
from explainers.classifiers.ours import load_classifier
from explainers.evaluation.bench import COLUMNS, Setting
from explainers.evaluation.bottleneck import (
    QUANTITIES,
    Bottleneck,
    Candidate,
    check_candidates,
    choose_examples,
    make_examples,
)
from explainers.evaluation.bottleneck_pictures import CELL_PX, draw_grid, write_grid
from explainers.evaluation.summary import summarise
from explainers.generators.autoencoder import OurAutoencoder, load_autoencoder
from explainers.generators.networks import AutoencoderShape, build_autoencoder
from tests.support.stub_networks import LinearAutoencoder, LinearClassifier
from tests.support.tiny_networks import SIDE, write_case_set, write_networks

PAIRS = [("c0001", "Mass"), ("c0002", "Mass"), ("c0003", "Mass"), ("c0001", "Lung Opacity")]


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    cases = write_case_set(folder / "cases")
    classifier_file, autoencoder_file = write_networks(folder)
    references = ReferenceSet.open(folder / "cases")
    classifiers = {"f": load_classifier(classifier_file)}
    networks = {"autoencoder": load_autoencoder(autoencoder_file)}
    return Setting(
        cases, references, classifiers, networks, None, (), tuple(PAIRS), 0, folder / "explanations"
    )


@pytest.fixture(scope="module")
def bench(setting):
    larger = AutoencoderShape(8, (4, 4, 8, 8), (8, 8, 8, 4, 4))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        wide = OurAutoencoder(build_autoencoder(larger), larger, (SIDE, SIDE), "wide")
    return Bottleneck((Candidate("narrow", setting.autoencoder), Candidate("wide", wide)))


@pytest.fixture(scope="module")
def table(bench, setting):
    return bench.measure(setting, "f", PAIRS)


@pytest.fixture(scope="module")
def examples(bench, setting):
    return make_examples(setting, setting.classifiers["f"], bench.candidates, 2)


def test_every_autoencoder_is_measured_on_every_pair(table):
    counts = table[table["quantity"] == "mae"].groupby("method").size()
    assert dict(counts) == {"narrow": len(PAIRS), "wide": len(PAIRS)}
    assert set(table["quantity"]) <= set(QUANTITIES)
    assert tuple(table.columns) == COLUMNS


def test_quantities_are_drawn_against_the_size_of_the_bottleneck(table, bench, setting):
    summary = summarise(table, setting.patients())
    figures = bench.figures(table, summary)
    [iou] = [each for each in figures if each.layout.title.text.startswith("IoU")]
    assert list(iou.data[0].x) == [16, 32]
    assert list(iou.layout.xaxis.ticktext) == ["16<br>narrow", "32<br>wide"]


def test_other_weights_are_another_sweep(bench):
    assert "'wide', 32, 'wide'" in repr(bench)


def test_there_is_an_iou_only_where_there_is_a_mask(table):
    found = table[(table["quantity"] == "iou") & (table["method"] == "wide")]
    assert list(found["case_id"]) == ["c0001", "c0002"]
    assert found["value"].between(0, 1).all()


def test_examples_are_taken_from_every_finding_in_turn_and_drawn_in_one_grid(examples, tmp_path):
    assert {(each.case_id, each.finding) for each in examples} == {PAIRS[0], PAIRS[3]}
    assert choose_examples(PAIRS, 3) == [PAIRS[0], PAIRS[3], PAIRS[1]]
    sheet = draw_grid(examples)
    assert sheet.width > 5 * CELL_PX  # the film and two pictures of each autoencoder
    assert sheet.height > 2 * CELL_PX
    assert np.asarray(sheet).std() > 0
    write_grid(examples, tmp_path / "new" / "grid.png")
    assert (tmp_path / "new" / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_a_grid_of_nothing_and_a_grid_that_cannot_be_written_are_refused(examples, tmp_path):
    with pytest.raises(ExplainerError, match="no examples"):
        draw_grid([])
    (tmp_path / "file").write_text("")
    with pytest.raises(ExplainerError, match="Choose another place"):
        write_grid(examples, tmp_path / "file" / "grid.png")


def test_sweeps_that_compare_nothing_are_refused():
    narrow = Candidate("narrow", LinearAutoencoder())
    assert narrow.size == 12
    with pytest.raises(ExplainerError, match="at least 2 autoencoders; 1 given"):
        check_candidates([narrow], LinearClassifier())
    with pytest.raises(ExplainerError, match="called 'narrow'"):
        check_candidates([narrow, narrow], LinearClassifier())
    other = LinearAutoencoder()
    other.input_size = (16, 16)
    with pytest.raises(ExplainerError, match="use networks of one size"):
        check_candidates([narrow, Candidate("other", other)], LinearClassifier())
